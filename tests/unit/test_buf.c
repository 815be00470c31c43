#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "buf.h"
#include "rng.h"

static void test_nothing_is_allocated_before_the_first_byte(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_put(&b, NULL, 0);
	buf_puts(&b, "");
	buf_printf(&b, "%s", "");
	buf_consume(&b, 0);
	assert_null(b.data);
	assert_false(buf_failed(&b));
	assert_int_equal(buf_span(&b).len, 0);
	buf_fini(&b);
}

static void test_it_says_what_was_put_into_it(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_put(&b, "a\0b", 3);
	buf_puts(&b, "text ");
	buf_printf(&b, "%d/%s", 42, "x");
	assert_true(span_is(buf_span(&b), (struct span){ "a\0btext 42/x", 12 }));
	buf_fini(&b);
}

/* Three ways to fill it to the last byte: none takes one more, or one less. */
static void test_the_ceiling_is_the_same_for_every_append(void **state)
{
	static const char text[] = "0123456789";

	(void)state;
	for (size_t room = 0; room < 20; room++)
		for (int way = 0; way < 3; way++) {
			struct buf b;

			buf_init(&b, room);
			if (way == 0)
				buf_put(&b, text, 10);
			else if (way == 1)
				buf_puts(&b, text);
			else
				buf_printf(&b, "%s", text);
			assert_int_equal(buf_failed(&b), room < 10);
			assert_int_equal(b.len, room < 10 ? 0 : 10);
			assert_true(b.cap <= room);
			buf_fini(&b);
		}
}

static void test_the_first_failure_sticks_until_cleared(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	buf_puts(&b, "12345");
	buf_puts(&b, "6789");
	assert_true(buf_failed(&b));
	buf_puts(&b, "6");		/* would have fitted */
	buf_printf(&b, "%d", 6);
	assert_true(span_is_text(buf_span(&b), "12345"));
	buf_clear(&b);
	assert_false(buf_failed(&b));
	buf_puts(&b, "12345678");
	assert_true(span_is_text(buf_span(&b), "12345678"));
	buf_fini(&b);
}

static void test_a_length_that_lies_is_refused(void **state)
{
	static const size_t lies[] = { 9, SIZE_MAX / 2, SIZE_MAX - 1, SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct buf b;

		buf_init(&b, 16);
		buf_puts(&b, "12345678");
		buf_put(&b, "", lies[i]);
		assert_true(buf_failed(&b));
		assert_int_equal(b.len, 8);
		buf_fini(&b);
	}
}

/* A buffer is a queue of bytes: what comes out went in, in order. */
static void test_appends_and_consumes_keep_the_order(void **state)
{
	enum { MAX_BYTES = 3000 };
	struct rng rng = { 1 };
	uint32_t n_in = 0, n_out = 0;
	struct buf b;

	(void)state;
	buf_init(&b, MAX_BYTES);
	for (int turn = 0; turn < 20000; turn++) {
		char bytes[64];
		size_t n = rng_below(&rng, sizeof(bytes) + 1);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)((n_in + i) % 251);
		buf_put(&b, bytes, n);
		assert_int_equal(buf_failed(&b), n_in + n - n_out > MAX_BYTES);
		if (buf_failed(&b))
			b.failed = false;
		else
			n_in += (uint32_t)n;
		n = rng_below(&rng, turn % 2000 < 1000 ? 40 : 80);
		n = n < b.len ? n : b.len;
		for (size_t i = 0; i < n; i++)
			assert_int_equal((uint8_t)b.data[i], (n_out + i) % 251);
		buf_consume(&b, n);
		n_out += (uint32_t)n;
		assert_int_equal(b.len, n_in - n_out);
		assert_true(b.cap <= MAX_BYTES);
	}
	buf_fini(&b);
}

static void test_a_finished_buffer_may_be_used_again(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	buf_puts(&b, "12345");
	buf_fini(&b);
	buf_puts(&b, "1234");
	assert_true(span_is_text(buf_span(&b), "1234"));
	buf_fini(&b);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_nothing_is_allocated_before_the_first_byte),
		cmocka_unit_test(test_it_says_what_was_put_into_it),
		cmocka_unit_test(test_the_ceiling_is_the_same_for_every_append),
		cmocka_unit_test(test_the_first_failure_sticks_until_cleared),
		cmocka_unit_test(test_a_length_that_lies_is_refused),
		cmocka_unit_test(test_appends_and_consumes_keep_the_order),
		cmocka_unit_test(test_a_finished_buffer_may_be_used_again),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
