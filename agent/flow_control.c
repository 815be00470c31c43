/*
 * flow_control.c - mail in, turns of each pool, answers out
 */
#include "flow_control.h"

#include <ev.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "arena.h"
#include "books.h"
#include "clock.h"
#include "counters.h"
#include "endpoints.h"
#include "epoch.h"
#include "flow_queue.h"
#include "held.h"
#include "log.h"
#include "mailbox.h"
#include "must.h"
#include "options.h"
#include "pick.h"
#include "rng.h"
#include "saturation.h"
#include "worker.h"
#include "writer.h"

enum {
	/* Each may be handed over, and left by its peer and by its line. */
	MAIL_SLOTS = 3 * HELD_MAX + 8,
	TABLE_MAX_BYTES = 16 << 20,	/* bands and flows of one pool */
	ARENA_FIRST_BYTES = 64 << 10,
	ARENA_MAX_BYTES = 16 << 20,
};

/* A pool somebody has waited for. They stay: there are as many as pools had names. */
struct line {
	struct line *next;
	char *pool;
	struct flow_queue *queue;
	struct flow_control_options *options;	/* a copy: the view's die with it */
	uint64_t options_number;
	int64_t retry_after_s;
	bool is_empty;		/* the pool has no endpoints: other times to live */
};

struct flow_control {
	pthread_t thread;
	struct ev_loop *loop;
	struct mailbox *mailbox;
	struct epoch *fleet;
	size_t reader;
	struct books *books;
	ev_timer expiry;
	ev_async poke;
	_Atomic unsigned n_waiting;	/* handed over and not answered */
	struct line *lines;
	struct arena *arena;
	struct rng rng;
	struct counters counters;
	bool is_draining;
};

/* What a piece of mail is, in the low bits of the pointer. */
enum mail { MAIL_HOLD = 0, MAIL_LEAVE = 1, MAIL_DRAIN = 2, MAIL_STOP = 3, MAIL_BITS = 3 };

static void *mail_of(const struct held *h, enum mail kind)
{
	return (void *)((uintptr_t)h | kind);
}

/* ---- answers ---- */

static void keep_actions(struct held *h, const struct pick *pick)
{
	uint8_t bytes[ANSWER_MAX_BYTES];
	struct writer w = writer_over(bytes, sizeof(bytes));

	answer_write(&w, pick);
	h->actions = malloc(writer_len(&w));
	if (h->actions == NULL || w.full)
		return;
	h->n_actions = writer_len(&w);
	memcpy(h->actions, bytes, h->n_actions);
}

/* Gives our reference to its worker's mail, which always has room: worker.c. */
static void finish(struct flow_control *f, struct held *h,
    const struct pick *pick)
{
	keep_actions(h, pick);
	h->state = HELD_DONE;
	atomic_fetch_sub(&h->pool_live->n_held, 1);
	atomic_fetch_sub(&f->n_waiting, 1);
	worker_deliver(h->worker, h);
}

/* False: its line was faster, and its client is gone. */
static bool take_from_books(struct flow_control *f, struct held *h)
{
	if (!h->is_booked)
		return true;
	if (!books_unhold(f->books, h->ask.id))
		return false;
	held_unref(h);		/* the books' */
	return true;
}

static void refuse(struct flow_control *f, struct held *h,
    const struct pick *pick)
{
	take_from_books(f, h);
	counter_add(f->counters.refused, 1);
	finish(f, h, pick);
}

static void drop_gone(struct flow_control *f, struct held *h)
{
	const struct pick pick = { .message = "the client is gone" };

	take_from_books(f, h);
	counter_add(f->counters.gone, 1);
	finish(f, h, &pick);
}

/* `view` may be NULL: the pool is no longer configured. */
static void serve(struct flow_control *f, const struct endpoint_view *view,
    struct held *h)
{
	struct pick pick = { .message = "the pool is gone" };

	if (h->is_gone || !take_from_books(f, h)) {
		h->is_booked = false;
		drop_gone(f, h);
		return;
	}
	counter_add(f->counters.dispatched, 1);
	if (view != NULL) {
		arena_reset(f->arena);
		h->request.now_ms = clock_ms();
		pick_endpoint(&pick, view, &h->request, &f->rng, f->arena);
		books_open(f->books, h->ask.id, &pick, h->request.stream,
		    clock_us(), &f->counters);
		pick_settle(&pick, view);
	}
	if (pick.status != 0)
		counter_add(f->counters.refused, 1);
	else if (pick.n > 0)
		counter_add(f->counters.picks, 1);
	else
		counter_add(f->counters.no_pick, 1);
	finish(f, h, &pick);
}

/* ---- lines ---- */

static struct line *find_line(struct flow_control *f, struct span pool)
{
	for (struct line *l = f->lines; l != NULL; l = l->next)
		if (span_is_text(pool, l->pool))
			return l;
	return NULL;
}

/* One piece of memory, bands and all. */
static struct flow_control_options *copy_options(
    const struct flow_control_options *o)
{
	size_t bytes = o->queue.n_bands * sizeof(*o->queue.bands);
	struct flow_control_options *copy = malloc(sizeof(*copy) + bytes);

	if (copy == NULL)
		return NULL;
	*copy = *o;
	copy->queue.bands = memcpy(copy + 1, o->queue.bands != NULL ?
	    (const void *)o->queue.bands : "", bytes);
	return copy;
}

static void line_free(struct line *l)
{
	flow_queue_free(l->queue);
	free(l->options);
	free(l->pool);
	free(l);
}

static struct line *line_new(struct flow_control *f, struct span pool)
{
	const struct flow_control_options none = {
		.queue = flow_options_default };
	struct line *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->pool = strndup(pool.ptr, pool.len);
	l->options = copy_options(&none);
	if (l->options != NULL)
		l->queue = flow_queue_new(&l->options->queue, rng_next(&f->rng),
		    TABLE_MAX_BYTES);
	if (l->pool == NULL || l->queue == NULL) {
		line_free(l);
		return NULL;
	}
	l->next = f->lines;
	f->lines = l;
	return l;
}

/* The queue looks at the old ones to see what is new. Without memory they stay. */
static void follow_options(struct line *l, const struct pool_options *o)
{
	struct flow_control_options *next;

	if (l->options_number == o->number)
		return;
	next = copy_options(&o->flow);
	if (next == NULL)
		return;
	flow_queue_set_options(l->queue, &next->queue);
	free(l->options);
	l->options = next;
	l->options_number = o->number;
	l->retry_after_s = o->saturation.retry_after_s;
}

/* An empty pool has one for all bands, as llm-d has it. */
static int64_t ttl_ms(const struct line *l, const struct waiter *w)
{
	const struct flow_band_options *band = flow_options_band(
	    &l->options->queue, w->priority);

	if (l->is_empty)
		return l->options->empty_ttl_ms;
	return band->ttl_ms > 0 ? band->ttl_ms : l->options->ttl_ms;
}

static int64_t new_expiry(const struct waiter *w, void *data)
{
	return w->arrived_ms + ttl_ms(data, w);
}

static bool is_empty(const struct endpoint_view *view)
{
	return view != NULL && view->is_known && view->n_endpoints == 0;
}

static void follow_view(struct line *l, const struct endpoint_view *view)
{
	if (view != NULL)
		follow_options(l, view->options);
	if (l->is_empty == is_empty(view))
		return;
	l->is_empty = is_empty(view);
	flow_queue_renew(l->queue, new_expiry, l);
}

/* ---- turns ---- */

static struct held *held_of(struct waiter *w)
{
	return list_entry(w, struct held, waiter);
}

/* A pool without endpoints is not busy but away, whatever ended the wait. */
static struct pick refusal(const struct line *l, const char *reason,
    const char *message)
{
	if (l->is_empty)
		return (struct pick){ .status = 503,
			.reason = "rejected-no-endpoints",
			.message = "the pool has no endpoints",
			.retry_after_s = (uint32_t)l->retry_after_s };
	return (struct pick){ .status = 429, .reason = reason,
		.message = message,
		.retry_after_s = (uint32_t)l->retry_after_s };
}

static void expire(struct flow_control *f, struct line *l, int64_t now_ms)
{
	const struct pick pick = refusal(l, "rejected-ttl-expired",
	    "the pool was saturated for too long");
	struct waiter *w;

	while ((w = flow_queue_expired(l->queue, now_ms)) != NULL) {
		flow_queue_drop(l->queue, w);
		counter_add(f->counters.expired, 1);
		refuse(f, held_of(w), &pick);
	}
}

/* An empty pool is a full one: saturation.h. */
static bool may_go(const struct flow_control *f,
    const struct endpoint_view *view)
{
	return view == NULL || f->is_draining || !view->options->flow.enabled ||
	    saturation_of(view) < 1.0f;
}

static void dispatch(struct flow_control *f, struct line *l,
    const struct endpoint_view *view)
{
	const struct pick closing = { .status = 503,
		.reason = "rejected-shutting-down",
		.message = "the endpoint picker is shutting down",
		.retry_after_s = (uint32_t)l->retry_after_s };
	struct waiter *w;

	while ((w = flow_queue_next(l->queue)) != NULL && may_go(f, view)) {
		flow_queue_take(l->queue, w);
		if (f->is_draining && view != NULL &&
		    view->options->failure_mode == FAIL_CLOSE)
			refuse(f, held_of(w), &closing);
		else
			serve(f, view, held_of(w));
	}
}

static void set_timer(struct flow_control *f, int64_t now_ms)
{
	int64_t next_ms = FLOW_NEVER;

	for (struct line *l = f->lines; l != NULL; l = l->next) {
		int64_t ms = flow_queue_next_expiry_ms(l->queue);

		next_ms = ms < next_ms ? ms : next_ms;
	}
	ev_timer_stop(f->loop, &f->expiry);
	if (next_ms == FLOW_NEVER)
		return;
	ev_now_update(f->loop);
	ev_timer_set(&f->expiry, next_ms > now_ms ?
	    (double)(next_ms - now_ms) / 1000. : 0., 0.);
	ev_timer_start(f->loop, &f->expiry);
}

/* All that may have changed is looked at anew: who waits too long, who may go. */
static void turn(struct flow_control *f)
{
	const struct fleet *fleet;
	int64_t now_ms = clock_ms();

	epoch_online(f->fleet, f->reader);
	fleet = epoch_get(f->fleet);
	for (struct line *l = f->lines; l != NULL; l = l->next) {
		const struct endpoint_view *view;

		if (flow_queue_next(l->queue) == NULL)
			continue;
		view = fleet_find(fleet, span_of(l->pool));
		follow_view(l, view);
		dispatch(f, l, view);	/* first: room at last is no time to expire */
		expire(f, l, now_ms);
	}
	epoch_offline(f->fleet, f->reader);
	set_timer(f, now_ms);
}

/* ---- mail ---- */

static struct log_gate no_memory_gate;

static void say_no_memory(struct span pool)
{
	uint32_t n;

	if (log_gate_open(&no_memory_gate, clock_ms(), &n))
		log_error("flow.hold", "pool=\"%.*s\" err=\"no memory\" "
		    "held_back=%u", (int)pool.len, pool.ptr, n);
}

/* `l` is NULL without memory for it. */
static void refuse_full(struct flow_control *f, const struct line *l,
    struct held *h, int err)
{
	static const struct line unknown = { .retry_after_s = 1 };
	const struct pick pick = refusal(l != NULL ? l : &unknown,
	    "rejected-saturated", "too many requests wait for this pool");

	if (err < 0)
		say_no_memory(h->ask.pool);
	counter_add(f->counters.shed, 1);
	refuse(f, h, &pick);
}

/* Its time to live is known only once the line follows the pool: one turn later. */
static void take_in(struct flow_control *f, struct held *h)
{
	struct line *l = find_line(f, h->ask.pool);
	int err = -1;

	counter_add(f->counters.held, 1);
	if (l == NULL)
		l = line_new(f, h->ask.pool);
	if (h->is_gone) {
		drop_gone(f, h);
		return;
	}
	if (l != NULL) {
		epoch_online(f->fleet, f->reader);
		follow_view(l, fleet_find(epoch_get(f->fleet), h->ask.pool));
		epoch_offline(f->fleet, f->reader);
		h->waiter.expires_ms = h->waiter.arrived_ms +
		    ttl_ms(l, &h->waiter);
		err = flow_queue_add(l->queue, &h->waiter);
	}
	if (err != 0)
		refuse_full(f, l, h, err);
	else
		h->state = HELD_WAITING;
}

static void let_leave(struct flow_control *f, struct held *h)
{
	bool was_waiting = h->state == HELD_WAITING;

	h->is_gone = true;
	if (was_waiting) {
		flow_queue_drop(find_line(f, h->ask.pool)->queue, &h->waiter);
		drop_gone(f, h);
	}
	held_unref(h);		/* the mail's */
}

static void on_mail(void *data, void *mail)
{
	struct flow_control *f = data;
	uintptr_t bits = (uintptr_t)mail;
	struct held *h = (struct held *)(bits & ~(uintptr_t)MAIL_BITS);

	switch ((enum mail)(bits & MAIL_BITS)) {
	case MAIL_HOLD:
		take_in(f, h);
		break;
	case MAIL_LEAVE:
		let_leave(f, h);
		break;
	case MAIL_DRAIN:
		f->is_draining = true;
		break;
	case MAIL_STOP:
		ev_break(f->loop, EVBREAK_ALL);
		return;
	}
	ev_async_send(f->loop, &f->poke);	/* one turn for all of this mail */
}

static void on_drop(void *data, void *mail)
{
	(void)data;
	held_unref((struct held *)((uintptr_t)mail & ~(uintptr_t)MAIL_BITS));
}

static void on_poke(EV_P_ ev_async *poke, int revents)
{
	(void)loop;
	(void)revents;
	turn(poke->data);
}

static void on_expiry(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	turn(timer->data);
}

static void post(struct flow_control *f, void *mail)
{
	while (mailbox_post(f->mailbox, mail) != 0)
		sched_yield();	/* by MAIL_SLOTS it cannot be full for long */
}

void flow_control_hold(struct flow_control *f, struct held *h)
{
	atomic_fetch_add(&f->n_waiting, 1);
	post(f, mail_of(h, MAIL_HOLD));
}

void flow_control_leave(struct flow_control *f, struct held *h)
{
	post(f, mail_of(h, MAIL_LEAVE));
}

/* Writes, so that who comes to wait after this sees what changed before it. */
void flow_control_poke(struct flow_control *f)
{
	if (atomic_fetch_add(&f->n_waiting, 0) > 0)
		ev_async_send(f->loop, &f->poke);
}

void flow_control_drain(struct flow_control *f)
{
	post(f, mail_of(NULL, MAIL_DRAIN));
}

const struct counters *flow_control_counters(const struct flow_control *f)
{
	return &f->counters;
}

/* ---- the thread ---- */

static void *flow_main(void *arg)
{
	struct flow_control *f = arg;

	ev_run(f->loop, 0);
	return NULL;
}

static void flow_free(struct flow_control *f)
{
	if (f->mailbox != NULL)
		mailbox_free(f->mailbox);
	for (struct line *l = f->lines, *next; l != NULL; l = next) {
		struct waiter *w;

		next = l->next;
		while ((w = flow_queue_next(l->queue)) != NULL) {
			flow_queue_take(l->queue, w);
			take_from_books(f, held_of(w));
			atomic_fetch_sub(&held_of(w)->pool_live->n_held, 1);
			held_drop(held_of(w));	/* nobody else will */
		}
		line_free(l);
	}
	if (f->loop != NULL)
		ev_loop_destroy(f->loop);
	arena_free(f->arena);
	free(f);
}

struct flow_control *flow_control_start(struct epoch *fleet, size_t reader,
    struct books *books)
{
	struct flow_control *f = calloc(1, sizeof(*f));
	int err;

	if (f == NULL)
		return NULL;
	f->fleet = fleet;
	f->reader = reader;
	f->books = books;
	f->rng.state = (uint64_t)clock_ns();
	f->arena = arena_new(ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
	f->loop = ev_loop_new(EVFLAG_AUTO);
	if (f->arena == NULL || f->loop == NULL)
		goto fail;
	f->mailbox = mailbox_new(f->loop, MAIL_SLOTS, on_mail, on_drop, f);
	if (f->mailbox == NULL)
		goto fail;
	ev_timer_init(&f->expiry, on_expiry, 0., 0.);
	ev_async_init(&f->poke, on_poke);
	f->expiry.data = f->poke.data = f;
	ev_async_start(f->loop, &f->poke);
	err = pthread_create(&f->thread, NULL, flow_main, f);
	if (err == 0)
		return f;
	log_error("flow.thread", "err=\"%s\"", strerror(err));
fail:
	flow_free(f);
	return NULL;
}

void flow_control_stop(struct flow_control *f)
{
	if (f == NULL)
		return;
	post(f, mail_of(NULL, MAIL_STOP));
	pthread_join(f->thread, NULL);
	flow_free(f);
}
