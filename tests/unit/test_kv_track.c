/*
 * Chains that are told after prompts were sent, and what becomes of the prompts' text
 * when they are removed. The oracle is an engine of our own: equal blocks, the longest
 * unused goes first, leaves before roots; it knows what it holds, and tells it in events
 * that libmsgpackc writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "help_kv.h"
#include "kv_track_parts.h"
#include "prefix.h"
#include "rng.h"

enum {
	TEXT_BYTES = 64,	/* one of our blocks: 16 tokens */
	TOKENS = 4,		/* of an engine's block: four of them in one of ours */
	PER_TEXT = 4,
	LONGEST = 12,		/* text blocks of a prompt */
	ENGINE_MOST = 4096,
	CAPACITY = 1000,	/* of the index: never what decides */
	AGE_MS = 1000,		/* until a chain is known to be told in full */
};

/* ---- prompts: paths in a tree, that share what bits they share ---- */

static uint64_t text_of(uint32_t path, uint32_t i)
{
	return rng_mix((uint64_t)(path & ((1u << i / 2) - 1)) << 8 | i |
	    1ull << 60);
}

static void chain_of(uint32_t path, uint64_t chain[LONGEST])
{
	for (uint32_t i = 0; i < LONGEST; i++)
		chain[i] = text_of(path, i);
}

/* The engine's name of block j: nothing in it but that it is the same for the same. */
static uint64_t name_of(uint32_t path, uint32_t j)
{
	return rng_mix(text_of(path, j / PER_TEXT) + j % PER_TEXT) ^ 0x5555;
}

/* ---- the engine ---- */

struct engine {
	uint64_t held[ENGINE_MOST];	/* newest first */
	uint32_t n, capacity;
};

static bool engine_holds(const struct engine *e, uint64_t name)
{
	for (uint32_t i = 0; i < e->n; i++)
		if (e->held[i] == name)
			return true;
	return false;
}

static void engine_touch(struct engine *e, uint64_t name)
{
	uint32_t i = 0;

	while (i < e->n && e->held[i] != name)
		i++;
	if (i == e->n) {
		uint64_t gone;

		if (e->n == e->capacity) {
			gone = e->held[--e->n];
			help_kv_removed(&gone, 1, "GPU");
			i--;
		}
		e->n++;
	}
	memmove(e->held + 1, e->held, i * sizeof(*e->held));
	e->held[0] = name;
}

/* What is new is told after what made way for it: `chunk` blocks a piece. */
static void engine_serve(struct engine *e, uint32_t path, uint32_t n_text,
    uint32_t chunk)
{
	uint64_t names[LONGEST * PER_TEXT];
	uint32_t n = n_text * PER_TEXT, n_held = 0;

	for (uint32_t j = 0; j < n; j++)
		names[j] = name_of(path, j);
	while (n_held < n && engine_holds(e, names[n_held]))
		n_held++;
	for (uint32_t j = 0; j < n_held; j++)	/* in use: not to be evicted */
		engine_touch(e, names[n_held - 1 - j]);
	for (uint32_t j = n; j-- > 0;)
		engine_touch(e, names[j]);
	for (uint32_t j = n_held; j < n; j += chunk)
		help_kv_stored(j > 0 ? &names[j - 1] : NULL, names + j,
		    n - j < chunk ? n - j : chunk, TOKENS, "GPU");
}

/* Text blocks of the prompt that are there as a whole. */
static uint32_t engine_depth(const struct engine *e, uint32_t path)
{
	uint32_t j = 0;

	while (j < LONGEST * PER_TEXT && engine_holds(e, name_of(path, j)))
		j++;
	return j / PER_TEXT;
}

/* ---- the side under test ---- */

static struct prefix_index *prefix;
static struct kv_track *track;
static struct counters counters;
static int64_t now_ms;

static int setup(void **state)
{
	(void)state;
	prefix = prefix_new(1 << 20, 2);
	assert_int_equal(prefix_track(prefix), 0);
	prefix_join(prefix, 1, CAPACITY);
	counters = (struct counters){ 0 };
	track = kv_track_new(prefix, 1, 1, TEXT_BYTES, NULL, &counters);
	now_ms = 1000000;
	return track == NULL;
}

static int teardown(void **state)
{
	(void)state;
	kv_track_free(track);
	prefix_free(prefix);
	return 0;
}

static uint32_t depth_of(uint32_t path)
{
	uint64_t chain[LONGEST];
	uint16_t depth[2] = { 0 };

	chain_of(path, chain);
	prefix_match(prefix, chain, LONGEST, depth, 2);
	return depth[1];
}

static void send(uint32_t path, uint32_t n)
{
	uint64_t chain[LONGEST];

	chain_of(path, chain);
	prefix_insert(prefix, 1, chain, n, 0);
}

static void tell(void)
{
	assert_true(kv_track_batch(track, help_kv_end(), 0, now_ms));
}

static void age(void)
{
	now_ms += AGE_MS;
	kv_track_beat(track, now_ms);
}

static void stored(uint32_t path, uint32_t from, uint32_t n)
{
	uint64_t names[LONGEST * PER_TEXT];

	for (uint32_t j = 0; j < n; j++)
		names[j] = name_of(path, from + j);
	help_kv_begin(false);
	help_kv_stored(from > 0 ? &(uint64_t){ name_of(path, from - 1) } : NULL,
	    names, n, TOKENS, "GPU");
	tell();
}

static void removed(uint32_t path, uint32_t j, const char *medium)
{
	help_kv_begin(false);
	help_kv_removed(&(uint64_t){ name_of(path, j) }, 1, medium);
	tell();
}

/* ---- against the oracle ---- */

/* One request at a time: each chain can be of one only, and then all is exact. */
static void play(uint64_t seed, uint32_t capacity, bool in_chunks)
{
	struct engine *e = calloc(1, sizeof(*e));
	struct rng rng = { seed };
	uint32_t n_claimed = 0, n_true = 0;

	e->capacity = capacity;
	kv_track_count(track);
	for (int turn = 0; turn < 400; turn++) {
		uint32_t path = rng_below(&rng, 64);
		uint32_t n = 3 + rng_below(&rng, LONGEST - 2);

		send(path, n);
		help_kv_begin(turn % 2 == 0);
		engine_serve(e, path, n, in_chunks ? 4 + rng_below(&rng, 8) :
		    LONGEST * PER_TEXT);
		tell();
		age();
		assert_int_equal(kv_track_held(track), e->n);
		for (uint32_t p = 0; p < 64; p++) {
			uint32_t claimed = depth_of(p), real = engine_depth(e, p);

			if (claimed > real)
				fail_msg("turn %d: %u of %u", turn, claimed,
				    real);
			n_claimed += claimed;
			n_true += real;
		}
	}
	assert_int_equal(counters.kv_ambiguous, 0);
	/* And it is worth something: nearly all that is there is known. */
	assert_true(n_claimed * 100 >= n_true * 90);
	free(e);
}

static void test_what_the_engine_dropped_is_never_claimed(void **state)
{
	(void)state;
	play(1, 1000, false);
	assert_true(counters.kv_chains > 50);
}

static void test_nor_when_the_cache_is_small(void **state)
{
	(void)state;
	play(2, 120, false);
	assert_true(counters.kv_dropped > 500);
}

static void test_nor_when_prompts_are_told_in_pieces(void **state)
{
	(void)state;
	play(3, 200, true);
	assert_true(counters.kv_dropped > 100);
}

/* ---- examples ---- */

static void test_the_text_behind_a_removed_block_goes(void **state)
{
	static const struct {
		uint32_t block, left;	/* removed; text blocks that stay */
	} cuts[] = {
		{ 47, 11 }, { 43, 10 }, { 3, 0 }, { 7, 1 },
		/* Only the block a text block ends in is followed. */
		{ 46, 12 }, { 0, 12 },
	};

	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		if (i > 0)
			setup(state);
		send(9, LONGEST);
		stored(9, 0, LONGEST * PER_TEXT);
		age();
		assert_int_equal(kv_track_followed(track), LONGEST);
		removed(9, cuts[i].block, "GPU");
		assert_int_equal(depth_of(9), cuts[i].left);
		if (i + 1 < sizeof(cuts) / sizeof(*cuts))
			teardown(state);
	}
}

static void test_removal_before_a_chain_is_told_in_full(void **state)
{
	(void)state;
	send(9, LONGEST);
	stored(9, 0, LONGEST * PER_TEXT);
	removed(9, 3, "GPU");		/* at once */
	assert_int_equal(depth_of(9), 0);
}

/* Another tier has it still; then that one drops it too. */
static void test_a_block_is_gone_when_all_tiers_have_dropped_it(void **state)
{
	uint64_t name = name_of(9, 3);

	(void)state;
	send(9, LONGEST);
	stored(9, 0, LONGEST * PER_TEXT);
	age();
	help_kv_begin(false);
	help_kv_stored(NULL, &name, 1, TOKENS, "CPU");
	tell();
	removed(9, 3, "GPU");
	assert_int_equal(depth_of(9), LONGEST);
	removed(9, 3, "CPU");
	assert_int_equal(depth_of(9), 0);
}

static void test_a_rank_s_blocks_are_its_own(void **state)
{
	(void)state;
	send(9, LONGEST);
	stored(9, 0, LONGEST * PER_TEXT);
	age();
	help_kv_begin(false);
	help_kv_removed(&(uint64_t){ name_of(9, 3) }, 1, "GPU");
	kv_track_batch(track, help_kv_end(), 1, now_ms);
	assert_int_equal(depth_of(9), LONGEST);
}

static void test_cleared_is_empty(void **state)
{
	(void)state;
	send(9, LONGEST);
	stored(9, 0, LONGEST * PER_TEXT);
	age();
	help_kv_begin(true);
	help_kv_cleared();
	tell();
	assert_int_equal(depth_of(9), 0);
	assert_int_equal(kv_track_followed(track), 0);
	assert_int_equal(kv_track_held(track), 0);
}

/* Else the other ranks' text would be trimmed to what this one stores from here on. */
static void test_one_cleared_rank_of_several_counts_nothing(void **state)
{
	(void)state;
	kv_track_free(track);
	track = kv_track_new(prefix, 1, 2, TEXT_BYTES, NULL, &counters);
	kv_track_count(track);
	assert_int_equal(kv_track_held(track), -1);
	help_kv_begin(true);
	help_kv_cleared();
	tell();
	assert_int_equal(kv_track_held(track), -1);
	send(9, LONGEST);
	removed(3, 3, "GPU");
	assert_int_equal(depth_of(9), LONGEST);
}

/* Blocks of sliding windows come and go all the time, and are nobody's prefix. */
static void test_groups_without_prefixes_are_not_counted(void **state)
{
	uint64_t names[LONGEST * PER_TEXT];

	(void)state;
	for (uint32_t j = 0; j < LONGEST * PER_TEXT; j++)
		names[j] = name_of(9, j);
	kv_track_count(track);
	send(9, LONGEST);
	help_kv_begin(false);
	help_kv_group(0, "full_attention");
	help_kv_stored(NULL, names, LONGEST * PER_TEXT, TOKENS, "GPU");
	help_kv_group(1, "sliding_window");
	help_kv_stored(NULL, names, LONGEST * PER_TEXT, TOKENS, "GPU");
	help_kv_removed(names, LONGEST * PER_TEXT - 4, "GPU");
	tell();
	age();
	assert_int_equal(kv_track_held(track), LONGEST * PER_TEXT);
	assert_int_equal(depth_of(9), LONGEST);
	help_kv_begin(true);
	help_kv_group(0, "full_attention");
	help_kv_removed(names + 11, 1, "GPU");
	tell();
	assert_int_equal(kv_track_held(track), LONGEST * PER_TEXT - 1);
	assert_int_equal(depth_of(9), 2);
}

/* Which removals are whose cannot be known. */
static void test_others_without_a_group_end_the_count(void **state)
{
	(void)state;
	kv_track_count(track);
	help_kv_begin(true);
	help_kv_group(64, "mamba");
	help_kv_stored(NULL, (uint64_t[]){ 1, 2, 3 }, 3, TOKENS, "GPU");
	tell();
	assert_int_equal(kv_track_held(track), -1);
}

/* Two that look alike were sent: whose chain is it? Then it is nobody's. */
static void test_what_may_be_of_two_is_of_none(void **state)
{
	(void)state;
	send(0, LONGEST);
	send(1u << 31 | 1, 2);		/* shares two blocks: begins none */
	stored(0, 0, LONGEST * PER_TEXT);
	age();
	assert_int_equal(counters.kv_chains, 1);
	kv_track_reset(track, false);
	counters = (struct counters){ 0 };
	send(0, LONGEST);
	prefix_insert(prefix, 1, (uint64_t[]){ 1 << 20, 2 << 20, 3 << 20,
		4 << 20, 5 << 20, 6 << 20, 7 << 20, 8 << 20, 9 << 20,
		10 << 20 }, 10, 0);
	stored(0, 0, LONGEST * PER_TEXT);
	age();
	assert_int_equal(counters.kv_ambiguous, 1);
	assert_int_equal(counters.kv_chains, 0);
	assert_int_equal(kv_track_followed(track), 0);
	removed(0, 3, "GPU");
	assert_int_equal(depth_of(0), LONGEST);		/* the LRU's to drop */
}

/* Others use the engine too: a chain that nothing sent by us fits is left alone. */
static void test_chains_of_others_are_left_alone(void **state)
{
	(void)state;
	stored(9, 0, LONGEST * PER_TEXT);		/* nothing was sent */
	send(9, 2);
	age();
	stored(3, 0, LONGEST * PER_TEXT);		/* six times too long */
	age();
	assert_int_equal(counters.kv_chains, 0);
	now_ms += 60000;				/* too late to be its */
	kv_track_beat(track, now_ms);
	stored(9, 0, 2 * PER_TEXT);
	age();
	assert_int_equal(counters.kv_chains, 0);
}

/* Even where no chain can be told: not more text than the engine has tokens. */
static void test_no_more_is_claimed_than_is_held(void **state)
{
	(void)state;
	kv_track_count(track);
	send(0, LONGEST);
	prefix_insert(prefix, 1, (uint64_t[]){ 1 << 20, 2 << 20, 3 << 20,
		4 << 20, 5 << 20, 6 << 20, 7 << 20, 8 << 20, 9 << 20,
		10 << 20 }, 10, 0);
	stored(0, 0, LONGEST * PER_TEXT);		/* ambiguous */
	stored(1, 0, 10 * PER_TEXT);
	age();
	assert_int_equal(prefix_count(prefix, 1), 22);
	help_kv_begin(false);
	for (uint32_t j = LONGEST * PER_TEXT; j-- > 0;)
		help_kv_removed(&(uint64_t){ name_of(0, j) }, 1, "GPU");
	for (uint32_t j = 10 * PER_TEXT; j-- > 8;)
		help_kv_removed(&(uint64_t){ name_of(1, j) }, 1, "GPU");
	tell();
	/* Eight of its blocks are left: two of ours, and a quarter more. */
	assert_int_equal(prefix_count(prefix, 1), 2);
}

static void test_what_cannot_be_read_says_so_and_changes_nothing(void **state)
{
	struct span whole;

	(void)state;
	send(9, LONGEST);
	stored(9, 0, LONGEST * PER_TEXT);
	age();
	help_kv_begin(false);
	help_kv_stored(NULL, (uint64_t[]){ 1, 2, 3 }, 3, 16, "GPU");
	whole = help_kv_end();
	for (size_t len = 0; len + 1 < whole.len; len++)	/* all but the rank */
		assert_false(kv_track_batch(track, (struct span){ whole.ptr,
			len }, 0, now_ms));
	assert_int_equal(depth_of(9), LONGEST);
	assert_int_equal(kv_track_followed(track), LONGEST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_the_engine_dropped_is_never_claimed),
		TEST(test_nor_when_the_cache_is_small),
		TEST(test_nor_when_prompts_are_told_in_pieces),
		TEST(test_the_text_behind_a_removed_block_goes),
		TEST(test_removal_before_a_chain_is_told_in_full),
		TEST(test_a_block_is_gone_when_all_tiers_have_dropped_it),
		TEST(test_a_rank_s_blocks_are_its_own),
		TEST(test_cleared_is_empty),
		TEST(test_groups_without_prefixes_are_not_counted),
		TEST(test_others_without_a_group_end_the_count),
		TEST(test_one_cleared_rank_of_several_counts_nothing),
		TEST(test_what_may_be_of_two_is_of_none),
		TEST(test_chains_of_others_are_left_alone),
		TEST(test_no_more_is_claimed_than_is_held),
		TEST(test_what_cannot_be_read_says_so_and_changes_nothing),
	};

	return cmocka_run_group_tests_name("kv_track", tests, NULL, NULL);
}
