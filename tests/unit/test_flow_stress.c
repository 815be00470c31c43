/*
 * Everything at once: workers that hand over and leave, lines that end what waits or
 * runs, views of all kinds, and a drain before all are answered. Who is told what is
 * chance; that each is told once, and that nothing is left of it, is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

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
#include "rng.h"
#include "worker_state.h"

enum {
	PRODUCERS = 3, EACH = 2000, WINDOW = 100, ENDPOINTS = 3,
	READER = 0, MAIN = 1, READERS = 2,
	DRAIN_AFTER = PRODUCERS * EACH / 10 * 8,
};

struct producer {
	pthread_t thread;
	struct worker worker;		/* of which there is a loop and its mail */
	struct rng rng;
	struct list waiting;
	unsigned char answered[EACH];
	_Atomic uint32_t n_made;
	uint32_t n_answered, n_picked;
};

static struct help_pool pool;
static struct epoch *fleet;
static struct books *books;
static struct flow_control *flow;
static struct producer producers[PRODUCERS];
static _Atomic uint32_t n_answered;

/* ---- the workers ---- */

/* As peer_answer_held() does. */
static void on_mail(void *data, void *mail)
{
	struct producer *p = data;
	struct held *h = mail;
	struct help_actions got;
	uint32_t i = (uint32_t)h->stream_id;

	assert_int_equal(h->state, HELD_DONE);
	assert_true(help_read_actions(reader_over(h->actions, h->n_actions),
	    &got));
	assert_true(i < EACH && ++p->answered[i] == 1);
	p->n_picked += help_text(&got, "ep").len > 0;
	p->n_answered++;
	n_answered++;
	list_remove(&h->in_peer);
	held_drop(h);
}

static void on_drop(void *data, void *mail)
{
	(void)data;
	(void)mail;
	fail_msg("mail was left unread");
}

static void make(struct producer *p)
{
	static const char *const tenants[] = { "", "a", "b", "c" };
	struct ask ask = help_ask("/v1/completions", "{}");
	struct request r = { .ask = &ask, .has_body = true, .prompt_bytes = 400,
		.fairness = span_of(tenants[rng_below(&p->rng, 4)]) };
	struct held *h;
	char id[32];

	snprintf(id, sizeof(id), "%zu-%u", p->worker.index, p->n_made);
	ask.id = span_of(id);
	h = held_new(&r);
	assert_non_null(h);
	h->waiter = (struct waiter){ .fairness_id = h->request.fairness,
		.priority = (int32_t)rng_below(&p->rng, 3) - 1,
		.arrived_ms = clock_ms(), .bytes = rng_below(&p->rng, 100),
		.slo_ms = rng_below(&p->rng, 1000) };
	h->worker = &p->worker;
	h->stream_id = p->n_made++;
	h->pool_live = &pool.pool_live;
	h->pool_live->n_held++;
	list_append(&p->waiting, &h->in_peer);
	held_ref(h);
	h->is_booked = rng_below(&p->rng, 8) != 0 &&
	    books_hold(books, h->ask.id, h, clock_us());
	if (!h->is_booked)
		held_unref(h);
	held_ref(h);
	flow_control_hold(flow, h);
}

/* Somebody's connection ends, the youngest's or the oldest's. */
static void leave(struct producer *p)
{
	struct list *link = rng_below(&p->rng, 2) != 0 ? p->waiting.next :
	    p->waiting.prev;
	struct held *h = list_entry(link, struct held, in_peer);

	if (list_is_empty(&p->waiting))
		return;
	list_remove(&h->in_peer);
	held_ref(h);
	flow_control_leave(flow, h);
}

static void *producer_main(void *arg)
{
	struct producer *p = arg;

	while (p->n_answered < EACH) {
		bool is_full = p->n_made - p->n_answered >= WINDOW ||
		    p->n_made == EACH;

		if (!is_full)
			make(p);
		if (rng_below(&p->rng, 6) == 0)
			leave(p);
		ev_run(p->worker.loop, is_full ? EVRUN_ONCE : EVRUN_NOWAIT);
	}
	return NULL;
}

static void producer_start(size_t i)
{
	struct producer *p = &producers[i];

	*p = (struct producer){ .worker = { .index = i }, .rng = { i + 1 } };
	list_init(&p->waiting);
	p->worker.loop = ev_loop_new(EVFLAG_AUTO);
	p->worker.mailbox = mailbox_new(p->worker.loop, 4 * WINDOW, on_mail,
	    on_drop, p);
	assert_int_equal(pthread_create(&p->thread, NULL, producer_main, p), 0);
}

/* ---- the world ---- */

/* A line for one of those that were made: it waits, it runs, or it is long over. */
static void end_some(struct rng *rng)
{
	struct producer *p = &producers[rng_below(rng, PRODUCERS)];
	uint32_t made = p->n_made;
	struct counters c = { 0 };
	struct record r = { .pool = span_of("pool"), .ts = { 'C', 'D' },
		.ttft_us = -1 };
	struct held *h;
	char id[32];

	if (made == 0)
		return;
	snprintf(id, sizeof(id), "%zu-%u", p->worker.index,
	    made - 1 - rng_below(rng, made < WINDOW ? made : WINDOW));
	r.id = span_of(id);
	epoch_online(fleet, MAIN);
	h = books_end(books, epoch_get(fleet), &r, clock_us(), &c);
	epoch_offline(fleet, MAIN);
	if (h != NULL)
		flow_control_leave(flow, h);
	flow_control_poke(flow);
}

static void change_options(struct rng *rng)
{
	struct pool_options *o = &pool.options;

	o->number++;
	o->flow = (struct flow_control_options){
		.enabled = rng_below(rng, 8) != 0,
		.ttl_ms = rng_below(rng, 4) == 0 ? 1 : 60000,
		.empty_ttl_ms = rng_below(rng, 4) == 0 ? 0 : 60000,
		.queue = { .max_requests = rng_below(rng, 2) * 150,
			.default_band = { .fairness = rng_below(rng, 2),
				.ordering = rng_below(rng, 3) } },
	};
	o->saturation.detector = rng_below(rng, 2);
	o->saturation.max_concurrency = 1 + rng_below(rng, 8);
}

static void change_view(struct rng *rng)
{
	pool.view.n_endpoints = rng_below(rng, 6) == 0 ? 0 : ENDPOINTS;
	pool.view.is_known = rng_below(rng, 4) != 0;
	for (size_t i = 0; i < ENDPOINTS; i++) {
		pool.stats[i].queued = rng_below(rng, 8);
		pool.stats[i].settled = pool.live[i].picked;
		pool.stats[i].health = (uint8_t)rng_below(rng, 3);
	}
	help_publish(fleet, flow, rng_below(rng, 20) != 0 ? &pool : NULL);
}

static void shake(struct rng *rng)
{
	if (rng_below(rng, 10) == 0)
		change_options(rng);
	if (rng_below(rng, 2) == 0)
		change_view(rng);
	else
		end_some(rng);
}

/* What still runs, and what was never taken out of the books. */
static void end_all(void)
{
	struct counters c = { 0 };
	char id[32];

	for (size_t i = 0; i < PRODUCERS; i++)
		for (unsigned k = 0; k < EACH; k++) {
			struct record r = { .pool = span_of("pool"),
				.ts = { '-', '-' }, .ttft_us = -1 };

			snprintf(id, sizeof(id), "%zu-%u", i, k);
			r.id = span_of(id);
			assert_null(books_end(books, epoch_get(fleet), &r,
			    clock_us(), &c));
		}
}

static void test_each_is_answered_once_and_nothing_is_left(void **state)
{
	const struct counters *c = flow_control_counters(flow);
	uint32_t n_picked = 0;
	struct rng rng = { 42 };
	int64_t begun = clock_ms();

	(void)state;
	for (size_t i = 0; i < PRODUCERS; i++)
		producer_start(i);
	while (n_answered < DRAIN_AFTER) {
		shake(&rng);
		help_still_in_time(begun);
	}
	help_fill(&pool);
	help_publish(fleet, flow, &pool);
	flow_control_drain(flow);
	for (size_t i = 0; i < PRODUCERS; i++) {
		pthread_join(producers[i].thread, NULL);
		n_picked += producers[i].n_picked;
		for (size_t k = 0; k < EACH; k++)
			assert_int_equal(producers[i].answered[k], 1);
	}
	assert_int_equal(pool.pool_live.n_held, 0);
	assert_int_equal(c->held, PRODUCERS * EACH);
	assert_int_equal(c->dispatched + c->expired + c->gone + c->shed, c->held);
	assert_int_equal(c->picks, n_picked);
	assert_true(c->gone > 0 && c->picks > 0);
	end_all();
	assert_int_equal(books_count(books), 0);
	for (size_t i = 0; i < ENDPOINTS; i++) {
		assert_int_equal(live_count_get(&pool.live[i].requests), 0);
		assert_int_equal(live_count_get(&pool.live[i].tokens), 0);
	}
}

static int setup(void **state)
{
	const struct feedback_options o = { .max_requests = PRODUCERS * EACH,
		.server_timeout_ms = 600000 };

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	help_pool_init(&pool, "pool", ENDPOINTS);
	pool.options.number = 1;
	pool.options.flow = (struct flow_control_options){ .enabled = true,
		.ttl_ms = 60000, .empty_ttl_ms = 60000 };
	fleet = epoch_new(READERS, help_fleet(&pool), help_fleet_retire);
	books = books_new(&o, 1);
	flow = flow_control_start(fleet, READER, books);
	return flow == NULL;
}

static int teardown(void **state)
{
	(void)state;
	flow_control_stop(flow);
	for (size_t i = 0; i < PRODUCERS; i++) {
		mailbox_free(producers[i].worker.mailbox);
		ev_loop_destroy(producers[i].worker.loop);
	}
	epoch_free(fleet);
	books_free(books);
	help_pool_fini(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_answered_once_and_nothing_is_left),
	};

	return cmocka_run_group_tests_name("flow_stress", tests, setup, teardown);
}
