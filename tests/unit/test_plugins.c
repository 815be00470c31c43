/* Expected scores are worked out by hand from the formulas of llm-d-router. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "help.h"
#include "plugins/plugins.h"
#include "rng.h"

enum { N_MAX = 8 };

struct row {
	uint32_t queued, running, unsettled;
	float kv_used;
	uint16_t matched;
	enum endpoint_health health;
};

static struct help_pool pool;
static struct request request;
static uint32_t rows[N_MAX], unsettled[N_MAX];
static uint16_t matched[N_MAX];

static struct choice choice_of(const struct row *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pool.stats[i] = (struct endpoint_stats){ .slot = (uint16_t)i,
			.queued = r[i].queued,
			.running = r[i].running, .kv_used = r[i].kv_used,
			.health = (uint8_t)r[i].health };
		rows[i] = (uint32_t)i;
		unsettled[i] = r[i].unsettled;
		matched[i] = r[i].matched;
	}
	return (struct choice){ .view = &pool.view, .request = &request,
		.rows = rows, .n = n, .unsettled = unsettled,
		.matched = matched };
}

/* With the parameters that it has by default. */
static void score(const char *name, const struct choice *c, float *out)
{
	const struct scorer *s = scorer_find(name);

	s->score(c, s == &scorer_prefix ? &scorer_prefix_default : NULL, out);
}

#define Q .queued =
#define STALE .health = ENDPOINT_STALE
#define MANY 4294967295u

static const struct {
	const char *scorer;
	size_t n, n_blocks;
	struct row rows[N_MAX];
	float want[N_MAX];
} known[] = {
	/* (max - q) / (max - min): max 8, min 0. */
	{ "queue-scorer", 3, 0, { { Q 0 }, { Q 2 }, { Q 8 } }, { 1, .75f, 0 } },
	{ "queue-scorer", 3, 0, { { Q 4 }, { Q 4 }, { Q 4 } }, { 1, 1, 1 } },
	{ "queue-scorer", 1, 0, { { Q 9 } }, { 1 } },
	/* q = scraped + sent since: 1+3, 2+0, 0+0. */
	{ "queue-scorer", 3, 0, { { Q 1, .unsettled = 3 }, { Q 2 }, { Q 0 } },
	    { 0, .5f, 1 } },
	/* Stale counts as the longest and moves neither max nor min. */
	{ "queue-scorer", 3, 0, { { Q 0 }, { Q 4 }, { Q 100, STALE } },
	    { 1, 0, 0 } },
	{ "queue-scorer", 2, 0, { { Q 7 }, { Q 0, STALE } }, { 1, 0 } },
	{ "queue-scorer", 2, 0, { { Q 0, STALE }, { Q 0, STALE } }, { 0, 0 } },
	/* Down ones are candidates only when all are: alike, as stale. */
	{ "queue-scorer", 1, 0, { { Q 0, .health = ENDPOINT_DOWN } }, { 0 } },
	/* What an engine claims may be anything; it must not wrap to none. */
	{ "queue-scorer", 2, 0, { { Q MANY, .unsettled = 1 }, { Q 0 } },
	    { 0, 1 } },

	{ "kv-cache-utilization-scorer", 3, 0,
	    { { .kv_used = 0 }, { .kv_used = .25f }, { .kv_used = 1 } },
	    { 1, .75f, 0 } },
	{ "kv-cache-utilization-scorer", 2, 0,
	    { { .kv_used = .5f }, { .kv_used = 0, STALE } }, { .5f, 0 } },

	/* matched / blocks */
	{ "precise-prefix-cache-scorer", 3, 8,
	    { { .matched = 8 }, { .matched = 2 }, { .matched = 0 } },
	    { 1, .25f, 0 } },
	{ "prefix-cache-scorer", 3, 8,
	    { { .matched = 8 }, { .matched = 2 }, { .matched = 0 } },
	    { 1, .25f, 0 } },
	{ "prefix-cache-scorer", 2, 8,
	    { { .matched = 4, STALE }, { .matched = 1 } }, { .5f, .125f } },
	{ "prefix-cache-scorer", 2, 0, { { Q 0 }, { Q 0 } }, { 0, 0 } },
};

static void test_scores_are_what_the_formulas_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct choice c = choice_of(known[i].rows, known[i].n);
		float got[N_MAX];

		request.n_blocks = known[i].n_blocks;
		score(known[i].scorer, &c, got);
		for (size_t k = 0; k < known[i].n; k++)
			if (got[k] < known[i].want[k] - 1e-6f ||
			    got[k] > known[i].want[k] + 1e-6f)
				fail_msg("row %zu: %s of %zu is %f", i,
				    known[i].scorer, k, (double)got[k]);
	}
}

static struct row random_row(struct rng *rng)
{
	return (struct row){ rng_below(rng, 1 + rng_below(rng, MANY)),
		(uint32_t)rng_next(rng), rng_below(rng, 100),
		(float)rng_below(rng, 1001) / 1000.f,
		(uint16_t)rng_below(rng, 11),
		(enum endpoint_health)rng_below(rng, 3) };
}

static void test_every_score_is_between_0_and_1(void **state)
{
	static const struct scorer *const all[] = {
		&scorer_queue, &scorer_kv_cache, &scorer_prefix,
	};
	struct rng rng = { 1 };

	(void)state;
	request.n_blocks = 10;
	for (int round = 0; round < 5000; round++) {
		struct row r[N_MAX];
		size_t n = 1 + rng_below(&rng, N_MAX);
		float got[N_MAX];

		for (size_t i = 0; i < n; i++)
			r[i] = random_row(&rng);
		struct choice c = choice_of(r, n);

		for (size_t k = 0; k < 3; k++) {
			score(all[k]->name, &c, got);
			for (size_t i = 0; i < n; i++)
				assert_true(got[i] >= 0 && got[i] <= 1);
		}
	}
}

/* Candidates in another order have the same scores. */
static void test_scores_do_not_depend_on_the_order(void **state)
{
	static const char *const names[] = { "queue-scorer",
		"kv-cache-utilization-scorer", "prefix-cache-scorer" };
	struct rng rng = { 2 };

	(void)state;
	request.n_blocks = 10;
	for (int round = 0; round < 300; round++) {
		struct row r[N_MAX], turned[N_MAX];
		float a[N_MAX], b[N_MAX];

		for (size_t i = 0; i < N_MAX; i++) {
			r[i] = random_row(&rng);
			turned[N_MAX - 1 - i] = r[i];
		}
		for (size_t k = 0; k < 3; k++) {
			struct choice c = choice_of(r, N_MAX);

			score(names[k], &c, a);
			c = choice_of(turned, N_MAX);
			score(names[k], &c, b);
			for (size_t i = 0; i < N_MAX; i++)
				assert_true(a[i] == b[N_MAX - 1 - i]);
		}
	}
}

/* ---- the picker ---- */

static void test_the_best_come_first_and_no_one_twice(void **state)
{
	struct rng rng = { 3 };

	(void)state;
	for (int round = 0; round < 5000; round++) {
		size_t n = rng_below(&rng, N_MAX + 1), want;
		size_t n_best = 1 + rng_below(&rng, 4), got;
		struct row r[N_MAX] = { { 0 } };
		struct choice c = choice_of(r, n);
		float scores[N_MAX];
		uint32_t best[N_MAX];

		for (size_t i = 0; i < n; i++)
			scores[i] = (float)rng_below(&rng, 4);
		got = picker_max_score.pick(&c, NULL, scores, &rng, best, n_best);
		want = n < n_best ? n : n_best;
		assert_int_equal(got, want);
		for (size_t k = 0; k < got; k++) {
			size_t better = 0;

			assert_true(best[k] < n);
			for (size_t i = 0; i < k; i++)
				assert_true(best[i] != best[k]);
			for (size_t i = 0; i < n; i++)
				better += scores[i] > scores[best[k]];
			assert_true(better <= k);
		}
	}
}

/* Running and queued and sent since, summed: 3, 2, 4, 2^32, 2. */
static void test_ties_go_to_the_least_loaded(void **state)
{
	static const struct row r[] = { { 1, 1, 1, 0, 0, 0 },
		{ 0, 2, 0, 0, 0, 0 }, { 4, 0, 0, 0, 0, 0 },
		{ MANY, 1, 0, 0, 0, 0 }, { 1, 0, 1, 0, 0, 0 } };
	static const float scores[] = { 1, 1, 1, 1, 1 };
	struct choice c = choice_of(r, 5);
	struct rng rng = { 4 };

	(void)state;
	for (int round = 0; round < 1000; round++) {
		uint32_t best[5];

		assert_int_equal(picker_max_score.pick(&c, NULL, scores, &rng, best,
			5), 5);
		assert_true(best[0] == 1 || best[0] == 4);
		assert_true(best[1] == 1 || best[1] == 4);
		assert_int_equal(best[2], 0);
		assert_int_equal(best[3], 2);
		assert_int_equal(best[4], 3);
	}
}

static void test_then_chance_hits_each_of_them(void **state)
{
	static const float scores[N_MAX] = { 0 };
	static const struct row r[N_MAX];
	struct choice c = choice_of(r, N_MAX);
	struct rng rng = { 5 };
	unsigned first[N_MAX] = { 0 }, second[N_MAX] = { 0 };

	(void)state;
	for (int round = 0; round < 10000; round++) {
		uint32_t best[2];

		picker_max_score.pick(&c, NULL, scores, &rng, best, 2);
		first[best[0]]++;
		second[best[1]]++;
	}
	for (size_t i = 0; i < N_MAX; i++) {	/* 1250 each, sigma 33 */
		assert_in_range(first[i], 1050, 1450);
		assert_in_range(second[i], 1050, 1450);
	}
}

static void test_plugins_are_found_by_the_names_of_llm_d(void **state)
{
	(void)state;
	assert_ptr_equal(scorer_find("queue-scorer"), &scorer_queue);
	assert_ptr_equal(scorer_find("kv-cache-utilization-scorer"),
	    &scorer_kv_cache);
	assert_ptr_equal(scorer_find("prefix-cache-scorer"), &scorer_prefix);
	assert_ptr_equal(picker_find("max-score-picker"), &picker_max_score);
	assert_null(scorer_find("max-score-picker"));
	assert_null(scorer_find(""));
	assert_null(picker_find("queue-scorer"));
}

/* llm-d-router pkg/epp/config/loader/defaults.go: queue 2, kv 2, prefix 3. */
static void test_the_default_profile_is_llm_ds(void **state)
{
	const struct profile *p = &profile_default;

	(void)state;
	assert_int_equal(p->n_scorers, 3);
	assert_ptr_equal(p->scorers[0].scorer, &scorer_queue);
	assert_true(p->scorers[0].weight == 2);
	assert_ptr_equal(p->scorers[1].scorer, &scorer_kv_cache);
	assert_true(p->scorers[1].weight == 2);
	assert_ptr_equal(p->scorers[2].scorer, &scorer_prefix);
	assert_true(p->scorers[2].weight == 3);
	assert_ptr_equal(p->picker, &picker_max_score);
}

static int setup(void **state)
{
	(void)state;
	help_pool_init(&pool, "pool", N_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scores_are_what_the_formulas_say),
		cmocka_unit_test(test_every_score_is_between_0_and_1),
		cmocka_unit_test(test_scores_do_not_depend_on_the_order),
		cmocka_unit_test(test_the_best_come_first_and_no_one_twice),
		cmocka_unit_test(test_ties_go_to_the_least_loaded),
		cmocka_unit_test(test_then_chance_hits_each_of_them),
		cmocka_unit_test(test_plugins_are_found_by_the_names_of_llm_d),
		cmocka_unit_test(test_the_default_profile_is_llm_ds),
	};

	return cmocka_run_group_tests_name("plugins", tests, setup, teardown);
}
