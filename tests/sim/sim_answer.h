/*
 * sim_answer.h - OpenAI's JSON answers: bodies, stream events, errors
 *
 * Appends to the caller's buffer. No I/O; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

/* What all parts of one answer tell. Texts are borrowed. */
struct sim_answer {
	const char *id, *model;
	long long created;
	bool is_chat;
	const char *finish_reason;
	uint32_t prompt_tokens, completion_tokens, cached_tokens;
};

/* The whole answer. */
void sim_answer_body(struct buf *out, const struct sim_answer *a,
    struct span text);

/* A chat stream's first event: who speaks. */
void sim_answer_role(struct buf *out, const struct sim_answer *a);

/* Some text; the last one says why it ends. */
void sim_answer_event(struct buf *out, const struct sim_answer *a,
    struct span text, bool is_last);

void sim_answer_usage_event(struct buf *out, const struct sim_answer *a);
void sim_answer_end(struct buf *out);

/* {"error": ...}; `message` may hold anything. */
void sim_answer_error(struct buf *out, int status, const char *type,
    struct span message);
