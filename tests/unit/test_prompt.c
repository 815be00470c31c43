#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "arena.h"
#include "hash.h"
#include "prefix.h"
#include "prompt.h"
#include "rng.h"

enum { TEXT_BYTES = 3000, BLOCK = 64, MANY = 100000 };

static struct arena *arena;
static char text[TEXT_BYTES];

static struct prompt begin(void)
{
	struct prompt p;

	arena_reset(arena);
	prompt_init(&p, arena);
	return p;
}

static struct span part(size_t from, size_t len)
{
	return (struct span){ text + from, len };
}

static struct request hash(struct prompt *p, uint32_t block, uint32_t most)
{
	struct request r = { .model = span_of("m") };

	prompt_hash(p, &r, block, most);
	return r;
}

/* The whole text in one span, hashed by hand. */
static size_t expect(size_t len, size_t block, uint64_t *out)
{
	size_t n = 0;

	for (size_t at = 0; at < len; at += block, n++)
		out[n] = hash_bytes(text + at,
		    len - at < block ? len - at : block, 0);
	prefix_chain(span_of("m"), (struct span){ 0 }, out, n);
	return n;
}

static void check(const struct request *r, size_t len, size_t block)
{
	static uint64_t want[TEXT_BYTES];
	size_t n = expect(len, block, want);

	assert_int_equal(r->n_blocks, n);
	assert_int_equal(r->prompt_bytes, len);
	assert_int_equal(r->n_chains, n > 0);
	if (n > 0)
		assert_memory_equal(r->blocks, want, n * sizeof(*want));
}

static void test_every_length_is_cut_into_blocks(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 5 * BLOCK; len++) {
		struct prompt p = begin();

		prompt_add(&p, PROMPT_TEXT, part(0, len));
		struct request r = hash(&p, BLOCK, MANY);

		check(&r, len, BLOCK);
	}
}

/* How the text was cut into spans, sections and pieces leaves no trace. */
static void test_spans_of_any_lengths_give_the_same_blocks(void **state)
{
	struct rng rng = { 1 };

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct prompt p = begin();
		uint32_t most = 1 + rng_below(&rng, 200);
		size_t at = 0;
		int section = PROMPT_TOOLS;

		while (at < TEXT_BYTES) {
			size_t n = rng_below(&rng, most + 1);

			n = n < TEXT_BYTES - at ? n : TEXT_BYTES - at;
			prompt_add(&p, (enum prompt_section)section,
			    part(at, n));
			at += n;
			section += section < PROMPT_TEXT &&
			    rng_below(&rng, 5) == 0;
		}
		struct request r = hash(&p, BLOCK, MANY);

		check(&r, TEXT_BYTES, BLOCK);
	}
}

/* An operator may set blockSizeTokens to anything from 1 to 65536. */
static void test_blocks_may_have_any_size(void **state)
{
	static const uint32_t sizes[] = {
		1, 4, 7, 4095, 4096, 4097, 8192, 4 * 65536,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct prompt p = begin();

		prompt_add(&p, PROMPT_TEXT, part(0, 100));
		prompt_add(&p, PROMPT_TEXT, part(100, TEXT_BYTES - 100));
		struct request r = hash(&p, sizes[i], MANY);

		check(&r, TEXT_BYTES, sizes[i]);
	}
}

static void test_sections_are_laid_out_as_an_engine_does(void **state)
{
	struct prompt p = begin();

	(void)state;
	prompt_add(&p, PROMPT_TEXT, part(200, 100));
	prompt_add(&p, PROMPT_SYSTEM, part(100, 100));
	prompt_add(&p, PROMPT_TOOLS, part(0, 100));
	struct request r = hash(&p, BLOCK, MANY);

	check(&r, 300, BLOCK);
}

static void test_a_cleared_section_is_as_if_never_filled(void **state)
{
	struct prompt p = begin();

	(void)state;
	prompt_add(&p, PROMPT_TEXT, part(500, 500));
	for (int i = 0; i < 100; i++) {
		prompt_split(&p);
		prompt_add(&p, PROMPT_TEXT, part(900, 3));
	}
	prompt_add(&p, PROMPT_SYSTEM, part(0, 10));
	prompt_clear(&p, PROMPT_TEXT);
	prompt_add(&p, PROMPT_TEXT, part(10, 190));
	prompt_clear(&p, PROMPT_TOOLS);
	assert_int_equal(p.n_chains, 1);
	struct request r = hash(&p, BLOCK, MANY);

	check(&r, 200, BLOCK);
}

static void test_what_follows_a_split_is_a_prompt_of_its_own(void **state)
{
	uint64_t want[8];
	size_t n = expect(130, BLOCK, want);
	struct prompt p = begin();

	(void)state;
	for (int i = 0; i < 3; i++) {
		if (i > 0)
			prompt_split(&p);
		prompt_add(&p, PROMPT_TEXT, part(0, 130));
	}
	struct request r = hash(&p, BLOCK, MANY);

	assert_int_equal(r.n_chains, 3);
	assert_int_equal(r.n_blocks, 3 * n);
	for (size_t k = 0; k < 3; k++) {
		assert_int_equal(r.chains[k].first, k * n);
		assert_int_equal(r.chains[k].n, n);
		assert_memory_equal(r.blocks + k * n, want, n * sizeof(*want));
	}
}

static void test_empty_prompts_are_none(void **state)
{
	struct prompt p = begin();

	(void)state;
	for (int i = 0; i < 10; i++)
		prompt_split(&p);
	prompt_add(&p, PROMPT_TEXT, part(0, 10));
	for (int i = 0; i < 10; i++)
		prompt_split(&p);
	struct request r = hash(&p, BLOCK, MANY);

	check(&r, 10, BLOCK);
}

static void test_there_are_never_more_prompts_than_allowed(void **state)
{
	struct prompt p = begin();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		if (i > 0)
			prompt_split(&p);
		prompt_add(&p, PROMPT_TEXT, part(0, 3));
	}
	struct request r = hash(&p, BLOCK, MANY);

	assert_int_equal(r.n_chains, PROMPT_CHAINS_MAX);
	assert_int_equal(r.prompt_bytes, 3000);
}

/* The limit keeps the front, which is what prefixes are about. */
static void test_no_more_blocks_than_asked_for(void **state)
{
	uint64_t want[TEXT_BYTES];
	size_t n = expect(TEXT_BYTES, BLOCK, want);

	(void)state;
	for (uint32_t most = 0; most <= n + 1; most++) {
		struct prompt p = begin();

		for (size_t at = 0; at < TEXT_BYTES; at += 100)
			prompt_add(&p, PROMPT_TEXT, part(at, 100));
		struct request r = hash(&p, BLOCK, most);

		assert_int_equal(r.n_blocks, most < n ? most : n);
		for (size_t i = 0; i < r.n_blocks; i++)
			assert_true(r.blocks[i] == want[i]);
	}
}

static void test_depths_of_all_prompts_fit_in_16_bits(void **state)
{
	struct prompt p = begin();

	(void)state;
	for (int i = 0; i < 60; i++) {
		if (i > 0)
			prompt_split(&p);
		prompt_add(&p, PROMPT_TEXT, part(0, TEXT_BYTES));
	}
	struct request r = hash(&p, 1, UINT32_MAX);

	assert_int_equal(r.n_blocks, UINT16_MAX);
}

static void test_a_digest_stands_for_its_bytes(void **state)
{
	uint64_t blocks[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct prompt p = begin();

		prompt_add_digest(&p, PROMPT_TEXT, part(i / 2, 1000));
		assert_int_equal(p.bytes, sizeof(uint64_t));
		blocks[i] = hash(&p, BLOCK, MANY).blocks[0];
	}
	assert_true(blocks[0] == blocks[1]);
	assert_true(blocks[0] != blocks[2]);
}

static void test_a_spent_arena_means_no_blocks(void **state)
{
	struct arena *small = arena_new(1024, 1024);
	struct request r = { 0 };
	struct prompt p;

	(void)state;
	prompt_init(&p, small);
	for (size_t i = 0; i < 1000; i++)
		prompt_add(&p, PROMPT_TEXT, part(i, 1));
	prompt_add_digest(&p, PROMPT_TEXT, part(0, 1000));
	prompt_split(&p);
	prompt_hash(&p, &r, BLOCK, MANY);
	assert_int_equal(r.n_blocks, 0);
	assert_int_equal(r.n_chains, 0);
	arena_free(small);
}

static int setup(void **state)
{
	struct rng rng = { 7 };

	(void)state;
	for (size_t i = 0; i < TEXT_BYTES; i++)
		text[i] = (char)rng_next(&rng);
	arena = arena_new(64 << 10, 16 << 20);
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_is_cut_into_blocks),
		cmocka_unit_test(test_spans_of_any_lengths_give_the_same_blocks),
		cmocka_unit_test(test_blocks_may_have_any_size),
		cmocka_unit_test(test_sections_are_laid_out_as_an_engine_does),
		cmocka_unit_test(test_a_cleared_section_is_as_if_never_filled),
		cmocka_unit_test(test_what_follows_a_split_is_a_prompt_of_its_own),
		cmocka_unit_test(test_empty_prompts_are_none),
		cmocka_unit_test(test_there_are_never_more_prompts_than_allowed),
		cmocka_unit_test(test_no_more_blocks_than_asked_for),
		cmocka_unit_test(test_depths_of_all_prompts_fit_in_16_bits),
		cmocka_unit_test(test_a_digest_stands_for_its_bytes),
		cmocka_unit_test(test_a_spent_arena_means_no_blocks),
	};

	return cmocka_run_group_tests_name("prompt", tests, setup, teardown);
}
