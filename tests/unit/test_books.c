/*
 * First by example; then any history against an array of who is where; then by many
 * threads at once. What must hold in all: each endpoint's counts are those of the
 * requests that are there, and 0 when all is over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "books.h"
#include "counters.h"
#include "epoch.h"
#include "held.h"
#include "help.h"
#include "log.h"
#include "pick.h"
#include "prefix.h"
#include "record.h"
#include "rng.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { HISTORIES = 100000, TURNS = 3000 };
#else
enum { HISTORIES = 1000000, TURNS = 20000 };
#endif

enum {
	TIMEOUT_MS = 1000,			/* HAProxy's `timeout server` */
	FIRST_BY_US = (TIMEOUT_MS + 60 * 1000) * 1000,
	UNTOLD_US = 6 * TIMEOUT_MS * 1000,
	TEN_S = 10 * 1000 * 1000,
};

static const int64_t start_us = 1000LL * 1000 * 1000;

static struct books *new_books(size_t max_requests)
{
	const struct feedback_options o = { .max_requests = max_requests,
		.server_timeout_ms = TIMEOUT_MS };

	return books_new(&o, 1);
}

/* What pick_endpoint() leaves behind. */
static struct pick picked(struct endpoint_live *live, uint32_t tokens)
{
	assert_true(live_count_add(&live->requests, 1));
	assert_true(live_count_add(&live->tokens, tokens));
	return (struct pick){ .live = live, .tokens = tokens };
}

static struct record record(const char *id, const char *pool, const char *server)
{
	return (struct record){ .id = span_of(id), .pool = span_of(pool),
		.server = span_of(server), .status = 200, .ts = { '-', '-' },
		.tw_ms = 0, .tc_ms = 0, .tr_ms = 1, .ta_ms = 2, .ttft_us = -1 };
}

static struct record failed(struct record r)
{
	r.ts[0] = 'S';
	r.ts[1] = 'H';
	return r;
}

/* ---- examples: one pool "pool" of s00, s01, s02 ---- */

static struct help_pool pool;
static struct books *books;
static struct counters counters;
static int64_t now_us;

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	help_pool_init(&pool, "pool", 3);
	pool.options.outlier = (struct outlier_options){
		.consecutive_failures = 3, .base_ms = 30000, .max_ms = 300000,
		.max_percent = 10 };
	books = new_books(1000);
	counters = (struct counters){ 0 };
	now_us = start_us;
	return books == NULL;
}

static int teardown(void **state)
{
	(void)state;
	books_free(books);
	help_pool_fini(&pool);
	return 0;
}

static uint32_t requests(size_t row)
{
	return live_count_get(&endpoint_live(&pool.view, row)->requests);
}

static uint32_t tokens(size_t row)
{
	return live_count_get(&endpoint_live(&pool.view, row)->tokens);
}

/* Of s00, s01, s02. */
static void assert_requests(uint32_t a, uint32_t b, uint32_t c)
{
	assert_int_equal(requests(0), a);
	assert_int_equal(requests(1), b);
	assert_int_equal(requests(2), c);
}

static void assert_nothing_is_left(void)
{
	assert_requests(0, 0, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(tokens(i), 0);
	assert_int_equal(books_count(books), 0);
}

static void pick_as(struct span id, size_t row, uint32_t n_tokens, bool is_stream)
{
	struct pick p = picked(endpoint_live(&pool.view, row), n_tokens);

	books_open(books, id, &p, is_stream, now_us, &counters);
}

static void pick(const char *id, size_t row, uint32_t n_tokens)
{
	pick_as(span_of(id), row, n_tokens, true);
}

static void first(const char *id, const char *server)
{
	books_first(books, &pool.fleet, span_of(id), span_of("pool"),
	    span_of(server), now_us, &counters);
}

static struct held *ends(struct record r)
{
	return books_end(books, &pool.fleet, &r, now_us, &counters);
}

static struct held *end(const char *id, const char *server)
{
	return ends(record(id, "pool", server));
}

static void test_a_life_is_counted_from_pick_to_end(void **state)
{
	(void)state;
	pick("a", 1, 700);
	assert_requests(0, 1, 0);
	assert_int_equal(tokens(1), 700);
	assert_int_equal(books_count(books), 1);
	first("a", "s01");
	assert_requests(0, 1, 0);
	assert_int_equal(tokens(1), 0);
	assert_null(end("a", "s01"));
	assert_nothing_is_left();
	assert_int_equal(counters.first_tokens, 1);
	assert_int_equal(counters.ends, 1);
	assert_int_equal(counters.unknown_ends, 0);
	assert_int_equal(counters.moved, 0);
}

static void test_an_end_without_first_gives_all_back(void **state)
{
	static const char *const servers[] = { "s01", "s02", "s77", "" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		pick("a", 1, 700);
		assert_null(end("a", servers[i]));
		assert_nothing_is_left();
	}
	pick("a", 1, 700);
	assert_null(ends(record("a", "elsewhere", "s01")));
	assert_nothing_is_left();
	assert_int_equal(counters.ends, 5);
}

/* ---- pace ---- */

static struct endpoint_pace pace[3];

/* Picked with `ahead` there; its first token after `ms`, its end after as many more. */
static void lives(size_t row, uint32_t n_tokens, uint32_t ahead, int64_t ms,
    const char *server)
{
	struct pick p = picked(endpoint_live(&pool.view, row), n_tokens);

	p.ahead = ahead;
	pool.pool_live.pace = pace;
	books_open(books, span_of("a"), &p, true, now_us, &counters);
	now_us += ms * 1000;
	first("a", server);
	now_us += ms * 1000;
	end("a", server);
	pool.pool_live.pace = NULL;
}

/* 1,000 tokens in 100 ms; with 400 ahead, of which 200 were left, in 120 ms. */
static void test_a_pace_is_learned_from_first_tokens(void **state)
{
	(void)state;
	memset(pace, 0, sizeof(pace));
	lives(0, 1000, 0, 100, "s00");
	assert_float_equal(ewma_get(&pace[0].prefill_rate), 10000, 1);
	assert_float_equal(ewma_get(&pace[0].serve_us), 100000, 1);
	lives(1, 1000, 400, 120, "s01");
	assert_float_equal(ewma_get(&pace[1].prefill_rate), 10000, 1);
	lives(2, 5, 0, 30, "s02");	/* 30 ms go to other things */
	lives(2, 1000, 0, 130, "s02");
	assert_float_equal(ewma_get(&pace[2].prefill_rate), 10000, 1);
	lives(2, 70, 0, 59, "s02");	/* mostly those: nothing to learn */
	assert_float_equal(ewma_get(&pace[2].prefill_rate), 10000, 1);
}

/* It warmed up, for ten seconds; then 10,000 a second, as it is. */
static void test_a_bad_sample_is_not_believed_for_good(void **state)
{
	(void)state;
	memset(pace, 0, sizeof(pace));
	lives(0, 1000, 0, 10000, "s00");
	assert_float_equal(ewma_get(&pace[0].prefill_rate), 15928 / 2, 1);
	for (int i = 0; i < 30; i++)
		lives(0, 1000, 0, 100, "s00");
	assert_float_equal(ewma_get(&pace[0].prefill_rate), 10000, 100);
	now_us += 1000000000;
	lives(0, 1000, 0, 10000, "s00");
	assert_float_equal(ewma_get(&pace[0].prefill_rate), 5000, 100);
}

static void test_no_pace_is_learned_from_who_had_to_wait(void **state)
{
	(void)state;
	memset(pace, 0, sizeof(pace));
	lives(0, 1000, 501, 100, "s00");	/* mostly others' tokens */
	lives(0, 1000, PICK_WAITS, 100, "s00");
	lives(0, 63, 0, 100, "s00");		/* next to nothing to compute */
	lives(0, 1000, 0, 100, "s01");		/* served elsewhere */
	for (size_t i = 0; i < 3; i++)
		assert_true(ewma_get(&pace[i].prefill_rate) < 0);
	assert_float_equal(ewma_get(&pace[0].base_us), 100000, 1);
	assert_float_equal(ewma_get(&pace[1].serve_us), 100000, 1);
}

static void test_the_first_token_moves_it_to_who_sent_it(void **state)
{
	(void)state;
	pick("a", 0, 700);
	first("a", "s02");
	assert_requests(0, 0, 1);
	assert_int_equal(tokens(0), 0);
	assert_int_equal(tokens(2), 0);
	first("a", "s01");	/* told twice: the first one counts */
	assert_requests(0, 0, 1);
	end("a", "s02");
	assert_nothing_is_left();
	assert_int_equal(counters.moved, 1);
}

static void test_a_first_token_of_nobody_we_know_stays(void **state)
{
	(void)state;
	pick("a", 0, 700);
	first("a", "s77");
	assert_requests(1, 0, 0);
	assert_int_equal(tokens(0), 0);
	assert_true(ewma_get(&pool.live[0].ttft_us) < 0);
	end("a", "s77");
	assert_nothing_is_left();
}

/* ---- who helps ---- */

/* `row` answers, the others prefill and encode; -1: nobody does. */
static void pick_helped(const char *id, size_t row, int prefill, int encode)
{
	const int rows[] = { prefill, encode };
	struct pick p = picked(endpoint_live(&pool.view, row), 700);

	for (size_t i = 0; i < PICK_HELPERS; i++) {
		struct endpoint_live *l;

		if (rows[i] < 0)
			continue;
		l = endpoint_live(&pool.view, (size_t)rows[i]);
		live_count_add(&l->requests, 1);
		live_count_add(&l->tokens, 500);
		p.helpers[i] = (struct pick_helper){ l, 500 };
	}
	books_open(books, span_of(id), &p, true, now_us, &counters);
}

static void test_who_helps_is_done_at_the_first_token(void **state)
{
	(void)state;
	pick_helped("a", 0, 1, 2);
	assert_requests(1, 1, 1);
	assert_int_equal(tokens(0), 700);
	assert_int_equal(tokens(1), 500);
	first("a", "s00");
	assert_requests(1, 0, 0);
	assert_int_equal(tokens(0) + tokens(1) + tokens(2), 0);
	first("a", "s00");
	end("a", "s00");
	assert_nothing_is_left();
}

/* What another one prefilled says nothing of who decodes. */
static void test_no_pace_is_learned_from_what_was_prefilled_elsewhere(
    void **state)
{
	(void)state;
	memset(pace, 0, sizeof(pace));
	pool.pool_live.pace = pace;
	pick_helped("a", 0, 1, -1);
	now_us += 100000;
	first("a", "s00");
	end("a", "s00");
	pick_helped("b", 0, -1, -1);
	assert_true(ewma_get(&pace[0].prefill_rate) < 0);
	now_us += 70000;
	first("b", "s00");
	assert_float_equal(ewma_get(&pace[0].prefill_rate), 10000, 1);
	assert_true(ewma_get(&pace[1].prefill_rate) < 0);
	end("b", "s00");
	pool.pool_live.pace = NULL;
	assert_nothing_is_left();
}

static void test_or_at_the_end_whatever_came_before(void **state)
{
	(void)state;
	pick_helped("a", 0, 1, 2);
	end("a", "s02");		/* moved, and no first token */
	assert_nothing_is_left();
	pick_helped("a", 0, 1, -1);
	first("a", "s02");		/* moved with its first token */
	assert_requests(0, 0, 1);
	end("a", "s02");
	assert_nothing_is_left();
	pick_helped("a", 0, 0, -1);	/* one that does both */
	assert_requests(2, 0, 0);
	pick_helped("a", 1, 2, -1);	/* it asks again */
	assert_requests(0, 1, 1);
	now_us += FIRST_BY_US;
	first("nobody", "s00");		/* first tokens are told at all */
	now_us++;
	assert_int_equal(books_expire(books, now_us), 1);
	assert_nothing_is_left();
}

/* What comes late for a helper that left changes nothing of who has its slot. */
static void test_a_helper_may_vanish(void **state)
{
	(void)state;
	pick_helped("a", 0, 1, -1);
	live_renew(endpoint_live(&pool.view, 1));
	live_count_add(&endpoint_live(&pool.view, 1)->requests, 1);
	first("a", "s00");
	end("a", "s00");
	assert_requests(0, 1, 0);
}

/*
 * The prefilling engine no longer shows it: its part is over. The one that answers
 * does not show it yet: while somebody prefills that says nothing.
 */
static void test_a_helper_s_part_is_written_off_alone(void **state)
{
	struct endpoint_live *decode = endpoint_live(&pool.view, 0);
	struct endpoint_live *prefill = endpoint_live(&pool.view, 1);

	(void)state;
	pick_helped("a", 0, 1, -1);
	pick_helped("b", 0, 1, -1);
	pick("c", 0, 0);
	now_us += TEN_S;
	assert_int_equal(books_write_off(books, decode, 3, now_us), 1);
	assert_requests(2, 2, 0);	/* c it was */
	assert_int_equal(books_write_off(books, prefill, 1, now_us), 1);
	assert_requests(2, 1, 0);
	assert_int_equal(books_count(books), 2);
	assert_int_equal(books_write_off(books, decode, 3, now_us), 1);
	assert_requests(1, 1, 0);
	assert_int_equal(books_write_off(books, prefill, 3, now_us - TEN_S), 0);
	end("a", "s00");
	end("b", "s00");
	assert_nothing_is_left();
}

static void test_without_books_helpers_are_given_back(void **state)
{
	struct pick p = picked(endpoint_live(&pool.view, 0), 700);

	(void)state;
	live_count_add(&endpoint_live(&pool.view, 1)->requests, 1);
	p.helpers[0] = (struct pick_helper){ endpoint_live(&pool.view, 1), 0 };
	books_open(NULL, span_of("a"), &p, true, now_us, &counters);
	assert_nothing_is_left();
	pick_undo(&p);			/* once is enough */
	assert_nothing_is_left();
}

/* s01 is a rank, and s00 the server that forwards to it. */
static void pick_rank(const char *id)
{
	struct pick p = picked(endpoint_live(&pool.view, 1), 700);

	p.entry = endpoint_live(&pool.view, 0);
	books_open(books, span_of(id), &p, true, now_us, &counters);
}

static void test_what_forwards_to_a_rank_tells_of_the_rank(void **state)
{
	(void)state;
	pick_rank("a");
	assert_requests(0, 1, 0);
	now_us += 5000;
	first("a", "s00");
	assert_requests(0, 1, 0);
	assert_int_equal(tokens(1), 0);
	assert_float_equal(ewma_get(&pool.live[1].ttft_us), 5000, 0.5);
	assert_true(ewma_get(&pool.live[0].ttft_us) < 0);
	end("a", "s00");
	assert_nothing_is_left();
	assert_int_equal(counters.moved, 0);
	/* Served elsewhere, it has moved; failures are the rank's. */
	pick_rank("b");
	first("b", "s02");
	assert_requests(0, 0, 1);
	end("b", "s02");
	assert_nothing_is_left();
	assert_int_equal(counters.moved, 1);
	for (int i = 0; i < 3; i++) {
		pick_rank("c");
		ends(failed(record("c", "pool", "s00")));
	}
	assert_int_equal(pool.live[1].breaker, BREAKER_OPEN);
	assert_int_equal(pool.live[0].breaker, BREAKER_CLOSED);
	assert_nothing_is_left();
}

static void test_nothing_is_given_back_twice(void **state)
{
	(void)state;
	pick("a", 0, 700);
	pick("b", 0, 50);
	for (int i = 0; i < 3; i++)
		end("a", "s00");
	first("a", "s00");
	first("a", "s01");
	end("c", "s00");
	assert_requests(1, 0, 0);
	assert_int_equal(tokens(0), 50);
	assert_int_equal(counters.ends, 1);
	assert_int_equal(counters.unknown_ends, 3);
	end("b", "s00");
	assert_nothing_is_left();
}

static void test_the_same_id_again_is_where_it_was_sent_last(void **state)
{
	(void)state;
	pick("a", 0, 700);
	pick("a", 1, 300);
	assert_requests(0, 1, 0);
	assert_int_equal(tokens(0), 0);
	assert_int_equal(tokens(1), 300);
	first("a", "s01");
	pick("a", 1, 200);	/* and has a first token to come again */
	assert_requests(0, 1, 0);
	assert_int_equal(tokens(1), 200);
	first("a", "s01");
	assert_int_equal(tokens(1), 0);
	end("a", "s01");
	assert_nothing_is_left();
}

static void test_without_room_the_pick_is_given_back(void **state)
{
	enum { MANY = 4000 };
	uint32_t booked;

	(void)state;
	books_free(books);
	books = new_books(64);
	for (int i = 0; i < MANY; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%d", i);
		pick(id, 0, 10);
		assert_int_equal(requests(0), books_count(books));
	}
	booked = (uint32_t)books_count(books);
	assert_in_range(booked, 64, MANY / 2);
	assert_int_equal(counters.unbooked, MANY - booked);
	assert_int_equal(tokens(0), 10 * booked);
	for (int i = 0; i < MANY; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%d", i);
		end(id, "s00");
	}
	assert_nothing_is_left();
	assert_int_equal(counters.ends, booked);
}

/* Clients choose ids where `unique-id-format` is a header of theirs. */
static void test_an_id_that_no_line_can_tell_is_not_booked(void **state)
{
	static char long_id[RECORD_ID_MAX + 2];
	static const struct span ids[] = {
		{ NULL, 0 }, { "", 0 }, { "-", 1 }, { "a b", 3 }, { "a\n", 2 },
		{ "\xc3\xa9", 2 }, { "a\0b", 3 }, { "\x7f", 1 },
		{ long_id, RECORD_ID_MAX + 1 },
	};

	(void)state;
	memset(long_id, 'x', sizeof(long_id));
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		struct held held = { .ask = { .id = ids[i] } };

		pick_as(ids[i], 0, 10, false);
		assert_false(books_hold(books, ids[i], &held, now_us));
		books_first(books, &pool.fleet, ids[i], span_of("pool"),
		    span_of("s00"), now_us, &counters);
		assert_nothing_is_left();
	}
	assert_int_equal(counters.unbooked, 0);
	pick_as((struct span){ long_id, RECORD_ID_MAX }, 0, 10, false);
	assert_int_equal(books_count(books), 1);
	long_id[RECORD_ID_MAX] = '\0';
	end(long_id, "s00");
	assert_nothing_is_left();
}

static void test_without_feedback_nothing_is_booked(void **state)
{
	struct pick p = picked(&pool.live[0], 10), none = { 0 };
	struct held held = { .ask = { .id = span_of("a") } };

	(void)state;
	books_open(NULL, span_of("a"), &p, true, now_us, &counters);
	assert_null(p.live);
	assert_false(books_hold(NULL, span_of("a"), &held, now_us));
	books_first(NULL, &pool.fleet, span_of("a"), span_of("pool"),
	    span_of("s00"), now_us, &counters);
	assert_int_equal(books_write_off(NULL, &pool.live[0], 1, now_us), 0);
	books_open(books, span_of("a"), &none, true, now_us, &counters);
	assert_nothing_is_left();
}

/* ---- those who wait ---- */

static struct held held_of(const char *id)
{
	return (struct held){ .ask = { .id = span_of(id) } };
}

static bool hold(struct held *h)
{
	return books_hold(books, h->ask.id, h, now_us);
}

static bool unhold(struct held *h)
{
	return books_unhold(books, h->ask.id);
}

static void test_one_that_waits_is_nowhere(void **state)
{
	struct held h = held_of("a");

	(void)state;
	assert_true(hold(&h));
	assert_int_equal(books_count(books), 1);
	assert_requests(0, 0, 0);
	first("a", "s00");
	assert_requests(0, 0, 0);
	assert_ptr_equal(end("a", ""), &h);
	assert_null(end("a", ""));
	assert_false(unhold(&h));
	assert_nothing_is_left();
	assert_int_equal(counters.ends, 1);
}

static void test_one_that_waits_may_be_served(void **state)
{
	struct held h = held_of("a");

	(void)state;
	assert_true(hold(&h));
	assert_true(unhold(&h));
	assert_false(unhold(&h));
	pick("a", 2, 9);
	assert_requests(0, 0, 1);
	assert_null(end("a", "s02"));
	assert_nothing_is_left();
}

static void test_an_id_waits_once(void **state)
{
	static char text[] = "a";
	struct held h = held_of("a"), other = held_of(text);

	(void)state;
	assert_true(hold(&h));
	assert_false(hold(&other));
	assert_false(unhold(&other));
	pick("a", 1, 5);	/* cannot be booked, and costs the first nothing */
	assert_int_equal(counters.unbooked, 1);
	assert_requests(0, 0, 0);
	assert_ptr_equal(end("a", "s01"), &h);
	assert_nothing_is_left();
}

static void test_one_that_waits_takes_a_served_one_s_place(void **state)
{
	struct held h = held_of("a");

	(void)state;
	pick("a", 1, 5);
	assert_true(hold(&h));
	assert_requests(0, 0, 0);
	assert_int_equal(tokens(1), 0);
	assert_true(unhold(&h));
	assert_nothing_is_left();
}

/*
 * Its line was faster than whoever serves it, and the same id has come again meanwhile:
 * what is booked now is another's.
 */
static void test_waiting_no_more_is_said_of_the_one_not_of_its_id(void **state)
{
	static char text[] = "a";
	struct held h = held_of("a"), next = held_of(text);

	(void)state;
	assert_true(hold(&h));
	assert_ptr_equal(end("a", ""), &h);
	pick("a", 1, 5);
	assert_false(unhold(&h));
	assert_requests(0, 1, 0);
	assert_null(end("a", "s01"));
	assert_nothing_is_left();

	assert_true(hold(&h));
	assert_ptr_equal(end("a", ""), &h);
	assert_true(hold(&next));
	assert_false(unhold(&h));
	assert_ptr_equal(end("a", ""), &next);
	assert_nothing_is_left();
}

static void test_one_that_waits_is_not_given_up(void **state)
{
	struct held h = held_of("a");

	(void)state;
	assert_true(hold(&h));
	first("b", "s00");
	assert_int_equal(books_expire(books, now_us + 1000LL * FIRST_BY_US), 0);
	assert_int_equal(books_write_off(books, &pool.live[0], 9, INT64_MAX), 0);
	assert_true(unhold(&h));
}

/* ---- endpoints that leave ---- */

/* Its slot is renewed, and another's; `back`: its own again. */
static void leave(size_t row)
{
	live_renew(endpoint_live(&pool.view, row));
}

static void test_what_is_told_late_changes_no_successor(void **state)
{
	(void)state;
	pick("a", 0, 700);
	pick("b", 0, 30);
	first("b", "s00");
	leave(0);
	assert_requests(0, 0, 0);
	pick("c", 0, 5);
	end("a", "s00");
	end("b", "s00");
	assert_requests(1, 0, 0);
	assert_int_equal(tokens(0), 5);
	end("c", "s00");
	assert_nothing_is_left();
}

static void test_a_late_pick_of_the_same_id_changes_no_successor(void **state)
{
	(void)state;
	pick("a", 0, 700);
	leave(0);
	pick("b", 0, 5);
	pick("a", 1, 6);
	assert_requests(1, 1, 0);
	assert_int_equal(tokens(0), 5);
	end("a", "s01");
	end("b", "s00");
	assert_nothing_is_left();
}

/* Whoever is called so now sends its tokens: it is there, in whichever slot. */
static void test_a_late_first_token_counts_where_it_came_from(void **state)
{
	(void)state;
	for (uint16_t slot = 0; slot <= 5; slot += 5) {
		pick("a", 0, 700);
		leave(0);
		pool.stats[0].slot = slot;	/* it is back, here or there */
		first("a", "s00");
		assert_requests(1, 0, 0);
		assert_int_equal(tokens(0), 0);
		end("a", "s00");
		assert_nothing_is_left();
		pool.stats[0].slot = 0;
		assert_nothing_is_left();
	}
}

static void test_a_late_failure_is_no_failure_of_a_successor(void **state)
{
	struct record r = record("a", "pool", "s01");

	(void)state;
	r.is_redispatched = true;
	pick("a", 0, 700);
	leave(0);
	ends(r);
	assert_int_equal(pool.live[0].n_failures, 0);
	assert_true(ewma_get(&pool.live[0].error_rate) < 0);
	assert_int_equal(counters.moved, 1);
	assert_nothing_is_left();
}

static void test_a_pool_may_vanish_under_its_bookings(void **state)
{
	struct endpoint_live *live = live_new();
	static const struct fleet nobody;
	struct record r = record("a", "pool", "s00");

	(void)state;
	pool.view.live = live;
	pick("a", 0, 700);
	pick("b", 1, 70);
	pick("c", 1, 7);
	live_release(live, 3);
	assert_null(books_end(books, &nobody, &r, now_us, &counters));
	assert_ptr_equal(live_new(), live);	/* another pool's by now */
	pick("d", 1, 8);
	first("b", "s00");
	assert_requests(1, 1, 0);
	assert_int_equal(tokens(1), 8);
	end("b", "s00");
	end("c", "s01");
	assert_requests(0, 1, 0);
	assert_int_equal(tokens(1), 8);
	end("d", "s01");
	assert_nothing_is_left();
	live_release(live, 3);
	pool.view.live = pool.live;
}

/* ---- what lines say of speed ---- */

static bool is_about(const struct ewma *e, float want)
{
	return fabsf(ewma_get(e) - want) <= want * 1e-4f;
}

static void test_time_to_first_token_is_pick_to_first(void **state)
{
	(void)state;
	pick("a", 0, 0);
	now_us += 5000;
	first("a", "s01");
	assert_true(is_about(&pool.live[1].ttft_us, 5000));
	assert_true(ewma_get(&pool.live[0].ttft_us) < 0);
	now_us += 5000;
	end("a", "s01");
	assert_true(is_about(&pool.live[1].ttft_us, 5000));

	pick("b", 1, 0);	/* the worker that hears it is a turn behind */
	now_us -= 100;
	first("b", "s01");
	assert_true(is_about(&pool.live[1].ttft_us, 5000.f * 7 / 8));
}

static void test_or_what_the_line_says_of_it(void **state)
{
	struct record r = record("a", "pool", "s00");

	(void)state;
	r.ttft_us = 7000;
	pick("a", 0, 0);
	ends(r);
	assert_true(is_about(&pool.live[0].ttft_us, 7000));
	pick("a", 0, 0);
	r.ttft_us = 100000;
	r.status = 500;		/* a refusal's first byte is no token */
	ends(r);
	assert_true(is_about(&pool.live[0].ttft_us, 7000));
	r.status = 200;
	ends(r);		/* nobody knows when it was picked */
	assert_true(is_about(&pool.live[0].ttft_us, 7000));
}

static const struct {
	bool is_stream;
	uint64_t bytes;
	int64_t ttft_us;	/* -1: none told; else by the line, or */
	bool is_told;		/* ... by a message */
	int64_t end_us;		/* after the pick */
	float want_us;		/* between tokens; negative: unknown */
} speeds[] = {
	{ true, 240 * 100, 1000, true, 1001000, 10000 },
	{ true, 240 * 100, 1000, false, 1001000, 10000 },
	{ true, 240 * 8, 1000, true, 9000, 1000 },
	{ true, 240 * 8 - 1, 1000, true, 9000, -1 },
	{ false, 240 * 100, 1000, true, 1001000, -1 },
	{ true, 240 * 100, -1, false, 1001000, -1 },
	{ true, 240 * 100, 5000, false, 5000, -1 },	/* no time at all */
	{ true, 240 * 100, 9000, false, 5000, -1 },	/* clocks differ */
	{ true, 999999999999999, 1000, true, 1001000, 2.4e-7f },
};

static void test_time_between_tokens_is_a_stream_s_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(speeds) / sizeof(*speeds); i++) {
		struct record r = record("a", "pool", "s00");
		struct ewma *e = &pool.live[0].token_us;

		ewma_reset(e);
		r.bytes = speeds[i].bytes;
		pick_as(span_of("a"), 0, 0, speeds[i].is_stream);
		if (speeds[i].is_told) {
			now_us += speeds[i].ttft_us;
			first("a", "s00");
			now_us -= speeds[i].ttft_us;
		} else {
			r.ttft_us = speeds[i].ttft_us;
		}
		now_us += speeds[i].end_us;
		ends(r);
		if (speeds[i].want_us < 0 ? ewma_get(e) >= 0 :
		    !is_about(e, speeds[i].want_us))
			fail_msg("speed %zu: %g", i, (double)ewma_get(e));
	}
}

/* ---- what lines say of failures ---- */

static void test_failures_are_the_server_s_that_is_named(void **state)
{
	(void)state;
	pick("a", 0, 0);
	ends(failed(record("a", "pool", "s00")));
	assert_int_equal(pool.live[0].n_failures, 1);
	assert_true(is_about(&pool.live[0].error_rate, 1));
	assert_int_equal(counters.server_failures, 1);
	pick("a", 0, 0);
	end("a", "s00");
	assert_int_equal(pool.live[0].n_failures, 0);
	assert_true(is_about(&pool.live[0].error_rate, .875f));
}

/* The agent was restarted: its lines come all the same. */
static void test_a_line_of_no_booking_is_heard_for_its_server(void **state)
{
	struct record r = failed(record("a", "pool", "s00"));

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pool.live[0].breaker, BREAKER_CLOSED);
		ends(r);
	}
	assert_int_equal(pool.live[0].breaker, BREAKER_OPEN);
	assert_int_equal(counters.unknown_ends, 3);
	assert_int_equal(counters.server_failures, 3);
	assert_int_equal(counters.ejections, 1);
	r.id = (struct span){ 0 };
	r.server = span_of("s01");
	ends(r);
	assert_int_equal(pool.live[1].n_failures, 1);
	assert_nothing_is_left();
}

static void test_what_says_nothing_of_the_server_changes_nothing(void **state)
{
	struct record r = record("a", "pool", "s00");

	(void)state;
	pool.live[0].n_failures = 2;
	r.ts[0] = 'C';
	r.ts[1] = 'D';
	pick("a", 0, 7);
	ends(r);
	assert_int_equal(pool.live[0].n_failures, 2);
	assert_true(ewma_get(&pool.live[0].error_rate) < 0);
	assert_nothing_is_left();
}

static const struct {
	uint16_t n_retries;
	bool is_redispatched;
	const char *server;
	bool is_told;		/* its first token */
	uint16_t failures;	/* of s00, which was picked */
	uint64_t moved;
} moves[] = {
	{ 0, false, "s00", false, 0, 0 },
	{ 2, false, "s00", false, 0, 0 },	/* the same again, and well */
	{ 1, false, "s01", false, 1, 1 },
	{ 0, true, "s01", false, 1, 1 },
	{ 1, true, "s01", true, 1, 1 },
	{ 0, false, "s01", false, 0, 1 },	/* HAProxy knew it to be down */
	{ 1, true, "s77", false, 0, 0 },
	{ 1, true, "", false, 0, 0 },
};

static void test_whom_haproxy_turned_away_from_has_failed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(moves) / sizeof(*moves); i++) {
		struct record r = record("a", "pool", moves[i].server);

		pool.live[0].n_failures = 0;
		counters.moved = 0;
		r.n_retries = moves[i].n_retries;
		r.is_redispatched = moves[i].is_redispatched;
		pick("a", 0, 70);
		if (moves[i].is_told)
			first("a", moves[i].server);
		ends(r);
		if (pool.live[0].n_failures != moves[i].failures ||
		    counters.moved != moves[i].moved)
			fail_msg("move %zu", i);
		assert_int_equal(pool.live[1].n_failures, 0);
		assert_nothing_is_left();
	}
}

static void test_a_first_token_ends_a_trial(void **state)
{
	(void)state;
	pool.live[0].breaker = BREAKER_TRIAL;
	pick("a", 0, 70);
	first("a", "s00");
	assert_int_equal(pool.live[0].breaker, BREAKER_CLOSED);
	end("a", "s00");
}

/* ---- what is never told ---- */

static void test_those_written_off_are_so_many(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		char id[] = { (char)('a' + i), '\0' };

		pick(id, 0, 1);
		now_us++;
	}
	pick("z", 1, 1);
	assert_int_equal(books_write_off(books, &pool.live[0], 0, now_us), 0);
	assert_int_equal(books_write_off(books, &pool.live[0], 3, now_us), 3);
	assert_requests(7, 1, 0);
	assert_int_equal(tokens(0), 7);
	assert_int_equal(books_write_off(books, &pool.live[0], 99, start_us), 0);
	assert_int_equal(books_write_off(books, &pool.live[0], 99, now_us), 7);
	assert_requests(0, 1, 0);
	end("z", "s01");
	assert_nothing_is_left();
}

static void test_those_picked_later_are_not_written_off(void **state)
{
	(void)state;
	pick("a", 0, 1);
	now_us++;
	pick("b", 0, 10);
	assert_int_equal(books_write_off(books, &pool.live[0], 9, now_us), 1);
	assert_int_equal(tokens(0), 10);
	end("b", "s00");
	assert_nothing_is_left();
}

static void test_a_predecessor_s_are_not_written_off(void **state)
{
	(void)state;
	pick("a", 0, 1);
	leave(0);
	pick("b", 0, 10);
	assert_int_equal(books_write_off(books, &pool.live[0], 9,
		now_us + 1), 1);
	assert_requests(0, 0, 0);
	assert_int_equal(books_count(books), 1);
	end("a", "s00");
	assert_nothing_is_left();
}

/*
 * p: a pick. f: it has its first token. w: its engine tells what runs there. l: the
 * endpoint leaves. W: its successor's engine tells. o: another's first token is told.
 */
static const struct {
	const char *steps;
	int64_t after_us;	/* it is given up; 0: never */
} expiries[] = {
	{ "p", UNTOLD_US },		/* nothing tells anything */
	{ "pw", 0 },
	{ "po", UNTOLD_US },
	{ "pow", FIRST_BY_US },
	{ "pf", UNTOLD_US },
	{ "pfw", 0 },
	{ "pwl", UNTOLD_US },
	{ "pfwl", UNTOLD_US },
	{ "pflW", UNTOLD_US },
	{ "pfwlW", UNTOLD_US },
};

static void step_of_expiry(char step)
{
	switch (step) {
	case 'p':
		pick("a", 0, 7);
		break;
	case 'f':
		first("a", "s00");
		break;
	case 'o':
		first("b", "s01");
		break;
	case 'w':
	case 'W':
		pool.live[0].is_witnessed = true;
		break;
	case 'l':
		leave(0);
		break;
	}
}

static void test_what_must_be_over_is_given_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(expiries) / sizeof(*expiries); i++) {
		int64_t after_us = expiries[i].after_us;
		size_t n;

		books_free(books);
		books = new_books(64);
		leave(0);
		for (const char *c = expiries[i].steps; *c != '\0'; c++)
			step_of_expiry(*c);
		n = books_expire(books, now_us +
		    (after_us != 0 ? after_us : 1000LL * UNTOLD_US));
		if (n != 0)
			fail_msg("%s: too early", expiries[i].steps);
		if (after_us == 0) {
			end("a", "s00");
			continue;
		}
		n = books_expire(books, now_us + after_us + 1);
		if (n != 1)
			fail_msg("%s: too late", expiries[i].steps);
		assert_nothing_is_left();
		end("a", "s00");
		assert_nothing_is_left();
	}
}

/* ---- any history: the world ---- */

enum {
	POOLS = 2, NAMES = 4, SLOTS = 6,
	FEW = 16,	/* each id has its own bit of tokens: a sum tells whose */
	MANY = 900,	/* more than the ledger has room for */
	ID_BYTES = 8,
};

/* A pool, with who lives in which slot: each endpoint that ever joined is a life. */
struct side {
	const char *name;
	bool is_there;
	struct endpoint_live *live;
	uint32_t lives[SLOTS];		/* 0: nobody */
	int slot_of[NAMES];		/* -1: that name is not there */
	struct endpoint endpoints[NAMES];
	struct endpoint_stats stats[NAMES];
	struct endpoint_view view;
};

/* What we know of a request: who it is with, and what it counts there. */
struct known {
	bool is_booked;
	struct held *waits;
	struct side *side;
	uint32_t slot, life, tokens;
	int64_t picked_us, first_us;
};

struct world {
	struct rng rng;
	int64_t now_us;
	uint32_t n_lives;
	struct side sides[POOLS];
	const struct endpoint_view *views[POOLS];
	struct fleet fleet;
	struct books *books;
	struct counters counters, want;
	bool is_told;			/* first tokens, at all */
	uint32_t n_ids;
	struct known known[MANY];
	char names[MANY][ID_BYTES];
	struct held helds[MANY][2];	/* two may want to wait under one id */
};

static const char *const server_names[NAMES] = { "s0", "s1", "s2", "s3" };

static uint32_t chance(struct world *w, uint32_t n)
{
	return rng_below(&w->rng, n);
}

static void build_view(struct side *s)
{
	size_t n = 0;

	for (size_t i = 0; i < NAMES; i++) {
		if (s->slot_of[i] < 0)
			continue;
		s->endpoints[n].name = span_of(server_names[i]);
		s->endpoints[n].slot = (uint16_t)s->slot_of[i];
		s->stats[n++].slot = (uint16_t)s->slot_of[i];
	}
	s->view = (struct endpoint_view){ .pool = s->name, .is_known = true,
		.n_endpoints = n, .endpoints = s->endpoints, .stats = s->stats,
		.n_slots = SLOTS, .live = s->live, .options = &pool.options };
}

static void build_fleet(struct world *w)
{
	size_t n = 0;

	for (size_t i = 0; i < POOLS; i++)
		if (w->sides[i].is_there)
			w->views[n++] = &w->sides[i].view;
	w->fleet = (struct fleet){ n, w->views };
}

static void join(struct world *w, struct side *s, size_t name)
{
	uint32_t slot = chance(w, SLOTS);

	if (!s->is_there || s->slot_of[name] >= 0)
		return;
	while (s->lives[slot] != 0)
		slot = (slot + 1) % SLOTS;
	s->slot_of[name] = (int)slot;
	s->lives[slot] = ++w->n_lives;
	build_view(s);
}

static void step_join(struct world *w)
{
	join(w, &w->sides[chance(w, POOLS)], chance(w, NAMES));
}

/* As home_unref() does once no view names it. */
static void step_leave(struct world *w)
{
	struct side *s = &w->sides[chance(w, POOLS)];
	size_t name = chance(w, NAMES);

	if (!s->is_there || s->slot_of[name] < 0)
		return;
	s->lives[s->slot_of[name]] = 0;
	live_renew(&s->live[s->slot_of[name]]);
	s->slot_of[name] = -1;
	build_view(s);
}

static void step_vanish(struct world *w)
{
	struct side *s = &w->sides[chance(w, POOLS)];

	if (!s->is_there)
		return;
	live_release(s->live, SLOTS);
	s->is_there = false;
	for (size_t i = 0; i < SLOTS; i++)
		s->lives[i] = 0;
	for (size_t i = 0; i < NAMES; i++)
		s->slot_of[i] = -1;
	build_fleet(w);
}

/* Often the block that another pool had. */
static void appear(struct world *w, struct side *s)
{
	if (s->is_there)
		return;
	s->live = live_new();
	s->is_there = true;
	build_view(s);
	for (size_t i = 0; i < NAMES; i++)
		if (chance(w, 4) != 0)
			join(w, s, i);
	build_fleet(w);
}

static void step_appear(struct world *w)
{
	appear(w, &w->sides[chance(w, POOLS)]);
}

static void step_witness(struct world *w)
{
	struct side *s = &w->sides[chance(w, POOLS)];
	uint32_t slot = chance(w, SLOTS);

	if (s->is_there && s->lives[slot] != 0)
		s->live[slot].is_witnessed = chance(w, 2);
}

static void step_time(struct world *w)
{
	w->now_us += chance(w, 20) != 0 ? chance(w, 200000) :
	    chance(w, 2 * FIRST_BY_US);
}

/* ---- any history: requests ---- */

static bool is_alive(const struct known *k)
{
	return k->is_booked && k->waits == NULL &&
	    k->side->lives[k->slot] == k->life;
}

static uint32_t token_of(struct world *w, uint32_t id)
{
	if (chance(w, 4) == 0)
		return 0;
	return w->n_ids <= FEW ? 1u << id : 1 + chance(w, 1000);
}

static void step_pick(struct world *w)
{
	uint32_t id = chance(w, w->n_ids), row, n_tokens = token_of(w, id);
	struct side *s = &w->sides[chance(w, POOLS)];
	struct known *k = &w->known[id];
	bool is_stream = chance(w, 2);
	struct pick p;

	if (!s->is_there || s->view.n_endpoints == 0)
		return;
	row = chance(w, (uint32_t)s->view.n_endpoints);
	p = picked(endpoint_live(&s->view, row), n_tokens);
	books_open(w->books, span_of(w->names[id]), &p, is_stream, w->now_us,
	    &w->counters);
	if (k->waits != NULL) {
		w->want.unbooked++;
		return;
	}
	if (w->n_ids > FEW && !k->is_booked &&
	    w->counters.unbooked == w->want.unbooked + 1) {
		w->want.unbooked++;	/* its shard is full */
		return;
	}
	*k = (struct known){ .is_booked = true, .side = s,
		.slot = s->stats[row].slot,
		.life = s->lives[s->stats[row].slot], .tokens = n_tokens,
		.picked_us = w->now_us };
}

static void step_pick_untellable(struct world *w)
{
	static const char *const ids[] = { "", "-", "a b" };
	struct side *s = &w->sides[chance(w, POOLS)];
	struct pick p;

	if (!s->is_there || s->view.n_endpoints == 0)
		return;
	p = picked(endpoint_live(&s->view, 0), 1 + chance(w, 1 << 20));
	books_open(w->books, span_of(ids[chance(w, 3)]), &p, true, w->now_us,
	    &w->counters);
}

static void step_hold(struct world *w)
{
	uint32_t id = chance(w, w->n_ids);
	struct held *h = &w->helds[id][chance(w, 2)];
	struct known *k = &w->known[id];
	bool is_held = books_hold(w->books, h->ask.id, h, w->now_us);

	if (k->waits != NULL) {
		assert_false(is_held);
		return;
	}
	if (w->n_ids > FEW && !k->is_booked && !is_held)
		return;			/* its shard is full */
	assert_true(is_held);
	*k = (struct known){ .is_booked = true, .waits = h,
		.picked_us = w->now_us };
}

static void step_unhold(struct world *w)
{
	uint32_t id = chance(w, w->n_ids);
	struct held *h = &w->helds[id][chance(w, 2)];
	struct known *k = &w->known[id];
	bool is_mine = k->waits == h;

	assert_int_equal(books_unhold(w->books, h->ask.id), is_mine);
	if (is_mine)
		*k = (struct known){ 0 };
}

/* Some server's names: the one that it is with, mostly. */
struct names {
	const char *pool, *server;
	struct side *side;	/* NULL: nobody */
	uint32_t slot;
};

static struct names some_server(struct world *w, const struct known *k)
{
	static const char *const nobody[] = { "", "s9", "s" };
	struct side *s = &w->sides[chance(w, POOLS)];
	size_t name = chance(w, NAMES);
	struct names n = { .pool = s->name };

	if (is_alive(k) && chance(w, 3) != 0) {
		s = k->side;
		for (name = 0; s->slot_of[name] != (int)k->slot; name++)
			;
	}
	n = (struct names){ s->name, server_names[name], NULL, 0 };
	if (chance(w, 8) == 0)
		n.server = nobody[chance(w, 3)];
	else if (chance(w, 16) == 0)
		n.pool = nobody[chance(w, 3)];
	else if (s->is_there && s->slot_of[name] >= 0)
		n.side = s;
	if (n.side != NULL)
		n.slot = (uint32_t)s->slot_of[name];
	return n;
}

static void step_first(struct world *w)
{
	uint32_t id = chance(w, w->n_ids);
	struct known *k = &w->known[id];
	struct names n = some_server(w, k);

	books_first(w->books, &w->fleet, span_of(w->names[id]),
	    span_of(n.pool), span_of(n.server), w->now_us, &w->counters);
	w->want.first_tokens++;
	w->is_told = true;
	if (!k->is_booked || k->waits != NULL || k->first_us != 0)
		return;
	k->first_us = w->now_us;
	k->tokens = 0;
	if (n.side == NULL)
		return;
	k->side = n.side;
	k->slot = n.slot;
	k->life = n.side->lives[n.slot];
}

static void end_id(struct world *w, uint32_t id)
{
	static const char states[][3] = { "--", "--", "SH", "sD", "CD", "PR" };
	struct known *k = &w->known[id];
	struct names n = some_server(w, k);
	struct record r = record(w->names[id], n.pool, n.server);

	memcpy(r.ts, states[chance(w, 6)], 2);
	r.status = chance(w, 4) != 0 ? 200 : 503;
	r.n_retries = (uint16_t)chance(w, 2);
	r.is_redispatched = chance(w, 4) == 0;
	r.bytes = chance(w, 1 << 20);
	r.ttft_us = (int64_t)chance(w, 100000) - 1;
	assert_ptr_equal(books_end(w->books, &w->fleet, &r, w->now_us,
		&w->counters), k->waits);
	if (k->is_booked)
		w->want.ends++;
	else
		w->want.unknown_ends++;
	*k = (struct known){ 0 };
}

static void step_end(struct world *w)
{
	end_id(w, chance(w, w->n_ids));
}

static void step_end_unknown(struct world *w)
{
	struct known none = { 0 };
	struct names n = some_server(w, &none);
	struct record r = record(chance(w, 2) ? "never-seen" : "", n.pool,
	    n.server);

	assert_null(books_end(w->books, &w->fleet, &r, w->now_us,
		&w->counters));
	w->want.unknown_ends++;
}

/* ---- any history: what is given up ---- */

static void step_expire(struct world *w)
{
	size_t n = 0;

	for (uint32_t i = 0; i < w->n_ids; i++) {
		struct known *k = &w->known[i];
		int64_t age_us = w->now_us - k->picked_us;
		bool is_witnessed = is_alive(k) &&
		    k->side->live[k->slot].is_witnessed;

		if (!k->is_booked || k->waits != NULL)
			continue;
		if ((k->first_us != 0 || !w->is_told ||
			age_us <= FIRST_BY_US) &&
		    (is_witnessed || age_us <= UNTOLD_US))
			continue;
		*k = (struct known){ 0 };
		n++;
	}
	assert_int_equal(books_expire(w->books, w->now_us), n);
}

static bool is_in_question(const struct known *k, const struct side *s,
    uint32_t slot, int64_t before_us)
{
	return is_alive(k) && k->side == s && k->slot == slot &&
	    k->picked_us < before_us;
}

/* Whose bits are gone from the endpoint's tokens? */
static void write_off_by_bits(struct world *w, struct side *s, uint32_t slot,
    uint32_t gone)
{
	for (uint32_t i = 0; i < w->n_ids; i++)
		if ((gone & 1u << i) != 0) {
			assert_true(is_alive(&w->known[i]));
			assert_ptr_equal(w->known[i].side, s);
			assert_int_equal(w->known[i].slot, slot);
			assert_int_equal(w->known[i].tokens, 1u << i);
			w->known[i] = (struct known){ 0 };
		}
}

static void write_off(struct world *w, struct side *s, uint32_t slot,
    size_t n, int64_t before_us)
{
	struct endpoint_live *l = &s->live[slot];
	uint32_t was = live_count_get(&l->tokens);
	bool is_plain = w->n_ids <= FEW;	/* bits tell who was meant */
	size_t n_all = 0, got;

	for (uint32_t i = 0; i < w->n_ids; i++)
		if (is_in_question(&w->known[i], s, slot, before_us)) {
			is_plain = is_plain && w->known[i].tokens != 0;
			n_all++;
		}
	if (!is_plain && n < n_all)
		n = n_all;
	got = books_write_off(w->books, l, n, before_us);
	assert_int_equal(got, n < n_all ? n : n_all);
	if (got < n_all) {
		uint32_t gone = was - live_count_get(&l->tokens);

		assert_int_equal(__builtin_popcount(gone), got);
		write_off_by_bits(w, s, slot, gone);
		return;
	}
	for (uint32_t i = 0; i < w->n_ids; i++)
		if (is_in_question(&w->known[i], s, slot, before_us))
			w->known[i] = (struct known){ 0 };
}

static void step_write_off(struct world *w)
{
	struct side *s = &w->sides[chance(w, POOLS)];
	uint32_t slot = chance(w, SLOTS);
	int64_t before_us = w->now_us + 1 - (int64_t)chance(w, 500000);

	if (s->is_there && s->lives[slot] != 0)
		write_off(w, s, slot, chance(w, 4), before_us);
}

/* ---- any history: what must hold ---- */

static void check_counts(const struct world *w)
{
	uint32_t n_requests[POOLS][SLOTS] = { 0 }, n_tokens[POOLS][SLOTS] = { 0 };

	for (uint32_t i = 0; i < w->n_ids; i++) {
		const struct known *k = &w->known[i];

		if (!is_alive(k))
			continue;
		n_requests[k->side - w->sides][k->slot]++;
		n_tokens[k->side - w->sides][k->slot] += k->tokens;
	}
	for (size_t i = 0; i < POOLS; i++)
		for (size_t k = 0; k < SLOTS && w->sides[i].is_there; k++) {
			const struct endpoint_live *l = &w->sides[i].live[k];

			if (live_count_get(&l->requests) != n_requests[i][k] ||
			    live_count_get(&l->tokens) != n_tokens[i][k])
				fail_msg("pool %zu slot %zu: %u requests, %u "
				    "tokens; %u, %u expected", i, k,
				    live_count_get(&l->requests),
				    live_count_get(&l->tokens),
				    n_requests[i][k], n_tokens[i][k]);
		}
}

static void check_books(const struct world *w)
{
	size_t n = 0;

	for (uint32_t i = 0; i < w->n_ids; i++)
		n += w->known[i].is_booked;
	assert_int_equal(books_count(w->books), n);
	assert_int_equal(w->counters.first_tokens, w->want.first_tokens);
	assert_int_equal(w->counters.ends, w->want.ends);
	assert_int_equal(w->counters.unknown_ends, w->want.unknown_ends);
	assert_int_equal(w->counters.unbooked, w->want.unbooked);
}

static const struct {
	void (*step)(struct world *w);
	uint32_t weight;
} steps[] = {
	{ step_pick, 30 }, { step_first, 20 }, { step_end, 20 },
	{ step_time, 8 }, { step_hold, 4 }, { step_unhold, 4 },
	{ step_write_off, 3 }, { step_expire, 2 }, { step_end_unknown, 1 },
	{ step_pick_untellable, 1 }, { step_witness, 2 }, { step_join, 3 },
	{ step_leave, 3 }, { step_vanish, 1 }, { step_appear, 2 },
};

static void step_any(struct world *w)
{
	uint32_t sum = 0, dice;
	size_t i = 0;

	for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++)
		sum += steps[k].weight;
	for (dice = chance(w, sum); dice >= steps[i].weight; i++)
		dice -= steps[i].weight;
	steps[i].step(w);
}

/* Most are told to have ended; of the others, nothing may stay for ever. */
static void close_history(struct world *w)
{
	for (uint32_t i = 0; i < w->n_ids; i++)
		if (w->known[i].waits != NULL || chance(w, 3) != 0)
			end_id(w, i);
	w->now_us += FIRST_BY_US + 1;
	step_expire(w);
	check_counts(w);
	for (size_t i = 0; i < POOLS; i++)
		for (uint32_t k = 0; k < SLOTS; k++)
			if (w->sides[i].lives[k] != 0)
				write_off(w, &w->sides[i], k, SIZE_MAX,
				    w->now_us);
	check_counts(w);
	assert_int_equal(books_count(w->books), 0);
	check_books(w);
	for (uint32_t i = 0; i < w->n_ids; i++)
		assert_false(w->known[i].is_booked);
}

static void world_init(struct world *w, uint64_t seed)
{
	w->rng.state = seed;
	w->now_us = start_us;
	w->books = new_books(64);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(w->names[i], ID_BYTES, "id-%zu", i);
		for (size_t k = 0; k < 2; k++)
			w->helds[i][k].ask.id = (struct span){
				strdup(w->names[i]), strlen(w->names[i]) };
	}
	for (size_t i = 0; i < POOLS; i++) {
		w->sides[i].name = i == 0 ? "one" : "two";
		for (size_t k = 0; k < NAMES; k++)
			w->sides[i].slot_of[k] = -1;
		appear(w, &w->sides[i]);
	}
}

static void world_fini(struct world *w)
{
	for (size_t i = 0; i < MANY; i++)
		for (size_t k = 0; k < 2; k++)
			free((char *)w->helds[i][k].ask.id.ptr);
	for (size_t i = 0; i < POOLS; i++)
		if (w->sides[i].is_there)
			live_release(w->sides[i].live, SLOTS);
	books_free(w->books);
}

/* Nobody has told it of first tokens. */
static void renew_books(struct world *w)
{
	books_free(w->books);
	w->books = new_books(64);
	w->is_told = false;
}

/* One request alone, a few interleaved, or a crowd that does not fit. */
static void test_any_history_ends_with_nothing_left(void **state)
{
	static const uint32_t crowds[] = { 1, 1, 1, 2, 4, FEW };
	static struct world w;

	(void)state;
	world_init(&w, 1);
	for (uint32_t n = 0; n < HISTORIES; n++) {
		uint32_t n_steps;

		if (n % 100 == 0)
			renew_books(&w);
		w.n_ids = n % 50000 == 49999 ? MANY : crowds[chance(&w, 6)];
		n_steps = 1 + chance(&w, 6 + 4 * w.n_ids);
		for (uint32_t i = 0; i < n_steps; i++) {
			step_any(&w);
			if (w.n_ids <= FEW || i % 64 == 0)
				check_counts(&w);
		}
		check_books(&w);
		close_history(&w);
	}
	assert_true(w.counters.unbooked > 0);
	world_fini(&w);
}

/* ---- many threads ---- */

enum { WORKERS = 3, TOWN = 4, TOWN_SLOTS = 6, TOWN_IDS = 24 };

struct town {
	struct epoch *epoch;
	struct books *books;
	struct endpoint_live *live;
	char ids[TOWN_IDS][ID_BYTES];
	atomic_bool is_over;
	_Atomic unsigned n_returned;	/* who waited, by books_end() */
};

/* What is published: no row for a slot that is another's by now. */
struct town_fleet {
	struct fleet fleet;
	const struct endpoint_view *views[1];
	struct endpoint_view view;
	struct endpoint endpoints[TOWN];
	struct endpoint_stats stats[TOWN];
};

static struct fleet *town_fleet(const struct town *t, const int *slot_of)
{
	struct town_fleet *f = calloc(1, sizeof(*f));
	size_t n = 0;

	assert_non_null(f);
	for (size_t i = 0; i < TOWN; i++) {
		if (slot_of[i] < 0)
			continue;
		f->endpoints[n].name = span_of(server_names[i]);
		f->stats[n++].slot = (uint16_t)slot_of[i];
	}
	f->view = (struct endpoint_view){ .pool = "pool", .n_endpoints = n,
		.endpoints = f->endpoints, .stats = f->stats, .live = t->live,
		.options = &pool.options };
	f->views[0] = &f->view;
	f->fleet = (struct fleet){ 1, f->views };
	return &f->fleet;
}

struct citizen {
	struct town *town;
	size_t reader;
	struct rng rng;
	struct counters counters;
	unsigned n_held, n_unheld;
	pthread_t thread;
};

static struct span some_id(struct citizen *c)
{
	return span_of(c->town->ids[rng_below(&c->rng, TOWN_IDS)]);
}

static void pick_in_town(struct citizen *c, const struct fleet *fleet,
    int64_t at_us)
{
	const struct endpoint_view *v = fleet->pools[0];
	struct pick p = picked(endpoint_live(v, rng_below(&c->rng,
		(uint32_t)v->n_endpoints)), rng_below(&c->rng, 1000));

	books_open(c->town->books, some_id(c), &p, true, at_us, &c->counters);
}

/* And serves it at once, as the flow thread does. */
static void hold_in_town(struct citizen *c, const struct fleet *fleet,
    int64_t at_us)
{
	struct span id = some_id(c);
	struct held h = { .ask = { .id = id } };
	char copy[ID_BYTES];

	memcpy(copy, id.ptr, id.len);
	h.ask.id.ptr = copy;
	if (!books_hold(c->town->books, h.ask.id, &h, at_us))
		return;
	c->n_held++;
	if (books_unhold(c->town->books, h.ask.id)) {
		c->n_unheld++;
		pick_in_town(c, fleet, at_us);
	}
}

static void *work(void *data)
{
	struct citizen *c = data;
	struct town *t = c->town;

	for (int turn = 0; turn < TURNS; turn++) {
		int64_t at_us = start_us + turn;
		const struct fleet *fleet;

		epoch_online(t->epoch, c->reader);
		fleet = epoch_get(t->epoch);
		switch (rng_below(&c->rng, 8)) {
		case 0:
			hold_in_town(c, fleet, at_us);
			break;
		case 1:
		case 2:
		case 3:
			pick_in_town(c, fleet, at_us);
			break;
		default:
			books_first(t->books, fleet, some_id(c),
			    span_of("pool"), span_of(server_names[
				rng_below(&c->rng, TOWN)]), at_us,
			    &c->counters);
		}
		epoch_offline(t->epoch, c->reader);
	}
	return NULL;
}

static void end_in_town(struct citizen *c, struct span id, int64_t at_us)
{
	struct town *t = c->town;
	struct record r = record("", "pool",
	    server_names[rng_below(&c->rng, TOWN)]);

	r.id = id;
	if (rng_below(&c->rng, 4) == 0)
		r = failed(r);
	r.is_redispatched = rng_below(&c->rng, 4) == 0;
	t->n_returned += books_end(t->books, epoch_get(t->epoch), &r, at_us,
	    &c->counters) != NULL;
}

static void *hear(void *data)
{
	struct citizen *c = data;
	struct town *t = c->town;

	for (int turn = 0; !atomic_load(&t->is_over); turn++) {
		int64_t at_us = start_us + turn % TURNS;

		epoch_online(t->epoch, c->reader);
		end_in_town(c, some_id(c), at_us);
		epoch_offline(t->epoch, c->reader);
		if (turn % 16 == 0)
			books_expire(t->books, at_us + (turn % 32 == 0 ?
				FIRST_BY_US : UNTOLD_US) - TURNS / 2);
	}
	return NULL;
}

static int free_slot(const int *slot_of, struct rng *rng)
{
	int slot = (int)rng_below(rng, TOWN_SLOTS);

	for (size_t i = 0; i < TOWN; i++)
		if (slot_of[i] == slot) {
			slot = (slot + 1) % TOWN_SLOTS;
			i = (size_t)-1;
		}
	return slot;
}

/* An endpoint leaves; once nobody sees it, its slot is renewed; it comes back. */
static void *rebuild(void *data)
{
	struct citizen *c = data;
	struct town *t = c->town;
	int slot_of[TOWN] = { 0, 1, 2, 3 };

	while (!atomic_load(&t->is_over)) {
		size_t name = rng_below(&c->rng, TOWN);
		int slot = slot_of[name];

		books_write_off(t->books, &t->live[slot], 2,
		    start_us + rng_below(&c->rng, TURNS));
		t->live[slot].is_witnessed = rng_below(&c->rng, 2);
		slot_of[name] = -1;
		epoch_publish(t->epoch, town_fleet(t, slot_of));
		while (epoch_reclaim(t->epoch) > 0)
			sched_yield();
		live_renew(&t->live[slot]);
		slot_of[name] = free_slot(slot_of, &c->rng);
		epoch_publish(t->epoch, town_fleet(t, slot_of));
	}
	return NULL;
}

static void town_init(struct town *t)
{
	static const int slot_of[TOWN] = { 0, 1, 2, 3 };

	*t = (struct town){ .books = new_books(64), .live = live_new() };
	t->epoch = epoch_new(WORKERS + 1, town_fleet(t, slot_of), free);
	for (size_t i = 0; i < TOWN_IDS; i++)
		snprintf(t->ids[i], ID_BYTES, "id-%zu", i);
}

static void test_nothing_is_left_of_what_many_threads_did(void **state)
{
	static struct citizen citizens[WORKERS + 2];
	static struct town t;
	unsigned n_held = 0, n_unheld = 0;

	(void)state;
	town_init(&t);
	for (size_t i = 0; i < WORKERS + 2; i++) {
		struct citizen *c = &citizens[i];

		*c = (struct citizen){ .town = &t, .reader = i, .rng = { i } };
		assert_int_equal(pthread_create(&c->thread, NULL, i < WORKERS ?
			work : i == WORKERS ? hear : rebuild, c), 0);
	}
	for (size_t i = 0; i < WORKERS + 2; i++) {
		if (i == WORKERS)
			atomic_store(&t.is_over, true);
		pthread_join(citizens[i].thread, NULL);
		n_held += citizens[i].n_held;
		n_unheld += citizens[i].n_unheld;
	}
	for (size_t i = 0; i < TOWN_IDS; i++)
		end_in_town(&citizens[0], span_of(t.ids[i]), start_us);
	assert_int_equal(books_count(t.books), 0);
	for (size_t i = 0; i < TOWN_SLOTS; i++) {
		assert_int_equal(live_count_get(&t.live[i].requests), 0);
		assert_int_equal(live_count_get(&t.live[i].tokens), 0);
	}
	assert_int_equal(n_held, n_unheld + t.n_returned);
	epoch_free(t.epoch);
	live_release(t.live, TOWN_SLOTS);
	books_free(t.books);
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- answers take room behind their prompts ---- */

/* Bytes of the answer, as a stream or not, at most so many tokens asked for: blocks. */
static const struct {
	uint64_t bytes;
	bool is_stream;
	uint32_t max_tokens, blocks;
	uint16_t status;
	const char *server;
} answers[] = {
	/* blocks of 16 tokens here; 240 bytes a token of a stream, to the nearest */
	{ 240 * 160, true, 0, 10, 200, "s01" },
	{ 240 * 167, true, 0, 10, 200, "s01" },
	{ 240 * 168, true, 0, 11, 200, "s01" },
	{ 240 * 7, true, 0, 0, 200, "s01" },
	{ 0, true, 0, 0, 200, "s01" },
	{ 240 * 160, true, 32, 2, 200, "s01" },
	{ 600 + 4 * 160, false, 0, 10, 200, "s01" },
	{ 599, false, 0, 0, 200, "s01" },
	{ 240 * 160, true, 0, 0, 503, "s01" },	/* no answer, but a page of error */
	{ 240 * 160, true, 0, 0, 200, "s02" },	/* its prompt is not there */
};

static void test_an_answer_takes_the_room_its_tokens_need(void **state)
{
	const uint64_t chain[] = { 1 << 20, 2 << 20, 3 << 20, 4 << 20, 5 << 20 };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct record r = record("id", "pool", answers[i].server);
		struct pick p = picked(endpoint_live(&pool.view, 1), 0);

		prefix_purge(pool.view.prefix, 1);
		prefix_insert(pool.view.prefix, 1, chain, 5, 0);
		p.last_block = chain[3];
		p.max_tokens = answers[i].max_tokens;
		books_open(books, r.id, &p, answers[i].is_stream, now_us,
		    &counters);
		r.bytes = answers[i].bytes;
		r.status = answers[i].status;
		/* Twice the same line is once the same answer. */
		for (int twice = 0; twice < 2; twice++) {
			books_end(books, &pool.fleet, &r, now_us, &counters);
			if (prefix_count(pool.view.prefix, 1) !=
			    5 + answers[i].blocks)
				fail_msg("answer %zu: %u", i,
				    prefix_count(pool.view.prefix, 1));
		}
		assert_int_equal(prefix_count(pool.view.prefix, 2), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_a_life_is_counted_from_pick_to_end),
		unit(test_an_end_without_first_gives_all_back),
		unit(test_a_pace_is_learned_from_first_tokens),
		unit(test_a_bad_sample_is_not_believed_for_good),
		unit(test_no_pace_is_learned_from_who_had_to_wait),
		unit(test_the_first_token_moves_it_to_who_sent_it),
		unit(test_a_first_token_of_nobody_we_know_stays),
		unit(test_nothing_is_given_back_twice),
		unit(test_who_helps_is_done_at_the_first_token),
		unit(test_no_pace_is_learned_from_what_was_prefilled_elsewhere),
		unit(test_or_at_the_end_whatever_came_before),
		unit(test_a_helper_may_vanish),
		unit(test_a_helper_s_part_is_written_off_alone),
		unit(test_without_books_helpers_are_given_back),
		unit(test_what_forwards_to_a_rank_tells_of_the_rank),
		unit(test_the_same_id_again_is_where_it_was_sent_last),
		unit(test_without_room_the_pick_is_given_back),
		unit(test_an_id_that_no_line_can_tell_is_not_booked),
		unit(test_without_feedback_nothing_is_booked),
		unit(test_one_that_waits_is_nowhere),
		unit(test_one_that_waits_may_be_served),
		unit(test_an_id_waits_once),
		unit(test_one_that_waits_takes_a_served_one_s_place),
		unit(test_waiting_no_more_is_said_of_the_one_not_of_its_id),
		unit(test_one_that_waits_is_not_given_up),
		unit(test_what_is_told_late_changes_no_successor),
		unit(test_a_late_pick_of_the_same_id_changes_no_successor),
		unit(test_a_late_first_token_counts_where_it_came_from),
		unit(test_a_late_failure_is_no_failure_of_a_successor),
		unit(test_a_pool_may_vanish_under_its_bookings),
		unit(test_time_to_first_token_is_pick_to_first),
		unit(test_or_what_the_line_says_of_it),
		unit(test_time_between_tokens_is_a_stream_s_bytes),
		unit(test_failures_are_the_server_s_that_is_named),
		unit(test_a_line_of_no_booking_is_heard_for_its_server),
		unit(test_what_says_nothing_of_the_server_changes_nothing),
		unit(test_whom_haproxy_turned_away_from_has_failed),
		unit(test_a_first_token_ends_a_trial),
		unit(test_those_written_off_are_so_many),
		unit(test_those_picked_later_are_not_written_off),
		unit(test_a_predecessor_s_are_not_written_off),
		unit(test_what_must_be_over_is_given_up),
		unit(test_any_history_ends_with_nothing_left),
		unit(test_nothing_is_left_of_what_many_threads_did),
		cmocka_unit_test_setup_teardown(
		    test_an_answer_takes_the_room_its_tokens_need, setup,
		    teardown),
	};

	return cmocka_run_group_tests_name("books", tests, NULL, NULL);
}
