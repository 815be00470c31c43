/*
 * acceptor.c - sockets that listen
 */
#include "acceptor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "log.h"
#include "options.h"
#include "worker.h"

enum {
	BACKLOG = 4096,		/* the kernel cuts it to net.core.somaxconn */
	ACCEPTS_PER_WAKEUP = 64,
};

static const double rest_s = 0.1;	/* out of descriptors: try again then */

struct listener {
	ev_io io;
	char *unlink_path;		/* ours to remove */
	struct acceptor *acceptor;
};

struct acceptor {
	struct ev_loop *loop;
	struct worker **workers;
	size_t n_workers, next;
	ev_timer rest;
	struct log_gate gate;
	size_t n_listeners;
	struct listener listeners[];
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static socklen_t address_of(const struct listen_options *l, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (l->path != NULL) {
		a->un.sun_family = AF_UNIX;
		if (strlen(l->path) >= sizeof(a->un.sun_path))
			return 0;
		memcpy(a->un.sun_path, l->path, strlen(l->path) + 1);
		return sizeof(a->un);
	}
	if (inet_pton(AF_INET, l->host, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons(l->port);
		return sizeof(a->v4);
	}
	if (inet_pton(AF_INET6, l->host, &a->v6.sin6_addr) != 1)
		return 0;
	a->v6.sin6_family = AF_INET6;
	a->v6.sin6_port = htons(l->port);
	return sizeof(a->v6);
}

/* A socket file that nobody answers on is left over from a crash. */
static void remove_stale(const union address *a, socklen_t len)
{
	struct stat st;
	int fd;

	if (stat(a->un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	/* Not blocking: a stopped process with a full backlog would hold us. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, &a->any, len) != 0 && errno == ECONNREFUSED)
		unlink(a->un.sun_path);
	close(fd);
}

static void set_listen_options(int fd, const union address *a)
{
	int on = 1;

	if (a->any.sa_family == AF_UNIX)
		return;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->any.sa_family == AF_INET6)	/* [::] is IPv6, 0.0.0.0 IPv4 */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
}

static int listen_on(const struct listen_options *l, struct fault *why)
{
	union address a;
	socklen_t len = address_of(l, &a);
	int fd;

	if (len == 0) {
		fault_setf(why, NULL, 0, "listen: %s is no address", l->text);
		fault_want(why, "IP:PORT, [IPv6]:PORT or unix:/path of at most "
		    "107 bytes");
		return -1;
	}
	fd = socket(a.any.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto fail;
	if (l->path != NULL)
		remove_stale(&a, len);
	set_listen_options(fd, &a);
	if (bind(fd, &a.any, len) != 0 ||
	    (l->path != NULL && chmod(l->path, (mode_t)l->mode) != 0) ||
	    listen(fd, BACKLOG) != 0)
		goto fail;
	return fd;
fail:
	fault_setf(why, NULL, 0, "listen: %s: %s", l->text, strerror(errno));
	fault_want(why, "an address that is ours and that nobody listens on");
	if (fd >= 0)
		close(fd);
	return -1;
}

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
	for (size_t i = 0; i < a->n_listeners; i++)
		ev_io_stop(a->loop, &a->listeners[i].io);
	ev_timer_set(&a->rest, rest_s, 0.);
	ev_timer_start(a->loop, &a->rest);
}

static void on_rested(EV_P_ ev_timer *timer, int revents)
{
	struct acceptor *a = timer->data;

	(void)revents;
	for (size_t i = 0; i < a->n_listeners; i++)
		ev_io_start(EV_A_ &a->listeners[i].io);
}

static void on_connection(EV_P_ ev_io *io, int revents)
{
	struct listener *l = io->data;

	(void)loop;
	(void)revents;
	for (int i = 0; i < ACCEPTS_PER_WAKEUP; i++) {
		int fd = accept4(io->fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		int err = errno;	/* logging may change it */

		if (fd >= 0) {
			give(l->acceptor, fd);
			continue;
		}
		if (err == EMFILE || err == ENFILE || err == ENOBUFS ||
		    err == ENOMEM)
			take_rest(l->acceptor, err);
		if (err != ECONNABORTED && err != EINTR)
			return;
	}
}

struct acceptor *acceptor_open(struct ev_loop *loop,
    const struct listen_options *listens, size_t n_listens,
    struct fault *why)
{
	struct acceptor *a = calloc(1,
	    sizeof(*a) + n_listens * sizeof(a->listeners[0]));

	if (a == NULL) {
		fault_set(why, NULL, 0, "no memory", NULL);
		return NULL;
	}
	a->loop = loop;
	ev_timer_init(&a->rest, on_rested, rest_s, 0.);
	a->rest.data = a;
	for (size_t i = 0; i < n_listens; i++) {
		struct listener *l = &a->listeners[i];
		int fd = listen_on(&listens[i], why);

		if (fd < 0) {
			acceptor_close(a);
			return NULL;
		}
		ev_io_init(&l->io, on_connection, fd, EV_READ);
		l->io.data = l;
		l->acceptor = a;
		l->unlink_path = listens[i].path != NULL ?
		    strdup(listens[i].path) : NULL;
		a->n_listeners++;
	}
	return a;
}

void acceptor_start(struct acceptor *a, struct worker **workers,
    size_t n_workers)
{
	a->workers = workers;
	a->n_workers = n_workers;
	for (size_t i = 0; i < a->n_listeners; i++)
		ev_io_start(a->loop, &a->listeners[i].io);
}

void acceptor_close(struct acceptor *a)
{
	if (a == NULL)
		return;
	ev_timer_stop(a->loop, &a->rest);
	for (size_t i = 0; i < a->n_listeners; i++) {
		struct listener *l = &a->listeners[i];

		ev_io_stop(a->loop, &l->io);
		close(l->io.fd);
		if (l->unlink_path != NULL)
			unlink(l->unlink_path);
		free(l->unlink_path);
	}
	free(a);
}
