#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kv_sequence.h"
#include "rng.h"

/* l: live, r: replayed, g: given up, the next is that; then T, S, G or R. */
static const struct {
	const char *what;
	struct {
		char how;
		uint64_t number;
		enum kv_verdict verdict;
	} steps[8];
} stories[] = {
	{ "in order", { { 'l', 0, KV_TAKE }, { 'l', 1, KV_TAKE },
	    { 'l', 2, KV_TAKE } } },
	{ "joined in the middle", { { 'l', 7, KV_TAKE }, { 'l', 8, KV_TAKE } } },
	{ "a gap, closed by replay; what had come live meanwhile is known",
	  { { 'l', 0, KV_TAKE }, { 'l', 3, KV_GAP }, { 'r', 0, KV_SKIP },
	    { 'r', 1, KV_TAKE }, { 'r', 2, KV_TAKE }, { 'r', 3, KV_TAKE },
	    { 'r', 4, KV_TAKE }, { 'l', 4, KV_SKIP } } },
	{ "a gap that replay does not reach back to",
	  { { 'l', 0, KV_TAKE }, { 'l', 9, KV_GAP }, { 'r', 5, KV_GAP },
	    { 'g', 6, KV_TAKE }, { 'r', 6, KV_TAKE }, { 'l', 10, KV_GAP } } },
	{ "a publisher that begins anew",
	  { { 'l', 5, KV_TAKE }, { 'l', 6, KV_TAKE }, { 'l', 0, KV_RESTARTED },
	    { 'l', 0, KV_TAKE }, { 'l', 1, KV_TAKE } } },
	{ "anew, and its first ones missed",
	  { { 'l', 5, KV_TAKE }, { 'l', 2, KV_RESTARTED }, { 'l', 2, KV_GAP },
	    { 'r', 0, KV_TAKE }, { 'r', 1, KV_TAKE }, { 'r', 2, KV_TAKE } } },
	{ "the same number twice is another life's",
	  { { 'l', 0, KV_TAKE }, { 'l', 0, KV_RESTARTED }, { 'l', 0, KV_TAKE } } },
};

static void test_every_story_is_told_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stories) / sizeof(*stories); i++) {
		struct kv_sequence s = { 0 };

		for (size_t k = 0; k < 8 && stories[i].steps[k].how != 0; k++) {
			uint64_t n = stories[i].steps[k].number;
			enum kv_verdict got = KV_TAKE;

			switch (stories[i].steps[k].how) {
			case 'l':
				got = kv_sequence_live(&s, n);
				break;
			case 'r':
				got = kv_sequence_replayed(&s, n);
				break;
			default:
				kv_sequence_give_up(&s, n);
			}
			if (got != stories[i].steps[k].verdict)
				fail_msg("%s, step %zu: %d", stories[i].what, k,
				    (int)got);
		}
	}
}

/* Whatever is lost and replayed, each number is taken once and in order. */
static void test_nothing_is_taken_twice_or_out_of_order(void **state)
{
	struct rng rng = { 4 };

	(void)state;
	for (int run = 0; run < 200; run++) {
		struct kv_sequence s = { 0 };
		uint64_t want = 0;

		for (uint64_t n = 0; n < 200; n++) {
			if (n > 0 && rng_below(&rng, 4) == 0)
				continue;	/* lost */
			switch (kv_sequence_live(&s, n)) {
			case KV_TAKE:
				assert_int_equal(n, want++);
				break;
			case KV_GAP:
				for (uint64_t k = want > 2 ? want - 2 : 0;
				     k <= n; k++)
					if (kv_sequence_replayed(&s, k) ==
					    KV_TAKE)
						assert_int_equal(k, want++);
				assert_int_equal(want, n + 1);
				break;
			default:
				fail();
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_story_is_told_right),
		cmocka_unit_test(test_nothing_is_taken_twice_or_out_of_order),
	};

	return cmocka_run_group_tests_name("kv_sequence", tests, NULL, NULL);
}
