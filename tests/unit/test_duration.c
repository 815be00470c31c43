/* Times as Go writes them. Examples: Go's package time, TestParseDuration(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "duration.h"

#define US 1000ll
#define MS (1000 * US)
#define S (1000 * MS)
#define M (60 * S)
#define H (60 * M)

static const struct {
	const char *text;
	int64_t ns;
} good[] = {
	{ "0", 0 }, { "+0", 0 }, { "0s", 0 }, { "5s", 5 * S },
	{ "30s", 30 * S }, { "1478s", 1478 * S }, { "+5s", 5 * S },
	{ "5.0s", 5 * S }, { "5.6s", 5 * S + 600 * MS }, { "5.s", 5 * S },
	{ ".5s", 500 * MS }, { "1.0s", S }, { "1.00s", S },
	{ "1.004s", S + 4 * MS }, { "1.0040s", S + 4 * MS },
	{ "100.00100s", 100 * S + MS },
	{ "10ns", 10 }, { "11us", 11 * US }, { "12\xc2\xb5s", 12 * US },
	{ "12\xce\xbcs", 12 * US }, { "13ms", 13 * MS }, { "14s", 14 * S },
	{ "15m", 15 * M }, { "16h", 16 * H }, { "3h30m", 3 * H + 30 * M },
	{ "10.5s4m", 4 * M + 10 * S + 500 * MS },
	{ "1h2m3s4ms5us6ns", H + 2 * M + 3 * S + 4 * MS + 5 * US + 6 },
	{ "39h9m14.425s", 39 * H + 9 * M + 14 * S + 425 * MS },
	{ "9223372036854775807ns", INT64_MAX },
	{ "9223372036854775.807us", INT64_MAX },
	{ "0.0000000000000000000001h", 0 },
	{ "0.3333333333333333333h", 20 * M },
	{ "007s", 7 * S },
};

static void test_a_time_is_numbers_with_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		int64_t ns = -1;

		if (!duration_parse(span_of(good[i].text), &ns))
			fail_msg("%s: refused", good[i].text);
		/* Fractions are a double's. */
		if (llabs(ns - good[i].ns) > 1)
			fail_msg("%s: %lld", good[i].text, (long long)ns);
	}
}

static const char *const bad[] = {
	"", "3", "-", "+", "s", ".", "-.", ".s", "+.s", "1d", "\x85\x85",
	"hello", "soon", "-5s", "-0s", "1.2.3s", "1 s", " 1s", "1s ",
	"1S", "1Ms", "1,5s", "1e3s", "0x1s", "1s2", "1s.", "00", "1ss", "++1s",
	"9223372036854775808ns", "9223372036854775.808us", "9223372036854ms775us808ns",
	"18446744073709551616ns", "3000000h", "999999999999999999999h",
	"5124095h34m33.709551616s", "\xb5s", "1\xc2s",
};

static void test_what_is_no_time_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int64_t ns = -7;

		if (duration_parse(span_of(bad[i]), &ns))
			fail_msg("%s: %lld", bad[i], (long long)ns);
		assert_int_equal(ns, -7);
	}
}

/* A sanitizer sees who reads on behind the end. */
static void test_every_cut_is_read_within_its_bytes(void **state)
{
	static const char text[] = "1h2m3.25s4ms5us6ns";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *copy = malloc(n > 0 ? n : 1);
		int64_t ns;

		assert_non_null(copy);
		memcpy(copy, text, n);
		(void)duration_parse((struct span){ copy, n }, &ns);
		free(copy);
	}
	(void)duration_parse((struct span){ 0 }, &(int64_t){ 0 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_time_is_numbers_with_units),
		cmocka_unit_test(test_what_is_no_time_is_refused),
		cmocka_unit_test(test_every_cut_is_read_within_its_bytes),
	};

	return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
