/*
 * An endpoint's publishers, run by the test, heard through a pool as the agent makes it:
 * which ports, which ranks, and what breakages do to its part of the index.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <endian.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zmq.h>

#include "clock.h"
#include "counters.h"
#include "discover.h"
#include "engine.h"
#include "fault.h"
#include "help_kv.h"
#include "home.h"
#include "kv_stream.h"
#include "log.h"
#include "pool.h"
#include "prefix.h"
#include "rng.h"
#include "target.h"

enum { WAIT_MS = 20000, BLOCKS = 8, TOKENS = 16, AGE_MS = 100000 };

static struct ev_loop *loop;
static struct kv_client *client;
static struct rng rng = { 1 };
static struct options owner = { .refs = 1 };
static struct pool_options options;
static struct pool *pool;
static struct counters counters;
static void *context, *pub;
static uint16_t port;
static int64_t now_ms;

static const struct engine *engine_of(void *data, const char *name)
{
	(void)data;
	return engine_find(name);
}

static const struct pool_context *pool_context(void)
{
	static struct pool_context c;

	c = (struct pool_context){ .kv = client, .rng = &rng,
		.engine = engine_of, .counters = &counters };
	return &c;
}

static void set_endpoint(const char *label, const char *value)
{
	struct label labels[] = { { label, value } };
	const struct endpoint_spec s = { .name = "s", .host = "localhost",
		.address = "127.0.0.1", .port = 8000, .engine = "vllm",
		.ready = true, .labels = labels, .n_labels = label != NULL };

	assert_int_equal(pool_update(pool, pool_context(), &s, 1, true), 0);
}

static int setup(void **state)
{
	struct fault why = { 0 };
	char url[64];
	size_t len = sizeof(url);

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	loop = ev_loop_new(EVFLAG_AUTO);
	client = kv_client_new(loop, &why);
	context = zmq_ctx_new();
	pub = zmq_socket(context, ZMQ_XPUB);
	zmq_setsockopt(pub, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
	zmq_setsockopt(pub, ZMQ_XPUB_VERBOSE, &(int){ 1 }, sizeof(int));
	assert_int_equal(zmq_bind(pub, "tcp://127.0.0.1:*"), 0);
	zmq_getsockopt(pub, ZMQ_LAST_ENDPOINT, url, &len);
	port = (uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10);
	counters = (struct counters){ 0 };
	now_ms = clock_ms();
	options = (struct pool_options){ .owner = &owner, .name = "p",
		.prefix = { .block_tokens = 64, .max_match_tokens = 131072,
			.capacity_tokens = 64000, .max_bytes = 1 << 20,
			.kv = { .enabled = true, .port = port, .ranks = 1,
				.topic = "" } } };
	pool = pool_new(&options);
	return client == NULL || pool == NULL;
}

static int teardown(void **state)
{
	(void)state;
	pool_clear(pool);
	pool_unref(pool);
	kv_client_free(client);
	zmq_close(pub);
	zmq_ctx_term(context);
	ev_loop_destroy(loop);
	return 0;
}

static uint16_t slot(void)
{
	return target_home(pool->targets[0])->slot;
}

static uint32_t held(void)
{
	return prefix_count(pool->prefix, slot());
}

static void turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
	now_ms += AGE_MS;	/* each beat is due, each chain is old */
	target_beat(pool->targets[0], now_ms, &rng);
}

/* One subscription more; that others end is of no interest. */
static void join(void)
{
	int64_t deadline = clock_ms() + WAIT_MS;
	char said[16];

	while (zmq_recv(pub, said, sizeof(said), ZMQ_DONTWAIT) < 1 ||
	    said[0] != 1) {
		assert_true(clock_ms() < deadline);
		ev_run(loop, EVRUN_NOWAIT);
	}
}

static void until(const _Atomic uint64_t *counter, uint64_t n)
{
	int64_t deadline = clock_ms() + WAIT_MS;

	while (atomic_load(counter) < n) {
		if (clock_ms() > deadline)
			fail_msg("%llu of %llu", (unsigned long long)
			    atomic_load(counter), (unsigned long long)n);
		ev_run(loop, EVRUN_NOWAIT);
	}
}

static void publish(uint64_t number, struct span payload)
{
	uint64_t be = htobe64(number);

	zmq_send(pub, "kv@x@m", 6, ZMQ_SNDMORE);
	zmq_send(pub, &be, sizeof(be), ZMQ_SNDMORE);
	zmq_send(pub, payload.ptr, payload.len, 0);
}

static void send_prompt(void)
{
	uint64_t chain[BLOCKS];

	for (uint64_t i = 0; i < BLOCKS; i++)
		chain[i] = (i + 1) << 20;
	prefix_insert(pool->prefix, slot(), chain, BLOCKS, 0);
}

/* Four of the engine's blocks in each of ours. */
static struct span stored(void)
{
	uint64_t names[BLOCKS * 4];

	for (uint64_t i = 0; i < BLOCKS * 4; i++)
		names[i] = i + 1000;
	help_kv_begin(false);
	help_kv_stored(NULL, names, BLOCKS * 4, TOKENS, "GPU");
	return help_kv_end();
}

static struct span removed(uint64_t name)
{
	help_kv_begin(true);
	help_kv_removed(&name, 1, NULL);
	return help_kv_end();
}

static void test_a_removed_block_is_heard_of(void **state)
{
	(void)state;
	set_endpoint(NULL, NULL);
	join();
	send_prompt();
	publish(0, stored());
	until(&counters.kv_batches, 1);
	assert_int_equal(held(), BLOCKS);
	turn();
	turn();
	publish(1, removed(1000 + 15));	/* of our fourth block the last */
	until(&counters.kv_dropped, BLOCKS - 3);
	assert_int_equal(held(), 3);
}

static void test_what_is_lost_empties(void **state)
{
	(void)state;
	set_endpoint(NULL, NULL);
	join();
	send_prompt();
	publish(0, stored());
	until(&counters.kv_batches, 1);
	publish(5, removed(1));		/* and nobody to ask for 1 to 4 */
	until(&counters.kv_lost, 1);
	assert_int_equal(held(), 0);
}

static void test_garbage_empties_nothing(void **state)
{
	(void)state;
	set_endpoint(NULL, NULL);
	join();
	send_prompt();
	publish(0, span_of("no batch at all"));
	zmq_send(pub, "one frame", 9, 0);
	until(&counters.kv_garbage, 2);
	assert_int_equal(held(), BLOCKS);
}

static void test_an_endpoint_has_a_port_of_its_own(void **state)
{
	char text[16];

	(void)state;
	options.prefix.kv.port = 1;		/* nobody there */
	snprintf(text, sizeof(text), "%u", port);
	set_endpoint("haproxy-epp/kv-events-port", text);
	join();
	publish(0, stored());
	until(&counters.kv_batches, 1);
}

static void test_a_label_that_is_no_port_is_not_believed(void **state)
{
	static const char *const bad[] = { "0", "65536", "55x", "", "-1" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		set_endpoint(NULL, NULL);
		join();
		set_endpoint("haproxy-epp/kv-events-port", bad[i]);
		join();
	}
}

/* Of two ranks the second would be at port 0. */
static void test_a_label_leaves_room_for_all_ranks(void **state)
{
	(void)state;
	options.prefix.kv.port = (uint16_t)(port - 1);
	options.prefix.kv.ranks = 2;
	set_endpoint("haproxy-epp/kv-events-port", "65535");
	join();
}

/* A reload with the same options goes on hearing; with others it begins again. */
static void test_a_reload_keeps_what_has_not_changed(void **state)
{
	(void)state;
	set_endpoint(NULL, NULL);
	join();
	publish(0, stored());
	until(&counters.kv_batches, 1);
	set_endpoint(NULL, NULL);
	publish(1, removed(1));
	until(&counters.kv_batches, 2);		/* nobody has had to join again */
	options.prefix.kv.topic = "kv@";
	set_endpoint(NULL, NULL);
	join();
	publish(2, removed(2));
	until(&counters.kv_batches, 3);
}

static void test_a_set_that_is_refused_goes_on_hearing(void **state)
{
	enum { N = PREFIX_SLOTS_MAX + 1 };
	struct endpoint_spec *specs = calloc(N, sizeof(*specs));
	char (*names)[8] = calloc(N, sizeof(*names));

	(void)state;
	set_endpoint(NULL, NULL);
	join();
	publish(0, stored());
	until(&counters.kv_batches, 1);
	for (size_t i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "t%zu", i);
		specs[i] = (struct endpoint_spec){ .name = names[i],
			.host = "h", .port = 1, .engine = "vllm" };
	}
	specs[0] = (struct endpoint_spec){ .name = "s", .host = "localhost",
		.address = "127.0.0.1", .port = 8000, .engine = "vllm",
		.ready = true };
	assert_int_equal(pool_update(pool, pool_context(), specs, N, true),
	    -ENOMEM);
	publish(1, removed(1));
	until(&counters.kv_batches, 2);
	free(names);
	free(specs);
}

/* No descriptor is left when its options change; later there is. */
static void test_what_could_not_be_opened_is_tried_again(void **state)
{
	struct rlimit most, few;

	(void)state;
	set_endpoint(NULL, NULL);
	join();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &most), 0);
	few = most;
	few.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	options.prefix.kv.topic = "kv@";
	set_endpoint(NULL, NULL);
	turn();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &most), 0);
	turn();
	join();
	publish(0, stored());
	until(&counters.kv_batches, 1);
}

static void test_ranks_are_ports_in_a_row(void **state)
{
	(void)state;
	options.prefix.kv.port = (uint16_t)(port - 2);
	options.prefix.kv.ranks = 3;
	set_endpoint(NULL, NULL);
	join();
	publish(0, stored());
	until(&counters.kv_batches, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_removed_block_is_heard_of),
		TEST(test_what_is_lost_empties),
		TEST(test_garbage_empties_nothing),
		TEST(test_an_endpoint_has_a_port_of_its_own),
		TEST(test_a_label_that_is_no_port_is_not_believed),
		TEST(test_a_label_leaves_room_for_all_ranks),
		TEST(test_a_reload_keeps_what_has_not_changed),
		TEST(test_a_set_that_is_refused_goes_on_hearing),
		TEST(test_what_could_not_be_opened_is_tried_again),
		TEST(test_ranks_are_ports_in_a_row),
	};

	return cmocka_run_group_tests_name("kv_feed", tests, NULL, NULL);
}
