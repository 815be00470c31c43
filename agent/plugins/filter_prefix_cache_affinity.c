/*
 * filter_prefix_cache_affinity.c - stay where the prompt is cached, unless it is slow
 *
 * Sticky is who has affinityThreshold of the prompt's blocks or more. Only sticky ones
 * are kept; everybody is, when
 * - nobody is sticky (all are, by an affinityThreshold of 0);
 * - the load gate opens: the fastest sticky one is slower to a first token than the
 *   fastest other one, by more than maxTTFTPenaltyMs (0: it never opens);
 * - chance has it, with explorationProbability.
 *
 *	ttftSource		time to first token, ms
 *	prefillThroughput	tokens in flight / peakPrefillThroughput * 1000
 *	latencyPredictor	the average that was observed there
 *
 * Source: llm-d-router, filter "prefix-cache-affinity-filter". There, latencyPredictor
 * asks a model that was trained on the endpoint's state; we have none, and take what
 * the last requests saw. It knows neither this prompt nor the queue of this moment, and
 * an endpoint without a sample takes no part (there it counts as the slowest). Both
 * sources need `feedback:`; without it the gate stays shut.
 */
#include "plugins/plugins.h"

#include <errno.h>

#include "conf.h"
#include "endpoints.h"
#include "fault.h"
#include "plugins/chance.h"
#include "request.h"

enum ttft_source { TTFT_THROUGHPUT, TTFT_OBSERVED };

static const char *const sources[] = {
	[TTFT_THROUGHPUT] = "prefillThroughput",
	[TTFT_OBSERVED] = "latencyPredictor", NULL,
};

struct affinity_params {
	float threshold, exploration, max_penalty_ms, peak_throughput;
	enum ttft_source source;
};

static int check(const struct conf_input *in, const struct conf *map, void *out)
{
	const struct affinity_params *p = out;

	if (p->source != TTFT_THROUGHPUT || p->max_penalty_ms == 0 ||
	    p->peak_throughput > 0)
		return 0;
	fault_set(in->why, in->file, map->line,
	    "ttftSource prefillThroughput with a peakPrefillThroughput of 0",
	    "tokens a second, as 15928");
	return -EINVAL;
}

#define PARAM(field) offsetof(struct affinity_params, field)

static const struct conf_row rows[] = {
	{ .key = "affinityThreshold", .decode = conf_fraction,
	  .preset = "0.8", .max = 1, .offset = PARAM(threshold),
	  .help = "share of the prompt that makes sticky" },
	{ .key = "explorationProbability", .decode = conf_fraction,
	  .preset = "0", .max = 1, .offset = PARAM(exploration),
	  .help = "how often everybody is kept regardless" },
	{ .key = "maxTTFTPenaltyMs", .decode = conf_fraction,
	  .preset = "18000", .offset = PARAM(max_penalty_ms),
	  .help = "how much later a cached first token may be; 0: any" },
	{ .key = "ttftSource", .decode = conf_enum,
	  .preset = "prefillThroughput", .names = sources,
	  .offset = PARAM(source), .help = "or latencyPredictor: observed" },
	{ .key = "peakPrefillThroughput", .decode = conf_fraction,
	  .preset = "15928", .offset = PARAM(peak_throughput),
	  .help = "tokens a second; measure your own" },
};

static const struct conf_table table = {
	.what = "prefix-cache-affinity-filter",
	.size = sizeof(struct affinity_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.check = check,
};

/* A share of what was seen, if the prompt was cut. */
static bool is_sticky(const struct choice *c, size_t i,
    const struct affinity_params *p)
{
	size_t n = c->request->n_blocks;

	return n > 0 && (float)c->matched[i] / (float)n >= p->threshold;
}

/* Milliseconds; negative when there is nothing to tell it by. */
static double ttft_of(const struct choice *c, size_t i,
    const struct affinity_params *p)
{
	const struct endpoint_live *l = endpoint_live(c->view, c->rows[i]);

	if (p->source == TTFT_OBSERVED)
		return (double)ewma_get(&l->ttft_us) / 1000;
	return live_count_get(&l->tokens) / (double)p->peak_throughput * 1000;
}

struct group {
	size_t n;
	double best_ms;		/* negative: nothing is known of any */
};

static void add(struct group *g, double ttft_ms)
{
	g->n++;
	if (ttft_ms >= 0 && (g->best_ms < 0 || ttft_ms < g->best_ms))
		g->best_ms = ttft_ms;
}

/* Nothing known of the sticky ones is -1: no reason to leave them. */
static bool is_gate_open(const struct group *sticky, const struct group *others,
    const struct affinity_params *p)
{
	return p->max_penalty_ms > 0 && others->best_ms >= 0 &&
	    sticky->best_ms - others->best_ms > (double)p->max_penalty_ms;
}

static bool explores(const struct choice *c, const struct affinity_params *p)
{
	uint64_t salt = (uint64_t)((double)p->threshold * (1 << 20));

	return p->exploration > 0 &&
	    chance_of(c, salt) < (double)p->exploration;
}

static void affinity_filter(const struct choice *c, const void *params,
    bool *keep)
{
	const struct affinity_params *p = params;
	struct group sticky = { 0, -1 }, others = { 0, -1 };

	for (size_t i = 0; i < c->n; i++)
		add(is_sticky(c, i, p) ? &sticky : &others, ttft_of(c, i, p));
	if (sticky.n == 0 || is_gate_open(&sticky, &others, p) ||
	    explores(c, p))
		return;
	for (size_t i = 0; i < c->n; i++)
		keep[i] = is_sticky(c, i, p);
}

const struct filter filter_prefix_cache_affinity = {
	.name = "prefix-cache-affinity-filter",
	.differs = "ttftSource latencyPredictor is the average that was "
	    "observed; both sources need `feedback:`",
	.params = &table,
	.filter = affinity_filter,
};
