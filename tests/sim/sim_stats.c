/*
 * sim_stats.c - counters, and histograms with vLLM's own bounds
 */
#include "sim_stats.h"

#include "must.h"

static const double ttft_bounds[] = { 0.001, 0.005, 0.01, 0.02, 0.04, 0.06,
	0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
	2560 };
static const double itl_bounds[] = { 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
	0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80 };
static const double latency_bounds[] = { 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10,
	15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680 };
static const double token_bounds[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500,
	1000, 2000, 5000, 10000, 20000, 50000, 100000 };

#define BOUNDS(b) { b, sizeof(b) / sizeof(b[0]) }

static const struct {
	const double *bounds;
	size_t n;
} shapes[SIM_N_HISTOGRAMS] = {
	[SIM_TTFT] = BOUNDS(ttft_bounds),
	[SIM_ITL] = BOUNDS(itl_bounds),
	[SIM_E2E] = BOUNDS(latency_bounds),
	[SIM_QUEUE_TIME] = BOUNDS(latency_bounds),
	[SIM_PREFILL_TIME] = BOUNDS(latency_bounds),
	[SIM_DECODE_TIME] = BOUNDS(latency_bounds),
	[SIM_PROMPT_LEN] = BOUNDS(token_bounds),
	[SIM_GENERATION_LEN] = BOUNDS(token_bounds),
};

const double *sim_stats_bounds(enum sim_histogram_id id, size_t *n)
{
	*n = shapes[id].n;
	must(*n <= SIM_BUCKETS_MAX);
	return shapes[id].bounds;
}

void sim_stats_count(struct sim_stats *s, enum sim_counter id, uint64_t n)
{
	s->counters[id] += n;
	s->version++;
}

void sim_stats_observe(struct sim_stats *s, enum sim_histogram_id id,
    double value)
{
	struct sim_histogram *h = &s->histograms[id];
	size_t n, i = 0;
	const double *bounds = sim_stats_bounds(id, &n);

	while (i < n && value > bounds[i])
		i++;
	h->counts[i]++;
	h->n++;
	h->sum += value;
	s->n_observed++;
	s->version++;
}
