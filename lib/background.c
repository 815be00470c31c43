/*
 * background.c - a thread per piece of work, and a bell
 */
#include "background.h"

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "must.h"

struct background {
	struct ev_loop *loop;
	ev_async bell;
	pthread_t thread;
	background_f *work, *done;
	void *data;
	bool is_busy;
	atomic_bool has_ended;
};

static void *work(void *data)
{
	struct background *b = data;

	b->work(b->data);
	atomic_store(&b->has_ended, true);
	ev_async_send(b->loop, &b->bell);
	return NULL;
}

static void finish(struct background *b)
{
	b->is_busy = false;
	b->done(b->data);
}

void background_wait(struct background *b)
{
	if (!b->is_busy)
		return;
	must(pthread_join(b->thread, NULL) == 0);
	finish(b);
}

/* The bell of work that was waited for rings too, perhaps while the next goes on. */
static void on_bell(EV_P_ ev_async *bell, int revents)
{
	struct background *b = bell->data;

	(void)loop;
	(void)revents;
	if (atomic_load(&b->has_ended))
		background_wait(b);
}

struct background *background_new(struct ev_loop *loop)
{
	struct background *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->loop = loop;
	ev_async_init(&b->bell, on_bell);
	b->bell.data = b;
	ev_async_start(loop, &b->bell);
	return b;
}

void background_free(struct background *b)
{
	if (b == NULL)
		return;
	must(!b->is_busy);
	ev_async_stop(b->loop, &b->bell);
	free(b);
}

void background_start(struct background *b, background_f *to_do,
    background_f *done, void *data)
{
	must(!b->is_busy);
	b->work = to_do;
	b->done = done;
	b->data = data;
	b->is_busy = true;
	atomic_store(&b->has_ended, false);
	if (pthread_create(&b->thread, NULL, work, b) == 0)
		return;
	to_do(data);
	finish(b);
}

bool background_is_busy(const struct background *b)
{
	return b->is_busy;
}
