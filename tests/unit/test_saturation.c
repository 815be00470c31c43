#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "help.h"
#include "saturation.h"

static struct help_pool pool;

static void expect(size_t i, float want)
{
	float got = saturation_of(&pool.view);

	if (got < want - .0001f || got > want + .0001f)
		fail_msg("row %zu: %f, not %f", i, (double)got, (double)want);
}

/* Queues of 5 are full, and so is a KV cache of 0.8. */
enum { F = ENDPOINT_FRESH, S = ENDPOINT_STALE, D = ENDPOINT_DOWN };

struct load {
	uint32_t queued;
	float kv_used;
	uint32_t unsettled;
	uint8_t health;
	bool is_old;
};

static const struct {
	size_t n;
	struct load loads[3];
	float want;
} utilizations[] = {
	{ 0, { { 0 } }, 1 },			/* nobody is there */
	{ 1, { { 0 } }, 0 },
	{ 1, { { .queued = 1 } }, .2f },
	{ 1, { { .queued = 5 } }, 1 },
	{ 1, { { .queued = 10 } }, 2 },		/* it is not clamped */
	{ 1, { { .kv_used = .4f } }, .5f },
	{ 1, { { .kv_used = .8f } }, 1 },
	{ 1, { { .kv_used = 1 } }, 1.25f },
	/* The worse of the two: .2 and .5; .6 and .5. */
	{ 1, { { .queued = 1, .kv_used = .4f } }, .5f },
	{ 1, { { .queued = 3, .kv_used = .4f } }, .6f },
	/* The mean, not the worst: (2 + .5 + 0) / 3. */
	{ 2, { { .queued = 5 }, { 0 } }, .5f },
	{ 3, { { .queued = 10 }, { .kv_used = .4f }, { 0 } }, .83333f },
	/* Sent by us and not scraped yet: (3 + 2) / 5; (0 + 1) / 5. */
	{ 1, { { .queued = 3, .unsettled = 2 } }, 1 },
	{ 2, { { .unsettled = 1 }, { 0 } }, .1f },
	/* Old numbers say nothing, good or bad: 1. */
	{ 1, { { .is_old = true } }, 1 },
	{ 1, { { .queued = 50, .kv_used = 1, .unsettled = 9, .is_old = true } },
	    1 },
	{ 2, { { .is_old = true }, { 0 } }, .5f },
	{ 2, { { .health = S, .is_old = true }, { .queued = 1 } }, .6f },
	/* Health is of the other, longer, staleness; only the detector's counts. */
	{ 1, { { .health = S, .queued = 1 } }, .2f },
	/* What is down takes nothing; unless all are, as for the picker. */
	{ 2, { { .health = D, .queued = 50 }, { .queued = 1 } }, .2f },
	{ 2, { { .health = D }, { .queued = 10 } }, 2 },
	{ 2, { { .health = D, .queued = 5 }, { .health = D } }, .5f },
	{ 1, { { .health = D, .is_old = true } }, 1 },
	{ 2, { { .health = D }, { .health = S, .is_old = true } }, 1 },
};

static void test_utilization_is_the_mean_of_the_worse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(utilizations) / sizeof(*utilizations);
	     i++) {
		pool.view.n_endpoints = utilizations[i].n;
		for (size_t k = 0; k < utilizations[i].n; k++) {
			const struct load *l = &utilizations[i].loads[k];

			pool.stats[k].queued = l->queued;
			pool.stats[k].kv_used = l->kv_used;
			pool.stats[k].health = l->health;
			pool.stats[k].is_current = !l->is_old;
			pool.stats[k].settled = UINT32_MAX;	/* it wraps */
			pool.live[k].picked = l->unsettled - 1;
		}
		expect(i, utilizations[i].want);
	}
}

static void test_thresholds_are_the_pools(void **state)
{
	(void)state;
	pool.options.saturation.queue_depth = 2.5f;
	pool.options.saturation.kv_used = 1;
	pool.view.n_endpoints = 1;
	pool.stats[0].queued = 2;
	pool.stats[0].kv_used = .5f;
	expect(0, .8f);
	pool.stats[0].kv_used = .9f;
	expect(1, .9f);
}

static const struct {
	uint16_t breakers[3];
	float want;		/* of queues 5, 10 and 0: 1, 2 and 0 */
} breakers[] = {
	{ { BREAKER_CLOSED, BREAKER_CLOSED, BREAKER_CLOSED }, 1 },
	{ { BREAKER_OPEN, BREAKER_CLOSED, BREAKER_CLOSED }, 1 },
	{ { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_CLOSED }, .5f },
	{ { BREAKER_CLOSED, BREAKER_TRIAL, BREAKER_CLOSED }, .5f },
	{ { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_CLOSED }, 1 },
	{ { BREAKER_CLOSED, BREAKER_CLOSED, BREAKER_OPEN }, 1.5f },
	{ { BREAKER_OPEN, BREAKER_CLOSED, BREAKER_TRIAL }, 2 },
	{ { BREAKER_OPEN, BREAKER_TRIAL, BREAKER_OPEN }, 1 },	/* all of them */
};

static void test_the_ejected_do_not_count_unless_all_are(void **state)
{
	static const uint32_t queued[] = { 5, 10, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(breakers) / sizeof(*breakers); i++) {
		for (size_t k = 0; k < 3; k++) {
			pool.stats[k].queued = queued[k];
			pool.live[k].breaker = breakers[i].breakers[k];
		}
		expect(i, breakers[i].want);
	}
}

/* 10 requests or 1000 tokens make one endpoint full. */
static const struct {
	uint32_t requests[2], tokens[2];
	float by_requests, by_tokens, by_both;
} flights[] = {
	{ { 0, 0 }, { 0, 0 }, 0, 0, 0 },
	{ { 10, 10 }, { 0, 0 }, 1, 0, 1 },
	{ { 15, 5 }, { 250, 250 }, 1, .25f, 1 },
	{ { 0, 30 }, { 0, 0 }, 1.5f, 0, 1.5f },
	{ { 1, 1 }, { 3000, 0 }, .1f, 1.5f, 1.55f },
	/* One is full of requests, the other of tokens: neither sum says so. */
	{ { 10, 0 }, { 0, 1000 }, .5f, .5f, 1 },
};

static void test_concurrency_is_what_is_in_flight(void **state)
{
	struct saturation_options *o = &pool.options.saturation;

	(void)state;
	o->detector = DETECTOR_CONCURRENCY;
	o->max_concurrency = 10;
	o->max_token_concurrency = 1000;
	pool.view.n_endpoints = 2;
	for (size_t i = 0; i < sizeof(flights) / sizeof(*flights); i++) {
		for (size_t k = 0; k < 2; k++) {
			live_renew(&pool.live[k]);	/* and of any generation */
			live_count_add(&pool.live[k].requests,
			    flights[i].requests[k]);
			live_count_add(&pool.live[k].tokens,
			    flights[i].tokens[k]);
		}
		o->mode = CONCURRENCY_REQUESTS;
		expect(i, flights[i].by_requests);
		o->mode = CONCURRENCY_TOKENS;
		expect(i, flights[i].by_tokens);
		o->mode = CONCURRENCY_HYBRID;
		expect(i, flights[i].by_both);
	}
}

/* It asks the books, not the engine. */
static void test_concurrency_needs_no_metrics(void **state)
{
	(void)state;
	pool.options.saturation.detector = DETECTOR_CONCURRENCY;
	for (size_t k = 0; k < 3; k++)
		pool.stats[k] = (struct endpoint_stats){ .queued = 1000,
			.kv_used = 1, .slot = (uint16_t)k,
			.health = ENDPOINT_STALE };
	expect(0, 0);
	live_count_add(&pool.live[1].requests, 150);
	expect(1, .5f);
	pool.stats[1].health = ENDPOINT_DOWN;
	expect(2, 0);
	pool.view.n_endpoints = 0;
	expect(3, 1);
}

static void test_the_largest_numbers_are_only_large(void **state)
{
	(void)state;
	pool.view.n_endpoints = 1;
	pool.stats[0].queued = UINT32_MAX;
	pool.live[0].picked = UINT32_MAX;
	assert_true(saturation_of(&pool.view) > 1e9f);
	pool.options.saturation.detector = DETECTOR_CONCURRENCY;
	pool.options.saturation.max_concurrency = UINT32_MAX;
	pool.options.saturation.max_token_concurrency = UINT64_MAX;
	pool.options.saturation.mode = CONCURRENCY_HYBRID;
	live_count_add(&pool.live[0].requests, UINT32_MAX);
	live_count_add(&pool.live[0].tokens, UINT32_MAX);
	expect(0, 1);
}

static int setup(void **state)
{
	(void)state;
	help_pool_init(&pool, "pool", 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_utilization_is_the_mean_of_the_worse),
		unit(test_thresholds_are_the_pools),
		unit(test_the_ejected_do_not_count_unless_all_are),
		unit(test_concurrency_is_what_is_in_flight),
		unit(test_concurrency_needs_no_metrics),
		unit(test_the_largest_numbers_are_only_large),
	};

	return cmocka_run_group_tests_name("saturation", tests, NULL, NULL);
}
