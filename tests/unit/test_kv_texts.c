/*
 * What is learned of prompts, and what is forgotten: prompts are numbers here, and so are
 * their tokens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hash.h"
#include "kv_texts.h"
#include "lora.h"

enum { TEXT_BYTES = 64, BLOCK = 4, MAX = 256, TEXTS = 6, IDS = 96 };

static struct kv_texts *texts;

static int setup(void **state)
{
	(void)state;
	texts = kv_texts_new(TEXT_BYTES, MAX);
	return texts == NULL || !kv_texts_hear(texts, BLOCK);
}

static int teardown(void **state)
{
	(void)state;
	kv_texts_free(texts);
	return 0;
}

static void chain_of(uint64_t prompt, uint64_t out[TEXTS])
{
	for (uint64_t i = 0; i < TEXTS; i++)
		out[i] = hash_pair(prompt, i + 1);
}

static void ids_of(uint64_t prompt, uint32_t ids[IDS])
{
	for (uint32_t i = 0; i < IDS; i++)
		ids[i] = (uint32_t)(prompt * IDS) + i;
}

static uint32_t learn(uint64_t prompt, uint32_t n_texts, uint64_t bytes,
    uint32_t n_ids, uint64_t model, uint64_t *chain)
{
	uint64_t texts_of[TEXTS];
	uint32_t ids[IDS];
	const struct kv_prompt p = { .texts = texts_of, .n_texts = n_texts,
		.bytes = bytes, .model = model };

	chain_of(prompt, texts_of);
	ids_of(prompt, ids);
	return kv_texts_learn(texts, &p, ids, n_ids, chain);
}

/* 4 bytes a token, 4 tokens a block: text block i ends in token block 4 i + 3. */
static void test_texts_end_where_their_share_of_tokens_does(void **state)
{
	uint64_t chain[IDS], text[TEXTS], last, first, path[TEXTS];

	(void)state;
	chain_of(1, text);
	assert_int_equal(learn(1, TEXTS, TEXTS * TEXT_BYTES, IDS, 0, chain),
	    IDS / BLOCK);
	for (uint32_t i = 0; i < IDS / BLOCK; i++)
		if (i % 4 == 3) {
			assert_true(kv_texts_find(texts, chain[i], &last,
			    &first));
			assert_true(last == text[i / 4] && first == last);
			assert_int_equal(kv_texts_depth(texts, last), i / 4 + 1);
			assert_true(kv_texts_path(texts, last, path, i / 4 + 1));
			assert_memory_equal(path, text,
			    (i / 4 + 1) * sizeof(*path));
		} else {
			assert_false(kv_texts_find(texts, chain[i], &last,
			    &first));
		}
}

/* Of a template's tokens nobody told: a share is rounded up, to what must be there. */
static void test_a_share_is_rounded_up(void **state)
{
	uint64_t chain[IDS], text[TEXTS], last, first;

	(void)state;
	chain_of(2, text);
	/* Two blocks of text in 10 ids: the first ends in id 5, of the second block. */
	assert_int_equal(learn(2, 2, 2 * TEXT_BYTES, 10, 0, chain), 2);
	assert_false(kv_texts_find(texts, chain[0], &last, &first));
	/* The third block is in part and is not cached: the second stands for it. */
	assert_true(kv_texts_find(texts, chain[1], &last, &first));
	assert_true(first == text[0] && last == text[1]);
}

static void test_a_tail_that_is_not_looked_at_counts(void **state)
{
	uint64_t chain[IDS], text[TEXTS], last, first;

	(void)state;
	chain_of(3, text);
	/* Two blocks are looked at of four: they end in the middle of the tokens. */
	assert_int_equal(learn(3, 2, 4 * TEXT_BYTES, 64, 0, chain), 16);
	assert_true(kv_texts_find(texts, chain[7], &last, &first));
	assert_true(last == text[1]);
	assert_false(kv_texts_find(texts, chain[15], &last, &first));
}

static void test_nothing_can_be_learned_of_nothing(void **state)
{
	uint64_t chain[IDS];
	struct kv_texts *deaf = kv_texts_new(TEXT_BYTES, MAX);
	const struct kv_prompt p = { .texts = (uint64_t[]){ 9 }, .n_texts = 1,
		.bytes = 64 };
	uint32_t ids[IDS];

	(void)state;
	ids_of(1, ids);
	assert_int_equal(learn(1, 0, 64, IDS, 0, chain), 0);
	assert_int_equal(learn(1, 1, 0, IDS, 0, chain), 0);
	assert_int_equal(learn(1, 1, 64, BLOCK - 1, 0, chain), 0);
	assert_int_equal(kv_texts_block_size(deaf), 0);
	assert_int_equal(kv_texts_learn(deaf, &p, ids, IDS, chain), 0);
	assert_false(kv_texts_hear(deaf, 0));
	assert_true(kv_texts_hear(deaf, 16));
	assert_false(kv_texts_hear(deaf, 0));
	assert_int_equal(kv_texts_block_size(deaf), 16);
	kv_texts_free(deaf);
}

/* Blocks of two sizes are told at once while engines are replaced one by one. */
static void test_another_size_is_taken_when_nothing_of_the_old_is_held(
    void **state)
{
	uint64_t chain[IDS], text[TEXTS];

	(void)state;
	chain_of(1, text);
	kv_texts_hold(texts, 2);
	learn(1, TEXTS, TEXTS * TEXT_BYTES, IDS, 0, chain);
	assert_false(kv_texts_hear(texts, 2 * BLOCK));
	kv_texts_let_go(texts, 1);
	assert_false(kv_texts_hear(texts, 2 * BLOCK));
	assert_int_equal(kv_texts_block_size(texts), BLOCK);
	assert_int_equal(kv_texts_depth(texts, text[0]), 1);
	kv_texts_let_go(texts, 1);
	assert_true(kv_texts_hear(texts, 2 * BLOCK));
	assert_int_equal(kv_texts_block_size(texts), 2 * BLOCK);
	assert_int_equal(kv_texts_depth(texts, text[0]), 0);
	assert_int_equal(learn(1, TEXTS, TEXTS * TEXT_BYTES, IDS, 0, chain),
	    IDS / BLOCK / 2);
}

/* Two generations, each of whole prompts: what is known has all that is before it. */
static void test_the_oldest_are_forgotten_whole(void **state)
{
	uint64_t chain[IDS], text[TEXTS], path[TEXTS];
	uint32_t n_known = 0;

	(void)state;
	for (uint64_t prompt = 1; prompt <= 1000; prompt++)
		assert_true(learn(prompt, TEXTS, TEXTS * TEXT_BYTES, IDS, 0,
		    chain) > 0);
	for (uint64_t prompt = 1; prompt <= 1000; prompt++) {
		uint32_t depth;

		chain_of(prompt, text);
		depth = kv_texts_depth(texts, text[TEXTS - 1]);
		n_known += depth;
		assert_true(depth == 0 || (depth == TEXTS &&
		    kv_texts_path(texts, text[TEXTS - 1], path, TEXTS)));
		if (prompt > 1000 - MAX / TEXTS)
			assert_int_equal(depth, TEXTS);
	}
	assert_true(n_known <= 2 * MAX);
}

static void test_one_that_is_larger_than_all_is_not_learned(void **state)
{
	struct kv_texts *small = kv_texts_new(TEXT_BYTES, TEXTS - 1);
	uint64_t text[TEXTS], chain[IDS];
	uint32_t ids[IDS];
	const struct kv_prompt p = { .texts = text, .n_texts = TEXTS,
		.bytes = TEXTS * TEXT_BYTES };

	(void)state;
	chain_of(1, text);
	ids_of(1, ids);
	kv_texts_hear(small, BLOCK);
	assert_int_equal(kv_texts_learn(small, &p, ids, IDS, chain), 0);
	kv_texts_free(small);
}

/* An adapter's blocks are not the model's, though their tokens are the same. */
static void test_an_adapter_has_chains_of_its_own(void **state)
{
	uint64_t base[IDS], tuned[IDS], first;
	uint64_t root = kv_texts_root(texts, (struct span){ 0 });
	uint64_t lora;
	uint32_t ids[IDS];

	(void)state;
	ids_of(1, ids);
	/* Not heard of yet: taken for a model, and forgotten when it turns up. */
	learn(1, TEXTS, TEXTS * TEXT_BYTES, IDS, lora_name(span_of("l")), tuned);
	assert_true(tuned[0] == kv_texts_link(root, ids, BLOCK));
	lora = kv_texts_root(texts, span_of("l"));
	assert_true(lora != root && lora != 0);
	assert_false(kv_texts_find(texts, tuned[3], &first, &first));
	learn(1, TEXTS, TEXTS * TEXT_BYTES, IDS, lora_name(span_of("l")), tuned);
	learn(1, TEXTS, TEXTS * TEXT_BYTES, IDS, lora_name(span_of("m")), base);
	assert_true(tuned[0] == kv_texts_link(lora, ids, BLOCK));
	assert_true(base[0] == kv_texts_link(root, ids, BLOCK));
	assert_true(kv_texts_root(texts, span_of("l")) == lora);
}

static void test_there_is_an_end_to_adapters(void **state)
{
	char name[] = "l00";
	int n = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		name[1] = (char)('0' + i / 10);
		name[2] = (char)('0' + i % 10);
		n += kv_texts_root(texts, span_of(name)) != 0;
	}
	assert_int_equal(n, 64);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_texts_end_where_their_share_of_tokens_does),
		TEST(test_a_share_is_rounded_up),
		TEST(test_a_tail_that_is_not_looked_at_counts),
		TEST(test_nothing_can_be_learned_of_nothing),
		TEST(test_another_size_is_taken_when_nothing_of_the_old_is_held),
		TEST(test_the_oldest_are_forgotten_whole),
		TEST(test_one_that_is_larger_than_all_is_not_learned),
		TEST(test_an_adapter_has_chains_of_its_own),
		TEST(test_there_is_an_end_to_adapters),
	};

	return cmocka_run_group_tests_name("kv_texts", tests, NULL, NULL);
}
