/*
 * pick.h - one request and one view in, the endpoint to use out
 *
 * Candidates are the endpoints that are neither known to be down nor ejected (all of
 * them, when all are); the pool's profile scores and orders them; the winner's count
 * of picks is raised by compare-and-swap in the same step, and the scores are done
 * again when somebody else was faster, so that two requests never decide on the same
 * count. Where serving is disaggregated the pool's handler runs more profiles, each
 * reserving its own winner so. Then each winner's requests and tokens in flight are
 * raised, all or none: whoever called gives them to books_open(), or gives them back.
 * No I/O, no clock, no lock but the prefix index's; chance is handed in. Any worker.
 */
#pragma once

#include <stddef.h>

#include "endpoints.h"

struct arena;
struct request;
struct rng;

enum {
	PICK_CHOICES_MAX = 4,
	PICK_HELPERS = 2,	/* who prefills, who encodes */
};

/* Beside the endpoint that answers: on whose counts the request is too. */
struct pick_helper {
	struct endpoint_live *live;	/* NULL: nobody's */
	uint32_t tokens;
};

struct pick {
	int status;		/* 0, or what to answer the client: 400, 503 */
	const char *reason;	/* x-llm-d-request-dropped-reason, or NULL */
	const char *message;	/* for the client, or NULL */
	size_t n;		/* choices, best first; 0 with status 0: none */
	const struct endpoint *choices[PICK_CHOICES_MAX];
	const char *why;	/* when the request asked for it, else NULL */
	uint32_t retry_after_s;	/* with a status; 0: not said */
	/* Of a rewritten model: its name, where in the body the client's stands, how
	   long it is, and how many bytes longer the new one. */
	struct span model;
	uint64_t model_at;
	uint32_t model_len;
	int32_t model_grow;
	struct endpoint_live *live;	/* of who was picked, if counts were raised */
	uint32_t tokens;		/* by how many its tokens were */
	uint32_t ahead;			/* tokens there before; PICK_WAITS: no matter */
	uint32_t max_tokens;		/* of the answer, as asked for; 0: not said */
	uint64_t last_block;	/* of the prompt, the last full one; 0: no prompt */
	/* The rest is set for a pick by several profiles, or by rank. */
	struct pick_helper helpers[PICK_HELPERS];
	const struct endpoint *prefill;		/* NULL: choices[0] does it */
	const struct endpoint *encode[PICK_CHOICES_MAX];
	size_t n_encode;
	const struct endpoint *rank;	/* choices[0] forwards to it; NULL: no */
	struct endpoint_live *entry;	/* of choices[0], if it is not `live` */
};

/* Its first token waits for a place in the batch, not for the prompts before it. */
#define PICK_WAITS UINT32_MAX

/* Nobody will be sent there after all: takes back what pick_endpoint() raised. */
void pick_undo(struct pick *pick);

/* No endpoint and no status: what the pool's failureMode says. */
void pick_settle(struct pick *pick, const struct endpoint_view *view);

/* Strings live in `arena` or are static. */
void pick_endpoint(struct pick *out, const struct endpoint_view *view,
    const struct request *request, struct rng *rng, struct arena *arena);
