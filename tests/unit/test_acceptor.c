#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acceptor.h"
#include "clock.h"
#include "counters.h"
#include "epoch.h"
#include "fault.h"
#include "help.h"
#include "log.h"
#include "options.h"
#include "worker.h"

enum { WORKERS = 3, WAIT_MS = 10000 };

static struct ev_loop *loop;
static struct help_pool pool;
static struct epoch *fleet;
static struct worker *workers[WORKERS];
static char directory[64], path[96];

static void retire_nothing(void *thing)
{
	(void)thing;
}

static struct listen_options on_unix(void)
{
	return (struct listen_options){ .text = path, .path = path,
		.mode = 0600 };
}

static struct acceptor *open_one(const struct listen_options *l,
    struct fault *why)
{
	*why = (struct fault){ 0 };
	return acceptor_open(loop, l, 1, why);
}

static struct acceptor *open_good(const struct listen_options *l)
{
	struct fault why;
	char text[600];
	struct acceptor *a = open_one(l, &why);

	if (a == NULL)
		fail_msg("%s", fault_text(&why, text, sizeof(text)));
	return a;
}

static int connect_unix(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(to.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

static uint64_t n_accepted(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < WORKERS; i++)
		n += worker_counters(workers[i])->connections;
	return n;
}

static void on_tick(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
}

/* Runs the loop until so many were accepted, or the time is over. */
static void run_until(uint64_t n, int64_t wait_ms)
{
	int64_t end = clock_ms() + wait_ms;
	ev_timer tick;

	ev_timer_init(&tick, on_tick, .005, .005);
	ev_timer_start(loop, &tick);
	while (n_accepted() < n && clock_ms() < end)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &tick);
}

static bool is_served(int fd)
{
	uint8_t bytes[256];
	struct writer w = writer_over(bytes, sizeof(bytes));

	help_hello(&w, 16380, false);
	return send(fd, bytes, writer_len(&w), MSG_NOSIGNAL) > 0 &&
	    recv(fd, bytes, sizeof(bytes), 0) > SPOP_MIN_LEN &&
	    bytes[4] == SPOP_AGENT_HELLO;
}

/* ---- where ---- */

/* A port that was free a moment ago. */
static uint16_t free_port(int family)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = { .any.sa_family = (sa_family_t)family };
	socklen_t len = family == AF_INET ? sizeof(a.v4) : sizeof(a.v6);
	int fd = socket(family, SOCK_STREAM, 0);
	bool is_there = bind(fd, &a.any, len) == 0;

	getsockname(fd, &a.any, &len);
	close(fd);
	return is_there ? ntohs(a.v4.sin_port) : 0;	/* at the same place */
}

static int connect_tcp(int family, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(port), .sin6_addr = in6addr_loopback };
	int fd = socket(family, SOCK_STREAM, 0);
	int err = family == AF_INET ?
	    connect(fd, (struct sockaddr *)&v4, sizeof(v4)) :
	    connect(fd, (struct sockaddr *)&v6, sizeof(v6));

	if (err == 0)
		return fd;
	close(fd);
	return -1;
}

static const struct {
	const char *host;
	int family;
} hosts[] = {
	{ "127.0.0.1", AF_INET }, { "::1", AF_INET6 },
	{ "0.0.0.0", AF_INET }, { "::", AF_INET6 },
};

static void test_tcp_is_accepted_on_both_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		uint16_t port = free_port(hosts[i].family);
		struct listen_options l = { .text = "here",
			.host = hosts[i].host, .port = port };
		uint64_t before = n_accepted();
		struct acceptor *a;
		int fd;

		if (port == 0)
			continue;	/* a machine without IPv6 */
		a = open_good(&l);
		acceptor_start(a, workers, WORKERS);
		fd = connect_tcp(hosts[i].family, port);
		assert_true(fd >= 0);
		run_until(before + 1, WAIT_MS);
		assert_true(is_served(fd));
		close(fd);
		acceptor_close(a);
		assert_int_equal(connect_tcp(hosts[i].family, port), -1);
	}
}

/* [::] leaves IPv4 to 0.0.0.0: both may stand in one configuration. */
static void test_both_families_may_share_a_port(void **state)
{
	uint16_t port = free_port(AF_INET6);
	const struct listen_options l[] = {
		{ .text = "v6", .host = "::", .port = port },
		{ .text = "v4", .host = "0.0.0.0", .port = port },
	};
	struct fault why = { 0 };
	struct acceptor *a;

	(void)state;
	if (port == 0)
		skip();
	a = acceptor_open(loop, l, 2, &why);
	assert_non_null(a);
	acceptor_close(a);
}

static void test_a_unix_socket_has_its_mode_and_goes_at_the_end(void **state)
{
	static const unsigned modes[] = { 0600, 0660, 0666 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct listen_options l = on_unix();
		struct stat st;
		struct acceptor *a;

		l.mode = modes[i];
		a = open_good(&l);
		assert_int_equal(stat(path, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(st.st_mode & 0777, modes[i]);
		acceptor_close(a);
		assert_int_equal(stat(path, &st), -1);
	}
}

static void test_a_socket_left_by_a_crash_is_replaced(void **state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct listen_options l = on_unix();
	int crashed = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	struct acceptor *a;

	(void)state;
	memcpy(to.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(crashed, (struct sockaddr *)&to, sizeof(to)), 0);
	close(crashed);			/* the file stays */
	a = open_good(&l);
	acceptor_start(a, workers, WORKERS);
	fd = connect_unix();
	assert_true(fd >= 0);
	run_until(1, WAIT_MS);
	assert_true(is_served(fd));
	close(fd);
	acceptor_close(a);
}

static void expect_fault(const struct listen_options *l, const char *want)
{
	struct fault why;
	char text[600];

	assert_null(open_one(l, &why));
	assert_true(why.is_set);
	assert_string_equal(fault_text(&why, text, sizeof(text)), want);
}

#define BUSY ": Address already in use; want: an address that is ours and " \
	"that nobody listens on"

static void test_one_who_listens_already_is_left_alone(void **state)
{
	struct listen_options l = on_unix();
	struct acceptor *a = open_good(&l);
	char want[300];
	int fd;

	(void)state;
	acceptor_start(a, workers, WORKERS);
	snprintf(want, sizeof(want), "listen: %s" BUSY, path);
	expect_fault(&l, want);
	fd = connect_unix();		/* the first still listens */
	assert_true(fd >= 0);
	run_until(1, WAIT_MS);
	assert_true(is_served(fd));
	close(fd);
	acceptor_close(a);
}

/* A stopped process does not answer; we must not wait for it. */
static void test_one_whose_backlog_is_full_does_not_hold_us(void **state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct listen_options l = on_unix();
	int stopped = socket(AF_UNIX, SOCK_STREAM, 0), waiting;
	struct fault why;

	(void)state;
	memcpy(to.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(stopped, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(stopped, 0), 0);
	waiting = connect_unix();
	assert_null(open_one(&l, &why));
	assert_true(why.is_set);
	close(waiting);
	close(stopped);
	unlink(path);
}

static void test_a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct listen_options l = on_unix();
	FILE *f = fopen(path, "w");
	struct fault why;

	(void)state;
	fclose(f);
	assert_null(open_one(&l, &why));
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

static void test_what_cannot_be_listened_on_is_said(void **state)
{
	static char too_long[200];
	static const struct listen_options bad[] = {
		{ .text = "192.0.2.1:1", .host = "192.0.2.1", .port = 9 },
		{ .text = "name", .host = "localhost", .port = 9 },
		{ .text = "long", .path = too_long },
		{ .text = "nowhere", .path = "/nonexistent/s" },
	};

	(void)state;
	memset(too_long, 'x', sizeof(too_long) - 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fault why;

		assert_null(open_one(&bad[i], &why));
		assert_true(why.is_set);
		assert_non_null(strstr(why.found, bad[i].text));
	}
}

/* The second cannot: the first must not stay behind. */
static void test_all_addresses_or_none(void **state)
{
	struct listen_options l[] = { on_unix(),
		{ .text = "nowhere", .path = "/nonexistent/s" } };
	struct fault why = { 0 };

	(void)state;
	assert_null(acceptor_open(loop, l, 2, &why));
	assert_int_equal(access(path, F_OK), -1);
}

/* ---- whom to ---- */

static void test_workers_take_turns(void **state)
{
	struct listen_options l = on_unix();
	struct acceptor *a = open_good(&l);
	int fds[5 * WORKERS];

	(void)state;
	acceptor_start(a, workers, WORKERS);
	for (size_t i = 0; i < 5 * WORKERS; i++)
		fds[i] = connect_unix();
	run_until(5 * WORKERS, WAIT_MS);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(worker_counters(workers[i])->connections, 5);
	for (size_t i = 0; i < 5 * WORKERS; i++)
		close(fds[i]);
	acceptor_close(a);
}

static void set_file_limit(rlim_t n)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = n;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		abort();
}

static int setup(void **state);
static int teardown(void **state);

enum { CLIENTS = 10 };

/* In a child of its own, because the limit is the process's. */
static int run_out_of_files(void)
{
	struct listen_options l = on_unix();
	struct acceptor *a = open_good(&l);
	int fds[CLIENTS], next;
	unsigned turns;
	bool is_good;

	acceptor_start(a, workers, WORKERS);
	for (size_t i = 0; i < CLIENTS; i++)
		fds[i] = connect_unix();
	next = dup(0);
	close(next);
	set_file_limit((rlim_t)next + 3);
	turns = ev_iteration(loop);
	run_until(CLIENTS, 300);
	is_good = n_accepted() == 3;
	is_good &= ev_iteration(loop) - turns < 200;	/* rests, not spins */
	is_good &= is_served(fds[0]);	/* what is connected does not suffer */
	set_file_limit(1000);
	run_until(CLIENTS, WAIT_MS);
	is_good &= n_accepted() == CLIENTS;
	for (size_t i = 1; i < CLIENTS; i++) {
		is_good &= is_served(fds[i]);
		close(fds[i]);
	}
	close(fds[0]);
	acceptor_close(a);
	return is_good ? 0 : 1;
}

static void test_out_of_files_it_rests_and_goes_on(void **state)
{
	int status = -1;
	pid_t child;

	teardown(state);	/* a child has no threads but its own */
	child = fork();
	if (child == 0) {
		setup(state);
		status = run_out_of_files();
		teardown(state);
		_exit(status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	setup(state);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(directory, sizeof(directory), "/tmp/test_acceptor.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", directory);
	loop = ev_loop_new(EVFLAG_AUTO);
	help_pool_init(&pool, "pool", 1);
	fleet = epoch_new(WORKERS, &pool.fleet, retire_nothing);
	for (size_t i = 0; i < WORKERS; i++)
		workers[i] = worker_start(i, fleet, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < WORKERS; i++) {
		worker_join(workers[i]);
		worker_free(workers[i]);
	}
	epoch_free(fleet);
	help_pool_fini(&pool);
	ev_loop_destroy(loop);
	return rmdir(directory);
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_tcp_is_accepted_on_both_families),
		unit(test_both_families_may_share_a_port),
		unit(test_a_unix_socket_has_its_mode_and_goes_at_the_end),
		unit(test_a_socket_left_by_a_crash_is_replaced),
		unit(test_one_who_listens_already_is_left_alone),
		unit(test_one_whose_backlog_is_full_does_not_hold_us),
		unit(test_a_file_that_is_no_socket_is_left_alone),
		unit(test_what_cannot_be_listened_on_is_said),
		unit(test_all_addresses_or_none),
		unit(test_workers_take_turns),
		unit(test_out_of_files_it_rests_and_goes_on),
	};

	return cmocka_run_group_tests_name("acceptor", tests, NULL, NULL);
}
