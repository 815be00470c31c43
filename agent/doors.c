/*
 * doors.c - one watcher a listening socket, one timer for all
 */
#include "doors.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "fault.h"
#include "listener.h"
#include "log.h"
#include "options.h"

enum {
	ACCEPTS_PER_WAKEUP = 64,
};

static const double rest_s = 0.1;	/* out of descriptors: try again then */

struct door {
	ev_io io;
	struct doors *doors;
};

struct doors {
	struct ev_loop *loop;
	const char *event;
	doors_take_f *take;
	void *data;
	ev_timer rest;
	struct log_gate gate;
	size_t n;
	struct door door[];
};

static void take_rest(struct doors *d, int err)
{
	uint32_t held;

	if (log_gate_open(&d->gate, clock_ms(), &held))
		log_error(d->event, "err=\"%s\" want=\"a higher limit of open "
		    "files (LimitNOFILE)\" held_back=%u", strerror(err), held);
	for (size_t i = 0; i < d->n; i++)
		ev_io_stop(d->loop, &d->door[i].io);
	ev_timer_set(&d->rest, rest_s, 0.);
	ev_timer_start(d->loop, &d->rest);
}

static void on_rested(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	doors_start(timer->data);
}

static void on_knock(EV_P_ ev_io *io, int revents)
{
	struct doors *d = ((struct door *)io->data)->doors;

	(void)loop;
	(void)revents;
	for (int i = 0; i < ACCEPTS_PER_WAKEUP; i++) {
		int fd = accept4(io->fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		int err = errno;	/* logging may change it */

		if (fd >= 0) {
			d->take(fd, d->data);
			continue;
		}
		if (err == EMFILE || err == ENFILE || err == ENOBUFS ||
		    err == ENOMEM)
			take_rest(d, err);
		if (err != ECONNABORTED && err != EINTR)
			return;
	}
}

struct doors *doors_open(struct ev_loop *loop,
    const struct listen_options *listens, size_t n_listens, const char *event,
    doors_take_f *take, void *data, struct fault *why)
{
	struct doors *d = calloc(1,
	    sizeof(*d) + n_listens * sizeof(d->door[0]));

	if (d == NULL) {
		fault_set(why, NULL, 0, "no memory", NULL);
		return NULL;
	}
	d->loop = loop;
	d->event = event;
	d->take = take;
	d->data = data;
	ev_timer_init(&d->rest, on_rested, rest_s, 0.);
	d->rest.data = d;
	for (size_t i = 0; i < n_listens; i++) {
		int fd = listener_open(&listens[i], why);

		if (fd < 0) {
			doors_close(d);
			return NULL;
		}
		ev_io_init(&d->door[i].io, on_knock, fd, EV_READ);
		d->door[i].io.data = &d->door[i];
		d->door[i].doors = d;
		d->n++;
	}
	return d;
}

void doors_start(struct doors *d)
{
	for (size_t i = 0; i < d->n; i++)
		ev_io_start(d->loop, &d->door[i].io);
}

void doors_close(struct doors *d)
{
	if (d == NULL)
		return;
	ev_timer_stop(d->loop, &d->rest);
	for (size_t i = 0; i < d->n; i++) {
		ev_io_stop(d->loop, &d->door[i].io);
		listener_close(d->door[i].io.fd);
	}
	free(d);
}
