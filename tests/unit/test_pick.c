#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>

#include "arena.h"
#include "help.h"
#include "pick.h"
#include "plugin.h"
#include "prefix.h"
#include "rng.h"

#define BLOCK64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define PROMPT4 "a" BLOCK64 "b" BLOCK64 "c" BLOCK64 "d" BLOCK64

static struct arena *arena;
static struct rng rng;

/* Four blocks of 64 bytes. */
static struct request ask_four_blocks(struct ask *ask)
{
	struct request r;

	*ask = help_ask("/v1/completions",
	    "{\"model\":\"m\",\"prompt\":\"" PROMPT4 "\"}");
	request_parse(&r, ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	assert_int_equal(r.n_blocks, 4);
	return r;
}

/* With a body, and no prompt that we can see: scheduled by load alone. */
static struct request ask_no_prompt(void)
{
	return (struct request){ .has_body = true };
}

static struct pick pick(const struct help_pool *p, const struct request *r)
{
	struct pick out;

	pick_endpoint(&out, &p->view, r, &rng, arena);
	return out;
}

static size_t row_of(const struct help_pool *p, const struct endpoint *e)
{
	assert_in_range((uintptr_t)e, (uintptr_t)p->endpoints,
	    (uintptr_t)&p->endpoints[p->view.n_endpoints - 1]);
	return (size_t)(e - p->endpoints);
}

/*
 *	     queued  kv   held   queue  kv   prefix   2q + 2kv + 3p
 *	s00       0  .5    0/4     1    .5     0        3
 *	s01       2  0     2/4    .75    1    .5        5
 *	s02       8  .25   4/4     0   .75     1        4.5
 */
static void make_known(struct help_pool *p, const struct request *r)
{
	static const uint32_t queued[] = { 0, 2, 8 };
	static const float kv_used[] = { .5f, 0, .25f };

	help_pool_init(p, "pool", 3);
	for (size_t i = 0; i < 3; i++) {
		p->stats[i].queued = queued[i];
		p->stats[i].running = (uint32_t)i;
		p->stats[i].kv_used = kv_used[i];
	}
	prefix_insert(p->view.prefix, 1, r->blocks, 2, 0);
	prefix_insert(p->view.prefix, 2, r->blocks, 4, 0);
}

static void test_the_weighted_sum_decides(void **state)
{
	struct help_pool p;
	struct ask ask;
	struct request r = ask_four_blocks(&ask);
	struct pick got;

	(void)state;
	make_known(&p, &r);
	r.wants_why = true;
	got = pick(&p, &r);
	assert_int_equal(got.status, 0);
	assert_int_equal(got.n, 3);
	assert_int_equal(row_of(&p, got.choices[0]), 1);
	assert_int_equal(row_of(&p, got.choices[1]), 2);
	assert_int_equal(row_of(&p, got.choices[2]), 0);
	assert_string_equal(got.why, "5.000 of 3: queue-scorer=0.750*2 "
	    "kv-cache-utilization-scorer=1.000*2 prefix-cache-scorer=0.500*3 "
	    "queued=2+0 running=1 kv=0.000 prefix=2/4");
	help_pool_fini(&p);
}

/* ---- scorers that do not keep to 0..1 ---- */

static const float odd[] = { NAN, -1, 2, .25f, INFINITY, -INFINITY, -NAN, 1,
	0, -0.0f, .5f };
static const float tame[] = { 0, 0, 1, .25f, 1, 0, 0, 1, 0, 0, .5f };

enum { N_ODD = sizeof(odd) / sizeof(*odd) };

static float sums[N_ODD];

/* Each value stands at each place once: some loops take four at a time. */
static void odd_score(const struct choice *c, const void *params, float *out)
{
	const size_t *turn = params;

	for (size_t i = 0; i < c->n; i++)
		out[i] = odd[(i + *turn) % N_ODD];
}

static size_t catch_sums(const struct choice *c, const void *params,
    const float *scores, struct rng *r, uint32_t *best, size_t n_best)
{
	(void)params;
	(void)r;
	(void)n_best;
	memcpy(sums, scores, c->n * sizeof(*sums));
	best[0] = 0;
	return 1;
}

static void test_no_scorer_counts_for_less_than_0_or_more_than_1(void **state)
{
	static const struct scorer scorer = { .name = "odd",
		.score = odd_score };
	static const struct picker picker = { .name = "catch",
		.pick = catch_sums };
	size_t turn;
	const struct weighted_scorer scorers[] = { { &scorer, 2, &turn },
		{ &scorer, .5f, &turn } };
	const struct profile profile = { .name = "odd", .scorers = scorers,
		.n_scorers = 2, .picker = &picker };
	struct request r = ask_no_prompt();
	struct help_pool p;

	(void)state;
	help_pool_init(&p, "pool", N_ODD);
	help_pool_profile(&p, &profile);
	for (turn = 0; turn < N_ODD; turn++) {
		assert_int_equal(pick(&p, &r).n, 1);
		for (size_t i = 0; i < N_ODD; i++)
			assert_true(sums[i] ==
			    2.5f * tame[(i + turn) % N_ODD]);
	}
	help_pool_fini(&p);
}

static void test_a_pick_is_reserved_and_remembered(void **state)
{
	struct help_pool p;
	struct ask ask;
	struct request r = ask_four_blocks(&ask);

	(void)state;
	make_known(&p, &r);
	pick(&p, &r);
	assert_int_equal(p.live[0].picked, 0);
	assert_int_equal(p.live[1].picked, 1);
	assert_int_equal(p.live[2].picked, 0);
	assert_int_equal(prefix_count(p.view.prefix, 1), 4);
	r.wants_why = true;	/* now queued 2+1 and 4/4: 2*.625 + 2 + 3 */
	assert_memory_equal(pick(&p, &r).why, "6.250 of 3:", 11);
	help_pool_fini(&p);
}

static void test_why_is_only_for_those_who_asked(void **state)
{
	struct help_pool p;
	struct request r = ask_no_prompt();

	(void)state;
	help_pool_init(&p, "pool", 2);
	assert_null(pick(&p, &r).why);
	r.has_body = false;
	assert_null(pick(&p, &r).why);
	r.wants_why = true;
	assert_string_equal(pick(&p, &r).why, "no body: any endpoint");
	r.has_body = r.is_cut = true;
	assert_non_null(strstr(pick(&p, &r).why, "prefix=0/0 cut"));
	help_pool_fini(&p);
}

/* ---- who may be picked ---- */

static const struct {
	const char *health;	/* f, s, d: one endpoint each */
	const char *never;	/* rows that are not chosen at all */
	const char *first;	/* rows that may come first */
} healths[] = {
	{ "ff", "", "01" },
	{ "fd", "1", "0" },
	{ "dfd", "02", "1" },
	{ "ddd", "", "012" },	/* then our picture is what is wrong */
	{ "fs", "", "0" },
	{ "sd", "1", "0" },
	{ "ssd", "2", "01" },
	{ "d", "", "0" },
};

static uint8_t health_of(char letter)
{
	return letter == 'f' ? ENDPOINT_FRESH :
	    letter == 's' ? ENDPOINT_STALE : ENDPOINT_DOWN;
}

static void test_down_is_avoided_and_stale_comes_last(void **state)
{
	struct request r = ask_no_prompt();

	(void)state;
	for (size_t i = 0; i < sizeof(healths) / sizeof(*healths); i++) {
		struct help_pool p;
		size_t n = strlen(healths[i].health);

		help_pool_init(&p, "pool", n);
		for (size_t k = 0; k < n; k++)
			p.stats[k].health = health_of(healths[i].health[k]);
		for (int round = 0; round < 50; round++) {
			struct pick got = pick(&p, &r);

			arena_reset(arena);
			memset(p.live, 0, sizeof(p.live));
			assert_int_equal(got.n, n - strlen(healths[i].never));
			assert_non_null(strchr(healths[i].first,
			    '0' + (int)row_of(&p, got.choices[0])));
			for (size_t k = 0; k < got.n; k++)
				assert_null(strchr(healths[i].never, '0' +
				    (int)row_of(&p, got.choices[k])));
		}
		help_pool_fini(&p);
	}
}

static void test_an_empty_pool_is_503_once_it_is_known(void **state)
{
	struct help_pool p;
	struct request r = ask_no_prompt();
	struct pick got;

	(void)state;
	help_pool_init(&p, "pool", 0);
	got = pick(&p, &r);
	assert_int_equal(got.status, 503);
	assert_string_equal(got.reason, "rejected-no-endpoints");
	assert_non_null(got.message);
	assert_int_equal(got.n, 0);

	p.view.is_known = false;	/* HAProxy may know better */
	got = pick(&p, &r);
	assert_int_equal(got.status, 0);
	assert_null(got.reason);
	assert_int_equal(got.n, 0);
	help_pool_fini(&p);
}

static void test_a_refused_request_is_not_picked_for(void **state)
{
	struct help_pool p;
	struct request r = { .has_body = true, .status = 400,
		.message = "no model" };
	struct pick got;

	(void)state;
	help_pool_init(&p, "pool", 2);
	got = pick(&p, &r);
	assert_int_equal(got.status, 400);
	assert_string_equal(got.message, "no model");
	assert_int_equal(got.n, 0);
	assert_int_equal(help_picked(&p), 0);
	help_pool_fini(&p);
}

static void test_without_a_body_any_endpoint_will_do(void **state)
{
	struct help_pool p;
	struct request r = { 0 };
	unsigned hits[8] = { 0 };

	(void)state;
	help_pool_init(&p, "pool", 8);
	p.stats[3].health = ENDPOINT_DOWN;
	p.stats[4].queued = 1000;
	for (int i = 0; i < 7000; i++) {
		struct pick got = pick(&p, &r);

		assert_int_equal(got.n, PICK_CHOICES_MAX);
		hits[row_of(&p, got.choices[0])]++;
		for (size_t k = 1; k < got.n; k++)
			assert_ptr_not_equal(got.choices[k], got.choices[k - 1]);
		arena_reset(arena);
	}
	for (size_t i = 0; i < 8; i++)	/* 1000 each, sigma 29 */
		assert_in_range(hits[i], i == 3 ? 0 : 820, i == 3 ? 0 : 1180);
	assert_int_equal(help_picked(&p), 0);
	help_pool_fini(&p);
}

/* ---- properties ---- */

/* The winner's endpoint does not depend on where in the view it stands. */
static void test_the_order_of_the_view_does_not_matter(void **state)
{
	enum { N = 6 };
	struct request r = ask_no_prompt();

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct help_pool p;
		uint32_t winner = 0;

		help_pool_init(&p, "pool", N);
		for (uint32_t shift = 0; shift < N; shift++) {
			struct pick got;
			struct rng numbers = { (uint64_t)round };

			for (uint32_t i = 0; i < N; i++) {
				struct endpoint_stats *s =
				    &p.stats[(i + shift) % N];

				/* Distinct loads: no tie is left to chance. */
				s->queued = rng_below(&numbers, 10) * N + i;
				s->kv_used = (float)rng_below(&numbers, 100) /
				    100.f;
			}
			memset(p.live, 0, sizeof(p.live));
			got = pick(&p, &r);
			assert_int_equal(got.n, PICK_CHOICES_MAX);
			size_t row = row_of(&p, got.choices[0]);
			uint32_t id = (uint32_t)(row + N - shift) % N;

			if (shift == 0)
				winner = id;
			assert_int_equal(id, winner);
			arena_reset(arena);
		}
		help_pool_fini(&p);
	}
}

static void test_every_tied_endpoint_is_hit(void **state)
{
	enum { N = 20, ROUNDS = 10000 };
	struct request r = ask_no_prompt();
	struct help_pool p;
	unsigned hits[N] = { 0 };

	(void)state;
	help_pool_init(&p, "pool", N);
	for (int i = 0; i < ROUNDS; i++) {
		struct pick got = pick(&p, &r);

		hits[row_of(&p, got.choices[0])]++;
		memset(p.live, 0, sizeof(p.live));
		arena_reset(arena);
	}
	for (size_t i = 0; i < N; i++)	/* 500 each, sigma 22 */
		assert_in_range(hits[i], 370, 630);
	help_pool_fini(&p);
}

/* One after the other on equal endpoints: dealt out like cards. */
static void test_a_burst_is_dealt_out_evenly(void **state)
{
	enum { N = 7 };
	struct request r = ask_no_prompt();
	struct help_pool p;

	(void)state;
	help_pool_init(&p, "pool", N);
	for (uint32_t i = 0; i < 10 * N; i++) {
		pick(&p, &r);
		for (size_t k = 0; k < N; k++)
			assert_in_range(p.live[k].picked, i / N, i / N + 1);
		arena_reset(arena);
	}
	help_pool_fini(&p);
}

/* `picked` and `settled` only ever differ by what is on its way. */
static void test_counts_may_wrap(void **state)
{
	struct request r = ask_no_prompt();
	struct help_pool p;

	(void)state;
	help_pool_init(&p, "pool", 2);
	for (size_t i = 0; i < 2; i++)
		p.live[i].picked = p.stats[i].settled = UINT32_MAX - 2;
	for (int i = 0; i < 10; i++)
		pick(&p, &r);
	assert_int_equal(endpoint_unsettled(&p.view, 0), 5);
	assert_int_equal(endpoint_unsettled(&p.view, 1), 5);
	help_pool_fini(&p);
}

/* Workers keep a view for a turn; a slot may join the index meanwhile. */
static void test_a_slot_younger_than_the_view_does_no_harm(void **state)
{
	struct help_pool p;
	struct ask ask;
	struct request r = ask_four_blocks(&ask);
	struct arena *tight = arena_new(16, 1 << 20);	/* so ASan sees the edge */
	struct pick out;

	(void)state;
	help_pool_init(&p, "pool", 2);
	for (uint32_t slot = 2; slot < PREFIX_SLOTS_MAX; slot += 999) {
		prefix_join(p.view.prefix, (uint16_t)slot, 100);
		prefix_insert(p.view.prefix, (uint16_t)slot, r.blocks, 4, 0);
	}
	pick_endpoint(&out, &p.view, &r, &rng, tight);
	assert_int_equal(out.n, 2);
	arena_free(tight);
	help_pool_fini(&p);
}

static void test_several_prompts_count_together(void **state)
{
	struct help_pool p;
	struct ask ask = help_ask("/v1/completions", "{\"model\":\"m\","
	    "\"prompt\":[\"a" BLOCK64 "\",\"b" BLOCK64 "c" BLOCK64 "\","
	    "\"" PROMPT4 "\"]}");
	struct request r;

	(void)state;
	request_parse(&r, &ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	assert_int_equal(r.n_chains, 3);
	help_pool_init(&p, "pool", 2);
	/* s01 holds the second prompt and one block of the third: 1 + 2 + 1 of
	 * 7, for the first is the front of the third. */
	prefix_insert(p.view.prefix, 1, r.blocks + r.chains[1].first, 2, 0);
	prefix_insert(p.view.prefix, 1, r.blocks + r.chains[2].first, 1, 0);
	r.wants_why = true;
	struct pick got = pick(&p, &r);

	assert_int_equal(row_of(&p, got.choices[0]), 1);
	assert_non_null(strstr(got.why, " prefix=4/7"));
	assert_int_equal(prefix_count(p.view.prefix, 1), 6);
	help_pool_fini(&p);
}

/* No memory, no pick, no harm: HAProxy's own balancing serves. */
static void test_a_spent_arena_gives_no_pick(void **state)
{
	struct help_pool p;
	struct request r = ask_no_prompt();

	(void)state;
	help_pool_init(&p, "pool", 64);
	for (size_t max = 16; max <= 256 << 10; max *= 2) {
		struct arena *small = arena_new(16, max);
		struct pick got;
		uint64_t before = help_picked(&p);

		pick_endpoint(&got, &p.view, &r, &rng, small);
		assert_int_equal(got.status, 0);
		assert_int_equal(got.n != 0, help_picked(&p) == before + 1);
		arena_free(small);
	}
	assert_true(help_picked(&p) > 0);
	help_pool_fini(&p);
}

/* ---- in flight ---- */

/* 256 bytes of prompt in blocks of 64, 4 bytes a token; blocks that are held do not
 * count, bytes behind the cut do. */
static const struct {
	size_t held;
	uint64_t unseen;
	uint32_t tokens;
} flights[] = {
	{ 0, 0, 64 }, { 1, 0, 48 }, { 2, 0, 32 }, { 4, 0, 0 },
	{ 0, 3, 64 }, { 0, 4, 65 }, { 4, 400, 100 },
	{ 0, 4 * (1 << 20) - 257, (1 << 20) - 1 },
	{ 0, 4 * (1 << 20), 1 << 20 },		/* no more than a prompt may be */
	{ 4, UINT64_MAX / 2, 1 << 20 },
};

static void test_what_is_to_be_prefilled_is_in_flight(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(flights) / sizeof(*flights); i++) {
		struct help_pool p;
		struct ask ask;
		struct request r = ask_four_blocks(&ask);
		struct pick got;

		help_pool_init(&p, "pool", 1);
		assert_int_equal(r.prompt_bytes, 256);
		r.unseen_bytes = flights[i].unseen;
		prefix_insert(p.view.prefix, 0, r.blocks,
		    (uint32_t)flights[i].held, 0);
		got = pick(&p, &r);
		assert_ptr_equal(got.live, &p.live[0]);
		assert_int_equal(got.tokens, flights[i].tokens);
		assert_int_equal(live_count_get(&p.live[0].requests), 1);
		assert_int_equal(live_count_get(&p.live[0].tokens),
		    flights[i].tokens);
		arena_reset(arena);
		help_pool_fini(&p);
	}
}

static void test_only_the_first_choice_is_in_flight(void **state)
{
	struct request r = ask_no_prompt();
	struct help_pool p;

	(void)state;
	help_pool_init(&p, "pool", 5);
	for (uint32_t i = 1; i <= 20; i++) {
		struct pick got = pick(&p, &r);
		uint32_t requests = 0;

		assert_ptr_equal(got.live, &p.live[row_of(&p, got.choices[0])]);
		for (size_t k = 0; k < 5; k++)
			requests += live_count_get(&p.live[k].requests);
		assert_int_equal(requests, i);
	}
	help_pool_fini(&p);
}

/* Nothing is known of it, so that nobody could take it back. */
static void test_what_is_not_scheduled_is_not_in_flight(void **state)
{
	struct request some[] = { { 0 }, { .has_body = true, .status = 400 } };
	struct help_pool p;

	(void)state;
	help_pool_init(&p, "pool", 1);
	for (size_t i = 0; i < 2; i++) {
		struct pick got = pick(&p, &some[i]);

		assert_null(got.live);
		pick_undo(&got);
	}
	assert_int_equal(live_count_get(&p.live[0].requests), 0);
	help_pool_fini(&p);
}

static void test_undo_takes_back_what_was_raised_once(void **state)
{
	struct help_pool p;
	struct ask ask;
	struct request r = ask_four_blocks(&ask);
	struct pick a, b;

	(void)state;
	help_pool_init(&p, "pool", 1);
	a = pick(&p, &r);
	b = pick(&p, &r);		/* it finds the first one's blocks */
	assert_int_equal(a.tokens, 64);
	assert_int_equal(b.tokens, 0);
	pick_undo(&a);
	assert_int_equal(live_count_get(&p.live[0].requests), 1);
	assert_int_equal(live_count_get(&p.live[0].tokens), 0);
	pick_undo(&a);			/* twice does no harm */
	pick_undo(&b);
	assert_int_equal(live_count_get(&p.live[0].requests), 0);
	assert_int_equal(help_picked(&p), 2);	/* that settles by itself */
	help_pool_fini(&p);
}

/* Tokens that do not fit are not counted, hence not taken back either. */
static void test_a_count_that_is_full_stays_as_it_is(void **state)
{
	struct help_pool p;
	struct ask ask;
	struct request r = ask_four_blocks(&ask);
	struct pick got;

	(void)state;
	help_pool_init(&p, "pool", 1);
	live_count_add(&p.live[0].tokens, UINT32_MAX - 63);
	got = pick(&p, &r);
	assert_int_equal(got.tokens, 0);
	assert_int_equal(live_count_get(&p.live[0].tokens), UINT32_MAX - 63);
	pick_undo(&got);
	assert_int_equal(live_count_get(&p.live[0].tokens), UINT32_MAX - 63);
	assert_int_equal(live_count_get(&p.live[0].requests), 0);
	help_pool_fini(&p);
}

/* ---- what the pool's failureMode says ---- */

static const struct {
	struct pick pick;
	enum failure_mode mode;
	int status;
} settlings[] = {
	{ { .n = 1 }, FAIL_OPEN, 0 }, { { .n = 1 }, FAIL_CLOSE, 0 },
	{ { .n = 0 }, FAIL_OPEN, 0 }, { { .n = 0 }, FAIL_CLOSE, 503 },
	{ { .message = "too busy" }, FAIL_OPEN, 0 },
	{ { .message = "too busy" }, FAIL_CLOSE, 503 },
	/* An answer is an answer. */
	{ { .status = 400 }, FAIL_OPEN, 400 },
	{ { .status = 400 }, FAIL_CLOSE, 400 },
	{ { .status = 429 }, FAIL_CLOSE, 429 },
	{ { .status = 503 }, FAIL_OPEN, 503 },
};

static void test_what_cannot_be_scheduled_fails_open_or_close(void **state)
{
	struct help_pool p;

	(void)state;
	help_pool_init(&p, "pool", 1);
	p.options.saturation.retry_after_s = 9;
	for (size_t i = 0; i < sizeof(settlings) / sizeof(*settlings); i++) {
		const struct pick *was = &settlings[i].pick;
		struct pick got = *was;

		p.options.failure_mode = settlings[i].mode;
		pick_settle(&got, &p.view);
		assert_int_equal(got.status, settlings[i].status);
		if (got.status == was->status) {
			assert_memory_equal(&got, was, sizeof(got));
		} else {
			assert_int_equal(got.retry_after_s, 9);
			assert_non_null(got.message);
			assert_null(got.reason);	/* none of llm-d's says it */
		}
	}
	help_pool_fini(&p);
}

/* Each way to get no endpoint, with the picker's own answer where it has one. */
static void test_each_way_to_get_no_endpoint_fails_close(void **state)
{
	struct request r = ask_no_prompt();
	struct arena *none = arena_new(16, 16);
	struct help_pool p;
	struct pick got;

	(void)state;
	help_pool_init(&p, "pool", 2);
	p.options.failure_mode = FAIL_CLOSE;
	pick_endpoint(&got, &p.view, &r, &rng, none);	/* no memory */
	pick_settle(&got, &p.view);
	assert_int_equal(got.status, 503);
	r.has_body = false;
	pick_endpoint(&got, &p.view, &r, &rng, none);
	pick_settle(&got, &p.view);
	assert_int_equal(got.status, 503);
	p.view.n_endpoints = 0;
	p.view.is_known = false;			/* not known yet */
	got = pick(&p, &r);
	pick_settle(&got, &p.view);
	assert_int_equal(got.status, 503);
	assert_null(got.reason);
	p.view.is_known = true;				/* empty: its own words */
	got = pick(&p, &r);
	pick_settle(&got, &p.view);
	assert_int_equal(got.status, 503);
	assert_string_equal(got.reason, "rejected-no-endpoints");
	assert_int_equal(got.retry_after_s, 1);
	arena_free(none);
	help_pool_fini(&p);
}

/* ---- many at once ---- */

enum { THREADS = 4, ROUNDS = 200, PICKS = 50, CROWD = 8 };

struct crowd {
	struct help_pool pool;
	pthread_barrier_t start, end;
};

static void *crowd_main(void *arg)
{
	struct crowd *c = arg;
	struct request r = ask_no_prompt();
	struct rng mine = { (uint64_t)(uintptr_t)&mine };
	struct arena *a = arena_new(256 << 10, 1 << 20);

	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&c->start);
		for (int i = 0; i < PICKS; i++) {
			struct pick out;

			arena_reset(a);
			pick_endpoint(&out, &c->pool.view, &r, &mine, a);
		}
		pthread_barrier_wait(&c->end);
	}
	arena_free(a);
	return NULL;
}

/* The field's herding bug: all who look at once see the same idle endpoint. */
static void test_a_crowd_spreads_evenly_and_no_pick_is_lost(void **state)
{
	static struct crowd c;
	pthread_t threads[THREADS];

	(void)state;
	help_pool_init(&c.pool, "pool", CROWD);
	pthread_barrier_init(&c.start, NULL, THREADS + 1);
	pthread_barrier_init(&c.end, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, crowd_main, &c);
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		uint64_t even = round * THREADS * PICKS / CROWD;

		pthread_barrier_wait(&c.start);
		pthread_barrier_wait(&c.end);
		assert_int_equal(help_picked(&c.pool), round * THREADS * PICKS);
		for (size_t k = 0; k < CROWD; k++)
			assert_in_range(c.pool.live[k].picked, even - 1,
			    even + 1);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&c.start);
	pthread_barrier_destroy(&c.end);
	help_pool_fini(&c.pool);
}

static int setup(void **state)
{
	(void)state;
	rng.state = 1;
	arena = arena_new(256 << 10, 16 << 20);
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
		unit(test_the_weighted_sum_decides),
		unit(test_no_scorer_counts_for_less_than_0_or_more_than_1),
		unit(test_a_pick_is_reserved_and_remembered),
		unit(test_why_is_only_for_those_who_asked),
		unit(test_down_is_avoided_and_stale_comes_last),
		unit(test_an_empty_pool_is_503_once_it_is_known),
		unit(test_a_refused_request_is_not_picked_for),
		unit(test_without_a_body_any_endpoint_will_do),
		unit(test_the_order_of_the_view_does_not_matter),
		unit(test_every_tied_endpoint_is_hit),
		unit(test_a_burst_is_dealt_out_evenly),
		unit(test_counts_may_wrap),
		unit(test_a_slot_younger_than_the_view_does_no_harm),
		unit(test_several_prompts_count_together),
		unit(test_a_spent_arena_gives_no_pick),
		unit(test_what_is_to_be_prefilled_is_in_flight),
		unit(test_only_the_first_choice_is_in_flight),
		unit(test_what_is_not_scheduled_is_not_in_flight),
		unit(test_undo_takes_back_what_was_raised_once),
		unit(test_a_count_that_is_full_stays_as_it_is),
		unit(test_what_cannot_be_scheduled_fails_open_or_close),
		unit(test_each_way_to_get_no_endpoint_fails_close),
		unit(test_a_crowd_spreads_evenly_and_no_pick_is_lost),
	};

	return cmocka_run_group_tests_name("pick", tests, NULL, NULL);
}
