#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "kv_map.h"
#include "rng.h"

enum { KEYS = 3000, TURNS = 200000 };

static uint64_t key_of(uint32_t i)
{
	return i % 3 == 0 ? i + 1 : rng_mix(i + 1);	/* some collide */
}

static void test_any_history_is_a_plain_table_s(void **state)
{
	static uint64_t model[KEYS];	/* text, or 0 */
	struct rng rng = { 6 };
	struct kv_map m;
	size_t n = 0;

	(void)state;
	kv_map_init(&m, 2000);
	for (int turn = 0; turn < TURNS; turn++) {
		uint32_t i = rng_below(&rng, KEYS);
		struct kv_entry e = { key_of(i), rng_next(&rng) | 1, 1 };
		struct kv_entry *got = kv_map_find(&m, e.key);

		assert_int_equal(got != NULL, model[i] != 0);
		if (got != NULL)
			assert_true(got->text == model[i]);
		if (rng_below(&rng, 2) == 0) {
			bool fits = model[i] != 0 || n < 2000;

			assert_int_equal(kv_map_put(&m, &e), fits);
			n += fits && model[i] == 0;
			if (fits)
				model[i] = e.text;
		} else {
			kv_map_remove(&m, e.key);
			n -= model[i] != 0;
			model[i] = 0;
		}
		assert_int_equal(m.n, n);
	}
	kv_map_clear(&m);
	assert_null(kv_map_find(&m, key_of(1)));
	assert_int_equal(m.n, 0);
	kv_map_fini(&m);
}

static void test_nothing_is_no_key(void **state)
{
	const struct kv_entry e = { 0, 1, 1 };
	struct kv_map m;

	(void)state;
	kv_map_init(&m, 10);
	assert_false(kv_map_put(&m, &e));
	assert_null(kv_map_find(&m, 0));
	kv_map_remove(&m, 0);
	kv_map_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_history_is_a_plain_table_s),
		cmocka_unit_test(test_nothing_is_no_key),
	};

	return cmocka_run_group_tests_name("kv_map", tests, NULL, NULL);
}
