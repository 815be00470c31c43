/*
 * Scorers that are vector loops, beside their formulas as they stand on top of them: one
 * candidate after the other, in doubles. Fleets of any size, so that the ends of loops
 * and of chunks are among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "arena.h"
#include "columns.h"
#include "conf.h"
#include "fault.h"
#include "help.h"
#include "plugins/plugins.h"
#include "rng.h"
#include "yaml.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

enum { N_MAX = 2500, AGES = 1 << 16 };

static struct arena *arena;
static struct endpoint_view view;
static struct endpoint_stats stats[N_MAX];
static struct endpoint_extras extras[N_MAX];
static struct attribute_set *sets[N_MAX];
static struct pool_live pool_live;
static struct endpoint_live live[N_MAX];
static _Atomic uint64_t cold[N_MAX];
static uint32_t rows[N_MAX], unsettled[N_MAX];
static uint16_t matched[N_MAX];
static struct request request;
static float got[N_MAX];
static double want[N_MAX];

/* Now some, now many, in any order. */
static struct choice random_choice(struct rng *rng)
{
	size_t n = 1 + rng_below(rng, rng_below(rng, 8) == 0 ? N_MAX : 70);

	for (size_t i = 0; i < N_MAX; i++) {
		size_t k = rng_below(rng, (uint32_t)(i + 1));

		rows[i] = rows[k];
		rows[k] = (uint32_t)i;
	}
	return (struct choice){ .view = &view, .request = &request,
		.rows = rows, .n = n, .unsettled = unsettled,
		.matched = matched };
}

/* Not the row, so that nobody takes one for the other. */
static size_t slot_of(size_t i)
{
	return stats[rows[i]].slot;
}

static const void *params_of(const struct scorer *s, const char *yaml)
{
	struct fault why = { 0 };
	struct conf_input in = { "test", arena, &why };
	void *out = arena_zalloc(arena, s->params->size);

	assert_non_null(out);
	assert_int_equal(conf_decode(&in, s->params, yaml_parse("test",
		span_of(yaml), &yaml_limits_default, arena, &why), out), 0);
	return out;
}

static void gather(struct choice *c)
{
	assert_true(told_columns_init(&c->told, arena, c->n));
	assert_true(live_columns_init(&c->live, arena, c->n));
	told_columns_fill(&c->told, c);
	live_columns_fill(&c->live, c);
}

/* With columns and without. */
static void must_score(const struct scorer *s, const char *yaml,
    struct choice *c)
{
	const void *params = params_of(s, yaml);

	for (int k = 0; k < 2; k++) {
		s->score(c, params, got);
		for (size_t i = 0; i < c->n; i++)
			if (!(fabs((double)got[i] - want[i]) < 4e-6))
				fail_msg("%s %s: %zu of %zu is %f, not %f",
				    s->name, yaml, i, c->n, (double)got[i],
				    want[i]);
		gather(c);
	}
	arena_reset(arena);
}

/* ---- latency-scorer ---- */

enum { FAST, IDLE, SLOW, LATE, BOTH, N_GROUPS };

struct latency {
	double ttft, token;		/* headrooms */
	int group;
};

static struct latency latencies[N_MAX];

static double least_sample(const struct choice *c,
    float (*at)(const struct choice *c, size_t i))
{
	double least = INFINITY;

	for (size_t i = 0; i < c->n; i++)
		if (at(c, i) >= 0 && (double)at(c, i) < least)
			least = (double)at(c, i);
	return isinf(least) ? 0 : least;
}

static double or_best(float us, double best)
{
	return us < 0 ? best : (double)us;
}

static int find_latencies(const struct choice *c, double token_ms)
{
	double ttft = least_sample(c, choice_ttft_us);
	double token = least_sample(c, choice_token_us);
	int first = N_GROUPS;

	for (size_t i = 0; i < c->n; i++) {
		struct latency *l = &latencies[i];

		l->ttft = 1000.0 * request.slo_ttft_ms - (1.0 + unsettled[i]) *
		    or_best(choice_ttft_us(c, i), ttft);
		l->token = 1000.0 * token_ms -
		    or_best(choice_token_us(c, i), token);
		l->group = l->ttft >= 0 && l->token >= 0 ? FAST :
		    choice_requests(c, i) == 0 ? IDLE : l->ttft >= 0 ? SLOW :
		    l->token >= 0 ? LATE : BOTH;
		first = l->group < first ? l->group : first;
	}
	return first;
}

static double ttft_of(const struct latency *l)
{
	return fabs(l->ttft);
}

static double token_of(const struct latency *l)
{
	return fabs(l->token);
}

struct ends {
	double min, max;
};

static struct ends ends_of(size_t n, int group,
    double (*of)(const struct latency *l))
{
	struct ends e = { INFINITY, 0 };

	for (size_t i = 0; i < n; i++)
		if (latencies[i].group == group) {
			e.min = fmin(e.min, of(&latencies[i]));
			e.max = fmax(e.max, of(&latencies[i]));
		}
	return e;
}

static double share(const struct ends *e, double v)
{
	return e->max > e->min ? (v - e->min) / (e->max - e->min) : .5;
}

static void want_latencies(size_t n, int group, double weight, bool is_most)
{
	const struct ends ttft = ends_of(n, group, ttft_of);
	const struct ends token = ends_of(n, group, token_of);

	if ((ttft.max > ttft.min) != (token.max > token.min))
		weight = ttft.max > ttft.min;
	for (size_t i = 0; i < n; i++) {
		const struct latency *l = &latencies[i];
		double x = weight * share(&ttft, ttft_of(l)) +
		    (1 - weight) * share(&token, token_of(l));

		want[i] = l->group != group ? 0 : .01 + .99 *
		    (is_most && group == FAST ? x : 1 - x);
	}
}

/* Times are some of few, so that some are alike, and as long as what is asked for. */
static void put_latencies(size_t n, struct rng *rng)
{
	uint32_t idle = rng_below(rng, 3), samples = 1 + rng_below(rng, 6);
	uint32_t lowest = rng_below(rng, 2) * 400;

	for (size_t i = 0; i < n; i++) {
		struct endpoint_live *l = &live[slot_of(i)];

		live_renew(l);
		unsettled[i] = rng_below(rng, 4) * rng_below(rng, 2);
		live_count_add(&l->requests, idle == 0 ? 1 :
		    rng_below(rng, 2 * idle));
		if (rng_below(rng, samples) < 2)
			ewma_add(&l->ttft_us, (float)(250 * (1 + lowest +
				rng_below(rng, 1600))), 1);
		if (rng_below(rng, samples) < 3)
			ewma_add(&l->token_us, (float)(250 * (1 + lowest / 10 +
				rng_below(rng, 160))), 1);
	}
	/* Somebody has one: all others are another formula. */
	ewma_add(&live[slot_of(0)].token_us, 1e5f, 1);
}

static void test_latencies_are_what_the_formula_says(void **state)
{
	static const char *const token_ms[] = { "0", "20", "50", "1000" };
	static const struct {
		const char *params;
		double weight;
		bool is_most;
	} by[] = { { "{}", .8, false },
		{ "{headroomSelectionStrategy: most}", .8, true },
		{ "{ttftWeight: 1, tpotWeight: 3}", .25, false } };
	struct rng rng = { 31 };
	size_t seen[N_GROUPS] = { 0 };
	char block[256];

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct choice c = random_choice(&rng);
		const char *token = token_ms[rng_below(&rng, 4)];
		const char *const headers[] = { "x-slo-tpot-ms", token, NULL };
		struct ask ask = { .headers = help_headers(headers, block,
			sizeof(block)) };
		size_t k = rng_below(&rng, COUNT(by));
		int group;

		request = (struct request){ .ask = &ask,
			.slo_ttft_ms = rng_below(&rng, 3) * 150 };
		put_latencies(c.n, &rng);
		group = find_latencies(&c, strtod(token, NULL));
		want_latencies(c.n, group, by[k].weight, by[k].is_most);
		must_score(&scorer_latency, by[k].params, &c);
		seen[group]++;
	}
	for (size_t k = 0; k < N_GROUPS; k++)
		assert_true(seen[k] > 20);
}

static void put_loads(size_t n, struct rng *rng)
{
	uint32_t most = rng_below(rng, 3) == 0 ? 1 : 1 + rng_below(rng, 100);

	for (size_t i = 0; i < n; i++) {
		struct endpoint_stats *e = &stats[rows[i]];

		live_renew(&live[slot_of(i)]);
		e->queued = rng_below(rng, most);
		e->kv_used = (float)rng_below(rng, 101) / 100.0f;
		e->health = (uint8_t)rng_below(rng, 3);
		unsettled[i] = rng_below(rng, most);
		matched[i] = (uint16_t)rng_below(rng,
		    (uint32_t)request.n_blocks + 1);
	}
}

static void want_composite(size_t n, double kv, double queue, double prefix)
{
	double sum = kv + queue + prefix, most = 0;

	for (size_t i = 0; i < n; i++)
		if (stats[rows[i]].health == ENDPOINT_FRESH)
			most = fmax(most, stats[rows[i]].queued +
			    (double)unsettled[i]);
	for (size_t i = 0; i < n; i++) {
		const struct endpoint_stats *e = &stats[rows[i]];
		bool is_fresh = e->health == ENDPOINT_FRESH;
		double room = is_fresh ? 1 - (double)e->kv_used : 0;
		double q = e->queued + (double)unsettled[i];
		double held = request.n_blocks == 0 ? 0 :
		    (double)matched[i] / (double)request.n_blocks;

		q = !is_fresh ? 0 : most > 0 ? (most - q) / most : 1;
		want[i] = sum > 0 ? (kv * room + queue * q + prefix * held) /
		    sum : room;
	}
}

static void test_without_samples_load_is_what_counts(void **state)
{
	static const struct {
		const char *params;
		double kv, queue, prefix;
	} by[] = { { "{}", 1, 1, 1 }, { "{compositeKVWeight: 2,"
		" compositeQueueWeight: 0, compositePrefixWeight: 6}", 2, 0, 6 },
		{ "{compositeKVWeight: 0, compositeQueueWeight: 0,"
		" compositePrefixWeight: 0}", 0, 0, 0 } };
	struct ask ask = { .headers = { "\0\0", 2 } };
	struct rng rng = { 34 };

	(void)state;
	for (int round = 0; round < 1000; round++) {
		struct choice c = random_choice(&rng);
		size_t k = rng_below(&rng, COUNT(by));

		request = (struct request){ .ask = &ask,
			.n_blocks = rng_below(&rng, 3) * rng_below(&rng, 500) };
		put_loads(c.n, &rng);
		want_composite(c.n, by[k].kv, by[k].queue, by[k].prefix);
		must_score(&scorer_latency, by[k].params, &c);
	}
	for (size_t i = 0; i < N_MAX; i++) {
		matched[i] = 0;
		stats[i].health = ENDPOINT_FRESH;
	}
}

/* ---- endpoint-attribute-scorer ---- */

#define ATTRIBUTE(type, more) "{attributeKey: k, algorithm: {type: linear_" type \
	"_is_better" more "}}"
#define FIXED ", normalization: {fixedRange: {min: -10, max: 30}}"

/* NAN: it has none. */
static double put_attribute(uint32_t row, struct rng *rng)
{
	struct attribute_set *s = sets[row];
	double value = (double)rng_below(rng, 1000) / 16 - 20;

	s->n = 0;
	if (rng_below(rng, 2))
		s->items[s->n++] = (struct attribute){ attribute_key("j"), 1e9 };
	if (rng_below(rng, 4) == 0)
		value = NAN;
	else
		s->items[s->n++] = (struct attribute){ attribute_key("k"), value };
	extras[row].attributes = s->n > 0 ? s : NULL;
	stats[row].health = rng_below(rng, 8) == 0 ? ENDPOINT_STALE :
	    ENDPOINT_FRESH;
	return stats[row].health == ENDPOINT_FRESH ? value : NAN;
}

static void want_attributes(size_t n, struct ends range, bool is_lower)
{
	for (size_t i = 0; i < n; i++) {
		double x = fmin(fmax((want[i] - range.min) /
			(range.max - range.min), 0), 1);

		want[i] = isnan(want[i]) ? 0 : range.min == range.max ? 1 :
		    is_lower ? 1 - x : x;
	}
}

static void test_attributes_are_what_the_formula_says(void **state)
{
	static const struct {
		const char *params;
		bool is_lower, is_fixed;
	} by[] = { { ATTRIBUTE("lower", ""), true, false },
		{ ATTRIBUTE("higher", ""), false, false },
		{ ATTRIBUTE("lower", FIXED), true, true },
		{ ATTRIBUTE("higher", FIXED), false, true } };
	struct rng rng = { 32 };

	(void)state;
	for (int round = 0; round < 1000; round++) {
		struct choice c = random_choice(&rng);
		size_t k = rng_below(&rng, COUNT(by));
		struct ends range = { INFINITY, -INFINITY };

		for (size_t i = 0; i < c.n; i++) {
			want[i] = put_attribute(rows[i], &rng);
			range.min = fmin(range.min, want[i]);	/* no NaN */
			range.max = fmax(range.max, want[i]);
		}
		if (by[k].is_fixed)
			range = (struct ends){ -10, 30 };
		want_attributes(c.n, range, by[k].is_lower);
		must_score(&scorer_endpoint_attribute, by[k].params, &c);
	}
}

/* ---- no-hit-lru-scorer ---- */

static int32_t ages[N_MAX];		/* -1: never had one */

/* Each another, in any order; the last of them may be beyond what is told apart. */
static void put_ages(size_t n, struct rng *rng)
{
	uint32_t now = (uint32_t)rng_next(rng), number = now;
	uint32_t step = 1 + rng_below(rng, rng_below(rng, 2) ? 90 : 3);
	uint32_t never = rng_below(rng, 4);

	pool_live.n_cold = now;
	for (size_t i = 0; i < n; i++) {
		struct endpoint_live *l = &live[slot_of(i)];
		bool is_renewed = rng_below(rng, 16) == 0;
		bool had = number != 0 && rng_below(rng, 4) >= never;

		cold[slot_of(i)] = had ?
		    (uint64_t)live_generation(l) << 32 | number : 0;
		ages[i] = had && !is_renewed ? (int32_t)(now - number) : -1;
		ages[i] = ages[i] < AGES ? ages[i] : AGES - 1;
		if (is_renewed)		/* it was another's */
			live_renew(l);
		number -= 1 + rng_below(rng, step);
	}
}

/* Those that are too far back to be told apart count as one. */
static void want_ranks(size_t n)
{
	size_t n_never = 0;

	for (size_t i = 0; i < n; i++)
		n_never += ages[i] < 0;
	for (size_t i = 0; i < n; i++) {
		size_t earlier = 0, far = 0;

		for (size_t k = 0; k < n; k++) {
			far |= ages[k] == AGES - 1 && ages[i] < AGES - 1;
			earlier += ages[k] > ages[i] && ages[k] < AGES - 1;
		}
		want[i] = ages[i] < 0 || n == 1 ? 1 : 1 - (double)(n_never +
		    earlier + far) / (double)(n - 1);
	}
}

static void test_ranks_are_what_the_formula_says(void **state)
{
	struct rng rng = { 33 };

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct choice c = random_choice(&rng);

		put_ages(c.n, &rng);
		want_ranks(c.n);
		must_score(&scorer_no_hit_lru, "{}", &c);
	}
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 16, 1 << 20);
	view = (struct endpoint_view){ .n_endpoints = N_MAX, .n_slots = N_MAX,
		.stats = stats, .extras = extras, .live = live,
		.pool_live = &pool_live };
	pool_live.cold = cold;
	for (size_t i = 0; i < N_MAX; i++) {
		rows[i] = (uint32_t)i;
		stats[i].slot = (uint16_t)(N_MAX - 1 - i);
		sets[i] = malloc(attributes_bytes(2));
		assert_non_null(sets[i]);
	}
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_MAX; i++)
		free(sets[i]);
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latencies_are_what_the_formula_says),
		cmocka_unit_test(test_without_samples_load_is_what_counts),
		cmocka_unit_test(test_attributes_are_what_the_formula_says),
		cmocka_unit_test(test_ranks_are_what_the_formula_says),
	};

	return cmocka_run_group_tests_name("scorer loops", tests, setup,
	    teardown);
}
