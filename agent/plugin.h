/*
 * plugin.h - opinions on which endpoint is best for one request
 *
 * A filter leaves candidates out; a scorer says how good each is, 0 worst to 1 best; a
 * picker puts them in order by the weighted sum; a profile is some of each. A profile
 * handler says which profiles a request is picked by, and for what: one for the server
 * that answers it, others for those that help; a decider, whether it needs them. Each
 * is a table of functions in a file of its own under plugins/, one row in
 * plugins/plugins.c, named as llm-d's EndpointPickerConfig spells its type, with its
 * parameters as rows. They run on any worker at any time, on a choice that is only
 * theirs to read; they do no I/O and take no lock, and what they remember is atomics.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

struct conf_table;
struct endpoint;
struct endpoint_view;
struct request;
struct rng;
struct schedule;

/* Of the candidates: what engines told. For who reads them, columns.h. */
struct told_columns {
	uint32_t *queued, *running;
	uint32_t *fresh;	/* all bits, or none: younger than stale_ms */
	float *kv_used;
};

/* What we counted. */
struct live_columns {
	uint32_t *requests, *tokens;
	float *ttft_us, *token_us;	/* negative: no sample */
};

/* How fast each has been: struct endpoint_pace. */
struct pace_columns {
	float *rate, *serve_ms, *batch;	/* 0: not learned */
	float *busy_ms;		/* from now on; FLT_MAX: nobody keeps it */
	float usual_rate, usual_serve_ms;	/* averages of those learned; 0: none is */
	float most_batch;			/* of those learned */
};

/* How each stands to the LoRA adapter that the request names. */
struct lora_columns {
	uint8_t *place;		/* enum lora_place */
	uint32_t *max;		/* adapters that fit at once; 0: not told */
};

/*
 * The candidates for one request, and what is known of each right now. Loops
 * that write go over a copy: the compiler cannot know that they do not write here.
 */
struct choice {
	const struct endpoint_view *view;
	const struct request *request;
	const uint32_t *rows;		/* candidate i is view->endpoints[rows[i]] */
	size_t n;
	const uint32_t *unsettled;	/* of candidate i: sent, not scraped yet */
	const uint16_t *matched;	/* of candidate i: blocks of the prompt held */
	int64_t now_ms;			/* clock_ms() */
	/* Picked by an earlier profile, to work with the one picked here; or NULL. */
	const struct endpoint *peer;
	/* For scorers; NULLs: not gathered. */
	struct told_columns told;
	struct live_columns live;
	struct pace_columns pace;
	struct lora_columns lora;	/* nor where no engine tells of adapters */
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
	bool wants_live;	/* asks for what live_columns have */
	bool wants_pace;	/* of pace_columns too, and only asked with them all */
	bool wants_lora;	/* for what lora_columns have */
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

struct profile {
	const char *name;
	const struct used_filter *filters;	/* each sees what the last one left */
	size_t n_filters;
	const struct weighted_scorer *scorers;
	size_t n_scorers;
	const struct picker *picker;
	const void *picker_params;
	size_t max_endpoints;		/* maxNumOfEndpoints; 0: not said */
};

/* ---- several profiles ---- */

/* What is picked for: where HAProxy sends the request, and who helps. */
enum stage {
	STAGE_PRIMARY,		/* decode, where serving is disaggregated */
	STAGE_PREFILL,
	STAGE_ENCODE,		/* of images and the like */
	N_STAGES,
};

struct stage_result {
	bool is_over;			/* its profile has run */
	const struct choice *choice;	/* as filtered; NULL: nobody passed */
	uint32_t winner;		/* a candidate of it */
};

/* How far one request has come. */
struct stages {
	const struct schedule *schedule;
	const struct request *request;
	struct stage_result of[N_STAGES];
};

/* Does this request need the stage that the decider stands for? */
struct decider {
	const char *name;
	const char *differs;
	const struct conf_table *params;
	bool (*wants)(const struct stages *s, const void *params);
};

struct used_decider {
	const char *name;		/* in the document, not its type's */
	const struct decider *decider;
	const void *params;
};

/* What the names among a handler's parameters may stand for. */
struct handler_names {
	const struct profile *profiles;
	size_t n_profiles;
	const struct used_decider *deciders;	/* as long as the profiles live */
	size_t n_deciders;
};

static inline const struct profile *profile_find(const struct profile *profiles,
    size_t n, struct span name)
{
	for (size_t i = 0; i < n; i++)
		if (span_is_text(name, profiles[i].name))
			return &profiles[i];
	return NULL;
}

/* A name that stands for nothing, and what it should be; NULLs: all is well. */
struct unbound {
	const char *name, *want;
};

struct handler {
	const char *name;
	const char *differs;
	const struct conf_table *params;
	/* Finds what `params` names. NULL: takes one profile, whatever its name. */
	struct unbound (*bind)(void *params, const struct handler_names *names);
	/*
	 * The profile to run now, and for which stage; NULL: no more. Pure: asked again
	 * after each. No STAGE_PRIMARY at all refuses the request.
	 */
	const struct profile *(*next)(const struct stages *s,
	    const void *params, enum stage *stage);
	/*
	 * The port of the server that forwards to the one picked, on the same address;
	 * 0: HAProxy sends it there itself. May be NULL. See entries.h.
	 */
	uint16_t (*entry_port)(const void *params);
};

/* What a pool is scheduled by. */
struct schedule {
	const struct handler *handler;
	const void *params;
	const struct profile *profiles;
	size_t n_profiles;
};

/* By the type a configuration uses; NULL when there is none. */
const struct filter *filter_find(const char *name);
const struct scorer *scorer_find(const char *name);
const struct picker *picker_find(const char *name);
const struct handler *handler_find(const char *name);
const struct decider *decider_find(const char *name);

/* Row i of each table; NULL past the end. */
const struct filter *filter_at(size_t i);
const struct scorer *scorer_at(size_t i);
const struct picker *picker_at(size_t i);
const struct handler *handler_at(size_t i);
const struct decider *decider_at(size_t i);

/*
 * llm-d's when there is no configuration: queue 2, kv-cache 2, prefix 3, max-score.
 * Source: llm-d-router pkg/epp/config/loader/defaults.go.
 */
extern const struct profile profile_default;
extern const struct schedule schedule_default;
