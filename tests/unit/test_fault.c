#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fault.h"

static const struct {
	const char *file;
	unsigned line;
	const char *found, *want, *text;
} faults[] = {
	{ "a.yaml", 3, "port: x", "a number", "a.yaml:3: port: x; want: a number" },
	{ "a.yaml", 3, "port: x", NULL, "a.yaml:3: port: x" },
	{ "a.yaml", 0, "no pools", "one at least",
	  "a.yaml: no pools; want: one at least" },
	{ NULL, 3, "--port x", "a number", "--port x; want: a number" },
	{ "", 0, "--port x", NULL, "--port x" },
	{ "%s%n", 1, "%s%n", "%s%n", "%s%n:1: %s%n; want: %s%n" },
};

static void test_a_fault_says_where_what_and_what_else(void **state)
{
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		struct fault f = { 0 };

		fault_set(&f, faults[i].file, faults[i].line, faults[i].found,
		    faults[i].want);
		assert_true(f.is_set);
		assert_string_equal(fault_text(&f, text, sizeof(text)),
		    faults[i].text);
	}
}

static void test_format_and_want_make_the_same_fault(void **state)
{
	struct fault f = { 0 };
	char text[64];

	(void)state;
	fault_setf(&f, "f", 1, "%s: %d", "port", -1);
	fault_want(&f, "%d to %d", 1, 65535);
	fault_want(&f, "something else");
	assert_string_equal(fault_text(&f, text, sizeof(text)),
	    "f:1: port: -1; want: 1 to 65535");
}

/* A decoder may run on: nothing that follows changes a word of the first. */
static void test_the_first_fault_sticks(void **state)
{
	static const char *const wants[] = { NULL, "a number" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fault f = { 0 }, first;

		fault_set(&f, "first", 1, "found", wants[i]);
		first = f;
		fault_set(&f, "second", 2, "other", "other");
		fault_setf(&f, "third", 3, "%s", "other");
		fault_want(&f, "what the third wants");
		assert_string_equal(f.file, first.file);
		assert_int_equal(f.line, first.line);
		assert_string_equal(f.found, first.found);
		assert_string_equal(f.want, first.want);
	}
}

static void test_text_of_any_length_is_cut_to_what_fits(void **state)
{
	static char endless[100000];
	struct fault f = { 0 };
	char text[2048];

	(void)state;
	memset(endless, 'x', sizeof(endless) - 1);
	fault_setf(&f, endless, UINT32_MAX, "%s", endless);
	fault_want(&f, "%s", endless);
	assert_int_equal(strlen(f.file), sizeof(f.file) - 1);
	assert_int_equal(strlen(f.found), sizeof(f.found) - 1);
	assert_int_equal(strlen(f.want), sizeof(f.want) - 1);
	fault_text(&f, text, sizeof(text));
	assert_non_null(strstr(text, "x:4294967295: x"));
	assert_non_null(strstr(text, "x; want: x"));
	for (size_t len = 1; len < sizeof(text); len += 7) {
		memset(text, '!', sizeof(text));
		fault_text(&f, text, len);
		assert_true(strlen(text) < len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_fault_says_where_what_and_what_else),
		cmocka_unit_test(test_format_and_want_make_the_same_fault),
		cmocka_unit_test(test_the_first_fault_sticks),
		cmocka_unit_test(test_text_of_any_length_is_cut_to_what_fits),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
