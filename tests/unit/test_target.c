/*
 * Fetches from a server that the test runs, on a loop that the test turns; the time is
 * the test's, so that nothing waits for an interval or for staleness.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ev.h>

#include "arena.h"
#include "books.h"
#include "clock.h"
#include "counters.h"
#include "discover.h"
#include "engine.h"
#include "fault.h"
#include "home.h"
#include "help_metrics.h"
#include "http.h"
#include "log.h"
#include "pick.h"
#include "pool.h"
#include "prefix.h"
#include "rng.h"
#include "target.h"

enum { WAIT_MS = 10000, STALE_MS = 2000, INTERVAL_MS = 50, STEP_MS = 100000 };

static struct ev_loop *loop;
static struct http_client *http;
static struct rng rng = { 1 };
static struct help_metrics *server;
static struct options owner = { .refs = 1 };
static struct pool_options options;
static struct pool *pool;
static struct books *books;		/* NULL but where they are tested */
static struct counters counters;
static int64_t reconcile_after_ms;
static int64_t now_ms;

static const struct engine *own_engine;	/* NULL, or the one that is not built in */

static const struct engine *engine_of(void *data, const char *name)
{
	(void)data;
	return own_engine != NULL ? own_engine : engine_find(name);
}

static const struct pool_context *context(void)
{
	static struct pool_context c;

	c = (struct pool_context){ .http = http, .rng = &rng,
		.engine = engine_of, .books = books, .counters = &counters,
		.reconcile_after_ms = reconcile_after_ms };
	return &c;
}

static struct endpoint_spec spec(void)
{
	return (struct endpoint_spec){ .name = "s", .host = "localhost",
		.address = "127.0.0.1", .port = help_metrics_port(server),
		.engine = "vllm", .ready = true };
}

static void set_endpoint(struct endpoint_spec s)
{
	assert_int_equal(pool_update(pool, context(), &s, 1, true), 0);
}

static struct target *target(void)
{
	return pool->targets[0];
}

/* One whole fetch, an age after the last. */
static void fetch(void)
{
	int64_t end = clock_ms() + WAIT_MS;

	now_ms += STEP_MS;
	pool->is_dirty = false;
	target_beat(target(), now_ms, &rng);
	while (!pool->is_dirty && clock_ms() < end)
		ev_run(loop, EVRUN_ONCE);
	assert_true(pool->is_dirty);
}

static struct endpoint_stats stats(void)
{
	return target_stats(target(), clock_ms());
}

static void test_numbers_arrive(void **state)
{
	(void)state;
	assert_int_equal(stats().health, ENDPOINT_STALE);
	assert_int_equal(stats().seen_ms, 0);
	help_metrics_set(server, 3, 2, .5);
	fetch();
	assert_int_equal(stats().queued, 3);
	assert_int_equal(stats().running, 2);
	assert_true(stats().kv_used == .5f);
	assert_int_equal(stats().health, ENDPOINT_FRESH);
	help_metrics_set(server, 0, 0, 0);
	fetch();
	assert_int_equal(stats().queued, 0);
	assert_true(stats().kv_used == 0);
}

static void test_numbers_age(void **state)
{
	int64_t seen;

	(void)state;
	help_metrics_set(server, 3, 2, .5);
	fetch();
	seen = stats().seen_ms;
	assert_int_equal(target_stats(target(), seen + STALE_MS).health,
	    ENDPOINT_FRESH);
	assert_int_equal(target_stats(target(), seen + STALE_MS + 1).health,
	    ENDPOINT_STALE);
}

/* It answers, but not with numbers of ours: they age, and it is not down. */
static const struct {
	int status;
	const char *page;
} useless[] = {
	{ 200, "" },
	{ 200, "<html>not found</html>" },
	{ 200, "sglang:num_queue_reqs 5\n" },
	{ 200, "vllm:num_requests_waiting{" },
	{ 404, "vllm:num_requests_waiting 9\n" },
	{ 500, "" },
};

static void test_a_page_without_our_numbers_changes_none(void **state)
{
	(void)state;
	help_metrics_set(server, 3, 2, .5);
	fetch();
	int64_t seen = stats().seen_ms;

	for (size_t i = 0; i < sizeof(useless) / sizeof(*useless); i++) {
		help_metrics_say(server, useless[i].status, useless[i].page);
		for (int k = 0; k < 4; k++)
			fetch();
		assert_int_equal(stats().queued, 3);
		assert_int_equal(stats().seen_ms, seen);
		assert_int_equal(target_stats(target(),
			seen + STALE_MS + 1).health, ENDPOINT_STALE);
	}
}

static void test_refused_three_times_it_is_down_and_comes_back_empty(void **state)
{
	static const enum endpoint_health after[] = { ENDPOINT_FRESH,
		ENDPOINT_FRESH, ENDPOINT_DOWN, ENDPOINT_DOWN };
	uint16_t port = help_metrics_port(server);
	uint64_t chain[] = { 1 << 20, 2 << 20 };

	(void)state;
	help_metrics_set(server, 3, 2, .5);
	fetch();
	prefix_insert(pool->prefix, target_home(target())->slot, chain, 2, 0);
	help_metrics_stop(server);
	fetch();	/* the kept connection ends; one silent retry */
	for (size_t i = 1; i < 4; i++) {
		assert_int_equal(target_stats(target(), stats().seen_ms).health,
		    after[i - 1]);
		fetch();
	}
	assert_int_equal(stats().health, ENDPOINT_DOWN);
	assert_int_equal(prefix_count(pool->prefix, 0), 2);
	server = help_metrics_start(port);
	help_metrics_set(server, 1, 1, .1);
	fetch();
	assert_int_equal(stats().health, ENDPOINT_FRESH);
	assert_int_equal(stats().queued, 1);
	assert_int_equal(prefix_count(pool->prefix, 0), 0);
}

/* Does a fetch begin, `after_ms` behind the last? One that does fails at once. */
static bool begins(int64_t after_ms, int64_t wait_ms)
{
	int64_t end = clock_ms() + wait_ms;

	pool->is_dirty = false;
	target_beat(target(), now_ms + after_ms, &rng);
	while (!pool->is_dirty && clock_ms() < end)
		ev_run(loop, EVRUN_NOWAIT);
	if (pool->is_dirty)
		now_ms += after_ms;
	return pool->is_dirty;
}

/* 50 ms and a tenth of it, then twice that with each failure, then a second. */
static void test_one_that_is_gone_is_asked_less_and_less(void **state)
{
	static const struct { int64_t not_yet_ms, by_ms; } delays[] = {
		{ 44, 56 }, { 44, 56 }, { 44, 56 }, { 44, 56 }, { 89, 111 },
		{ 179, 221 }, { 359, 441 }, { 719, 881 }, { 899, 1101 }, { 899, 1101 },
	};
	uint16_t port = help_metrics_port(server);

	(void)state;
	help_metrics_set(server, 0, 0, 0);
	fetch();
	help_metrics_stop(server);
	fetch();	/* the kept connection ends; one silent retry */
	for (size_t i = 0; i < sizeof(delays) / sizeof(*delays); i++) {
		assert_false(begins(delays[i].not_yet_ms, 20));
		assert_true(begins(delays[i].by_ms, WAIT_MS));
	}
	server = help_metrics_start(port);
}

#define PAGE "vllm:num_requests_waiting 0\n"
#define STARTED(t) PAGE "process_start_time_seconds " t "\n"
#define SERVED(n) PAGE "vllm:prompt_tokens_total{engine=\"0\"} " n "\n"
#define AWAKE(n) PAGE "vllm:engine_sleep_state{sleep_state=\"awake\"} " n "\n"

/* A page after another: what the endpoint is then, and whether it forgot. */
static const struct {
	const char *pages[3];
	enum endpoint_health health;
	bool forgets;
} lives[] = {
	{ { STARTED("1000"), STARTED("1000") }, ENDPOINT_FRESH, false },
	{ { STARTED("1000"), STARTED("1000.5") }, ENDPOINT_FRESH, true },
	{ { PAGE, STARTED("1000") }, ENDPOINT_FRESH, false },
	{ { STARTED("1000"), PAGE }, ENDPOINT_FRESH, false },
	{ { STARTED("1000"), PAGE, STARTED("1000") }, ENDPOINT_FRESH, false },
	{ { STARTED("1000"), PAGE, STARTED("2000") }, ENDPOINT_FRESH, true },
	{ { AWAKE("1"), AWAKE("1") }, ENDPOINT_FRESH, false },
	{ { AWAKE("1"), AWAKE("0") }, ENDPOINT_DOWN, true },
	{ { AWAKE("1"), AWAKE("0"), AWAKE("1") }, ENDPOINT_FRESH, true },
	{ { AWAKE("0"), AWAKE("0") }, ENDPOINT_DOWN, false },
	/* without a start time: a counter that falls */
	{ { SERVED("0"), SERVED("7"), SERVED("7") }, ENDPOINT_FRESH, false },
	{ { SERVED("7"), SERVED("6") }, ENDPOINT_FRESH, true },
	{ { SERVED("7"), PAGE, SERVED("0") }, ENDPOINT_FRESH, true },
	{ { SERVED("7"), PAGE, PAGE }, ENDPOINT_FRESH, false },
};

static void test_a_restart_or_sleep_empties_the_cache(void **state)
{
	uint64_t chain[] = { 1 << 20, 2 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof(lives) / sizeof(*lives); i++) {
		struct endpoint_spec s = spec();
		char name[] = { (char)('a' + i), '\0' };

		s.name = name;
		set_endpoint(s);
		for (size_t k = 0; k < 3 && lives[i].pages[k] != NULL; k++) {
			help_metrics_say(server, 200, lives[i].pages[k]);
			fetch();
			if (k == 0)
				prefix_insert(pool->prefix,
				    target_home(target())->slot, chain, 2, 0);
		}
		assert_int_equal(stats().health, lives[i].health);
		if ((prefix_count(pool->prefix, target_home(target())->slot) ==
			0) != lives[i].forgets)
			fail_msg("life %zu", i);
	}
}

/* Asleep when scraping was switched off: nobody would see it wake. */
static void test_one_that_sleeps_unobserved_is_not_down(void **state)
{
	(void)state;
	help_metrics_say(server, 200, AWAKE("0"));
	fetch();
	set_endpoint(spec());
	assert_int_equal(stats().health, ENDPOINT_DOWN);
	options.scrape.enabled = false;
	set_endpoint(spec());
	assert_int_not_equal(stats().health, ENDPOINT_DOWN);
}

static void test_what_haproxy_calls_down_is_down(void **state)
{
	(void)state;
	help_metrics_set(server, 0, 0, 0);
	fetch();
	target_set_ready(target(), false);
	assert_int_equal(stats().health, ENDPOINT_DOWN);
	target_set_ready(target(), true);
	assert_int_equal(stats().health, ENDPOINT_FRESH);
}

/*
 * p: a pick. f: a fetch that succeeds; x: one that fails. A fetch settles what was
 * picked before the fetch before it began.
 */
static const struct {
	const char *steps;
	uint32_t unsettled;
} settlings[] = {
	{ "", 0 }, { "ppp", 3 }, { "pppf", 3 }, { "pppff", 0 }, { "pppxx", 0 },
	{ "pfp", 2 }, { "pfpf", 1 }, { "pfpff", 0 }, { "fffp", 1 },
	{ "pfpfpf", 1 }, { "pfpfpfp", 2 },
};

static void test_picks_settle_with_the_fetch_after_next(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(settlings) / sizeof(*settlings); i++) {
		struct endpoint_spec s = spec();
		struct endpoint_live *live;

		s.name = settlings[i].steps[0] != '\0' ? settlings[i].steps : "-";
		set_endpoint(s);	/* a new target */
		live = &pool->live[target_home(target())->slot];
		for (const char *c = settlings[i].steps; *c != '\0'; c++) {
			if (*c == 'p') {
				live->picked++;
				continue;
			}
			help_metrics_set(server, 0, 0, 0);
			if (*c == 'x')
				help_metrics_say(server, 500, "");
			fetch();
		}
		if (live->picked - stats().settled != settlings[i].unsettled)
			fail_msg("%s: %u", settlings[i].steps,
			    live->picked - stats().settled);
	}
}

/* Scraping off, or an address not found yet: picks are forgotten with time. */
static void test_without_numbers_picks_are_forgotten(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct endpoint_spec s = spec();
		struct endpoint_live *live;

		options.scrape.enabled = i == 0;
		s.address = i == 0 ? NULL : s.address;
		set_endpoint(s);
		live = &pool->live[target_home(target())->slot];
		live->picked += 5;
		fetch();
		assert_int_equal(live->picked - stats().settled, 5);
		fetch();
		assert_int_equal(live->picked - stats().settled, 0);
		assert_int_equal(stats().health, ENDPOINT_STALE);
	}
}

/* 16 tokens * 512 blocks are 128 blocks of our 64 tokens. */
#define CACHE_INFO "vllm:num_requests_waiting 0\n" \
	"vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"512\"} 1\n"

static uint32_t held_of_1000_blocks(void)
{
	static uint64_t chain[1000];

	for (uint64_t i = 0; i < 1000; i++)
		chain[i] = (i + 1) << 20;
	prefix_insert(pool->prefix, target_home(target())->slot, chain, 1000, 0);
	return prefix_count(pool->prefix, target_home(target())->slot);
}

static void test_the_cache_size_that_an_engine_tells_is_taken(void **state)
{
	(void)state;
	assert_int_equal(held_of_1000_blocks(), 256);	/* as configured */
	help_metrics_say(server, 200, CACHE_INFO);
	fetch();
	assert_int_equal(held_of_1000_blocks(), 128);
}

static void test_or_not_when_auto_tune_is_off(void **state)
{
	(void)state;
	pool->prefix_options.auto_tune = false;
	help_metrics_say(server, 200, CACHE_INFO);
	fetch();
	assert_int_equal(held_of_1000_blocks(), 256);
}

static void test_one_that_hangs_is_given_up_at_its_timeout(void **state)
{
	int64_t begun = clock_ms();

	(void)state;
	help_metrics_hang(server, true);
	pool->is_dirty = false;
	target_beat(target(), begun + INTERVAL_MS * 2, &rng);
	while (!pool->is_dirty && clock_ms() < begun + WAIT_MS)
		ev_run(loop, EVRUN_ONCE);
	assert_true(pool->is_dirty);
	assert_int_equal(stats().health, ENDPOINT_STALE);
	help_metrics_hang(server, false);
}

/* Renewed fetches, as after a reload, know what the old ones knew. */
static void test_a_renewed_target_inherits(void **state)
{
	struct target *old = target();

	(void)state;
	help_metrics_set(server, 3, 2, .5);
	fetch();
	pool->live[0].picked = 7;
	set_endpoint(spec());
	assert_ptr_not_equal(target(), old);
	assert_int_equal(stats().queued, 3);
	assert_int_equal(stats().health, ENDPOINT_FRESH);
	assert_int_equal(pool->live[0].picked - stats().settled, 7);

	help_metrics_stop(server);
	for (int i = 0; i < 4; i++)
		fetch();
	server = help_metrics_start(0);		/* at another port */
	struct endpoint_spec s = spec();

	s.port = target_home(target())->port;
	set_endpoint(s);
	assert_int_equal(stats().health, ENDPOINT_DOWN);
	options.scrape.enabled = false;	/* now nobody would ever clear it */
	set_endpoint(s);
	assert_int_not_equal(stats().health, ENDPOINT_DOWN);
}

/* ---- what only some engines tell ---- */

#define LORA(max, running, time) "vllm:num_requests_waiting 0\n" \
	"vllm:lora_requests_info{max_lora=\"" max "\",running_lora_adapters=\"" \
	running "\",waiting_lora_adapters=\"\"} " time "\n"

static enum lora_state state_of(const char *adapter)
{
	const struct lora_set *set = target_extras(target())->lora;

	return set == NULL ? LORA_ABSENT :
	    lora_find(set, lora_name(span_of(adapter)));
}

static void test_adapters_are_those_of_the_last_good_page(void **state)
{
	(void)state;
	assert_null(target_extras(target())->lora);
	help_metrics_say(server, 200, LORA("4", "a", "1"));
	fetch();
	assert_int_equal(state_of("a"), LORA_RUNNING);
	help_metrics_say(server, 200, LORA("4", "b,c,d", "2"));
	fetch();
	assert_int_equal(state_of("a"), LORA_ABSENT);
	assert_int_equal(state_of("d"), LORA_RUNNING);
	for (size_t i = 0; i < sizeof(useless) / sizeof(*useless); i++) {
		help_metrics_say(server, useless[i].status, useless[i].page);
		fetch();
		assert_int_equal(state_of("d"), LORA_RUNNING);
	}
	help_metrics_say(server, 200, PAGE);	/* it was started anew */
	fetch();
	assert_null(target_extras(target())->lora);
}

/* Renewed fetches, and then fetches by another engine's names. */
static void test_a_renewed_target_inherits_adapters(void **state)
{
	struct target *old = target();

	(void)state;
	help_metrics_say(server, 200, LORA("4", "a,b", "1"));
	fetch();
	set_endpoint(spec());
	assert_ptr_not_equal(target(), old);
	assert_int_equal(state_of("b"), LORA_RUNNING);
	fetch();
	assert_int_equal(state_of("b"), LORA_RUNNING);
}

static void test_a_custom_metric_is_an_attribute(void **state)
{
	const struct custom_metric_options custom = { "k", "depth", FOLD_SUM };
	const struct engine_options o = { .name = "mine", .queued_spec = "q",
		.custom = &custom, .n_custom = 1 };
	struct arena *arena = arena_new(4096, 65536);
	struct endpoint_spec s = spec();
	struct fault why = { 0 };
	const struct attribute *a;

	(void)state;
	own_engine = engine_make(&o, arena, &why);
	s.engine = "mine";
	set_endpoint(s);
	help_metrics_say(server, 200, "q 1\ndepth 2.5\n");
	fetch();
	a = attribute_find(target_extras(target())->attributes,
	    attribute_key("k"));
	assert_non_null(a);
	assert_true(a->value == 2.5);
	help_metrics_say(server, 200, "q 1\n");
	fetch();
	assert_null(target_extras(target())->attributes);
	pool_clear(pool);	/* its target reads by the engine */
	own_engine = NULL;
	arena_free(arena);
}

/* ---- reconciliation ---- */

enum { LASTS_MS = 20 };

static struct endpoint_live *live(void)
{
	return &pool->live[target_home(target())->slot];
}

static uint32_t requests(void)
{
	return live_count_get(&live()->requests);
}

/* Each booking's tokens are a bit of its own: what is left tells who is. */
static void pick_at(unsigned bit, int64_t at_us)
{
	char id[] = { (char)('a' + bit), '\0' };
	struct pick p = { .live = live(), .tokens = 1u << bit };

	live()->picked++;
	live_count_add(&live()->requests, 1);
	live_count_add(&live()->tokens, p.tokens);
	books_open(books, span_of(id), &p, true, at_us, &counters);
}

/* `n` requests of a while ago, which the numbers of the next page must have. */
static void keep_books(unsigned n, int64_t after_ms)
{
	const struct feedback_options o = { .max_requests = 64,
		.server_timeout_ms = 600000 };

	books = books_new(&o, 1);
	counters = (struct counters){ 0 };
	reconcile_after_ms = after_ms;
	context();
	for (unsigned i = 0; i < n; i++)
		pick_at(i, clock_us() - 1000000);
	help_metrics_set(server, 0, n, 0);
	fetch();
	fetch();
	assert_int_equal(requests(), n);
}

/* Their ends never came, or will not come any more. */
static void drop_books(void)
{
	books_write_off(books, live(), SIZE_MAX, INT64_MAX);
	assert_int_equal(requests(), 0);
	books_free(books);
	books = NULL;
	reconcile_after_ms = 0;
	context();
}

static void fetch_of(unsigned running)
{
	help_metrics_set(server, 0, running, 0);
	fetch();
}

static void test_lost_ends_are_written_off_after_a_while(void **state)
{
	int64_t begun_ms;

	(void)state;
	keep_books(3, LASTS_MS);
	begun_ms = clock_ms();
	while (requests() == 3 && clock_ms() < begun_ms + WAIT_MS)
		fetch_of(1);
	assert_true(clock_ms() - begun_ms >= LASTS_MS);
	assert_int_equal(requests(), 1);
	assert_int_equal(counters.written_off, 2);
	assert_int_equal(books_count(books), 1);

	begun_ms = clock_ms();		/* and the next takes as long */
	while (requests() == 1 && clock_ms() < begun_ms + WAIT_MS)
		fetch_of(0);
	assert_true(clock_ms() - begun_ms >= LASTS_MS);
	assert_int_equal(counters.written_off, 3);
	drop_books();
}

/* What the engine has queued is there too; others may use it besides. */
static void test_an_engine_with_enough_is_no_witness_against_us(void **state)
{
	static const unsigned enough[][2] = { { 0, 3 }, { 3, 0 }, { 1, 2 }, { 9, 9 } };

	(void)state;
	keep_books(3, 0);
	for (size_t i = 0; i < sizeof(enough) / sizeof(*enough); i++) {
		help_metrics_set(server, enough[i][0], enough[i][1], 0);
		fetch();
		assert_int_equal(requests(), 3);
	}
	drop_books();
}

/* A client that reads slowly holds its request longer than the engine does. */
static void test_a_short_excess_loses_nothing(void **state)
{
	int64_t begun_ms;

	(void)state;
	keep_books(3, LASTS_MS);
	begun_ms = clock_ms();
	while (clock_ms() < begun_ms + 5 * LASTS_MS) {
		fetch_of(0);
		fetch_of(3);
	}
	assert_int_equal(requests(), 3);
	assert_int_equal(counters.written_off, 0);
	drop_books();
}

static void test_no_more_is_written_off_than_was_lacking_all_the_time(
    void **state)
{
	int64_t begun_ms = clock_ms();

	(void)state;
	keep_books(3, LASTS_MS);
	while (requests() == 3 && clock_ms() < begun_ms + WAIT_MS) {
		fetch_of(0);
		fetch_of(2);
	}
	assert_int_equal(counters.written_off, 1);
	drop_books();
}

static void test_those_picked_since_it_began_are_not_written_off(void **state)
{
	int64_t begun_ms = clock_ms();

	(void)state;
	keep_books(1, LASTS_MS);
	fetch_of(0);
	while (clock_us() / 1000 <= stats().seen_ms)
		;		/* the next millisecond: it is counted in those */
	for (unsigned bit = 1; bit <= 8; bit++)
		pick_at(bit, clock_us());
	while (counters.written_off == 0 && clock_ms() < begun_ms + WAIT_MS)
		fetch_of(0);
	assert_int_equal(requests(), 8);
	assert_int_equal(live_count_get(&live()->tokens), 0x1fe);
	drop_books();
}

/*
 * p: a pick, f: a fetch, that shows nothing there. What was picked since the last but
 * one began may not be in its numbers.
 */
static const struct {
	const char *steps;
	uint32_t left;
} windows[] = {
	{ "p", 1 }, { "pf", 1 }, { "pff", 0 }, { "ppf", 2 }, { "ppff", 0 },
	{ "fpf", 1 }, { "pfpf", 1 }, { "pfppf", 2 }, { "pfpff", 0 },
	{ "pffpf", 1 }, { "ffpp", 2 },
};

static void test_those_that_a_page_may_not_show_are_not_lacking(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(windows) / sizeof(*windows); i++) {
		unsigned bit = 0;

		keep_books(0, 0);
		for (const char *c = windows[i].steps; *c != '\0'; c++)
			if (*c == 'p')
				pick_at(bit++, clock_us() - 1000000);
			else
				fetch_of(0);
		if (requests() != windows[i].left)
			fail_msg("%s: %u left", windows[i].steps, requests());
		drop_books();
	}
}

#define WAITING "vllm:num_requests_waiting 0\n"
#define RUNNING "vllm:num_requests_running 0\n"

/* Pages that do not tell what runs there. */
static const struct {
	int status;
	const char *page;
} mute[] = {
	{ 200, WAITING }, { 200, RUNNING }, { 200, "other 1\n" }, { 200, "" },
	{ 200, "{" }, { 500, WAITING RUNNING },
};

static void test_an_engine_without_numbers_is_no_witness(void **state)
{
	(void)state;
	keep_books(2, 0);
	for (size_t i = 0; i < sizeof(mute) / sizeof(*mute); i++) {
		help_metrics_say(server, mute[i].status, mute[i].page);
		for (int k = 0; k < 3; k++)
			fetch();
		assert_int_equal(requests(), 2);
	}
	help_metrics_say(server, 200, WAITING RUNNING);
	fetch();
	assert_int_equal(requests(), 0);
	drop_books();
}

/* Nor is one whose numbers were missing in between. */
static void test_a_page_without_numbers_interrupts_the_excess(void **state)
{
	int64_t begun_ms;

	(void)state;
	keep_books(2, LASTS_MS);
	begun_ms = clock_ms();
	while (clock_ms() < begun_ms + 5 * LASTS_MS) {
		fetch_of(0);
		help_metrics_say(server, 200, WAITING);
		fetch();
	}
	assert_int_equal(requests(), 2);
	drop_books();
}

/* Of the time between them the two pages say nothing. */
static void test_what_was_not_looked_at_for_long_begins_anew(void **state)
{
	int64_t begun_ms = clock_ms();

	(void)state;
	options.scrape.stale_ms = 2 * LASTS_MS;
	keep_books(2, LASTS_MS);
	fetch_of(0);
	help_metrics_say(server, 500, "");
	begun_ms = clock_ms();
	while (clock_ms() <= begun_ms + 2 * LASTS_MS)
		fetch();
	fetch_of(0);
	assert_int_equal(requests(), 2);
	while (requests() == 2 && clock_ms() < begun_ms + WAIT_MS)
		fetch_of(0);
	assert_int_equal(requests(), 0);
	drop_books();
}

static void test_without_books_nothing_is_written_off(void **state)
{
	(void)state;
	live()->picked++;
	live_count_add(&live()->requests, 1);
	for (int i = 0; i < 3; i++)
		fetch_of(0);
	assert_int_equal(requests(), 1);
	live_count_sub(&live()->requests, live_generation(live()), 1);
}

/* books_expire() leaves alone who is witnessed. */
static void test_it_is_a_witness_while_its_numbers_are_fresh(void **state)
{
	(void)state;
	assert_false(live()->is_witnessed);
	fetch_of(1);
	assert_true(live()->is_witnessed);
	help_metrics_say(server, 200, WAITING);
	fetch();
	assert_false(live()->is_witnessed);
	fetch_of(1);
	target_stats(target(), stats().seen_ms + STALE_MS);
	assert_true(live()->is_witnessed);
	target_stats(target(), stats().seen_ms + STALE_MS + 1);
	assert_false(live()->is_witnessed);

	fetch_of(1);
	help_metrics_stop(server);
	for (int i = 0; i < 4; i++)
		fetch();
	assert_int_equal(stats().health, ENDPOINT_DOWN);
	target_stats(target(), stats().seen_ms + STALE_MS + 1);
	assert_false(live()->is_witnessed);
	server = help_metrics_start(0);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	options = (struct pool_options){ .owner = &owner, .name = "p",
		.engine = "vllm",
		.scrape = { .enabled = true, .path = "/metrics",
		    .interval_ms = INTERVAL_MS, .timeout_ms = 200,
		    .stale_ms = STALE_MS, .max_bytes = 1 << 20 },
		.prefix = { .block_tokens = 64, .max_match_tokens = 131072,
		    .capacity_tokens = 256 * 64, .auto_tune = true,
		    .max_bytes = 1 << 20 } };
	books = NULL;
	reconcile_after_ms = 0;
	now_ms = clock_ms();
	loop = ev_loop_new(EVFLAG_AUTO);
	http = http_client_new(loop);
	server = help_metrics_start(0);
	pool = pool_new(&options);
	set_endpoint(spec());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pool_clear(pool);
	pool_unref(pool);
	help_metrics_stop(server);
	http_client_free(http);
	ev_loop_destroy(loop);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_numbers_arrive),
		unit(test_numbers_age),
		unit(test_a_page_without_our_numbers_changes_none),
		unit(test_refused_three_times_it_is_down_and_comes_back_empty),
		unit(test_one_that_is_gone_is_asked_less_and_less),
		unit(test_a_restart_or_sleep_empties_the_cache),
		unit(test_one_that_sleeps_unobserved_is_not_down),
		unit(test_what_haproxy_calls_down_is_down),
		unit(test_picks_settle_with_the_fetch_after_next),
		unit(test_without_numbers_picks_are_forgotten),
		unit(test_the_cache_size_that_an_engine_tells_is_taken),
		unit(test_or_not_when_auto_tune_is_off),
		unit(test_one_that_hangs_is_given_up_at_its_timeout),
		unit(test_a_renewed_target_inherits),
		unit(test_adapters_are_those_of_the_last_good_page),
		unit(test_a_renewed_target_inherits_adapters),
		unit(test_a_custom_metric_is_an_attribute),
		unit(test_lost_ends_are_written_off_after_a_while),
		unit(test_an_engine_with_enough_is_no_witness_against_us),
		unit(test_a_short_excess_loses_nothing),
		unit(test_no_more_is_written_off_than_was_lacking_all_the_time),
		unit(test_those_picked_since_it_began_are_not_written_off),
		unit(test_those_that_a_page_may_not_show_are_not_lacking),
		unit(test_an_engine_without_numbers_is_no_witness),
		unit(test_a_page_without_numbers_interrupts_the_excess),
		unit(test_what_was_not_looked_at_for_long_begins_anew),
		unit(test_without_books_nothing_is_written_off),
		unit(test_it_is_a_witness_while_its_numbers_are_fresh),
	};

	return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
