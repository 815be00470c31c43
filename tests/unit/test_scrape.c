/*
 * The scraper's thread against servers that the test runs. The test is a worker: it
 * looks at the fleet through the epoch, and waits for what it expects with a deadline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "endpoints.h"
#include "epoch.h"
#include "fleet.h"
#include "fault.h"
#include "help_metrics.h"
#include "log.h"
#include "options.h"
#include "prefix.h"
#include "scrape.h"

enum { WAIT_MS = 20000, SERVERS = 3 };

static struct epoch *fleet;
static struct scraper *scraper;
static struct help_metrics *servers[SERVERS];
static uint16_t ports[SERVERS];
static const uint64_t chain[] = { 1 << 20, 2 << 20, 3 << 20 };

#define QUICK "  metrics: {interval: 10ms, timeout: 100ms, staleAfter: 150ms}\n"

/* "a0 b1": endpoint a is server 0, b is server 1. */
static void write_pool(char *out, size_t len, const char *name,
    const char *endpoints, const char *more)
{
	size_t n = (size_t)snprintf(out, len, "- name: %s\n%s  endpoints: [",
	    name, more);

	for (const char *e = endpoints; e[0] != '\0'; e += e[2] != '\0' ? 3 : 2)
		n += (size_t)snprintf(out + n, len - n,
		    "%s{name: %c, address: 127.0.0.1, port: %u}",
		    e == endpoints ? "" : ", ", e[0], ports[e[1] - '0']);
	snprintf(out + n, len - n, "]\n");
}

static struct options *configure(const char *pools)
{
	struct fault why = { 0 };
	char text[4096], said[700];
	struct options *o;

	snprintf(text, sizeof(text), "pools:\n%s", pools);
	o = options_parse("test", (struct span){ text, strlen(text) }, &why);
	if (o == NULL)
		fail_msg("%s", fault_text(&why, said, sizeof(said)));
	return o;
}

static void start(const char *endpoints, const char *more)
{
	char text[1024];

	write_pool(text, sizeof(text), "p", endpoints, more);
	scraper = scraper_start(fleet, configure(text), NULL, NULL);
	assert_non_null(scraper);
}

static void reload(const char *endpoints, const char *more)
{
	char text[1024];

	write_pool(text, sizeof(text), "p", endpoints, more);
	scraper_reload(scraper, configure(text));
}

/* What is awaited of the pool "p"; the view is NULL when there is none. */
typedef bool seen_f(const struct endpoint_view *v);

static bool look(seen_f *seen)
{
	bool is_so;

	epoch_online(fleet, 0);
	is_so = seen(fleet_find(epoch_get(fleet), span_of("p")));
	epoch_offline(fleet, 0);
	return is_so;
}

static void await_line(seen_f *seen, int line)
{
	int64_t end = clock_ms() + WAIT_MS;

	while (!look(seen)) {
		if (clock_ms() > end)
			fail_msg("line %d: still not so", line);
		usleep(1000);
	}
}

#define await(seen) await_line(seen, __LINE__)

static bool is_fresh(const struct endpoint_view *v)
{
	for (size_t i = 0; v != NULL && i < v->n_endpoints; i++)
		if (v->stats[i].health != ENDPOINT_FRESH)
			return false;
	return v != NULL && v->n_endpoints > 0;
}

static bool is_stale(const struct endpoint_view *v)
{
	return v != NULL && v->stats[0].health == ENDPOINT_STALE;
}

static bool is_down(const struct endpoint_view *v)
{
	return v != NULL && v->stats[0].health == ENDPOINT_DOWN;
}

static bool has_3_and_7(const struct endpoint_view *v)
{
	return is_fresh(v) && v->n_endpoints == 2 && v->stats[0].queued == 3 &&
	    v->stats[1].queued == 7 && v->stats[1].running == 2 &&
	    v->stats[1].kv_used == .25f;
}

static bool has_none(const struct endpoint_view *v)
{
	return v == NULL;
}

static bool has_two(const struct endpoint_view *v)
{
	return v != NULL && v->n_endpoints == 2;
}

static bool has_three(const struct endpoint_view *v)
{
	return v != NULL && v->n_endpoints == 3;
}

static bool has_picks_of_first(const struct endpoint_view *v)
{
	return v->live[v->endpoints[0].slot].picked == 5;
}

static bool has_settled(const struct endpoint_view *v)
{
	return endpoint_unsettled(v, 0) == 0;
}

static bool remembers(const struct endpoint_view *v)
{
	return prefix_count(v->prefix, v->endpoints[0].slot) == 3;
}

static bool forgot(const struct endpoint_view *v)
{
	return prefix_count(v->prefix, v->endpoints[0].slot) == 0;
}

/* As a pick does; true so that it can be a look. */
static bool pick_first(const struct endpoint_view *v)
{
	atomic_fetch_add(&v->live[v->endpoints[0].slot].picked, 5);
	prefix_insert(v->prefix, v->endpoints[0].slot, chain, 3, 0);
	return true;
}

static void test_the_first_fleet_is_there_at_once(void **state)
{
	(void)state;
	assert_true(look(has_none));
	start("a0 b1", QUICK);
	assert_true(look(has_two));
}

static void test_numbers_of_all_endpoints_arrive(void **state)
{
	(void)state;
	help_metrics_set(servers[0], 3, 0, 0);
	help_metrics_set(servers[1], 7, 2, .25);
	start("a0 b1", QUICK);
	await(has_3_and_7);
}

static void test_silence_makes_stale_and_an_answer_fresh_again(void **state)
{
	(void)state;
	start("a0", QUICK);
	await(is_fresh);
	help_metrics_hang(servers[0], true);
	await(is_stale);
	help_metrics_hang(servers[0], false);
	await(is_fresh);
	help_metrics_say(servers[0], 200, "not metrics of ours 1\n");
	await(is_stale);
	help_metrics_set(servers[0], 0, 0, 0);
	await(is_fresh);
}

static void test_a_restarted_engine_is_down_then_fresh_and_forgotten(void **state)
{
	(void)state;
	start("a0", QUICK);
	await(is_fresh);
	look(pick_first);
	assert_true(look(remembers));
	help_metrics_stop(servers[0]);
	await(is_down);
	servers[0] = help_metrics_start(ports[0]);
	help_metrics_set(servers[0], 0, 0, 0);
	await(is_fresh);
	assert_true(look(forgot));
}

static void test_picks_settle(void **state)
{
	(void)state;
	start("a0", QUICK);
	await(is_fresh);
	look(pick_first);
	await(has_settled);
}

static void test_with_scraping_off_endpoints_are_stale_and_picks_settle(
    void **state)
{
	(void)state;
	start("a0", "  metrics: {enabled: false}\n");
	assert_true(look(is_stale));
	look(pick_first);
	await(has_settled);
	assert_true(look(is_stale));
}

static void test_a_reload_keeps_what_stays(void **state)
{
	(void)state;
	start("a0 b1", QUICK);
	await(is_fresh);
	look(pick_first);
	reload("a0 b1 c2", QUICK);
	await(has_three);
	assert_true(look(has_picks_of_first));
	assert_true(look(remembers));
	await(is_fresh);
	reload("a0 b1", "  metrics: {interval: 20ms, staleAfter: 1s}\n");
	await(has_two);
	assert_true(look(has_picks_of_first));
	assert_true(look(remembers));
	await(is_fresh);
}

static void test_a_pool_may_go_and_come_back(void **state)
{
	char text[1024];

	(void)state;
	start("a0", QUICK);
	await(is_fresh);
	look(pick_first);
	write_pool(text, sizeof(text), "other", "a0", QUICK);
	scraper_reload(scraper, configure(text));
	await(has_none);
	reload("a0", QUICK);
	await(is_fresh);
	assert_true(look(forgot));	/* it is a new one */
}

/* Another prefix index is another memory. */
static void test_another_block_size_is_another_pool(void **state)
{
	(void)state;
	start("a0", QUICK);
	await(is_fresh);
	look(pick_first);
	reload("a0", QUICK "  prefix: {blockSizeTokens: 16}\n");
	await(forgot);
	await(is_fresh);
}

/* Many reloads while somebody looks: nothing is freed under the look (ASan). */
static void test_reloads_and_looks_at_once(void **state)
{
	static const char *const sets[] = { "a0 b1", "b1", "a0 b1 c2", "c0" };

	(void)state;
	start("a0 b1", QUICK);
	for (int i = 0; i < 60; i++) {
		reload(sets[i % 4], i % 8 < 4 ? QUICK :
		    QUICK "  prefix: {blockSizeTokens: 16}\n");
		for (int k = 0; k < 20; k++)
			look(pick_first);
		if (i % 10 == 0)
			await(is_fresh);
	}
}

static void test_it_stops_in_the_middle_of_things(void **state)
{
	(void)state;
	help_metrics_hang(servers[0], true);
	start("a0 b1 c2", QUICK);
	reload("a0", QUICK);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	fleet = epoch_new(1, fleet_empty(), fleet_retire);
	for (size_t i = 0; i < SERVERS; i++) {
		servers[i] = help_metrics_start(0);
		ports[i] = help_metrics_port(servers[i]);
		help_metrics_set(servers[i], 0, 0, 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scraper_stop(scraper);
	scraper = NULL;
	epoch_free(fleet);
	for (size_t i = 0; i < SERVERS; i++)
		help_metrics_stop(servers[i]);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_the_first_fleet_is_there_at_once),
		unit(test_numbers_of_all_endpoints_arrive),
		unit(test_silence_makes_stale_and_an_answer_fresh_again),
		unit(test_a_restarted_engine_is_down_then_fresh_and_forgotten),
		unit(test_picks_settle),
		unit(test_with_scraping_off_endpoints_are_stale_and_picks_settle),
		unit(test_a_reload_keeps_what_stays),
		unit(test_a_pool_may_go_and_come_back),
		unit(test_another_block_size_is_another_pool),
		unit(test_reloads_and_looks_at_once),
		unit(test_it_stops_in_the_middle_of_things),
	};

	return cmocka_run_group_tests_name("scrape", tests, NULL, NULL);
}
