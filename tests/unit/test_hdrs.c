#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hdrs.h"
#include "writer.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define BYTES(text) (text), sizeof(text) - 1

static const struct {
	const char *bytes;
	size_t len;
	const char *heard;
} good[] = {
	{ BYTES("\x00\x00"), "" },
	{ BYTES("\x04" "host" "\x07" "1.2.3.4" "\x06" "accept" "\x03" "*/*"
	    "\x00\x00"), "host=1.2.3.4 accept=*/* " },
	{ BYTES("\x01" "a" "\x00" "\x01" "b" "\x01" "c" "\x00\x00"), "a= b=c " },
	{ BYTES("\x00" "\x01" "v" "\x00\x00"), "=v " },
	{ BYTES("\x01" "a" "\x01" "1" "\x01" "a" "\x01" "2" "\x00\x00"),
	  "a=1 a=2 " },
};

static const struct {
	const char *bytes;
	size_t len;
} bad[] = {
	{ BYTES("") },
	{ BYTES("\x00") },
	{ BYTES("\x05" "host") },
	{ BYTES("\x04" "host" "\x08" "1.2.3.4") },
	{ BYTES("\x04" "host") },
	{ BYTES("\x04" "host" "\x07" "1.2.3.4") },	/* and no end */
	{ BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") },
	{ BYTES("\x01" "a" "\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e" "x") },
};

/* In memory of that very size, so that ASan sees a byte read too far. */
static bool walk(const char *bytes, size_t len, char *heard, size_t size)
{
	char *exact = malloc(len != 0 ? len : 1);
	struct span name, value;
	struct reader r;
	size_t n = 0;

	memcpy(exact, bytes, len);
	r = reader_over(exact, len);
	heard[0] = '\0';
	while (hdrs_next(&r, &name, &value))
		n += (size_t)snprintf(heard + n, size - n, "%.*s=%.*s ",
		    (int)name.len, name.ptr, (int)value.len, value.ptr);
	free(exact);
	return !r.bad;
}

static void test_headers_are_heard_in_order_up_to_the_end(void **state)
{
	char heard[256];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(walk(good[i].bytes, good[i].len, heard,
			sizeof(heard)));
		assert_string_equal(heard, good[i].heard);
	}
}

static void test_every_truncation_of_a_block_is_bad(void **state)
{
	char heard[256];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		for (size_t cut = 0; cut < good[i].len; cut++) {
			assert_false(walk(good[i].bytes, cut, heard,
				sizeof(heard)));
			assert_memory_equal(heard, good[i].heard,
			    strlen(heard));
		}
}

static void test_a_malformed_block_is_bad(void **state)
{
	char heard[256];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(walk(bad[i].bytes, bad[i].len, heard,
			sizeof(heard)));
}

static void test_nothing_is_heard_after_the_end(void **state)
{
	static const char bytes[] = "\x01" "a" "\x01" "b" "\x00\x00"
	    "\x01" "c" "\x01" "d";
	char heard[64];

	(void)state;
	assert_true(walk(bytes, sizeof(bytes) - 1, heard, sizeof(heard)));
	assert_string_equal(heard, "a=b ");
}

static void test_lengths_of_every_width_are_understood(void **state)
{
	static char value[70000];
	static uint8_t block[80000];

	(void)state;
	memset(value, 'v', sizeof(value));
	for (size_t len = 1; len < sizeof(value); len += 1 + len / 9) {
		struct writer w = writer_over(block, sizeof(block));
		struct reader r;
		struct span name, got;

		writer_string(&w, span_of("x"));
		writer_string(&w, (struct span){ value, len });
		writer_bytes(&w, "\0\0", 2);
		r = reader_over(block, writer_len(&w));
		assert_true(hdrs_next(&r, &name, &got));
		assert_int_equal(got.len, len);
		assert_false(hdrs_next(&r, &name, &got));
		assert_false(r.bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers_are_heard_in_order_up_to_the_end),
		cmocka_unit_test(test_every_truncation_of_a_block_is_bad),
		cmocka_unit_test(test_a_malformed_block_is_bad),
		cmocka_unit_test(test_nothing_is_heard_after_the_end),
		cmocka_unit_test(test_lengths_of_every_width_are_understood),
	};

	return cmocka_run_group_tests_name("hdrs", tests, NULL, NULL);
}
