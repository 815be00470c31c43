#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"

static void test_time_never_goes_back(void **state)
{
	int64_t last = clock_ns();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		int64_t now = clock_ns();

		assert_true(now >= last);
		last = now;
	}
}

static void test_the_three_units_tell_the_same_time(void **state)
{
	int64_t before = clock_ns(), us = clock_us(), ms = clock_ms();
	int64_t after = clock_ns();

	(void)state;
	assert_true(before / 1000 <= us && us <= after / 1000);
	assert_true(before / 1000000 <= ms && ms <= after / 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_never_goes_back),
		cmocka_unit_test(test_the_three_units_tell_the_same_time),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
