#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "reader.h"
#include "rng.h"
#include "writer.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const struct {
	uint64_t value;
	uint8_t bytes[10];
	size_t len;
} varints[] = {
	{ 0, { 0x00 }, 1 },
	{ 239, { 0xef }, 1 },
	{ 240, { 0xf0, 0x00 }, 2 },
	{ 241, { 0xf1, 0x00 }, 2 },
	{ 255, { 0xff, 0x00 }, 2 },
	{ 256, { 0xf0, 0x01 }, 2 },
	{ 2287, { 0xff, 0x7f }, 2 },
	{ 2288, { 0xf0, 0x80, 0x00 }, 3 },
	{ 264431, { 0xff, 0xff, 0x7f }, 3 },
	{ 264432, { 0xf0, 0x80, 0x80, 0x00 }, 4 },
	{ UINT64_MAX, { 0xff, 0xf0, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe,
	    0x0e }, 10 },
};

static void test_varints_are_spelled_as_haproxy_spells_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(varints); i++) {
		uint8_t out[10];
		struct writer w = writer_over(out, sizeof(out));

		writer_varint(&w, varints[i].value);
		assert_false(w.full);
		assert_int_equal(writer_len(&w), varints[i].len);
		assert_memory_equal(out, varints[i].bytes, varints[i].len);
	}
}

static void assert_round_trip(uint64_t value)
{
	uint8_t out[10];
	struct writer w = writer_over(out, sizeof(out));
	struct reader r;

	writer_varint(&w, value);
	r = reader_over(out, writer_len(&w));
	assert_int_equal(reader_varint(&r), value);
	assert_false(r.bad || w.full);
	assert_int_equal(reader_left(&r), 0);
}

static void test_every_varint_reads_back(void **state)
{
	struct rng rng = { 1 };

	(void)state;
	for (uint64_t v = 0; v < 300000; v++)
		assert_round_trip(v);
	for (unsigned bit = 0; bit < 64; bit++)
		for (uint64_t near = 0; near < 600; near++)
			assert_round_trip(((uint64_t)1 << bit) + near - 300);
	for (int i = 0; i < 200000; i++)
		assert_round_trip(rng_next(&rng) >> rng_below(&rng, 64));
}

/* No two byte strings mean the same number: what reads, writes back the same. */
static void test_every_varint_has_one_spelling(void **state)
{
	struct rng rng = { 2 };
	uint8_t in[10], out[10];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct writer w = writer_over(out, sizeof(out));
		struct reader r;
		uint64_t value;

		for (size_t k = 0; k < sizeof(in); k++)
			in[k] = (uint8_t)(rng_next(&rng) | (k == 0 ? 0xf0 :
			    rng_below(&rng, 8) != 0 ? 0x80 : 0));
		r = reader_over(in, sizeof(in));
		value = reader_varint(&r);
		if (r.bad)
			continue;
		writer_varint(&w, value);
		assert_int_equal(writer_len(&w), sizeof(in) - reader_left(&r));
		assert_memory_equal(in, out, writer_len(&w));
	}
}

static void write_everything(struct writer *w)
{
	writer_u8(w, 1);
	writer_be32(w, 0x80010203);
	writer_varint(w, 264432);
	writer_bytes(w, "bytes", 5);
	writer_string(w, span_of("string"));
	writer_bytes(w, NULL, 0);
	writer_string(w, (struct span){ 0 });
}

static void test_bytes_come_out_in_network_order(void **state)
{
	static const uint8_t want[] = { 1, 0x80, 1, 2, 3, 0xf0, 0x80, 0x80, 0,
		'b', 'y', 't', 'e', 's', 6, 's', 't', 'r', 'i', 'n', 'g', 0 };
	uint8_t out[sizeof(want)];
	struct writer w = writer_over(out, sizeof(out));

	(void)state;
	write_everything(&w);
	assert_false(w.full);
	assert_int_equal(writer_len(&w), sizeof(want));
	assert_memory_equal(out, want, sizeof(want));
}

static void test_in_less_space_it_is_full_and_stays_inside(void **state)
{
	enum { WHOLE = 22 };
	uint8_t whole[WHOLE], out[WHOLE];
	struct writer w = writer_over(whole, WHOLE);

	(void)state;
	write_everything(&w);
	for (size_t room = 0; room < WHOLE; room++) {
		memset(out, 0xee, sizeof(out));
		w = writer_over(out, room);
		write_everything(&w);
		assert_true(w.full);
		assert_true(writer_len(&w) <= room);
		assert_memory_equal(out, whole, writer_len(&w));
		for (size_t i = writer_len(&w); i < sizeof(out); i++)
			assert_int_equal(out[i], 0xee);
	}
}

static void test_after_what_does_not_fit_nothing_is_written(void **state)
{
	uint8_t out[4] = { 0 };
	struct writer w = writer_over(out, 3);

	(void)state;
	writer_be32(&w, UINT32_MAX);
	assert_true(w.full);
	writer_u8(&w, 7);	/* would have fitted */
	assert_int_equal(writer_len(&w), 0);
	assert_int_equal(out[0], 0);
	writer_rewind(&w, 0);
	writer_u8(&w, 7);
	assert_false(w.full);
	assert_int_equal(out[0], 7);
}

static void test_rewind_goes_back_to_any_length_that_was(void **state)
{
	uint8_t out[8];
	struct writer w = writer_over(out, sizeof(out));

	(void)state;
	writer_bytes(&w, "abcdef", 6);
	for (size_t len = 6; len-- > 0;) {
		writer_rewind(&w, len);
		assert_int_equal(writer_len(&w), len);
	}
	writer_u8(&w, 'z');
	assert_memory_equal(out, "zbcdef", 6);
}

static void test_a_patch_overwrites_four_bytes_and_no_other(void **state)
{
	uint8_t out[6];
	struct writer w = writer_over(out, sizeof(out));

	(void)state;
	writer_bytes(&w, "abcdef", 6);
	writer_patch_be32(&w, 1, 0x31323334);
	assert_memory_equal(out, "a1234f", 6);
	assert_int_equal(writer_len(&w), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_varints_are_spelled_as_haproxy_spells_them),
		cmocka_unit_test(test_every_varint_reads_back),
		cmocka_unit_test(test_every_varint_has_one_spelling),
		cmocka_unit_test(test_bytes_come_out_in_network_order),
		cmocka_unit_test(
		    test_in_less_space_it_is_full_and_stays_inside),
		cmocka_unit_test(
		    test_after_what_does_not_fit_nothing_is_written),
		cmocka_unit_test(test_rewind_goes_back_to_any_length_that_was),
		cmocka_unit_test(
		    test_a_patch_overwrites_four_bytes_and_no_other),
	};

	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
