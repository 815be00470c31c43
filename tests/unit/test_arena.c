#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arena.h"
#include "rng.h"

enum { MAX_BYTES = 1 << 16 };

static void test_every_allocation_is_aligned_and_its_own(void **state)
{
	enum { N = 200 };
	struct arena *a = arena_new(100, MAX_BYTES);
	struct rng rng = { 1 };
	size_t sizes[N];
	char *at[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		sizes[i] = rng_below(&rng, 200);
		at[i] = arena_alloc(a, sizes[i]);
		assert_non_null(at[i]);
		assert_int_equal((uintptr_t)at[i] % 16, 0);
		memset(at[i], i, sizes[i]);
	}
	for (int i = 0; i < N; i++)
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal((uint8_t)at[i][k], i);
	arena_free(a);
}

static void test_not_a_byte_past_the_ceiling_and_all_before_it(void **state)
{
	(void)state;
	for (size_t first = 0; first <= 128; first += 8)
		for (size_t each = 1; each <= 80; each += 13) {
			size_t rounded = (each + 15) & ~(size_t)15, n = 0;
			struct arena *a = arena_new(first, 1024);

			while (arena_alloc(a, each) != NULL) {
				n++;
				assert_true(n * rounded <= 1024);
				assert_true(arena_bytes(a) <= 1024);
			}
			/* The end of each block may be too short for one. */
			assert_true(1024 - arena_bytes(a) < rounded);
			arena_free(a);
		}
}

/* Doubling past the ceiling is no reason to refuse what is below it. */
static void test_the_last_block_is_as_large_as_still_allowed(void **state)
{
	struct arena *a = arena_new(640, 1024);

	(void)state;
	assert_non_null(arena_alloc(a, 640));
	assert_non_null(arena_alloc(a, 16));
	assert_non_null(arena_alloc(a, 368));
	assert_null(arena_alloc(a, 1));
	assert_int_equal(arena_bytes(a), 1024);
	arena_free(a);
}

static void test_a_size_that_lies_is_refused(void **state)
{
	static const size_t lies[] = { MAX_BYTES + 1, SIZE_MAX / 2,
		SIZE_MAX - 16, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX };
	struct arena *a = arena_new(64, MAX_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		assert_null(arena_alloc(a, lies[i]));
		assert_null(arena_zalloc(a, lies[i]));
	}
	assert_non_null(arena_alloc(a, 48));
	arena_free(a);
}

/* A first block above the ceiling is the caller's wish; there is no second. */
static void test_a_ceiling_below_the_first_block_holds(void **state)
{
	struct arena *a = arena_new(256, 64);

	(void)state;
	assert_non_null(arena_alloc(a, 256));
	assert_null(arena_alloc(a, 1));
	arena_free(a);
	arena_free(NULL);
}

static char *printed(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static char *printed(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return text;
}

/* However long; and past the ceiling there is none, rather than a part of it. */
static void test_a_printed_text_is_whole_or_not_there(void **state)
{
	struct arena *a = arena_new(64, MAX_BYTES);
	char *text = printed(a, "%s=%0300d", "n", 7);

	(void)state;
	assert_non_null(text);
	assert_int_equal(strlen(text), 302);
	assert_string_equal(text + 300, "07");
	assert_string_equal(printed(a, "%s", ""), "");
	assert_null(printed(a, "%0*d", MAX_BYTES, 7));
	arena_free(a);
}

/*
 * Warm: the same needs come out of the same block, which is neither replaced
 * (ASan would not hand out the same address again) nor joined by another.
 */
static void test_once_warm_each_round_uses_the_one_block(void **state)
{
	enum { N = 40 };
	struct arena *a = arena_new(64, MAX_BYTES);
	char *at[N] = { 0 };
	size_t held = 0;

	(void)state;
	for (int round = 0; round < 10; round++) {
		struct rng rng = { 2 };

		for (int i = 0; i < N; i++) {
			char *p = arena_alloc(a, rng_below(&rng, 700));

			assert_non_null(p);
			assert_true(round < 2 || p == at[i]);
			at[i] = p;
		}
		assert_true(round == 0 || arena_bytes(a) == held);
		held = arena_bytes(a);
		arena_reset(a);
		assert_int_equal(arena_bytes(a), held);
	}
	arena_free(a);
}

/* Whatever the rounds ask for, the block kept does not creep past the ceiling. */
static void test_no_history_of_rounds_passes_the_ceiling(void **state)
{
	struct arena *a = arena_new(64, MAX_BYTES);
	struct rng rng = { 3 };

	(void)state;
	for (int round = 0; round < 2000; round++) {
		for (int i = rng_below(&rng, 50); i > 0; i--)
			arena_alloc(a, rng_below(&rng, 5000));
		assert_true(arena_bytes(a) <= MAX_BYTES);
		arena_reset(a);
		assert_true(arena_bytes(a) <= MAX_BYTES);
		assert_non_null(arena_alloc(a, 64));
		arena_reset(a);
	}
	arena_free(a);
}

static void test_zeroed_means_zeroed_though_used_before(void **state)
{
	struct arena *a = arena_new(256, MAX_BYTES);
	char *at;

	(void)state;
	memset(arena_alloc(a, 256), 0xff, 256);
	arena_reset(a);
	at = arena_zalloc(a, 200);
	for (int i = 0; i < 200; i++)
		assert_int_equal(at[i], 0);
	arena_free(a);
}

static void test_a_copy_ends_with_nul(void **state)
{
	struct arena *a = arena_new(32, MAX_BYTES);

	(void)state;
	memset(arena_alloc(a, 32), 'x', 32);
	arena_reset(a);
	assert_string_equal(arena_copy(a, "abcdef", 3), "abc");
	assert_string_equal(arena_copy(a, NULL, 0), "");
	assert_memory_equal(arena_copy(a, "a\0b", 3), "a\0b", 4);
	assert_null(arena_copy(a, "", MAX_BYTES));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_allocation_is_aligned_and_its_own),
		cmocka_unit_test(
		    test_not_a_byte_past_the_ceiling_and_all_before_it),
		cmocka_unit_test(
		    test_the_last_block_is_as_large_as_still_allowed),
		cmocka_unit_test(test_a_size_that_lies_is_refused),
		cmocka_unit_test(test_a_ceiling_below_the_first_block_holds),
		cmocka_unit_test(test_a_printed_text_is_whole_or_not_there),
		cmocka_unit_test(test_once_warm_each_round_uses_the_one_block),
		cmocka_unit_test(test_no_history_of_rounds_passes_the_ceiling),
		cmocka_unit_test(test_zeroed_means_zeroed_though_used_before),
		cmocka_unit_test(test_a_copy_ends_with_nul),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
