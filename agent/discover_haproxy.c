/*
 * discover_haproxy.c - ask HAProxy which servers a backend has, now and again
 *
 * One short connection to the stats socket a look: connect, send the command,
 * read to the end (management.txt section 9.3: without "prompt", HAProxy closes
 * after the answer), all without blocking and within TIMEOUT_S. A look that
 * fails leaves the set as it is.
 */
#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "arena.h"
#include "buf.h"
#include "discover_source.h"
#include "fault.h"

enum {
	ANSWER_MAX_BYTES = 4 << 20,
	ARENA_FIRST_BYTES = 16 << 10,
	ARENA_MAX_BYTES = 32 << 20,
};

static const double TIMEOUT_S = 2.0;

struct haproxy {
	struct ev_loop *loop;
	const struct pool_options *pool;
	discover_set_f *set;
	void *data;
	ev_timer tick, deadline;
	ev_io io;
	int fd;			/* -1 between looks */
	char command[POOL_NAME_MAX + 32];
	struct buf answer;
	struct discover_trouble trouble;
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_storage storage;
	} address;
	socklen_t address_len;
};

static void hang_up(struct haproxy *h)
{
	ev_io_stop(h->loop, &h->io);
	ev_timer_stop(h->loop, &h->deadline);
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	buf_clear(&h->answer);
}

static void give_up(struct haproxy *h, const char *doing, const char *why)
{
	char text[300];

	hang_up(h);
	snprintf(text, sizeof(text), "%s: %s: %s", h->pool->haproxy_socket,
	    doing, why);
	discover_trouble_set(&h->trouble, h->pool, "haproxy", text);
}

/* The whole answer is there. */
static void on_answer(struct haproxy *h)
{
	struct arena *arena = arena_new(ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
	const struct endpoint_spec *specs;
	struct fault why = { 0 };
	char text[sizeof(why.found) + sizeof(why.want) + 16];
	size_t n;

	if (arena == NULL) {
		give_up(h, "parsing", strerror(ENOMEM));
	} else if (discover_haproxy_parse(buf_span(&h->answer), h->pool, arena,
		&specs, &n, &why) != 0) {
		give_up(h, "its answer", fault_text(&why, text, sizeof(text)));
	} else {
		hang_up(h);
		h->set(h->data, specs, n);
		discover_trouble_clear(&h->trouble, h->pool, "haproxy");
	}
	arena_free(arena);
}

static void on_readable(struct haproxy *h)
{
	char bytes[16384];
	ssize_t n;

	while ((n = recv(h->fd, bytes, sizeof(bytes), 0)) > 0) {
		buf_put(&h->answer, bytes, (size_t)n);
		if (buf_failed(&h->answer)) {
			give_up(h, "reading", "more than 4 MiB");
			return;
		}
	}
	if (n == 0)
		on_answer(h);
	else if (errno != EAGAIN && errno != EINTR)
		give_up(h, "reading", strerror(errno));
}

/* A command is far shorter than any socket's buffer: it goes in one piece. */
static void on_connected(struct haproxy *h)
{
	size_t len = strlen(h->command);
	int err = 0;
	socklen_t err_len = sizeof(err);

	if (getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &err, &err_len) != 0)
		err = errno;
	if (err == 0 &&
	    send(h->fd, h->command, len, MSG_NOSIGNAL) != (ssize_t)len)
		err = errno != 0 ? errno : EPIPE;
	if (err != 0) {
		give_up(h, "connecting", strerror(err));
		return;
	}
	ev_io_stop(h->loop, &h->io);
	ev_io_set(&h->io, h->fd, EV_READ);
	ev_io_start(h->loop, &h->io);
}

static void on_io(EV_P_ ev_io *io, int revents)
{
	(void)loop;
	if (revents & EV_WRITE)
		on_connected(io->data);
	else
		on_readable(io->data);
}

static void on_deadline(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	give_up(timer->data, "waiting", "no answer within 2s");
}

static void on_tick(EV_P_ ev_timer *timer, int revents)
{
	struct haproxy *h = timer->data;

	(void)revents;
	if (h->fd >= 0)
		return;		/* the last look still has its deadline */
	h->fd = socket(h->address.any.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->fd < 0) {
		give_up(h, "socket", strerror(errno));
		return;
	}
	if (connect(h->fd, &h->address.any, h->address_len) != 0 &&
	    errno != EINPROGRESS) {
		give_up(h, "connecting", strerror(errno));
		return;
	}
	ev_io_set(&h->io, h->fd, EV_WRITE);
	ev_io_start(EV_A_ &h->io);
	ev_timer_set(&h->deadline, TIMEOUT_S, 0.);
	ev_timer_start(EV_A_ &h->deadline);
}

/* "127.0.0.1:9999" or "[::1]:9999"; options.c let nothing else through. */
static int resolve_numeric(struct haproxy *h, const char *text)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	const char *colon = strrchr(text, ':');
	struct addrinfo *found;
	char host[64];
	int len;

	if (colon == NULL)
		return -EINVAL;
	len = (int)(colon - text);
	if (text[0] == '[' && len > 2)
		snprintf(host, sizeof(host), "%.*s", len - 2, text + 1);
	else
		snprintf(host, sizeof(host), "%.*s", len, text);
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return -EINVAL;
	memcpy(&h->address.storage, found->ai_addr, found->ai_addrlen);
	h->address_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int set_address(struct haproxy *h, const char *text)
{
	size_t len = strlen(text);

	if (text[0] != '/')
		return resolve_numeric(h, text);
	if (len >= sizeof(h->address.un.sun_path))
		return -EINVAL;
	h->address.un.sun_family = AF_UNIX;
	memcpy(h->address.un.sun_path, text, len + 1);
	h->address_len = sizeof(h->address.un);
	return 0;
}

static void *haproxy_start(struct ev_loop *loop,
    const struct pool_options *pool, discover_set_f *set, void *data)
{
	struct haproxy *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->loop = loop;
	h->pool = pool;
	h->set = set;
	h->data = data;
	h->fd = -1;
	buf_init(&h->answer, ANSWER_MAX_BYTES);
	snprintf(h->command, sizeof(h->command), "show servers state %s\n",
	    pool->haproxy_backend);
	ev_init(&h->io, on_io);
	ev_timer_init(&h->deadline, on_deadline, TIMEOUT_S, 0.);
	ev_timer_init(&h->tick, on_tick, 0.,
	    (double)pool->haproxy_interval_ms / 1000.);
	h->io.data = h->deadline.data = h->tick.data = h;
	if (set_address(h, pool->haproxy_socket) == 0)
		ev_timer_start(loop, &h->tick);
	else
		give_up(h, "address", strerror(EINVAL));
	return h;
}

static void haproxy_stop(void *self)
{
	struct haproxy *h = self;

	hang_up(h);
	ev_timer_stop(h->loop, &h->tick);
	buf_fini(&h->answer);
	free(h);
}

const struct discover_source discover_haproxy = {
	.name = "haproxy",
	.start = haproxy_start,
	.stop = haproxy_stop,
};
