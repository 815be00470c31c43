#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_head.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const struct {
	const char *text;
	int status;
	bool keep_alive;
	enum http_framing framing;
	uint64_t body_bytes;
} good[] = {
	{ OK "Content-Length: 5\r\n\r\n", 200, true, HTTP_FRAMING_LENGTH, 5 },
	{ OK "content-length:\t5 \r\n\r\n", 200, true, HTTP_FRAMING_LENGTH, 5 },
	{ OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
	    200, true, HTTP_FRAMING_LENGTH, 5 },
	{ OK "Content-Length: 5, 5\r\n\r\n", 200, true, HTTP_FRAMING_LENGTH, 5 },
	{ OK "Content-Length: 0\r\n\r\n", 200, true, HTTP_FRAMING_LENGTH, 0 },
	{ OK "Transfer-Encoding: Chunked\r\n\r\n",
	    200, true, HTTP_FRAMING_CHUNKED, 0 },
	{ OK "\r\n", 200, false, HTTP_FRAMING_CLOSE, 0 },
	{ OK "Connection: close\r\nContent-Length: 1\r\n\r\n",
	    200, false, HTTP_FRAMING_LENGTH, 1 },
	{ OK "Connection: foo, Close\r\nContent-Length: 1\r\n\r\n",
	    200, false, HTTP_FRAMING_LENGTH, 1 },
	{ "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
	    200, false, HTTP_FRAMING_LENGTH, 1 },
	{ "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n",
	    200, true, HTTP_FRAMING_LENGTH, 1 },
	{ "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
	    204, true, HTTP_FRAMING_LENGTH, 0 },
	{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
	    304, true, HTTP_FRAMING_LENGTH, 0 },
	{ "HTTP/1.1 503\r\nContent-Length: 2\r\n\r\n",
	    503, true, HTTP_FRAMING_LENGTH, 2 },
	{ "HTTP/1.1 200 \nContent-Length: 2\n\n",
	    200, true, HTTP_FRAMING_LENGTH, 2 },
	{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
	  OK "Content-Length: 3\r\n\r\n", 200, true, HTTP_FRAMING_LENGTH, 3 },
};

static const char *const bad[] = {
	"GET / HTTP/1.1\r\n\r\n",
	"HTTP/2 200 OK\r\n\r\n",
	"HTTP/1.x 200 OK\r\n\r\n",
	"HTTP/1.1 20 OK\r\n\r\n",
	"HTTP/1.1 2000 OK\r\n\r\n",
	"HTTP/1.1 099 OK\r\n\r\n",
	"HTTP/1.1  200 OK\r\n\r\n",
	"HTTP/1.1 200 O\x01K\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\n\r\n",
	OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
	OK "Content-Length: 5, 6\r\n\r\n",
	OK "Content-Length:\r\n\r\n",
	OK "Content-Length: -1\r\n\r\n",
	OK "Content-Length: +1\r\n\r\n",
	OK "Content-Length: 0x10\r\n\r\n",
	OK "Content-Length: 99999999999999999999\r\n\r\n",
	OK "Transfer-Encoding: gzip, chunked\r\n\r\n",
	OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	OK "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	OK "Content-Length : 5\r\n\r\n",
	OK "no colon here\r\n\r\n",
	OK ": no name\r\n\r\n",
	OK "X: a\r\n folded\r\n\r\n",
	OK "X: a\rb\r\n\r\n",
};

static void test_a_good_head_says_where_its_body_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct http_head h;
		size_t len = strlen(good[i].text);

		assert_int_equal(http_head_parse(&h, good[i].text, len),
		    HTTP_HEAD_OK);
		assert_int_equal(h.status, good[i].status);
		assert_int_equal(h.keep_alive, good[i].keep_alive);
		assert_int_equal(h.framing, good[i].framing);
		assert_int_equal(h.body_bytes, good[i].body_bytes);
		assert_int_equal(h.head_bytes, len);
	}
}

/* In memory of that very size, so that ASan sees a byte read too far. */
static enum http_head_result parse_prefix(const char *text, size_t len)
{
	char *exact = malloc(len != 0 ? len : 1);
	struct http_head h;
	enum http_head_result result;

	memcpy(exact, text, len);
	result = http_head_parse(&h, exact, len);
	free(exact);
	return result;
}

static void test_every_truncation_of_a_good_head_is_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		for (size_t cut = 0; cut < strlen(good[i].text); cut++)
			assert_int_equal(parse_prefix(good[i].text, cut),
			    HTTP_HEAD_MORE);
}

static void test_what_may_be_read_in_two_ways_is_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(parse_prefix(bad[i], strlen(bad[i])),
		    HTTP_HEAD_BAD);
}

/* Whatever a prefix is called, it stays: no prefix of a bad head is good. */
static void test_no_prefix_of_a_bad_head_is_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		for (size_t cut = 0; cut < strlen(bad[i]); cut++)
			assert_int_not_equal(parse_prefix(bad[i], cut),
			    HTTP_HEAD_OK);
}

static void test_what_follows_the_head_is_not_looked_at(void **state)
{
	static const char text[] = OK "Content-Length: 3\r\n\r\nHTTP/1.1 999\n\n";
	struct http_head h;

	(void)state;
	assert_int_equal(http_head_parse(&h, text, sizeof(text) - 1),
	    HTTP_HEAD_OK);
	assert_int_equal(h.head_bytes, sizeof(OK "Content-Length: 3\r\n\r\n") - 1);
}

static void test_a_head_without_end_is_too_big(void **state)
{
	static char text[HTTP_HEAD_MAX + 100];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, OK "X: ", sizeof(OK "X: ") - 1);
	assert_int_equal(parse_prefix(text, HTTP_HEAD_MAX - 1), HTTP_HEAD_MORE);
	assert_int_equal(parse_prefix(text, HTTP_HEAD_MAX), HTTP_HEAD_TOO_BIG);
	memcpy(text + HTTP_HEAD_MAX + 1, "\r\n\r\n", 4);
	assert_int_equal(parse_prefix(text, sizeof(text)), HTTP_HEAD_TOO_BIG);
}

static const struct {
	const char *text, *body, *rest;
} chunked_good[] = {
	{ "5\r\nhello\r\n0\r\n\r\n", "hello", "" },
	{ "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nnext", "hello world", "next" },
	{ "0\r\n\r\n", "", "" },
	{ "000\r\n\r\n", "", "" },
	{ "A;name=value\r\n0123456789\r\n0;last\r\n\r\n", "0123456789", "" },
	{ "a ; x=\"y\"\r\n0123456789\r\n0\r\n\r\n", "0123456789", "" },
	{ "1\na\n0\n\n", "a", "" },
	{ "1\r\na\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\nZ", "a", "Z" },
};

/* Feeds pieces of `step` bytes; the answer must not depend on it. */
static enum http_chunked_result decode(const char *text, size_t step,
    char *body, size_t *rest)
{
	struct http_chunked c = { .state = 0 };
	enum http_chunked_result result = HTTP_CHUNKED_MORE;
	size_t len = strlen(text), n = 0;

	body[0] = '\0';
	for (size_t at = 0; at < len && result == HTTP_CHUNKED_MORE; at += step) {
		struct span data, piece = { text + at,
			len - at < step ? len - at : step };

		while ((result = http_chunked_next(&c, &piece, &data)) ==
		    HTTP_CHUNKED_DATA) {
			memcpy(body + n, data.ptr, data.len);
			n += data.len;
			body[n] = '\0';
		}
		*rest = (size_t)(piece.ptr - text);
	}
	return result;
}

static void test_chunks_join_to_the_body_however_they_are_cut(void **state)
{
	char body[64];
	size_t rest = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(chunked_good); i++)
		for (size_t step = 1; step < 40; step++) {
			assert_int_equal(decode(chunked_good[i].text, step,
				body, &rest), HTTP_CHUNKED_END);
			assert_string_equal(body, chunked_good[i].body);
			assert_string_equal(chunked_good[i].text + rest,
			    chunked_good[i].rest);
		}
}

static void test_every_truncation_of_chunks_is_more(void **state)
{
	char body[64], text[128];
	size_t rest;

	(void)state;
	for (size_t i = 0; i < COUNT(chunked_good); i++) {
		size_t whole = strlen(chunked_good[i].text) -
		    strlen(chunked_good[i].rest);

		for (size_t cut = 0; cut < whole; cut++) {
			snprintf(text, sizeof(text), "%.*s", (int)cut,
			    chunked_good[i].text);
			assert_int_equal(decode(text, 7, body, &rest),
			    HTTP_CHUNKED_MORE);
		}
	}
}

static const char *const chunked_bad[] = {
	"\r\n",
	"x\r\n",
	";ext\r\n",
	"-1\r\n",
	"1\rX",
	"1\r\nab\r\n",
	"1\r\na\rX",
	"fffffffffffffffff\r\n",
	"0000000000000000001\r\na\r\n",
	"0\r\n\rX",
};

static void test_bad_chunks_are_bad_however_they_are_cut(void **state)
{
	char body[64];
	size_t rest;

	(void)state;
	for (size_t i = 0; i < COUNT(chunked_bad); i++)
		for (size_t step = 1; step < 20; step++)
			assert_int_equal(decode(chunked_bad[i], step, body,
				&rest), HTTP_CHUNKED_BAD);
}

static void test_endless_extensions_and_trailers_are_bad(void **state)
{
	static char text[20000];
	char body[64];
	size_t rest;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "1;", 2);
	assert_int_equal(decode(text, 100, body, &rest), HTTP_CHUNKED_BAD);
	memcpy(text, "0\r\nX:", 5);
	assert_int_equal(decode(text, 100, body, &rest), HTTP_CHUNKED_BAD);
	for (size_t i = 3; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "a\r\n", 3);
	assert_int_equal(decode(text, 100, body, &rest), HTTP_CHUNKED_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_head_says_where_its_body_ends),
		cmocka_unit_test(test_every_truncation_of_a_good_head_is_more),
		cmocka_unit_test(test_what_may_be_read_in_two_ways_is_bad),
		cmocka_unit_test(test_no_prefix_of_a_bad_head_is_good),
		cmocka_unit_test(test_what_follows_the_head_is_not_looked_at),
		cmocka_unit_test(test_a_head_without_end_is_too_big),
		cmocka_unit_test(test_chunks_join_to_the_body_however_they_are_cut),
		cmocka_unit_test(test_every_truncation_of_chunks_is_more),
		cmocka_unit_test(test_bad_chunks_are_bad_however_they_are_cut),
		cmocka_unit_test(test_endless_extensions_and_trailers_are_bad),
	};

	return cmocka_run_group_tests_name("http_head", tests, NULL, NULL);
}
