/*
 * plugin.h - opinions on which endpoint is best for one request
 *
 * A filter leaves candidates out; a scorer says how good each is, 0 worst to 1 best; a
 * picker puts them in order by the weighted sum; a profile is some of each. Each is a
 * table of functions in a file of its own under plugins/, one row in
 * plugins/plugins.c, named as llm-d's EndpointPickerConfig spells its type, with its
 * parameters as rows. They run on any worker at any time, on a choice that is only
 * theirs to read; they do no I/O and take no lock, and what they remember is atomics.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_table;
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
	int64_t now_ms;			/* clock_ms() */
};

/* `params` is what the rows decoded into; NULL where there are none. */
struct filter {
	const char *name;
	const char *differs;	/* what a user of llm-d would notice; NULL: nothing */
	const struct conf_table *params;
	/* Clears keep[i], all true before, of those that are out. */
	void (*filter)(const struct choice *c, const void *params, bool *keep);
	/*
	 * May be NULL. Called once, after the decision: the request goes to candidate
	 * `winner` of those that all filters left.
	 */
	void (*picked)(const struct choice *c, const void *params,
	    uint32_t winner);
};

struct scorer {
	const char *name;
	const char *differs;
	const struct conf_table *params;
	void (*score)(const struct choice *c, const void *params, float *out);
	/* As of a filter. */
	void (*picked)(const struct choice *c, const void *params,
	    uint32_t winner);
};

/*
 * Fills `best` with up to `n_best` indices into the choice, best first; returns how
 * many. `scores[i]` is the weighted sum for candidate i.
 */
struct picker {
	const char *name;
	const char *differs;
	const struct conf_table *params;
	size_t (*pick)(const struct choice *c, const void *params,
	    const float *scores, struct rng *rng, uint32_t *best, size_t n_best);
};

struct used_filter {
	const struct filter *filter;
	const void *params;
};

struct weighted_scorer {
	const struct scorer *scorer;
	float weight;
	const void *params;
};

/* What a pool is scheduled by. */
struct profile {
	const char *name;
	const struct used_filter *filters;	/* each sees what the last one left */
	size_t n_filters;
	const struct weighted_scorer *scorers;
	size_t n_scorers;
	const struct picker *picker;
	const void *picker_params;
};

/* By the type a configuration uses; NULL when there is none. */
const struct filter *filter_find(const char *name);
const struct scorer *scorer_find(const char *name);
const struct picker *picker_find(const char *name);

/* Row i of each table; NULL past the end. */
const struct filter *filter_at(size_t i);
const struct scorer *scorer_at(size_t i);
const struct picker *picker_at(size_t i);

/*
 * llm-d's when there is no configuration: queue 2, kv-cache 2, prefix 3, max-score.
 * Source: llm-d-router pkg/epp/config/loader/defaults.go.
 */
extern const struct profile profile_default;
