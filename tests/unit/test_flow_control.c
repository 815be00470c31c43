/*
 * The flow thread is the real one; workers are played by the test: of each there is
 * only what worker_deliver() needs, and its mail is read when the test says so.
 *
 * That something did not happen is shown by a probe, which waits for a pool that is
 * not there and hence goes in the flow thread's next turn: once a second probe is
 * answered, the turn of the first one is over for all pools.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"
#include "books.h"
#include "clock.h"
#include "counters.h"
#include "epoch.h"
#include "flow_control.h"
#include "held.h"
#include "help_flow.h"
#include "log.h"
#include "mailbox.h"
#include "record.h"
#include "worker_state.h"

enum { ANSWERS_MAX = 64, READER = 0, MAIN = 1, READERS = 2, LONG_MS = 60000 };

/* What a request was told in the end. */
struct answer {
	char id[32], ep[16], reason[48], message[64];
	int status, retry_after;
};

static struct lab {
	struct help_pool pool;		/* "pool", of one endpoint, full */
	struct epoch *fleet;
	struct books *books;
	struct flow_control *flow;
	struct worker worker;
	ev_timer deadline;
	struct answer answers[ANSWERS_MAX];
	size_t n_answers, n_probes;
	uint64_t n_asked;
} lab;

static const struct counters *counters(void)
{
	return flow_control_counters(lab.flow);
}

/* ---- answers ---- */

static void keep_text(char *to, size_t max, struct span text)
{
	snprintf(to, max, "%.*s", (int)text.len, text.len > 0 ? text.ptr : "");
}

static int number_of(const struct help_actions *got, const char *name)
{
	const struct spop_data *v = help_var(got, name);

	return v != NULL && v->type == SPOP_INT64 ? (int)v->number : 0;
}

static void keep_answer(struct answer *a, const struct held *h)
{
	struct help_actions got;

	assert_true(help_read_actions(reader_over(h->actions, h->n_actions),
	    &got));
	assert_true(got.n > 0);
	keep_text(a->id, sizeof(a->id), h->ask.id);
	keep_text(a->ep, sizeof(a->ep), help_text(&got, "ep"));
	keep_text(a->reason, sizeof(a->reason), help_text(&got, "reason"));
	keep_text(a->message, sizeof(a->message), help_text(&got, "message"));
	a->status = number_of(&got, "status");
	a->retry_after = number_of(&got, "retry_after");
}

static void on_mail(void *data, void *mail)
{
	struct held *h = mail;

	(void)data;
	assert_int_equal(h->state, HELD_DONE);
	if (span_is_text(h->ask.pool, "probe")) {
		lab.n_probes++;
	} else {
		assert_in_range(lab.n_answers, 0, ANSWERS_MAX - 1);
		keep_answer(&lab.answers[lab.n_answers++], h);
	}
	held_drop(h);
}

static void on_drop(void *data, void *mail)
{
	(void)data;
	held_drop(mail);
}

static void on_deadline(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	fail_msg("waited too long: %zu answers, %zu probes", lab.n_answers,
	    lab.n_probes);
}

static void read_mail(void)
{
	ev_now_update(lab.worker.loop);
	ev_timer_set(&lab.deadline, HELP_WAIT_MS / 1000., 0.);
	ev_timer_start(lab.worker.loop, &lab.deadline);
	ev_run(lab.worker.loop, EVRUN_ONCE);
	ev_timer_stop(lab.worker.loop, &lab.deadline);
}

/* Until so many were answered, which is all there are. */
static void await(size_t n)
{
	while (lab.n_answers < n)
		read_mail();
	assert_int_equal(lab.n_answers, n);
}

/* ---- asks ---- */

struct who {
	const char *id;
	int32_t priority;
	const char *fairness;
	int64_t slo_ms;
	uint64_t bytes;
	int64_t ttl_ms;
};

static struct held *held_for(const char *pool, const struct who *who)
{
	struct ask ask = help_ask("/v1/completions", "{}");
	struct request r = { .ask = &ask, .has_body = true,
		.fairness = span_of(who->fairness) };
	struct held *h;

	ask.id = span_of(who->id);
	ask.pool = span_of(pool);
	h = held_new(&r);
	assert_non_null(h);
	h->waiter = (struct waiter){ .priority = who->priority,
		.fairness_id = h->request.fairness, .arrived_ms = clock_ms(),
		.slo_ms = who->slo_ms, .bytes = who->bytes,
		.ttl_ms = who->ttl_ms };
	h->worker = &lab.worker;
	h->pool_live = &lab.pool.pool_live;
	h->pool_live->n_held++;
	return h;
}

/* As peer_held.c does, in its two halves: what comes in between may come first. */
static struct held *begin(const struct who *who)
{
	struct held *h = held_for("pool", who);

	held_ref(h);
	h->is_booked = books_hold(lab.books, h->ask.id, h, clock_us());
	if (!h->is_booked)
		held_unref(h);
	held_ref(h);
	return h;
}

static struct held *hold(const struct who *who)
{
	struct held *h = begin(who);

	lab.n_asked++;
	flow_control_hold(lab.flow, h);
	return h;
}

static struct held *hold_id(const char *id)
{
	return hold(&(struct who){ .id = id });
}

/* Its connection was closed. */
static void leave(struct held *h)
{
	held_ref(h);
	flow_control_leave(lab.flow, h);
}

/* HAProxy's line says that it is over. */
static struct held *end(const char *id)
{
	const struct record r = { .id = span_of(id), .pool = span_of("pool"),
		.status = 503, .ts = { 'C', 'Q' }, .ttft_us = -1 };
	static struct counters c;
	struct held *h;

	epoch_online(lab.fleet, MAIN);
	h = books_end(lab.books, epoch_get(lab.fleet), &r, clock_us(), &c);
	epoch_offline(lab.fleet, MAIN);
	return h;
}

static void probe(void)
{
	size_t n = lab.n_probes;
	struct held *h = held_for("probe", &(struct who){ .id = "probe" });

	held_ref(h);
	lab.n_asked++;
	flow_control_hold(lab.flow, h);
	while (lab.n_probes == n)
		read_mail();
}

/* The flow thread has looked at all that was done until now, and `n` were answered. */
static void settle(size_t n)
{
	probe();
	probe();
	assert_int_equal(lab.n_answers, n);
}

static void publish(void)
{
	help_publish(lab.fleet, lab.flow, &lab.pool);
}

static void publish_room(void)
{
	help_clear(&lab.pool);
	publish();
}

static void publish_none(void)
{
	help_publish(lab.fleet, lab.flow, NULL);
}

static void set_flow(struct flow_control_options flow)
{
	lab.pool.options.flow = flow;
	lab.pool.options.number++;
}

static const struct flow_control_options waiting = {
	.enabled = true, .ttl_ms = LONG_MS, .empty_ttl_ms = LONG_MS,
};

/* Who was answered, in order: "a b c ". */
static const char *order(void)
{
	static char text[ANSWERS_MAX * sizeof(lab.answers[0].id)];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < lab.n_answers; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s ",
		    lab.answers[i].id);
	return text;
}

static void expect_pick(size_t i)
{
	assert_int_equal(lab.answers[i].status, 0);
	assert_string_equal(lab.answers[i].ep, "s00");
}

static void expect_refusal(size_t i, int status, const char *reason)
{
	assert_int_equal(lab.answers[i].status, status);
	assert_string_equal(lab.answers[i].reason, reason);
	assert_string_equal(lab.answers[i].ep, "");
	assert_int_equal(lab.answers[i].retry_after, 7);
}

/* Its client is gone: there is nothing that anybody would read. */
static void expect_gone(size_t i)
{
	assert_int_equal(lab.answers[i].status, 0);
	assert_string_equal(lab.answers[i].ep, "");
	assert_string_equal(lab.answers[i].message, "the client is gone");
}

static void start(bool has_books)
{
	const struct feedback_options o = { .max_requests = 1024,
		.server_timeout_ms = LONG_MS };

	lab = (struct lab){ .worker = { .index = 0 } };
	help_pool_init(&lab.pool, "pool", 1);
	lab.pool.options.saturation.retry_after_s = 7;
	lab.pool.options.saturation.queue_depth = ANSWERS_MAX;
	set_flow(waiting);
	help_fill(&lab.pool);
	lab.fleet = epoch_new(READERS, help_fleet(&lab.pool), help_fleet_retire);
	lab.books = has_books ? books_new(&o, 1) : NULL;
	lab.worker.loop = ev_loop_new(EVFLAG_AUTO);
	lab.worker.mailbox = mailbox_new(lab.worker.loop, 1024, on_mail, on_drop,
	    NULL);
	ev_timer_init(&lab.deadline, on_deadline, 0., 0.);
	lab.flow = flow_control_start(lab.fleet, READER, lab.books);
	assert_non_null(lab.flow);
}

/* ---- turns ---- */

static void test_who_waits_goes_when_there_is_room(void **state)
{
	(void)state;
	hold_id("a");
	hold_id("b");
	settle(0);
	assert_int_equal(help_n_held(&lab.pool), 2);
	publish();			/* another view, as full */
	settle(0);
	publish_room();
	await(2);
	assert_string_equal(order(), "a b ");
	expect_pick(0);
	expect_pick(1);
	assert_int_equal(help_n_held(&lab.pool), 0);
	assert_int_equal(help_picked(&lab.pool), 2);
	assert_int_equal(counters()->picks, 2);
}

/* Where there is room they do not wait for anything to change. */
static void test_one_that_finds_room_goes_at_once(void **state)
{
	(void)state;
	publish_room();
	hold_id("a");
	await(1);
	expect_pick(0);
}

/* 5 is full. 2 wait there: three more may go; then one less, and one goes. */
static void test_each_pick_is_seen_by_the_next(void **state)
{
	static const char *const ids[] = { "a", "b", "c", "d", "e", "f", "g" };

	(void)state;
	for (size_t i = 0; i < 7; i++)
		hold_id(ids[i]);
	settle(0);
	lab.pool.options.saturation.queue_depth = 5;
	lab.pool.stats[0].queued = 2;
	publish();
	settle(3);
	lab.pool.stats[0].queued = 4;
	lab.pool.stats[0].settled = 3;
	publish();
	settle(4);
	lab.pool.options.saturation.queue_depth = ANSWERS_MAX;
	publish_room();
	await(7);
	assert_string_equal(order(), "a b c d e f g ");
}

/* What is in flight by the books, with nobody scraping anything. */
static void test_an_ended_request_makes_room_for_the_next(void **state)
{
	static const char *const ids[] = { "a", "b", "c", "d", "e" };

	(void)state;
	lab.pool.options.saturation.detector = DETECTOR_CONCURRENCY;
	lab.pool.options.saturation.max_concurrency = 2;
	lab.pool.options.number++;
	publish();
	for (size_t i = 0; i < 5; i++)
		hold_id(ids[i]);
	await(2);
	for (size_t i = 0; i < 3; i++) {
		settle(2 + i);
		assert_int_equal(live_count_get(&lab.pool.live[0].requests), 2);
		assert_null(end(ids[i]));
		flow_control_poke(lab.flow);
		await(3 + i);
	}
	assert_string_equal(order(), "a b c d e ");
	assert_null(end("d"));
	assert_null(end("e"));
	assert_int_equal(live_count_get(&lab.pool.live[0].requests), 0);
	assert_int_equal(books_count(lab.books), 0);
}

static void test_higher_priorities_go_first(void **state)
{
	static const struct who all[] = {
		{ .id = "low1", .priority = -1 }, { .id = "mid1" },
		{ .id = "high1", .priority = INT32_MAX },
		{ .id = "low2", .priority = -1 }, { .id = "mid2" },
		{ .id = "high2", .priority = INT32_MAX },
		{ .id = "lowest", .priority = INT32_MIN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		hold(&all[i]);
	settle(0);
	publish_room();
	await(7);
	assert_string_equal(order(),
	    "high1 high2 mid1 mid2 low1 low2 lowest ");
}

static void test_the_policies_of_the_bands_are_followed(void **state)
{
	static const struct flow_band_options bands[] = {
		{ .priority = 9, .fairness = FLOW_ROUND_ROBIN },
		{ .priority = 8, .ordering = FLOW_SLO_DEADLINE },
	};
	static const struct who all[] = {
		{ .id = "x1", .priority = 9, .fairness = "x" },
		{ .id = "x2", .priority = 9, .fairness = "x" },
		{ .id = "x3", .priority = 9, .fairness = "x" },
		{ .id = "y1", .priority = 9, .fairness = "y" },
		{ .id = "z1", .priority = 9, .fairness = "z" },
		{ .id = "never", .priority = 8 },
		{ .id = "late", .priority = 8, .slo_ms = 9000000 },
		{ .id = "soon", .priority = 8, .slo_ms = 5000000 },
	};
	struct flow_control_options flow = waiting;

	(void)state;
	flow.queue.bands = bands;
	flow.queue.n_bands = 2;
	set_flow(flow);
	publish();
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		hold(&all[i]);
	settle(0);
	publish_room();
	await(8);
	assert_string_equal(order(), "x1 y1 z1 x2 x3 soon late never ");
}

/* ---- too long ---- */

static void test_one_that_waits_too_long_is_refused(void **state)
{
	struct flow_control_options flow = waiting;
	int64_t begun = clock_ms();

	(void)state;
	flow.ttl_ms = 20;
	set_flow(flow);
	publish();
	hold_id("a");
	await(1);
	assert_true(clock_ms() - begun >= 20);
	expect_refusal(0, 429, "rejected-ttl-expired");
	assert_int_equal(counters()->expired, 1);
	assert_int_equal(counters()->refused, 1);
	assert_int_equal(help_n_held(&lab.pool), 0);
	assert_int_equal(help_picked(&lab.pool), 0);
	assert_int_equal(books_count(lab.books), 0);
}

/* A band's own time comes before the pool's; an empty pool has one for all. */
static void test_a_band_may_have_a_time_of_its_own(void **state)
{
	static const struct flow_band_options bands[] = {
		{ .priority = 5, .ttl_ms = 20 },
		{ .priority = 6, .ttl_ms = 3600000 },
	};
	struct flow_control_options flow = waiting;

	(void)state;
	flow.queue.bands = bands;
	flow.queue.n_bands = 2;
	flow.empty_ttl_ms = 20;
	set_flow(flow);
	publish();
	hold_id("patient");
	hold(&(struct who){ .id = "hasty", .priority = 5 });
	await(1);
	assert_string_equal(order(), "hasty ");
	expect_refusal(0, 429, "rejected-ttl-expired");
	lab.pool.view.n_endpoints = 0;
	publish();
	hold(&(struct who){ .id = "any", .priority = 6 });
	await(3);
	assert_int_equal(counters()->expired, 3);
}

/* They end one by one, and the one that may wait longer is left. */
static void test_each_has_its_own_time(void **state)
{
	(void)state;
	hold_id("long");
	settle(0);
	for (int i = 0; i < 5; i++)
		hold(&(struct who){ .id = "short", .ttl_ms = 10 });
	await(5);
	settle(5);
	publish_room();
	await(6);
	expect_refusal(4, 429, "rejected-ttl-expired");
	assert_string_equal(lab.answers[5].id, "long");
	expect_pick(5);
}

/* It asks for less than its pool or its band has, never for more. */
static void test_a_request_may_ask_to_wait_less_and_not_longer(void **state)
{
	static const struct flow_band_options bands[] = {
		{ .priority = 5, .ttl_ms = 20 },
	};
	struct flow_control_options flow = waiting;

	(void)state;
	flow.queue.bands = bands;
	flow.queue.n_bands = 1;
	set_flow(flow);
	publish();
	hold(&(struct who){ .id = "none", .ttl_ms = -1 });
	hold(&(struct who){ .id = "more", .priority = 5, .ttl_ms = 3600000 });
	await(1);
	hold(&(struct who){ .id = "less", .ttl_ms = 1 });
	await(2);
	hold(&(struct who){ .id = "less", .priority = 5, .ttl_ms = 1 });
	await(3);
	assert_string_equal(order(), "more less less ");
	for (size_t i = 0; i < 3; i++)
		expect_refusal(i, 429, "rejected-ttl-expired");
	settle(3);
	assert_int_equal(help_n_held(&lab.pool), 1);
}

/* For the first endpoint of all it waits as long as the others. */
static void test_what_a_request_asks_for_is_not_for_an_empty_pool(void **state)
{
	int64_t begun = clock_ms();

	(void)state;
	lab.pool.view.n_endpoints = 0;
	publish();
	hold(&(struct who){ .id = "a", .ttl_ms = 1 });
	while (clock_ms() <= begun + 1)
		help_still_in_time(begun);
	settle(0);
	lab.pool.view.n_endpoints = 1;
	publish();
	await(1);
	expect_refusal(0, 429, "rejected-ttl-expired");
}

/* Deadlines are of what it may wait, so who asks for less is served before. */
static void test_the_earliest_deadline_may_be_of_a_request(void **state)
{
	struct flow_control_options flow = waiting;

	(void)state;
	flow.queue.default_band.ordering = FLOW_EDF;
	set_flow(flow);
	publish();
	hold_id("a");
	hold(&(struct who){ .id = "b", .ttl_ms = LONG_MS / 2 });
	settle(0);
	publish_room();
	await(2);
	assert_string_equal(order(), "b a ");
}

static void test_an_empty_pool_keeps_its_own_time_and_says_503(void **state)
{
	struct flow_control_options flow = waiting;

	(void)state;
	flow.empty_ttl_ms = 10;
	set_flow(flow);
	lab.pool.view.n_endpoints = 0;
	publish();
	hold_id("a");
	await(1);
	expect_refusal(0, 503, "rejected-no-endpoints");
	assert_int_equal(counters()->expired, 1);
}

/* The waiting room of a pool that is scaled from zero. */
static void test_the_first_endpoint_opens_the_waiting_room(void **state)
{
	struct flow_control_options flow = waiting;

	(void)state;
	flow.ttl_ms = 1;	/* over by then: but there is room, so they go */
	set_flow(flow);
	lab.pool.view.n_endpoints = 0;
	publish();
	hold_id("a");
	hold_id("b");
	settle(0);
	lab.pool.view.n_endpoints = 1;
	publish_room();
	await(2);
	expect_pick(0);
	expect_pick(1);
}

static void test_times_change_as_the_pool_empties_and_fills(void **state)
{
	struct flow_control_options flow = waiting;

	(void)state;
	flow.empty_ttl_ms = 0;
	set_flow(flow);
	publish();
	hold_id("emptied");
	settle(0);
	lab.pool.view.n_endpoints = 0;
	publish();
	await(1);
	expect_refusal(0, 503, "rejected-no-endpoints");

	flow.empty_ttl_ms = LONG_MS;
	flow.ttl_ms = 1;
	set_flow(flow);
	publish();
	hold_id("filled");
	settle(1);
	lab.pool.view.n_endpoints = 1;
	publish();
	await(2);
	expect_refusal(1, 429, "rejected-ttl-expired");
}

/* Its source has not answered yet, which is no reason to say that it is empty. */
static void test_a_pool_that_is_not_known_yet_is_waited_for(void **state)
{
	struct flow_control_options flow = waiting;

	(void)state;
	flow.empty_ttl_ms = 0;
	set_flow(flow);
	lab.pool.view.n_endpoints = 0;
	lab.pool.view.is_known = false;
	publish();
	hold_id("a");
	settle(0);
	lab.pool.view.n_endpoints = 1;
	lab.pool.view.is_known = true;
	publish_room();
	await(1);
	expect_pick(0);
}

/* ---- leaving ---- */

static void expect_all_gone(size_t n)
{
	publish_room();
	await(n);
	settle(n);
	for (size_t i = 0; i < n; i++)
		expect_gone(i);
	assert_int_equal(counters()->gone, n);
	assert_int_equal(counters()->picks, 0);
	assert_int_equal(help_picked(&lab.pool), 0);
	assert_int_equal(help_n_held(&lab.pool), 0);
	assert_int_equal(books_count(lab.books), 0);
}

/* Its place is free at once: the limit of one lets the next in. */
static void test_one_whose_connection_ends_frees_its_place(void **state)
{
	struct flow_control_options flow = waiting;
	struct held *a;

	(void)state;
	flow.queue.max_requests = 1;
	set_flow(flow);
	publish();
	a = hold_id("a");
	settle(0);
	leave(a);
	await(1);
	expect_gone(0);
	assert_int_equal(help_n_held(&lab.pool), 0);
	assert_int_equal(books_count(lab.books), 0);
	hold_id("b");
	settle(1);
	publish_room();
	await(2);
	expect_pick(1);
	assert_int_equal(help_picked(&lab.pool), 1);
}

static void test_one_whose_line_comes_frees_its_place(void **state)
{
	struct held *a = hold_id("a");

	(void)state;
	settle(0);
	assert_ptr_equal(end("a"), a);
	flow_control_leave(lab.flow, a);
	await(1);
	assert_int_equal(help_n_held(&lab.pool), 0);
	expect_all_gone(1);
}

static void test_one_that_leaves_both_ways_leaves_once(void **state)
{
	struct held *a = hold_id("a"), *b = hold_id("b"), *c;

	(void)state;
	leave(a);
	assert_ptr_equal(end("b"), b);
	flow_control_leave(lab.flow, b);
	c = hold_id("c");
	settle(2);
	leave(c);
	await(3);
	assert_null(end("c"));		/* the flow thread was faster */
	expect_all_gone(3);
}

/* In whatever order: both pieces of mail come for one that is not answered yet. */
static void test_both_ways_at_once(void **state)
{
	struct held *a = begin(&(struct who){ .id = "a" });
	struct held *b = begin(&(struct who){ .id = "b" });

	(void)state;
	leave(a);
	assert_ptr_equal(end("a"), a);
	flow_control_leave(lab.flow, a);
	assert_ptr_equal(end("b"), b);
	flow_control_leave(lab.flow, b);
	leave(b);
	flow_control_hold(lab.flow, a);
	flow_control_hold(lab.flow, b);
	lab.n_asked += 2;
	expect_all_gone(2);
}

/* The books are open to main before the flow thread has heard of the request. */
static void test_one_that_leaves_before_it_was_taken_in(void **state)
{
	struct held *a = begin(&(struct who){ .id = "a" });
	struct held *b = begin(&(struct who){ .id = "b" });

	(void)state;
	leave(a);
	assert_ptr_equal(end("b"), b);
	flow_control_leave(lab.flow, b);
	settle(0);
	flow_control_hold(lab.flow, a);
	flow_control_hold(lab.flow, b);
	lab.n_asked += 2;
	expect_all_gone(2);
}

/* Main has it from the books, and its mail comes after the turn that would pick. */
static void test_one_that_is_over_is_not_picked_for(void **state)
{
	struct held *a = hold_id("a");

	(void)state;
	settle(0);
	assert_ptr_equal(end("a"), a);
	publish_room();
	await(1);
	expect_gone(0);
	flow_control_leave(lab.flow, a);
	expect_all_gone(1);
}

/* The same for one that expires meanwhile: refused, and nothing is given back twice. */
static void test_one_that_is_over_may_expire(void **state)
{
	struct flow_control_options flow = waiting;
	struct held *a;

	(void)state;
	flow.ttl_ms = 1;
	set_flow(flow);
	publish();
	a = begin(&(struct who){ .id = "a" });
	assert_ptr_equal(end("a"), a);
	flow_control_hold(lab.flow, a);
	lab.n_asked++;
	await(1);
	expect_refusal(0, 429, "rejected-ttl-expired");
	flow_control_leave(lab.flow, a);
	settle(1);
}

/* Ids are what clients make of them: another's booking is not ours to take. */
static void test_another_of_the_same_id_is_another(void **state)
{
	struct held *a = hold_id("a"), *b;

	(void)state;
	settle(0);
	assert_ptr_equal(end("a"), a);
	b = hold_id("a");
	assert_true(b->is_booked);
	settle(0);
	publish_room();
	await(2);
	expect_gone(0);
	expect_pick(1);
	flow_control_leave(lab.flow, a);
	settle(2);
	assert_int_equal(live_count_get(&lab.pool.live[0].requests), 1);
	assert_null(end("a"));
	assert_int_equal(live_count_get(&lab.pool.live[0].requests), 0);
}

/* No id, or one that waits already: it is served like any other. */
static void test_one_that_cannot_be_booked_waits_all_the_same(void **state)
{
	struct held *twin;

	(void)state;
	hold_id("a");
	twin = hold_id("a");
	hold_id("");
	assert_false(twin->is_booked);
	settle(0);
	assert_int_equal(books_count(lab.books), 1);
	publish_room();
	await(3);
	expect_pick(2);
}

/* ---- what changes meanwhile ---- */

static void test_other_policies_are_for_who_waits_now_too(void **state)
{
	static const struct who all[] = {
		{ .id = "never" },
		{ .id = "late", .slo_ms = 9000000 },
		{ .id = "soon", .slo_ms = 5000000 },
	};
	struct flow_control_options flow = waiting;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		hold(&all[i]);
	settle(0);
	flow.queue.default_band.ordering = FLOW_SLO_DEADLINE;
	set_flow(flow);
	publish();
	settle(0);
	publish_room();
	await(3);
	assert_string_equal(order(), "soon late never ");
}

static void test_other_turns_are_for_who_waits_now_too(void **state)
{
	static const struct who all[] = {
		{ .id = "x1", .fairness = "x" }, { .id = "x2", .fairness = "x" },
		{ .id = "y1", .fairness = "y" }, { .id = "y2", .fairness = "y" },
	};
	struct flow_control_options flow = waiting;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		hold(&all[i]);
	settle(0);
	flow.queue.default_band.fairness = FLOW_ROUND_ROBIN;
	set_flow(flow);
	publish_room();
	await(4);
	assert_string_equal(order(), "x1 y1 x2 y2 ");
}

static void test_other_times_are_for_who_waits_now_too(void **state)
{
	static const struct flow_band_options bands[] = {
		{ .priority = 5, .ttl_ms = 1 },
	};
	struct flow_control_options flow = waiting;

	(void)state;
	hold(&(struct who){ .id = "a", .priority = 5 });
	hold_id("b");
	settle(0);
	flow.queue.bands = bands;
	flow.queue.n_bands = 1;
	set_flow(flow);
	publish();
	await(1);
	expect_refusal(0, 429, "rejected-ttl-expired");
	flow.ttl_ms = 1;
	set_flow(flow);
	publish();
	await(2);
	expect_refusal(1, 429, "rejected-ttl-expired");
	assert_string_equal(order(), "a b ");
}

/* Whoever waits stays; the line takes no more in. */
static void test_a_lower_limit_throws_nobody_out(void **state)
{
	struct flow_control_options flow = waiting;

	(void)state;
	hold_id("a");
	hold_id("b");
	settle(0);
	flow.queue.max_requests = 1;
	set_flow(flow);
	publish();
	hold_id("c");
	await(1);
	assert_string_equal(order(), "c ");
	expect_refusal(0, 429, "rejected-saturated");
	publish_room();
	await(3);
	expect_pick(1);
	expect_pick(2);
}

static void test_switched_off_lets_all_go(void **state)
{
	struct flow_control_options flow = waiting;

	(void)state;
	hold_id("a");
	hold_id("b");
	settle(0);
	flow.enabled = false;
	set_flow(flow);
	publish();
	await(2);
	expect_pick(0);
	expect_pick(1);
}

/* Let go to nobody, as by the picker's own failures: the pool's failureMode says. */
static void test_what_cannot_be_scheduled_fails_open_or_close(void **state)
{
	struct flow_control_options off = waiting;

	(void)state;
	off.enabled = false;
	for (size_t mode = FAIL_OPEN; mode <= FAIL_CLOSE; mode++) {
		lab.pool.options.failure_mode = (enum failure_mode)mode;
		lab.pool.view.n_endpoints = 0;
		lab.pool.view.is_known = false;
		set_flow(waiting);
		publish();
		hold_id("a");
		settle(mode);
		set_flow(off);
		publish();
		await(mode + 1);
		assert_string_equal(lab.answers[mode].ep, "");
		assert_int_equal(lab.answers[mode].status,
		    mode == FAIL_CLOSE ? 503 : 0);
	}
	assert_int_equal(counters()->refused, 1);
	assert_int_equal(counters()->no_pick, 1 + lab.n_probes);
}

/* HAProxy still has it: its own balancing serves. */
static void expect_no_pool(size_t i)
{
	assert_int_equal(lab.answers[i].status, 0);
	assert_string_equal(lab.answers[i].ep, "");
	assert_string_equal(lab.answers[i].message, "the pool is gone");
}

static void test_a_removed_pool_lets_all_go(void **state)
{
	(void)state;
	hold_id("a");
	hold_id("b");
	settle(0);
	publish_none();
	await(2);
	expect_no_pool(0);
	expect_no_pool(1);
	hold_id("late");
	await(3);
	expect_no_pool(2);
	assert_int_equal(counters()->no_pick, 3 + lab.n_probes);
	assert_int_equal(books_count(lab.books), 0);

	help_fill(&lab.pool);		/* and it comes back, as full as it was */
	publish();
	hold_id("again");
	settle(3);
	publish_room();
	await(4);
	expect_pick(3);
}

/* It was there when the worker looked, and never for us. */
static void test_a_pool_that_we_never_saw_keeps_nobody(void **state)
{
	(void)state;
	publish_none();
	hold_id("a");
	await(1);
	expect_no_pool(0);
	assert_int_equal(counters()->expired, 0);
}

/* ---- limits ---- */

static void test_no_room_to_wait_is_said_at_once(void **state)
{
	static const struct flow_band_options bands[] = {
		{ .priority = 5, .max_requests = 1 },
	};
	struct flow_control_options flow = waiting;

	(void)state;
	flow.queue.max_bytes = 100;
	flow.queue.bands = bands;
	flow.queue.n_bands = 1;
	set_flow(flow);
	publish();
	hold(&(struct who){ .id = "fits", .bytes = 60 });
	hold(&(struct who){ .id = "large", .bytes = 41 });
	hold(&(struct who){ .id = "fits too", .bytes = 40 });
	hold(&(struct who){ .id = "only", .priority = 5 });
	hold(&(struct who){ .id = "second", .priority = 5 });
	await(2);
	assert_string_equal(order(), "large second ");
	expect_refusal(0, 429, "rejected-saturated");
	expect_refusal(1, 429, "rejected-saturated");
	settle(2);
	assert_int_equal(counters()->shed, 2);
	assert_int_equal(help_n_held(&lab.pool), 3);
}

/* An empty pool's waiting room that is full: there is nobody, rather than too many. */
static void test_no_room_to_wait_for_an_empty_pool_is_503(void **state)
{
	struct flow_control_options flow = waiting;

	(void)state;
	flow.queue.max_requests = 1;
	set_flow(flow);
	lab.pool.view.n_endpoints = 0;
	publish();
	hold_id("a");
	hold_id("b");
	await(1);
	assert_string_equal(order(), "b ");
	expect_refusal(0, 503, "rejected-no-endpoints");
}

static void test_nothing_is_said_of_when_to_come_again(void **state)
{
	struct flow_control_options flow = waiting;

	(void)state;
	flow.ttl_ms = 1;
	set_flow(flow);
	lab.pool.options.saturation.retry_after_s = 0;
	publish();
	hold_id("a");
	await(1);
	assert_int_equal(lab.answers[0].status, 429);
	assert_int_equal(lab.answers[0].retry_after, 0);
}

/* ---- the end ---- */

static void test_draining_picks_for_all_where_it_fails_open(void **state)
{
	(void)state;
	hold_id("a");
	hold_id("b");
	settle(0);
	flow_control_drain(lab.flow);
	await(2);
	expect_pick(0);
	expect_pick(1);
	hold_id("late");
	await(3);
	expect_pick(2);
	assert_int_equal(help_n_held(&lab.pool), 0);
}

static void test_draining_refuses_all_where_it_fails_close(void **state)
{
	(void)state;
	lab.pool.options.failure_mode = FAIL_CLOSE;
	lab.pool.options.number++;
	publish();
	hold_id("a");
	settle(0);
	flow_control_drain(lab.flow);
	hold_id("late");
	await(2);
	expect_refusal(0, 503, "rejected-shutting-down");
	expect_refusal(1, 503, "rejected-shutting-down");
	assert_int_equal(help_picked(&lab.pool), 0);
	assert_int_equal(help_n_held(&lab.pool), 0);
	assert_int_equal(books_count(lab.books), 0);
}

static void test_draining_an_empty_pool_says_so(void **state)
{
	(void)state;
	lab.pool.view.n_endpoints = 0;
	publish();
	hold_id("a");
	settle(0);
	flow_control_drain(lab.flow);
	await(1);
	expect_refusal(0, 503, "rejected-no-endpoints");
	assert_int_equal(counters()->refused, 1);
}

/* What waits when all ends is taken down; ASan counts the pieces. */
static void test_stopping_takes_down_who_waits(void **state)
{
	(void)state;
	hold_id("a");
	hold_id("");
	settle(0);
	flow_control_stop(lab.flow);
	lab.flow = NULL;
	assert_int_equal(books_count(lab.books), 0);
	assert_int_equal(help_n_held(&lab.pool), 0);
}

/* Nobody reads the mail any more; it is taken down with the worker. */
static void test_stopping_with_answers_under_way(void **state)
{
	struct held *b;

	(void)state;
	hold_id("a");
	b = hold_id("b");
	publish_room();
	leave(b);
	flow_control_drain(lab.flow);
	flow_control_stop(lab.flow);
	lab.flow = NULL;
	assert_int_equal(help_n_held(&lab.pool), 0);
}

/* ---- at rest ---- */

static size_t threads(int *ids, size_t max)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	size_t n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL && n < max)
		if (e->d_name[0] != '.')
			ids[n++] = (int)strtol(e->d_name, NULL, 10);
	closedir(dir);
	return n;
}

/* How often that thread has gone to sleep. */
static long n_naps(int thread)
{
	char path[64], line[128];
	long n = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", thread);
	in = fopen(path, "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in) != NULL)
		if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
			n = strtol(line + 24, NULL, 10);
	fclose(in);
	assert_true(n >= 0);
	return n;
}

/* The one that is there now and was not before. */
static int new_thread(const int *before, size_t n_before)
{
	int now[64];
	size_t n = threads(now, 64);

	for (size_t i = 0; i < n; i++) {
		bool is_old = false;

		for (size_t k = 0; k < n_before; k++)
			is_old |= now[i] == before[k];
		if (!is_old)
			return now[i];
	}
	fail_msg("no thread was started");
	return 0;
}

/* Ours do it 1,000 times a second elsewhere: a tick of 1 ms. Real time must pass. */
static void test_nothing_happens_while_nothing_changes(void **state)
{
	int before[64], thread;
	int64_t begun = clock_ms();
	size_t n;
	long naps;

	(void)state;
	flow_control_stop(lab.flow);
	n = threads(before, 64);
	lab.flow = flow_control_start(lab.fleet, READER, lab.books);
	thread = new_thread(before, n);
	for (int i = 0; i < 20; i++)
		hold_id("a");
	settle(0);
	naps = n_naps(thread);
	poll(NULL, 0, 300);
	assert_in_range(n_naps(thread) - naps, 0, 2);
	publish_room();			/* and it was that thread that we watched */
	await(20);
	while (n_naps(thread) <= naps)
		help_still_in_time(begun);
}

/* A poke is nothing while nobody waits. */
static void test_nobody_waits_nobody_is_woken(void **state)
{
	int before[64], thread;
	size_t n;
	long naps;

	(void)state;
	flow_control_stop(lab.flow);
	n = threads(before, 64);
	lab.flow = flow_control_start(lab.fleet, READER, lab.books);
	thread = new_thread(before, n);
	hold_id("a");
	publish_room();
	await(1);
	settle(1);
	naps = n_naps(thread);
	for (int i = 0; i < 1000; i++)
		flow_control_poke(lab.flow);
	poll(NULL, 0, 50);
	assert_in_range(n_naps(thread) - naps, 0, 2);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	start(true);
	return 0;
}

static int setup_without_books(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	start(false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	flow_control_stop(lab.flow);
	mailbox_free(lab.worker.mailbox);
	ev_loop_destroy(lab.worker.loop);
	epoch_free(lab.fleet);
	books_free(lab.books);
	help_pool_fini(&lab.pool);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define without_books(f) { #f " without books", f, setup_without_books, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_who_waits_goes_when_there_is_room),
		without_books(test_who_waits_goes_when_there_is_room),
		unit(test_one_that_finds_room_goes_at_once),
		unit(test_each_pick_is_seen_by_the_next),
		without_books(test_each_pick_is_seen_by_the_next),
		unit(test_an_ended_request_makes_room_for_the_next),
		unit(test_higher_priorities_go_first),
		unit(test_the_policies_of_the_bands_are_followed),
		unit(test_one_that_waits_too_long_is_refused),
		unit(test_a_band_may_have_a_time_of_its_own),
		unit(test_each_has_its_own_time),
		unit(test_a_request_may_ask_to_wait_less_and_not_longer),
		unit(test_what_a_request_asks_for_is_not_for_an_empty_pool),
		unit(test_the_earliest_deadline_may_be_of_a_request),
		unit(test_an_empty_pool_keeps_its_own_time_and_says_503),
		unit(test_the_first_endpoint_opens_the_waiting_room),
		unit(test_times_change_as_the_pool_empties_and_fills),
		unit(test_a_pool_that_is_not_known_yet_is_waited_for),
		unit(test_one_whose_connection_ends_frees_its_place),
		unit(test_one_whose_line_comes_frees_its_place),
		unit(test_one_that_leaves_both_ways_leaves_once),
		unit(test_both_ways_at_once),
		unit(test_one_that_leaves_before_it_was_taken_in),
		unit(test_one_that_is_over_is_not_picked_for),
		unit(test_one_that_is_over_may_expire),
		unit(test_another_of_the_same_id_is_another),
		unit(test_one_that_cannot_be_booked_waits_all_the_same),
		unit(test_other_policies_are_for_who_waits_now_too),
		unit(test_other_turns_are_for_who_waits_now_too),
		unit(test_other_times_are_for_who_waits_now_too),
		unit(test_a_lower_limit_throws_nobody_out),
		unit(test_switched_off_lets_all_go),
		unit(test_what_cannot_be_scheduled_fails_open_or_close),
		unit(test_a_removed_pool_lets_all_go),
		unit(test_a_pool_that_we_never_saw_keeps_nobody),
		unit(test_no_room_to_wait_is_said_at_once),
		unit(test_no_room_to_wait_for_an_empty_pool_is_503),
		unit(test_nothing_is_said_of_when_to_come_again),
		unit(test_draining_picks_for_all_where_it_fails_open),
		unit(test_draining_refuses_all_where_it_fails_close),
		unit(test_draining_an_empty_pool_says_so),
		unit(test_stopping_takes_down_who_waits),
		unit(test_stopping_with_answers_under_way),
		unit(test_nothing_happens_while_nothing_changes),
		unit(test_nobody_waits_nobody_is_woken),
	};

	return cmocka_run_group_tests_name("flow_control", tests, NULL, NULL);
}
