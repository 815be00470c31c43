/*
 * sim_stats.h - what one server has counted since its start
 *
 * `version` moves with anything the metrics page shows and `n_observed` with
 * its histograms, so that a page is rendered only when it would differ. Plain
 * data; one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum sim_counter {
	SIM_PROMPT_TOKENS, SIM_GENERATION_TOKENS, SIM_CACHE_QUERIES,
	SIM_CACHE_HITS, SIM_FINISHED, SIM_ABORTED, SIM_N_COUNTERS
};

enum sim_histogram_id {
	SIM_TTFT, SIM_ITL, SIM_E2E, SIM_QUEUE_TIME, SIM_PREFILL_TIME,
	SIM_DECODE_TIME, SIM_PROMPT_LEN, SIM_GENERATION_LEN, SIM_N_HISTOGRAMS
};

enum { SIM_BUCKETS_MAX = 24 };

struct sim_histogram {
	uint64_t counts[SIM_BUCKETS_MAX + 1];	/* not cumulative; last: +Inf */
	uint64_t n;
	double sum;
};

struct sim_stats {
	uint64_t version, n_observed;
	double start_time;	/* unix time */
	uint64_t counters[SIM_N_COUNTERS];
	struct sim_histogram histograms[SIM_N_HISTOGRAMS];
};

/* vLLM's bucket bounds of one histogram. */
const double *sim_stats_bounds(enum sim_histogram_id id, size_t *n);

void sim_stats_count(struct sim_stats *s, enum sim_counter id, uint64_t n);
void sim_stats_observe(struct sim_stats *s, enum sim_histogram_id id,
    double value);
