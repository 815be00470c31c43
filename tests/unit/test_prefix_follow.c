/*
 * Answers that are known by number, and blocks that an engine says are gone: against a
 * model that keeps what an endpoint holds as a plain set of paths.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "prefix.h"
#include "rng.h"

enum { SLOTS = 3, DEPTH = 6, PATHS = 32, BYTES = 1 << 20 };

/* Block `level` of the path: paths share as many blocks as bits from the lowest. */
static uint64_t block_of(uint32_t path, uint32_t level)
{
	return rng_mix((uint64_t)(path & ((1u << level) - 1)) << 8 | level |
	    1ull << 60);
}

static void chain_of(uint32_t path, uint64_t chain[DEPTH])
{
	for (uint32_t i = 0; i < DEPTH; i++)
		chain[i] = block_of(path, i);
}

static uint32_t depth_of(const struct prefix_index *p, uint16_t slot,
    const uint64_t *chain, size_t n)
{
	uint16_t depth[SLOTS] = { 0 };

	prefix_match(p, chain, n, depth, SLOTS);
	return depth[slot];
}

static struct prefix_index *tracked(uint32_t capacity)
{
	struct prefix_index *p = prefix_new(BYTES, SLOTS);

	assert_int_equal(prefix_track(p), 0);
	for (uint16_t s = 0; s < SLOTS; s++)
		prefix_join(p, s, capacity);
	return p;
}

/* ---- drops ---- */

/* held[slot][path] is how deep: the deepest block of each path says all. */
struct model {
	bool held[SLOTS][1 << DEPTH][DEPTH];	/* by the low bits of the path */
};

static bool *at(struct model *m, int slot, uint32_t path, uint32_t level)
{
	return &m->held[slot][path & ((1u << level) - 1)][level];
}

static uint32_t model_drop(struct model *m, int slot, uint32_t path,
    uint32_t level)
{
	uint32_t n = 0, low = path & ((1u << level) - 1);

	if (!*at(m, slot, path, level))
		return 0;
	for (uint32_t l = level; l < DEPTH; l++)
		for (uint32_t q = 0; q < 1u << l; q++)
			if ((q & ((1u << level) - 1)) == low &&
			    m->held[slot][q][l]) {
				m->held[slot][q][l] = false;
				n++;
			}
	return n;
}

static void assert_same(struct prefix_index *p, struct model *m)
{
	for (int s = 0; s < SLOTS; s++)
		for (uint32_t path = 0; path < PATHS; path++) {
			uint64_t chain[DEPTH];
			uint32_t depth = 0;

			chain_of(path, chain);
			while (depth < DEPTH && *at(m, s, path, depth))
				depth++;
			assert_int_equal(depth_of(p, (uint16_t)s, chain, DEPTH),
			    depth);
		}
}

static void test_a_drop_takes_what_follows_and_nothing_else(void **state)
{
	struct prefix_index *p = tracked(1000);
	struct model *m = calloc(1, sizeof(*m));
	struct rng rng = { 7 };

	(void)state;
	for (int turn = 0; turn < 3000; turn++) {
		uint16_t slot = (uint16_t)rng_below(&rng, SLOTS);
		uint32_t path = rng_below(&rng, PATHS);
		uint32_t level = rng_below(&rng, DEPTH);
		uint64_t chain[DEPTH];

		chain_of(path, chain);
		if (rng_below(&rng, 3) != 0) {
			prefix_insert(p, slot, chain, level + 1, 0);
			for (uint32_t l = 0; l <= level; l++)
				*at(m, slot, path, l) = true;
		} else {
			assert_int_equal(prefix_drop(p, slot, chain[level]),
			    model_drop(m, slot, path, level));
		}
		if (turn % 50 == 0)
			assert_same(p, m);
	}
	for (uint16_t s = 0; s < SLOTS; s++)
		prefix_leave(p, s);
	assert_int_equal(prefix_total(p), 0);
	free(m);
	prefix_free(p);
}

/* Eviction, drops and robbing in any order leave no child without its parent. */
static void test_drops_among_evictions_keep_all_bounds(void **state)
{
	struct prefix_index *p = prefix_new(60 * 26, SLOTS);
	struct rng rng = { 8 };

	(void)state;
	assert_int_equal(prefix_track(p), 0);
	for (uint16_t s = 0; s < SLOTS; s++)
		prefix_join(p, s, 25);
	for (int turn = 0; turn < 20000; turn++) {
		uint16_t slot = (uint16_t)rng_below(&rng, SLOTS);
		uint64_t chain[DEPTH];

		chain_of(rng_below(&rng, PATHS), chain);
		switch (rng_below(&rng, 6)) {
		case 0:
			prefix_drop(p, slot, chain[rng_below(&rng, DEPTH)]);
			break;
		case 1:
			prefix_answered(p, slot, chain[rng_below(&rng, DEPTH)],
			    rng_below(&rng, 4));
			break;
		case 2:
			prefix_trim(p, slot, rng_below(&rng, 25));
			break;
		default:
			prefix_insert(p, slot, chain, DEPTH, 0);
		}
		assert_true(prefix_count(p, slot) <= 25);
		for (uint32_t i = 1; i < DEPTH; i++)
			if (depth_of(p, slot, &chain[i], 1) == 1)
				assert_int_equal(depth_of(p, slot,
				    &chain[i - 1], 1), 1);
	}
	for (uint16_t s = 0; s < SLOTS; s++)
		prefix_leave(p, s);
	assert_int_equal(prefix_total(p), 0);
	prefix_free(p);
}

static void test_what_is_not_held_is_not_dropped(void **state)
{
	struct prefix_index *p = tracked(100);
	uint64_t chain[DEPTH];

	(void)state;
	chain_of(3, chain);
	prefix_insert(p, 0, chain, 3, 0);
	assert_int_equal(prefix_drop(p, 0, chain[4]), 0);
	assert_int_equal(prefix_drop(p, 1, chain[0]), 0);
	assert_int_equal(prefix_count(p, 0), 3);
	prefix_free(p);
}

static void test_a_trim_takes_the_least_recent(void **state)
{
	struct prefix_index *p = tracked(100);
	uint64_t a[DEPTH], b[DEPTH];

	(void)state;
	chain_of(0, a);
	chain_of(1, b);		/* shares the root alone */
	prefix_insert(p, 0, a, DEPTH, 0);
	prefix_insert(p, 0, b, DEPTH, 0);
	assert_int_equal(prefix_trim(p, 0, DEPTH + 2), DEPTH - 3);
	assert_int_equal(depth_of(p, 0, b, DEPTH), DEPTH);
	assert_int_equal(depth_of(p, 0, a, DEPTH), 3);
	assert_int_equal(prefix_trim(p, 0, 1000), 0);
	prefix_free(p);
}

/* ---- what was sent ---- */

static void test_what_was_sent_is_told_in_order(void **state)
{
	struct prefix_index *p = tracked(1000);
	struct prefix_sent sent[PREFIX_SENT_MAX];
	uint64_t chain[DEPTH], blocks[DEPTH];
	uint32_t lost;

	(void)state;
	chain_of(5, chain);
	prefix_insert(p, 0, chain, DEPTH, 0);	/* nobody follows it yet */
	assert_int_equal(prefix_sent(p, 0, sent, &lost), 0);
	assert_int_equal(prefix_follow(p, 1, true), 0);
	prefix_insert(p, 1, chain, 2, 0);
	prefix_insert(p, 1, chain, DEPTH, 2);
	prefix_insert(p, 2, chain, DEPTH, 0);
	assert_int_equal(prefix_sent(p, 1, sent, &lost), 2);
	assert_int_equal(lost, 0);
	assert_true(sent[0].leaf == chain[1] && sent[0].n == 2 &&
	    sent[0].held == 0);
	assert_true(sent[1].leaf == chain[DEPTH - 1] && sent[1].n == DEPTH &&
	    sent[1].held == 2);
	assert_int_equal(prefix_sent(p, 1, sent, &lost), 0);
	assert_int_equal(prefix_blocks(p, 1, chain[DEPTH - 1], DEPTH, blocks),
	    DEPTH);
	for (uint32_t i = 0; i < DEPTH; i++)
		assert_true(blocks[i] >> 16 == chain[i] >> 16);
	assert_int_equal(prefix_blocks(p, 1, chain[1], DEPTH, blocks), 0);
	assert_int_equal(prefix_follow(p, 1, false), 0);
	prefix_insert(p, 1, chain, 1, 0);
	assert_int_equal(prefix_sent(p, 1, sent, &lost), 0);
	prefix_free(p);
}

/* Nothing of ours is in flight: there is nothing to wait for. */
static void test_a_claim_is_held_and_was_not_sent(void **state)
{
	struct prefix_index *p = tracked(100);
	struct prefix_sent sent[PREFIX_SENT_MAX];
	uint64_t chain[DEPTH];
	uint32_t n_lost;

	(void)state;
	chain_of(5, chain);
	assert_int_equal(prefix_follow(p, 1, true), 0);
	assert_int_equal(prefix_claim(p, 1, chain, 2), 2);
	assert_int_equal(prefix_claim(p, 1, chain, DEPTH), DEPTH - 2);
	assert_int_equal(prefix_claim(p, 1, chain, DEPTH), 0);
	assert_int_equal(depth_of(p, 1, chain, DEPTH), DEPTH);
	assert_int_equal(depth_of(p, 0, chain, DEPTH), 0);
	assert_int_equal(prefix_sent(p, 1, sent, &n_lost), 0);
	assert_int_equal(n_lost, 0);
	prefix_leave(p, 2);
	assert_int_equal(prefix_claim(p, 2, chain, DEPTH), 0);
	prefix_free(p);
}

static void test_what_did_not_fit_is_counted(void **state)
{
	struct prefix_index *p = tracked(1000);
	struct prefix_sent sent[PREFIX_SENT_MAX];
	uint64_t chain[DEPTH];
	uint32_t lost;

	(void)state;
	chain_of(5, chain);
	prefix_follow(p, 0, true);
	for (int i = 0; i < PREFIX_SENT_MAX + 3; i++)
		prefix_insert(p, 0, chain, DEPTH, 0);
	assert_int_equal(prefix_sent(p, 0, sent, &lost), PREFIX_SENT_MAX);
	assert_int_equal(lost, 3);
	prefix_free(p);
}

/* ---- answers ---- */

static void test_an_answer_takes_room_until_it_is_text(void **state)
{
	struct prefix_index *p = tracked(100);
	uint64_t chain[DEPTH];

	(void)state;
	chain_of(9, chain);
	prefix_insert(p, 0, chain, 3, 0);
	prefix_answered(p, 0, chain[1], 2);	/* chain[2] was not full */
	assert_int_equal(prefix_count(p, 0), 5);
	prefix_answered(p, 0, chain[4], 2);	/* not held: nothing to stand on */
	assert_int_equal(prefix_count(p, 0), 5);
	prefix_answered(p, 0, chain[1], 3);	/* another answer to the same */
	assert_int_equal(prefix_count(p, 0), 8);
	assert_int_equal(depth_of(p, 0, chain, DEPTH), 3);
	/* The next turn: its text goes on behind chain[1], four blocks long. */
	chain[2] ^= 1ull << 40;
	chain[3] ^= 1ull << 40;
	chain[4] ^= 1ull << 40;
	chain[5] ^= 1ull << 40;
	prefix_insert(p, 0, chain, DEPTH, 2);
	assert_int_equal(prefix_count(p, 0), 3 + 4 + 1);
	prefix_drop(p, 0, chain[0]);
	assert_int_equal(prefix_count(p, 0), 0);
	prefix_free(p);
}

static void test_an_answer_after_a_purge_becomes_text_too(void **state)
{
	struct prefix_index *p = tracked(100);
	uint64_t chain[DEPTH];

	(void)state;
	chain_of(9, chain);
	for (int i = 0; i < 2; i++) {
		prefix_insert(p, 0, chain, 2, 0);
		prefix_answered(p, 0, chain[1], 2);
		assert_int_equal(prefix_count(p, 0), 4);
		prefix_insert(p, 0, chain, 5, 2);
		assert_int_equal(prefix_count(p, 0), 5);
		prefix_purge(p, 0);
	}
	prefix_free(p);
}

static void test_answers_keep_to_the_capacity(void **state)
{
	(void)state;
	for (uint32_t capacity = 0; capacity < 12; capacity++)
		for (uint32_t n = 0; n < 20; n++) {
			struct prefix_index *p = tracked(capacity);
			uint64_t chain[DEPTH];

			chain_of(1, chain);
			prefix_insert(p, 0, chain, 4, 0);
			prefix_answered(p, 0, chain[2], n);
			prefix_answered(p, 0, chain[2], n);
			assert_true(prefix_count(p, 0) <= capacity);
			prefix_purge(p, 0);
			assert_int_equal(prefix_total(p), 0);
			prefix_free(p);
		}
}

/* XXH64 is no secret; which blocks stand for an answer is one. */
static void test_no_prompt_can_name_an_answer(void **state)
{
	uint64_t chain[DEPTH], crafted[DEPTH];

	(void)state;
	chain_of(9, chain);
	for (uint64_t secret = 1; secret < 50; secret += 2) {
		struct prefix_index *p = prefix_new(BYTES, SLOTS);

		prefix_key(p, rng_mix(secret));
		assert_int_equal(prefix_track(p), 0);
		prefix_join(p, 0, 100);
		memcpy(crafted, chain, sizeof(crafted));
		crafted[2] = hash_pair(chain[1], UINT64_MAX);
		crafted[3] = hash_pair(chain[1] ^ 1, UINT64_MAX);
		prefix_insert(p, 0, crafted, DEPTH, 0);
		prefix_insert(p, 0, chain, DEPTH, 2);	/* no answer to retire */
		assert_int_equal(depth_of(p, 0, crafted, DEPTH), DEPTH);
		assert_int_equal(prefix_count(p, 0), 2 * DEPTH - 2);
		prefix_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_drop_takes_what_follows_and_nothing_else),
		cmocka_unit_test(test_drops_among_evictions_keep_all_bounds),
		cmocka_unit_test(test_what_is_not_held_is_not_dropped),
		cmocka_unit_test(test_a_trim_takes_the_least_recent),
		cmocka_unit_test(test_what_was_sent_is_told_in_order),
		cmocka_unit_test(test_a_claim_is_held_and_was_not_sent),
		cmocka_unit_test(test_what_did_not_fit_is_counted),
		cmocka_unit_test(test_an_answer_takes_room_until_it_is_text),
		cmocka_unit_test(test_an_answer_after_a_purge_becomes_text_too),
		cmocka_unit_test(test_answers_keep_to_the_capacity),
		cmocka_unit_test(test_no_prompt_can_name_an_answer),
	};

	return cmocka_run_group_tests_name("prefix_follow", tests, NULL, NULL);
}
