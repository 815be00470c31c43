/*
 * Thousands of blocks that go in pieces: the same ones as if they went at once, and beside
 * a thread that inserts all the while what is left is sound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "prefix.h"
#include "rng.h"

enum { SLOTS = 2, STEM = 50, FAN = 40, LEAF = 25, BYTES = 1 << 20, ROUNDS = 300 };

static struct prefix_index *p;

static int setup(void **state)
{
	(void)state;
	p = prefix_new(BYTES, SLOTS);
	for (uint16_t s = 0; s < SLOTS; s++)
		prefix_join(p, s, 20000);
	return prefix_track(p);
}

static int teardown(void **state)
{
	(void)state;
	for (uint16_t s = 0; s < SLOTS; s++)
		prefix_leave(p, s);
	assert_int_equal(prefix_total(p), 0);
	prefix_free(p);
	return 0;
}

/* A stem that all share, and a branch of its own. */
static void chain_of(uint32_t branch, uint64_t chain[STEM + LEAF])
{
	for (uint32_t i = 0; i < STEM + LEAF; i++)
		chain[i] = rng_mix((i < STEM ? 0 : (uint64_t)branch << 32) |
		    (i + 1));
}

static void insert(uint16_t slot, uint32_t branch)
{
	uint64_t chain[STEM + LEAF];

	chain_of(branch, chain);
	prefix_insert(p, slot, chain, STEM + LEAF, 0);
}

static void fill(uint16_t slot)
{
	for (uint32_t b = 1; b <= FAN; b++)
		insert(slot, b);
	assert_int_equal(prefix_count(p, slot), STEM + FAN * LEAF);
}

static uint32_t depth_of(uint16_t slot, uint32_t branch)
{
	uint64_t chain[STEM + LEAF];
	uint16_t depth[SLOTS] = { 0 };

	chain_of(branch, chain);
	prefix_match(p, chain, STEM + LEAF, depth, SLOTS);
	return depth[slot];
}

static void test_a_drop_of_many_takes_them_all(void **state)
{
	uint64_t chain[STEM + LEAF];

	(void)state;
	chain_of(1, chain);
	fill(0);
	fill(1);
	assert_int_equal(prefix_drop(p, 0, chain[10]), STEM - 10 + FAN * LEAF);
	assert_int_equal(prefix_count(p, 0), 10);
	for (uint32_t b = 1; b <= FAN; b++) {
		assert_int_equal(depth_of(0, b), 10);
		assert_int_equal(depth_of(1, b), STEM + LEAF);
	}
	assert_int_equal(prefix_drop(p, 0, chain[10]), 0);
}

static void test_the_least_recent_of_many_go(void **state)
{
	(void)state;
	fill(0);
	assert_int_equal(prefix_trim(p, 0, STEM + 3 * LEAF),
	    (FAN - 3) * LEAF);
	for (uint32_t b = 1; b <= FAN; b++)
		assert_int_equal(depth_of(0, b), b > FAN - 3 ? STEM + LEAF :
		    STEM);
	fill(1);
	prefix_set_capacity(p, 1, STEM + LEAF);
	assert_int_equal(prefix_count(p, 1), STEM + LEAF);
	assert_int_equal(depth_of(1, FAN), STEM + LEAF);
	prefix_purge(p, 1);
	assert_int_equal(prefix_count(p, 1), 0);
	assert_int_equal(prefix_trim(p, 1, 10), 0);
}

/* ---- beside others ---- */

static _Atomic bool is_over;

static void *inserter(void *arg)
{
	struct rng rng = { (uintptr_t)arg };

	while (!atomic_load(&is_over))
		insert((uint16_t)rng_below(&rng, SLOTS),
		    1 + rng_below(&rng, FAN));
	return NULL;
}

/* All that is held hangs on what is held, and is as much as is counted. */
static void assert_sound(uint16_t slot)
{
	enum { MAX = STEM + FAN * LEAF };
	struct prefix_block *blocks = calloc(MAX, sizeof(*blocks));
	uint32_t n = prefix_export(p, slot, blocks, MAX), roots = 0;

	assert_int_equal(n, prefix_count(p, slot));
	for (uint32_t i = 0; i < n; i++) {
		roots += blocks[i].parent == 0;
		assert_true(blocks[i].parent <= i);
	}
	assert_int_equal(roots, n > 0);
	free(blocks);
}

static void test_who_inserts_meanwhile_finds_it_sound(void **state)
{
	pthread_t threads[2];
	uint64_t chain[STEM + LEAF];
	struct rng rng = { 5 };

	(void)state;
	atomic_store(&is_over, false);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, inserter,
		    (void *)(i + 1)), 0);
	for (int i = 0; i < ROUNDS; i++) {
		uint16_t slot = (uint16_t)rng_below(&rng, SLOTS);

		chain_of(1 + rng_below(&rng, FAN), chain);
		if (i % 3 == 0)
			prefix_purge(p, slot);
		else if (i % 3 == 1)
			prefix_drop(p, slot, chain[rng_below(&rng, STEM)]);
		else
			prefix_trim(p, slot, rng_below(&rng, STEM + LEAF));
	}
	atomic_store(&is_over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (uint16_t s = 0; s < SLOTS; s++) {
		assert_sound(s);
		insert(s, FAN + 1);
		assert_int_equal(depth_of(s, FAN + 1), STEM + LEAF);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_drop_of_many_takes_them_all),
		TEST(test_the_least_recent_of_many_go),
		TEST(test_who_inserts_meanwhile_finds_it_sound),
	};

	return cmocka_run_group_tests_name("prefix_shrink", tests, NULL, NULL);
}
