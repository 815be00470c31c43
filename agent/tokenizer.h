/*
 * tokenizer.h - asks a tokenizer for the token ids of prompts, off the request path
 *
 * `prefix: {tokenizer: {...}}` of a pool. Takes what workers put into the pool's
 * questions, a few at a time, and POSTs each body as it is:
 *
 *	tokenize	/tokenize, of the pool's endpoints or of a server at `url`
 *	render		/v1/chat/completions/render, /v1/completions/render, as llm-d's
 *			token-producer does
 *
 * What comes back is learned (kv_texts.h) and matched against what each endpoint holds
 * (kv_track.h). Nobody waits for it. A question that fails, for whatever reason, is not
 * asked again; a service that fails rests, ever longer, up to ten seconds, and then all
 * is as without one. Until an engine has told how large its blocks are nothing is
 * asked. Memory: the questions' ring, and for each one under way its body and an answer
 * of TOKENIZER_ANSWER_MAX at most. Scraper's thread.
 */
#pragma once

#include <stdint.h>

enum { TOKENIZER_ANSWER_MAX = 16 << 20 };

struct pool;
struct pool_context;
struct tokenizer;

/* Of a pool with questions and texts, which outlive it. NULL: no memory (logged). */
struct tokenizer *tokenizer_new(struct pool *pool,
    const struct pool_context *context);
void tokenizer_free(struct tokenizer *t);	/* NULL is fine */

/* Options may have changed: connections are made anew, busy ones after their answer. */
void tokenizer_renew(struct tokenizer *t);

/* Now and then: asks what there is to be asked. */
void tokenizer_beat(struct tokenizer *t, int64_t now_ms);
