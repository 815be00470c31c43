/*
 * mailbox.c - a ring, a lock, a bell
 */
#include "mailbox.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdlib.h>

struct mailbox {
	struct ev_loop *loop;
	ev_async bell;
	mailbox_f *on_mail, *drop;
	void *data;

	pthread_mutex_t lock;	/* guards the rest */
	size_t n_slots, first, count;
	void *slots[];
};

/* One at a time: on_mail may post, and must not run under the lock. */
static int mailbox_take(struct mailbox *m, void **mail)
{
	int taken = 0;

	pthread_mutex_lock(&m->lock);
	if (m->count > 0) {
		*mail = m->slots[m->first];
		m->first = (m->first + 1) % m->n_slots;
		m->count--;
		taken = 1;
	}
	pthread_mutex_unlock(&m->lock);
	return taken;
}

static void on_bell(EV_P_ ev_async *bell, int revents)
{
	struct mailbox *m = bell->data;
	void *mail;

	(void)loop;
	(void)revents;
	while (mailbox_take(m, &mail))
		m->on_mail(m->data, mail);
}

struct mailbox *mailbox_new(struct ev_loop *loop, size_t n_slots,
    mailbox_f *on_mail, mailbox_f *drop, void *data)
{
	struct mailbox *m = calloc(1, sizeof(*m) + n_slots * sizeof(void *));

	if (m == NULL)
		return NULL;
	m->loop = loop;
	m->n_slots = n_slots;
	m->on_mail = on_mail;
	m->drop = drop;
	m->data = data;
	pthread_mutex_init(&m->lock, NULL);
	ev_async_init(&m->bell, on_bell);
	m->bell.data = m;
	ev_async_start(loop, &m->bell);
	return m;
}

void mailbox_free(struct mailbox *m)
{
	void *mail;

	if (m == NULL)
		return;
	ev_async_stop(m->loop, &m->bell);
	while (mailbox_take(m, &mail))
		m->drop(m->data, mail);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

int mailbox_post(struct mailbox *m, void *mail)
{
	int ret = -EAGAIN;

	pthread_mutex_lock(&m->lock);
	if (m->count < m->n_slots) {
		m->slots[(m->first + m->count) % m->n_slots] = mail;
		m->count++;
		ret = 0;
	}
	pthread_mutex_unlock(&m->lock);
	if (ret == 0)
		ev_async_send(m->loop, &m->bell);
	return ret;
}
