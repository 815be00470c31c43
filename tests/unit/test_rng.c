#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rng.h"

/* The published stream of SplitMix64 for this seed. */
static void test_the_stream_is_splitmix64(void **state)
{
	static const uint64_t want[] = { 6457827717110365317u,
		3203168211198807973u, 9817491932198370423u,
		4593380528125082431u, 16408922859458223821u };
	struct rng rng = { 1234567 };

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++)
		assert_true(rng_next(&rng) == want[i]);
}

static void test_a_seed_repeats_and_another_differs(void **state)
{
	struct rng a = { 1 }, b = { 1 }, c = { 2 };

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t n = rng_next(&a);

		assert_true(n == rng_next(&b));
		assert_true(n != rng_next(&c));
	}
}

static void test_below_stays_below(void **state)
{
	static const uint32_t bounds[] = { 1, 2, 3, 7, 1000, 1u << 31,
		UINT32_MAX };
	struct rng rng = { 3 };

	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++)
		for (int k = 0; k < 10000; k++)
			assert_true(rng_below(&rng, bounds[i]) < bounds[i]);
}

/* A fixed seed, so this is no gamble: each of ten gets its tenth, within 5 %. */
static void test_below_is_even(void **state)
{
	enum { DRAWS = 100000 };
	struct rng rng = { 4 };
	int seen[10] = { 0 };

	(void)state;
	for (int i = 0; i < DRAWS; i++)
		seen[rng_below(&rng, 10)]++;
	for (int i = 0; i < 10; i++)
		assert_in_range(seen[i], DRAWS / 10 * 95 / 100,
		    DRAWS / 10 * 105 / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_stream_is_splitmix64),
		cmocka_unit_test(test_a_seed_repeats_and_another_differs),
		cmocka_unit_test(test_below_stays_below),
		cmocka_unit_test(test_below_is_even),
	};

	return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
