/*
 * flow_control.c - the thread and its mail: who comes to wait, who leaves
 */
#include "flow_control.h"

#include <ev.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "endpoints.h"
#include "epoch.h"
#include "flow_control_parts.h"
#include "log.h"
#include "mailbox.h"

enum {
	/* Each may be handed over, and left by its peer and by its line. */
	MAIL_SLOTS = 3 * HELD_MAX + 8,
	ARENA_FIRST_BYTES = 64 << 10,
	ARENA_MAX_BYTES = 16 << 20,
};

/* What a piece of mail is, in the low bits of the pointer. */
enum mail {
	MAIL_HOLD = 0, MAIL_LEAVE = 1, MAIL_DRAIN = 2, MAIL_STOP = 3,
	MAIL_BITS = 3,
};

static void *mail_of(const struct held *h, enum mail kind)
{
	return (void *)((uintptr_t)h | kind);
}

static struct log_gate no_memory_gate;

static void say_no_memory(struct span pool)
{
	uint32_t n;

	if (log_gate_open(&no_memory_gate, clock_ms(), &n))
		log_error("flow.hold", "pool=\"%.*s\" err=\"no memory\" "
		    "held_back=%u", (int)pool.len, pool.ptr, n);
}

/* `l` is NULL without memory for it. */
static void refuse_full(struct flow_control *f, const struct flow_line *l,
    struct held *h, int err)
{
	static const struct flow_line unknown = { .retry_after_s = 1 };
	const struct pick pick = flow_control_refusal(l != NULL ? l : &unknown,
	    "rejected-saturated", "too many requests wait for this pool");

	if (err < 0)
		say_no_memory(h->ask.pool);
	counter_add(f->counters.shed, 1);
	flow_control_refuse(f, h, &pick);
}

/* Its time to live is its pool's, which the line has to follow first. */
static void take_in(struct flow_control *f, struct held *h)
{
	struct flow_line *l = flow_control_find_line(f, h->ask.pool);
	int err = -1;

	counter_add(f->counters.held, 1);
	if (l == NULL)
		l = flow_control_new_line(f, h->ask.pool);
	if (h->is_gone) {
		flow_control_drop_gone(f, h);
		return;
	}
	if (l != NULL) {
		epoch_online(f->fleet, f->reader);
		flow_control_follow_view(l, fleet_find(epoch_get(f->fleet),
		    h->ask.pool));
		epoch_offline(f->fleet, f->reader);
		h->waiter.expires_ms = h->waiter.arrived_ms +
		    flow_control_ttl_ms(l, &h->waiter);
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
		flow_queue_drop(flow_control_find_line(f, h->ask.pool)->queue,
		    &h->waiter);
		flow_control_drop_gone(f, h);
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
	flow_control_turn(poke->data);
}

static void on_expiry(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	flow_control_turn(timer->data);
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
	for (struct flow_line *l = f->lines, *next; l != NULL; l = next) {
		struct waiter *w;

		next = l->next;
		while ((w = flow_queue_next(l->queue)) != NULL) {
			flow_queue_take(l->queue, w);
			flow_control_abandon(f, flow_control_held_of(w));
		}
		flow_control_free_line(l);
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
