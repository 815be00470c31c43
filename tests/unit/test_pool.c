#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"
#include "clock.h"
#include "discover.h"
#include "engine.h"
#include "entries.h"
#include "fault.h"
#include "help_metrics.h"
#include "home.h"
#include "http.h"
#include "label_columns.h"
#include "log.h"
#include "plugin.h"
#include "pool.h"
#include "prefix.h"
#include "rng.h"
#include "target.h"

static struct ev_loop *loop;
static struct http_client *http;
static struct rng rng = { 1 };
static struct options owner = { .refs = 1 };
static struct pool_options options;
static struct pool *pool;

static const struct engine *engine_of(void *data, const char *name)
{
	(void)data;
	return engine_find(name);
}

static int update(const struct endpoint_spec *specs, size_t n)
{
	const struct pool_context c = { .http = http, .rng = &rng,
		.engine = engine_of };

	return pool_update(pool, &c, specs, n, false);
}

/* Endpoints by their letters: "ac" is two, at 10.0.0.97 and 10.0.0.99. */
static void set(const char *letters)
{
	static char names[32][2], hosts[32][16];
	struct endpoint_spec specs[32];
	size_t n = strlen(letters);

	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "%c", letters[i]);
		snprintf(hosts[i], sizeof(hosts[i]), "10.0.0.%d", letters[i]);
		specs[i] = (struct endpoint_spec){ .name = names[i],
			.host = hosts[i], .address = hosts[i], .port = 8000,
			.engine = "vllm", .ready = true };
	}
	assert_int_equal(update(specs, n), 0);
}

static const struct endpoint_view *view_now(void)
{
	const struct endpoint_view *v = pool_view(pool, clock_ms());

	assert_non_null(v);
	return v;
}

static const struct endpoint *find(const struct endpoint_view *v,
    const char *name)
{
	for (size_t i = 0; i < v->n_endpoints; i++)
		if (span_is_text(v->endpoints[i].name, name))
			return &v->endpoints[i];
	return NULL;
}

static uint16_t slot_of(const char *name)
{
	const struct endpoint_view *v = view_now();
	uint16_t slot = find(v, name)->slot;

	pool_view_unref(v);
	return slot;
}

static void remember(uint16_t slot)
{
	uint64_t chain[] = { 1 << 20, 2 << 20, 3 << 20 };

	prefix_insert(pool->prefix, slot, chain, 3, 0);
}

static void test_a_new_pool_is_not_known_yet(void **state)
{
	const struct endpoint_view *v = view_now();

	(void)state;
	assert_false(v->is_known);
	assert_int_equal(v->n_endpoints, 0);
	assert_int_equal(v->number, 1);
	assert_string_equal(v->pool, "p");
	pool_view_unref(v);
	set("");
	v = view_now();
	assert_true(v->is_known);
	assert_int_equal(v->n_endpoints, 0);
	assert_int_equal(v->number, 2);
	pool_view_unref(v);
}

static void test_a_view_is_sorted_and_complete(void **state)
{
	const struct endpoint_view *v;

	(void)state;
	set("dacb");
	assert_true(pool->is_dirty);
	v = view_now();
	assert_false(pool->is_dirty);
	assert_int_equal(v->n_endpoints, 4);
	assert_int_equal(v->n_slots, 4);
	assert_int_equal(v->block_bytes, 256);
	assert_int_equal(v->max_blocks, 2048);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(v->endpoints[i].name.ptr[0], 'a' + (int)i);
		assert_true(v->endpoints[i].slot < v->n_slots);
		assert_int_equal(v->stats[i].health, ENDPOINT_STALE);
		assert_int_equal(endpoint_unsettled(v, i), 0);
	}
	assert_true(span_is_text(v->endpoints[3].addr, "10.0.0.100:8000"));
	pool_view_unref(v);
}

static const struct {
	const char *address, *text;
} addresses[] = {
	{ "10.1.2.3", "10.1.2.3:65535" },
	{ "fd00::7", "[fd00::7]:65535" },
	{ NULL, "" },
};

static void test_addresses_are_written_as_haproxy_reads_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct label label = { "zone", "a" };
		struct endpoint_spec s = { .name = "x", .host = "h",
			.address = addresses[i].address, .port = 65535,
			.engine = "vllm", .labels = &label, .n_labels = 1 };
		const struct endpoint_view *v;

		assert_int_equal(update(&s, 1), 0);
		v = view_now();
		assert_true(span_is(v->endpoints[0].addr,
			span_of(addresses[i].text)));
		assert_string_equal(v->endpoints[0].labels[0].value, "a");
		assert_true(*label_column(v->labels,
		    endpoint_label_id("zone")) ==
		    endpoint_value_id(span_of("a")));
		assert_int_equal(v->stats[0].health, ENDPOINT_DOWN);
		pool_view_unref(v);
	}
}

/* Whatever others do, who stays keeps slot, counts, numbers and memory. */
static void test_joining_and_leaving_leaves_others_alone(void **state)
{
	static const char *const sets[] = { "bm", "abm", "bmz", "abcdmz", "mb",
		"bm" };
	uint16_t b, m;
	struct target *tm;

	(void)state;
	set("bm");
	b = slot_of("b");
	m = slot_of("m");
	tm = pool->targets[1];
	remember(b);
	pool->live[m].picked = 5;
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		set(sets[i]);
		assert_int_equal(slot_of("b"), b);
		assert_int_equal(slot_of("m"), m);
		assert_int_equal(prefix_count(pool->prefix, b), 3);
		assert_int_equal(pool->live[m].picked, 5);
		for (size_t k = 0; k < pool->n_targets; k++)
			if (strcmp(target_home(pool->targets[k])->name, "m") == 0)
				assert_ptr_equal(pool->targets[k], tm);
	}
}

static void test_a_slot_waits_for_the_last_view_that_knew_it(void **state)
{
	const struct endpoint_view *old, *between;
	uint16_t a;

	(void)state;
	set("a");
	a = slot_of("a");
	remember(a);
	pool->live[a].picked = 41;
	old = view_now();
	between = view_now();
	set("");
	set("b");
	assert_int_not_equal(slot_of("b"), a);
	pool_view_unref(old);
	set("bc");
	assert_int_not_equal(slot_of("c"), a);
	/* The old endpoint is still all there for who looks at it. */
	assert_true(span_is_text(between->endpoints[0].name, "a"));
	assert_int_equal(prefix_count(pool->prefix, a), 3);
	pool_view_unref(between);
	assert_int_equal(prefix_count(pool->prefix, a), 0);
	set("bcd");
	assert_int_equal(slot_of("d"), a);

	const struct endpoint_view *v = view_now();

	for (size_t i = 0; i < v->n_endpoints; i++)
		assert_int_equal(endpoint_unsettled(v, i), 0);
	pool_view_unref(v);
}

/* Same name, but not the same endpoint: it starts anew. */
static void test_another_identity_is_another_endpoint(void **state)
{
	const struct label x = { "k", "x" }, y = { "k", "y" };
	const struct endpoint_spec first = { .name = "s", .host = "h",
		.address = "10.0.0.1", .port = 1, .engine = "vllm",
		.labels = &x, .n_labels = 1, .ready = true };
	struct endpoint_spec others[6];

	(void)state;
	for (size_t i = 0; i < 6; i++)
		others[i] = first;
	others[0].host = "other";
	others[1].address = "10.0.0.2";
	others[2].address = NULL;
	others[3].port = 2;
	others[4].labels = &y;
	others[5].n_labels = 0;
	for (size_t i = 0; i < 6; i++) {
		uint16_t slot;

		assert_int_equal(update(&first, 1), 0);
		slot = slot_of("s");
		assert_int_equal(update(&first, 1), 0);
		assert_int_equal(slot_of("s"), slot);
		remember(slot);
		assert_int_equal(update(&others[i], 1), 0);
		assert_int_equal(prefix_count(pool->prefix, slot_of("s")), 0);
		assert_int_equal(prefix_total(pool->prefix), 0);
	}
}

/* Another engine is another way to ask the same endpoint. */
static void test_another_engine_keeps_the_slot(void **state)
{
	struct endpoint_spec s = { .name = "s", .host = "h",
		.address = "10.0.0.1", .port = 1, .engine = "vllm" };
	uint16_t slot;

	(void)state;
	assert_int_equal(update(&s, 1), 0);
	slot = slot_of("s");
	remember(slot);
	s.engine = "sglang";
	assert_int_equal(update(&s, 1), 0);
	assert_int_equal(slot_of("s"), slot);
	assert_int_equal(prefix_count(pool->prefix, slot), 3);
	assert_string_equal(target_engine(pool->targets[0])->name, "sglang");
}

static void test_too_many_endpoints_change_nothing(void **state)
{
	enum { N = PREFIX_SLOTS_MAX + 1 };
	struct endpoint_spec *specs = calloc(N, sizeof(*specs));
	char (*names)[8] = calloc(N, sizeof(*names));
	uint16_t a;

	(void)state;
	set("a");
	a = slot_of("a");
	remember(a);
	for (size_t i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "n%zu", i);
		specs[i] = (struct endpoint_spec){ .name = names[i],
			.host = "h", .port = 1, .engine = "vllm" };
	}
	assert_int_equal(update(specs, N), -ENOMEM);
	assert_int_equal(pool->n_targets, 1);
	assert_int_equal(slot_of("a"), a);
	assert_int_equal(prefix_count(pool->prefix, a), 3);
	set("ab");		/* and all slots were given back */
	assert_int_equal(pool->n_targets, 2);
	free(specs);
	free(names);
}

/* A random history: no two of any living view ever share a slot. */
static void test_no_slot_is_ever_shared(void **state)
{
	enum { VIEWS = 4 };
	const struct endpoint_view *views[VIEWS] = { NULL };
	struct rng numbers = { 3 };

	(void)state;
	for (int round = 0; round < 500; round++) {
		const struct endpoint *by_slot[128] = { NULL };
		size_t k = rng_below(&numbers, VIEWS);
		char letters[27];
		size_t n = 0;

		for (char c = 'a'; c <= 'z'; c++)
			if (rng_below(&numbers, 3) == 0)
				letters[n++] = c;
		letters[n] = '\0';
		set(letters);
		pool_view_unref(views[k]);
		views[k] = view_now();
		for (k = 0; k < VIEWS; k++)
			for (size_t i = 0; views[k] != NULL &&
			     i < views[k]->n_endpoints; i++) {
				const struct endpoint *e =
				    &views[k]->endpoints[i];

				assert_true(e->slot < views[k]->n_slots);
				assert_true(e->slot < 128);
				if (by_slot[e->slot] == NULL)
					by_slot[e->slot] = e;
				assert_true(span_is(by_slot[e->slot]->name,
					e->name));
			}
	}
	for (size_t k = 0; k < VIEWS; k++)
		pool_view_unref(views[k]);
}

static void test_a_view_outlives_its_pool(void **state)
{
	const struct endpoint_view *v;

	set("ab");
	v = view_now();
	pool_view_ref(v);
	pool_clear(pool);
	pool->options = NULL;
	pool_unref(pool);
	pool_view_unref(v);
	assert_true(span_is_text(v->endpoints[1].name, "b"));
	assert_int_equal(endpoint_unsettled(v, 1), 0);
	assert_int_equal(prefix_count(v->prefix, v->endpoints[1].slot), 0);
	pool_view_unref(v);
	pool = pool_new(&options);	/* for teardown */
	(void)state;
}

static uint16_t port_of(const void *params)
{
	return *(const uint16_t *)params;
}

/* A schedule that changes with the set as it is: each view has what it was made by. */
static void test_a_view_knows_who_forwards_to_ranks(void **state)
{
	static const struct handler handler = { .entry_port = port_of };
	uint16_t port = 0;
	const struct schedule schedule = { .handler = &handler,
		.params = &port };
	struct endpoint_spec specs[3];
	const struct endpoint_view *v, *before;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		specs[i] = (struct endpoint_spec){ .name = i == 0 ? "a" :
			i == 1 ? "b" : "c", .host = i < 2 ? "10.0.0.1" :
			"10.0.0.2", .address = i < 2 ? "10.0.0.1" : "10.0.0.2",
			.port = (uint16_t)(8000 + i), .engine = "vllm",
			.ready = true };
	assert_int_equal(update(specs, 3), 0);
	options.schedule = &schedule;
	before = view_now();
	assert_null(before->entries);
	port = 8001;
	v = view_now();
	assert_null(before->entries);
	assert_int_equal(v->entries->rows[0], 1);
	assert_int_equal(v->entries->rows[1], 1);
	assert_int_equal(v->entries->rows[2], 3);
	pool_view_unref(before);
	before = v;
	port = 8002;
	assert_int_equal(update(specs, 3), 0);
	v = view_now();
	assert_int_equal(v->entries->rows[0], 3);
	assert_int_equal(v->entries->rows[2], 2);
	assert_int_equal(before->entries->rows[0], 1);
	pool_view_unref(before);
	pool_view_unref(v);
	options.schedule = NULL;
}

/* ---- what only some engines tell ---- */

#define TELL(adapters, depth) \
	"vllm:num_requests_waiting 0\ndepth " depth "\n" \
	"vllm:lora_requests_info{max_lora=\"9\",running_lora_adapters=\"" \
	adapters "\",waiting_lora_adapters=\"\"} 1\n"

static struct help_metrics *server;
static const struct engine *own_engine;

static const struct engine *own_or_built_in(void *data, const char *name)
{
	(void)data;
	return strcmp(name, "mine") == 0 ? own_engine : engine_find(name);
}

/* Of "a", "b" and "c" one is asked, and told what the server says now. */
static void set_told(const char *told)
{
	const struct pool_context c = { .http = http, .rng = &rng,
		.engine = own_or_built_in };
	static const char *const names[] = { "a", "b", "c" };
	static int64_t due_ms;		/* past every interval */
	struct endpoint_spec specs[3];

	due_ms = (due_ms == 0 ? clock_ms() : due_ms) + 100000;
	for (size_t i = 0; i < 3; i++)
		specs[i] = (struct endpoint_spec){ .name = names[i],
			.host = "127.0.0.1", .address = "127.0.0.1",
			.port = help_metrics_port(server), .engine = "mine",
			.ready = true };
	assert_int_equal(pool_update(pool, &c, specs, 3, false), 0);
	for (size_t i = 0; i < 3; i++) {
		struct target *t = pool->targets[i];
		int64_t end = clock_ms() + 10000;

		if (strcmp(target_home(t)->name, told) != 0)
			continue;
		pool->is_dirty = false;
		target_beat(t, due_ms, &rng);
		while (!pool->is_dirty && clock_ms() < end)
			ev_run(loop, EVRUN_ONCE);
		assert_true(pool->is_dirty);
	}
}

static void serve_extras(void)
{
	static const struct custom_metric_options custom = { "k", "depth", 0 };
	const struct engine_options o = { .name = "mine", .extends = "vllm",
		.custom = &custom, .n_custom = 1 };
	static struct arena *arena;
	struct fault why = { 0 };

	arena_free(arena);
	arena = arena_new(4096, 65536);
	own_engine = engine_make(&o, arena, &why);
	assert_non_null(own_engine);
	options.scrape.enabled = true;
	server = help_metrics_start(0);
}

static void assert_extras(const struct endpoint_view *v, size_t row,
    const char *adapter, double depth)
{
	const struct lora_set *lora = endpoint_lora(v, row);
	const struct attribute *a = attribute_find(endpoint_attributes(v, row),
	    attribute_key("k"));

	assert_non_null(lora);
	assert_non_null(a);
	assert_int_equal(lora_find(lora, lora_name(span_of(adapter))),
	    LORA_RUNNING);
	assert_int_equal(lora->max, 9);
	assert_true(a->value == depth);
}

/* Rows are by name, whoever told what first. */
static void test_a_view_has_the_extras_of_its_rows(void **state)
{
	const struct endpoint_view *v;

	(void)state;
	serve_extras();
	set("abc");
	v = view_now();
	assert_null(v->extras);
	pool_view_unref(v);
	help_metrics_say(server, 200, TELL("x,y,z", "1"));
	set_told("c");
	help_metrics_say(server, 200, TELL("y", "-2"));
	set_told("a");
	v = view_now();
	assert_extras(v, 0, "y", -2);
	assert_null(endpoint_lora(v, 1));
	assert_null(endpoint_attributes(v, 1));
	assert_extras(v, 2, "z", 1);
	pool_view_unref(v);
	help_metrics_stop(server);
}

/* An old view says what it said, whatever was told since and whoever is gone. */
static void test_the_extras_of_a_view_are_its_own(void **state)
{
	const struct endpoint_view *old, *v;

	(void)state;
	serve_extras();
	help_metrics_say(server, 200, TELL("x", "1"));
	set_told("b");
	old = view_now();
	help_metrics_say(server, 200, TELL("y,z", "2"));
	set_told("b");
	v = view_now();
	assert_extras(v, 1, "z", 2);
	pool_view_unref(v);
	help_metrics_say(server, 200, "vllm:num_requests_waiting 0\n");
	set_told("b");
	v = view_now();
	assert_null(v->extras);
	pool_view_unref(v);
	pool_clear(pool);
	assert_extras(old, 1, "x", 1);
	pool_view_unref(old);
	help_metrics_stop(server);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	options = (struct pool_options){ .owner = &owner, .name = "p",
		.engine = "vllm",
		.scrape = { .enabled = false, .path = "/metrics",
		    .interval_ms = 50, .timeout_ms = 200, .stale_ms = 2000,
		    .max_bytes = 1 << 20 },
		.prefix = { .block_tokens = 64, .max_match_tokens = 131072,
		    .capacity_tokens = 256 * 64, .auto_tune = true,
		    .max_bytes = 1 << 20 } };
	loop = ev_loop_new(EVFLAG_AUTO);
	http = http_client_new(loop);
	pool = pool_new(&options);
	return pool == NULL;
}

static int teardown(void **state)
{
	(void)state;
	pool_clear(pool);
	pool_unref(pool);
	http_client_free(http);
	ev_loop_destroy(loop);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_a_new_pool_is_not_known_yet),
		unit(test_a_view_is_sorted_and_complete),
		unit(test_addresses_are_written_as_haproxy_reads_them),
		unit(test_joining_and_leaving_leaves_others_alone),
		unit(test_a_slot_waits_for_the_last_view_that_knew_it),
		unit(test_another_identity_is_another_endpoint),
		unit(test_another_engine_keeps_the_slot),
		unit(test_too_many_endpoints_change_nothing),
		unit(test_no_slot_is_ever_shared),
		unit(test_a_view_outlives_its_pool),
		unit(test_a_view_knows_who_forwards_to_ranks),
		unit(test_a_view_has_the_extras_of_its_rows),
		unit(test_the_extras_of_a_view_are_its_own),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
