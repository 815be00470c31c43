#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "feedback.h"
#include "lines.h"
#include "log.h"
#include "options.h"
#include "record.h"
#include "rng.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define RECORD(id) "epp1 pool=llm srv=s1 st=200 ts=---- rc=0 Tw=0 Tc=0 Tr=2 " \
	"Ta=811 B=83 ttft=106228 id=" id " | 127.0.0.1:60240 \"GET / HTTP/1.1\""

/* ---- connections ---- */

enum { WAIT_MS = 10000, IDS_MAX = 64 };

static struct ev_loop *loop;
static struct feedback *feedback;
static const struct feedback_counters *counters;
static char directory[64], path[96];

/* What was told. */
static struct {
	size_t n_begun, n_ended, n_records;
	bool is_in_batch, is_out_of_order;
	char ids[IDS_MAX][RECORD_ID_MAX + 1];
} heard;

static void on_begin(void *data)
{
	assert_ptr_equal(data, &heard);
	heard.is_out_of_order |= heard.is_in_batch;
	heard.is_in_batch = true;
	heard.n_begun++;
}

static void on_record(const struct record *r, void *data)
{
	assert_ptr_equal(data, &heard);
	heard.is_out_of_order |= !heard.is_in_batch;
	if (heard.n_records < IDS_MAX)
		snprintf(heard.ids[heard.n_records], sizeof(heard.ids[0]), "%.*s",
		    (int)r->id.len, r->id.len > 0 ? r->id.ptr : "");
	heard.n_records++;
}

static void on_end(void *data)
{
	assert_ptr_equal(data, &heard);
	heard.is_out_of_order |= !heard.is_in_batch;
	heard.is_in_batch = false;
	heard.n_ended++;
}

static const struct feedback_calls calls = { on_begin, on_record, on_end };

static void open_feedback(const struct listen_options *l)
{
	struct fault why = { 0 };
	char text[600];

	memset(&heard, 0, sizeof(heard));
	feedback = feedback_open(loop, l, 1, &calls, &heard, &why);
	if (feedback == NULL)
		fail_msg("%s", fault_text(&why, text, sizeof(text)));
	counters = feedback_counters(feedback);
}

static struct listen_options on_unix(void)
{
	return (struct listen_options){ .text = path, .path = path,
		.mode = 0600 };
}

static int connect_unix(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(to.sun_path, path, strlen(path) + 1);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void say_bytes(int fd, const char *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

static void on_tick(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
}

/* Runs the loop until the counter is there. */
static void await(const uint64_t *counter, uint64_t n)
{
	int64_t end = clock_ms() + WAIT_MS;
	ev_timer tick;

	ev_timer_init(&tick, on_tick, .005, .005);
	ev_timer_start(loop, &tick);
	while (*counter < n && clock_ms() < end)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &tick);
	assert_int_equal(*counter, n);
}

static void await_connections(size_t n)
{
	int64_t end = clock_ms() + WAIT_MS;

	while (feedback_connections(feedback) != n && clock_ms() < end)
		ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(feedback_connections(feedback), n);
}

static void test_records_are_told_in_order_within_a_batch(void **state)
{
	int fd = connect_unix();

	(void)state;
	say(fd, RECORD("a") "\nsome other line\n" RECORD("b") "\n"
	    "epp1 st=\n" RECORD("-") "\n");
	await(&counters->lines, 5);
	assert_int_equal(heard.n_records, 3);
	assert_string_equal(heard.ids[0], "a");
	assert_string_equal(heard.ids[1], "b");
	assert_string_equal(heard.ids[2], "");
	assert_int_equal(heard.n_begun, 1);
	assert_int_equal(heard.n_ended, 1);
	assert_false(heard.is_out_of_order);
	assert_int_equal(counters->connections, 1);
	assert_int_equal(counters->records, 3);
	assert_int_equal(counters->no_id, 1);
	assert_int_equal(counters->other, 1);
	assert_int_equal(counters->bad, 1);
	assert_int_equal(counters->early, 0);
	close(fd);
}

static void test_without_records_there_is_no_batch(void **state)
{
	int fd = connect_unix();

	(void)state;
	say(fd, "other\nepp1 bad\n" RECORD("part"));
	await(&counters->lines, 2);
	assert_int_equal(heard.n_begun, 0);
	assert_int_equal(heard.n_ended, 0);
	close(fd);
}

static void test_counted_lines_are_taken_too(void **state)
{
	static const char one[] = RECORD("counted");
	char text[400];
	int fd = connect_unix();

	(void)state;
	snprintf(text, sizeof(text), "%zu %s%zu %s", sizeof(one) - 1, one,
	    sizeof(one) - 1, one);
	say(fd, text);
	await(&counters->records, 2);
	assert_string_equal(heard.ids[1], "counted");
	close(fd);
}

/* Byte by byte, in turn: nobody's bytes come into another's line. */
static void test_connections_do_not_mix(void **state)
{
	static const char *const lines[] = { RECORD("one") "\n",
		RECORD("two") "\n", RECORD("six") "\n" };
	int fds[COUNT(lines)];

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		fds[i] = connect_unix();
	for (size_t at = 0; at < strlen(lines[0]); at++)
		for (size_t i = 0; i < COUNT(lines); i++) {
			say_bytes(fds[i], lines[i] + at, 1);
			ev_run(loop, EVRUN_NOWAIT);
		}
	await(&counters->lines, 3);
	assert_int_equal(counters->records, 3);
	for (size_t i = 0; i < COUNT(lines); i++) {
		assert_non_null(strstr(lines[i], heard.ids[i]));
		close(fds[i]);
	}
	await_connections(0);
}

static void test_who_leaves_may_come_again(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 50; i++) {
		int fd = connect_unix();

		say(fd, RECORD("here") "\n");
		close(fd);
		await(&counters->records, i);
		await_connections(0);
	}
	assert_int_equal(counters->connections, 50);
}

/* The end of it may be missing: a number cut short is a wrong one. */
static void test_a_line_that_the_end_cuts_is_no_record(void **state)
{
	int fd = connect_unix();

	(void)state;
	say(fd, RECORD("whole") "\n" RECORD("cut"));
	close(fd);
	await(&counters->records, 1);
	await_connections(0);
	assert_int_equal(counters->lines, 1);
	assert_int_equal(heard.n_records, 1);
}

static void test_rubbish_costs_itself_only(void **state)
{
	static char rubbish[3 * LINES_MAX_BYTES];
	struct rng rng = { 7 };
	int fd = connect_unix();

	(void)state;
	for (size_t i = 0; i < sizeof(rubbish); i++)
		rubbish[i] = (char)rng_below(&rng, 256);
	rubbish[0] = '\0';
	rubbish[sizeof(rubbish) - 1] = '\n';
	say_bytes(fd, rubbish, sizeof(rubbish));
	say_bytes(fd, "\0\n\0\0\n", 5);
	say(fd, RECORD("still-here") "\n");
	await(&counters->records, 1);
	assert_string_equal(heard.ids[0], "still-here");
	assert_int_equal(counters->bad, 0);
	assert_true(counters->other >= 3);
	close(fd);
}

static void test_a_long_line_is_lost_and_the_next_one_is_not(void **state)
{
	static char line[3 * LINES_MAX_BYTES];
	int fd = connect_unix();

	(void)state;
	memset(line, 'x', sizeof(line));
	say_bytes(fd, line, sizeof(line));
	await(&counters->too_long, 1);
	say(fd, "rest\n" RECORD("next") "\n");
	await(&counters->records, 1);
	assert_int_equal(counters->too_long, 1);
	assert_int_equal(counters->lines, 1);
	close(fd);
}

static void test_an_early_line_is_counted_and_told(void **state)
{
	int fd = connect_unix();

	(void)state;
	say(fd, "epp1 pool=p srv=s st=200 ts=-- Ta=+1 B=+61 id=1\n");
	await(&counters->early, 1);
	assert_int_equal(heard.n_records, 1);
	close(fd);
}

static void test_nothing_is_ever_said(void **state)
{
	int fd = connect_unix();
	char byte;

	(void)state;
	say(fd, RECORD("a") "\nother\nepp1 bad\n" RECORD("b") "\n");
	await(&counters->lines, 4);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
}

/* All that a socket holds: one turn takes some of it, and the others have theirs. */
static void test_a_flood_gets_its_turn_like_others(void **state)
{
	static const char line[] = RECORD("flood") "\n";
	enum { LEN = sizeof(line) - 1, TURN_MAX = 2 * 65536 / LEN };
	int flood = connect_unix(), other = connect_unix(), size = 1 << 20;
	uint64_t n = 0;

	(void)state;
	await_connections(2);
	setsockopt(flood, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	while (send(flood, line, LEN, MSG_DONTWAIT) == LEN)
		n++;
	say(other, RECORD("other") "\n");
	ev_run(loop, EVRUN_NOWAIT);
	if (n <= TURN_MAX + 1)		/* no such buffers here */
		skip();
	assert_true(counters->records <= TURN_MAX + 1);
	assert_true(counters->records < n);
	assert_int_equal(heard.n_begun, 2);	/* the other had its turn */
	shutdown(flood, SHUT_WR);	/* what was cut by the last send is lost */
	await_connections(1);
	assert_int_equal(counters->records, n + 1);
	assert_int_equal(heard.n_begun, heard.n_ended);
	assert_true(heard.n_begun < n / 10);
	assert_false(heard.is_out_of_order);
	close(flood);
	close(other);
}

static bool is_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_too_many_are_refused_until_one_leaves(void **state)
{
	enum { MORE = 10 };
	int fds[FEEDBACK_CONNECTIONS_MAX + MORE], again;

	(void)state;
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = connect_unix();
		ev_run(loop, EVRUN_NOWAIT);
	}
	await(&counters->refused, MORE);
	assert_int_equal(counters->connections, FEEDBACK_CONNECTIONS_MAX);
	assert_int_equal(feedback_connections(feedback),
	    FEEDBACK_CONNECTIONS_MAX);
	for (size_t i = 0; i < COUNT(fds); i++)
		assert_int_equal(is_closed(fds[i]), i >= FEEDBACK_CONNECTIONS_MAX);
	close(fds[0]);
	await_connections(FEEDBACK_CONNECTIONS_MAX - 1);
	again = connect_unix();
	say(again, RECORD("room") "\n");
	await(&counters->records, 1);
	close(again);
	for (size_t i = 1; i < COUNT(fds); i++)
		close(fds[i]);
}

static void test_out_of_files_it_rests_and_goes_on(void **state)
{
	enum { CLIENTS = 10, ROOM = 3 };
	struct rlimit was, now;
	int fds[CLIENTS], next;
	unsigned turns;

	(void)state;
	for (size_t i = 0; i < CLIENTS; i++) {
		fds[i] = connect_unix();
		say(fds[i], RECORD("x") "\n");
	}
	next = dup(0);
	close(next);
	getrlimit(RLIMIT_NOFILE, &was);
	now = was;
	now.rlim_cur = (rlim_t)next + ROOM;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	await(&counters->records, ROOM);	/* those it has do not suffer */
	turns = ev_iteration(loop);
	for (int64_t end = clock_ms() + 300; clock_ms() < end;)
		ev_run(loop, EVRUN_ONCE);
	turns = ev_iteration(loop) - turns;
	setrlimit(RLIMIT_NOFILE, &was);
	assert_true(turns < 20);		/* it rests, and does not spin */
	assert_int_equal(counters->connections, ROOM);
	await(&counters->records, CLIENTS);
	for (size_t i = 0; i < CLIENTS; i++)
		close(fds[i]);
}

/* ---- what the log says ---- */

static int begin_capture(char *name, int *saved)
{
	int fd;

	snprintf(name, 96, "%s/log", directory);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	*saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	log_set_level(LOG_LEVEL_WARN);
	return fd;
}

static void end_capture(int fd, int saved, const char *name, char *out, size_t len)
{
	ssize_t got;

	log_set_level(LOG_LEVEL_ERROR);
	dup2(saved, STDERR_FILENO);
	close(saved);
	got = pread(fd, out, len - 1, 0);
	out[got > 0 ? got : 0] = '\0';
	close(fd);
	unlink(name);
}

static void test_a_bad_line_is_quoted_once_and_harmless(void **state)
{
	static const char bad[] = "epp1 pool=llm st=\x1b[31m\0\xff\"\\ id=1\n"
	    "epp1 pool=llm\n";
	char name[96], text[4096];
	int saved, log = begin_capture(name, &saved), fd = connect_unix();

	(void)state;
	say_bytes(fd, bad, sizeof(bad) - 1);
	say_bytes(fd, bad, sizeof(bad) - 1);
	await(&counters->lines, 4);
	end_capture(log, saved, name, text, sizeof(text));
	assert_int_equal(counters->bad, 4);
	assert_string_equal(text, "warn feedback.bad want=\"st=%ST\" "
	    "found=\"st=\\x1b[31m\\x00\\xff\\x22\\x5c\" held_back=0 "
	    "line=\"epp1 pool=llm st=\\x1b[31m\\x00\\xff\\x22\\x5c id=1\"\n");
	close(fd);
}

/* ---- addresses ---- */

static void test_tcp_is_taken_and_kept_alive(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(to);
	struct listen_options l = { .text = "here", .host = "127.0.0.1" };
	int probe = socket(AF_INET, SOCK_STREAM, 0), fd;

	(void)state;
	feedback_close(feedback);
	bind(probe, (struct sockaddr *)&to, sizeof(to));
	getsockname(probe, (struct sockaddr *)&to, &len);
	close(probe);
	l.port = ntohs(to.sin_port);
	open_feedback(&l);
	feedback_start(feedback);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	say(fd, RECORD("tcp") "\n");
	await(&counters->records, 1);
	assert_string_equal(heard.ids[0], "tcp");
	close(fd);
}

static void test_nobody_is_let_in_before_the_start(void **state)
{
	struct listen_options l = on_unix();
	int fd;

	(void)state;
	feedback_close(feedback);
	open_feedback(&l);
	fd = connect_unix();
	say(fd, RECORD("early-bird") "\n");
	for (size_t i = 0; i < 10; i++)
		ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(counters->connections, 0);
	feedback_start(feedback);
	await(&counters->records, 1);
	close(fd);
}

static void test_all_addresses_or_none(void **state)
{
	struct listen_options l[] = { on_unix(),
		{ .text = "nowhere", .path = "/nonexistent/s" } };
	struct fault why = { 0 };

	(void)state;
	feedback_close(feedback);
	feedback = feedback_open(loop, l, 2, &calls, &heard, &why);
	assert_null(feedback);
	assert_true(why.is_set);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_closing_lets_everybody_go(void **state)
{
	int whole = connect_unix(), part = connect_unix();

	(void)state;
	say(part, RECORD("half a line"));
	say(whole, RECORD("whole") "\n");
	await(&counters->records, 1);
	await_connections(2);
	feedback_close(feedback);
	feedback = NULL;
	assert_true(is_closed(whole));
	assert_true(is_closed(part));
	assert_int_equal(access(path, F_OK), -1);
	close(whole);
	close(part);
}

static int setup(void **state)
{
	struct listen_options l;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(directory, sizeof(directory), "/tmp/test_feedback.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", directory);
	loop = ev_loop_new(EVFLAG_AUTO);
	l = on_unix();
	open_feedback(&l);
	feedback_start(feedback);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	feedback_close(feedback);
	ev_loop_destroy(loop);
	return rmdir(directory);
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_records_are_told_in_order_within_a_batch),
		unit(test_without_records_there_is_no_batch),
		unit(test_counted_lines_are_taken_too),
		unit(test_connections_do_not_mix),
		unit(test_who_leaves_may_come_again),
		unit(test_a_line_that_the_end_cuts_is_no_record),
		unit(test_rubbish_costs_itself_only),
		unit(test_a_long_line_is_lost_and_the_next_one_is_not),
		unit(test_an_early_line_is_counted_and_told),
		unit(test_nothing_is_ever_said),
		unit(test_a_flood_gets_its_turn_like_others),
		unit(test_too_many_are_refused_until_one_leaves),
		unit(test_out_of_files_it_rests_and_goes_on),
		unit(test_a_bad_line_is_quoted_once_and_harmless),
		unit(test_tcp_is_taken_and_kept_alive),
		unit(test_nobody_is_let_in_before_the_start),
		unit(test_all_addresses_or_none),
		unit(test_closing_lets_everybody_go),
	};

	return cmocka_run_group_tests_name("feedback", tests, NULL, NULL);
}
