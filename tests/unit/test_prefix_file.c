/*
 * Images of an index, and files of images: the same index comes out, and no byte of a
 * file can be another without being noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "prefix.h"
#include "prefix_file.h"
#include "rng.h"

enum { SLOTS = 4, LONGEST = 12, CHAINS = 40 };

static void random_chain(struct rng *rng, uint64_t *chain)
{
	uint64_t path = rng_below(rng, 64);

	for (uint32_t i = 0; i < LONGEST; i++)
		chain[i] = rng_mix((path & ((1u << i / 2) - 1)) << 8 | i |
		    1ull << 61);
}

static struct prefix_index *filled(uint32_t capacity, uint64_t secret)
{
	struct prefix_index *p = prefix_new(1 << 18, SLOTS);
	struct rng rng = { 3 };

	prefix_key(p, secret);
	prefix_join(p, 2, capacity);
	for (int i = 0; i < CHAINS; i++) {
		uint64_t chain[LONGEST];

		random_chain(&rng, chain);
		prefix_insert(p, 2, chain, 1 + rng_below(&rng, LONGEST), 0);
	}
	return p;
}

static void assert_alike(struct prefix_index *a, uint16_t slot_a,
    struct prefix_index *b, uint16_t slot_b)
{
	struct rng rng = { 3 };

	for (int i = 0; i < 500; i++) {
		uint16_t x[SLOTS] = { 0 }, y[SLOTS] = { 0 };
		uint64_t chain[LONGEST];

		random_chain(&rng, chain);
		prefix_match(a, chain, LONGEST, x, SLOTS);
		prefix_match(b, chain, LONGEST, y, SLOTS);
		assert_int_equal(x[slot_a], y[slot_b]);
	}
	assert_int_equal(prefix_count(a, slot_a), prefix_count(b, slot_b));
}

/* Into another process: another secret, another slot; and the order of age with it. */
static void test_an_image_is_the_index(void **state)
{
	struct prefix_index *a = filled(1000, 11), *b = prefix_new(1 << 18, SLOTS);
	struct prefix_block image[1000];
	uint32_t n = prefix_export(a, 2, image, 1000);

	(void)state;
	prefix_key(b, 99);
	prefix_join(b, 1, 1000);
	assert_int_equal(n, prefix_count(a, 2));
	assert_int_equal(prefix_import(b, 1, image, n), n);
	assert_alike(a, 2, b, 1);
	for (uint32_t left = n; left > 0; left -= left / 3 + 1) {
		prefix_set_capacity(a, 2, left);
		prefix_set_capacity(b, 1, left);
		assert_alike(a, 2, b, 1);
	}
	prefix_free(a);
	prefix_free(b);
}

static void test_too_little_room_keeps_the_most_recent(void **state)
{
	struct prefix_index *a = filled(1000, 11), *b = prefix_new(1 << 18, SLOTS);
	struct prefix_block image[1000];
	uint32_t n = prefix_export(a, 2, image, 1000);

	(void)state;
	prefix_join(b, 0, n / 2);
	assert_int_equal(prefix_import(b, 0, image, n), n / 2);
	prefix_set_capacity(a, 2, n / 2);
	assert_alike(a, 2, b, 0);
	/* One that has something already takes nothing, nor one that has not joined. */
	assert_int_equal(prefix_import(b, 0, image, n), 0);
	assert_int_equal(prefix_import(b, 3, image, n), 0);
	prefix_free(a);
	prefix_free(b);
}

static void test_nonsense_is_left_out(void **state)
{
	const uint64_t bit = 1 << 20;
	const struct prefix_block image[] = {
		{ 1 * bit, 0 }, { 2 * bit, 1 }, { 3 * bit, 4 },	/* from below */
		{ 2 * bit, 1 },			/* twice */
		{ 4 * bit, 3 },			/* child of what was left out */
		{ 5 * bit, 6 },			/* its own parent */
		{ 6 * bit, UINT32_MAX }, { 7 * bit, 2 },
	};
	struct prefix_index *p = prefix_new(1 << 18, SLOTS);

	(void)state;
	prefix_join(p, 0, 100);
	assert_int_equal(prefix_import(p, 0, image,
	    sizeof(image) / sizeof(*image)), 3);
	assert_int_equal(prefix_count(p, 0), 3);
	prefix_purge(p, 0);
	assert_int_equal(prefix_total(p), 0);
	prefix_free(p);
}

/* ---- the file ---- */

static const struct prefix_block some[] = {
	{ 0xabcdef0123450000u, 0 }, { 0xffffffffffff0000u, 1 }, { 0x10000, 0 },
};

static void write_some(struct buf *b)
{
	const struct prefix_file_head head = { 256, 1234567890123 };
	const struct prefix_file_section one = { .name = span_of("s1"),
		.addr = span_of("10.0.0.1:8000"), .started_ms = -5,
		.served = UINT64_MAX, .n_blocks = 3 };
	const struct prefix_file_section none = { .name = span_of("") };

	buf_init(b, 4096);
	prefix_file_begin(b, &head);
	prefix_file_section(b, &one, some);
	prefix_file_section(b, &none, NULL);
	prefix_file_end(b);
	assert_false(buf_failed(b));
}

static void test_what_is_written_is_read(void **state)
{
	struct prefix_file_head head;
	struct prefix_file_section s;
	struct reader r;
	struct buf b;

	(void)state;
	write_some(&b);
	assert_null(prefix_file_open(buf_span(&b), &head, &r));
	assert_int_equal(head.block_bytes, 256);
	assert_int_equal(head.written_ms, 1234567890123);
	assert_true(prefix_file_next(&r, &s));
	assert_true(span_is_text(s.name, "s1"));
	assert_true(span_is_text(s.addr, "10.0.0.1:8000"));
	assert_int_equal(s.started_ms, -5);
	assert_true(s.served == UINT64_MAX);
	assert_int_equal(s.n_blocks, 3);
	for (uint32_t i = 0; i < 3; i++) {
		struct prefix_block got = prefix_file_block(&s, i);

		assert_true(got.hash == some[i].hash);
		assert_int_equal(got.parent, some[i].parent);
	}
	assert_true(prefix_file_next(&r, &s));
	assert_int_equal(s.n_blocks, 0);
	assert_int_equal(s.name.len, 0);
	assert_false(prefix_file_next(&r, &s));
	buf_fini(&b);
}

static void test_every_truncation_and_every_other_byte_is_refused(void **state)
{
	struct prefix_file_head head;
	struct reader r;
	struct buf b;

	(void)state;
	write_some(&b);
	for (size_t len = 0; len < b.len; len++)
		assert_non_null(prefix_file_open((struct span){ b.data, len },
		    &head, &r));
	for (size_t i = 0; i < b.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			b.data[i] ^= (char)(1 << bit);
			assert_non_null(prefix_file_open(buf_span(&b), &head,
			    &r));
			b.data[i] ^= (char)(1 << bit);
		}
	assert_null(prefix_file_open(buf_span(&b), &head, &r));
	buf_fini(&b);
}

/* A right checksum makes no section fit that does not. */
static void test_a_section_beyond_the_end_is_refused(void **state)
{
	struct prefix_file_head head = { 256, 1 };
	const struct prefix_file_section one = { .name = span_of("s1"),
		.addr = span_of("a"), .n_blocks = 3 };
	struct reader r;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	prefix_file_begin(&b, &head);
	prefix_file_section(&b, &one, some);
	b.len -= 12;
	prefix_file_end(&b);
	assert_string_equal(prefix_file_open(buf_span(&b), &head, &r),
	    "its sections do not fit into it");
	buf_fini(&b);
}

static void test_each_refusal_says_why(void **state)
{
	struct prefix_file_head head;
	struct reader r;
	struct buf b;

	(void)state;
	assert_string_equal(prefix_file_open(span_of("#!/bin/sh\nexit\n"), &head,
	    &r), "it is no snapshot of a prefix index");
	write_some(&b);
	b.data[8]++;
	assert_string_equal(prefix_file_open(buf_span(&b), &head, &r),
	    "it is of another version of epp-agent");
	b.data[8]--;
	b.data[40] ^= 1;
	assert_string_equal(prefix_file_open(buf_span(&b), &head, &r),
	    "its checksum is wrong: it is torn, or was changed");
	assert_string_equal(prefix_file_open((struct span){ b.data, 20 }, &head,
	    &r), "it is cut short");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_image_is_the_index),
		cmocka_unit_test(test_too_little_room_keeps_the_most_recent),
		cmocka_unit_test(test_nonsense_is_left_out),
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(
		    test_every_truncation_and_every_other_byte_is_refused),
		cmocka_unit_test(test_a_section_beyond_the_end_is_refused),
		cmocka_unit_test(test_each_refusal_says_why),
	};

	return cmocka_run_group_tests_name("prefix_file", tests, NULL, NULL);
}
