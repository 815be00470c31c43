/* Real threads and sockets; whoever waits here waits with a deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "counters.h"
#include "epoch.h"
#include "handover.h"
#include "help.h"
#include "log.h"
#include "rng.h"
#include "worker.h"

enum { WAIT_MS = 20000, MAX_FRAME = 16380, MANY = 2000, WORKERS = 2 };

static struct help_pool pool;
static struct epoch *fleet;
static struct worker *workers[WORKERS];

static void retire_nothing(void *thing)
{
	(void)thing;
}

/* HAProxy's end of a new connection to the worker. */
static int join(struct worker *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	while (worker_adopt(w, pair[1]) == -EAGAIN)
		sched_yield();
	return pair[0];
}

static int join_tcp(struct worker *w)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(to);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int ours = socket(AF_INET, SOCK_STREAM, 0), theirs;

	assert_int_equal(bind(listener, (struct sockaddr *)&to, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&to, &len);
	assert_int_equal(connect(ours, (struct sockaddr *)&to, len), 0);
	theirs = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	close(listener);
	assert_int_equal(worker_adopt(w, theirs), 0);
	return ours;
}

/* Exactly `len` bytes; false when the other side closed first. */
static bool hear(int fd, uint8_t *bytes, size_t len)
{
	for (size_t had = 0; had < len;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		n = recv(fd, bytes + had, len - had, 0);
		if (n <= 0)
			return false;
		had += (size_t)n;
	}
	return true;
}

/* The type of the next frame; its payload too. -1: closed. */
static int hear_frame(int fd, struct spop_frame *f)
{
	static uint8_t bytes[4 + MAX_FRAME];
	size_t used, len;

	if (!hear(fd, bytes, 4))
		return -1;
	len = spop_peek((struct span){ (char *)bytes, 4 });
	assert_in_range(len, 4 + SPOP_MIN_LEN, sizeof(bytes));
	if (!hear(fd, bytes + 4, len - 4))
		return -1;
	assert_int_equal(spop_decode((struct span){ (char *)bytes, len },
		MAX_FRAME, f, &used), SPOP_OK);
	return f->type;
}

static void say_hello(int fd)
{
	uint8_t bytes[256];
	struct writer w = writer_over(bytes, sizeof(bytes));

	help_hello(&w, MAX_FRAME, false);
	assert_int_equal(send(fd, bytes, writer_len(&w), MSG_NOSIGNAL),
	    writer_len(&w));
}

static void say_ask(int fd, uint64_t stream)
{
	struct ask ask = help_ask("/v1/completions",
	    "{\"model\":\"m\",\"prompt\":\"p\"}");
	uint8_t bytes[512];
	struct writer w = writer_over(bytes, sizeof(bytes));

	help_notify(&w, stream, 1, &ask);
	assert_int_equal(send(fd, bytes, writer_len(&w), MSG_NOSIGNAL),
	    writer_len(&w));
}

/* When the machine pauses, the worker is late, and answers without a pick: peer.h. */
static void expect_ack(int fd, uint64_t stream)
{
	struct spop_frame f;
	struct help_actions got;

	assert_int_equal(hear_frame(fd, &f), SPOP_ACK);
	assert_int_equal(f.stream_id, stream);
	assert_true(help_read_actions(f.payload, &got));
	assert_true(help_text(&got, "ep").len > 0 || span_is_text(
		help_text(&got, "message"), "the picker is overloaded"));
}

static uint64_t n_late(void)
{
	return worker_counters(workers[0])->overloaded +
	    worker_counters(workers[1])->overloaded;
}

/* So many at once may be too many to pick for; each is answered, once. */
static void expect_answer(int fd, uint64_t stream)
{
	struct spop_frame f;

	assert_int_equal(hear_frame(fd, &f), SPOP_ACK);
	assert_int_equal(f.stream_id, stream);
}

static void expect_hello(int fd)
{
	struct spop_frame f;

	assert_int_equal(hear_frame(fd, &f), SPOP_AGENT_HELLO);
}

static void expect_end(int fd)
{
	uint8_t byte;

	assert_false(hear(fd, &byte, 1));
}

static void test_connections_of_each_kind_are_served(void **state)
{
	int (*const ways[])(struct worker *) = { join, join_tcp };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int fd = ways[i](workers[i]);

		say_hello(fd);
		expect_hello(fd);
		for (uint64_t k = 1; k <= 100; k++) {
			say_ask(fd, k);
			expect_ack(fd, k);
		}
		close(fd);
		assert_int_equal(worker_counters(workers[i])->notifies, 100);
	}
	assert_int_equal(help_picked(&pool) + n_late(), 200);
}

static void test_two_thousand_connections_at_once(void **state)
{
	static int fds[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		fds[i] = join(workers[i % WORKERS]);
	for (size_t i = 0; i < MANY; i++) {
		say_hello(fds[i]);
		say_ask(fds[i], i);
	}
	for (size_t i = 0; i < MANY; i++) {
		expect_hello(fds[i]);
		expect_answer(fds[i], i);
	}
	assert_int_equal(help_picked(&pool) + n_late(), MANY);
	for (size_t i = 0; i < MANY; i++)
		close(fds[i]);
}

static void throw_garbage(int fd, struct rng *rng)
{
	uint8_t bytes[200];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)rng_next(rng);
	bytes[0] = bytes[1] = bytes[2] = 0;	/* so that LEN is believable */
	(void)send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void test_a_hostile_neighbour_disturbs_nobody(void **state)
{
	struct rng rng = { 1 };
	int good = join(workers[0]);

	(void)state;
	say_hello(good);
	expect_hello(good);
	for (uint64_t k = 1; k <= 300; k++) {
		int bad = join(workers[0]);

		if (k % 2 == 0)
			say_hello(bad);
		throw_garbage(bad, &rng);
		say_ask(good, k);
		expect_ack(good, k);
		close(bad);
	}
	close(good);
}

/* TCP only: a reset in the middle of a frame, with answers not read. */
static void test_a_reset_costs_one_connection(void **state)
{
	const struct linger now = { .l_onoff = 1 };
	int good = join_tcp(workers[0]);

	(void)state;
	say_hello(good);
	expect_hello(good);
	for (uint64_t k = 1; k <= 50; k++) {
		int bad = join_tcp(workers[0]);

		say_hello(bad);
		say_ask(bad, 1);
		(void)send(bad, "\0\0\1", 3, MSG_NOSIGNAL);
		setsockopt(bad, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(bad);
		say_ask(good, k);
		expect_ack(good, k);
	}
	close(good);
}

static void stop(struct worker *w)
{
	if (w == NULL)
		return;
	worker_join(w);
	worker_free(w);
}

static void test_draining_says_goodbye_to_all_and_takes_no_more(void **state)
{
	struct spop_frame f;
	uint32_t status;
	struct span message;
	int asked = join(workers[0]), silent = join(workers[0]), late[2];

	(void)state;
	say_hello(asked);
	expect_hello(asked);
	say_ask(asked, 9);
	worker_drain(workers[0]);
	expect_ack(asked, 9);
	assert_int_equal(hear_frame(asked, &f), SPOP_AGENT_DISCONNECT);
	assert_true(spop_read_disconnect(&f.payload, &status, &message));
	assert_int_equal(status, SPOP_STATUS_NORMAL);
	assert_int_equal(hear_frame(silent, &f), SPOP_AGENT_DISCONNECT);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, late), 0);
	assert_int_equal(worker_adopt(workers[0], late[1]), 0);
	expect_end(late[0]);
	close(asked);
	close(silent);
	close(late[0]);
	stop(workers[0]);	/* returns: its last peer has left */
	workers[0] = NULL;
}

static void test_a_drain_does_not_wait_for_those_that_stay(void **state)
{
	int64_t begun = clock_ms();
	int fd = join(workers[0]);

	(void)state;
	say_hello(fd);
	expect_hello(fd);
	worker_drain(workers[0]);
	stop(workers[0]);
	workers[0] = NULL;
	assert_true(clock_ms() - begun < WAIT_MS);
	close(fd);
}

static void test_stopping_closes_what_is_open(void **state)
{
	int fds[20];

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		fds[i] = join(workers[1]);
		if (i % 2 == 0) {
			say_hello(fds[i]);
			expect_hello(fds[i]);
		}
		if (i % 3 == 0)
			(void)send(fds[i], "\0\0\1", 3, MSG_NOSIGNAL);
	}
	stop(workers[1]);
	workers[1] = NULL;
	for (size_t i = 0; i < 20; i++) {
		expect_end(fds[i]);
		close(fds[i]);
	}
}

/* Sockets that are still in the mail when the worker ends are closed too. */
static void test_stopping_with_mail_under_way_loses_no_socket(void **state)
{
	int fds[200];

	(void)state;
	for (size_t i = 0; i < 200; i++)
		fds[i] = join(workers[1]);
	stop(workers[1]);
	workers[1] = NULL;
	for (size_t i = 0; i < 200; i++) {
		expect_end(fds[i]);
		close(fds[i]);
	}
}

/* ---- handed over: workers[0] is the old process, workers[1] the new one -- */

static struct handover *giver, *taker;
static size_t n_handed;

static void open_handover(void)
{
	int theirs;

	giver = handover_open(&theirs);
	taker = handover_inherit(theirs, getpid());
	assert_non_null(taker);
	n_handed = 0;
}

static void on_handed(void *data, struct handed *c)
{
	(void)data;
	n_handed++;
	while (worker_adopt_handed(workers[1], c) == -EAGAIN)
		sched_yield();
}

/* Main of the new process, until it has so many. */
static void take_until(struct ev_loop *loop, size_t n)
{
	int64_t end = clock_ms() + WAIT_MS;

	while (n_handed < n && clock_ms() < end)
		ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(n_handed, n);
}

static void test_two_thousand_go_over_and_none_notices(void **state)
{
	static int fds[MANY];
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		fds[i] = join(workers[0]);
		if (i % 10 != 0)	/* some have not said hello */
			say_hello(fds[i]);
	}
	for (size_t i = 0; i < MANY; i++)
		if (i % 10 != 0)
			expect_hello(fds[i]);
	open_handover();
	worker_hand_over(workers[0], giver);
	for (size_t i = 0; i < MANY; i++) {
		if (i % 10 == 0)
			say_hello(fds[i]);
		say_ask(fds[i], i);	/* to whom it may concern */
	}
	handover_take(taker, loop, on_handed, NULL);
	take_until(loop, MANY);
	stop(workers[0]);		/* it has nobody left */
	workers[0] = NULL;
	handover_close(giver);
	for (size_t i = 0; i < MANY; i++) {
		if (i % 10 == 0)
			expect_hello(fds[i]);
		expect_answer(fds[i], i);
		say_ask(fds[i], i + 1);
		expect_answer(fds[i], i + 1);
		close(fds[i]);
	}
	handover_close(taker);
	ev_loop_destroy(loop);
}

/* A frame too long for a message is what keeps one; meanwhile both are served. */
static void test_one_that_stays_a_while_is_served_and_goes_too(void **state)
{
	enum { LONG = 100 * 1000 };
	static uint8_t bytes[LONG + 1000];
	static char body[LONG];
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct writer w = writer_over(bytes, sizeof(bytes));
	struct ask ask = help_ask("/other", "");
	struct spop_frame f;
	int goes = join(workers[0]), stays = join(workers[0]);

	(void)state;
	say_hello(goes);
	expect_hello(goes);
	help_hello(&w, sizeof(bytes), false);
	assert_int_equal(send(stays, bytes, writer_len(&w), 0), writer_len(&w));
	expect_hello(stays);
	w = writer_over(bytes, sizeof(bytes));
	memset(body, 'x', sizeof(body));
	ask.body = (struct span){ body, sizeof(body) };
	help_notify(&w, 7, 1, &ask);
	assert_int_equal(send(stays, bytes, writer_len(&w) - 1, 0),
	    writer_len(&w) - 1);
	say_ask(goes, 1);		/* has been read when it is answered */
	expect_answer(goes, 1);
	open_handover();
	handover_take(taker, loop, on_handed, NULL);
	worker_hand_over(workers[0], giver);
	take_until(loop, 1);
	for (uint64_t i = 1; i <= 20; i++) {
		say_ask(goes, i);
		expect_answer(goes, i);
	}
	assert_int_equal(send(stays, bytes + writer_len(&w) - 1, 1, 0), 1);
	assert_int_equal(hear_frame(stays, &f), SPOP_ACK);
	take_until(loop, 2);
	stop(workers[0]);
	workers[0] = NULL;
	say_ask(stays, 9);
	expect_answer(stays, 9);
	close(goes);
	close(stays);
	handover_close(giver);
	handover_close(taker);
	ev_loop_destroy(loop);
}

static void *stop_first(void *arg)
{
	(void)arg;
	stop(workers[0]);
	return NULL;
}

/* Hangs up on those that say goodbye, until the worker has nobody left. */
static size_t hang_up_until_stopped(int *fds, size_t n)
{
	int64_t end = clock_ms() + WAIT_MS;
	size_t n_goodbyes = 0;
	pthread_t stopper;

	pthread_create(&stopper, NULL, stop_first, NULL);
	while (pthread_tryjoin_np(stopper, NULL) != 0 && clock_ms() < end)
		for (size_t i = 0; i < n; i++) {
			struct pollfd p = { .fd = fds[i], .events = POLLIN };
			struct spop_frame f;

			if (fds[i] < 0 || poll(&p, 1, 0) == 0)
				continue;
			assert_int_equal(hear_frame(fds[i], &f),
			    SPOP_AGENT_DISCONNECT);
			close(fds[i]);
			fds[i] = -1;
			n_goodbyes++;
		}
	assert_true(clock_ms() < end);
	workers[0] = NULL;
	return n_goodbyes;
}

/* It had said that it takes, and hangs: as many as fit are its, no other waits long. */
static void test_where_nobody_takes_the_rest_is_told_goodbye(void **state)
{
	static int fds[MANY];
	size_t n_goodbyes;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		fds[i] = join(workers[0]);
		say_hello(fds[i]);
	}
	for (size_t i = 0; i < MANY; i++)
		expect_hello(fds[i]);
	open_handover();
	worker_hand_over(workers[0], giver);
	n_goodbyes = hang_up_until_stopped(fds, MANY);
	assert_in_range(n_goodbyes, 1, MANY - 1);
	handover_close(giver);
	handover_close(taker);		/* dies */
	for (size_t i = 0; i < MANY; i++)
		if (fds[i] >= 0) {
			expect_end(fds[i]);
			close(fds[i]);
		}
}

static void test_a_taker_that_dies_meanwhile_leaves_us_to_say_goodbye(
    void **state)
{
	struct spop_frame f;
	int fd = join(workers[0]);

	(void)state;
	say_hello(fd);
	expect_hello(fd);
	open_handover();
	handover_close(taker);
	worker_hand_over(workers[0], giver);
	assert_int_equal(hear_frame(fd, &f), SPOP_AGENT_DISCONNECT);
	close(fd);
	stop(workers[0]);
	workers[0] = NULL;
	handover_close(giver);
}

/* HAProxy's end of one that is in the mail; once open it may stay for ever. */
static int hand_to(struct worker *w)
{
	struct handed *c = calloc(1, sizeof(*c));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
		pair), 0);
	c->fd = pair[1];
	c->max_frame = MAX_FRAME;
	assert_int_equal(worker_adopt_handed(w, c), 0);
	return pair[0];
}

static void test_those_that_arrive_as_it_ends_are_closed(void **state)
{
	int before = hand_to(workers[1]), stays = join(workers[0]), late;

	(void)state;
	worker_join(workers[1]);
	late = hand_to(workers[1]);	/* nobody reads that */
	worker_free(workers[1]);
	workers[1] = NULL;
	expect_end(before);
	expect_end(late);
	close(before);
	close(late);
	worker_drain(workers[0]);
	late = hand_to(workers[0]);
	expect_end(late);
	close(late);
	close(stays);
	stop(workers[0]);
	workers[0] = NULL;
}

static int setup(void **state)
{
	struct rlimit files;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	log_set_level(LOG_LEVEL_ERROR);
	help_pool_init(&pool, "pool", 5);
	fleet = epoch_new(WORKERS, &pool.fleet, retire_nothing);
	for (size_t i = 0; i < WORKERS; i++)
		workers[i] = worker_start(i, fleet, NULL, NULL);
	return workers[0] == NULL || workers[1] == NULL;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < WORKERS; i++)
		stop(workers[i]);
	epoch_free(fleet);
	help_pool_fini(&pool);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_connections_of_each_kind_are_served),
		unit(test_two_thousand_connections_at_once),
		unit(test_a_hostile_neighbour_disturbs_nobody),
		unit(test_a_reset_costs_one_connection),
		unit(test_draining_says_goodbye_to_all_and_takes_no_more),
		unit(test_a_drain_does_not_wait_for_those_that_stay),
		unit(test_stopping_closes_what_is_open),
		unit(test_stopping_with_mail_under_way_loses_no_socket),
		unit(test_two_thousand_go_over_and_none_notices),
		unit(test_one_that_stays_a_while_is_served_and_goes_too),
		unit(test_where_nobody_takes_the_rest_is_told_goodbye),
		unit(test_a_taker_that_dies_meanwhile_leaves_us_to_say_goodbye),
		unit(test_those_that_arrive_as_it_ends_are_closed),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
