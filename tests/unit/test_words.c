/*
 * test_words.c - no text leaves the place where it was put
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "rng.h"
#include "words.h"

typedef void put_f(struct buf *out, const char *text);

static void assert_put(put_f *put, const char *text, const char *want)
{
	struct buf b;

	buf_init(&b, 65536);
	put(&b, text);
	buf_put(&b, "", 1);
	assert_string_equal(b.data, want);
	buf_fini(&b);
}

static void test_each_reader_gets_its_own_quotes(void **state)
{
	(void)state;
	assert_put(words_quote, "a b", "'a b'");
	assert_put(words_quote, "it's", "'it'\\''s'");
	assert_put(words_quote, "$HOME \"\\n\" #", "'$HOME \"\\n\" #'");
	assert_put(words_quote, "a\nb\rc\x7f" "d", "'a?b?c?d'");
	assert_put(words_format, "100%[src]'", "'100%%[src]'\\'''");
	assert_put(words_regex, "a|b'", "'^(?:a|b'\\'')$'");
	assert_put(words_regex_piece, "/a.b+'", "/a\\.b\\+'\\''");
	assert_put(words_replacement_piece, "/a\\1%", "/a\\\\1%%");
	assert_put(words_comment, "a\nb", "a?b");
	assert_put(words_cli, "a;b c\\d", "a\\;b\\ c\\\\d");
	assert_put(words_json, "a\"\\\n\x01", "\"a\\\"\\\\\\u000a\\u0001\"");
}

static const struct {
	bool (*is)(const char *);
	const char *text;
	bool yes;
} cases[] = {
	{ words_is_text, "", false }, { words_is_text, "a b", true },
	{ words_is_text, "a\nb", false }, { words_is_text, "\t", false },
	{ words_is_text, "caf\xc3\xa9", true },
	{ words_is_name, "x-a_b.c~1", true }, { words_is_name, "", false },
	{ words_is_name, "a)b", false }, { words_is_name, "a,b", false },
	{ words_is_name, "a b", false }, { words_is_name, "a'b", false },
	{ words_is_host, "a.example.com", true },
	{ words_is_host, "*.example.com", true },
	{ words_is_host, "*", false }, { words_is_host, "a..b", false },
	{ words_is_host, "A.com", false }, { words_is_host, "a b", false },
	{ words_is_host, "a|b", false }, { words_is_host, "*.*.com", false },
	{ words_is_key, "/a;b'c%20", true }, { words_is_key, "/a b", false },
	{ words_is_key, "#a", false }, { words_is_key, "/a\n", false },
	{ words_is_key, "/<<", false }, { words_is_key, "", false },
	{ words_is_origin, "*", true },
	{ words_is_origin, "https://*.a.com:80", true },
	{ words_is_origin, "https://a b", false },
	{ words_is_origin, "a.com", false }, { words_is_origin, "}", false },
	{ words_is_regex, "^/v[0-9]+$", true }, { words_is_regex, "(", false },
	{ words_is_regex, "a)|(b", false }, { words_is_regex, "\\Qa", false },
	{ words_is_regex, "(?x)a #", false }, { words_is_regex, "", false },
	{ words_is_regex, "a\nb", false },
};

static void test_what_cannot_be_written_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (cases[i].is(cases[i].text) != cases[i].yes)
			fail_msg("case %zu: \"%s\"", i, cases[i].text);
}

/* What HAProxy's own reader of arguments makes of ours is what was put in. */
static size_t unquote(const char *in, char *out)
{
	size_t n = 0;
	bool is_open = false;

	for (; *in != '\0'; in++) {
		if (*in == '\'')
			is_open = !is_open;
		else if (!is_open && *in == '\\')
			out[n++] = *++in;
		else if (!is_open)
			return SIZE_MAX;	/* text outside of quotes */
		else
			out[n++] = *in;
	}
	out[n] = '\0';
	return is_open ? SIZE_MAX : n;
}

static void test_any_bytes_come_back_from_quotes(void **state)
{
	static const char alphabet[] = "ab'\"\\%[]{}$# \n\r;|<&()*\x01\xff";
	struct rng rng = { 7 };
	struct buf b;
	char text[33], back[200];

	(void)state;
	buf_init(&b, 65536);
	for (int round = 0; round < 20000; round++) {
		size_t len = rng_below(&rng, 32);

		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[rng_below(&rng,
			    sizeof(alphabet) - 1)];
		text[len] = '\0';
		buf_clear(&b);
		words_quote(&b, text);
		buf_put(&b, "", 1);
		assert_int_equal(unquote(b.data, back), len);
		for (size_t i = 0; i < len; i++)
			assert_true(back[i] == text[i] ||
			    (back[i] == '?' && ((unsigned char)text[i] < 32 ||
			    text[i] == 0x7f)));
		assert_null(strpbrk(b.data, "\n\r"));
	}
	buf_fini(&b);
}

static void test_ids_are_names_everywhere(void **state)
{
	char id[WORDS_ID_BYTES];

	(void)state;
	words_id(id, 'R', 0);
	assert_string_equal(id, "Raaaaaaaaaa");
	words_id(id, 'R', UINT64_MAX);
	assert_string_equal(id, "R7777777777");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_reader_gets_its_own_quotes),
		cmocka_unit_test(test_what_cannot_be_written_is_refused),
		cmocka_unit_test(test_any_bytes_come_back_from_quotes),
		cmocka_unit_test(test_ids_are_names_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
