#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"
#include "rng.h"

static struct booking of(uint32_t tokens)
{
	return (struct booking){ .tokens = tokens };
}

static enum ledger_result put(struct ledger *l, uint64_t key, uint32_t tokens)
{
	struct booking b = of(tokens), old;

	return ledger_put(l, key, &b, &old);
}

/* What is booked there, taken out; -1: nothing. */
static int64_t take(struct ledger *l, uint64_t key)
{
	struct booking b;

	return ledger_take(l, key, &b) ? (int64_t)b.tokens : -1;
}

static void add_tokens(struct booking *b, void *data)
{
	b->tokens += *(uint32_t *)data;
}

static bool is_any(const struct booking *b, void *data)
{
	(void)b;
	(void)data;
	return true;
}

static bool is_odd(const struct booking *b, void *data)
{
	(void)data;
	return b->tokens % 2 == 1;
}

static void sum_up(const struct booking *b, void *data)
{
	*(uint64_t *)data += b->tokens;
}

/* ---- one by one ---- */

static void test_a_booking_is_taken_once(void **state)
{
	struct ledger *l = ledger_new(64, 1);
	struct held *held = (struct held *)(void *)&l;
	struct endpoint_live *live = (struct endpoint_live *)(void *)&held;
	struct booking b = { .live = live, .waits = held, .generation = 1,
		.tokens = 2, .picked_us = 3, .first_us = 4, .is_stream = true };
	struct booking old, out;

	(void)state;
	assert_int_equal(ledger_put(l, 7, &b, &old), LEDGER_OK);
	assert_int_equal(ledger_count(l), 1);
	assert_false(ledger_take(l, 8, &out));
	assert_true(ledger_take(l, 7, &out));
	assert_ptr_equal(out.live, live);
	assert_ptr_equal(out.waits, held);
	assert_int_equal(out.generation, 1);
	assert_int_equal(out.tokens, 2);
	assert_int_equal(out.picked_us, 3);
	assert_int_equal(out.first_us, 4);
	assert_true(out.is_stream);
	assert_false(ledger_take(l, 7, &out));
	assert_int_equal(ledger_count(l), 0);
	ledger_free(l);
}

static void test_the_same_id_again_replaces(void **state)
{
	struct ledger *l = ledger_new(64, 1);
	struct booking first = of(1), second = of(2), old;

	(void)state;
	assert_int_equal(ledger_put(l, 7, &first, &old), LEDGER_OK);
	assert_int_equal(ledger_put(l, 7, &second, &old), LEDGER_REPLACED);
	assert_int_equal(old.tokens, 1);
	assert_int_equal(ledger_count(l), 1);
	assert_int_equal(take(l, 7), 2);
	assert_int_equal(take(l, 7), -1);
	ledger_free(l);
}

static void test_one_that_waits_is_not_replaced(void **state)
{
	struct ledger *l = ledger_new(64, 1);
	struct booking waits = { .waits = (struct held *)(void *)&l };
	struct booking b = of(5), old = of(99), out;

	(void)state;
	assert_int_equal(ledger_put(l, 7, &waits, &old), LEDGER_OK);
	assert_int_equal(ledger_put(l, 7, &b, &old), LEDGER_WAITING);
	assert_int_equal(ledger_put(l, 7, &waits, &old), LEDGER_WAITING);
	assert_int_equal(old.tokens, 99);
	assert_true(ledger_take(l, 7, &out));
	assert_ptr_equal(out.waits, &l);
	assert_int_equal(out.tokens, 0);
	assert_int_equal(put(l, 7, 5), LEDGER_OK);
	ledger_free(l);
}

static bool is_worth(const struct booking *b, const void *data)
{
	return b->tokens == *(const uint32_t *)data;
}

static void test_one_may_be_taken_on_a_condition(void **state)
{
	struct ledger *l = ledger_new(64, 1);
	uint32_t three = 3, five = 5;
	struct booking out;

	(void)state;
	assert_false(ledger_take_if(l, 7, is_worth, &five, &out));
	put(l, 7, 5);
	assert_false(ledger_take_if(l, 7, is_worth, &three, &out));
	assert_int_equal(ledger_count(l), 1);
	assert_true(ledger_take_if(l, 7, is_worth, &five, &out));
	assert_int_equal(out.tokens, 5);
	assert_int_equal(ledger_count(l), 0);
	ledger_free(l);
}

static void test_a_booking_changes_in_place(void **state)
{
	struct ledger *l = ledger_new(64, 1);
	uint32_t more = 10;

	(void)state;
	assert_false(ledger_change(l, 7, add_tokens, &more));
	put(l, 7, 5);
	put(l, 7 + 64, 6);
	assert_true(ledger_change(l, 7, add_tokens, &more));
	assert_int_equal(take(l, 7), 15);
	assert_int_equal(take(l, 7 + 64), 6);
	ledger_free(l);
}

/* Keys that differ above all that a shard's buckets look at. */
static void test_a_chain_loses_no_link(void **state)
{
	enum { LINKS = 5 };

	(void)state;
	for (unsigned order = 0; order < 120; order++) {
		struct ledger *l = ledger_new(64, 1);
		unsigned rest = order;
		bool is_gone[LINKS] = { false };

		for (uint64_t i = 0; i < LINKS; i++)
			assert_int_equal(put(l, 3 | (i + 1) << 40,
				(uint32_t)i), LEDGER_OK);
		for (unsigned left = LINKS; left > 0; rest /= left--) {
			unsigned nth = rest % left, i = 0;

			while (is_gone[i] || nth-- > 0)
				i++;
			is_gone[i] = true;
			assert_int_equal(take(l, 3 | (i + 1ULL) << 40), i);
			for (unsigned k = 0; k < LINKS; k++) {
				uint32_t none = 0;

				assert_true(ledger_change(l,
				    3 | (k + 1ULL) << 40, add_tokens, &none) !=
				    is_gone[k]);
			}
		}
		assert_int_equal(ledger_count(l), 0);
		ledger_free(l);
	}
}

/* ---- keys ---- */

static void test_a_key_is_the_id_s_and_the_secret_s(void **state)
{
	struct ledger *l = ledger_new(64, 1), *other = ledger_new(64, 2);
	uint64_t seen[64];

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		char id[16];

		snprintf(id, sizeof(id), "id-%zu", i);
		seen[i] = ledger_key(l, span_of(id));
		assert_int_not_equal(seen[i], 0);
		assert_int_equal(seen[i], ledger_key(l, span_of(id)));
		assert_int_not_equal(seen[i], ledger_key(other, span_of(id)));
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(seen[i], seen[k]);
	}
	ledger_free(l);
	ledger_free(other);
}

/* ---- size ---- */

/* Of random ids: shards fill unevenly, and nothing that was promised is refused. */
static void test_it_holds_what_it_was_made_for(void **state)
{
	static const size_t sizes[] = { 1, 64, 65, 1000, 10000, 65536 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct ledger *l = ledger_new(sizes[i], 1);
		struct rng rng = { i }, again = rng;

		for (size_t n = 0; n < sizes[i]; n++)
			assert_int_equal(put(l, rng_next(&rng), (uint32_t)n),
			    LEDGER_OK);
		assert_int_equal(ledger_count(l), sizes[i]);
		for (size_t n = 0; n < sizes[i]; n++)
			assert_int_equal(take(l, rng_next(&again)), n);
		assert_int_equal(ledger_count(l), 0);
		ledger_free(l);
	}
}

/* All of one shard, which is the worst that ids can do. */
static void test_past_its_size_it_is_full_and_loses_nothing(void **state)
{
	struct ledger *l = ledger_new(6400, 1);
	uint64_t n = 0;

	(void)state;
	while (put(l, (n + 1) * 64, (uint32_t)n) == LEDGER_OK)
		n++;
	assert_in_range(n, 100, 200);
	assert_int_equal(put(l, (n + 1) * 64, 0), LEDGER_FULL);
	assert_int_equal(ledger_count(l), n);
	assert_int_equal(put(l, 64, 1000), LEDGER_REPLACED);
	assert_int_equal(put(l, 1, 0), LEDGER_OK);	/* another shard */

	for (int round = 0; round < 3; round++) {	/* what is free is used */
		assert_int_equal(take(l, 64), 1000);
		assert_int_equal(put(l, (n + 1) * 64, 7), LEDGER_OK);
		assert_int_equal(put(l, 64, 0), LEDGER_FULL);
		assert_int_equal(take(l, (n + 1) * 64), 7);
		assert_int_equal(put(l, 64, 1000), LEDGER_OK);
	}
	for (uint64_t i = 1; i < n; i++)
		assert_int_equal(take(l, (i + 1) * 64), i);
	assert_int_equal(ledger_count(l), 2);
	ledger_free(l);
}

/* ---- sweeps ---- */

static void test_a_sweep_takes_what_is_over_and_shows_it(void **state)
{
	struct ledger *l = ledger_new(1000, 1);
	struct rng rng = { 1 }, again = rng;
	uint64_t sum = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		put(l, rng_next(&rng), i);
	assert_int_equal(ledger_sweep(l, SIZE_MAX, is_odd, sum_up, &sum), 500);
	assert_int_equal(sum, 500 * 500);
	assert_int_equal(ledger_count(l), 500);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(take(l, rng_next(&again)),
		    i % 2 == 1 ? -1 : (int64_t)i);
	assert_int_equal(ledger_sweep(l, SIZE_MAX, is_any, sum_up, &sum), 0);
	ledger_free(l);
}

static void test_a_sweep_takes_no_more_than_it_may(void **state)
{
	(void)state;
	for (size_t max = 0; max <= 12; max++) {
		struct ledger *l = ledger_new(64, 1);
		size_t left = 10;
		uint64_t sum = 0;

		for (uint64_t i = 0; i < 5; i++) {	/* alone, then a chain */
			put(l, 10 + i, 1);
			put(l, 20 | (i + 1) << 40, 1);
		}
		while (left > 0 && max > 0) {
			size_t want = left < max ? left : max;

			assert_int_equal(ledger_sweep(l, max, is_any, sum_up,
				&sum), want);
			left -= want;
			assert_int_equal(ledger_count(l), left);
			assert_int_equal(sum, 10 - left);
		}
		assert_int_equal(ledger_sweep(l, max, is_any, sum_up, &sum), 0);
		ledger_free(l);
	}
}

/* ---- any history ends as an array says ---- */

enum { KEYS = 40, STEPS = 200000 };

struct model {
	int64_t tokens[KEYS];	/* -1: not booked */
	bool waits[KEYS];
};

/* Few shards, few buckets, long chains. */
static uint64_t key_of(uint32_t k)
{
	return (k % 3) | (uint64_t)(k / 3 % 4) << 6 | (uint64_t)(k + 1) << 40;
}

static size_t model_count(const struct model *m)
{
	size_t n = 0;

	for (int k = 0; k < KEYS; k++)
		n += m->tokens[k] >= 0;
	return n;
}

static void step_put(struct ledger *l, struct model *m, struct rng *rng)
{
	uint32_t k = rng_below(rng, KEYS);
	struct booking old, b = of(rng_below(rng, 1000));

	b.waits = rng_below(rng, 4) == 0 ? (struct held *)(void *)m : NULL;
	switch (ledger_put(l, key_of(k), &b, &old)) {
	case LEDGER_OK:
		assert_int_equal(m->tokens[k], -1);
		break;
	case LEDGER_REPLACED:
		assert_int_equal(m->tokens[k], old.tokens);
		assert_false(m->waits[k]);
		break;
	case LEDGER_WAITING:
		assert_true(m->tokens[k] >= 0 && m->waits[k]);
		return;
	case LEDGER_FULL:	/* 15 in each of three shards */
		assert_int_equal(m->tokens[k], -1);
		assert_true(model_count(m) >= 15);
		return;
	}
	m->tokens[k] = b.tokens;
	m->waits[k] = b.waits != NULL;
}

static void step_take(struct ledger *l, struct model *m, struct rng *rng)
{
	uint32_t k = rng_below(rng, KEYS);

	assert_int_equal(take(l, key_of(k)), m->tokens[k]);
	m->tokens[k] = -1;
}

static void step_change(struct ledger *l, struct model *m, struct rng *rng)
{
	uint32_t k = rng_below(rng, KEYS), more = rng_below(rng, 100);

	assert_int_equal(ledger_change(l, key_of(k), add_tokens, &more),
	    m->tokens[k] >= 0);
	if (m->tokens[k] >= 0)
		m->tokens[k] += more;
}

static void step_sweep(struct ledger *l, struct model *m, struct rng *rng)
{
	uint64_t sum = 0, want = 0;
	size_t n = 0;

	(void)rng;
	for (int k = 0; k < KEYS; k++) {
		if (m->tokens[k] < 0 || m->tokens[k] % 2 == 0)
			continue;
		want += (uint64_t)m->tokens[k];
		m->tokens[k] = -1;
		n++;
	}
	assert_int_equal(ledger_sweep(l, SIZE_MAX, is_odd, sum_up, &sum), n);
	assert_int_equal(sum, want);
}

static void test_any_history_ends_as_an_array_says(void **state)
{
	struct ledger *l = ledger_new(64, 1);
	struct rng rng = { 7 };
	struct model m;

	(void)state;
	for (int k = 0; k < KEYS; k++)
		m.tokens[k] = -1;
	for (int i = 0; i < STEPS; i++) {
		uint32_t dice = rng_below(&rng, 100);

		if (dice < 45)
			step_put(l, &m, &rng);
		else if (dice < 80)
			step_take(l, &m, &rng);
		else if (dice < 99)
			step_change(l, &m, &rng);
		else
			step_sweep(l, &m, &rng);
		assert_int_equal(ledger_count(l), model_count(&m));
	}
	ledger_free(l);
}

/* ---- threads ---- */

enum { THREADS = 4, TURNS = 20000 };

/* Each put raises what the booking is worth; each taking out lowers it. */
struct crowd {
	struct ledger *ledger;
	_Atomic int64_t worth;
	atomic_bool stop;
};

struct side {
	struct crowd *crowd;
	uint64_t seed;
};

static void lower(const struct booking *b, void *data)
{
	atomic_fetch_sub(&((struct crowd *)data)->worth, b->tokens);
}

static void raise_one(struct booking *b, void *data)
{
	atomic_fetch_add(&((struct crowd *)data)->worth, 1);
	b->tokens++;
}

static void *put_and_take(void *data)
{
	struct side *s = data;
	struct crowd *c = s->crowd;
	struct rng rng = { s->seed };

	for (int i = 0; i < TURNS; i++) {
		uint64_t key = key_of(rng_below(&rng, KEYS));
		struct booking b = of(1 + rng_below(&rng, 1000)), old;

		switch (rng_below(&rng, 3)) {
		case 0:
			atomic_fetch_add(&c->worth, b.tokens);
			switch (ledger_put(c->ledger, key, &b, &old)) {
			case LEDGER_REPLACED:
				lower(&old, c);
				break;
			case LEDGER_OK:
				break;
			default:
				lower(&b, c);
			}
			break;
		case 1:
			if (ledger_take(c->ledger, key, &b))
				lower(&b, c);
			break;
		case 2:
			ledger_change(c->ledger, key, raise_one, c);
			break;
		}
	}
	return NULL;
}

static void *sweep_all_the_time(void *data)
{
	struct crowd *c = data;

	while (!atomic_load(&c->stop))
		ledger_sweep(c->ledger, 3, is_odd, lower, c);
	return NULL;
}

static void test_each_booking_leaves_once_among_threads(void **state)
{
	struct crowd c = { .ledger = ledger_new(64, 1) };
	pthread_t threads[THREADS], sweeper;
	struct side sides[THREADS];

	(void)state;
	pthread_create(&sweeper, NULL, sweep_all_the_time, &c);
	for (uint64_t i = 0; i < THREADS; i++) {
		sides[i] = (struct side){ &c, i };
		assert_int_equal(pthread_create(&threads[i], NULL, put_and_take,
			&sides[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&c.stop, true);
	pthread_join(sweeper, NULL);
	ledger_sweep(c.ledger, SIZE_MAX, is_any, lower, &c);
	assert_int_equal(c.worth, 0);
	assert_int_equal(ledger_count(c.ledger), 0);
	ledger_free(c.ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_booking_is_taken_once),
		cmocka_unit_test(test_the_same_id_again_replaces),
		cmocka_unit_test(test_one_that_waits_is_not_replaced),
		cmocka_unit_test(test_one_may_be_taken_on_a_condition),
		cmocka_unit_test(test_a_booking_changes_in_place),
		cmocka_unit_test(test_a_chain_loses_no_link),
		cmocka_unit_test(test_a_key_is_the_id_s_and_the_secret_s),
		cmocka_unit_test(test_it_holds_what_it_was_made_for),
		cmocka_unit_test(
		    test_past_its_size_it_is_full_and_loses_nothing),
		cmocka_unit_test(test_a_sweep_takes_what_is_over_and_shows_it),
		cmocka_unit_test(test_a_sweep_takes_no_more_than_it_may),
		cmocka_unit_test(test_any_history_ends_as_an_array_says),
		cmocka_unit_test(test_each_booking_leaves_once_among_threads),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
