/*
 * picking.h - one request's candidates, and one profile over them; for pick.c only
 *
 * Each run of a profile begins with all candidates and ends with the winner's count of
 * picks raised by compare-and-swap, in the same step as its scores were made: for two
 * profiles, each by itself, one right after the other. Everything lives in the worker's
 * arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pick.h"
#include "plugin.h"

struct arena;

struct picking {
	struct choice choice;		/* of the run that goes on, or went last */
	const struct profile *profile;	/* its profile */
	struct rng *rng;
	struct arena *arena;
	bool is_plain;		/* one run without filters: nothing is copied */
	bool has_failed;	/* no arena left */
	uint32_t *rows, *unsettled;
	uint16_t *matched;	/* these three are the choice's */
	struct told_columns told;
	struct live_columns live;
	struct pace_columns pace;	/* NULLs: no scorer wants them */
	struct lora_columns lora;	/* the same */
	float *scores, *score;
	bool *keep;
	/* Everybody, what a run begins with. */
	uint32_t *all_rows;
	uint16_t *all_matched;
	size_t n_all;
};

/* What came of a run. */
struct run {
	const struct profile *profile;	/* NULL: it never was */
	struct choice choice;
	size_t n;			/* of `best`; 0: nobody passed */
	uint32_t best[PICK_CHOICES_MAX];	/* candidates, best first */
};

/* Finds the candidates. False without memory. */
bool picking_init(struct picking *p, const struct endpoint_view *view,
    const struct request *request, struct rng *rng, struct arena *arena);

/* How much of the prompt each of them holds; once, before the first run. */
bool picking_match(struct picking *p);

/*
 * Runs a profile and reserves the best one. `trials`: an endpoint that comes back by
 * trial may be it.
 */
void picking_run(struct picking *p, const struct profile *profile,
    const struct endpoint *peer, bool trials, size_t n_best, struct run *run);

/* Candidate `i` of the run that went last, with its scores one by one. */
const char *picking_explain(struct picking *p, uint32_t i);
