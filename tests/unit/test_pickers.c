/*
 * Distributions against what the weights promise: chi-square, with fixed seeds, at
 * p = .001 (10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32 for 1 to 7 degrees).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "arena.h"
#include "conf.h"
#include "fault.h"
#include "help.h"
#include "plugins/picker_list.h"
#include "plugins/plugins.h"
#include "rng.h"
#include "yaml.h"

enum { N_MAX = 8, ROUNDS = 20000 };

static struct help_pool pool;
static struct arena *arena;
static uint32_t rows[N_MAX], unsettled[N_MAX];
static uint16_t matched[N_MAX];
static struct request request;

static const double critical[] = { 0, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46,
	24.32 };

static const struct picker *const all[] = {
	&picker_max_score, &picker_random, &picker_weighted_random,
};

enum { N_ALL = sizeof(all) / sizeof(*all) };

static struct choice choice_of(size_t n)
{
	for (size_t i = 0; i < n; i++)
		rows[i] = (uint32_t)i;
	return (struct choice){ .view = &pool.view, .request = &request,
		.rows = rows, .n = n, .unsettled = unsettled,
		.matched = matched };
}

static const void *limit_of(const char *text)
{
	struct fault why = { 0 };
	const struct conf_input in = { "f", arena, &why };
	const struct conf *map = yaml_parse("f", span_of(text),
	    &yaml_limits_default, arena, &why);
	void *out = arena_zalloc(arena, picker_table.size);

	assert_non_null(map);
	assert_non_null(out);
	return conf_decode(&in, &picker_table, map, out) == 0 ? out : NULL;
}

/* How often each of `n` was the first, the second, ... of `n_best`. */
static void count(const struct picker *p, const float *scores, size_t n,
    size_t n_best, uint64_t seed, unsigned counts[N_MAX][N_MAX])
{
	struct choice c = choice_of(n);
	struct rng rng = { seed };
	uint32_t best[N_MAX];

	memset(counts, 0, sizeof(*counts) * N_MAX);
	for (int round = 0; round < ROUNDS; round++) {
		assert_int_equal(p->pick(&c, NULL, scores, &rng, best, n_best),
		    n_best);
		for (size_t k = 0; k < n_best; k++)
			counts[k][best[k]]++;
	}
}

/* `share[i]` of all rounds are to be i's. */
static void expect_shares(const unsigned *counts, const double *share, size_t n)
{
	double chi = 0;

	for (size_t i = 0; i < n; i++) {
		double want = share[i] * ROUNDS;

		chi += (counts[i] - want) * (counts[i] - want) / want;
	}
	if (chi > critical[n - 1])
		fail_msg("chi-square %f of %zu: %u, %u, ...", chi, n, counts[0],
		    counts[1]);
}

/*
 * Of the weights 1, 2, 3, first: 1/6, 1/3, 1/2. Second, over who was first:
 * 1/3 * 1/4 + 1/2 * 1/3 = 1/4;  1/6 * 2/5 + 1/2 * 2/3 = 2/5;
 * 1/6 * 3/5 + 1/3 * 3/4 = 7/20. Third: what is left of 1.
 */
static void test_weights_are_chances(void **state)
{
	static const double first[] = { 1 / 6., 1 / 3., .5 };
	static const double second[] = { .25, .4, .35 };
	static const double third[] = { 7 / 12., 4 / 15., .15 };
	static const float scores[] = { 1, 2, 3 };
	unsigned counts[N_MAX][N_MAX];

	(void)state;
	count(&picker_weighted_random, scores, 3, 3, 1, counts);
	expect_shares(counts[0], first, 3);
	expect_shares(counts[1], second, 3);
	expect_shares(counts[2], third, 3);
}

/* Only the ratio counts. U^(1/score) itself is 0 for nearly all U below 1e-3. */
static void test_the_size_of_weights_does_not_matter(void **state)
{
	static const double share[] = { .1, .2, .3, .4 };
	static const float units[] = { 1e-30f, 1e-4f, .1f, 1, 1e9f };
	unsigned counts[N_MAX][N_MAX];

	(void)state;
	for (size_t k = 0; k < sizeof(units) / sizeof(*units); k++) {
		const float scores[] = { units[k], 2 * units[k], 3 * units[k],
			4 * units[k] };

		count(&picker_weighted_random, scores, 4, 1, k, counts);
		expect_shares(counts[0], share, 4);
	}
}

/* The two that score 0 are never among the first two, and alike behind them. */
static void test_zero_comes_last(void **state)
{
	static const float scores[] = { 0, 1, 0, 3 };
	static const double first[] = { .25, .75 }, even[] = { .5, .5 };
	unsigned counts[N_MAX][N_MAX];

	(void)state;
	count(&picker_weighted_random, scores, 4, 4, 2, counts);
	for (size_t k = 0; k < 2; k++) {
		assert_int_equal(counts[k][0] + counts[k][2], 0);
		assert_int_equal(counts[k + 2][1] + counts[k + 2][3], 0);
	}
	expect_shares((const unsigned[]){ counts[0][1], counts[0][3] }, first,
	    2);
	expect_shares((const unsigned[]){ counts[2][0], counts[2][2] }, even, 2);
}

static void expect_even(const struct picker *p, const float *scores)
{
	static const double even[] = { .125, .125, .125, .125, .125, .125, .125,
		.125 };
	unsigned counts[N_MAX][N_MAX];

	for (size_t n_best = 1; n_best <= N_MAX; n_best++) {
		count(p, scores, N_MAX, n_best, n_best, counts);
		for (size_t k = 0; k < n_best; k++)
			expect_shares(counts[k], even, N_MAX);
	}
}

static void test_all_zero_is_even(void **state)
{
	static const float zero[N_MAX];
	static const float below[N_MAX] = { -1, -2, 0, -1e9f, -1, -1, -3, 0 };

	(void)state;
	expect_even(&picker_weighted_random, zero);
	expect_even(&picker_weighted_random, below);
}

static void test_random_is_even_whatever_the_scores(void **state)
{
	static const float scores[N_MAX] = { 0, 1, 2, 3, 4, 5, 6, 1e9f };

	(void)state;
	expect_even(&picker_random, scores);
}

/* Every order of three as often: 20000 / 6 each. */
static void test_random_orders_are_even(void **state)
{
	static const double even[] = { 1 / 6., 1 / 6., 1 / 6., 1 / 6., 1 / 6.,
		1 / 6. };
	struct choice c = choice_of(3);
	struct rng rng = { 4 };
	unsigned orders[9] = { 0 }, counts[6];
	size_t n = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t best[3];

		assert_int_equal(picker_random.pick(&c, NULL, NULL, &rng, best,
			3), 3);
		orders[best[0] * 3 + best[1]]++;
	}
	for (size_t i = 0; i < 9; i++)
		if (i % 4 != 0)		/* 0 0, 1 1 and 2 2 cannot be */
			counts[n++] = orders[i];
	expect_shares(counts, even, 6);
}

/* ---- of all three ---- */

static void test_as_many_as_there_are_and_nobody_twice(void **state)
{
	struct rng rng = { 5 };

	(void)state;
	for (int round = 0; round < 9000; round++) {
		const struct picker *p = all[round % N_ALL];
		size_t n = rng_below(&rng, N_MAX + 1);
		size_t n_best = 1 + rng_below(&rng, 4), got;
		struct choice c = choice_of(n);
		float scores[N_MAX];
		uint32_t best[N_MAX + 1];

		for (size_t i = 0; i < n; i++)
			scores[i] = (float)rng_below(&rng, 4);
		best[n_best] = 77;
		got = p->pick(&c, NULL, scores, &rng, best, n_best);
		assert_int_equal(got, n < n_best ? n : n_best);
		assert_int_equal(best[n_best], 77);
		for (size_t k = 0; k < got; k++) {
			assert_true(best[k] < n);
			for (size_t i = 0; i < k; i++)
				assert_true(best[i] != best[k]);
		}
	}
}

static void test_no_score_is_too_strange(void **state)
{
	static const float scores[] = { NAN, INFINITY, -INFINITY, 1e38f, 1e-45f,
		0, -0.f, -1 };
	struct rng rng = { 6 };
	unsigned last = 0;

	(void)state;
	for (int round = 0; round < 1000; round++) {
		struct choice c = choice_of(N_MAX);
		uint32_t best[N_MAX];
		unsigned seen = 0;

		assert_int_equal(picker_weighted_random.pick(&c, NULL, scores,
			&rng, best, N_MAX), N_MAX);
		for (size_t k = 0; k < N_MAX; k++)
			seen |= 1u << best[k];
		assert_int_equal(seen, 0xff);
		assert_int_equal(best[0], 1);
		assert_int_equal(best[1], 3);
		assert_int_equal(best[2], 4);
		last |= 1u << best[7];
	}
	assert_int_equal(last, 1 | 4 | 32 | 64 | 128);
}

static void test_a_seed_repeats_a_pick(void **state)
{
	static const float scores[N_MAX] = { 1, 1, 1, 1, 1, 1, 1, 1 };

	(void)state;
	for (size_t k = 0; k < N_ALL; k++) {
		struct choice c = choice_of(N_MAX);
		struct rng a = { 7 }, b = { 7 };
		uint32_t one[4], two[4];

		for (int round = 0; round < 100; round++) {
			all[k]->pick(&c, NULL, scores, &a, one, 4);
			all[k]->pick(&c, NULL, scores, &b, two, 4);
			assert_memory_equal(one, two, sizeof(one));
		}
	}
}

/* ---- maxNumOfEndpoints ---- */

static void test_a_number_bounds_the_list(void **state)
{
	static const struct {
		const char *text;
		size_t want;	/* of eight candidates and four asked for */
	} known[] = {
		{ "{}", 4 }, { "{maxNumOfEndpoints: }", 4 },
		{ "{maxNumOfEndpoints: 0}", 4 }, { "{maxNumOfEndpoints: 1}", 1 },
		{ "{maxNumOfEndpoints: 2}", 2 }, { "{maxNumOfEndpoints: 4}", 4 },
		{ "{maxNumOfEndpoints: 4294967295}", 4 },
	};
	static const float scores[N_MAX] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		for (size_t k = 0; k < N_ALL; k++) {
			const void *params = limit_of(known[i].text);
			struct choice c = choice_of(N_MAX);
			struct rng rng = { 8 };
			uint32_t best[4];

			assert_non_null(params);
			assert_int_equal(all[k]->pick(&c, params, scores, &rng,
				best, 4), known[i].want);
			if (all[k] == &picker_max_score)
				assert_int_equal(best[0], 7);
		}
}

static void test_a_number_is_a_number(void **state)
{
	static const char *const bad[] = { "{maxNumOfEndpoints: -1}",
		"{maxNumOfEndpoints: many}", "{maxNumOfEndpoints: 4294967296}",
		"{maxNumberOfEndpoints: 1}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_null(limit_of(bad[i]));
}

static void test_pickers_are_found_and_take_the_parameter(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_ALL; k++) {
		assert_ptr_equal(picker_find(all[k]->name), all[k]);
		assert_ptr_equal(all[k]->params, &picker_table);
	}
}

static int setup(void **state)
{
	(void)state;
	help_pool_init(&pool, "pool", N_MAX);
	arena = arena_new(1 << 16, 1 << 20);
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	help_pool_fini(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights_are_chances),
		cmocka_unit_test(test_the_size_of_weights_does_not_matter),
		cmocka_unit_test(test_zero_comes_last),
		cmocka_unit_test(test_all_zero_is_even),
		cmocka_unit_test(test_random_is_even_whatever_the_scores),
		cmocka_unit_test(test_random_orders_are_even),
		cmocka_unit_test(test_as_many_as_there_are_and_nobody_twice),
		cmocka_unit_test(test_no_score_is_too_strange),
		cmocka_unit_test(test_a_seed_repeats_a_pick),
		cmocka_unit_test(test_a_number_bounds_the_list),
		cmocka_unit_test(test_a_number_is_a_number),
		cmocka_unit_test(test_pickers_are_found_and_take_the_parameter),
	};

	return cmocka_run_group_tests_name("pickers", tests, setup, teardown);
}
