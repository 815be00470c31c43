/*
 * peer.c - the connection's life: opened or taken over, drained, handed on, closed
 */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "handover.h"
#include "log.h"
#include "peer_parts.h"
#include "worker_state.h"

enum { OUT_MAX_BYTES = 1024 * 1024 };	/* answers one peer may leave unread */

struct peer *peer_of(struct list *link)
{
	return list_entry(link, struct peer, link);
}

void peer_close(struct peer *p)
{
	struct worker *w = p->worker;

	ev_io_stop(w->loop, &p->readable);
	ev_io_stop(w->loop, &p->writable);
	close(p->readable.fd);
	peer_forget_all_held(p);
	buf_fini(&p->partial);
	buf_fini(&p->unsent);
	worker_forget(w, p);
	free(p);
}

struct peer *peer_open(struct worker *w, int fd)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		close(fd);
		return NULL;
	}
	p->worker = w;
	p->max_frame = PEER_HELLO_MAX_FRAME;
	p->deadline_ms = clock_ms() + PEER_HELLO_TIMEOUT_MS;
	buf_init(&p->partial, PEER_MAX_FRAME + SPOP_LEN_BYTES);
	buf_init(&p->unsent, OUT_MAX_BYTES);
	list_init(&p->held);
	ev_io_init(&p->readable, peer_on_readable, fd, EV_READ);
	ev_io_init(&p->writable, peer_on_writable, fd, EV_WRITE);
	p->readable.data = p->writable.data = p;
	list_append(&w->peers, &p->link);
	ev_io_start(w->loop, &p->readable);
	counter_add(w->counters.connections, 1);
	return p;
}

struct peer *peer_adopt(struct worker *w, int fd, uint32_t max_frame,
    const void *bytes, size_t len)
{
	struct peer *p = peer_open(w, fd);

	if (p == NULL)
		return NULL;
	if (max_frame > 0) {
		p->state = PEER_OPEN;
		p->max_frame = max_frame;
		p->deadline_ms = len > 0 ? clock_ms() + PEER_FRAME_TIMEOUT_MS :
		    0;
	}
	peer_keep(p, &p->partial, bytes, len);
	if (!buf_failed(&p->partial))
		return p;
	peer_close(p);
	return NULL;
}

void worker_forget(struct worker *w, struct peer *p)
{
	list_remove(&p->link);
	if (w->is_draining && list_is_empty(&w->peers))
		ev_break(w->loop, EVBREAK_ALL);
}

/* A socket that lives on elsewhere stays in our epoll, closed or not: a new one. */
static void close_given(struct peer *p)
{
	ev_loop_fork(p->worker->loop);
	peer_close(p);
}

/*
 * Between the last read and this nothing comes in, and behind it the socket is another
 * process's: no byte is read twice, none is lost.
 */
static void hand_over(struct peer *p)
{
	struct worker *w = p->worker;
	int err;

	if (p->unsent.len > 0 || w->handover_is_full)
		return;
	err = handover_give(w->handover, p->readable.fd,
	    p->state == PEER_OPEN ? p->max_frame : 0, buf_span(&p->partial));
	if (err == 0)
		close_given(p);
	else if (err == -EAGAIN)
		w->handover_is_full = true;
	else if (err != -EMSGSIZE)	/* that one shall get its frame first */
		w->handover = NULL;
}

void peer_end_drained(struct peer *p)
{
	struct writer out = writer_over(p->worker->out, WORKER_OUT_BYTES);

	if (p->state == PEER_GOODBYE || !list_is_empty(&p->held))
		return;
	if (p->worker->handover != NULL) {
		hand_over(p);
		return;
	}
	peer_say_goodbye(p, &out, SPOP_STATUS_NORMAL);
	if (!peer_flush(p, &out))
		peer_close(p);
}

void peer_drain(struct peer *p)
{
	if (p->state == PEER_GOODBYE)
		return;
	/* What has arrived by now still gets its answer: from us, or whom it goes to. */
	if (p->worker->handover == NULL && !peer_serve(p))
		peer_close(p);
	else
		peer_end_drained(p);
}

void peer_sweep(struct peer *p, int64_t now_ms)
{
	if (p->deadline_ms == 0 || now_ms < p->deadline_ms)
		return;
	if (p->state != PEER_GOODBYE) {
		counter_add(p->worker->counters.timeouts, 1);
		log_debug("peer.timeout", "state=%d", (int)p->state);
	}
	peer_close(p);
}
