/*
 * A publisher of the test's own, on real sockets: what comes, in which order, and what is
 * said of what does not. Nothing is timed; each wait is for what must come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <endian.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zmq.h>

#include "clock.h"
#include "fault.h"
#include "kv_stream.h"

enum { WAIT_MS = 20000 };

static struct ev_loop *loop;
static struct kv_client *client;
static struct kv_stream *stream;
static void *context, *pub, *router;
static uint16_t pub_port, router_port;

/* What was told, a word each: "0 1 lost 4". */
static char said[1024];
static int n_told;		/* batches */

static void say(const char *word)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s%s", n > 0 ? " " : "", word);
}

static void on_batch(void *data, struct span payload, bool is_replayed)
{
	char word[64];

	assert_ptr_equal(data, &said);
	n_told++;
	if (payload.len == 0)
		return;
	snprintf(word, sizeof(word), "%.*s%s", (int)payload.len, payload.ptr,
	    is_replayed ? "r" : "");
	say(word);
}

static void on_broken(void *data, enum kv_break what)
{
	static const char *const names[] = { [KV_BEGINS] = "begins",
		[KV_JOINED] = "joined", [KV_RESTARTS] = "restarts",
		[KV_LOST] = "lost" };

	(void)data;
	say(names[what]);
}

static void on_garbage(void *data)
{
	(void)data;
	say("garbage");
}

static const struct kv_stream_calls calls = { on_batch, on_broken, on_garbage };

static uint16_t bind_one(void *socket)
{
	char url[64];
	size_t len = sizeof(url);

	assert_int_equal(zmq_setsockopt(socket, ZMQ_LINGER, &(int){ 0 },
	    sizeof(int)), 0);
	assert_int_equal(zmq_bind(socket, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, url, &len), 0);
	return (uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10);
}

static void publish(uint64_t number, const char *payload)
{
	uint64_t be = htobe64(number);

	zmq_send(pub, "kv@x@m", 6, ZMQ_SNDMORE);
	zmq_send(pub, &be, sizeof(be), ZMQ_SNDMORE);
	zmq_send(pub, payload, strlen(payload), 0);
}

/* Turns the loop until what was said ends so. */
static void until(const char *end)
{
	int64_t deadline = clock_ms() + WAIT_MS;

	for (;;) {
		size_t n = strlen(said), m = strlen(end);

		if (n >= m && strcmp(said + n - m, end) == 0)
			return;
		if (clock_ms() > deadline)
			fail_msg("said '%s', never '%s'", said, end);
		ev_run(loop, EVRUN_NOWAIT);
	}
}

static void open_within(bool with_replay, const char *topic, double replay_s,
    double silent_s)
{
	const struct kv_stream_options o = { .address = "127.0.0.1",
		.port = pub_port, .replay_port = with_replay ? router_port : 0,
		.replay_s = replay_s, .silent_s = silent_s, .topic = topic,
		.calls = &calls, .data = &said };
	struct fault why = { 0 };

	stream = kv_stream_open(client, &o, &why);
	assert_non_null(stream);
}

static void open_stream(bool with_replay, const char *topic)
{
	open_within(with_replay, topic, 0, 0);
}

static int setup(void **state)
{
	struct fault why = { 0 };

	(void)state;
	said[0] = '\0';
	n_told = 0;
	loop = ev_loop_new(EVFLAG_AUTO);
	client = kv_client_new(loop, &why);
	context = zmq_ctx_new();
	pub = zmq_socket(context, ZMQ_XPUB);
	router = zmq_socket(context, ZMQ_ROUTER);
	pub_port = bind_one(pub);
	router_port = bind_one(router);
	return client == NULL;
}

static int teardown(void **state)
{
	(void)state;
	kv_stream_close(stream);
	stream = NULL;
	kv_client_free(client);
	zmq_close(pub);
	zmq_close(router);
	zmq_ctx_term(context);
	ev_loop_destroy(loop);
	return 0;
}

/* An XPUB hears of the subscription: what it sends after that arrives. */
static void join(uint64_t number, const char *payload, const char *end)
{
	int64_t deadline = clock_ms() + WAIT_MS;
	char subscription[16];

	while (zmq_recv(pub, subscription, sizeof(subscription),
		ZMQ_DONTWAIT) < 1 || subscription[0] != 1) {
		assert_true(clock_ms() < deadline);
		ev_run(loop, EVRUN_NOWAIT);
	}
	publish(number, payload);
	until(end);
}

/* Answers what was asked: from which number? */
static uint64_t asked(char id[64], int *id_len)
{
	int64_t deadline = clock_ms() + WAIT_MS;
	uint64_t number;
	char skip[8];

	while ((*id_len = zmq_recv(router, id, 64, ZMQ_DONTWAIT)) < 0) {
		assert_true(clock_ms() < deadline);
		ev_run(loop, EVRUN_NOWAIT);
	}
	assert_int_equal(zmq_recv(router, skip, sizeof(skip), 0), 0);
	assert_int_equal(zmq_recv(router, &number, sizeof(number), 0), 8);
	return be64toh(number);
}

static void replay(const char *id, int id_len, uint64_t number,
    const char *payload)
{
	uint64_t be = htobe64(number);

	zmq_send(router, id, (size_t)id_len, ZMQ_SNDMORE);
	zmq_send(router, "", 0, ZMQ_SNDMORE);
	zmq_send(router, &be, sizeof(be), ZMQ_SNDMORE);
	zmq_send(router, payload, strlen(payload), 0);
}

static void test_what_comes_is_told_in_order(void **state)
{
	(void)state;
	open_stream(false, "kv@");
	join(100, "a", "joined a");
	publish(101, "b");
	publish(102, "c");
	until("b c");
	publish(0, "x");
	until("restarts x");
}

static void test_other_topics_do_not_come(void **state)
{
	(void)state;
	open_stream(false, "kv@x");
	join(5, "a", "joined a");
	zmq_send(pub, "kv@y@m", 6, ZMQ_SNDMORE);
	zmq_send(pub, "12345678", 8, ZMQ_SNDMORE);
	zmq_send(pub, "other", 5, 0);
	publish(6, "b");
	until("b");
	assert_null(strstr(said, "other"));
}

static void test_noise_is_told_and_survived(void **state)
{
	(void)state;
	open_stream(false, "");
	join(5, "a", "joined a");
	zmq_send(pub, "one frame", 9, 0);
	zmq_send(pub, "a", 1, ZMQ_SNDMORE);
	zmq_send(pub, "short", 5, ZMQ_SNDMORE);
	zmq_send(pub, "c", 1, 0);
	for (int i = 0; i < 5; i++)
		zmq_send(pub, "many", 4, i < 4 ? ZMQ_SNDMORE : 0);
	publish(6, "b");
	until("garbage garbage garbage b");
}

static void test_without_replay_a_gap_is_a_loss(void **state)
{
	(void)state;
	open_stream(false, "");
	join(5, "a", "joined a");
	publish(8, "d");
	publish(9, "e");
	until("lost d e");
}

static void test_a_gap_is_replayed(void **state)
{
	char id[64];
	int n;

	(void)state;
	open_stream(true, "");
	join(5, "a", "joined a");
	publish(8, "d");
	publish(9, "e");
	assert_int_equal(asked(id, &n), 5);	/* and is the last one as it was? */
	replay(id, n, 5, "a");
	replay(id, n, 6, "b");
	replay(id, n, 7, "c");
	replay(id, n, 8, "d");
	replay(id, n, UINT64_MAX, "");
	until("br cr dr e");
	publish(10, "f");
	until("e f");
}

static void test_what_replay_does_not_have_is_lost(void **state)
{
	char id[64];
	int n;

	(void)state;
	open_stream(true, "");
	join(5, "a", "joined a");
	publish(9, "e");
	assert_int_equal(asked(id, &n), 5);
	replay(id, n, 8, "d");
	replay(id, n, UINT64_MAX, "");
	until("lost dr e");
}

/* Its numbers have passed ours while we were away; the last one is not what it was. */
static void test_another_process_is_told_by_its_past(void **state)
{
	char id[64];
	int n;

	(void)state;
	open_stream(true, "");
	join(1, "a", "joined a");
	publish(4, "E");
	assert_int_equal(asked(id, &n), 1);
	replay(id, n, 1, "B");
	replay(id, n, 2, "C");
	replay(id, n, UINT64_MAX, "");
	assert_int_equal(asked(id, &n), 0);
	replay(id, n, 0, "A");
	replay(id, n, 1, "B");
	replay(id, n, 2, "C");
	replay(id, n, 3, "D");
	replay(id, n, UINT64_MAX, "");
	until("restarts Ar Br Cr Dr E");
}

/* Nobody answers at all: after two seconds of silence it goes on without. */
static void test_a_silent_replay_is_given_up(void **state)
{
	(void)state;
	open_stream(true, "");
	join(5, "a", "joined a");
	publish(8, "d");
	until("lost d");
	publish(10, "f");	/* and for a while it is not asked again */
	until("lost f");
}

/* Never silent and never at its end: it has its time, and no more. */
static void test_an_endless_replay_is_given_up(void **state)
{
	int64_t deadline = clock_ms() + WAIT_MS;
	char id[64];
	int n;

	(void)state;
	open_within(true, "", .2, 0);
	join(5, "a", "joined a");
	publish(8, "d");
	assert_int_equal(asked(id, &n), 5);
	while (strstr(said, "lost d") == NULL) {
		assert_true(clock_ms() < deadline);
		replay(id, n, 5, "a");
		ev_run(loop, EVRUN_NOWAIT);
	}
	publish(10, "f");	/* and for a while it is not asked again */
	until("lost f");
}

/* The loop has others to look at. */
static void test_a_long_replay_takes_its_turns(void **state)
{
	enum { MANY = 900, TURN = 64 };
	int64_t deadline = clock_ms() + WAIT_MS;
	char id[64];
	int n, most = 0;

	(void)state;
	open_stream(true, "");
	join(5, "a", "joined a");
	publish(6 + MANY, "end");
	assert_int_equal(asked(id, &n), 5);
	said[0] = '\0';
	replay(id, n, 5, "a");
	for (uint64_t i = 0; i < MANY; i++)
		replay(id, n, 6 + i, "");
	replay(id, n, UINT64_MAX, "");
	while (strstr(said, "end") == NULL) {
		int before = n_told;

		assert_true(clock_ms() < deadline);
		ev_run(loop, EVRUN_NOWAIT);
		most = n_told - before > most ? n_told - before : most;
	}
	assert_int_equal(n_told, 2 + MANY);
	assert_true(most <= TURN + 1);	/* with the one that was held */
}

/*
 * More than any batch is: its connection ends, for good as far as libzmq is asked. What
 * comes on the next is heard, and that it was missed.
 */
static void test_a_message_without_measure_is_not_taken(void **state)
{
	enum { LARGE = 9 << 20 };
	char *large = calloc(1, LARGE);

	(void)state;
	open_within(false, "", 0, 1);
	join(5, "a", "joined a");
	zmq_send(pub, "kv@x@m", 6, ZMQ_SNDMORE);
	zmq_send(pub, "12345678", 8, ZMQ_SNDMORE);
	zmq_send(pub, large, LARGE, 0);
	free(large);
	join(7, "b", "a lost b");
}

static void test_closing_in_the_middle_is_fine(void **state)
{
	char id[64];
	int n;

	(void)state;
	open_stream(true, "");
	join(5, "a", "joined a");
	publish(8, "d");
	assert_int_equal(asked(id, &n), 5);
}

/* Ranks of endpoints, and a replay of each: more than libzmq allows by itself. */
static void test_a_client_has_thousands_of_streams(void **state)
{
	enum { N = 2500, FILES = N + 500 };
	struct kv_stream **streams = calloc(N, sizeof(*streams));
	struct rlimit limit;
	struct fault why = { 0 };
	const struct kv_stream_options o = { .address = "127.0.0.1",
		.port = 1, .topic = "", .calls = &calls, .data = &said };

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < FILES)
		skip();
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (size_t i = 0; i < N; i++) {
		streams[i] = kv_stream_open(client, &o, &why);
		if (streams[i] == NULL)
			fail_msg("after %zu", i);
	}
	for (size_t i = 0; i < N; i++)
		kv_stream_close(streams[i]);
	free(streams);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_comes_is_told_in_order),
		TEST(test_other_topics_do_not_come),
		TEST(test_noise_is_told_and_survived),
		TEST(test_without_replay_a_gap_is_a_loss),
		TEST(test_a_gap_is_replayed),
		TEST(test_what_replay_does_not_have_is_lost),
		TEST(test_another_process_is_told_by_its_past),
		TEST(test_a_silent_replay_is_given_up),
		TEST(test_an_endless_replay_is_given_up),
		TEST(test_a_long_replay_takes_its_turns),
		TEST(test_a_message_without_measure_is_not_taken),
		TEST(test_closing_in_the_middle_is_fine),
		TEST(test_a_client_has_thousands_of_streams),
	};

	return cmocka_run_group_tests_name("kv_stream", tests, NULL, NULL);
}
