/*
 * Blocks by their token ids: what is claimed of texts that a tokenizer has told, against
 * a set of what the engine holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "hash.h"
#include "help_kv.h"
#include "kv_texts.h"
#include "kv_track.h"
#include "lora.h"
#include "prefix.h"
#include "rng.h"

enum {
	TEXT_BYTES = 64, TOKENS = 4, PER_TEXT = 4,
	TEXTS = 8, BLOCKS = TEXTS * PER_TEXT, IDS = BLOCKS * TOKENS,
	SLOTS = 3,
};

static struct prefix_index *prefix;
static struct kv_texts *texts;
static struct kv_track *tracks[SLOTS];
static struct counters counters;

static int setup(void **state)
{
	(void)state;
	prefix = prefix_new(1 << 20, SLOTS);
	assert_int_equal(prefix_track(prefix), 0);
	texts = kv_texts_new(TEXT_BYTES, 4096);
	counters = (struct counters){ 0 };
	for (uint16_t s = 0; s < SLOTS; s++) {
		prefix_join(prefix, s, 1000);
		tracks[s] = kv_track_new(prefix, s, 1, TEXT_BYTES, texts,
		    &counters);
		assert_non_null(tracks[s]);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t s = 0; s < SLOTS; s++)
		kv_track_free(tracks[s]);
	kv_texts_free(texts);
	prefix_free(prefix);
	return 0;
}

/* ---- prompts: paths that share what bits they share, text and tokens ---- */

static uint64_t part(uint32_t path, uint32_t i)
{
	return rng_mix((uint64_t)(path & ((1u << i / 2) - 1)) << 8 | i |
	    1ull << 60);
}

static void texts_of(uint32_t path, uint64_t out[TEXTS])
{
	for (uint32_t i = 0; i < TEXTS; i++)
		out[i] = part(path, i);
}

static void ids_of(uint32_t path, uint32_t out[IDS])
{
	for (uint32_t i = 0; i < IDS; i++)
		out[i] = (uint32_t)part(path, i / TOKENS / PER_TEXT) + i;
}

/* Another engine, other names: nothing but the tokens is common. */
static uint64_t name_of(uint16_t slot, uint32_t path, uint32_t j)
{
	return rng_mix(part(path, j / PER_TEXT) + j % PER_TEXT) ^ slot;
}

static uint32_t depth_of(uint16_t slot, uint32_t path)
{
	uint64_t chain[TEXTS];
	uint16_t depth[SLOTS] = { 0 };

	texts_of(path, chain);
	prefix_match(prefix, chain, TEXTS, depth, SLOTS);
	return depth[slot];
}

static void tell(uint16_t slot)
{
	assert_true(kv_track_batch(tracks[slot], help_kv_end(), 0, 1000));
}

static void stored_as(uint16_t slot, uint32_t path, uint32_t from, uint32_t n,
    struct help_kv_text text)
{
	uint64_t names[BLOCKS], before = from > 0 ?
	    name_of(slot, path, from - 1) : 0;
	uint32_t ids[IDS];

	ids_of(path, ids);
	for (uint32_t j = 0; j < n; j++)
		names[j] = name_of(slot, path, from + j);
	text.ids = ids + (size_t)from * TOKENS;
	help_kv_begin(from % 2 == 1);
	help_kv_stored_text(from > 0 ? &before : NULL, names, n, TOKENS, "GPU",
	    &text);
	tell(slot);
}

static void stored(uint16_t slot, uint32_t path, uint32_t from, uint32_t n)
{
	stored_as(slot, path, from, n, (struct help_kv_text){ 0 });
}

static void removed(uint16_t slot, uint32_t path, uint32_t j,
    const char *medium)
{
	help_kv_begin(false);
	help_kv_removed(&(uint64_t){ name_of(slot, path, j) }, 1, medium);
	tell(slot);
}

/* The tokenizer told; all trackers hear of it. */
static void learn_as(uint32_t path, uint64_t model)
{
	uint64_t text[TEXTS], chain[BLOCKS];
	uint32_t ids[IDS], n;
	const struct kv_prompt p = { .texts = text, .n_texts = TEXTS,
		.bytes = TEXTS * TEXT_BYTES, .model = model };

	texts_of(path, text);
	ids_of(path, ids);
	n = kv_texts_learn(texts, &p, ids, IDS, chain);
	assert_int_equal(n, BLOCKS);
	for (size_t s = 0; s < SLOTS; s++)
		kv_track_learned(tracks[s], chain, n);
}

static void learn(uint32_t path)
{
	learn_as(path, 0);
}

/* ---- */

static void test_what_others_sent_is_found_when_its_text_is_known(void **state)
{
	(void)state;
	stored(1, 5, 0, BLOCKS);
	assert_int_equal(depth_of(1, 5), 0);
	learn(5);
	assert_int_equal(depth_of(1, 5), TEXTS);
	assert_int_equal(depth_of(0, 5), 0);
	assert_int_equal(counters.kv_found, TEXTS);
}

static void test_and_when_it_is_sent_after_that(void **state)
{
	(void)state;
	stored(2, 9, 0, 1);	/* somebody must have told the size of a block */
	learn(5);
	assert_int_equal(depth_of(1, 5), 0);
	for (uint32_t j = 0; j < BLOCKS; j += 3)	/* in pieces */
		stored(1, 5, j, j + 3 < BLOCKS ? 3 : BLOCKS - j);
	assert_int_equal(depth_of(1, 5), TEXTS);
}

/* A prompt that begins as the one that is known: so much of it, and no more. */
static void test_a_common_prefix_is_found(void **state)
{
	(void)state;
	stored(0, 0, 0, BLOCKS);
	learn(8);	/* a bit that no part of it depends on */
	assert_int_equal(depth_of(0, 8), TEXTS);
	learn(1);	/* differs in the lowest: parts 0 and 1 are common */
	assert_int_equal(depth_of(0, 1), 2);
	learn(2);
	assert_int_equal(depth_of(0, 2), 4);
}

static void test_a_part_of_a_prompt_is_a_part_of_its_text(void **state)
{
	(void)state;
	stored(2, 9, 0, 1);
	learn(5);
	for (uint32_t n = 1; n <= BLOCKS; n++) {
		stored(0, 5, n - 1, 1);
		assert_int_equal(depth_of(0, 5), n / PER_TEXT);
	}
	for (uint32_t n = BLOCKS; n-- > 0;) {
		removed(0, 5, n, "GPU");
		assert_int_equal(depth_of(0, 5), n / PER_TEXT);
	}
	assert_int_equal(counters.kv_dropped, TEXTS);
}

static void test_a_chain_whose_beginning_was_not_heard_is_not_known(void **state)
{
	(void)state;
	stored(0, 5, 8, BLOCKS - 8);
	learn(5);
	assert_int_equal(depth_of(0, 5), 0);
	stored(0, 5, 0, 8);
	assert_int_equal(depth_of(0, 5), 2);
}

static void test_another_tier_has_it_still(void **state)
{
	uint64_t name = name_of(0, 5, BLOCKS - 1), before = name_of(0, 5,
	    BLOCKS - 2);

	(void)state;
	stored(0, 5, 0, BLOCKS);
	learn(5);
	help_kv_begin(false);
	help_kv_stored(&before, &name, 1, TOKENS, "CPU");
	tell(0);
	removed(0, 5, BLOCKS - 1, "GPU");
	assert_int_equal(depth_of(0, 5), TEXTS);
	removed(0, 5, BLOCKS - 1, "CPU");
	assert_int_equal(depth_of(0, 5), TEXTS - 1);
}

static void test_cleared_is_empty_and_what_was_learned_stays(void **state)
{
	(void)state;
	stored(0, 5, 0, BLOCKS);
	stored(1, 5, 0, BLOCKS);
	learn(5);
	help_kv_begin(false);
	help_kv_cleared();
	tell(0);
	assert_int_equal(depth_of(0, 5), 0);
	assert_int_equal(depth_of(1, 5), TEXTS);
	stored(0, 5, 0, BLOCKS);
	assert_int_equal(depth_of(0, 5), TEXTS);
}

/* The same tokens under an adapter, with a salt, of which nothing is told: not ours. */
static void test_what_is_not_of_that_text_alone_is_left_alone(void **state)
{
	(void)state;
	stored(2, 9, 0, 1);
	stored_as(0, 5, 0, BLOCKS, (struct help_kv_text){ .extra = "salt" });
	stored_as(1, 5, 0, BLOCKS, (struct help_kv_text){ .lora = "l" });
	stored_as(2, 5, 0, BLOCKS, (struct help_kv_text){ .lora_id = 4 });
	learn_as(5, lora_name(span_of("m")));
	for (uint16_t s = 0; s < SLOTS; s++)
		assert_int_equal(depth_of(s, 5), 0);
	learn_as(5, lora_name(span_of("l")));
	assert_int_equal(depth_of(1, 5), TEXTS);
	assert_int_equal(depth_of(0, 5), 0);
}

static void test_a_rank_that_has_it_still_counts(void **state)
{
	uint64_t names[BLOCKS];
	uint32_t ids[IDS];

	(void)state;
	ids_of(5, ids);
	for (uint32_t j = 0; j < BLOCKS; j++)
		names[j] = name_of(0, 5, j);
	for (uint32_t rank = 0; rank < 2; rank++) {
		help_kv_begin(false);
		help_kv_stored_text(NULL, names, BLOCKS, TOKENS, "GPU",
		    &(struct help_kv_text){ .ids = ids });
		assert_true(kv_track_batch(tracks[0], help_kv_end(), rank, 1));
	}
	learn(5);
	for (uint32_t rank = 0; rank < 2; rank++) {
		assert_int_equal(depth_of(0, 5), TEXTS);
		help_kv_begin(false);
		help_kv_removed(names, BLOCKS, "GPU");
		assert_true(kv_track_batch(tracks[0], help_kv_end(), rank, 1));
	}
	assert_int_equal(depth_of(0, 5), 0);
}

/* Half as many blocks, twice as large. */
static void stored_large(uint16_t slot, uint32_t path)
{
	uint64_t names[BLOCKS / 2];
	uint32_t ids[IDS];

	ids_of(path, ids);
	for (uint32_t j = 0; j < BLOCKS / 2; j++)
		names[j] = name_of(slot, path, j);
	help_kv_begin(false);
	help_kv_stored_text(NULL, names, BLOCKS / 2, 2 * TOKENS, "GPU",
	    &(struct help_kv_text){ .ids = ids });
	tell(slot);
}

static void learn_large(uint32_t path)
{
	uint64_t text[TEXTS], chain[BLOCKS];
	uint32_t ids[IDS];
	const struct kv_prompt p = { .texts = text, .n_texts = TEXTS,
		.bytes = TEXTS * TEXT_BYTES };

	texts_of(path, text);
	ids_of(path, ids);
	assert_int_equal(kv_texts_learn(texts, &p, ids, IDS, chain),
	    BLOCKS / 2);
	kv_track_learned(tracks[1], chain, BLOCKS / 2);
}

/* A rollout to engines with larger blocks: the last of the old ones must be gone. */
static void test_engines_with_other_blocks_take_over(void **state)
{
	(void)state;
	stored(0, 5, 0, BLOCKS);
	stored(2, 5, 0, BLOCKS);
	learn(5);
	stored_large(1, 5);
	assert_int_equal(depth_of(1, 5), 0);
	assert_int_equal(counters.kv_other_size, BLOCKS / 2);
	kv_track_reset(tracks[0], true);
	kv_track_free(tracks[2]);
	tracks[2] = NULL;
	stored_large(1, 5);
	learn_large(5);
	assert_int_equal(depth_of(1, 5), TEXTS);
	stored(0, 5, 0, BLOCKS);	/* a straggler */
	assert_int_equal(depth_of(0, 5), 0);
	assert_int_equal(depth_of(1, 5), TEXTS);
}

/* Evicted one by one it is as empty as when it is cleared. */
static void test_what_is_evicted_makes_way_for_another_size(void **state)
{
	(void)state;
	stored(0, 5, 0, BLOCKS);
	for (uint32_t n = BLOCKS; n-- > 0;)
		removed(0, 5, n, "GPU");
	stored_large(1, 5);
	learn_large(5);
	assert_int_equal(depth_of(1, 5), TEXTS);
	assert_int_equal(counters.kv_other_size, 0);
}

/* ---- against an engine that knows what it holds ---- */

enum { PATHS = 8 };	/* all there are: the lowest three bits tell them apart */

static bool held[SLOTS][PATHS][BLOCKS];
static bool is_known[PATHS][TEXTS];

/* Paths that share text block i are one there. */
static uint32_t shared(uint32_t path, uint32_t i)
{
	return path & ((1u << i / 2) - 1) & (PATHS - 1);
}

static bool *at(uint16_t s, uint32_t path, uint32_t j)
{
	return &held[s][shared(path, j / PER_TEXT)][j];
}

static uint32_t blocks_of(uint16_t s, uint32_t path)
{
	uint32_t n = 0;

	while (n < BLOCKS && *at(s, path, n))
		n++;
	return n;
}

static uint32_t expected(uint16_t s, uint32_t path)
{
	uint32_t n = blocks_of(s, path) / PER_TEXT, i = 0;

	while (i < n && is_known[shared(path, i)][i])
		i++;
	return i;
}

static void more(uint16_t s, uint32_t path, uint32_t n)
{
	uint32_t from = blocks_of(s, path);

	n = n < BLOCKS - from ? n : BLOCKS - from;
	if (n == 0)
		return;
	stored(s, path, from, n);
	while (n-- > 0)
		*at(s, path, from + n) = true;
}

/* Leaves go first. */
static void less(uint16_t s, uint32_t path)
{
	uint32_t n = blocks_of(s, path);

	for (uint32_t other = 0; other < PATHS && n > 0; other++)
		if (shared(other, (n - 1) / PER_TEXT) ==
		    shared(path, (n - 1) / PER_TEXT) && blocks_of(s, other) > n)
			return;
	if (n == 0)
		return;
	removed(s, path, n - 1, "GPU");
	*at(s, path, n - 1) = false;
}

static void know(uint32_t path)
{
	learn(path);
	for (uint32_t i = 0; i < TEXTS; i++)
		is_known[shared(path, i)][i] = true;
}

/* The property: whatever comes in which order, what is claimed is what is held. */
static void test_claims_are_what_the_engine_holds(void **state)
{
	struct rng rng = { 4711 };
	uint64_t n_claimed = 0;

	(void)state;
	stored(0, 9, 0, 1);
	removed(0, 9, 0, "GPU");
	for (int turn = 0; turn < 5000; turn++) {
		uint16_t s = (uint16_t)rng_below(&rng, SLOTS);
		uint32_t path = rng_below(&rng, PATHS);

		switch (rng_below(&rng, 20)) {
		case 0:
			if (turn > 500)
				know(path);
			break;
		case 1:
		case 2:
			more(s, path, 1 + rng_below(&rng, BLOCKS));
			break;
		default:
			less(s, path);
		}
		for (path = 0; path < PATHS; path++) {
			assert_int_equal(depth_of(s, path), expected(s, path));
			n_claimed += expected(s, path);
		}
	}
	assert_true(n_claimed > 5000);	/* or it says nothing */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_others_sent_is_found_when_its_text_is_known),
		TEST(test_and_when_it_is_sent_after_that),
		TEST(test_a_common_prefix_is_found),
		TEST(test_a_part_of_a_prompt_is_a_part_of_its_text),
		TEST(test_a_chain_whose_beginning_was_not_heard_is_not_known),
		TEST(test_another_tier_has_it_still),
		TEST(test_cleared_is_empty_and_what_was_learned_stays),
		TEST(test_what_is_not_of_that_text_alone_is_left_alone),
		TEST(test_a_rank_that_has_it_still_counts),
		TEST(test_engines_with_other_blocks_take_over),
		TEST(test_what_is_evicted_makes_way_for_another_size),
		TEST(test_claims_are_what_the_engine_holds),
	};

	return cmocka_run_group_tests_name("kv_exact", tests, NULL, NULL);
}
