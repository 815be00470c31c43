#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hostname.h"

static const struct {
	const char *a, *b, *both;	/* both NULL and a not: none in common */
	bool common;
} pairs[] = {
	{ NULL, NULL, NULL, true },
	{ NULL, "a.b", "a.b", true },
	{ NULL, "*.a.b", "*.a.b", true },
	{ "a.b", "a.b", "a.b", true },
	{ "a.b", "b.b", NULL, false },
	{ "*.a.b", "x.a.b", "x.a.b", true },
	{ "*.a.b", "x.y.a.b", "x.y.a.b", true },
	{ "*.a.b", "a.b", NULL, false },
	{ "*.a.b", "xa.b", NULL, false },
	{ "*.a.b", "*.a.b", "*.a.b", true },
	{ "*.a.b", "*.x.a.b", "*.x.a.b", true },
	{ "*.a.b", "*.b", "*.a.b", true },
	{ "*.a.b", "*.c.b", NULL, false },
	{ "*.b", "*.ab", NULL, false },
};

static void test_what_two_names_have_in_common(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		for (int turn = 0; turn < 2; turn++) {
			const char *a = turn ? pairs[i].b : pairs[i].a;
			const char *b = turn ? pairs[i].a : pairs[i].b;
			const char *both = "unset";

			assert_int_equal(hostname_intersect(a, b, &both),
			    pairs[i].common);
			if (!pairs[i].common)
				continue;
			if (pairs[i].both == NULL)
				assert_null(both);
			else
				assert_string_equal(both, pairs[i].both);
			assert_true(hostname_covers(a, both) &&
			    hostname_covers(b, both));
		}
}

static const char *const ordered[] = { "a.b.c", "b.c", "z", "*.a.b.c",
	"*.b.c", "*.d.c", "*.c", NULL };

static void test_the_order_is_one_and_total(void **state)
{
	const size_t n = sizeof(ordered) / sizeof(*ordered);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			int order = hostname_order(ordered[i], ordered[k]);

			assert_int_equal((order > 0) - (order < 0),
			    (i > k) - (i < k));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_two_names_have_in_common),
		cmocka_unit_test(test_the_order_is_one_and_total),
	};

	return cmocka_run_group_tests_name("hostname", tests, NULL, NULL);
}
