#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "rng.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Lines between brackets, a ! for one that was too long, in pieces of `step`. */
static size_t cut(struct lines *c, const char *text, size_t len,
    size_t step, char *out, size_t out_len)
{
	size_t n = 0;

	for (size_t at = 0; at < len; at += step) {
		size_t piece = len - at < step ? len - at : step;
		char *exact = malloc(piece);	/* so that ASan sees the edge */
		struct span line, in = { exact, piece };
		enum lines_result result;

		memcpy(exact, text + at, piece);
		while ((result = lines_next(c, &in, &line)) != LINES_MORE) {
			bool is_line = result == LINES_LINE;

			assert_true(n + (is_line ? line.len : 0) + 3 < out_len);
			out[n++] = is_line ? '[' : '!';
			if (!is_line)
				continue;
			memcpy(out + n, line.ptr, line.len);
			n += line.len;
			out[n++] = ']';
		}
		assert_int_equal(in.len, 0);
		free(exact);
	}
	out[n] = '\0';
	return n;
}

static const struct {
	const char *stream, *lines;
} streams[] = {
	{ "", "" },
	{ "one\n", "[one]" },
	{ "one\ntwo\nthree", "[one][two]" },
	{ "\n\n", "[][]" },
	{ "a\r\n", "[a\r]" },
	{ "5 hello3 abc", "[hello][abc]" },
	{ "5 hello3 ab", "[hello]" },
	{ "3 a\nb1 \n", "[a\nb][\n]" },
	{ "12 twelve bytes", "[twelve bytes]" },
	/* a digit at first, and still lines */
	{ "5hello\nline\n", "[5hello][line]" },
	{ "5\nline\n", "[5][line]" },
	{ "2026-11-21 x\nline\n", "[2026-11-21 x][line]" },
	{ "12345678 x\nline\n", "[12345678 x][line]" },
	{ "0 x\nline\n", "[0 x][line]" },
	/* counted until there is no count */
	{ "1 x03 abc\nline\n", "[x][03 abc][line]" },
	{ "2 abc\nline\n5 x\n", "[ab][c][line][5 x]" },
	{ "1 a \nb\n", "[a][ ][b]" },
	{ " 5 hello\n", "[ 5 hello]" },
};

static void test_streams_fall_into_their_lines_however_they_come(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(streams); i++)
		for (size_t step = 1; step < 20; step++) {
			struct lines c;
			char out[200];

			lines_init(&c);
			cut(&c, streams[i].stream, strlen(streams[i].stream), step,
			    out, sizeof(out));
			assert_string_equal(out, streams[i].lines);
			lines_fini(&c);
		}
}

/* `len` times x, framed one way or the other, and a short line behind. */
static size_t frame(char *out, size_t len, bool is_counted)
{
	size_t n = 0;

	if (is_counted)
		n = (size_t)snprintf(out, 16, "%zu ", len);
	memset(out + n, 'x', len);
	n += len;
	memcpy(out + n, is_counted ? "3 abc" : "\nabc\n", 5);
	return n + 5;
}

static void test_the_longest_line_passes_and_one_more_byte_does_not(void **state)
{
	static const size_t steps[] = { 1, 7, 256, 4096, 8191, 8192, 8193, 65536 };
	static char in[2 * LINES_MAX_BYTES], out[2 * LINES_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++)
		for (size_t over = 0; over < 2; over++)
			for (size_t counted = 0; counted < 2; counted++) {
				size_t n = frame(in, LINES_MAX_BYTES + over, counted);
				struct lines c;

				lines_init(&c);
				n = cut(&c, in, n, steps[i], out, sizeof(out));
				if (over)
					assert_string_equal(out, "![abc]");
				else
					assert_int_equal(n, LINES_MAX_BYTES + 7);
				assert_string_equal(out + n - 5, "[abc]");
				lines_fini(&c);
			}
}

static void test_a_line_without_end_costs_little(void **state)
{
	static char zeros[65536];
	struct lines c;
	char out[100];
	size_t told = 0;

	(void)state;
	lines_init(&c);
	for (size_t i = 0; i < 200; i++) {
		told += cut(&c, zeros, sizeof(zeros), 60000, out, sizeof(out));
		assert_true(c.partial.cap <= LINES_MAX_BYTES);
	}
	assert_int_equal(told, 1);
	cut(&c, "end\nline\n", 9, 9, out, sizeof(out));
	assert_string_equal(out, "[line]");
	lines_fini(&c);
}

static void test_whole_lines_cost_no_memory(void **state)
{
	char out[200];
	struct lines c;

	(void)state;
	lines_init(&c);
	for (size_t i = 0; i < 100; i++)
		cut(&c, "one\ntwo\nthree\n", 14, 14, out, sizeof(out));
	assert_null(c.partial.data);
	lines_fini(&c);
}

/* Few kinds of bytes, so that lengths, blanks and newlines meet. */
static void test_random_bytes_fall_the_same_in_pieces(void **state)
{
	static const char some[] = "0123 \n\n a\0x9";
	struct rng rng = { 4711 };

	(void)state;
	for (size_t round = 0; round < 2000; round++) {
		char in[64], whole[400], pieces[400];
		struct lines c, d;

		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = some[rng_below(&rng, sizeof(some) - 1)];
		lines_init(&c);
		lines_init(&d);
		cut(&c, in, sizeof(in), sizeof(in), whole, sizeof(whole));
		cut(&d, in, sizeof(in), 1 + round % 9, pieces, sizeof(pieces));
		assert_memory_equal(whole, pieces, strlen(whole) + 1);
		lines_fini(&c);
		lines_fini(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_streams_fall_into_their_lines_however_they_come),
		cmocka_unit_test(
		    test_the_longest_line_passes_and_one_more_byte_does_not),
		cmocka_unit_test(test_a_line_without_end_costs_little),
		cmocka_unit_test(test_whole_lines_cost_no_memory),
		cmocka_unit_test(test_random_bytes_fall_the_same_in_pieces),
	};

	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
