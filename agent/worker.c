/*
 * worker.c - the loop around the peers
 *
 * Mail is a connected socket, one that another process has served, an order, or a
 * request that waited and may be answered.
 * The sweep runs once a second and only looks at deadlines, so that no peer needs a
 * timer of its own.
 */
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "epoch.h"
#include "handover.h"
#include "held.h"
#include "log.h"
#include "mailbox.h"
#include "must.h"
#include "worker_state.h"

enum {
	MAIL_SLOTS = 4096 + HELD_MAX,	/* so that answers always have room */
	ARENA_FIRST_BYTES = 256 * 1024,	/* 64 KB prompt and 1,000 endpoints */
	ARENA_MAX_BYTES = 16 * 1024 * 1024,
	SWEEP_PERIOD_S = 1,
	HANDOVER_WAIT_MS = 1000,	/* for room, and for answers that are due */
	HANDOVER_LOOK_MS = 2,
};

/*
 * Two bits tell. Pointers have none: a struct held; or the second, set by us: a struct
 * handed. Odd are orders, and sockets behind them.
 */
enum mail { MAIL_DRAIN = 0, MAIL_STOP = 1, MAIL_FD = 2 };
enum { TAG_HELD = 0, TAG_HANDED = 2, TAG_BITS = 3 };

static void *mail_of(intptr_t order)
{
	return (void *)(order * 2 + 1);
}

static bool is_held(const void *mail)
{
	return ((intptr_t)mail & TAG_BITS) == TAG_HELD;
}

static bool is_handed(const void *mail)
{
	return ((intptr_t)mail & TAG_BITS) == TAG_HANDED;
}

static struct handed *handed_of(void *mail)
{
	return (struct handed *)((intptr_t)mail & ~(intptr_t)TAG_BITS);
}

static int order_of(const void *mail)
{
	return (int)((intptr_t)mail / 2);
}

static void drain(struct worker *w)
{
	w->is_draining = true;
	list_each(link, after, &w->peers)
		peer_drain(peer_of(link));
	if (list_is_empty(&w->peers))
		ev_break(w->loop, EVBREAK_ALL);
}

/* Whoever could not go yet is served meanwhile, and asked again. */
static void on_handover_look(EV_P_ ev_timer *timer, int revents)
{
	struct worker *w = timer->data;

	(void)revents;
	w->handover_is_full = false;
	if (clock_ms() >= w->handover_until_ms)
		w->handover = NULL;
	if (w->handover == NULL)
		ev_timer_stop(EV_A_ timer);
	drain(w);
}

static void begin_draining(struct worker *w)
{
	w->handover_until_ms = clock_ms() + HANDOVER_WAIT_MS;
	if (w->handover != NULL)
		ev_timer_start(w->loop, &w->handover_look);
	drain(w);
}

static void adopt_handed(struct worker *w, struct handed *c)
{
	if (!w->is_draining) {
		if (peer_adopt(w, c->fd, c->max_frame, c->bytes, c->len) == NULL)
			log_error("worker.peer", "worker=%zu err=\"no memory\"",
			    w->index);
		c->fd = -1;
	}
	handed_free(c);
}

static void take_order(struct worker *w, int order)
{
	if (order == MAIL_STOP)
		ev_break(w->loop, EVBREAK_ALL);
	else if (order == MAIL_DRAIN)
		begin_draining(w);
	else if (w->is_draining)
		close(order - MAIL_FD);
	else if (peer_open(w, order - MAIL_FD) == NULL)
		log_error("worker.peer", "worker=%zu err=\"no memory\"", w->index);
}

static void on_mail(void *data, void *mail)
{
	struct worker *w = data;

	if (is_held(mail))
		peer_answer_held(mail);
	else if (is_handed(mail))
		adopt_handed(w, handed_of(mail));
	else
		take_order(w, order_of(mail));
}

/* What nobody picked up any more. */
static void on_drop(void *data, void *mail)
{
	(void)data;
	if (is_held(mail))
		held_drop(mail);
	else if (is_handed(mail))
		handed_free(handed_of(mail));
	else if (order_of(mail) >= MAIL_FD)
		close(order_of(mail) - MAIL_FD);
}

static void on_wake(EV_P_ ev_check *check, int revents)
{
	struct worker *w = check->data;

	(void)loop;
	(void)revents;
	epoch_online(w->fleet, w->index);
	w->woke_us = clock_us();
}

static void on_nap(EV_P_ ev_prepare *nap, int revents)
{
	struct worker *w = nap->data;

	(void)loop;
	(void)revents;
	epoch_offline(w->fleet, w->index);
}

static void on_sweep(EV_P_ ev_timer *timer, int revents)
{
	struct worker *w = timer->data;
	int64_t now_ms = clock_ms();

	(void)loop;
	(void)revents;
	list_each(link, after, &w->peers)
		peer_sweep(peer_of(link), now_ms);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	ev_run(w->loop, 0);
	list_each(link, after, &w->peers)
		peer_close(peer_of(link));
	epoch_offline(w->fleet, w->index);
	return NULL;
}

static void post(struct worker *w, enum mail mail)
{
	while (mailbox_post(w->mailbox, mail_of(mail)) != 0)
		sched_yield();	/* full of sockets: the worker is taking them */
}

int worker_adopt(struct worker *w, int fd)
{
	return mailbox_post(w->mailbox, mail_of(fd + MAIL_FD));
}

int worker_adopt_handed(struct worker *w, struct handed *c)
{
	return mailbox_post(w->mailbox, (void *)((intptr_t)c | TAG_HANDED));
}

void worker_deliver(struct worker *w, struct held *h)
{
	while (mailbox_post(w->mailbox, h) != 0)
		sched_yield();	/* full of sockets: the worker is taking them */
}

void worker_hand_over(struct worker *w, struct handover *to)
{
	w->was_drained = true;
	w->handover = to;	/* the worker looks at it from this mail on */
	post(w, MAIL_DRAIN);
}

void worker_drain(struct worker *w)
{
	worker_hand_over(w, NULL);
}

const struct counters *worker_counters(const struct worker *w)
{
	return &w->counters;
}

static void init_watchers(struct worker *w)
{
	ev_check_init(&w->wake, on_wake);
	ev_prepare_init(&w->nap, on_nap);
	ev_timer_init(&w->sweep, on_sweep, SWEEP_PERIOD_S, SWEEP_PERIOD_S);
	ev_timer_init(&w->handover_look, on_handover_look,
	    HANDOVER_LOOK_MS / 1000., HANDOVER_LOOK_MS / 1000.);
	w->wake.data = w->nap.data = w->sweep.data = w->handover_look.data = w;
	ev_set_priority(&w->wake, EV_MAXPRI);	/* online before all callbacks */
	ev_check_start(w->loop, &w->wake);
	ev_prepare_start(w->loop, &w->nap);
	ev_timer_start(w->loop, &w->sweep);
}

struct worker *worker_start(size_t index, struct epoch *fleet,
    struct books *books, struct flow_control *flow)
{
	struct worker *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return NULL;
	w->index = index;
	w->fleet = fleet;
	w->books = books;
	w->flow = flow;
	list_init(&w->peers);
	buf_init(&w->spare, PEER_MAX_FRAME + 4);
	w->rng.state = (uint64_t)clock_ns() ^ (uint64_t)index << 56;
	w->arena = arena_new(ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
	/* Fresh pages, touched as far as they are needed. */
	w->in = malloc(WORKER_IN_BYTES);
	w->out = malloc(WORKER_OUT_BYTES);
	w->loop = ev_loop_new(EVFLAG_AUTO);
	if (w->arena == NULL || w->in == NULL || w->out == NULL ||
	    w->loop == NULL)
		goto fail_loop;
	w->mailbox = mailbox_new(w->loop, MAIL_SLOTS, on_mail, on_drop, w);
	if (w->mailbox == NULL)
		goto fail_loop;
	init_watchers(w);
	err = pthread_create(&w->thread, NULL, worker_main, w);
	if (err != 0) {
		log_error("worker.thread", "worker=%zu err=\"%s\"", index,
		    strerror(err));
		goto fail_thread;
	}
	return w;

fail_thread:
	mailbox_free(w->mailbox);
fail_loop:
	if (w->loop != NULL)
		ev_loop_destroy(w->loop);
	free(w->out);
	free(w->in);
	arena_free(w->arena);
	free(w);
	return NULL;
}

void worker_join(struct worker *w)
{
	if (!w->was_drained)	/* else it ends with its last peer */
		post(w, MAIL_STOP);
	pthread_join(w->thread, NULL);
}

void worker_free(struct worker *w)
{
	mailbox_free(w->mailbox);
	ev_loop_destroy(w->loop);
	buf_fini(&w->spare);
	free(w->out);
	free(w->in);
	arena_free(w->arena);
	free(w);
}
