/*
 * A server played by the test itself, in turns with the client on one thread:
 * each byte is sent when the test says so, so nothing here depends on timing but
 * the two tests of deadlines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <ev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "http.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HELLO OK "Content-Length: 5\r\n\r\nhello"

enum { MAX_BYTES = 200000, WAIT_MS = 5000 };

struct play {
	struct ev_loop *loop;
	struct http_client *client;
	struct http_target *target;
	int listener, peer;		/* the server's sockets */
	uint16_t port;
	char request[4096];		/* the last one */

	size_t n_done, n_body, abort_at;
	enum http_result result;
	int status;
	bool again;			/* on_done starts the next fetch */
	bool frees;			/* on_done frees the target */
	char body[MAX_BYTES + 1];
};

static bool on_body(void *data, const void *bytes, size_t len)
{
	struct play *p = data;

	assert_true(p->n_body + len <= MAX_BYTES);
	memcpy(p->body + p->n_body, bytes, len);
	p->n_body += len;
	p->body[p->n_body] = '\0';
	return p->abort_at == 0 || p->n_body < p->abort_at;
}

static void get(struct play *p)
{
	p->n_body = 0;
	p->body[0] = '\0';
	http_target_get(p->target, clock_ms() + WAIT_MS);
}

static void on_done(void *data, enum http_result result, int status)
{
	struct play *p = data;

	assert_false(http_target_is_busy(p->target));
	p->n_done++;
	p->result = result;
	p->status = status;
	if (p->again) {
		p->again = false;
		get(p);
	}
	if (p->frees) {
		http_target_free(p->target);
		p->target = NULL;
	}
}

static void listen_on(struct play *p, int family)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
	struct sockaddr *any = family == AF_INET ? (void *)&v4 : (void *)&v6;

	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v6.sin6_addr = in6addr_loopback;
	p->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(p->listener, any, len) != 0 || listen(p->listener, 8) != 0) {
		close(p->listener);
		p->listener = -1;
		return;
	}
	getsockname(p->listener, any, &len);
	p->port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
}

static struct http_target *target_to(struct play *p, const char *host,
    const char *address, const char *path, struct fault *why)
{
	struct http_target_options o = {
		.host = host,
		.address = address,
		.port = p->port,
		.path = path,
		.max_bytes = MAX_BYTES,
		.on_body = on_body,
		.on_done = on_done,
		.data = p,
	};

	return http_target_new(p->client, &o, why);
}

static int setup(void **state)
{
	struct play *p = calloc(1, sizeof(*p));
	struct fault why = { .is_set = false };

	p->loop = ev_loop_new(EVFLAG_AUTO);
	p->client = http_client_new(p->loop);
	p->peer = -1;
	listen_on(p, AF_INET);
	p->target = target_to(p, "engine", "127.0.0.1", "/metrics", &why);
	*state = p;
	return p->target != NULL && p->listener >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	struct play *p = *state;

	http_target_free(p->target);
	http_client_free(p->client);
	ev_loop_destroy(p->loop);
	if (p->peer >= 0)
		close(p->peer);
	close(p->listener);
	free(p);
	return 0;
}

static void turn(struct play *p)
{
	ev_run(p->loop, EVRUN_NOWAIT);
}

/* Gives the client turns until the server's socket has something. */
static void await(struct play *p, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int64_t until = clock_ms() + WAIT_MS;

	do {
		turn(p);
		assert_true(clock_ms() < until);
	} while (poll(&pfd, 1, 1) == 0);
}

static void close_peer(struct play *p)
{
	close(p->peer);
	p->peer = -1;
}

/* The server takes one request, on a new connection if it has none. */
static void take_request(struct play *p)
{
	size_t n = 0;

	if (p->peer < 0) {
		await(p, p->listener);
		p->peer = accept(p->listener, NULL, NULL);
	}
	do {
		ssize_t got;

		await(p, p->peer);
		got = read(p->peer, p->request + n, sizeof(p->request) - 1 - n);
		assert_true(got > 0);
		n += (size_t)got;
		p->request[n] = '\0';
	} while (strstr(p->request, "\r\n\r\n") == NULL);
}

static void reply(struct play *p, const char *bytes, size_t len)
{
	assert_int_equal(send(p->peer, bytes, len, MSG_NOSIGNAL), len);
}

static void finish(struct play *p, size_t n_done)
{
	int64_t until = clock_ms() + WAIT_MS;

	while (p->n_done < n_done) {
		assert_true(clock_ms() < until);
		ev_run(p->loop, EVRUN_ONCE);
	}
	assert_int_equal(p->n_done, n_done);
}

/* One whole fetch: ask, answer, end. */
static void fetch(struct play *p, const char *text)
{
	size_t n_done = p->n_done;

	get(p);
	take_request(p);
	reply(p, text, strlen(text));
	finish(p, n_done + 1);
}

static void assert_fetched(struct play *p, const char *body)
{
	assert_int_equal(p->result, HTTP_OK);
	assert_int_equal(p->status, 200);
	assert_string_equal(p->body, body);
}

static void test_a_kept_connection_carries_the_next_fetch(void **state)
{
	struct play *p = *state;

	fetch(p, HELLO);
	assert_fetched(p, "hello");
	assert_non_null(strstr(p->request, "GET /metrics HTTP/1.1\r\n"));
	assert_non_null(strstr(p->request, "\r\nHost: engine:"));
	for (int i = 0; i < 100; i++) {	/* accept() would block: same peer */
		fetch(p, OK "Transfer-Encoding: chunked\r\n\r\n"
		    "3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n");
		assert_fetched(p, "hello");
	}
}

static void test_on_done_may_start_the_next_fetch(void **state)
{
	struct play *p = *state;

	p->again = true;
	fetch(p, HELLO);
	assert_true(http_target_is_busy(p->target));
	take_request(p);
	reply(p, HELLO, sizeof(HELLO) - 1);
	finish(p, 2);
	assert_fetched(p, "hello");
}

static void test_on_done_may_free_the_target(void **state)
{
	struct play *p = *state;

	p->frees = true;
	fetch(p, HELLO);
	assert_int_equal(p->result, HTTP_OK);
	assert_int_equal(read(p->peer, p->request, 1), 0);
}

static const char *const answers[] = {
	HELLO,
	"HTTP/1.1 100 Continue\r\n\r\n" HELLO,
	OK "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
	OK "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n",
};

static void test_a_page_may_be_split_at_every_byte(void **state)
{
	struct play *p = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++)
		for (size_t cut = 0; cut <= strlen(answers[i]); cut++) {
			size_t n_done = p->n_done;

			get(p);
			take_request(p);
			if (cut > 0)
				reply(p, answers[i], cut);
			turn(p);
			if (answers[i][cut] != '\0')
				reply(p, answers[i] + cut, strlen(answers[i] + cut));
			finish(p, n_done + 1);
			assert_fetched(p, "hello");
		}
}

static void test_a_page_may_come_byte_by_byte(void **state)
{
	struct play *p = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		get(p);
		take_request(p);
		for (const char *at = answers[i]; *at != '\0'; at++) {
			assert_int_equal(p->n_done, i);
			reply(p, at, 1);
			turn(p);
		}
		finish(p, i + 1);
		assert_fetched(p, "hello");
	}
}

static void test_a_page_larger_than_the_read_buffer_is_whole(void **state)
{
	struct play *p = *state;
	size_t len = MAX_BYTES;
	char *page = malloc(len);

	for (size_t i = 0; i < len; i++)
		page[i] = (char)('a' + i % 23);
	get(p);
	take_request(p);
	reply(p, OK "Content-Length: 200000\r\n\r\n",
	    strlen(OK "Content-Length: 200000\r\n\r\n"));
	for (size_t at = 0; at < len; at += 20000) {
		reply(p, page + at, 20000);
		turn(p);
	}
	finish(p, 1);
	assert_int_equal(p->result, HTTP_OK);
	assert_int_equal(p->n_body, len);
	assert_memory_equal(p->body, page, len);
	free(page);
}

static void test_a_body_may_end_with_the_connection(void **state)
{
	struct play *p = *state;

	for (size_t i = 1; i <= 2; i++) {
		get(p);
		take_request(p);
		reply(p, "HTTP/1.0 200 OK\r\n\r\nhello", 24);
		close_peer(p);
		finish(p, i);
		assert_fetched(p, "hello");
	}
}

static void test_connection_close_is_obeyed(void **state)
{
	struct play *p = *state;

	for (int i = 0; i < 2; i++) {
		fetch(p, OK "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
		assert_fetched(p, "hello");
		assert_int_equal(read(p->peer, p->request, 1), 0);
		close_peer(p);
	}
}

/* Closed while idle and seen: no retry is needed, a new connection is made. */
static void test_a_close_while_idle_costs_nothing(void **state)
{
	struct play *p = *state;

	fetch(p, HELLO);
	close_peer(p);
	turn(p);
	fetch(p, HELLO);
	assert_fetched(p, "hello");
}

static void test_a_stale_connection_is_retried_once(void **state)
{
	struct play *p = *state;

	fetch(p, HELLO);
	get(p);
	take_request(p);
	close_peer(p);		/* after the request, before an answer */
	take_request(p);
	reply(p, HELLO, sizeof(HELLO) - 1);
	finish(p, 2);
	assert_fetched(p, "hello");

	get(p);
	take_request(p);
	close_peer(p);
	take_request(p);
	close_peer(p);		/* the second time it is a failure */
	finish(p, 3);
	assert_int_equal(p->result, HTTP_CLOSED);
}

/* Closed before the loop could see it: send() itself meets a dead connection. */
static void test_a_connection_that_was_reset_is_retried(void **state)
{
	struct play *p = *state;
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	fetch(p, HELLO);
	setsockopt(p->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close_peer(p);
	fetch(p, HELLO);
	assert_fetched(p, "hello");
}

static void test_a_new_connection_is_not_retried(void **state)
{
	struct play *p = *state;

	get(p);
	take_request(p);
	close_peer(p);
	finish(p, 1);
	assert_int_equal(p->result, HTTP_CLOSED);
	assert_int_equal(p->status, 0);
}

static void test_a_close_in_the_body_is_a_failure(void **state)
{
	static const char *const cuts[] = {
		OK "Content-Length: 5\r\n\r\nhell",
		OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
	};
	struct play *p = *state;

	for (size_t i = 0; i < 2; i++) {
		get(p);
		take_request(p);
		reply(p, cuts[i], strlen(cuts[i]));
		close_peer(p);
		finish(p, i + 1);
		assert_int_equal(p->result, HTTP_CLOSED);
		assert_int_equal(p->status, 200);
	}
}

static void test_garbage_is_bad_and_not_waited_for(void **state)
{
	static const char *const garbage[] = {
		"SSH-2.0-OpenSSH", "\x15\x03\x01", OK "Content-Length: x\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\nzz",
	};
	struct play *p = *state;

	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		fetch(p, garbage[i]);
		assert_int_equal(p->result, HTTP_BAD);
		assert_int_equal(read(p->peer, p->request, 1), 0);
		close_peer(p);
	}
}

static void test_bytes_behind_the_body_cost_the_connection(void **state)
{
	struct play *p = *state;

	fetch(p, HELLO "HTTP/1.1 200 OK\r\n");
	assert_fetched(p, "hello");
	assert_int_equal(recv(p->peer, p->request, 1, 0), 0);
}

static void test_a_page_too_big_is_left_at_its_head(void **state)
{
	struct play *p = *state;

	fetch(p, OK "Content-Length: 200001\r\n\r\n");
	assert_int_equal(p->result, HTTP_TOO_BIG);
	assert_int_equal(p->n_body, 0);
	close_peer(p);
	fetch(p, OK "Transfer-Encoding: chunked\r\n\r\n30d41\r\n");
	assert_true(p->result == HTTP_TOO_BIG);
}

static void test_a_chunk_over_the_ceiling_is_too_big(void **state)
{
	struct play *p = *state;
	char piece[1000] = { 0 };

	get(p);
	take_request(p);
	reply(p, OK "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n",
	    strlen(OK "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n"));
	for (int i = 0; i <= MAX_BYTES / 1000 && p->n_done == 0; i++) {
		reply(p, piece, sizeof(piece));
		turn(p);
	}
	finish(p, 1);
	assert_int_equal(p->result, HTTP_TOO_BIG);
}

static void test_a_head_without_end_is_too_big(void **state)
{
	struct play *p = *state;
	static char head[20000];

	memset(head, 'x', sizeof(head) - 1);
	memcpy(head, OK "X: ", strlen(OK "X: "));
	fetch(p, head);
	assert_int_equal(p->result, HTTP_TOO_BIG);
	assert_int_equal(p->status, 0);
}

static void test_an_error_page_is_drained_and_not_delivered(void **state)
{
	struct play *p = *state;

	fetch(p, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
	assert_int_equal(p->result, HTTP_OK);
	assert_int_equal(p->status, 503);
	assert_int_equal(p->n_body, 0);
	fetch(p, "HTTP/1.1 204 No Content\r\n\r\n");	/* the same connection */
	assert_int_equal(p->status, 204);
}

static void test_on_body_can_abort(void **state)
{
	struct play *p = *state;

	p->abort_at = 3;
	fetch(p, HELLO);
	assert_int_equal(p->result, HTTP_ABORTED);
	assert_int_equal(read(p->peer, p->request, 1), 0);
}

static void test_a_silent_server_meets_the_deadline(void **state)
{
	struct play *p = *state;
	int64_t start = clock_ms();

	http_target_get(p->target, start + 30);
	take_request(p);
	reply(p, OK "Content-Length: 5\r\n\r\nhe", 40);
	finish(p, 1);
	assert_int_equal(p->result, HTTP_TIMEOUT);
	assert_int_equal(p->status, 200);
	assert_in_range(clock_ms() - start, 30, 1000);
	close_peer(p);
	fetch(p, HELLO);
	assert_fetched(p, "hello");
}

/* A later deadline first: the timer must come forward for the earlier one. */
static void test_each_fetch_has_its_own_deadline(void **state)
{
	struct play *p = *state;
	struct fault why = { .is_set = false };
	struct http_target *slow = p->target;
	int64_t start = clock_ms();

	p->target = target_to(p, "b", "127.0.0.1", "/", &why);
	http_target_get(slow, start + 200);
	http_target_get(p->target, start + 20);
	finish(p, 1);
	assert_in_range(clock_ms() - start, 20, 199);
	assert_true(http_target_is_busy(slow));
	http_target_free(p->target);
	p->target = slow;
	finish(p, 2);
	assert_in_range(clock_ms() - start, 200, 1000);
	assert_int_equal(p->result, HTTP_TIMEOUT);
}

static void test_a_closed_port_is_told_later_not_at_once(void **state)
{
	struct play *p = *state;

	close(p->listener);
	p->listener = -1;
	get(p);
	assert_int_equal(p->n_done, 0);
	p->again = true;
	finish(p, 2);
	assert_int_equal(p->result, HTTP_CONNECT);
	assert_int_equal(p->status, 0);
}

static void test_a_freed_target_says_nothing_more(void **state)
{
	struct play *p = *state;
	struct fault why = { .is_set = false };

	get(p);
	take_request(p);
	http_target_free(p->target);
	assert_int_equal(read(p->peer, p->request, 1), 0);
	p->target = target_to(p, "engine", "127.0.0.1", "/", &why);
	turn(p);
	assert_int_equal(p->n_done, 0);
}

static void test_ipv6_is_spoken_and_written_in_brackets(void **state)
{
	struct play *p = *state;
	struct fault why = { .is_set = false };

	close(p->listener);
	listen_on(p, AF_INET6);
	if (p->listener < 0)
		skip();
	http_target_free(p->target);
	p->target = target_to(p, "::1", "::1", "/metrics", &why);
	fetch(p, HELLO);
	assert_fetched(p, "hello");
	assert_non_null(strstr(p->request, "\r\nHost: [::1]:"));
}

/* ---- POST ---- */

static void post(struct play *p, const char *body, size_t len)
{
	p->n_body = 0;
	http_target_post(p->target, (struct span){ body, len },
	    clock_ms() + WAIT_MS);
}

/* The server takes a head by take_request(), and its body, until all is there. */
static void take_body(struct play *p, char *body, size_t len)
{
	char *end = strstr(p->request, "\r\n\r\n") + 4;
	size_t n = strlen(end);

	assert_true(n <= len);
	memcpy(body, end, n);
	while (n < len) {
		ssize_t got;

		await(p, p->peer);
		got = read(p->peer, body + n, len - n);
		assert_true(got > 0);
		n += (size_t)got;
	}
}

static void test_a_post_has_its_body_and_its_length(void **state)
{
	struct play *p = *state;
	char body[16] = "";

	for (int i = 0; i < 3; i++) {	/* by turns, over one connection */
		post(p, "{\"a\":1}", 7);
		take_request(p);
		take_body(p, body, 7);
		assert_string_equal(body, "{\"a\":1}");
		assert_int_equal(strncmp(p->request, "POST /metrics HTTP/1.1\r\n",
		    24), 0);
		assert_non_null(strstr(p->request,
		    "\r\nContent-Type: application/json\r\n"));
		assert_non_null(strstr(p->request, "\r\nContent-Length: 7\r\n"));
		reply(p, HELLO, sizeof(HELLO) - 1);
		finish(p, (size_t)i * 2 + 1);
		assert_fetched(p, "hello");
		fetch(p, HELLO);
		assert_fetched(p, "hello");
		assert_non_null(strstr(p->request, "GET /metrics HTTP/1.1\r\n"));
		assert_null(strstr(p->request, "Content-"));
	}
}

static void test_a_post_without_a_body_says_so(void **state)
{
	struct play *p = *state;

	post(p, NULL, 0);
	take_request(p);
	assert_non_null(strstr(p->request, "\r\nContent-Length: 0\r\n"));
	reply(p, HELLO, sizeof(HELLO) - 1);
	finish(p, 1);
	assert_fetched(p, "hello");
}

/* More than sockets take at once: nothing is lost or sent twice. */
static void test_a_post_larger_than_the_socket_is_whole(void **state)
{
	enum { BIG = 8 << 20 };
	struct play *p = *state;
	char *sent = malloc(BIG), *got = malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		sent[i] = (char)('a' + i % 23);
	post(p, sent, BIG);
	take_request(p);
	take_body(p, got, BIG);
	assert_memory_equal(got, sent, BIG);
	reply(p, HELLO, sizeof(HELLO) - 1);
	finish(p, 1);
	assert_fetched(p, "hello");
	free(sent);
	free(got);
}

static void test_a_post_on_a_stale_connection_is_sent_again_whole(void **state)
{
	struct play *p = *state;
	char body[16] = "";

	fetch(p, HELLO);
	close_peer(p);
	post(p, "{\"b\":22}", 8);
	take_request(p);
	take_body(p, body, 8);
	assert_string_equal(body, "{\"b\":22}");
	reply(p, HELLO, sizeof(HELLO) - 1);
	finish(p, 2);
	assert_fetched(p, "hello");
}

static void test_a_target_that_cannot_be_asked_is_a_fault(void **state)
{
	struct play *p = *state;
	static const char *const bad[][3] = {
		{ "h", "engine.example", "/" },
		{ "h", "127.0.0.1", "metrics" },
		{ "h", "127.0.0.1", "/a b" },
		{ "h\r\nX: y", "127.0.0.1", "/" },
		{ "", "127.0.0.1", "/" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fault why = { .is_set = false };

		assert_null(target_to(p, bad[i][0], bad[i][1], bad[i][2], &why));
		assert_true(why.is_set && why.want[0] != '\0');
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_kept_connection_carries_the_next_fetch),
		TEST(test_on_done_may_start_the_next_fetch),
		TEST(test_on_done_may_free_the_target),
		TEST(test_a_page_may_be_split_at_every_byte),
		TEST(test_a_page_may_come_byte_by_byte),
		TEST(test_a_page_larger_than_the_read_buffer_is_whole),
		TEST(test_a_body_may_end_with_the_connection),
		TEST(test_connection_close_is_obeyed),
		TEST(test_a_close_while_idle_costs_nothing),
		TEST(test_a_stale_connection_is_retried_once),
		TEST(test_a_connection_that_was_reset_is_retried),
		TEST(test_a_new_connection_is_not_retried),
		TEST(test_a_close_in_the_body_is_a_failure),
		TEST(test_garbage_is_bad_and_not_waited_for),
		TEST(test_bytes_behind_the_body_cost_the_connection),
		TEST(test_a_page_too_big_is_left_at_its_head),
		TEST(test_a_chunk_over_the_ceiling_is_too_big),
		TEST(test_a_head_without_end_is_too_big),
		TEST(test_an_error_page_is_drained_and_not_delivered),
		TEST(test_on_body_can_abort),
		TEST(test_a_silent_server_meets_the_deadline),
		TEST(test_each_fetch_has_its_own_deadline),
		TEST(test_a_closed_port_is_told_later_not_at_once),
		TEST(test_a_freed_target_says_nothing_more),
		TEST(test_ipv6_is_spoken_and_written_in_brackets),
		TEST(test_a_post_has_its_body_and_its_length),
		TEST(test_a_post_without_a_body_says_so),
		TEST(test_a_post_larger_than_the_socket_is_whole),
		TEST(test_a_post_on_a_stale_connection_is_sent_again_whole),
		TEST(test_a_target_that_cannot_be_asked_is_a_fault),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
