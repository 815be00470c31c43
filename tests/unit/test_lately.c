#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "lately.h"

enum { T = 1000, PERIODS = 1 << 24 };

static void test_it_counts_this_period_and_the_one_before(void **state)
{
	_Atomic uint64_t w = 0;

	(void)state;
	assert_int_equal(lately_get(&w, T), 0);
	lately_add(&w, 5, T);
	lately_add(&w, 7, T);
	assert_int_equal(lately_get(&w, T), 12);
	lately_add(&w, 30, T + 1);
	assert_int_equal(lately_get(&w, T + 1), 42);
	assert_int_equal(lately_get(&w, T + 2), 30);
	assert_int_equal(lately_get(&w, T + 3), 0);
	lately_add(&w, 2, T + 9);
	assert_int_equal(lately_get(&w, T + 9), 2);
}

static void test_a_thread_behind_adds_to_the_others_period(void **state)
{
	_Atomic uint64_t w = 0;

	(void)state;
	lately_add(&w, 5, T + 1);
	lately_add(&w, 1, T);
	assert_int_equal(lately_get(&w, T), 6);
	assert_int_equal(lately_get(&w, T + 2), 6);
	assert_int_equal(lately_get(&w, T + 3), 0);
}

static void test_more_than_can_be_counted_is_the_most(void **state)
{
	_Atomic uint64_t w = 0;

	(void)state;
	lately_add(&w, UINT32_MAX, T);
	lately_add(&w, 1, T);
	assert_int_equal(lately_get(&w, T), LATELY_MAX);
	lately_add(&w, LATELY_MAX - 1, T + 1);
	lately_add(&w, 2, T + 1);
	assert_int_equal(lately_get(&w, T + 1), 2 * LATELY_MAX);
	assert_int_equal(lately_get(&w, T + 2), LATELY_MAX);
}

static void test_periods_wrap(void **state)
{
	_Atomic uint64_t w = 0;

	(void)state;
	lately_add(&w, 3, PERIODS - 1);
	lately_add(&w, 4, PERIODS);
	assert_int_equal(lately_get(&w, PERIODS), 7);
	assert_int_equal(lately_get(&w, PERIODS + 2), 0);
	assert_int_equal(lately_get(&w, PERIODS + PERIODS / 2), 0);
	assert_int_equal(lately_get(&w, 2 * PERIODS - 9), 0);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *add_many(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		lately_add(arg, 1, T);
	return NULL;
}

static void test_nothing_is_lost_between_threads(void **state)
{
	_Atomic uint64_t w = 0;
	pthread_t t[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add_many, &w), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(lately_get(&w, T), THREADS * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_counts_this_period_and_the_one_before),
		cmocka_unit_test(test_a_thread_behind_adds_to_the_others_period),
		cmocka_unit_test(test_more_than_can_be_counted_is_the_most),
		cmocka_unit_test(test_periods_wrap),
		cmocka_unit_test(test_nothing_is_lost_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
