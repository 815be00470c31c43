#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>

#include "ewma.h"
#include "rng.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, SAMPLES_MAX = 4 };

/*
 * By hand: the weight is 1/8 up to -10 s * ln(7/8) = 1335 ms, then 1 - exp(-dt / 10 s):
 * 2 s .1813, 5 s .3935, 10 s .6321, 30 s .9502, 60 s .9975.
 */
static const struct {
	struct {
		int64_t at_ms;
		float value;
	} samples[SAMPLES_MAX];
	size_t n;
	float want;
} histories[] = {
	{ { { 5000, 100 } }, 1, 100 },
	{ { { 5000, 0 } }, 1, 0 },
	{ { { 5000, 100 }, { 5000, 200 } }, 2, 112.5f },
	{ { { 5000, 100 }, { 5001, 200 } }, 2, 112.5f },
	{ { { 5000, 200 }, { 5500, 100 } }, 2, 187.5f },
	{ { { 5000, 100 }, { 6300, 200 } }, 2, 112.5f },
	{ { { 5000, 100 }, { 7000, 200 } }, 2, 118.127f },
	{ { { 5000, 100 }, { 10000, 200 } }, 2, 139.347f },
	{ { { 5000, 100 }, { 15000, 200 } }, 2, 163.212f },
	{ { { 5000, 100 }, { 35000, 200 } }, 2, 195.021f },
	{ { { 5000, 100 }, { 65000, 0 } }, 2, .247875f },
	{ { { 0, 8 }, { 0, 0 }, { 0, 0 }, { 0, 0 } }, 4, 5.359375f },
	{ { { 0, 100 }, { 10000, 200 }, { 10000, 0 } }, 3, 142.8105f },
	/* A thread that is late with its sample. */
	{ { { 5000, 100 }, { 4000, 200 } }, 2, 112.5f },
	{ { { 5000, 100 }, { 4000, 200 }, { 4000, 200 } }, 3, 123.4375f },
	/* The 32 bits wrap. */
	{ { { UINT32_MAX, 100 }, { UINT32_MAX + 1LL, 200 } }, 2, 112.5f },
	{ { { UINT32_MAX - 999LL, 100 }, { UINT32_MAX + 9001LL, 200 } },
	  2, 163.212f },
	{ { { UINT32_MAX + 1LL, 100 }, { UINT32_MAX - 999LL, 200 } }, 2, 112.5f },
	/* Long gaps: nothing is left of what was; 25 days are over 2^31 ms. */
	{ { { 0, 100 }, { DAY_MS, 7 } }, 2, 7 },
	{ { { 0, 100 }, { 24LL * DAY_MS, 7 } }, 2, 7 },
	{ { { 0, 100 }, { 25LL * DAY_MS, 7 } }, 2, 7 },
	{ { { 0, 100 }, { 49LL * DAY_MS, 7 } }, 2, 7 },
};

static void test_the_average_is_the_formula_s(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(histories) / sizeof(*histories); i++) {
		struct ewma e = { 0 };

		for (size_t k = 0; k < histories[i].n; k++)
			ewma_add(&e, histories[i].samples[k].value,
			    histories[i].samples[k].at_ms);
		/* The last bit of the time is not kept: 1/10 of a thousandth. */
		if (fabsf(ewma_get(&e) - histories[i].want) >
		    histories[i].want * 1e-4f + 1e-4f)
			fail_msg("history %zu: %g, not %g", i,
			    (double)ewma_get(&e), (double)histories[i].want);
	}
}

/* At 0 ms, of 0: a word of zeros would be "none". */
static void test_none_is_told_from_zero(void **state)
{
	struct ewma e = { 0 };

	(void)state;
	assert_true(ewma_get(&e) < 0 && ewma_or_zero(&e) == 0);
	for (int64_t at_ms = 0; at_ms <= 1LL << 33; at_ms += 1LL << 31) {
		ewma_add(&e, 0, at_ms);
		assert_true(ewma_get(&e) == 0);
		ewma_reset(&e);
		assert_true(ewma_get(&e) < 0);
	}
	ewma_add(&e, 5, 100);
	assert_true(ewma_or_zero(&e) == 5);
	ewma_reset(&e);
	ewma_add(&e, 3, 101);
	assert_true(ewma_get(&e) == 3);
}

/* A thousand at one instant: (7/8)^1000 of the old is left, which is none of it. */
static void test_a_burst_at_one_instant_is_believed(void **state)
{
	struct ewma e = { 0 };
	float before = 1e6f;

	(void)state;
	ewma_add(&e, before, 1000);
	for (int i = 0; i < 1000; i++) {
		ewma_add(&e, 10, 1000);
		assert_true(ewma_get(&e) <= before);
		before = ewma_get(&e);
	}
	assert_in_range((uint64_t)(before * 1000), 9999, 10001);
}

/* Whatever comes when, it is an average: between the least and the greatest. */
static void test_it_stays_among_its_samples(void **state)
{
	struct rng rng = { 1 };

	(void)state;
	for (int round = 0; round < 2000; round++) {
		float low = INFINITY, high = 0;
		int64_t now_ms = (int64_t)(rng_next(&rng) >> 28);
		struct ewma e = { 0 };

		for (int i = 0; i < 50; i++) {
			float x = (float)rng_below(&rng, UINT32_MAX) /
			    (float)(1 + rng_below(&rng, 1000));

			now_ms += (int64_t)rng_below(&rng, 40000) - 10000;
			low = x < low ? x : low;
			high = x > high ? x : high;
			ewma_add(&e, x, now_ms);
			assert_true(ewma_get(&e) >= low * .99999f);
			assert_true(ewma_get(&e) <= high * 1.00001f);
		}
	}
}

static void test_the_greatest_samples_stay_finite(void **state)
{
	struct ewma e = { 0 };

	(void)state;
	ewma_add(&e, 3e38f, 0);
	for (int i = 0; i < 100; i++)
		ewma_add(&e, i % 2 == 0 ? 0 : 3e38f, i * 30000LL);
	assert_true(ewma_get(&e) >= 0 && ewma_get(&e) <= 3e38f);
}

/* ---- threads ---- */

enum { THREADS = 4, ADDS = 200, ROUNDS = 200 };

struct feeders {
	struct ewma average;
	pthread_barrier_t barrier;
};

static void *feed(void *data)
{
	struct feeders *f = data;

	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&f->barrier);
		for (int i = 0; i < ADDS; i++)
			ewma_add(&f->average, 0, 1000);
		pthread_barrier_wait(&f->barrier);
		pthread_barrier_wait(&f->barrier);	/* it was looked at */
	}
	return NULL;
}

/* After n of nothing at one instant (7/8)^n is left: each one lost would show. */
static void test_no_sample_is_lost_among_threads(void **state)
{
	struct feeders f = { 0 };
	double want = 1e30 * pow(7. / 8., THREADS * ADDS);
	pthread_t threads[THREADS];

	(void)state;
	pthread_barrier_init(&f.barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, feed, &f), 0);
	for (int round = 0; round < ROUNDS; round++) {
		ewma_reset(&f.average);
		ewma_add(&f.average, 1e30f, 1000);
		pthread_barrier_wait(&f.barrier);
		pthread_barrier_wait(&f.barrier);
		if (fabs((double)ewma_get(&f.average) / want - 1) > 1e-3)
			fail_msg("round %d: %g, not %g", round,
			    (double)ewma_get(&f.average), want);
		pthread_barrier_wait(&f.barrier);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&f.barrier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_average_is_the_formula_s),
		cmocka_unit_test(test_none_is_told_from_zero),
		cmocka_unit_test(test_a_burst_at_one_instant_is_believed),
		cmocka_unit_test(test_it_stays_among_its_samples),
		cmocka_unit_test(test_the_greatest_samples_stay_finite),
		cmocka_unit_test(test_no_sample_is_lost_among_threads),
	};

	return cmocka_run_group_tests_name("ewma", tests, NULL, NULL);
}
