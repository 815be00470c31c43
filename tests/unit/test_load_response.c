/*
 * test_load_response.c - answers and their events, as epp-load reads them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sim/load_response.c"
#include "sim/load_sse.c"

static void on_data(void *user, struct span data)
{
	buf_put(user, data.ptr, data.len);
	buf_puts(user, "|");
}

static void on_body(void *user, struct span bytes)
{
	assert_true(load_sse_feed(user, bytes));
}

static const char stream[] =
    "HTTP/1.1 100 Continue\r\n\r\n"
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    "x-sim-server: 127.0.0.1:9\r\nX-Sim-Cached-Tokens: 48\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
    "8\r\ndata: {\"\r\n" "9;x=y\r\na\":1}\r\n\r\n\r\n"
    "10\r\n: note\ndata:two\n\r\n" "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

/* The stream in pieces of `step` bytes; how far the last feed got. */
static enum load_response_result read_stream(size_t len, size_t step,
    struct buf *events, struct load_response *r)
{
	enum load_response_result rc = LOAD_RESPONSE_MORE;
	struct load_sse sse;

	buf_init(events, 4096);
	load_sse_init(&sse, on_data, events);
	load_response_init(r, on_body, &sse);
	for (size_t at = 0; at < len; at += step) {
		size_t n = len - at < step ? len - at : step;

		assert_int_equal(rc, LOAD_RESPONSE_MORE);
		rc = load_response_feed(r, (struct span){ stream + at, n });
	}
	load_sse_fini(&sse);
	return rc;
}

static void test_any_cut_reads_the_same(void **state)
{
	(void)state;
	for (size_t step = 1; step <= sizeof(stream); step++) {
		struct load_response r;
		struct buf events;

		assert_int_equal(read_stream(sizeof(stream) - 1, step,
		    &events, &r), LOAD_RESPONSE_DONE);
		assert_int_equal(r.status, 200);
		assert_int_equal(r.cached_tokens, 48);
		assert_string_equal(r.server, "127.0.0.1:9");
		assert_true(span_is_text(buf_span(&events),
		    "{\"a\":1}|two|[DONE]|"));
		load_response_fini(&r);
		buf_fini(&events);
	}
}

static void test_every_truncation_wants_more(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(stream) - 1; len++) {
		struct load_response r;
		struct buf events;

		assert_int_equal(read_stream(len, len + 1, &events, &r),
		    LOAD_RESPONSE_MORE);
		assert_int_equal(load_response_eof(&r), LOAD_RESPONSE_BAD);
		load_response_fini(&r);
		buf_fini(&events);
	}
}

static void test_members_are_found(void **state)
{
	static const char json[] = "{\"text\": \"say \\\"content\\\":\\\"x\\\""
	    "\",\"content\":null,\"cached_tokens\":12}";
	(void)state;

	assert_true(span_is_text(load_json_string(span_of(json), "text"),
	    "say \\\"content\\\":\\\"x\\\""));
	assert_null(load_json_string(span_of(json), "content").ptr);
	assert_int_equal(load_json_number(span_of(json), "cached_tokens"), 12);
	assert_int_equal(load_json_number(span_of(json), "prompt"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_cut_reads_the_same),
		cmocka_unit_test(test_every_truncation_wants_more),
		cmocka_unit_test(test_members_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
