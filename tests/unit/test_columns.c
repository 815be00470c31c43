/* What stands in the columns is what the rows and counts say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "arena.h"
#include "columns.h"
#include "help.h"
#include "rng.h"

enum { N = 9 };

static struct help_pool pool;
static struct request request;
static struct arena *arena;
static uint32_t rows[N], unsettled[N];
static uint16_t matched[N];

/* Rows backwards: a candidate's number is not its row's. */
static struct choice random_choice(struct rng *rng)
{
	for (size_t i = 0; i < N; i++) {
		struct endpoint_live *l = &pool.live[i];

		pool.stats[i].queued = (uint32_t)rng_next(rng);
		pool.stats[i].running = (uint32_t)rng_next(rng);
		pool.stats[i].kv_used = (float)rng_below(rng, 100) / 100.0f;
		pool.stats[i].health = (uint8_t)rng_below(rng, 3);
		live_renew(l);
		live_count_add(&l->requests, (uint32_t)rng_next(rng));
		live_count_add(&l->tokens, (uint32_t)rng_next(rng));
		if (rng_below(rng, 2) == 0)
			ewma_add(&l->ttft_us, (float)rng_below(rng, 1000), 1);
		rows[i] = (uint32_t)(N - 1 - i);
		unsettled[i] = (uint32_t)rng_next(rng);
	}
	return (struct choice){ .view = &pool.view, .request = &request,
		.rows = rows, .n = N, .unsettled = unsettled,
		.matched = matched };
}

static void test_columns_say_what_the_endpoints_do(void **state)
{
	struct rng rng = { 1 };

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct choice bare = random_choice(&rng), c = bare;

		assert_true(told_columns_init(&c.told, arena, N));
		assert_true(live_columns_init(&c.live, arena, N));
		told_columns_fill(&c.told, &bare);
		live_columns_fill(&c.live, &bare);
		for (size_t i = 0; i < N; i++) {
			assert_int_equal(choice_fresh(&c, i),
			    pool.stats[N - 1 - i].health == ENDPOINT_FRESH ?
			    UINT32_MAX : 0);
			assert_int_equal(choice_fresh(&bare, i),
			    choice_fresh(&c, i));
			assert_int_equal(choice_queued(&bare, i),
			    choice_queued(&c, i));
			assert_int_equal(choice_running(&bare, i),
			    choice_running(&c, i));
			assert_int_equal(choice_requests(&bare, i),
			    choice_requests(&c, i));
			assert_int_equal(choice_tokens(&bare, i),
			    choice_tokens(&c, i));
			assert_true(choice_kv_used(&bare, i) ==
			    choice_kv_used(&c, i));
			assert_true(choice_ttft_us(&bare, i) ==
			    choice_ttft_us(&c, i));
			assert_true(choice_token_us(&bare, i) ==
			    choice_token_us(&c, i));
		}
		arena_reset(arena);
	}
}

/* Sets of four names at most, of six: so that the one asked for is in some. */
static void random_set(struct lora_set *set, struct rng *rng)
{
	*set = (struct lora_set){ .max = rng_below(rng, 6),
		.is_cut = rng_below(rng, 8) == 0 };
	for (uint64_t name = 0; name < 6 && set->n < 4; name++)
		if (rng_below(rng, 2) == 0)
			set->names[set->n++] = lora_spelled(
			    (struct span){ &"abcdef"[name], 1 });
	set->n_running = (uint8_t)rng_below(rng, set->n + 1u);
}

static enum lora_place place_by_parts(const struct lora_set *set, uint64_t name)
{
	bool has_room = lora_has_room(set);

	switch (lora_find(set, name)) {
	case LORA_RUNNING:
		return LORA_IN_USE;
	case LORA_WAITING:
		return has_room ? LORA_AWAITED_ROOM : LORA_AWAITED;
	default:
		return has_room ? LORA_AWAY_ROOM : LORA_AWAY;
	}
}

static void test_adapters_are_where_the_engines_say(void **state)
{
	struct endpoint_extras extras[N] = { { NULL, NULL } };
	struct lora_set *sets[N];
	struct rng rng = { 3 };
	uint32_t seen = 0;

	(void)state;
	request.model = span_of("c");
	pool.view.extras = extras;
	for (size_t i = 0; i < N; i++)
		assert_non_null(sets[i] = malloc(lora_bytes(4)));
	for (int round = 0; round < 200; round++) {
		struct choice bare = random_choice(&rng), c = bare;
		uint64_t name = lora_spelled(request.model);

		for (size_t i = 0; i < N; i++) {
			random_set(sets[i], &rng);
			extras[i].lora = rng_below(&rng, 5) == 0 ? NULL :
			    sets[i];
		}
		assert_true(lora_columns_init(&c.lora, arena, N));
		lora_columns_fill(&c.lora, &bare);
		for (size_t i = 0; i < N; i++) {
			const struct lora_set *set = extras[rows[i]].lora;
			enum lora_place place = choice_lora(&c, name, i);

			assert_int_equal(place, set == NULL ? LORA_UNTOLD :
			    place_by_parts(set, name));
			assert_int_equal(choice_lora(&bare, name, i), place);
			seen |= 1u << place;
			if (set == NULL)
				continue;
			assert_int_equal(choice_lora_max(&c, i), set->max);
			assert_int_equal(choice_lora_max(&bare, i), set->max);
		}
		arena_reset(arena);
	}
	assert_int_equal(seen, (1u << (LORA_IN_USE + 1)) - 1);
	for (size_t i = 0; i < N; i++)
		free(sets[i]);
	pool.view.extras = NULL;
	request.model = (struct span){ NULL, 0 };
}

static void test_a_sum_does_not_wrap(void **state)
{
	(void)state;
	assert_int_equal(choice_sum(0, 0), 0);
	assert_int_equal(choice_sum(UINT32_MAX, 0), UINT32_MAX);
	assert_int_equal(choice_sum(UINT32_MAX - 1, 1), UINT32_MAX);
	assert_int_equal(choice_sum(UINT32_MAX, 1), UINT32_MAX);
	assert_int_equal(choice_sum(1, UINT32_MAX), UINT32_MAX);
	assert_int_equal(choice_sum(UINT32_MAX, UINT32_MAX), UINT32_MAX);
}

static uint32_t value_at(const struct choice *c, size_t i)
{
	return c->unsettled[i];
}

static void test_the_fewest_are_the_best_of_those_that_are_fresh(void **state)
{
	struct rng rng = { 2 };
	struct choice c = random_choice(&rng);
	float out[N];

	(void)state;
	for (size_t i = 0; i < N; i++) {
		unsettled[i] = (uint32_t)i;
		pool.stats[rows[i]].health = i == 2 || i == 6 || i == 5 ?
		    ENDPOINT_FRESH : ENDPOINT_STALE;
	}
	score_fewest(&c, value_at, out);
	for (size_t i = 0; i < N; i++)
		assert_true(out[i] == (i == 2 ? 1.0f : i == 5 ? .25f : 0.0f));
	pool.stats[rows[2]].health = pool.stats[rows[6]].health =
	    ENDPOINT_STALE;
	score_fewest(&c, value_at, out);
	for (size_t i = 0; i < N; i++)	/* one is alike */
		assert_true(out[i] == (i == 5 ? 1.0f : 0.0f));
}

static void test_the_reach_is_that_of_the_best(void **state)
{
	uint64_t blocks[] = { 11, 12, 13, 14, 15 };
	struct request_chain chains[] = { { 1, 4 }, { 0, 1 } };
	struct request r = { .blocks = blocks, .n_blocks = 5,
		.chains = chains, .n_chains = 1 };
	struct rng rng = { 4 };
	struct choice c = random_choice(&rng);

	(void)state;
	c.request = &r;
	assert_int_equal(choice_reach(&c).blocks, 0);
	assert_int_equal(choice_reach(&c).beginning, 0);
	matched[3] = 2;
	matched[N - 1] = 3;
	assert_int_equal(choice_reach(&c).blocks, 3);
	assert_int_equal(choice_reach(&c).beginning, 14);
	c.n = N - 1;			/* he is no candidate */
	assert_int_equal(choice_reach(&c).beginning, 13);
	matched[3] = 5;			/* of other prompts than this one */
	assert_int_equal(choice_reach(&c).beginning, 0);
	matched[3] = 2;
	r.n_chains = 2;
	assert_int_equal(choice_reach(&c).blocks, 2);
	assert_int_equal(choice_reach(&c).beginning, 0);
	matched[3] = matched[N - 1] = 0;
}

static void test_without_memory_there_are_none(void **state)
{
	struct arena *small = arena_new(256, 256);
	struct told_columns told;
	struct live_columns live;
	struct lora_columns lora;

	(void)state;
	assert_non_null(small);
	assert_false(told_columns_init(&told, small, 1 << 20));
	assert_false(live_columns_init(&live, small, 1 << 20));
	assert_false(lora_columns_init(&lora, small, 1 << 20));
	arena_free(small);
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new(64 << 10, 1 << 20);
	help_pool_init(&pool, "pool", N);
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	arena_free(arena);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_columns_say_what_the_endpoints_do),
		unit(test_adapters_are_where_the_engines_say),
		unit(test_a_sum_does_not_wrap),
		unit(test_the_fewest_are_the_best_of_those_that_are_fresh),
		unit(test_the_reach_is_that_of_the_best),
		unit(test_without_memory_there_are_none),
	};

	return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}
