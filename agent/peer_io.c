/*
 * peer_io.c - a peer's bytes: what is there in one read, answers in one write
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "peer_parts.h"
#include "worker_state.h"

enum { KEPT_MAX_BYTES = 4096 };		/* memory an idle peer may keep */

/*
 * A frame that comes in two reads needs memory for as long as that lasts. An idle peer
 * keeps none; the worker keeps one such piece for whoever needs it next, so that a
 * warm worker does not allocate per request.
 */
static void swap_memory(struct buf *a, struct buf *b)
{
	struct buf was = *a;

	a->data = b->data;
	a->cap = b->cap;
	b->data = was.data;
	b->cap = was.cap;
}

void peer_trim(struct peer *p, struct buf *b)
{
	struct buf *spare = &p->worker->spare;

	if (b->len != 0 || b->cap <= KEPT_MAX_BYTES)
		return;
	if (b->cap > spare->cap)
		swap_memory(b, spare);
	buf_fini(b);
}

void peer_keep(struct peer *p, struct buf *b, const void *bytes, size_t len)
{
	struct buf *spare = &p->worker->spare;

	if (b->len == 0 && len > b->cap && len <= spare->cap)
		swap_memory(b, spare);
	buf_put(b, bytes, len);
}

/*
 * Keeps what the socket did not take; reading waits until it has. What was held may
 * be added meanwhile, and buys no more time.
 */
static bool keep_unsent(struct peer *p, const void *bytes, size_t len)
{
	bool is_first = p->unsent.len == 0;

	peer_keep(p, &p->unsent, bytes, len);
	if (buf_failed(&p->unsent))
		return false;
	ev_io_stop(p->worker->loop, &p->readable);
	ev_io_start(p->worker->loop, &p->writable);
	if (is_first)
		p->deadline_ms = clock_ms() + PEER_FRAME_TIMEOUT_MS;
	return true;
}

bool peer_flush(struct peer *p, struct writer *out)
{
	size_t len = writer_len(out);
	ssize_t sent = 0;

	writer_rewind(out, 0);
	if (len == 0)
		return true;
	if (p->unsent.len == 0) {
		sent = send(p->readable.fd, out->start, len, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			counter_add(p->worker->counters.write_errors, 1);
			return false;
		}
		sent = sent > 0 ? sent : 0;
	}
	return (size_t)sent == len ||
	    keep_unsent(p, out->start + sent, len - (size_t)sent);
}

void peer_on_writable(EV_P_ ev_io *io, int revents)
{
	struct peer *p = io->data;
	ssize_t sent = send(io->fd, p->unsent.data, p->unsent.len, MSG_NOSIGNAL);

	(void)revents;
	if (sent < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		counter_add(p->worker->counters.write_errors, 1);
		peer_close(p);
		return;
	}
	buf_consume(&p->unsent, (size_t)sent);
	if (p->unsent.len > 0)
		return;
	peer_trim(p, &p->unsent);
	p->deadline_ms = 0;
	if (p->state == PEER_GOODBYE)
		p->deadline_ms = clock_ms() + PEER_CLOSE_TIMEOUT_MS;
	else if (p->partial.len > 0)
		p->deadline_ms = clock_ms() + PEER_FRAME_TIMEOUT_MS;
	ev_io_stop(EV_A_ io);
	ev_io_start(EV_A_ &p->readable);
}

/* The kept front of a frame, then what the socket has: one stretch of bytes. */
static ssize_t gather(struct peer *p, struct span *in)
{
	struct worker *w = p->worker;
	size_t kept = p->partial.len;
	ssize_t got = recv(p->readable.fd, w->in + kept, WORKER_READ_BYTES, 0);

	if (got <= 0)
		return got;
	if (kept > 0)
		memcpy(w->in, p->partial.data, kept);
	buf_clear(&p->partial);
	*in = (struct span){ (char *)w->in, kept + (size_t)got };
	return got;
}

/* The time for a frame runs from its first byte on, however it trickles in. */
static bool keep_partial(struct peer *p, struct span rest)
{
	bool is_new = rest.ptr != (char *)p->worker->in &&
	    p->state == PEER_OPEN && p->unsent.len == 0;

	if (rest.len > 0) {
		peer_keep(p, &p->partial, rest.ptr, rest.len);
		if (is_new || p->deadline_ms == 0)
			p->deadline_ms = clock_ms() + PEER_FRAME_TIMEOUT_MS;
	} else {
		peer_trim(p, &p->partial);
		if (p->state == PEER_OPEN && p->unsent.len == 0)
			p->deadline_ms = 0;
	}
	return !buf_failed(&p->partial);
}

bool peer_serve(struct peer *p)
{
	struct writer out = writer_over(p->worker->out, WORKER_OUT_BYTES);
	struct span in;
	ssize_t got = gather(p, &in);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0)
		return false;
	return peer_take_frames(p, &in, &out) && keep_partial(p, in) &&
	    peer_flush(p, &out);
}

void peer_on_readable(EV_P_ ev_io *io, int revents)
{
	struct peer *p = io->data;

	(void)loop;
	(void)revents;
	if (!peer_serve(p))
		peer_close(p);
}
