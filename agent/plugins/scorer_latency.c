/*
 * scorer_latency.c - endpoints by how much faster they are than what is asked for
 *
 *	headroom = what the request asks for - what it is likely to get
 *
 * of the time to first token and of the time between tokens. One group of candidates
 * is scored, the first of these that has any; all others score 0:
 *
 *	both headrooms >= 0;  nothing of ours in flight there;
 *	only between tokens < 0;  only to the first token < 0;  both < 0
 *
 *	n = (|headroom| - min) / (max - min) within the group, 0.5 where all are alike
 *	x = ttftWeight (.8) * n of the first token + tpotWeight (.2) * n between tokens
 *	score = .01 + .99 * (1 - x), with headroomSelectionStrategy "most", in the first
 *	    group only, .01 + .99 * x
 *
 * Where all are alike in one of the two, the other weighs all. Objectives are headers,
 * x-llm-d-slo-ttft-ms and x-llm-d-slo-tpot-ms (or without "llm-d-"), in whole
 * milliseconds; one that is not given is 0, so that the fastest endpoint is best.
 *
 * Source: llm-d-router, scorer "latency-scorer". There, a model trained on the
 * endpoint's state and this request's length predicts. We have none: likely is what
 * the last requests there got (moving averages, by `feedback:`), to the first token
 * once more for each request sent since the last scrape, which is ahead of this one
 * and not in any average yet. So a long prompt is expected to take as long as a short
 * one, and averages lag. An endpoint without a sample is taken for the best of those
 * that have one: it is tried, but not by everybody at once. Scores are not rounded to
 * hundredths.
 *
 * Without any sample, as there: free KV cache, (max - q) / max and the prompt's share
 * that is cached, weighted by compositeKVWeight, compositeQueueWeight and
 * compositePrefixWeight (1 each). Stale numbers count as full and longest.
 */
#include "plugins/plugins.h"

#include <math.h>

#include "columns.h"
#include "conf.h"
#include "json.h"
#include "request.h"

enum strategy { STRATEGY_LEAST, STRATEGY_MOST };

static const char *const strategies[] = { "least", "most", NULL };

struct latency_params {
	float ttft_weight, token_weight;
	enum strategy strategy;
	float kv_weight, queue_weight, prefix_weight;
	const char *unused;
};

#define LATENCY(field) offsetof(struct latency_params, field)

static const struct conf_row rows[] = {
	{ .key = "ttftWeight", .decode = conf_fraction, .preset = "0.8",
	  .offset = LATENCY(ttft_weight), .help = "of the first token" },
	{ .key = "tpotWeight", .decode = conf_fraction, .preset = "0.2",
	  .offset = LATENCY(token_weight), .help = "of those behind it" },
	{ .key = "headroomSelectionStrategy", .decode = conf_enum,
	  .preset = "least", .names = strategies, .offset = LATENCY(strategy),
	  .help = "least: just fast enough first; most: the fastest" },
	{ .key = "compositeKVWeight", .decode = conf_fraction, .preset = "1",
	  .offset = LATENCY(kv_weight), .help = "while nothing is known" },
	{ .key = "compositeQueueWeight", .decode = conf_fraction,
	  .preset = "1", .offset = LATENCY(queue_weight),
	  .help = "while nothing is known" },
	{ .key = "compositePrefixWeight", .decode = conf_fraction,
	  .preset = "1", .offset = LATENCY(prefix_weight),
	  .help = "while nothing is known" },
	{ .key = "latencyPredictionInfoProducerName", .decode = conf_string,
	  .offset = LATENCY(unused), .help = "there is none: without effect" },
	{ .key = "prefixMatchInfoProducerName", .decode = conf_string,
	  .offset = LATENCY(unused), .help = "there is one: without effect" },
};

static const struct conf_table table = {
	.what = "latency-scorer",
	.size = sizeof(struct latency_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

enum { TTFT, TOKEN, N_TIMES };

/* In microseconds; doubles, since a float times a count might be infinite. */
struct times {
	double us[N_TIMES];
};

static uint64_t header_ms(const struct request *r, const char *name)
{
	struct span value;
	uint64_t ms;

	return request_header(r, name, &value) && json_uint(value, &ms) ? ms : 0;
}

static struct times objective_of(const struct request *r)
{
	uint64_t token_ms = header_ms(r, "x-llm-d-slo-tpot-ms");

	if (token_ms == 0)
		token_ms = header_ms(r, "x-slo-tpot-ms");
	return (struct times){ { r->slo_ttft_ms * 1000.0,
		(double)token_ms * 1000.0 } };
}

/* ---- what is likely ---- */

static inline float seen(const struct choice *c, size_t i, int which)
{
	return which == TTFT ? choice_ttft_us(c, i) : choice_token_us(c, i);
}

/* False: no candidate has a sample. What none has one of is 0: it binds nobody. */
static bool find_best(const struct choice *c, struct times *best)
{
	float us[N_TIMES] = { INFINITY, INFINITY };

	for (size_t i = 0; i < c->n; i++)
		for (int k = 0; k < N_TIMES; k++) {
			float v = seen(c, i, k);

			us[k] = v >= 0 && v < us[k] ? v : us[k];
		}
	for (int k = 0; k < N_TIMES; k++)
		best->us[k] = us[k] < INFINITY ? (double)us[k] : 0;
	return us[TTFT] < INFINITY || us[TOKEN] < INFINITY;
}

static inline struct times headroom_at(const struct choice *c, size_t i,
    const struct times *objective, const struct times *best)
{
	struct times t;

	for (int k = 0; k < N_TIMES; k++) {
		double v = (double)seen(c, i, k);

		v = v < 0 ? best->us[k] : v;
		if (k == TTFT)
			v *= 1.0 + c->unsettled[i];
		t.us[k] = objective->us[k] - v;
	}
	return t;
}

/* ---- groups ---- */

enum group {
	GROUP_FAST, GROUP_IDLE, GROUP_TOKEN, GROUP_TTFT, GROUP_SLOW, N_GROUPS,
};

static inline enum group group_of(const struct choice *c, size_t i,
    const struct times *headroom)
{
	/* By: is it late, is it slow, has it nothing of ours. */
	static const uint8_t groups[2][2][2] = {
		{ { GROUP_FAST, GROUP_FAST }, { GROUP_TOKEN, GROUP_IDLE } },
		{ { GROUP_TTFT, GROUP_IDLE }, { GROUP_SLOW, GROUP_IDLE } },
	};

	return (enum group)groups[headroom->us[TTFT] < 0]
	    [headroom->us[TOKEN] < 0][choice_requests(c, i) == 0];
}

struct extent {
	double min[N_TIMES], max[N_TIMES];
	bool is_used;
};

static inline double size_of(double v)
{
	return v < 0 ? -v : v;
}

static void extend(struct extent *e, const struct times *headroom)
{
	for (int k = 0; k < N_TIMES; k++) {
		double v = size_of(headroom->us[k]);

		if (!e->is_used || v < e->min[k])
			e->min[k] = v;
		if (!e->is_used || v > e->max[k])
			e->max[k] = v;
	}
	e->is_used = true;
}

/* x as a sum: at + by[TTFT] * |headroom| + by[TOKEN] * |headroom|. */
struct scale {
	double at, by[N_TIMES];
};

static struct scale scale_of(const struct latency_params *p,
    const struct extent *e)
{
	double sum = (double)p->ttft_weight + (double)p->token_weight;
	double weights[N_TIMES], width[N_TIMES];
	struct scale s = { 0 };

	for (int k = 0; k < N_TIMES; k++)
		width[k] = e->max[k] - e->min[k];
	weights[TTFT] = sum > 0 ? (double)p->ttft_weight / sum : 1.0;
	if ((width[TTFT] > 0) != (width[TOKEN] > 0))
		weights[TTFT] = width[TTFT] > 0 ? 1.0 : 0.0;
	weights[TOKEN] = 1.0 - weights[TTFT];
	for (int k = 0; k < N_TIMES; k++) {
		s.by[k] = width[k] > 0 ? weights[k] / width[k] : 0.0;
		s.at += width[k] > 0 ? -s.by[k] * e->min[k] : weights[k] * 0.5;
	}
	return s;
}

static float clamped(double v)
{
	return v > 1 ? 1.0f : v > 0 ? (float)v : 0.0f;
}

/*
 * Each one's group into `out`, and how wide the first of them is. Of groups behind one
 * that is known nothing is asked any more.
 */
static enum group find_group(const struct choice *choice,
    const struct times *objective, const struct times *best, struct extent *e,
    float *out)
{
	const struct choice c = *choice;
	const struct times wanted = *objective, usual = *best;
	enum group first = N_GROUPS;

	for (size_t i = 0; i < c.n; i++) {
		struct times h = headroom_at(&c, i, &wanted, &usual);
		enum group g = group_of(&c, i, &h);

		out[i] = (float)g;
		if (g > first)
			continue;
		if (g < first)
			*e = (struct extent){ .is_used = false };
		first = g;
		extend(e, &h);
	}
	return first;
}

/* Averages move while we look: what has left the group by now scores 0. */
static void score_group(const struct choice *choice,
    const struct latency_params *p, const struct times *objective,
    const struct times *best, enum group group, const struct extent *e,
    float *out)
{
	const struct choice c = *choice;
	const struct scale s = scale_of(p, e);
	bool is_most = p->strategy == STRATEGY_MOST && group == GROUP_FAST;

	for (size_t i = 0; i < c.n; i++) {
		struct times h;
		double x;

		if (out[i] != (float)group) {
			out[i] = 0.0f;
			continue;
		}
		h = headroom_at(&c, i, objective, best);
		x = s.at + s.by[TTFT] * size_of(h.us[TTFT]) +
		    s.by[TOKEN] * size_of(h.us[TOKEN]);

		out[i] = group_of(&c, i, &h) != group ? 0.0f :
		    0.01f + 0.99f * clamped(is_most ? x : 1.0 - x);
	}
}

/* ---- while nothing is known ---- */

static void score_composite(const struct choice *c,
    const struct latency_params *p, float *out)
{
	float sum = p->kv_weight + p->queue_weight + p->prefix_weight;
	size_t n_blocks = c->request->n_blocks;
	uint32_t most = 0;

	for (size_t i = 0; i < c->n; i++) {
		uint32_t queued = choice_queued(c, i) & choice_fresh(c, i);

		most = queued > most ? queued : most;
	}
	for (size_t i = 0; i < c->n; i++) {
		bool is_fresh = choice_fresh(c, i);
		float room = is_fresh ? 1.0f - choice_kv_used(c, i) : 0.0f;
		float queue = !is_fresh ? 0.0f : most == 0 ? 1.0f :
		    (float)(most - choice_queued(c, i)) / (float)most;
		float held = n_blocks == 0 ? 0.0f :
		    (float)c->matched[i] / (float)n_blocks;

		out[i] = clamped(sum <= 0 ? (double)room :
		    (double)(p->kv_weight / sum * room +
			p->queue_weight / sum * queue +
			p->prefix_weight / sum * held));
	}
}

static void latency_score(const struct choice *c, const void *params,
    float *out)
{
	const struct latency_params *p = params;
	struct times objective = objective_of(c->request), best;
	struct extent extent = { 0 };
	enum group group;

	if (!find_best(c, &best)) {
		score_composite(c, p, out);
		return;
	}
	group = find_group(c, &objective, &best, &extent, out);
	score_group(c, p, &objective, &best, group, &extent, out);
}

const struct scorer scorer_latency = {
	.name = "latency-scorer",
	.differs = "averages that were observed instead of predictions; needs "
	    "feedback",
	.params = &table,
	.wants_live = true,
	.score = latency_score,
};
