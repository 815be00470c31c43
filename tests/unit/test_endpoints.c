#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "endpoints.h"

static const struct endpoint_view a = { .pool = "a" }, ab = { .pool = "ab" },
	b = { .pool = "b" }, z = { .pool = "z" }, high = { .pool = "\xff" };
static const struct endpoint_view *const all[] = { &a, &ab, &b, &z, &high };

static void test_each_pool_is_found_by_its_whole_name(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 5; n++) {
		const struct fleet fleet = { n, all };

		for (size_t i = 0; i < 5; i++)
			assert_ptr_equal(fleet_find(&fleet,
				span_of(all[i]->pool)), i < n ? all[i] : NULL);
	}
}

static void test_other_names_are_not_found(void **state)
{
	static const struct span others[] = {
		{ NULL, 0 }, { "", 0 }, { "A", 1 }, { "aa", 2 }, { "abc", 3 },
		{ "a\0", 2 }, { "\0", 1 }, { "zz", 2 }, { "\xff\xff", 2 },
	};
	const struct fleet fleet = { 5, all };

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_null(fleet_find(&fleet, others[i]));
}

/* Picked since the numbers were read; 32 bits, and they wrap. */
static const struct {
	uint32_t picked, settled, unsettled;
} counts[] = {
	{ 0, 0, 0 }, { 5, 5, 0 }, { 7, 5, 2 }, { 1, UINT32_MAX, 2 },
	{ UINT32_MAX, 0, UINT32_MAX },
};

static void test_unsettled_is_what_was_sent_since(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct endpoint_live live[3] = { [2].picked = counts[i].picked };
		const struct endpoint e = { .slot = 2 };
		const struct endpoint_stats s = { .slot = 2,
			.settled = counts[i].settled };
		const struct endpoint_view v = { .endpoints = &e, .stats = &s,
			.live = live };

		assert_int_equal(endpoint_unsettled(&v, 0),
		    counts[i].unsettled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_pool_is_found_by_its_whole_name),
		cmocka_unit_test(test_other_names_are_not_found),
		cmocka_unit_test(test_unsettled_is_what_was_sent_since),
	};

	return cmocka_run_group_tests_name("endpoints", tests, NULL, NULL);
}
