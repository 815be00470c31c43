#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "json.h"
#include "rng.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

enum { TEXT_MAX = 4096 };

static const char *const good[] = {
	"{}", "[]", "0", "-0", "-1.5e+10", "1E5", "12", "true", "false", "null",
	"\"\"", "\"a\"", " [ ] ", "\r\n\t { \"a\" : 1 } \n",
	"[1,2,[3,{\"a\":[]}],\"x\"]",
	"{\"a\":{\"b\":{\"c\":null}},\"d\":[true,false]}",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"",
	"\"plain text that is longer than any step of the scanner\\n and on\"",
	"{\"\":\"\",\"\":\"\"}",
	"[0.1,1e0,1e-9,123456789012345678901234567890,-0.0E-0]",
	("{\"model\":\"llama\",\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"Tell me a\\nstory \\u00e9\"}],\"stream\":true,\"n\":1}"),
	"\"\x7f \xc3\xa9 \xf0\x9f\x98\x80\"",
};

/* The text, where the scan gives up, and what it would have liked. */
static const struct {
	const char *text;
	size_t at;
	const char *want;
} bad[] = {
	{ "x", 0, "a value" },
	{ "]", 0, "a value" },
	{ "[,1]", 1, "a value" },
	{ "[1,]", 3, "a value" },
	{ "[1,,2]", 3, "a value" },
	{ "[1 2]", 3, "a comma or ]" },
	{ "[1}", 2, "a comma or ]" },
	{ "{\"a\":1]", 6, "a comma or }" },
	{ "{\"a\":}", 5, "a value" },
	{ "{\"a\",1}", 4, "a colon after the key" },
	{ "{\"a\" 1}", 5, "a colon after the key" },
	{ "{a:1}", 1, "a key in double quotes" },
	{ "{1:1}", 1, "a key in double quotes" },
	{ "{,}", 1, "a key in double quotes" },
	{ "{\"a\":1,}", 7, "a key in double quotes" },
	{ "'a'", 0, "a value" },
	{ "[\"a\nb\"]", 3, "control characters in strings escaped" },
	{ "\"0123456789abcdefghijklmnopqrstuvwxyz\t\"", 37,
	  "control characters in strings escaped" },
	{ "\"a\\x\"", 2, NULL },
	{ "\"a\\u12g4\"", 2, NULL },
	{ "{\"\\'\":1}", 2, NULL },
	{ "tru3", 0, "true, false or null" },
	{ "[nul]", 1, "true, false or null" },
	{ "True", 0, "a value" },
	{ "NaN", 0, "a value" },
	{ "01", 0, "a number" },
	{ "-01", 0, "a number" },
	{ "[-]", 1, "a number" },
	{ "[1.]", 1, "a number" },
	{ "[1.e5]", 1, "a number" },
	{ "[1e]", 1, "a number" },
	{ "[1e+]", 1, "a number" },
	{ "+1", 0, "a value" },
	{ ".5", 0, "a value" },
	{ "[0x10]", 2, "a comma or ]" },
	{ "{} {}", 3, "nothing after the end of the text" },
	{ "1 2", 2, "nothing after the end of the text" },
	{ "truefalse", 4, "nothing after the end of the text" },
	{ "{}]", 2, "nothing after the end of the text" },
	{ "[1] // why", 4, "nothing after the end of the text" },
	{ "/* why */ 1", 0, "a value" },
	{ "\v1", 0, "a value" },
	{ "\xef\xbb\xbf{}", 0, "a value" },
};

/* In memory of that very size, so that ASan sees a byte read too far. */
static char *exact_copy(const char *text, size_t len)
{
	char *copy = malloc(len != 0 ? len : 1);

	if (len != 0)
		memcpy(copy, text, len);
	return copy;
}

/* Walks to the end: JSON_BAD, JSON_CUT or JSON_DONE, which must stick. */
static enum json_event walk(struct json *j)
{
	enum json_event event;

	do {
		event = json_next(j);
		assert_true(j->at >= j->start && j->at <= j->end);
		if (event == JSON_KEY || event == JSON_STRING ||
		    event == JSON_NUMBER)
			assert_true(j->value.ptr >= j->start &&
			    j->value.ptr + j->value.len <= j->end);
	} while (event > JSON_DONE);
	assert_int_equal(json_next(j), event);
	return event;
}

static enum json_event verdict(const char *text, size_t len)
{
	char *copy = exact_copy(text, len);
	struct json j = json_over((struct span){ copy, len });
	enum json_event event = walk(&j);

	free(copy);
	return event;
}

static void test_good_texts_are_done(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(verdict(good[i], strlen(good[i])), JSON_DONE);
}

static void test_bad_texts_are_bad_at_their_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct json j = json_over(span_of(bad[i].text));

		assert_int_equal(walk(&j), JSON_BAD);
		assert_int_equal(json_offset(&j), bad[i].at);
		if (bad[i].want != NULL)
			assert_string_equal(j.bad_why, bad[i].want);
	}
}

static bool is_whole_number(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strchr("-+.eE0123456789 \r\n\t", text[i]) == NULL)
			return false;
	return len > 0;
}

/* A cut text is never bad; and never done, but for "12" out of "123". */
static void test_every_truncation_of_a_good_text_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		size_t len = strlen(good[i]);

		while (len > 0 && strchr(" \n", good[i][len - 1]) != NULL)
			len--;
		for (size_t cut = 0; cut < len; cut++) {
			enum json_event event = verdict(good[i], cut);

			if (event == JSON_DONE)
				assert_true(is_whole_number(good[i], cut));
			else
				assert_int_equal(event, JSON_CUT);
		}
	}
}

static void test_no_prefix_of_a_bad_text_is_more_wrong_than_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		for (size_t cut = 0; cut <= bad[i].at; cut++)
			assert_int_not_equal(verdict(bad[i].text, cut), JSON_BAD);
}

static const struct {
	const char *text, *events;
} spoken[] = {
	{ "{\"a\":[1,\"b\",true,false,null],\"c\":{}}",
	  "{ k:a [ n:1 s:b t f 0 ] k:c { } } done" },
	{ "\"x\\ny\"", "s:x\\ny done" },
	{ "[\"abc", "[ s:abc~ cut" },
	{ "[\"abc\\", "[ s:abc\\~ cut" },
	{ "[\"abc\\u00", "[ s:abc\\u00~ cut" },
	{ "[\"abc\\n", "[ s:abc\\n~ cut" },
	{ "[\"", "[ s:~ cut" },
	{ "\"abc", "s:abc~ cut" },
	{ "{\"abc", "{ cut" },
	{ "{\"abc\"", "{ cut" },
	{ "{\"abc\":", "{ k:abc cut" },
	{ "[12", "[ cut" },
	{ "[12 ", "[ n:12 cut" },
	{ "[tru", "[ cut" },
	{ "12", "n:12 done" },
	{ "-", "cut" },
	{ "1.", "cut" },
	{ "1e+", "cut" },
	{ "", "cut" },
	{ " \n", "cut" },
	{ "[\"ok\",\"b\tad\"]", "[ s:ok bad" },
};

static void speak(struct json *j, char *out, size_t len)
{
	static const char *const words[] = { "bad", "cut", "done", "{ ", "} ",
		"[ ", "] ", "k:", "s:", "n:", "t ", "f ", "0 " };
	enum json_event event;
	size_t n = 0;

	do {
		event = json_next(j);
		n += (size_t)snprintf(out + n, len - n, "%s", words[event]);
		if (event == JSON_KEY || event == JSON_STRING ||
		    event == JSON_NUMBER)
			n += (size_t)snprintf(out + n, len - n, "%.*s%s ",
			    (int)j->value.len, j->value.ptr,
			    j->is_cut ? "~" : "");
		assert_true(n < len);
	} while (event > JSON_DONE);
}

static void test_events_come_in_the_order_of_the_text(void **state)
{
	char out[256];

	(void)state;
	for (size_t i = 0; i < COUNT(spoken); i++) {
		struct json j = json_over(span_of(spoken[i].text));

		speak(&j, out, sizeof(out));
		assert_string_equal(out, spoken[i].events);
	}
}

/* Stops of string_stop() at every offset from where its wide steps begin. */
static void test_a_string_stops_at_its_quote_wherever_it_stands(void **state)
{
	(void)state;
	for (size_t len = 0; len < 70; len++)
		for (unsigned c = 0; c < 256; c++) {
			char text[80];
			enum json_event want = JSON_STRING;
			struct json j;

			memset(text, 'a', sizeof(text));
			text[0] = '"';
			text[1 + len] = (char)c;
			text[2 + len] = '"';
			if (c < 0x20)
				want = JSON_BAD;
			j = json_over((struct span){ text, len + 3 });
			assert_int_equal(json_next(&j), want);
			if (want == JSON_BAD) {
				assert_int_equal(json_offset(&j), 1 + len);
				continue;
			}
			assert_int_equal(j.is_cut, c == '\\');
			assert_int_equal(j.value.len, c == '"' ? len :
			    c == '\\' ? len + 2 : len + 1);
		}
}

/* Behind the opening quote, one byte after the other: what ends the string, and where. */
static enum json_event ended_by(const char *text, size_t len, size_t *at)
{
	for (*at = 1; *at < len && text[*at] != '"'; (*at)++) {
		if ((unsigned char)text[*at] < 0x20)
			return JSON_BAD;
		if (text[*at] == '\\' && *at + 1 < len &&
		    strchr("\"\\/bfnrt", text[*at + 1]) == NULL)
			return JSON_BAD;
		*at += text[*at] == '\\';
	}
	return JSON_STRING;
}

/* Runs of backslashes of any length, begun in one wide step and ended in the next. */
static void test_escapes_end_where_a_walk_of_bytes_says(void **state)
{
	static const char letters[] = "\\\\\\\\\\\"nnt/rbfaaa\x01z";
	struct rng rng = { 11 };
	size_t n_bad = 0, n_far = 0;

	(void)state;
	for (int turn = 0; turn < 100000; turn++) {
		char text[401];
		size_t len = 1 + rng_below(&rng, sizeof(text) - 1), end;
		uint32_t rare = 1 + rng_below(&rng, 60);
		enum json_event want;
		struct json j;

		text[0] = '"';
		for (size_t i = 1; i < len; i++)
			text[i] = rng_below(&rng, rare) == 0 ? letters[rng_below(
			    &rng, sizeof(letters) - 1)] : "n\\"[i % 40 > 30];
		want = ended_by(text, len, &end);
		j = json_over((struct span){ text, len });
		assert_int_equal(json_next(&j), want);
		n_bad += want == JSON_BAD;
		n_far += end > 128;
		if (want == JSON_BAD)
			assert_int_equal(json_offset(&j), end);
		else if (end < len)
			assert_int_equal(j.value.len, end - 1);
		else
			assert_true(j.is_cut);
	}
	assert_true(n_bad > 10000 && n_far > 10000);	/* or nothing is told */
}

/* ---- yajl, the oracle ---- */

static yajl_handle oracle_start(void)
{
	yajl_handle h = yajl_alloc(NULL, NULL, NULL);

	yajl_config(h, yajl_dont_validate_strings, 1);	/* of UTF-8 */
	return h;
}

/* `text` after "[" and before "]" when there is a bracket to put there. */
static bool oracle_accepts(const char *open, const char *text, size_t len,
    const char *close)
{
	yajl_handle h = oracle_start();
	bool ok = yajl_parse(h, (const uint8_t *)open, strlen(open)) ==
	    yajl_status_ok &&
	    yajl_parse(h, (const uint8_t *)text, len) == yajl_status_ok &&
	    yajl_parse(h, (const uint8_t *)close, strlen(close)) ==
	    yajl_status_ok &&
	    yajl_complete_parse(h) == yajl_status_ok;

	yajl_free(h);
	return ok;
}

/*
 * Two things yajl is lax about. It does not mind a token that is cut after the
 * end of the text, as in: true" ; so it is asked about the text in brackets, too.
 * And \v and \f are white space to it, not to RFC 8259; in strings, both refuse
 * them.
 */
static bool oracle_says_good(const char *text, size_t len)
{
	return memchr(text, '\v', len) == NULL &&
	    memchr(text, '\f', len) == NULL &&
	    oracle_accepts("", text, len, "") &&
	    oracle_accepts("[", text, len, "]");
}

/* One random change: a byte set, dropped, doubled, or a stretch moved. */
static size_t mutate(struct rng *rng, char *text, size_t len)
{
	static const char likely[] = "{}[]:,\"\\u0123456789eE+-.truefalsn \n\t/'";
	size_t at = rng_below(rng, (uint32_t)len + 1);
	size_t n = 1 + rng_below(rng, 8);

	switch (rng_below(rng, 6)) {
	case 0:
		if (at < len)
			text[at] = (char)rng_next(rng);
		return len;
	case 1:
		if (at < len)
			text[at] = likely[rng_below(rng, sizeof(likely) - 1)];
		return len;
	case 2:
		memmove(text + at + 1, text + at, len - at);
		text[at] = likely[rng_below(rng, sizeof(likely) - 1)];
		return len + 1;
	case 3:
		n = n < len - at ? n : len - at;
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 4:
		n = n < len - at ? n : len - at;
		memmove(text + at + n, text + at, len - at);
		return len + n;
	default:
		return at;
	}
}

static void test_yajl_agrees_on_what_is_valid(void **state)
{
	struct rng rng = { 6 };
	size_t n_good = 0, n_bad = 0;
	char text[TEXT_MAX];

	(void)state;
	for (int turn = 0; turn < 150000; turn++) {
		const char *from = good[rng_below(&rng, COUNT(good))];
		size_t len = strlen(from);
		bool ours, theirs;

		memcpy(text, from, len);
		for (int i = rng_below(&rng, 4); i >= 0; i--)
			len = mutate(&rng, text, len);
		ours = verdict(text, len) == JSON_DONE;
		theirs = oracle_says_good(text, len);
		if (ours != theirs)
			print_error("ours %d, yajl %d: %.*s\n", ours, theirs,
			    (int)len, text);
		assert_int_equal(ours, theirs);
		if (ours)
			n_good++;
		else
			n_bad++;
	}
	assert_true(n_good > 10000 && n_bad > 10000);	/* or nothing is told */
}

/* Of the prefixes of anything, yajl and we take the same; and bad stays bad. */
static void test_yajl_agrees_on_every_prefix_of_anything(void **state)
{
	struct rng rng = { 8 };
	char text[TEXT_MAX];

	(void)state;
	for (int turn = 0; turn < 15000; turn++) {
		const char *from = good[rng_below(&rng, COUNT(good))];
		size_t len = strlen(from);
		bool ended_bad = false;

		memcpy(text, from, len);
		for (int i = rng_below(&rng, 3); i >= 0; i--)
			len = mutate(&rng, text, len);
		for (size_t cut = 0; cut <= len; cut++) {
			enum json_event event = verdict(text, cut);

			if (ended_bad)
				assert_int_equal(event, JSON_BAD);
			ended_bad = event == JSON_BAD;
			if (event == JSON_DONE)
				assert_true(oracle_says_good(text, cut));
			if (oracle_says_good(text, cut))
				assert_int_equal(event, JSON_DONE);
		}
	}
}

/* ---- bounds ---- */

static void test_128_levels_pass_and_129_do_not(void **state)
{
	char text[2 * JSON_DEPTH_MAX + 2];
	struct json j;

	(void)state;
	for (int object = 0; object < 2; object++) {
		memset(text, '[', JSON_DEPTH_MAX);
		memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
		if (object) {
			text[JSON_DEPTH_MAX - 1] = '{';
			text[JSON_DEPTH_MAX] = '}';
		}
		assert_int_equal(verdict(text, 2 * JSON_DEPTH_MAX), JSON_DONE);
	}
	memset(text, '[', JSON_DEPTH_MAX + 1);
	j = json_over((struct span){ text, JSON_DEPTH_MAX + 1 });
	assert_int_equal(walk(&j), JSON_BAD);
	assert_int_equal(json_offset(&j), JSON_DEPTH_MAX);
}

/* The bits that tell brackets apart are kept for every level. */
static void test_each_level_is_closed_by_its_own_bracket(void **state)
{
	struct rng rng = { 9 };
	char text[16 * JSON_DEPTH_MAX];

	(void)state;
	for (int turn = 0; turn < 2000; turn++) {
		unsigned depth = 1 + rng_below(&rng, JSON_DEPTH_MAX);
		unsigned wrong = rng_below(&rng, depth);
		char closing[JSON_DEPTH_MAX];
		size_t len = 0;

		for (unsigned i = 0; i < depth; i++) {
			bool object = rng_below(&rng, 2) != 0;

			len += (size_t)snprintf(text + len, sizeof(text) - len,
			    object ? "{\"k\":" : "[");
			closing[i] = object ? '}' : ']';
		}
		text[len++] = '1';
		for (unsigned i = depth; i-- > 0;)
			text[len++] = closing[i];
		assert_int_equal(verdict(text, len), JSON_DONE);
		text[len - 1 - wrong] ^= ']' ^ '}';
		assert_int_equal(verdict(text, len), JSON_BAD);
	}
}

static void test_a_megabyte_of_hostility_is_answered(void **state)
{
	static const char fill[] = { '[', '{', '"', '\\', '0', '9', ' ', 'u' };
	size_t len = 1 << 20;
	char *text = malloc(len);

	(void)state;
	for (size_t i = 0; i < sizeof(fill); i++) {
		enum json_event event;

		memset(text, fill[i], len);
		event = verdict(text, len);
		assert_true(event == JSON_BAD || event == JSON_CUT ||
		    fill[i] == '9');
		text[0] = '"';	/* one string of it, and never closed */
		assert_int_equal(verdict(text, len), fill[i] == '"' ? JSON_BAD :
		    JSON_CUT);
	}
	free(text);
}

/* ---- skip ---- */

static const struct {
	const char *text, *raw;
	enum json_event last;
} skips[] = {
	{ "{\"a\":[1,{\"b\":\"]}\"}]} ", "{\"a\":[1,{\"b\":\"]}\"}]}",
	  JSON_OBJECT_END },
	{ " [ 1 , [ ] ] x", "[ 1 , [ ] ]", JSON_ARRAY_END },
	{ "[]", "[]", JSON_ARRAY_END },
	{ "\"a\\n\"", "a\\n", JSON_STRING },
	{ "-1.5 ", "-1.5", JSON_NUMBER },
	{ "true", NULL, JSON_TRUE },
	{ "null", NULL, JSON_NULL },
	{ "[[1,\"ab", "[[1,\"ab", JSON_CUT },
	{ "[[1", "[[1", JSON_CUT },
	{ "[1,x]", "[1,", JSON_BAD },
	{ "\"ab", "ab", JSON_STRING },
};

static void test_skip_passes_one_value_and_lends_its_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(skips); i++) {
		struct json j = json_over(span_of(skips[i].text));
		struct span raw = { NULL, 0 };
		enum json_event first = json_next(&j);

		assert_int_equal(json_skip(&j, first, &raw), skips[i].last);
		if (skips[i].raw == NULL)
			assert_null(raw.ptr);
		else
			assert_true(span_is_text(raw, skips[i].raw));
	}
}

/* Skipping members or walking through them: the same end. */
static void test_skip_agrees_with_next(void **state)
{
	struct rng rng = { 10 };
	char text[TEXT_MAX];

	(void)state;
	for (int turn = 0; turn < 50000; turn++) {
		const char *from = good[rng_below(&rng, COUNT(good))];
		size_t len = strlen(from);
		struct json j;
		enum json_event event;
		char *copy;

		memcpy(text, from, len);
		if (turn % 2 != 0)
			len = mutate(&rng, text, len);
		copy = exact_copy(text, len);
		j = json_over((struct span){ copy, len });
		do {
			event = json_next(&j);
			if (rng_below(&rng, 2) != 0)
				event = json_skip(&j, event, NULL);
		} while (event > JSON_DONE);
		assert_int_equal(event, verdict(text, len));
		free(copy);
	}
}

static void test_skip_of_an_end_is_that_end(void **state)
{
	struct json j = json_over((struct span){ 0 });
	struct span raw = { NULL, 0 };

	(void)state;
	assert_int_equal(json_skip(&j, json_next(&j), &raw), JSON_CUT);
	assert_null(raw.ptr);
	assert_int_equal(json_offset(&j), 0);
}

/* ---- strings and numbers ---- */

static const struct {
	const char *raw, *text;
} escapes[] = {
	{ "", "" },
	{ "plain", "plain" },
	{ "\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t" },
	{ "a\\u0041b", "aAb" },
	{ "\\u007f\\u0080", "\x7f\xc2\x80" },
	{ "\\u07ff\\u0800", "\xdf\xbf\xe0\xa0\x80" },
	{ "\\uD7FF\\ue000\\uffff", "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf" },
	{ "\\ud83d\\ude00", "\xf0\x9f\x98\x80" },
	{ "\\uD800\\uDC00", "\xf0\x90\x80\x80" },
	{ "\\uDBFF\\uDFFF", "\xf4\x8f\xbf\xbf" },
	{ "\\ud83d", "\xef\xbf\xbd" },
	{ "\\ude00", "\xef\xbf\xbd" },
	{ "\\ud83dx", "\xef\xbf\xbdx" },
	{ "\\ud83d\\n", "\xef\xbf\xbd\n" },
	{ "\\ud83d\\u0041", "\xef\xbf\xbd" "A" },
	{ "\\ude00\\ud83d", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\\ud83d\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
	{ "a\\", "a" },
	{ "a\\u", "a" },
	{ "a\\u004", "a" },
	{ "\\ud83d\\ude0", "\xef\xbf\xbd" },
	{ "\xc3\xa9", "\xc3\xa9" },
};

static void test_escapes_resolve_to_utf8(void **state)
{
	char out[32];

	(void)state;
	for (size_t i = 0; i < COUNT(escapes); i++) {
		size_t len = strlen(escapes[i].text);

		assert_int_equal(json_unescape(span_of(escapes[i].raw), out,
			sizeof(out)), len);
		assert_memory_equal(out, escapes[i].text, len);
	}
	assert_int_equal(json_unescape(span_of("a\\u0000b"), out, 3), 3);
	assert_memory_equal(out, "a\0b", 3);
}

static void test_unescape_writes_no_byte_too_many(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(escapes); i++)
		for (size_t room = 0; room < 16; room++) {
			size_t len = strlen(escapes[i].text);
			char *out = malloc(room != 0 ? room : 1);

			assert_int_equal(json_unescape(span_of(escapes[i].raw),
				out, room), len <= room ? len : SIZE_MAX);
			free(out);
		}
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct span *heard = ctx;
	char *copy = malloc(len + 1);

	memcpy(copy, text, len);
	*heard = (struct span){ copy, len };
	return 1;
}

/* Surrogate halves are left out: yajl writes '?' for a lone one. */
static void test_yajl_agrees_on_what_a_string_says(void **state)
{
	static const yajl_callbacks callbacks = { .yajl_string = on_string };
	static const char *const atoms[] = { "\\n", "\\\"", "\\\\", "\\/",
		"\\u00e9", "\\u4e2d", "\\ud83d\\ude00", "\\u001f", "a", "bcdef",
		"0123456789abcdef", "\xc3\xa9" };
	struct rng rng = { 11 };

	(void)state;
	for (int turn = 0; turn < 20000; turn++) {
		struct span heard = { 0 };
		char text[512], out[512];
		yajl_handle h = yajl_alloc(&callbacks, NULL, &heard);
		struct json j;
		size_t n = 0;

		text[n++] = '"';
		for (int i = rng_below(&rng, 20); i > 0; i--)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s",
			    atoms[rng_below(&rng, COUNT(atoms))]);
		text[n++] = '"';
		assert_int_equal(yajl_parse(h, (uint8_t *)text, n),
		    yajl_status_ok);
		j = json_over((struct span){ text, n });
		assert_int_equal(json_next(&j), JSON_STRING);
		n = json_unescape(j.value, out, sizeof(out));
		assert_true(span_is((struct span){ out, n }, heard));
		free((char *)(uintptr_t)heard.ptr);
		yajl_free(h);
	}
}

static const struct {
	const char *digits;
	bool good;
	uint64_t value;
} uints[] = {
	{ "0", true, 0 }, { "7", true, 7 }, { "4096", true, 4096 },
	{ "18446744073709551609", true, UINT64_MAX - 6 },
	{ "18446744073709551610", true, UINT64_MAX - 5 },
	{ "18446744073709551615", true, UINT64_MAX },
	{ "18446744073709551616", true, UINT64_MAX },
	{ "18446744073709551616000", true, UINT64_MAX },
	{ "36893488147419103232", true, UINT64_MAX },
	{ "99999999999999999999999999999999999999999", true, UINT64_MAX },
	{ "-0", false, 0 }, { "-1", false, 0 }, { "1.0", false, 0 },
	{ "1e3", false, 0 }, { "", false, 0 },
};

static void test_whole_numbers_saturate(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(uints); i++) {
		uint64_t value = 12345;

		assert_int_equal(json_uint(span_of(uints[i].digits), &value),
		    uints[i].good);
		assert_true(value == (uints[i].good ? uints[i].value : 12345));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_texts_are_done),
		cmocka_unit_test(test_bad_texts_are_bad_at_their_byte),
		cmocka_unit_test(test_every_truncation_of_a_good_text_is_cut),
		cmocka_unit_test(
		    test_no_prefix_of_a_bad_text_is_more_wrong_than_it),
		cmocka_unit_test(test_events_come_in_the_order_of_the_text),
		cmocka_unit_test(
		    test_a_string_stops_at_its_quote_wherever_it_stands),
		cmocka_unit_test(test_escapes_end_where_a_walk_of_bytes_says),
		cmocka_unit_test(test_yajl_agrees_on_what_is_valid),
		cmocka_unit_test(test_yajl_agrees_on_every_prefix_of_anything),
		cmocka_unit_test(test_128_levels_pass_and_129_do_not),
		cmocka_unit_test(test_each_level_is_closed_by_its_own_bracket),
		cmocka_unit_test(test_a_megabyte_of_hostility_is_answered),
		cmocka_unit_test(test_skip_passes_one_value_and_lends_its_text),
		cmocka_unit_test(test_skip_agrees_with_next),
		cmocka_unit_test(test_skip_of_an_end_is_that_end),
		cmocka_unit_test(test_escapes_resolve_to_utf8),
		cmocka_unit_test(test_unescape_writes_no_byte_too_many),
		cmocka_unit_test(test_yajl_agrees_on_what_a_string_says),
		cmocka_unit_test(test_whole_numbers_saturate),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
