#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "live.h"
#include "prefix.h"

static uint32_t requests(const struct endpoint_live *l)
{
	return live_count_get(&l->requests);
}

static bool add(struct endpoint_live *l, uint32_t n)
{
	return live_count_add(&l->requests, n);
}

static bool sub(struct endpoint_live *l, uint32_t generation, uint32_t n)
{
	return live_count_sub(&l->requests, generation, n);
}

static void test_what_goes_up_comes_down(void **state)
{
	struct endpoint_live l = { 0 };
	uint32_t g = live_generation(&l);

	(void)state;
	assert_true(add(&l, 3));
	assert_true(add(&l, 0));
	assert_int_equal(requests(&l), 3);
	assert_true(sub(&l, g, 1));
	assert_true(sub(&l, g, 0));
	assert_int_equal(requests(&l), 2);
	assert_true(sub(&l, g, 2));
	assert_int_equal(requests(&l), 0);
	assert_int_equal(live_generation(&l), g);
}

/* The generation is in the same word: no count may run into it. */
static void test_a_count_that_is_full_takes_no_more(void **state)
{
	struct endpoint_live l = { 0 };
	uint32_t g;

	(void)state;
	live_renew(&l);
	g = live_generation(&l);
	assert_true(add(&l, UINT32_MAX - 1));
	assert_false(add(&l, 2));
	assert_int_equal(requests(&l), UINT32_MAX - 1);
	assert_true(add(&l, 1));
	assert_false(add(&l, 1));
	assert_false(add(&l, UINT32_MAX));
	assert_int_equal(requests(&l), UINT32_MAX);
	assert_int_equal(live_generation(&l), g);
	assert_true(sub(&l, g, UINT32_MAX));
	assert_int_equal(requests(&l), 0);
}

static void test_what_comes_late_changes_nothing(void **state)
{
	struct endpoint_live l = { 0 };
	uint32_t old = live_generation(&l);

	(void)state;
	add(&l, 5);
	live_renew(&l);
	assert_int_not_equal(live_generation(&l), old);
	assert_int_equal(requests(&l), 0);
	assert_false(sub(&l, old, 1));
	assert_int_equal(requests(&l), 0);
	add(&l, 2);
	assert_false(sub(&l, old, 5));
	assert_false(sub(&l, old, 0));
	assert_false(sub(&l, old - 1, 1));
	assert_int_equal(requests(&l), 2);
	assert_true(sub(&l, live_generation(&l), 2));
}

static void test_generations_wrap(void **state)
{
	struct endpoint_live l = { 0 };

	(void)state;
	l.requests.word = l.tokens.word = (uint64_t)UINT32_MAX << 32 | 7;
	live_renew(&l);
	assert_int_equal(live_generation(&l), 0);
	assert_int_equal(requests(&l), 0);
	assert_false(sub(&l, UINT32_MAX, 1));
}

static void fill(struct endpoint_live *l)
{
	l->picked = 9;
	l->n_failures = 3;
	l->n_ejections = 2;
	live_count_add(&l->requests, 4);
	live_count_add(&l->tokens, 400);
	ewma_add(&l->ttft_us, 1000, 1);
	ewma_add(&l->token_us, 1000, 1);
	ewma_add(&l->error_rate, 1, 1);
	l->breaker = BREAKER_TRIAL;
	l->is_witnessed = true;
	l->ejected_s = 17;
	l->due_ms = 18;
}

static void assert_new(const struct endpoint_live *l)
{
	assert_int_equal(l->n_failures, 0);
	assert_int_equal(l->n_ejections, 0);
	assert_int_equal(requests(l), 0);
	assert_int_equal(live_count_get(&l->tokens), 0);
	assert_true(ewma_get(&l->ttft_us) < 0);
	assert_true(ewma_get(&l->token_us) < 0);
	assert_true(ewma_get(&l->error_rate) < 0);
	assert_int_equal(l->breaker, BREAKER_CLOSED);
	assert_false(l->is_witnessed);
	assert_int_equal(l->ejected_s, 0);
	assert_int_equal(l->due_ms, 0);
}

static void test_a_renewed_one_knows_nothing_of_the_old(void **state)
{
	struct endpoint_live l = { 0 };

	(void)state;
	fill(&l);
	live_renew(&l);
	assert_new(&l);
	assert_int_equal(l.picked, 9);
	/* Either count tells the generation. */
	assert_int_equal(l.tokens.word >> 32, live_generation(&l));
}

/* ---- pace ---- */

static void test_a_batch_is_what_runs_while_others_wait(void **state)
{
	static const struct { uint32_t running, queued, batch; } pages[] = {
		{ 7, 0, 0 },	/* nobody waits: nothing is learned */
		{ 8, 1, 8 },
		{ 5, 0, 8 },	/* fewer run: there is room */
		{ 6, 3, 6 },	/* longer prompts: fewer fit */
		{ 6, 0, 7 },	/* as many, and nobody waits: perhaps one more */
		{ 7, 0, 8 },
		{ 0, 4, 8 },	/* asleep, or just started */
	};
	struct endpoint_pace p = { .batch = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		pace_page(&p, pages[i].running, pages[i].queued);
		assert_int_equal(p.batch, pages[i].batch);
	}
}

static void test_the_latest_adapters_are_kept_each_once(void **state)
{
	struct endpoint_pace p = { .batch = 0 };

	(void)state;
	for (uint64_t a = 1; a <= PACE_ADAPTERS + 3; a++)
		pace_adapter(&p, a);
	for (uint64_t i = 0; i < PACE_ADAPTERS; i++)
		assert_int_equal(p.adapters[i], PACE_ADAPTERS + 3 - i);
	pace_adapter(&p, PACE_ADAPTERS);	/* the fourth comes up */
	assert_int_equal(p.adapters[0], PACE_ADAPTERS);
	assert_int_equal(p.adapters[3], PACE_ADAPTERS + 1);
	assert_int_equal(p.adapters[4], PACE_ADAPTERS - 1);
	pace_adapter(&p, PACE_ADAPTERS);
	assert_int_equal(p.adapters[1], PACE_ADAPTERS + 3);
}

static void test_what_fills_a_cache_is_known_for_a_minute_or_two(void **state)
{
	struct endpoint_pace p = { .batch = 0 };
	const int64_t t = 1000LL * PACE_FILL_MS;

	(void)state;
	pace_fill(&p, 5, t);
	pace_fill(&p, 7, t + PACE_FILL_MS - 1);
	assert_int_equal(pace_filled(&p, t), 12);
	assert_int_equal(pace_filled(&p, t + 2 * PACE_FILL_MS - 1), 12);
	assert_int_equal(pace_filled(&p, t + 2 * PACE_FILL_MS), 0);
}

static void test_a_renewed_pace_is_unknown(void **state)
{
	struct endpoint_pace p;

	(void)state;
	memset(&p, 0x55, sizeof(p));
	pace_renew(&p);
	assert_true(ewma_get(&p.prefill_rate) < 0);
	assert_true(ewma_get(&p.base_us) < 0);
	assert_true(ewma_get(&p.serve_us) < 0);
	assert_int_equal(p.batch, 0);
	assert_int_equal(p.busy_until_ms, 0);
	assert_int_equal(p.filled, 0);
	for (size_t i = 0; i < PACE_ADAPTERS; i++)
		assert_int_equal(p.adapters[i], 0);
}

/* ---- blocks ---- */

static void test_an_endpoint_has_a_cache_line_of_its_own(void **state)
{
	struct endpoint_live *live = live_new();

	(void)state;
	assert_non_null(live);
	assert_int_equal(sizeof(*live), 64);
	assert_int_equal((uintptr_t)live % 64, 0);
	live_release(live, 0);
}

static void test_the_pool_s_own_is_behind_all_slots(void **state)
{
	struct endpoint_live *live = live_new();

	(void)state;
	assert_true((uintptr_t)pool_live_of(live) >=
	    (uintptr_t)&live[PREFIX_SLOTS_MAX]);
	pool_live_of(live)->n_held = UINT32_MAX;	/* ours to write */
	assert_new(&live[PREFIX_SLOTS_MAX - 1]);
	fill(&live[PREFIX_SLOTS_MAX - 1]);
	assert_int_equal(pool_live_of(live)->n_held, UINT32_MAX);
	pool_live_of(live)->n_held = 0;
	live_release(live, PREFIX_SLOTS_MAX);
}

/* By slot and by set; all of them may be written, and none is another's. */
static void test_the_pool_s_tables_are_its_own(void **state)
{
	struct endpoint_live *live = live_new();
	struct pool_live *p = pool_live_of(live);

	(void)state;
	assert_int_equal((uintptr_t)p->sessions % 64, 0);
	for (size_t i = 0; i < PREFIX_SLOTS_MAX; i++)
		p->cold[i] = UINT64_MAX;
	for (size_t i = 0; i < LIVE_SESSIONS; i++)
		p->sessions[i] = 1;
	for (size_t i = 0; i < PREFIX_SLOTS_MAX; i++)
		p->pace[i].batch = 7;
	for (size_t i = 0; i < PREFIX_SLOTS_MAX; i++)
		assert_true(p->cold[i] == UINT64_MAX);
	assert_new(&live[PREFIX_SLOTS_MAX - 1]);
	assert_int_equal(p->n_held, 0);
	assert_int_equal(p->n_cold, 0);
	live_release(live, PREFIX_SLOTS_MAX);
	assert_ptr_equal(live_new(), live);	/* it still has them */
	assert_ptr_equal(pool_live_of(live)->cold, p->cold);
	assert_int_equal(p->pace[PREFIX_SLOTS_MAX - 1].batch, 0);
	assert_non_null(p->sessions);
	live_release(live, PREFIX_SLOTS_MAX);
}

/* Bookings may point into it long after: it is used again, but not given back. */
static void test_a_released_block_is_anew_and_outlives_its_pool(void **state)
{
	enum { SLOTS = 5 };
	struct endpoint_live *first = live_new(), *second;
	uint32_t generations[SLOTS];

	(void)state;
	for (int i = 0; i < SLOTS; i++) {
		fill(&first[i]);
		generations[i] = live_generation(&first[i]);
	}
	live_release(first, SLOTS);
	for (int i = 0; i < SLOTS; i++)
		assert_false(sub(&first[i], generations[i], 4));
	second = live_new();
	assert_ptr_equal(second, first);
	for (int i = 0; i < SLOTS; i++) {
		assert_new(&second[i]);
		assert_int_equal(second[i].picked, 0);
		add(&second[i], 1);
		assert_false(sub(&second[i], generations[i], 1));
		assert_int_equal(requests(&second[i]), 1);
	}
	live_release(second, SLOTS);
}

static void test_blocks_in_use_are_not_given_out(void **state)
{
	enum { BLOCKS = 8 };
	struct endpoint_live *blocks[BLOCKS];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < BLOCKS; i++) {
			blocks[i] = live_new();
			for (size_t k = 0; k < i; k++)
				assert_ptr_not_equal(blocks[i], blocks[k]);
		}
		for (size_t i = 0; i < BLOCKS; i++)
			live_release(blocks[i], 1);
	}
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 20000, KEPT = 3 };

static void *up_and_down(void *data)
{
	struct endpoint_live *l = data;
	uintptr_t n_lost = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t g = live_generation(l), tokens = (uint32_t)i % 1000;

		add(l, 1);
		live_count_add(&l->tokens, tokens);
		n_lost += !live_count_sub(&l->tokens, g, tokens);
		n_lost += !sub(l, g, 1);
	}
	add(l, KEPT);
	return (void *)n_lost;
}

static void test_no_step_is_lost_among_threads(void **state)
{
	static struct endpoint_live l;
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, up_and_down,
			&l), 0);
	for (int i = 0; i < THREADS; i++) {
		void *lost;

		pthread_join(threads[i], &lost);
		assert_null(lost);
	}
	assert_int_equal(requests(&l), THREADS * KEPT);
	assert_int_equal(live_count_get(&l.tokens), 0);
}

struct late {
	struct endpoint_live l;
	pthread_barrier_t barrier;
	uint32_t generation;		/* of the round's bookings */
};

static void *give_back_late(void *data)
{
	struct late *c = data;

	for (int round = 0; round < 2000; round++) {
		pthread_barrier_wait(&c->barrier);
		for (int i = 0; i < 10; i++)
			sub(&c->l, c->generation, 1);
		pthread_barrier_wait(&c->barrier);
	}
	return NULL;
}

/* Before it or behind it: none of the old one's is on the new one's count. */
static void test_giving_back_may_race_with_renewal(void **state)
{
	static struct late c;
	pthread_t thread;

	(void)state;
	pthread_barrier_init(&c.barrier, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, give_back_late, &c), 0);
	for (int round = 0; round < 2000; round++) {
		c.generation = live_generation(&c.l);
		add(&c.l, 10);
		pthread_barrier_wait(&c.barrier);
		live_renew(&c.l);
		add(&c.l, 1);
		pthread_barrier_wait(&c.barrier);
		assert_int_equal(requests(&c.l), 1);
		assert_int_equal(live_generation(&c.l), c.generation + 1);
		assert_true(sub(&c.l, live_generation(&c.l), 1));
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&c.barrier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_goes_up_comes_down),
		cmocka_unit_test(test_a_count_that_is_full_takes_no_more),
		cmocka_unit_test(test_what_comes_late_changes_nothing),
		cmocka_unit_test(test_generations_wrap),
		cmocka_unit_test(test_a_renewed_one_knows_nothing_of_the_old),
		cmocka_unit_test(test_an_endpoint_has_a_cache_line_of_its_own),
		cmocka_unit_test(test_the_pool_s_own_is_behind_all_slots),
		cmocka_unit_test(test_the_pool_s_tables_are_its_own),
		cmocka_unit_test(test_a_batch_is_what_runs_while_others_wait),
		cmocka_unit_test(test_the_latest_adapters_are_kept_each_once),
		cmocka_unit_test(
		    test_what_fills_a_cache_is_known_for_a_minute_or_two),
		cmocka_unit_test(test_a_renewed_pace_is_unknown),
		cmocka_unit_test(
		    test_a_released_block_is_anew_and_outlives_its_pool),
		cmocka_unit_test(test_blocks_in_use_are_not_given_out),
		cmocka_unit_test(test_no_step_is_lost_among_threads),
		cmocka_unit_test(test_giving_back_may_race_with_renewal),
	};

	return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
