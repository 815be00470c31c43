#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

/* From the specification, computed without the library. */
static const struct {
	const char *text;
	uint64_t seed, hash;
} known[] = {
	{ "", 0, 0xef46db3751d8e999 },
	{ "", 1, 0xd5afba1336a3be4b },
	{ "a", 0, 0xd24ec4f1a98c6e5b },
	{ "abc", 0, 0x44bc2cf5ad770999 },
	{ "Nobody inspects the spammish repetition", 0, 0xfbcea83c8a378bf1 },
};

static void test_hashes_are_those_of_the_specification(void **state)
{
	uint8_t bytes[101];

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		assert_true(hash_bytes(known[i].text, strlen(known[i].text),
			known[i].seed) == known[i].hash);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_true(hash_bytes(bytes, sizeof(bytes), 0) == 0xe99038495f85381e);
	assert_true(hash_bytes(bytes, sizeof(bytes), 0x9e3779b185ebca87) ==
	    0xa18f7e69160478fa);
	assert_true(hash_bytes(NULL, 0, 0) == known[0].hash);
}

static void test_a_pair_is_sixteen_bytes_low_byte_first(void **state)
{
	(void)state;
	assert_true(hash_pair(1, 2) == 0x4b180fec3ef3d4ac);
	assert_true(hash_pair(UINT64_MAX, 0) == 0x26d89ce26c66944f);
	assert_true(hash_pair(0x6867666564636261, 0x706f6e6d6c6b6a69) ==
	    hash_bytes("abcdefghijklmnop", 16, 0));
	assert_true(hash_pair(2, 1) != hash_pair(1, 2));
}

/* Wherever the bytes lie in memory, and nothing behind them counts. */
static void test_only_the_bytes_matter(void **state)
{
	(void)state;
	for (size_t len = 0; len < 100; len++)
		for (size_t shift = 0; shift < 8; shift++) {
			uint8_t *a = malloc(shift + len + 1);
			uint8_t *b = malloc(len + 1);

			memset(a + shift, 'x', len);
			memset(b, 'x', len);
			a[shift + len] = 1;
			b[len] = 2;
			assert_true(hash_bytes(a + shift, len, 3) ==
			    hash_bytes(b, len, 3));
			free(a);
			free(b);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashes_are_those_of_the_specification),
		cmocka_unit_test(test_a_pair_is_sixteen_bytes_low_byte_first),
		cmocka_unit_test(test_only_the_bytes_matter),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
