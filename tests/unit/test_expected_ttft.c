/*
 * Milliseconds are worked out by hand from the formula on top of the scorer; what is
 * compared is 1 / (1 + ms / 1000).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arena.h"
#include "columns.h"
#include "conf.h"
#include "fault.h"
#include "heat.h"
#include "help.h"
#include "lora.h"
#include "plugins/plugins.h"
#include "prefix.h"
#include "rng.h"
#include "yaml.h"

enum { N = 3, NOW_MS = 5000, BLOCKS = 63 };	/* 1,000 tokens are 62.5 */

static struct help_pool pool;
static struct endpoint_pace pace[N];
static struct endpoint_extras extras[N];
static struct heat heat[LIVE_HEAT];
static uint64_t blocks[BLOCKS];
static struct request_chain chain = { 0, BLOCKS };
static uint32_t rows[N] = { 0, 1, 2 }, unsettled[N];
static uint16_t matched[N];
static struct arena *arena;
static struct request request;

static int setup(void **state)
{
	(void)state;
	help_pool_init(&pool, "pool", N);
	memset(pace, 0, sizeof(pace));
	memset(extras, 0, sizeof(extras));
	memset(unsettled, 0, sizeof(unsettled));
	memset(matched, 0, sizeof(matched));
	memset(heat, 0, sizeof(heat));
	for (size_t i = 0; i < BLOCKS; i++)
		blocks[i] = 7000 + i;
	pool.pool_live.pace = pace;
	pool.pool_live.heat = heat;
	pool.view.extras = NULL;
	arena = arena_new(4096, 1 << 16);
	request = (struct request){ .prompt_bytes = 4000,	/* 1,000 tokens */
		.has_body = true, .model = span_of("sql"),
		.blocks = blocks, .n_blocks = BLOCKS, .chains = &chain,
		.n_chains = 1 };
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	help_pool_fini(&pool);
	return 0;
}

static const void *params(const char *yaml)
{
	struct fault why = { 0 };
	struct conf_input in = { "test", arena, &why };
	const struct conf *root = yaml_parse("test", span_of(yaml),
	    &yaml_limits_default, arena, &why);
	void *out = arena_zalloc(arena, scorer_expected_ttft.params->size);

	assert_non_null(root);
	assert_int_equal(conf_decode(&in, scorer_expected_ttft.params, root,
	    out), 0);
	return out;
}

/* As picking.c has it for the scorers: of this moment. */
static struct choice choice_at(int64_t now_ms, size_t n)
{
	struct choice c = { .view = &pool.view, .request = &request,
		.rows = rows, .n = n, .unsettled = unsettled,
		.matched = matched, .now_ms = now_ms };

	assert_true(told_columns_init(&c.told, arena, n));
	assert_true(live_columns_init(&c.live, arena, n));
	assert_true(pace_columns_init(&c.pace, arena, n));
	told_columns_fill(&c.told, &c);
	live_columns_fill(&c.live, &c);
	pace_columns_fill(&c.pace, &c);
	return c;
}

static struct choice choice(void)
{
	return choice_at(NOW_MS, N);
}

/* Of the first; its score as milliseconds. */
static double ms_by(const char *yaml)
{
	struct choice c = choice();
	float out[N];

	scorer_expected_ttft.score(&c, params(yaml), out);
	for (size_t i = 0; i < N; i++)
		assert_true(out[i] > 0 && out[i] <= 1);
	return 1000.0 / (double)out[0] - 1000.0;
}

static double ms(void)
{
	return ms_by("{}");
}

static void learn_rate(float tokens_a_second)
{
	ewma_add(&pace[0].prefill_rate, tokens_a_second, 1);
}

static void book(uint32_t requests, uint32_t tokens)
{
	live_count_add(&pool.live[0].requests, requests);
	live_count_add(&pool.live[0].tokens, tokens);
}

static void test_a_prompt_takes_its_uncached_tokens(void **state)
{
	(void)state;
	assert_float_equal(ms(), 1000.0 / 15.928, 0.01);
	assert_float_equal(ms_by("{peakPrefillThroughput: 500}"), 2000, 0.1);
	learn_rate(1000);
	assert_float_equal(ms(), 1000, 0.01);
	matched[0] = 50;	/* of 64 bytes: 800 tokens */
	assert_float_equal(ms(), 200, 0.01);
	matched[0] = 63;	/* more than there is */
	assert_float_equal(ms(), 0, 0.01);
	request.unseen_bytes = 400;	/* behind HAProxy's buffer */
	assert_float_equal(ms(), 92, 0.01);	/* 4400 - 4032 bytes */
}

/* The others do 2000: what is not half of the average, or 1.5 times it, is noise. */
static void test_only_who_is_far_off_is_slower_or_faster(void **state)
{
	static const struct { float rate; double ms; } rates[] = {
		/* averages: 2000, 1833, 2200; 1667 and 3333 have one far off */
		{ 0, 1000 / 2.0 }, { 1500, 1000 / 1.8333 }, { 2600, 1000 / 2.2 },
		{ 1000, 1000 / 1.0 }, { 6000, 1000 / 6.0 },
	};

	(void)state;
	ewma_add(&pace[1].prefill_rate, 2000, 1);
	ewma_add(&pace[2].prefill_rate, 2000, 1);
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		ewma_reset(&pace[0].prefill_rate);
		if (rates[i].rate > 0)
			learn_rate(rates[i].rate);
		assert_float_equal(ms(), rates[i].ms, 0.5);
	}
}

static void test_what_is_ahead_shrinks_with_time(void **state)
{
	(void)state;
	learn_rate(1000);
	book(1, 600);
	pace[0].busy_until_ms = NOW_MS + 400;
	assert_float_equal(ms(), 400 + 1000 + 1, 0.01);
	pace[0].busy_until_ms = NOW_MS + 9000;	/* never more than is there */
	assert_float_equal(ms(), 600 + 1000 + 1, 0.01);
	pace[0].busy_until_ms = NOW_MS - 1;
	assert_float_equal(ms(), 1000 + 1, 0.01);
	assert_float_equal(ms_by("{requestCostMs: 30}"), 1000 + 30, 0.01);
}

/* Of a batch of 2, three run or wait: two must end first, one each 250 ms. */
static void test_a_full_batch_is_waited_for(void **state)
{
	(void)state;
	learn_rate(1000);
	ewma_add(&pace[0].serve_us, 500 * 1000, 1);
	book(3, 100);
	pace[0].busy_until_ms = NOW_MS + 100;
	assert_float_equal(ms(), 100 + 1000 + 3, 0.01);
	pace[0].batch = 2;
	assert_float_equal(ms(), 500 + 1000 + 3, 0.01);
	pace[0].batch = 4;
	assert_float_equal(ms(), 100 + 1000 + 3, 0.01);
	pace[0].batch = 3;
	pace[0].serve_us.word = 0;	/* nobody has been seen to end: 1 s / 3 */
	assert_float_equal(ms(), 1000 / 3.0 + 1000 + 3, 0.01);
	assert_float_equal(ms_by("{serveMs: 600}"), 200 + 1000 + 3, 0.01);
	ewma_add(&pace[1].serve_us, 900 * 1000, 1);	/* elsewhere they were */
	assert_float_equal(ms(), 300 + 1000 + 3, 0.01);
}

/* It has not been seen full; others have, at 1 and 3. Its page shows no more than 3. */
static void test_others_tell_what_a_batch_is(void **state)
{
	(void)state;
	learn_rate(1000);
	ewma_add(&pace[0].serve_us, 600 * 1000, 1);
	book(4, 0);
	assert_float_equal(ms(), 1000 + 4, 0.01);
	pace[1].batch = 1;
	pace[2].batch = 3;
	pool.stats[0].running = 3;
	assert_float_equal(ms(), 2 * 600 / 3.0 + 1000 + 4, 0.01);
	pool.stats[0].running = 4;	/* more than 3 fit, who knows how many */
	assert_float_equal(ms(), 1000 + 4, 0.01);
	pool.stats[0].health = ENDPOINT_STALE;	/* they did once */
	assert_float_equal(ms(), 2 * 600 / 3.0 + 1000 + 4, 0.01);
	pace[0].batch = 4;
	assert_float_equal(ms(), 600 / 4.0 + 1000 + 4, 0.01);
}

/*
 * Endpoint 1 has 800 of 1,000 tokens and one request there that is in prefill still;
 * endpoint 0 has nothing, nobody, and room. At 1,000 tokens/s: 0 takes 1,000 ms, which
 * count as 200 + 800 / 1.5 = 733.3; 1 takes 200 + 1 and what is ahead.
 */
static void stage_a_wait(int64_t ahead_ms)
{
	for (size_t i = 0; i < N; i++) {
		ewma_add(&pace[i].prefill_rate, 1000, 1);
		prefix_set_capacity(pool.view.prefix, pool.stats[i].slot, 100);
	}
	matched[1] = 50;
	live_count_add(&pool.live[1].requests, 1);
	live_count_add(&pool.live[1].tokens, 1000);
	pace[1].busy_until_ms = NOW_MS + ahead_ms;
	live_count_add(&pool.live[2].requests, 1);
}

static void ask_for(uint64_t beginning, int n)
{
	for (int i = 0; i < n; i++)
		heat_add(heat, beginning, NOW_MS);
}

enum { COMMON = 7000 + 49 };	/* of the 800 tokens that endpoint 1 has */

static void test_what_many_ask_for_they_pay_together(void **state)
{
	(void)state;
	stage_a_wait(540);		/* 741 ms there */
	assert_float_equal(ms(), 1000, 0.01);
	ask_for(COMMON - 1, 9);		/* others, that part before */
	ask_for(COMMON + 1, 9);
	assert_float_equal(ms(), 1000, 0.01);
	ask_for(COMMON, 1);		/* one alone pays all of it */
	assert_float_equal(ms(), 1000, 0.01);
	ask_for(COMMON, 1);
	assert_float_equal(ms(), 200 + 800 / 2.0, 0.01);
	ask_for(COMMON, 2);
	assert_float_equal(ms(), 200 + 800 / 4.0, 0.01);
	book(1, 0);
	assert_float_equal(ms(), 200 + 800 / 4.0 + 1, 0.01);
}

static void test_it_is_told_only_of_who_comes_first_by_it(void **state)
{
	(void)state;
	stage_a_wait(390);		/* 591 ms there, 600 here */
	ask_for(COMMON, 2);
	assert_float_equal(ms(), 1000, 0.01);
	pace[1].busy_until_ms = NOW_MS + 410;
	assert_float_equal(ms(), 600, 0.01);
}

static void test_who_asked_long_ago_pays_nothing(void **state)
{
	struct choice c;
	float out[N];

	(void)state;
	stage_a_wait(2540);
	ask_for(COMMON, 2);
	c = choice_at(NOW_MS + 500, N);
	scorer_expected_ttft.score(&c, params("{}"), out);
	assert_float_equal(1000 / (double)out[0] - 1000, 1000, 0.01);
}

static void test_several_prompts_in_one_are_nobody_elses(void **state)
{
	(void)state;
	stage_a_wait(540);
	ask_for(COMMON, 2);
	request.n_chains = 2;
	assert_float_equal(ms(), 1000, 0.01);
}

/* 1,000 tokens are 62.8 ms by the preset, 200 are 12.6. */
static void test_until_a_first_token_has_told_all_idle_ones_are_alike(
    void **state)
{
	(void)state;
	prefix_set_capacity(pool.view.prefix, pool.stats[0].slot, 100);
	matched[1] = 50;
	assert_float_equal(ms(), 1000 / 15.928, 0.01);
	live_count_add(&pool.live[1].requests, 1);
	live_count_add(&pool.live[1].tokens, 1000);
	pace[1].busy_until_ms = NOW_MS + 30;	/* 43.6 ms there */
	assert_float_equal(ms(), 200 / 15.928, 0.01);
	unsettled[0] = 1;
	assert_true(ms() > 1000 / 15.928);
	unsettled[0] = 0;
	book(1, 0);
	assert_float_equal(ms(), 1000 / 15.928 + 1, 0.01);
}

/* 1,000 tokens are 62.5 blocks, of 100. */
static void test_nothing_of_use_is_to_go_for_a_prompt_that_others_have(
    void **state)
{
	(void)state;
	stage_a_wait(540);
	ask_for(COMMON, 2);
	pace_fill(&pace[0], 37, NOW_MS);
	assert_true(ms() < 1000);
	pace_fill(&pace[0], 1, NOW_MS);
	assert_float_equal(ms(), 1000, 0.01);
	matched[0] = 1;			/* 61.5 are computed, in 984 ms */
	assert_float_equal(ms(), 200 + 784 / 2.0, 0.01);
}

static void test_a_pick_is_one_that_asks(void **state)
{
	struct choice c = choice();

	(void)state;
	scorer_expected_ttft.picked(&c, params("{}"), 0);
	matched[1] = 50;
	scorer_expected_ttft.picked(&c, params("{}"), 0);
	scorer_expected_ttft.picked(&c, params("{}"), 1);
	assert_int_equal(heat_get(heat, COMMON, NOW_MS), 2);
}

static void test_a_pick_fills_its_cache(void **state)
{
	struct choice c = choice();

	(void)state;
	scorer_expected_ttft.picked(&c, params("{}"), 0);
	assert_int_equal(pace_filled(&pace[0], NOW_MS), 62);
	matched[0] = 60;
	scorer_expected_ttft.picked(&c, params("{}"), 0);
	assert_int_equal(pace_filled(&pace[0], NOW_MS), 64);
}

/* Nothing tells of ends: those that wait are taken to be like this one. */
static void test_without_feedback_the_page_tells(void **state)
{
	(void)state;
	learn_rate(1000);
	pool.stats[0].running = 4;
	assert_float_equal(ms(), 1000 + 4, 0.01);
	pool.stats[0].queued = 2;
	unsettled[0] = 1;
	assert_float_equal(ms(), 3 * 1000 + 1000 + 7, 0.02);
	pool.stats[0].health = ENDPOINT_STALE;
	assert_float_equal(ms(), 1 * 1000 + 1000 + 0, 0.02);
}

/* Another picker sends there too: the page shows more than we have booked. */
static void test_others_requests_count(void **state)
{
	(void)state;
	learn_rate(1000);
	book(2, 0);
	pool.stats[0].running = 9;
	assert_float_equal(ms(), 1000 + 9, 0.01);
}

static void test_an_adapter_is_where_it_was_sent(void **state)
{
	union {
		struct lora_set set;
		char bytes[sizeof(struct lora_set) + sizeof(uint64_t)];
	} has = { .set = { .max = 1, .n = 1, .n_running = 1 } };
	struct choice c = choice();

	(void)state;
	learn_rate(1000);
	has.set.names[0] = lora_name(span_of("sql"));
	extras[0].lora = &has.set;
	pool.view.extras = extras;
	assert_float_equal(ms(), 1000, 0.01);
	request.model = span_of("chat");
	assert_float_equal(ms(), 1000 + 500, 0.01);
	assert_float_equal(ms_by("{adapterLoadMs: 70}"), 1000 + 70, 0.01);
	scorer_expected_ttft.picked(&c, params("{}"), 0);
	assert_float_equal(ms(), 1000, 0.01);	/* idle there, and not listed */
	request.model = span_of("draw");
	scorer_expected_ttft.picked(&c, params("{}"), 0);
	request.model = span_of("chat");	/* one fits: draw, which must go */
	assert_float_equal(ms(), 1000 + 2 * 500, 0.01);
	request.model = span_of("\\u0064raw");
	assert_float_equal(ms(), 1000, 0.01);
}

static void test_a_pick_keeps_its_endpoint_busy(void **state)
{
	struct choice c;

	(void)state;
	learn_rate(1000);
	c = choice();
	scorer_expected_ttft.picked(&c, params("{}"), 0);
	assert_int_equal(pace[0].busy_until_ms, NOW_MS + 1000);
	scorer_expected_ttft.picked(&c, params("{}"), 0);
	assert_int_equal(pace[0].busy_until_ms, NOW_MS + 2000);
	c = choice_at(NOW_MS + 60000, N);
	scorer_expected_ttft.picked(&c, params("{}"), 0);
	assert_int_equal(pace[0].busy_until_ms, NOW_MS + 61000);
}

/* Numbers of any kind: a score, and no candidate's depends on another's. */
static void test_any_state_has_a_score(void **state)
{
	struct rng rng = { 7 };
	float out[N], alone[N];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct choice c;
		uint32_t r = rng_below(&rng, 1u << 30);

		live_renew(&pool.live[0]);
		pace_renew(&pace[0]);
		if (r & 1)
			learn_rate((float)rng_below(&rng, 1 << 20) + 0.001f);
		if (r & 2)
			ewma_add(&pace[0].serve_us,
			    (float)rng_below(&rng, 1 << 30), 1);
		pace[0].batch = r & 4 ? rng_below(&rng, 1 << 30) : 0;
		pace[0].busy_until_ms = (int64_t)(r & 8 ? rng_next(&rng) >> 1 : 0);
		book(r & 16 ? rng_below(&rng, 1 << 30) : 0,
		    r & 32 ? rng_below(&rng, 1 << 30) : 0);
		pool.stats[0].queued = r & 64 ? UINT32_MAX : 0;
		unsettled[0] = r & 128 ? UINT32_MAX : 0;
		c = choice();
		scorer_expected_ttft.score(&c, params("{}"), out);
		c = choice_at(NOW_MS, 1);
		scorer_expected_ttft.score(&c, params("{}"), alone);
		assert_true(out[0] >= 0 && out[0] <= 1);
		if (r & 1)	/* else as fast as the others */
			assert_true(out[0] == alone[0]);
		arena_reset(arena);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_prompt_takes_its_uncached_tokens),
		TEST(test_only_who_is_far_off_is_slower_or_faster),
		TEST(test_what_is_ahead_shrinks_with_time),
		TEST(test_a_full_batch_is_waited_for),
		TEST(test_others_tell_what_a_batch_is),
		TEST(test_what_many_ask_for_they_pay_together),
		TEST(test_it_is_told_only_of_who_comes_first_by_it),
		TEST(test_who_asked_long_ago_pays_nothing),
		TEST(test_several_prompts_in_one_are_nobody_elses),
		TEST(test_until_a_first_token_has_told_all_idle_ones_are_alike),
		TEST(test_nothing_of_use_is_to_go_for_a_prompt_that_others_have),
		TEST(test_a_pick_is_one_that_asks),
		TEST(test_a_pick_fills_its_cache),
		TEST(test_without_feedback_the_page_tells),
		TEST(test_others_requests_count),
		TEST(test_an_adapter_is_where_it_was_sent),
		TEST(test_a_pick_keeps_its_endpoint_busy),
		TEST(test_any_state_has_a_score),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
