#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "heat.h"
#include "live.h"

enum { NOW_MS = 50000, HERE = 77, ALSO_HERE = HERE + LIVE_HEAT };

static struct heat table[LIVE_HEAT];

static int setup(void **state)
{
	(void)state;
	memset(table, 0, sizeof(table));
	return 0;
}

static void ask(uint64_t beginning, int n, int64_t now_ms)
{
	for (int i = 0; i < n; i++)
		heat_add(table, beginning, now_ms);
}

static void test_each_beginning_is_counted_by_itself(void **state)
{
	(void)state;
	ask(HERE, 3, NOW_MS);
	ask(HERE + 1, 1, NOW_MS);
	assert_int_equal(heat_get(table, HERE, NOW_MS), 3);
	assert_int_equal(heat_get(table, HERE + 1, NOW_MS), 1);
	assert_int_equal(heat_get(table, HERE + 2, NOW_MS), 0);
	assert_int_equal(heat_get(table, ALSO_HERE, NOW_MS), 0);
}

static void test_it_is_forgotten_in_half_a_second(void **state)
{
	(void)state;
	ask(HERE, 3, NOW_MS + 249);
	ask(HERE, 1, NOW_MS + 250);
	assert_int_equal(heat_get(table, HERE, NOW_MS + 499), 4);
	assert_int_equal(heat_get(table, HERE, NOW_MS + 500), 1);
	assert_int_equal(heat_get(table, HERE, NOW_MS + 750), 0);
}

static void test_of_two_in_one_place_who_is_asked_for_stays(void **state)
{
	(void)state;
	ask(HERE, 1, NOW_MS);
	ask(ALSO_HERE, 2, NOW_MS);	/* once was no more than this */
	assert_int_equal(heat_get(table, HERE, NOW_MS), 0);
	assert_int_equal(heat_get(table, ALSO_HERE, NOW_MS), 2);
	ask(HERE, 9, NOW_MS);
	assert_int_equal(heat_get(table, HERE, NOW_MS), 0);
	assert_int_equal(heat_get(table, ALSO_HERE, NOW_MS), 2);
	ask(HERE, 1, NOW_MS + 500);	/* nobody asks any more */
	assert_int_equal(heat_get(table, HERE, NOW_MS + 500), 1);
	assert_int_equal(heat_get(table, ALSO_HERE, NOW_MS + 500), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    test_each_beginning_is_counted_by_itself, setup),
		cmocka_unit_test_setup(
		    test_it_is_forgotten_in_half_a_second, setup),
		cmocka_unit_test_setup(
		    test_of_two_in_one_place_who_is_asked_for_stays, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
