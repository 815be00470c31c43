/*
 * test_sim_request.c - requests, as epp-sim reads them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sim/sim_request.c"

static const char posts[] =
    "POST /a?b=c HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n\r\nhello"
    "POST /a?b=c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    "2\r\nhe\r\n3;q\r\nllo\r\n0\r\nT: v\r\n\r\n";

static void test_requests_follow_each_other(void **state)
{
	(void)state;
	for (size_t step = 1; step < sizeof(posts); step++) {
		struct sim_request r;
		struct buf in;
		unsigned n = 0;

		sim_request_init(&r);
		buf_init(&in, 4096);
		for (size_t at = 0; at < sizeof(posts) - 1; at += step) {
			size_t len = sizeof(posts) - 1 - at;

			buf_put(&in, posts + at, len < step ? len : step);
			while (sim_request_feed(&r, &in) == SIM_REQUEST_DONE) {
				assert_true(span_is_text(r.path, "/a"));
				assert_true(span_is_text(r.query, "b=c"));
				assert_true(span_is_text(buf_span(&r.body),
				    "hello"));
				assert_true(r.keep_alive);
				sim_request_clear(&r);
				n++;
			}
		}
		assert_int_equal(n, 2);
		assert_int_equal(in.len, 0);
		sim_request_fini(&r);
		buf_fini(&in);
	}
}

static void test_hostile_requests_are_bad(void **state)
{
	static const char *const bad[] = {
		"GARBAGE\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\n"
		    "Content-Length: 1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "ffffffff\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "1\r\nabc\r\n",
	};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct sim_request r;
		struct buf in;

		sim_request_init(&r);
		buf_init(&in, 4096);
		buf_puts(&in, bad[i]);
		assert_int_equal(sim_request_feed(&r, &in), SIM_REQUEST_BAD);
		assert_in_range(r.bad_status, 400, 431);
		sim_request_fini(&r);
		buf_fini(&in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_follow_each_other),
		cmocka_unit_test(test_hostile_requests_are_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
