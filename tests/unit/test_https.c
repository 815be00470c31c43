/*
 * The server is `openssl s_server` with its stdin and stdout in our hands: what it
 * decrypts we read, what we write it encrypts. It serves one connection at a time.
 * Key and certificate are made for the run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "http.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HELLO OK "Content-Length: 5\r\n\r\nhello"

enum { MAX_BYTES = 100000, WAIT_MS = 10000 };

static char dir[] = "/tmp/test_https.XXXXXX";
static char cert[64], key[64];
static bool has_openssl;

struct play {
	struct ev_loop *loop;
	struct http_client *client;
	struct http_target *target;
	pid_t server;
	int to_server, from_server;
	uint16_t port;
	char request[4096];
	size_t n_done, n_body;
	bool aborts, frees;
	enum http_result result;
	int status;
	char body[MAX_BYTES + 1];
};

static bool on_body(void *data, const void *bytes, size_t len)
{
	struct play *p = data;

	assert_true(p->n_body + len <= MAX_BYTES);
	memcpy(p->body + p->n_body, bytes, len);
	p->n_body += len;
	p->body[p->n_body] = '\0';
	return !p->aborts;
}

static void on_done(void *data, enum http_result result, int status)
{
	struct play *p = data;

	assert_false(http_target_is_busy(p->target));
	p->n_done++;
	p->result = result;
	p->status = status;
	if (p->frees) {
		http_target_free(p->target);
		p->target = NULL;
	}
}

/* Bound, read and let go: the port is ours unless someone is very quick. */
static uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (void *)&a, len), 0);
	getsockname(fd, (void *)&a, &len);
	close(fd);
	return ntohs(a.sin_port);
}

static void exec_server(uint16_t port, int in, int out)
{
	char accept_at[32];

	snprintf(accept_at, sizeof(accept_at), "127.0.0.1:%u", (unsigned)port);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
	execlp("openssl", "openssl", "s_server", "-quiet", "-accept", accept_at,
	    "-cert", cert, "-key", key, (char *)NULL);
	_exit(127);
}

static void start_server(struct play *p)
{
	int in[2], out[2];

	p->port = free_port();
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p->server = fork();
	assert_true(p->server >= 0);
	if (p->server == 0)
		exec_server(p->port, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	p->to_server = in[1];
	p->from_server = out[0];
}

static bool is_listening(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ret;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ret = connect(fd, (void *)&a, sizeof(a));
	close(fd);
	return ret == 0;
}

static struct http_target *target_to(struct play *p, const char *host,
    const char *ca_file, bool skip_verify)
{
	struct http_target_options o = {
		.https = true,
		.host = host,
		.address = "127.0.0.1",
		.port = p->port,
		.path = "/metrics",
		.max_bytes = MAX_BYTES,
		.ca_file = ca_file,
		.insecure_skip_verify = skip_verify,
		.on_body = on_body,
		.on_done = on_done,
		.data = p,
	};
	struct fault why = { .is_set = false };

	return http_target_new(p->client, &o, &why);
}

static void retarget(struct play *p, const char *host, const char *ca_file,
    bool skip_verify)
{
	http_target_free(p->target);
	p->target = target_to(p, host, ca_file, skip_verify);
	assert_non_null(p->target);
}

static int setup(void **state)
{
	struct play *p = calloc(1, sizeof(*p));
	int64_t until = clock_ms() + WAIT_MS;

	*state = p;
	p->loop = ev_loop_new(EVFLAG_AUTO);
	p->client = http_client_new(p->loop);
	if (!has_openssl)
		return 0;
	start_server(p);
	while (!is_listening(p->port))
		if (clock_ms() > until || poll(NULL, 0, 5) != 0)
			return -1;
	p->target = target_to(p, "engine.test", cert, false);
	return p->target != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	struct play *p = *state;

	http_target_free(p->target);
	http_client_free(p->client);
	ev_loop_destroy(p->loop);
	if (p->server > 0) {
		close(p->to_server);
		close(p->from_server);
		kill(p->server, SIGKILL);
		waitpid(p->server, NULL, 0);
	}
	free(p);
	return 0;
}

static void get_by(struct play *p, int64_t deadline_ms)
{
	p->n_body = 0;
	p->body[0] = '\0';
	p->request[0] = '\0';
	http_target_get(p->target, deadline_ms);
}

static void finish(struct play *p)
{
	int64_t until = clock_ms() + WAIT_MS;

	while (p->target != NULL && http_target_is_busy(p->target)) {
		assert_true(clock_ms() < until);
		ev_run(p->loop, EVRUN_ONCE);
	}
}

static void take_request(struct play *p)
{
	struct pollfd pfd = { .fd = p->from_server, .events = POLLIN };
	int64_t until = clock_ms() + WAIT_MS;
	size_t n = 0;

	while (strstr(p->request, "\r\n\r\n") == NULL) {
		ssize_t got;

		ev_run(p->loop, EVRUN_NOWAIT);
		assert_true(clock_ms() < until);
		if (poll(&pfd, 1, 1) != 1)
			continue;
		got = read(p->from_server, p->request + n,
		    sizeof(p->request) - 1 - n);
		assert_true(got > 0);
		n += (size_t)got;
		p->request[n] = '\0';
	}
}

static void reply(struct play *p, const char *text)
{
	assert_int_equal(write(p->to_server, text, strlen(text)), strlen(text));
}

static void fetch(struct play *p, const char *text)
{
	size_t n_done = p->n_done;

	get_by(p, clock_ms() + WAIT_MS);
	take_request(p);
	reply(p, text);
	finish(p);
	assert_int_equal(p->n_done, n_done + 1);
}

static void assert_fetched(struct play *p)
{
	assert_int_equal(p->result, HTTP_OK);
	assert_int_equal(p->status, 200);
	assert_string_equal(p->body, "hello");
}

#define NEEDS_OPENSSL() \
	do { if (!has_openssl) { print_message("no openssl\n"); skip(); } } while (0)

/* A second connection would wait for ever: the server serves one at a time. */
static void test_a_verified_connection_is_kept(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	fetch(p, HELLO);
	assert_fetched(p);
	assert_non_null(strstr(p->request, "GET /metrics HTTP/1.1\r\n"));
	assert_non_null(strstr(p->request, "\r\nHost: engine.test:"));
	for (int i = 0; i < 20; i++) {
		fetch(p, OK "Transfer-Encoding: chunked\r\n\r\n"
		    "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
		assert_fetched(p);
	}
}

static size_t drain(struct play *p)
{
	struct pollfd pfd = { .fd = p->from_server, .events = POLLIN };
	char bytes[4096];
	ssize_t got;

	do {
		ev_run(p->loop, EVRUN_NOWAIT);
	} while (poll(&pfd, 1, 1) != 1);
	got = read(p->from_server, bytes, sizeof(bytes));
	assert_true(got > 0);
	return (size_t)got;
}

/* Both methods by one target; a body beyond where libcurl would say `Expect`: 1 MiB. */
static void test_a_post_carries_its_body(void **state)
{
	enum { BIG = 1100000 };
	static char body[BIG];
	struct play *p = *state;

	NEEDS_OPENSSL();
	memset(body, 'x', BIG);
	p->n_body = 0;
	p->request[0] = '\0';
	http_target_post(p->target, (struct span){ body, BIG },
	    clock_ms() + WAIT_MS);
	take_request(p);
	assert_non_null(strstr(p->request, "POST "));
	assert_non_null(strstr(p->request,
	    "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(p->request, "\r\nContent-Length: 1100000\r\n"));
	assert_null(strstr(p->request, "Expect"));
	for (size_t n = strlen(strstr(p->request, "\r\n\r\n") + 4); n < BIG;)
		n += drain(p);
	reply(p, HELLO);
	finish(p);
	assert_fetched(p);
	fetch(p, HELLO);
	assert_fetched(p);
	assert_non_null(strstr(p->request, "GET /metrics HTTP/1.1\r\n"));
	assert_null(strstr(p->request, "Content-"));
}

static void test_another_host_s_certificate_is_refused(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	retarget(p, "other.test", cert, false);
	get_by(p, clock_ms() + WAIT_MS);
	finish(p);
	assert_int_equal(p->result, HTTP_CONNECT);
	assert_int_equal(p->status, 0);
}

static void test_an_unknown_issuer_is_refused_unless_told(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	retarget(p, "engine.test", NULL, false);
	get_by(p, clock_ms() + WAIT_MS);
	finish(p);
	assert_int_equal(p->result, HTTP_CONNECT);
	retarget(p, "other.test", NULL, true);
	fetch(p, HELLO);
	assert_fetched(p);
}

static void test_on_done_may_free_the_target(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	p->frees = true;
	fetch(p, HELLO);
	assert_fetched(p);
}

static void test_an_error_page_is_not_delivered(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	fetch(p, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
	assert_int_equal(p->result, HTTP_OK);
	assert_int_equal(p->status, 503);
	assert_int_equal(p->n_body, 0);
}

static void test_a_page_too_big_is_left_at_its_head(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	fetch(p, OK "Content-Length: 100001\r\n\r\n");
	assert_int_equal(p->result, HTTP_TOO_BIG);
	fetch(p, HELLO);
	assert_fetched(p);
}

static void test_chunks_over_the_ceiling_are_too_big(void **state)
{
	struct play *p = *state;
	char chunk[1005] = "3e8\r\n";

	NEEDS_OPENSSL();
	memset(chunk + 5, 'x', sizeof(chunk) - 6);
	get_by(p, clock_ms() + WAIT_MS);
	take_request(p);
	reply(p, OK "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i <= MAX_BYTES / 1000; i++) {
		reply(p, chunk);
		reply(p, "x\r\n");
		ev_run(p->loop, EVRUN_NOWAIT);
	}
	finish(p);
	assert_int_equal(p->result, HTTP_TOO_BIG);
}

static void test_on_body_can_abort(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	p->aborts = true;
	fetch(p, HELLO);
	assert_int_equal(p->result, HTTP_ABORTED);
}

static void test_garbage_is_bad(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	fetch(p, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
	assert_int_equal(p->result, HTTP_BAD);
}

static void test_a_silent_server_meets_the_deadline(void **state)
{
	struct play *p = *state;
	int64_t start = clock_ms();

	NEEDS_OPENSSL();
	get_by(p, start + 100);
	take_request(p);
	finish(p);
	assert_int_equal(p->result, HTTP_TIMEOUT);
	assert_in_range(clock_ms() - start, 99, 3000);
}

static void test_a_closed_port_is_told_later_not_at_once(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	kill(p->server, SIGKILL);
	waitpid(p->server, NULL, 0);
	p->server = -1;
	get_by(p, clock_ms() + WAIT_MS);
	assert_int_equal(p->n_done, 0);
	finish(p);
	assert_int_equal(p->result, HTTP_CONNECT);
	close(p->to_server);
	close(p->from_server);
}

static void test_a_freed_target_says_nothing_more(void **state)
{
	struct play *p = *state;

	NEEDS_OPENSSL();
	get_by(p, clock_ms() + WAIT_MS);
	take_request(p);
	retarget(p, "engine.test", cert, false);
	ev_run(p->loop, EVRUN_NOWAIT);
	assert_int_equal(p->n_done, 0);
	fetch(p, HELLO);
	assert_fetched(p);
}

static int make_certificate(void **state)
{
	char command[512];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(cert, sizeof(cert), "%s/cert", dir);
	snprintf(key, sizeof(key), "%s/key", dir);
	snprintf(command, sizeof(command), "openssl req -x509 -newkey ec -pkeyopt "
	    "ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=engine.test "
	    "-addext subjectAltName=DNS:engine.test -keyout %s -out %s "
	    ">/dev/null 2>&1", key, cert);
	has_openssl = system(command) == 0;
	return 0;
}

static int remove_certificate(void **state)
{
	(void)state;
	unlink(cert);
	unlink(key);
	return rmdir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_verified_connection_is_kept),
		TEST(test_a_post_carries_its_body),
		TEST(test_another_host_s_certificate_is_refused),
		TEST(test_an_unknown_issuer_is_refused_unless_told),
		TEST(test_on_done_may_free_the_target),
		TEST(test_an_error_page_is_not_delivered),
		TEST(test_a_page_too_big_is_left_at_its_head),
		TEST(test_chunks_over_the_ceiling_are_too_big),
		TEST(test_on_body_can_abort),
		TEST(test_garbage_is_bad),
		TEST(test_a_silent_server_meets_the_deadline),
		TEST(test_a_closed_port_is_told_later_not_at_once),
		TEST(test_a_freed_target_says_nothing_more),
	};

	return cmocka_run_group_tests_name("https", tests, make_certificate,
	    remove_certificate);
}
