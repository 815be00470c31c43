#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "arena.h"
#include "help.h"
#include "log.h"
#include "outlier.h"
#include "pick.h"
#include "plugin.h"
#include "rng.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ROUNDS = 500, RACES = 5000 };
#else
enum { ROUNDS = 2000, RACES = 100000 };
#endif

enum { LIMIT = 3, BASE_MS = 30000, MAX_MS = 100000 };

static const int64_t now_ms = 1000000;

static struct help_pool pool;

static void make_pool(size_t n, uint32_t max_percent)
{
	help_pool_init(&pool, "pool", n);
	pool.options.outlier = (struct outlier_options){
		.consecutive_failures = LIMIT, .base_ms = BASE_MS,
		.max_ms = MAX_MS, .max_percent = max_percent };
}

static bool fail_at(size_t row, int64_t at_ms)
{
	return outlier_failed(&pool.view, row, at_ms);
}

/* The last of so many in a row. */
static bool fail_often(size_t row, int64_t at_ms)
{
	for (int i = 1; i < LIMIT; i++)
		assert_false(fail_at(row, at_ms));
	return fail_at(row, at_ms);
}

static void tick(size_t row, int64_t at_ms)
{
	outlier_tick(&pool.live[row], &pool.options.outlier, at_ms);
}

/* ---- every state, every event ---- */

enum event {
	FAIL, LAST_FAIL, SERVE, TAKE, TICK, TICK_DUE, TICK_OFF, FAIL_OFF,
	N_EVENTS,
};

/* In the order of events: the state after it, by its letter; and what is said. */
static const char letters[] = "COHT";
static const struct {
	const char *to, *says;
} table[] = {
	[BREAKER_CLOSED] =	{ "COCCCCCC", ".y.y...." },
	[BREAKER_OPEN] =	{ "OOOOOHCO", "........" },
	[BREAKER_HALF_OPEN] =	{ "HHHTHHCH", "...y...." },
	[BREAKER_TRIAL] =	{ "OOCTTHCT", "yyy....." },
};

static bool happen(enum event event)
{
	struct endpoint_live *l = &pool.live[0];

	switch (event) {
	case LAST_FAIL:
		l->n_failures = LIMIT - 1;
		return fail_at(0, now_ms);
	case FAIL:
		return fail_at(0, now_ms);
	case SERVE:
		return outlier_served(&pool.view, 0);
	case TAKE:
		return outlier_take(l);
	case FAIL_OFF:
		pool.options.outlier.consecutive_failures = 0;
		l->n_failures = UINT16_MAX;
		return fail_at(0, now_ms);
	case TICK_OFF:
		pool.options.outlier.consecutive_failures = 0;
		tick(0, now_ms);
		break;
	case TICK:
		tick(0, now_ms);
		break;
	case TICK_DUE:
		l->due_ms = now_ms;
		tick(0, now_ms);
		break;
	case N_EVENTS:
		break;
	}
	return false;
}

static void test_every_event_in_every_state(void **state)
{
	(void)state;
	for (unsigned from = BREAKER_CLOSED; from <= BREAKER_TRIAL; from++)
		for (unsigned event = 0; event < N_EVENTS; event++) {
			struct endpoint_live *l = &pool.live[0];
			char to = table[from].to[event];
			bool says;

			make_pool(2, 10);
			l->breaker = (uint16_t)from;
			l->due_ms = from == BREAKER_CLOSED ||
			    from == BREAKER_HALF_OPEN ? 0 : now_ms + 1;
			says = happen(event);
			if (letters[l->breaker] != to ||
			    says != (table[from].says[event] == 'y'))
				fail_msg("%c, event %u: %c, %d", letters[from],
				    event, letters[l->breaker], says);
			assert_int_equal(outlier_allows(l),
			    to == 'C' || to == 'H');
			assert_int_equal(pool.live[1].breaker, BREAKER_CLOSED);
			help_pool_fini(&pool);
		}
}

/* ---- failures in a row ---- */

static void test_only_failures_in_a_row_count(void **state)
{
	(void)state;
	make_pool(2, 10);
	for (int i = 0; i < 20; i++) {
		assert_false(fail_at(0, now_ms));
		assert_false(fail_at(0, now_ms));
		assert_false(outlier_served(&pool.view, 0));
		assert_int_equal(pool.live[0].n_failures, 0);
	}
	assert_true(fail_often(0, now_ms));
	help_pool_fini(&pool);
}

/* Those of before say nothing of now. */
static void test_who_comes_back_begins_at_none(void **state)
{
	(void)state;
	make_pool(2, 10);
	assert_true(fail_often(0, now_ms));
	tick(0, now_ms + BASE_MS);
	assert_int_equal(pool.live[0].n_failures, 0);
	assert_true(outlier_take(&pool.live[0]));
	assert_true(outlier_served(&pool.view, 0));
	assert_true(fail_often(0, now_ms + BASE_MS));
	help_pool_fini(&pool);
}

/* Kept in by its pool's share: out with the next failure after there is room. */
static void test_failures_without_end_do_not_wrap(void **state)
{
	(void)state;
	make_pool(4, 10);
	pool.live[1].breaker = BREAKER_OPEN;
	for (int i = 0; i < 3 * UINT16_MAX; i++)
		assert_false(fail_at(0, now_ms));
	assert_int_equal(pool.live[0].n_failures, UINT16_MAX);
	pool.live[1].breaker = BREAKER_CLOSED;
	assert_true(fail_at(0, now_ms));
	help_pool_fini(&pool);
}

static void test_one_limit_is_enough(void **state)
{
	(void)state;
	make_pool(1, 0);
	pool.options.outlier.consecutive_failures = 1;
	assert_true(fail_at(0, now_ms));
	help_pool_fini(&pool);
}

/* ---- how many at once ---- */

static const struct {
	size_t n;
	uint32_t max_percent;
	size_t most;
} shares[] = {
	{ 1, 10, 1 }, { 2, 10, 1 }, { 9, 10, 1 }, { 10, 10, 1 }, { 19, 10, 1 },
	{ 20, 10, 2 }, { 29, 10, 2 }, { 30, 10, 3 }, { 10, 0, 1 }, { 3, 34, 1 },
	{ 3, 66, 1 }, { 3, 67, 2 }, { 4, 50, 2 }, { 10, 100, 10 }, { 64, 10, 6 },
};

static size_t n_ejected(void)
{
	size_t n = 0;

	for (size_t i = 0; i < pool.view.n_endpoints; i++)
		n += pool.live[i].breaker != BREAKER_CLOSED;
	return n;
}

static void test_no_more_than_their_share_are_ejected(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		make_pool(shares[i].n, shares[i].max_percent);
		for (size_t k = 0; k < shares[i].n; k++)
			if (fail_often(k, now_ms) != (k < shares[i].most))
				fail_msg("share %zu, endpoint %zu", i, k);
		assert_int_equal(n_ejected(), shares[i].most);
		/* One on trial is not back yet; one that is back makes room. */
		pool.live[0].breaker = BREAKER_TRIAL;
		if (shares[i].most < shares[i].n) {
			assert_false(fail_at(shares[i].most, now_ms));
			assert_true(outlier_served(&pool.view, 0));
			assert_true(fail_at(shares[i].most, now_ms));
		}
		help_pool_fini(&pool);
	}
}

/* ---- how long ---- */

static void assert_out_until(int64_t until_ms)
{
	tick(0, until_ms - 1);
	assert_int_equal(pool.live[0].breaker, BREAKER_OPEN);
	tick(0, until_ms);
	assert_int_equal(pool.live[0].breaker, BREAKER_HALF_OPEN);
}

static void test_each_ejection_lasts_longer_up_to_the_longest(void **state)
{
	static const int64_t lasts_ms[] = { BASE_MS, 2 * BASE_MS, 3 * BASE_MS,
		MAX_MS, MAX_MS, MAX_MS };
	int64_t at_ms = now_ms;

	(void)state;
	make_pool(2, 10);
	assert_true(fail_often(0, at_ms));
	for (size_t i = 0; i < sizeof(lasts_ms) / sizeof(*lasts_ms); i++) {
		assert_int_equal(pool.live[0].n_ejections, i + 1);
		at_ms += lasts_ms[i];
		assert_out_until(at_ms);
		assert_true(outlier_take(&pool.live[0]));
		assert_true(fail_at(0, at_ms));
	}
	help_pool_fini(&pool);
}

/* Out for BASE_MS, back, and after how long out again: for how long? */
static const struct {
	int64_t back_ms, lasts_ms;
} memories[] = {
	{ 0, 2 * BASE_MS }, { MAX_MS / 2, 2 * BASE_MS },
	{ MAX_MS - 1, 2 * BASE_MS },
	/* Seconds are what is remembered. */
	{ MAX_MS + 1000, BASE_MS }, { 10 * MAX_MS, BASE_MS },
};

static void test_what_was_long_ago_is_forgotten(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(memories) / sizeof(*memories); i++) {
		int64_t at_ms = now_ms;

		make_pool(2, 10);
		assert_true(fail_often(0, at_ms));
		at_ms += BASE_MS;
		assert_out_until(at_ms);
		assert_true(outlier_take(&pool.live[0]));
		assert_true(outlier_served(&pool.view, 0));
		at_ms += memories[i].back_ms;
		assert_true(fail_often(0, at_ms));
		assert_out_until(at_ms + memories[i].lasts_ms);
		help_pool_fini(&pool);
	}
}

static void test_the_number_of_ejections_does_not_wrap(void **state)
{
	(void)state;
	make_pool(2, 10);
	pool.live[0].n_ejections = UINT16_MAX;
	pool.live[0].ejected_s = (uint32_t)(now_ms / 1000);
	assert_true(fail_often(0, now_ms));
	assert_int_equal(pool.live[0].n_ejections, UINT16_MAX);
	assert_out_until(now_ms + MAX_MS);
	help_pool_fini(&pool);
}

/* ---- the trial ---- */

static void test_a_trial_whose_end_is_never_told_is_repeated(void **state)
{
	int64_t at_ms = now_ms;

	(void)state;
	make_pool(2, 10);
	pool.live[0].breaker = BREAKER_HALF_OPEN;
	for (int i = 0; i < 3; i++) {
		assert_true(outlier_take(&pool.live[0]));
		assert_false(outlier_take(&pool.live[0]));
		tick(0, at_ms);		/* the clock runs from here */
		tick(0, at_ms + BASE_MS - 1);
		assert_int_equal(pool.live[0].breaker, BREAKER_TRIAL);
		at_ms += BASE_MS;
		tick(0, at_ms);
		assert_int_equal(pool.live[0].breaker, BREAKER_HALF_OPEN);
		tick(0, at_ms + 10 * BASE_MS);
		assert_int_equal(pool.live[0].breaker, BREAKER_HALF_OPEN);
	}
	help_pool_fini(&pool);
}

/* The clock of a trial that was under way is not that of what follows it. */
static void test_a_failed_trial_is_out_for_its_whole_time(void **state)
{
	(void)state;
	make_pool(2, 10);
	assert_true(fail_often(0, now_ms));
	tick(0, now_ms + BASE_MS);
	assert_true(outlier_take(&pool.live[0]));
	tick(0, now_ms + BASE_MS);
	assert_true(fail_at(0, now_ms + BASE_MS + 10));
	assert_out_until(now_ms + BASE_MS + 10 + 2 * BASE_MS);
	assert_true(outlier_take(&pool.live[0]));
	tick(0, now_ms + 4 * BASE_MS);
	assert_true(outlier_served(&pool.view, 0));
	assert_true(fail_often(0, now_ms + 4 * BASE_MS));
	assert_out_until(now_ms + 4 * BASE_MS + 3 * BASE_MS);
	help_pool_fini(&pool);
}

static void test_switched_off_all_come_back(void **state)
{
	(void)state;
	make_pool(4, 100);
	for (uint16_t i = BREAKER_CLOSED; i <= BREAKER_TRIAL; i++)
		pool.live[i].breaker = i;
	pool.options.outlier.consecutive_failures = 0;
	for (size_t i = 0; i < 4; i++)
		tick(i, now_ms);
	assert_int_equal(n_ejected(), 0);
	help_pool_fini(&pool);
}

/* ---- picks ---- */

static struct arena *arena;
static struct rng rng;

static size_t pick_row(void)
{
	const struct request r = { .has_body = true };
	struct pick out;

	arena_reset(arena);
	pick_endpoint(&out, &pool.view, &r, &rng, arena);
	assert_true(out.n > 0);
	return (size_t)(out.choices[0] - pool.endpoints);
}

static bool is_up(size_t row)
{
	return pool.stats[row].health != ENDPOINT_DOWN;
}

static bool may_be_picked(size_t row)
{
	return is_up(row) && outlier_allows(&pool.live[row]);
}

static bool any(bool (*is)(size_t row))
{
	for (size_t i = 0; i < pool.view.n_endpoints; i++)
		if (is(i))
			return true;
	return false;
}

static void test_no_pick_goes_to_an_ejected_one_while_another_is_left(
    void **state)
{
	(void)state;
	for (int round = 0; round < 2 * ROUNDS; round++) {
		size_t n = 1 + rng_below(&rng, 6), row;
		bool is_allowed[6], has_allowed, has_up;

		make_pool(n, 10);
		for (size_t i = 0; i < n; i++) {
			pool.live[i].breaker = (uint16_t)rng_below(&rng, 4);
			pool.stats[i].queued = rng_below(&rng, 10);
			pool.stats[i].health = (uint8_t)rng_below(&rng, 3);
			is_allowed[i] = may_be_picked(i);
		}
		has_allowed = any(may_be_picked);
		has_up = any(is_up);
		row = pick_row();
		assert_true(is_allowed[row] || !has_allowed);
		assert_true(is_up(row) || !has_up);
		/* A half-open one is taken by it. */
		assert_int_not_equal(pool.live[row].breaker, BREAKER_HALF_OPEN);
		help_pool_fini(&pool);
	}
}

/* The best of all by its numbers, and yet: one. */
static void test_one_request_tries_a_half_open_one(void **state)
{
	(void)state;
	make_pool(4, 10);
	pool.live[2].breaker = BREAKER_HALF_OPEN;
	for (size_t i = 0; i < 4; i++)
		pool.stats[i].queued = i == 2 ? 0 : 100;
	assert_int_equal(pick_row(), 2);
	assert_int_equal(pool.live[2].breaker, BREAKER_TRIAL);
	for (int i = 0; i < 1000; i++)
		assert_int_not_equal(pick_row(), 2);
	assert_int_equal(live_count_get(&pool.live[2].requests), 1);
	assert_true(outlier_served(&pool.view, 2));
	assert_int_equal(pick_row(), 2);
	help_pool_fini(&pool);
}

/* Likes the first candidates best; meanwhile others pick all of them. */
static void score_amid_a_crowd(const struct choice *c, const void *params,
    float *out)
{
	(void)params;
	for (size_t i = 0; i < c->n; i++) {
		out[i] = 1.f / (float)(1 + c->rows[i]);
		endpoint_live(c->view, c->rows[i])->picked++;
	}
}

/* Where no count stands still, a pick is made on one that has moved. */
static void test_however_busy_one_request_tries_a_half_open_one(void **state)
{
	static const struct scorer scorer = { .name = "crowd",
		.score = score_amid_a_crowd };
	static const struct weighted_scorer scorers[] = {
		{ .scorer = &scorer, .weight = 1 },
	};
	const struct profile profile = { .name = "crowd", .scorers = scorers,
		.n_scorers = 1, .picker = profile_default.picker };

	(void)state;
	make_pool(4, 100);
	help_pool_profile(&pool, &profile);
	pool.live[0].breaker = pool.live[1].breaker = BREAKER_HALF_OPEN;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pick_row(), i < 2 ? i : 2);
	assert_int_equal(pool.live[0].breaker, BREAKER_TRIAL);
	assert_int_equal(pool.live[1].breaker, BREAKER_TRIAL);
	help_pool_fini(&pool);
}

/* ---- many at once ---- */

enum { THREADS = 4, PICKS = 20, CROWD = 12 };

/*
 * All at a line: they spin, so that they start within nanoseconds of each other; who
 * waits long lets others run.
 */
struct start {
	unsigned n;
	_Atomic unsigned n_ready, n_takers;
};

static void start_with(struct start *s, unsigned round)
{
	s->n_ready++;
	for (unsigned i = 1; s->n_ready < s->n * round; i++)
		if (i % 1000 == 0)
			sched_yield();
}

static void *take_at_once(void *data)
{
	struct start *s = data;

	for (unsigned race = 0; race < RACES / s->n; race++) {
		start_with(s, 2 * race + 1);
		if (outlier_take(&pool.live[0]))
			s->n_takers++;
		start_with(s, 2 * race + 2);
	}
	return NULL;
}

static void race_for_the_trial(unsigned n)
{
	static struct start s;		/* outlives a failure, for the others' sake */
	pthread_t threads[THREADS];

	s = (struct start){ .n = n };
	for (unsigned i = 1; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_at_once,
			&s), 0);
	for (unsigned race = 0; race < RACES / n; race++) {
		pool.live[0].breaker = BREAKER_HALF_OPEN;
		s.n_takers = 0;
		start_with(&s, 2 * race + 1);
		if (outlier_take(&pool.live[0]))
			s.n_takers++;
		start_with(&s, 2 * race + 2);
		assert_int_equal(s.n_takers, 1);
	}
	for (unsigned i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void test_of_many_who_race_for_the_trial_one_has_it(void **state)
{
	(void)state;
	make_pool(2, 10);
	for (unsigned n = 2; n <= THREADS; n++)
		race_for_the_trial(n);
	help_pool_fini(&pool);
}

struct crowd {
	pthread_barrier_t barrier;
};

static void *pick_at_once(void *data)
{
	const struct request r = { .has_body = true };
	struct arena *mine = arena_new(256 << 10, 1 << 20);
	struct rng numbers = { (uint64_t)(uintptr_t)&mine };
	struct crowd *c = data;

	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&c->barrier);
		for (int i = 0; i < PICKS; i++) {
			struct pick out;

			arena_reset(mine);
			pick_endpoint(&out, &pool.view, &r, &numbers, mine);
		}
		pthread_barrier_wait(&c->barrier);
	}
	arena_free(mine);
	return NULL;
}

/* Half of the pool comes back at once, idle, and every pick wants to go there. */
static void test_a_crowd_of_picks_sends_one_to_each_on_trial(void **state)
{
	static struct crowd c;
	pthread_t threads[THREADS];

	(void)state;
	make_pool(CROWD, 100);
	for (size_t i = 0; i < CROWD; i++)
		pool.stats[i].queued = i % 2 == 0 ? 0 : 1000;
	pthread_barrier_init(&c.barrier, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pick_at_once,
			&c), 0);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < CROWD; i++) {
			live_renew(&pool.live[i]);
			pool.stats[i].settled = pool.live[i].picked;
			if (i % 2 == 0)
				pool.live[i].breaker = BREAKER_HALF_OPEN;
		}
		pthread_barrier_wait(&c.barrier);
		pthread_barrier_wait(&c.barrier);
		for (size_t i = 0; i < CROWD; i += 2)
			if (live_count_get(&pool.live[i].requests) != 1 ||
			    pool.live[i].breaker != BREAKER_TRIAL)
				fail_msg("round %d: %u requests at %zu, state %u",
				    round,
				    live_count_get(&pool.live[i].requests), i,
				    pool.live[i].breaker);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&c.barrier);
	help_pool_fini(&pool);
}

static void *serve_or_tick(void *data)
{
	struct start *s = data;

	for (unsigned race = 0; race < RACES; race++) {
		start_with(s, 2 * race + 1);
		if (race % 2 == 0)
			outlier_served(&pool.view, 0);
		else
			tick(0, now_ms);
		start_with(s, 2 * race + 2);
	}
	return NULL;
}

/* It failed, and served as well, or its time is over: one of them it is, wholly. */
static void test_what_befalls_a_trial_at_once_is_one_thing(void **state)
{
	static struct start s = { .n = 2 };
	struct endpoint_live *l = &pool.live[0];
	pthread_t thread;

	(void)state;
	make_pool(2, 10);
	assert_int_equal(pthread_create(&thread, NULL, serve_or_tick, &s), 0);
	for (unsigned race = 0; race < RACES; race++) {
		bool is_out;

		live_renew(l);
		l->due_ms = race % 4 < 2 ? 0 : now_ms - 1;
		l->breaker = BREAKER_TRIAL;
		start_with(&s, 2 * race + 1);
		is_out = fail_at(0, now_ms);
		start_with(&s, 2 * race + 2);
		assert_int_equal(is_out, l->breaker == BREAKER_OPEN);
		assert_int_equal(is_out, l->n_ejections);
		assert_int_equal(is_out, l->ejected_s != 0);
		if (is_out)
			assert_int_equal(l->due_ms, now_ms + BASE_MS);
		if (l->breaker == BREAKER_HALF_OPEN)
			assert_int_equal(l->due_ms, 0);
	}
	pthread_join(thread, NULL);
	help_pool_fini(&pool);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	rng.state = 1;
	arena = arena_new(256 << 10, 1 << 20);
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_every_event_in_every_state),
		unit(test_only_failures_in_a_row_count),
		unit(test_who_comes_back_begins_at_none),
		unit(test_failures_without_end_do_not_wrap),
		unit(test_one_limit_is_enough),
		unit(test_no_more_than_their_share_are_ejected),
		unit(test_each_ejection_lasts_longer_up_to_the_longest),
		unit(test_what_was_long_ago_is_forgotten),
		unit(test_the_number_of_ejections_does_not_wrap),
		unit(test_a_trial_whose_end_is_never_told_is_repeated),
		unit(test_a_failed_trial_is_out_for_its_whole_time),
		unit(test_switched_off_all_come_back),
		unit(test_no_pick_goes_to_an_ejected_one_while_another_is_left),
		unit(test_one_request_tries_a_half_open_one),
		unit(test_however_busy_one_request_tries_a_half_open_one),
		unit(test_of_many_who_race_for_the_trial_one_has_it),
		unit(test_a_crowd_of_picks_sends_one_to_each_on_trial),
		unit(test_what_befalls_a_trial_at_once_is_one_thing),
	};

	return cmocka_run_group_tests_name("outlier", tests, NULL, NULL);
}
