/*
 * acceptor.c - one watcher a listening socket; connections go round the workers
 */
#include "acceptor.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "listener.h"
#include "log.h"
#include "options.h"
#include "worker.h"

enum {
	ACCEPTS_PER_WAKEUP = 64,
};

static const double rest_s = 0.1;	/* out of descriptors: try again then */

struct door {
	ev_io io;
	struct acceptor *acceptor;
};

struct acceptor {
	struct ev_loop *loop;
	struct worker **workers;
	size_t n_workers, next;
	ev_timer rest;
	struct log_gate gate;
	size_t n_doors;
	struct door doors[];
};

static void give(struct acceptor *a, int fd)
{
	int on = 1;

	/* Small answers, no waiting. Fails on unix sockets, which never wait. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	for (size_t i = 0; i < a->n_workers; i++) {
		a->next = (a->next + 1) % a->n_workers;
		if (worker_adopt(a->workers[a->next], fd) == 0)
			return;
	}
	close(fd);	/* every mailbox is full; HAProxy fails over at once */
}

static void take_rest(struct acceptor *a, int err)
{
	uint32_t held;

	if (log_gate_open(&a->gate, clock_ms(), &held))
		log_error("acceptor.accept", "err=\"%s\" want=\"a higher limit of "
		    "open files (LimitNOFILE)\" held_back=%u",
		    strerror(err), held);
	for (size_t i = 0; i < a->n_doors; i++)
		ev_io_stop(a->loop, &a->doors[i].io);
	ev_timer_set(&a->rest, rest_s, 0.);
	ev_timer_start(a->loop, &a->rest);
}

static void on_rested(EV_P_ ev_timer *timer, int revents)
{
	struct acceptor *a = timer->data;

	(void)revents;
	for (size_t i = 0; i < a->n_doors; i++)
		ev_io_start(EV_A_ &a->doors[i].io);
}

static void on_connection(EV_P_ ev_io *io, int revents)
{
	struct door *d = io->data;

	(void)loop;
	(void)revents;
	for (int i = 0; i < ACCEPTS_PER_WAKEUP; i++) {
		int fd = accept4(io->fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		int err = errno;	/* logging may change it */

		if (fd >= 0) {
			give(d->acceptor, fd);
			continue;
		}
		if (err == EMFILE || err == ENFILE || err == ENOBUFS ||
		    err == ENOMEM)
			take_rest(d->acceptor, err);
		if (err != ECONNABORTED && err != EINTR)
			return;
	}
}

struct acceptor *acceptor_open(struct ev_loop *loop,
    const struct listen_options *listens, size_t n_listens,
    struct fault *why)
{
	struct acceptor *a = calloc(1,
	    sizeof(*a) + n_listens * sizeof(a->doors[0]));

	if (a == NULL) {
		fault_set(why, NULL, 0, "no memory", NULL);
		return NULL;
	}
	a->loop = loop;
	ev_timer_init(&a->rest, on_rested, rest_s, 0.);
	a->rest.data = a;
	for (size_t i = 0; i < n_listens; i++) {
		struct door *d = &a->doors[i];
		int fd = listener_open(&listens[i], why);

		if (fd < 0) {
			acceptor_close(a);
			return NULL;
		}
		ev_io_init(&d->io, on_connection, fd, EV_READ);
		d->io.data = d;
		d->acceptor = a;
		a->n_doors++;
	}
	return a;
}

void acceptor_start(struct acceptor *a, struct worker **workers,
    size_t n_workers)
{
	a->workers = workers;
	a->n_workers = n_workers;
	for (size_t i = 0; i < a->n_doors; i++)
		ev_io_start(a->loop, &a->doors[i].io);
}

void acceptor_close(struct acceptor *a)
{
	if (a == NULL)
		return;
	ev_timer_stop(a->loop, &a->rest);
	for (size_t i = 0; i < a->n_doors; i++) {
		ev_io_stop(a->loop, &a->doors[i].io);
		listener_close(a->doors[i].io.fd);
	}
	free(a);
}
