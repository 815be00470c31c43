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

#include "clones.h"
#include "columns.h"
#include "conf.h"
#include "json.h"
#include "plugins/float_bits.h"
#include "request.h"

enum strategy { STRATEGY_LEAST, STRATEGY_MOST };

static const char *const strategies[] = { "least", "most", NULL };

struct latency_params {
	float ttft_weight, token_weight;
	enum strategy strategy;
	float kv_weight, queue_weight, prefix_weight;
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
};

static const struct conf_table table = {
	.what = "latency-scorer",
	.size = sizeof(struct latency_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

enum { TTFT, TOKEN, N_TIMES };

/* In microseconds. */
struct times {
	float us[N_TIMES];
};

/* What differs by less is alike; longer than the other is as long. */
static const double least_us = 1e-6, longest_us = 1e30;

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
	return (struct times){ { (float)r->slo_ttft_ms * 1000.0f,
		(float)token_ms * 1000.0f } };
}

/* ---- what is likely ---- */

/* In the order of samples, all negative; not negative: there is none. */
static inline int32_t sample_rank(float us)
{
	return (int32_t)(float_bits(us) ^ FLOAT_SIGN);
}

static inline float rank_sample(int32_t rank)
{
	return rank < 0 ? bits_float((uint32_t)rank ^ FLOAT_SIGN) : 0.0f;
}

/* False: no candidate has a sample. What none has one of is 0: it binds nobody. */
CLONED_FOR_AVX2 static bool find_best(const struct choice *choice,
    struct times *best)
{
	const struct choice c = *choice;
	int32_t ttft = 0, token = 0;

	for (size_t i = 0; i < c.n; i++) {
		int32_t a = sample_rank(choice_ttft_us(&c, i));
		int32_t b = sample_rank(choice_token_us(&c, i));

		ttft = a < ttft ? a : ttft;
		token = b < token ? b : token;
	}
	best->us[TTFT] = rank_sample(ttft);
	best->us[TOKEN] = rank_sample(token);
	return ttft < 0 || token < 0;
}

/* The same for all candidates. */
struct question {
	struct times wanted, best;
};

/* May be infinite, a float times a count: late without end. */
static inline float ttft_headroom(const struct choice *c,
    const struct question *q, size_t i)
{
	float us = choice_ttft_us(c, i);

	us = us < 0.0f ? q->best.us[TTFT] : us;
	return q->wanted.us[TTFT] - us * (1.0f + (float)c->unsettled[i]);
}

static inline float token_headroom(const struct choice *c,
    const struct question *q, size_t i)
{
	float us = choice_token_us(c, i);

	return q->wanted.us[TOKEN] - (us < 0.0f ? q->best.us[TOKEN] : us);
}

/* ---- groups ---- */

/* In their order. Signs of headrooms tell: late, to the first token; slow, between. */
enum group { GROUP_FAST, GROUP_IDLE, GROUP_TOKEN, GROUP_TTFT, GROUP_SLOW };

/* Of candidates: `all_` has a sign if all have it. */
struct signs {
	uint32_t all_late, all_slow, all_either;
	uint32_t any_idle;	/* a mask */
};

static inline uint32_t idle_mask(const struct choice *c, size_t i)
{
	return 0u - (choice_requests(c, i) == 0);
}

static inline void add_signs(const struct choice *c, const struct question *q,
    size_t i, struct signs *s, float *out)
{
	float ttft = ttft_headroom(c, q, i);
	uint32_t late = float_bits(ttft);
	uint32_t slow = float_bits(token_headroom(c, q, i));

	s->all_late &= late;
	s->all_slow &= slow;
	s->all_either &= late | slow;
	s->any_idle |= idle_mask(c, i);
	out[i] = ttft;
}

static enum group first_group(const struct signs *s)
{
	if (!(s->all_either & FLOAT_SIGN))
		return GROUP_FAST;
	if (s->any_idle)
		return GROUP_IDLE;
	if (!(s->all_late & FLOAT_SIGN))
		return GROUP_TOKEN;
	return s->all_slow & FLOAT_SIGN ? GROUP_SLOW : GROUP_TTFT;
}

/*
 * The first that has any; headrooms to the first token into `out`. Two loops here and
 * below: one that could do both is too long for gcc to make two of it by itself.
 */
CLONED_FOR_AVX2 static enum group find_group(const struct choice *choice,
    const struct question *question, float *out)
{
	const struct choice c = *choice;
	const struct question q = *question;
	struct signs s = { FLOAT_SIGN, FLOAT_SIGN, FLOAT_SIGN, 0 };

	if (c.live.requests != NULL)
		for (size_t i = 0; i < c.n; i++)
			add_signs(&c, &q, i, &s, out);
	else
		for (size_t i = 0; i < c.n; i++)
			add_signs(&c, &q, i, &s, out);
	return first_group(&s);
}

/*
 * Who is not in a group: who is late, slow or busy, for each that counts there. As
 * groups before it have nobody, no more need be asked: where nobody is idle and all
 * are late or slow, who is not late is slow.
 */
struct strangers {
	uint32_t late, slow, busy;	/* masks */
};

static const struct strangers strangers_of[] = {
	[GROUP_FAST] = { .late = UINT32_MAX, .slow = UINT32_MAX },
	[GROUP_IDLE] = { .busy = UINT32_MAX },
	[GROUP_TOKEN] = { .late = UINT32_MAX },
	[GROUP_TTFT] = { .slow = UINT32_MAX },
	[GROUP_SLOW] = { 0 },
};

/* A mask. */
static inline uint32_t is_stranger(const struct strangers *s, uint32_t late,
    uint32_t slow, uint32_t idle)
{
	uint32_t sign = (s->late & late) | (s->slow & slow) | (s->busy & ~idle);

	return 0u - (sign >> 31);
}

/* Of sizes of headrooms, as bits, which are in their order. */
struct extent {
	int32_t least[N_TIMES], most[N_TIMES];
};

/* The size's bits; all bits of who is `out` of the group, a mask. */
static inline uint32_t extend(struct extent *e, int which, uint32_t headroom,
    uint32_t out)
{
	uint32_t size = (headroom & ~FLOAT_SIGN) | out;
	int32_t low = (int32_t)(size & ~FLOAT_SIGN), high = (int32_t)(size & ~out);

	e->least[which] = low < e->least[which] ? low : e->least[which];
	e->most[which] = high > e->most[which] ? high : e->most[which];
	return size;
}

static inline void measure(const struct choice *c, const struct question *q,
    const struct strangers *s, size_t i, struct extent *e, float *out)
{
	uint32_t ttft = float_bits(out[i]);
	uint32_t token = float_bits(token_headroom(c, q, i));
	uint32_t stranger = is_stranger(s, ttft, token, idle_mask(c, i));

	extend(e, TOKEN, token, stranger);
	out[i] = bits_float(extend(e, TTFT, ttft, stranger));
}

/* In `out`, sizes take the headrooms' place; a sign: it is not in the group. */
CLONED_FOR_AVX2 static struct extent measure_group(const struct choice *choice,
    const struct question *question, enum group group, float *out)
{
	const struct choice c = *choice;
	const struct question q = *question;
	const struct strangers s = strangers_of[group];
	struct extent e = { { INT32_MAX, INT32_MAX }, { 0, 0 } };

	if (c.live.requests != NULL)
		for (size_t i = 0; i < c.n; i++)
			measure(&c, &q, &s, i, &e, out);
	else
		for (size_t i = 0; i < c.n; i++)
			measure(&c, &q, &s, i, &e, out);
	return e;
}

/* x, or 1 - x, as a sum: at + by[k] * (|headroom| - from[k]) for both k. */
struct scale {
	float at, by[N_TIMES], from[N_TIMES];
};

static double share_of_ttft(const struct latency_params *p, const double *width)
{
	double sum = (double)p->ttft_weight + (double)p->token_weight;

	if ((width[TTFT] > least_us) != (width[TOKEN] > least_us))
		return width[TTFT] > least_us ? 1.0 : 0.0;
	return sum > 0 ? (double)p->ttft_weight / sum : 1.0;
}

static struct scale scale_of(const struct latency_params *p,
    const struct extent *e, bool is_most)
{
	double weights[N_TIMES], from[N_TIMES], width[N_TIMES];
	double sign = is_most ? 1.0 : -1.0, at = 0.0;
	struct scale s = { 0 };

	for (int k = 0; k < N_TIMES; k++) {
		from[k] = (double)bits_float((uint32_t)e->least[k]);
		width[k] = fmin((double)bits_float((uint32_t)e->most[k]),
		    longest_us) - from[k];
	}
	weights[TTFT] = share_of_ttft(p, width);
	weights[TOKEN] = 1.0 - weights[TTFT];
	for (int k = 0; k < N_TIMES; k++) {
		if (width[k] > least_us) {
			s.by[k] = (float)(sign * weights[k] / width[k]);
			s.from[k] = (float)from[k];
		} else {
			at += 0.5 * weights[k];
		}
	}
	s.at = (float)(is_most ? at : 1.0 - at);
	return s;
}

CLONED_FOR_AVX2 static void score_group(const struct choice *choice,
    const struct question *question, const struct scale *scale, float *out)
{
	const struct choice c = *choice;
	const struct question q = *question;
	const struct scale s = *scale;

	for (size_t i = 0; i < c.n; i++) {
		float ttft = out[i], token = fabsf(token_headroom(&c, &q, i));
		float x = s.at + s.by[TTFT] * (ttft - s.from[TTFT]) +
		    s.by[TOKEN] * (token - s.from[TOKEN]);
		uint32_t score = float_bits(0.01f + 0.99f * float_clamped(x));

		out[i] = bits_float(score & ((float_bits(ttft) >> 31) - 1));
	}
}

/* ---- while nothing is known ---- */

static uint32_t longest_queue(const struct choice *choice)
{
	const struct choice c = *choice;
	uint32_t most = 0;

	for (size_t i = 0; i < c.n; i++) {
		uint32_t queued = choice_queued(&c, i) & choice_fresh(&c, i);

		most = queued > most ? queued : most;
	}
	return most;
}

/* What each of the three is worth, all together 1. */
struct shares {
	float room, queue, held;
};

static struct shares shares_of(const struct latency_params *p)
{
	float sum = p->kv_weight + p->queue_weight + p->prefix_weight;

	if (sum <= 0.0f)
		return (struct shares){ 1.0f, 0.0f, 0.0f };
	return (struct shares){ p->kv_weight / sum, p->queue_weight / sum,
		p->prefix_weight / sum };
}

static void score_composite(const struct choice *choice,
    const struct latency_params *p, float *out)
{
	const struct choice c = *choice;
	const struct shares s = shares_of(p);
	uint32_t longest = longest_queue(&c);
	/* Queues are all 0 then: what is as long as all counts as short. */
	uint32_t most = longest == 0 ? 1 : longest;
	float n_blocks = c.request->n_blocks == 0 ? INFINITY :
	    (float)c.request->n_blocks;

	for (size_t i = 0; i < c.n; i++) {
		uint32_t fresh = choice_fresh(&c, i);
		float room = 1.0f - choice_kv_used(&c, i);
		float queue = (float)(most - choice_queued(&c, i)) /
		    (float)most;
		uint32_t load = float_bits(s.room * room + s.queue * queue);
		float held = (float)c.matched[i] / n_blocks;

		out[i] = float_clamped(bits_float(load & fresh) +
		    s.held * held);
	}
}

static void latency_score(const struct choice *c, const void *params,
    float *out)
{
	const struct latency_params *p = params;
	struct question q = { .wanted = objective_of(c->request) };
	struct extent extent;
	struct scale scale;
	enum group group;

	if (!find_best(c, &q.best)) {
		score_composite(c, p, out);
		return;
	}
	group = find_group(c, &q, out);
	extent = measure_group(c, &q, group, out);
	scale = scale_of(p, &extent,
	    p->strategy == STRATEGY_MOST && group == GROUP_FAST);
	score_group(c, &q, &scale, out);
}

const struct scorer scorer_latency = {
	.name = "latency-scorer",
	.differs = "averages that were observed instead of predictions; needs "
	    "feedback",
	.params = &table,
	.wants_live = true,
	.score = latency_score,
};
