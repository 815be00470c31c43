/* Those that wait, with real workers, sockets and flow thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "counters.h"
#include "epoch.h"
#include "flow_control.h"
#include "help_flow.h"
#include "log.h"
#include "worker.h"

enum { WORKERS = 2, FLOW = WORKERS, READERS, MAX_FRAME = 16380, MANY = 100 };

static struct help_pool pool;
static struct epoch *fleet;
static struct flow_control *flow;
static struct worker *workers[WORKERS];

static void publish_room(void)
{
	help_clear(&pool);
	help_publish(fleet, flow, &pool);
}

/* Exactly `len` bytes; false when the other side closed first. */
static bool hear(int fd, uint8_t *bytes, size_t len)
{
	for (size_t had = 0; had < len;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, HELP_WAIT_MS), 1);
		n = recv(fd, bytes + had, len - had, 0);
		if (n <= 0)
			return false;
		had += (size_t)n;
	}
	return true;
}

static void expect_frame(int fd, enum spop_frame_type type, struct spop_frame *f)
{
	static uint8_t bytes[4 + MAX_FRAME];
	size_t used, len;

	assert_true(hear(fd, bytes, 4));
	len = spop_peek((struct span){ (char *)bytes, 4 });
	assert_in_range(len, 4 + SPOP_MIN_LEN, sizeof(bytes));
	assert_true(hear(fd, bytes + 4, len - 4));
	assert_int_equal(spop_decode((struct span){ (char *)bytes, len },
		MAX_FRAME, f, &used), SPOP_OK);
	assert_int_equal(f->type, type);
}

static void expect_hello(int fd)
{
	struct spop_frame f;

	expect_frame(fd, SPOP_AGENT_HELLO, &f);
}

static void expect_goodbye(int fd)
{
	struct spop_frame f;

	expect_frame(fd, SPOP_AGENT_DISCONNECT, &f);
}

static void expect_pick(int fd, uint64_t stream)
{
	struct spop_frame f;
	struct help_actions got;

	expect_frame(fd, SPOP_ACK, &f);
	assert_int_equal(f.stream_id, stream);
	assert_true(help_read_actions(f.payload, &got));
	assert_true(help_text(&got, "ep").len > 0);
}

static void expect_nothing(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 0), 0);
}

/* HAProxy's end of a new connection; `stream` is asked for on it, unless 0. */
static int join(struct worker *w, uint64_t stream)
{
	struct ask ask = help_ask("/v1/completions",
	    "{\"model\":\"m\",\"prompt\":\"p\"}");
	uint8_t bytes[1024];
	struct writer o = writer_over(bytes, sizeof(bytes));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	assert_int_equal(worker_adopt(w, pair[1]), 0);
	help_hello(&o, MAX_FRAME, false);
	if (stream != 0)
		help_notify(&o, stream, 1, &ask);
	assert_int_equal(send(pair[0], bytes, writer_len(&o), MSG_NOSIGNAL),
	    writer_len(&o));
	expect_hello(pair[0]);
	return pair[0];
}

/*
 * MANY connections, one ask each, and all of them wait. (One that a pause of the
 * machine made late is answered at once instead, and asks again.)
 */
static void hold_many(int *fds, size_t n_workers)
{
	const struct counters *c = flow_control_counters(flow);
	int64_t begun = clock_ms();

	for (size_t i = 0; i < MANY; i++)
		for (fds[i] = -1; fds[i] < 0;) {
			struct worker *w = workers[i % n_workers];
			uint64_t late = worker_counters(w)->overloaded;

			fds[i] = join(w, i + 1);
			while (c->held == i &&
			    worker_counters(w)->overloaded == late)
				help_still_in_time(begun);
			if (c->held > i)
				continue;
			close(fds[i]);
			fds[i] = -1;
		}
	assert_int_equal(help_n_held(&pool), MANY);
}

/* In the order of house.c. */
static void stop_all(void)
{
	for (size_t i = 0; i < WORKERS; i++)
		if (workers[i] != NULL)
			worker_join(workers[i]);
	flow_control_stop(flow);
	flow = NULL;
	for (size_t i = 0; i < WORKERS; i++) {
		if (workers[i] != NULL)
			worker_free(workers[i]);
		workers[i] = NULL;
	}
}

static void test_each_is_answered_by_its_worker(void **state)
{
	int fds[MANY];

	(void)state;
	hold_many(fds, WORKERS);
	for (size_t i = 0; i < MANY; i++)
		expect_nothing(fds[i]);
	publish_room();
	for (size_t i = 0; i < MANY; i++) {
		expect_pick(fds[i], i + 1);
		close(fds[i]);
	}
	assert_int_equal(help_picked(&pool), MANY);
	assert_int_equal(help_n_held(&pool), 0);
}

static void test_half_of_them_leave_before_there_is_room(void **state)
{
	int64_t begun = clock_ms();
	int fds[MANY];

	(void)state;
	hold_many(fds, WORKERS);
	for (size_t i = 0; i < MANY; i += 2)
		close(fds[i]);
	while (help_n_held(&pool) > MANY / 2)
		help_still_in_time(begun);
	publish_room();
	for (size_t i = 1; i < MANY; i += 2) {
		expect_pick(fds[i], i + 1);
		close(fds[i]);
	}
	assert_int_equal(help_picked(&pool), MANY / 2);
	assert_int_equal(flow_control_counters(flow)->gone, MANY / 2);
	help_await_nobody_held(&pool);
}

static void test_draining_waits_for_them(void **state)
{
	int fds[MANY], idle = join(workers[0], 0);

	(void)state;
	hold_many(fds, 1);
	worker_drain(workers[0]);
	expect_goodbye(idle);
	close(idle);
	for (size_t i = 0; i < MANY; i++)
		expect_nothing(fds[i]);
	flow_control_drain(flow);
	for (size_t i = 0; i < MANY; i++) {
		expect_pick(fds[i], i + 1);
		expect_goodbye(fds[i]);
		close(fds[i]);
	}
	stop_all();		/* returns: the last peer has left */
}

/* With answers under way as the workers end: ASan counts. */
static void test_stopping_loses_none_of_them(void **state)
{
	int fds[MANY];

	(void)state;
	hold_many(fds, WORKERS);
	publish_room();
	stop_all();
	assert_int_equal(help_n_held(&pool), 0);
	for (size_t i = 0; i < MANY; i++)
		close(fds[i]);
}

/* They leave as the workers end, and nobody reads what they are told any more. */
static void test_stopping_with_all_of_them_waiting(void **state)
{
	int fds[MANY];

	(void)state;
	hold_many(fds, WORKERS);
	stop_all();
	assert_int_equal(help_n_held(&pool), 0);
	assert_int_equal(help_picked(&pool), 0);
	for (size_t i = 0; i < MANY; i++)
		close(fds[i]);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	help_pool_init(&pool, "pool", 5);
	pool.options.number = 1;
	pool.options.flow = (struct flow_control_options){ .enabled = true,
		.ttl_ms = 60000, .empty_ttl_ms = 60000 };
	pool.options.saturation.queue_depth = MANY;
	help_fill(&pool);
	fleet = epoch_new(READERS, help_fleet(&pool), help_fleet_retire);
	flow = flow_control_start(fleet, FLOW, NULL);
	for (size_t i = 0; i < WORKERS; i++)
		workers[i] = worker_start(i, fleet, NULL, flow);
	return flow == NULL || workers[0] == NULL || workers[1] == NULL;
}

static int teardown(void **state)
{
	(void)state;
	stop_all();
	epoch_free(fleet);
	help_pool_fini(&pool);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_each_is_answered_by_its_worker),
		unit(test_half_of_them_leave_before_there_is_room),
		unit(test_draining_waits_for_them),
		unit(test_stopping_loses_none_of_them),
		unit(test_stopping_with_all_of_them_waiting),
	};

	return cmocka_run_group_tests_name("worker_held", tests, NULL, NULL);
}
