/*
 * Against libmsgpackc, as JSON is against yajl: what it takes of random bytes, we read
 * to the same end; what it writes, we read as it was meant.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "msgpack.h"
#include "rng.h"

static struct reader over(const void *bytes, size_t len)
{
	return reader_over(bytes, len);
}

#define READ(text) reads((text), sizeof(text) - 1)

static struct msgpack reads(const char *bytes, size_t len)
{
	struct reader r = over(bytes, len);
	struct msgpack m = msgpack_read(&r);

	assert_int_equal(m.type == MSGPACK_BAD, r.bad);
	return m;
}

static const struct {
	const char *bytes;
	size_t len;
	enum msgpack_type type;
	uint64_t number;	/* or `n`, or the length of `bytes` */
} heads[] = {
#define H(text, type, number) { text, sizeof(text) - 1, MSGPACK_##type, number }
	H("\x00", UINT, 0), H("\x7f", UINT, 127), H("\xe0", INT, (uint64_t)-32),
	H("\xff", INT, (uint64_t)-1), H("\xc0", NIL, 0), H("\xc2", BOOL, 0),
	H("\xc3", BOOL, 1), H("\xcc\xff", UINT, 255),
	H("\xcd\x01\x00", UINT, 256), H("\xce\xff\xff\xff\xff", UINT, UINT32_MAX),
	H("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", UINT, UINT64_MAX),
	H("\xd0\x80", INT, (uint64_t)-128), H("\xd0\x7f", UINT, 127),
	H("\xd1\xff\xfe", INT, (uint64_t)-2),
	H("\xd2\x80\x00\x00\x00", INT, (uint64_t)INT32_MIN),
	H("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", INT, (uint64_t)INT64_MIN),
	H("\xa3" "abc", TEXT, 3), H("\xd9\x02" "ab", TEXT, 2),
	H("\xda\x00\x01" "a", TEXT, 1), H("\xdb\x00\x00\x00\x00", TEXT, 0),
	H("\xc4\x02" "ab", TEXT, 2), H("\xc5\x00\x02" "ab", TEXT, 2),
	H("\xc6\x00\x00\x00\x02" "ab", TEXT, 2),
	H("\x92\x01\x02", ARRAY, 2), H("\xdc\x00\x01\x01", ARRAY, 1),
	H("\xdd\x00\x00\x00\x02\x01\x01", ARRAY, 2),
	H("\x81\x01\x02", MAP, 1), H("\xde\x00\x01\x01\x01", MAP, 1),
	H("\xdf\x00\x00\x00\x00", MAP, 0),
	H("\xd4\x01" "x", EXT, 2), H("\xc7\x02\x01" "xy", EXT, 3),
	/* cut, or a count that cannot be */
	H("", BAD, 0), H("\xc1", BAD, 0), H("\xcd\x01", BAD, 0),
	H("\xa3" "ab", BAD, 0), H("\x92\x01", BAD, 0), H("\x81\x01", BAD, 0),
	H("\xdd\xff\xff\xff\xff\x01", BAD, 0), H("\xdf\x80\x00\x00\x00" "ab", BAD, 0),
	H("\xc6\xff\xff\xff\xff", BAD, 0), H("\xcb\x00", BAD, 0),
};

static void test_each_head_is_what_the_specification_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		struct msgpack m = reads(heads[i].bytes, heads[i].len);
		uint64_t got = m.type == MSGPACK_TEXT || m.type == MSGPACK_EXT ?
		    m.bytes.len : m.type == MSGPACK_ARRAY ||
		    m.type == MSGPACK_MAP ? m.n : m.number;

		if (m.type != heads[i].type || got != heads[i].number)
			fail_msg("head %zu: %d, %llu", i, (int)m.type,
			    (unsigned long long)got);
	}
}

static void test_floats_of_both_sizes(void **state)
{
	(void)state;
	assert_true(READ("\xca\x3f\x80\x00\x00").real == 1.0);
	assert_true(READ("\xcb\xc0\x00\x00\x00\x00\x00\x00\x00").real == -2.0);
}

/* Where a whole value ends, or 0. */
static size_t end_of(const char *bytes, size_t len)
{
	struct reader r = over(bytes, len);

	msgpack_skip(&r);
	return r.bad ? 0 : len - reader_left(&r);
}

/* The library stops at a depth of its own; ours has none. */
static void test_random_bytes_end_where_the_library_says(void **state)
{
	struct rng rng = { 21 };
	int n_whole = 0;

	(void)state;
	for (int turn = 0; turn < 200000; turn++) {
		char bytes[24];
		size_t len = 1 + rng_below(&rng, sizeof(bytes)), at = 0;
		msgpack_unpacked u;
		msgpack_unpack_return want;

		for (size_t i = 0; i < len; i++) {
			uint64_t v = rng_next(&rng);

			/* Heads of small arrays and maps, and no large ones. */
			bytes[i] = (char)(v % 3 == 0 ? 0x80 + v / 3 % 0x23 :
			    v % 3 == 1 ? v / 3 % 0x100 : v / 3 % 0x80);
			if ((uint8_t)bytes[i] == 0xdd ||
			    (uint8_t)bytes[i] == 0xdf)
				bytes[i] = 0;
		}
		msgpack_unpacked_init(&u);
		want = msgpack_unpack_next(&u, bytes, len, &at);
		msgpack_unpacked_destroy(&u);
		if (want == MSGPACK_UNPACK_NOMEM_ERROR)
			continue;
		assert_int_equal(end_of(bytes, len),
		    want == MSGPACK_UNPACK_SUCCESS ? at : 0);
		n_whole += want == MSGPACK_UNPACK_SUCCESS;
	}
	assert_true(n_whole > 10000);
}

/* A value as deep as it is long costs no stack and ends. */
static void test_no_depth_is_too_deep(void **state)
{
	enum { DEPTH = 1 << 20 };
	char *bytes = malloc(DEPTH + 1);

	(void)state;
	memset(bytes, 0x91, DEPTH);
	bytes[DEPTH] = 0;
	assert_int_equal(end_of(bytes, DEPTH + 1), DEPTH + 1);
	assert_int_equal(end_of(bytes, DEPTH), 0);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_head_is_what_the_specification_says),
		cmocka_unit_test(test_floats_of_both_sizes),
		cmocka_unit_test(test_random_bytes_end_where_the_library_says),
		cmocka_unit_test(test_no_depth_is_too_deep),
	};

	return cmocka_run_group_tests_name("msgpack", tests, NULL, NULL);
}
