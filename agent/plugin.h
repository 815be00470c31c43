/*
 * plugin.h - opinions on which endpoint is best for one request
 *
 * A scorer says how good each candidate is, 0 worst to 1 best; a profile weighs what
 * they say; a picker puts the candidates in order. Each is a table of functions in a
 * file of its own under plugins/, one row in plugins/plugins.c, named as llm-d's
 * EndpointPickerConfig spells it. They run on any worker at any time, on a choice
 * that is only theirs to read; they do no I/O and take no lock.
 *
 * Filters and profile handlers will stand beside these, in the same manner: rows of
 * their own in plugins.c, called by pick.c before the scorers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct endpoint_view;
struct request;
struct rng;

/* The candidates for one request, and what is known of each right now. */
struct choice {
	const struct endpoint_view *view;
	const struct request *request;
	const uint32_t *rows;		/* candidate i is view->endpoints[rows[i]] */
	size_t n;
	const uint32_t *unsettled;	/* of candidate i: sent, not scraped yet */
	const uint16_t *matched;	/* of candidate i: blocks of the prompt held */
};

struct scorer {
	const char *name;
	void (*score)(const struct choice *c, float *out);
};

/*
 * Fills `best` with up to `n_best` indices into the choice, best first; returns how
 * many. `scores[i]` is the weighted sum for candidate i.
 */
struct picker {
	const char *name;
	size_t (*pick)(const struct choice *c, const float *scores,
	    struct rng *rng, uint32_t *best, size_t n_best);
};

struct weighted_scorer {
	const struct scorer *scorer;
	float weight;
};

/* What a pool is scheduled by. */
struct profile {
	const char *name;
	const struct weighted_scorer *scorers;
	size_t n_scorers;
	const struct picker *picker;
};

extern const struct scorer scorer_queue, scorer_kv_cache, scorer_prefix;
extern const struct picker picker_max_score;

/* By the name a configuration uses; NULL when there is none. */
const struct scorer *scorer_find(const char *name);
const struct picker *picker_find(const char *name);

/*
 * llm-d's when there is no configuration: queue 2, kv-cache 2, prefix 3, max-score.
 * Source: llm-d-router pkg/epp/config/loader/defaults.go.
 */
extern const struct profile profile_default;
