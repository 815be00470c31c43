/*
 * request.h - what HAProxy said of one request, and what the picker needs of it
 *
 * An ask is the arguments of the SPOE message as they came; a request is an ask that
 * was understood: kind of API, model, prompt as a chain of block hashes. The body is
 * walked once and never copied; it may be cut at HAProxy's buffer size, which is not
 * an error. Spans borrow from the SPOP frame, arrays come from the worker's arena:
 * both live until the answer is written. Worker's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

struct arena;
struct model_rewrite_options;
struct rng;

/* Arguments of `pick` and `first`; a missing one is empty. README, contract. */
struct ask {
	struct span id, pool, method, path;
	struct span headers;	/* req.hdrs_bin */
	struct span body;	/* req.body: as much as HAProxy's buffer held */
	uint64_t body_len;	/* req.body_size: the true length, if known */
	struct span server;	/* of the message `first` only */
};

enum request_kind {
	REQUEST_OTHER,		/* any other path: picked without a prompt */
	REQUEST_CHAT,		/* OpenAI chat/completions */
	REQUEST_COMPLETIONS,
	REQUEST_RESPONSES,
	REQUEST_EMBEDDINGS,
	REQUEST_MESSAGES,	/* Anthropic messages */
	REQUEST_VLLM_GENERATE,
	REQUEST_SGLANG_GENERATE,
};

const char *request_kind_name(enum request_kind kind);

/* One prompt of a request that has several: blocks[first .. first + n). */
struct request_chain {
	uint32_t first, n;
};

struct request {
	const struct ask *ask;
	enum request_kind kind;
	bool has_body;		/* false: picked without scheduling */
	bool is_cut;		/* the body goes on beyond what we saw */
	bool has_length;	/* Content-Length was there: else what we saw may
				   be all, or not (chunked, HTTP/2) */
	uint64_t content_length;	/* 0 without */
	bool stream, has_tools, wants_why;
	bool has_media;		/* an image, video or audio, in the part we saw */
	struct span model;	/* raw JSON text, escapes unresolved; as asked of the
				   engine, that is, rewritten */
	/* Of a rewritten one, the name, and where in the body the client's stands. */
	struct span target;
	uint64_t target_at;
	uint32_t target_len;
	struct span cache_salt;
	struct span session, objective, fairness;	/* header values */
	uint64_t max_tokens;	/* 0: not said */
	uint64_t prompt_bytes;	/* of the text seen, JSON escapes included */
	uint64_t unseen_bytes;	/* of the body, behind the cut */
	uint32_t slo_ttft_ms;	/* header; 0: not said */
	int64_t ttl_ms;		/* header: to wait at most; 0: not said */
	int64_t now_ms;		/* clock_ms(), when it is picked for */
	uint64_t *blocks;	/* chained hashes: prefix_chain() */
	struct request_chain *chains;
	size_t n_blocks, n_chains;
	int status;		/* 0: fine; else the HTTP status to answer */
	const char *message;	/* why, for the client; static or in the arena */
};

/* Of the prompt, seen or not: what of a body is behind the cut is prompt, or nearly. */
static inline uint64_t request_prompt_bytes(const struct request *r)
{
	return r->prompt_bytes + r->unseen_bytes;
}

/* The first header of that name, for plugins. False: there is none. */
bool request_header(const struct request *r, const char *name,
    struct span *value);

/* What models are rewritten by, and the chance that it takes. */
struct rewriting {
	const struct model_rewrite_options *rules;
	struct rng *rng;
};

/*
 * Understands headers, path and body; `block_bytes` and `max_blocks` are the pool's,
 * and so is `rewriting`: NULL where the model is left alone.
 * Never fails as such: a request that must be refused has `status` set; one that
 * outgrew the arena is picked without its prompt.
 */
void request_parse(struct request *r, const struct ask *ask,
    uint32_t block_bytes, uint32_t max_blocks,
    const struct rewriting *rewriting, struct arena *arena);
