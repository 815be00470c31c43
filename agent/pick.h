/*
 * pick.h - one request and one view in, the endpoint to use out
 *
 * Candidates are the endpoints that are not known to be down (all of them, when all
 * are); the pool's profile scores and orders them; the winner's in-flight count is
 * raised by compare-and-swap in the same step, and the scores are done again when
 * somebody else was faster, so that two requests never decide on the same count. No
 * I/O, no clock, no lock but the prefix index's; chance is handed in. Any worker.
 */
#pragma once

#include <stddef.h>

#include "endpoints.h"

struct arena;
struct request;
struct rng;

enum { PICK_CHOICES_MAX = 4 };

struct pick {
	int status;		/* 0, or what to answer the client: 400, 503 */
	const char *reason;	/* x-llm-d-request-dropped-reason, or NULL */
	const char *message;	/* for the client, or NULL */
	size_t n;		/* choices, best first; 0 with status 0: none */
	const struct endpoint *choices[PICK_CHOICES_MAX];
	const char *why;	/* when the request asked for it, else NULL */
};

/* Strings live in `arena` or are static. */
void pick_endpoint(struct pick *out, const struct endpoint_view *view,
    const struct request *request, struct rng *rng, struct arena *arena);
