/* Libraries that are there, that are not, and that lack something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "fault.h"
#include "late_library.h"

static double (*cosine)(double);
static void (*nothing)(void);
static int n_begun;

static const struct late_symbol one[] = { { "cos", &cosine } };
static const struct late_symbol two[] = { { "cos", &cosine },
	{ "no_such_function", &nothing } };

static const char *begin(void)
{
	n_begun++;
	return NULL;
}

static const char *refuse(void)
{
	return "its consent";
}

static struct late_library library(const char *file,
    const struct late_symbol *symbols, size_t n)
{
	return (struct late_library){ .file = file, .package = "libx1",
		.feature = "x", .instead = "y", .symbols = symbols,
		.n_symbols = n, .lock = PTHREAD_MUTEX_INITIALIZER };
}

static void assert_refused(struct late_library *l, const char *want)
{
	char said[512];

	for (int again = 0; again < 2; again++) {
		struct fault why = { 0 };

		assert_false(late_library_load(l, &why));
		assert_string_equal(fault_text(&why, said, sizeof(said)), want);
	}
}

/* NULL: it is not as it should be. */
static void *load(void *arg)
{
	struct fault why = { 0 };

	return late_library_load(arg, &why) && cosine(0) == 1 ? arg : NULL;
}

static void test_all_who_ask_have_it_and_it_begins_once(void **state)
{
	struct late_library l = library("libm.so.6", one, 1);
	pthread_t threads[4];

	(void)state;
	l.begin = begin;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, load, &l), 0);
	for (int i = 0; i < 4; i++) {
		void *got;

		pthread_join(threads[i], &got);
		assert_non_null(got);
	}
	assert_int_equal(n_begun, 1);
}

static void test_what_is_missing_is_said_each_time(void **state)
{
	struct late_library none = library("libx.so.1", one, 1);
	struct late_library old = library("libm.so.6", two, 2);
	struct late_library stubborn = library("libm.so.6", one, 1);

	(void)state;
	stubborn.begin = refuse;
	assert_refused(&none, "x without libx.so.1; "
	    "want: libx.so.1 (package libx1), or y");
	assert_refused(&old, "x without no_such_function; "
	    "want: libm.so.6 (package libx1), or y");
	assert_refused(&stubborn, "x without its consent; "
	    "want: libm.so.6 (package libx1), or y");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_who_ask_have_it_and_it_begins_once),
		cmocka_unit_test(test_what_is_missing_is_said_each_time),
	};

	return cmocka_run_group_tests_name("late_library", tests, NULL, NULL);
}
