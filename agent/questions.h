/*
 * questions.h - prompts whose token ids shall be asked for, from workers to the scraper
 *
 * A ring of bytes with a ceiling, where a prompt's text stays until it is taken out to
 * be asked for, and is then forgotten: nothing of it is kept but hashes. A worker
 * never waits: it looks whether this prompt was asked for already, tries the lock, copies
 * and is gone. Where the lock is taken, or the ring is full, the prompt is not asked for
 * now; the same prompt may come again. One that was put is not asked for twice as long
 * as QUESTIONS_KNOWN others of its hash's place have not come.
 *
 * Asked for is what an engine's own tokenizer takes as it stands: a whole body of
 * chat/completions or completions with one prompt of text, without a salt, images or
 * the like, longer than one block. Which it is, is told by its last full block: prompts
 * that differ behind it only are the same question.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

enum { QUESTIONS_KNOWN = 1 << 15 };

struct counters;
struct questions;

/* A prompt taken out: one piece of memory, to be freed with free(). */
struct question {
	enum request_kind kind;
	uint64_t prompt_bytes;
	uint64_t model;		/* lora_spelled() of the model's name */
	uint32_t n_texts;
	const uint64_t *texts;	/* chained hashes of its blocks */
	struct span body;	/* JSON, the model as it was rewritten */
	size_t model_at, model_len;	/* where its name stands, without quotes */
};

/* The ring is reserved now and touched as it fills. NULL without memory. */
struct questions *questions_new(size_t max_bytes);
void questions_free(struct questions *q);	/* NULL is fine */

/* Any worker; takes no time to speak of. Counts in `c`. */
void questions_offer(struct questions *q, const struct request *r,
    struct counters *c);

/* The oldest; NULL: there is none, or no memory for it. Scraper's thread. */
struct question *questions_take(struct questions *q);
