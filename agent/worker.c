/*
 * worker.c - the loop around the peers
 *
 * Mail is a connected socket, or WORKER_DRAIN. The sweep runs once a second and only
 * looks at deadlines, so that no peer needs a timer of its own.
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
#include "log.h"
#include "mailbox.h"
#include "must.h"
#include "worker_state.h"

enum {
	MAIL_SLOTS = 4096,
	ARENA_FIRST_BYTES = 256 * 1024,	/* 64 KB prompt and 1,000 endpoints */
	ARENA_MAX_BYTES = 16 * 1024 * 1024,
	SWEEP_PERIOD_S = 1,
};

/* A socket travels as its number plus MAIL_FD, so that none is NULL. */
enum mail { MAIL_DRAIN = 1, MAIL_STOP = 2, MAIL_FD = 3 };

static void *mail_of_fd(int fd)
{
	return (void *)((intptr_t)fd + MAIL_FD);
}

static int fd_of_mail(const void *mail)
{
	return (int)((intptr_t)mail - MAIL_FD);
}

static void drain(struct worker *w)
{
	w->is_draining = true;
	list_each(link, after, &w->peers)
		peer_drain(peer_of(link));
	if (list_is_empty(&w->peers))
		ev_break(w->loop, EVBREAK_ALL);
}

static void on_mail(void *data, void *mail)
{
	struct worker *w = data;

	if (mail == (void *)MAIL_STOP)
		ev_break(w->loop, EVBREAK_ALL);
	else if (mail == (void *)MAIL_DRAIN)
		drain(w);
	else if (w->is_draining)
		close(fd_of_mail(mail));
	else if (peer_open(w, fd_of_mail(mail)) == NULL)
		log_error("worker.peer", "worker=%zu err=\"no memory\"", w->index);
}

/* A socket that nobody picked up any more. */
static void on_drop(void *data, void *mail)
{
	(void)data;
	if ((intptr_t)mail >= MAIL_FD)
		close(fd_of_mail(mail));
}

static void on_wake(EV_P_ ev_check *check, int revents)
{
	struct worker *w = check->data;

	(void)loop;
	(void)revents;
	epoch_online(w->fleet, w->index);
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
	while (mailbox_post(w->mailbox, (void *)(intptr_t)mail) != 0)
		sched_yield();	/* full of sockets: the worker is taking them */
}

int worker_adopt(struct worker *w, int fd)
{
	return mailbox_post(w->mailbox, mail_of_fd(fd));
}

void worker_drain(struct worker *w)
{
	w->was_drained = true;
	post(w, MAIL_DRAIN);
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
	w->wake.data = w->nap.data = w->sweep.data = w;
	ev_set_priority(&w->wake, EV_MAXPRI);	/* online before all callbacks */
	ev_check_start(w->loop, &w->wake);
	ev_prepare_start(w->loop, &w->nap);
	ev_timer_start(w->loop, &w->sweep);
}

struct worker *worker_start(size_t index, struct epoch *fleet)
{
	struct worker *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return NULL;
	w->index = index;
	w->fleet = fleet;
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

void worker_stop(struct worker *w)
{
	if (w == NULL)
		return;
	if (!w->was_drained)	/* else it ends with its last peer */
		post(w, MAIL_STOP);
	pthread_join(w->thread, NULL);
	mailbox_free(w->mailbox);
	ev_loop_destroy(w->loop);
	buf_fini(&w->spare);
	free(w->out);
	free(w->in);
	arena_free(w->arena);
	free(w);
}
