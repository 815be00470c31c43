/*
 * peer.c - the connection as a table of steps: state and frame type to function
 *
 * Reading, cutting into frames, dispatching and writing are the upper half; what each
 * frame means is the lower. A step returns false when the connection must end with
 * p->status said to HAProxy. Format and status codes: HAProxy doc/SPOE.txt section 3.
 */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admission.h"
#include "answer.h"
#include "books.h"
#include "buf.h"
#include "clock.h"
#include "endpoints.h"
#include "epoch.h"
#include "flow_control.h"
#include "handover.h"
#include "held.h"
#include "log.h"
#include "notify.h"
#include "spop.h"
#include "worker_state.h"

enum {
	OUT_MAX_BYTES = 1024 * 1024,	/* answers one peer may leave unread */
	KEPT_MAX_BYTES = 4096,		/* memory an idle peer may keep */
};

enum peer_state {
	PEER_NEW,	/* waits for HAPROXY-HELLO */
	PEER_OPEN,	/* asks and answers */
	PEER_GOODBYE,	/* all is said; what still comes is thrown away */
};

struct peer {
	struct list link;
	struct worker *worker;
	ev_io readable, writable;
	int64_t deadline_ms;		/* 0: none */
	uint32_t max_frame;
	enum spop_status status;	/* why a step refused to go on */
	enum peer_state state;
	struct buf partial;		/* the front of a frame */
	struct buf unsent;
	struct list held;		/* asks that wait: held.h */
};

static struct log_gate bad_frame_gate;

/* ---- bytes ---- */

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

static void trim(struct peer *p, struct buf *b)
{
	struct buf *spare = &p->worker->spare;

	if (b->len != 0 || b->cap <= KEPT_MAX_BYTES)
		return;
	if (b->cap > spare->cap)
		swap_memory(b, spare);
	buf_fini(b);
}

static void keep(struct peer *p, struct buf *b, const void *bytes, size_t len)
{
	struct buf *spare = &p->worker->spare;

	if (b->len == 0 && len > b->cap && len <= spare->cap)
		swap_memory(b, spare);
	buf_put(b, bytes, len);
}

/* Our reference stays until the flow thread gives it back by mail. */
static void forget_held(struct held *h)
{
	list_remove(&h->in_peer);
	h->peer = NULL;
	held_ref(h);
	flow_control_leave(h->worker->flow, h);
}

static void forget_all_held(struct peer *p)
{
	list_each(link, after, &p->held)
		forget_held(list_entry(link, struct held, in_peer));
}

void peer_close(struct peer *p)
{
	struct worker *w = p->worker;

	ev_io_stop(w->loop, &p->readable);
	ev_io_stop(w->loop, &p->writable);
	close(p->readable.fd);
	forget_all_held(p);
	buf_fini(&p->partial);
	buf_fini(&p->unsent);
	worker_forget(w, p);
	free(p);
}

/*
 * Keeps what the socket did not take; reading waits until it has. What was held may
 * be added meanwhile, and buys no more time.
 */
static bool keep_unsent(struct peer *p, const void *bytes, size_t len)
{
	bool is_first = p->unsent.len == 0;

	keep(p, &p->unsent, bytes, len);
	if (buf_failed(&p->unsent))
		return false;
	ev_io_stop(p->worker->loop, &p->readable);
	ev_io_start(p->worker->loop, &p->writable);
	if (is_first)
		p->deadline_ms = clock_ms() + PEER_FRAME_TIMEOUT_MS;
	return true;
}

/* One write for all that was answered. False: the connection is lost. */
static bool flush(struct peer *p, struct writer *out)
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

static void on_writable(EV_P_ ev_io *io, int revents)
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
	trim(p, &p->unsent);
	p->deadline_ms = 0;
	if (p->state == PEER_GOODBYE)
		p->deadline_ms = clock_ms() + PEER_CLOSE_TIMEOUT_MS;
	else if (p->partial.len > 0)
		p->deadline_ms = clock_ms() + PEER_FRAME_TIMEOUT_MS;
	ev_io_stop(EV_A_ io);
	ev_io_start(EV_A_ &p->readable);
}

/* ---- frames ---- */

/* Says why and hears no more; HAProxy closes, or the sweep does. */
static void say_goodbye(struct peer *p, struct writer *out,
    enum spop_status status)
{
	spop_write_disconnect(out, SPOP_AGENT_DISCONNECT, status);
	p->state = PEER_GOODBYE;
	p->deadline_ms = clock_ms() + PEER_CLOSE_TIMEOUT_MS;
	forget_all_held(p);	/* nothing more can be said to them */
	buf_clear(&p->partial);
	trim(p, &p->partial);
}

static void refuse_frame(struct peer *p, struct writer *out,
    enum spop_status status, const char *step)
{
	uint32_t held;

	counter_add(p->worker->counters.bad_frames, 1);
	if (log_gate_open(&bad_frame_gate, clock_ms(), &held))
		log_warn("peer.refused",
		    "status=%d reason=\"%s\" step=\"%s\" held_back=%u",
		    (int)status, spop_status_text(status), step, held);
	say_goodbye(p, out, status);
}

static bool step_hello(struct peer *p, struct spop_frame *f,
    struct writer *out)
{
	struct spop_hello hello;

	p->status = spop_read_hello(&f->payload, &hello);
	if (p->status != SPOP_STATUS_NORMAL)
		return false;
	p->max_frame = hello.max_frame_size < PEER_MAX_FRAME ?
	    hello.max_frame_size : PEER_MAX_FRAME;
	/*
	 * Pipelining only: async and fragmentation are gone from 3.1 on, and before
	 * it async makes HAProxy wait where it could fail over at once.
	 */
	spop_write_agent_hello(out, p->max_frame, span_of("pipelining"));
	if (hello.healthcheck) {
		counter_add(p->worker->counters.healthchecks, 1);
		p->state = PEER_GOODBYE;	/* option spop-check closes now */
		p->deadline_ms = clock_ms() + PEER_CLOSE_TIMEOUT_MS;
		return true;
	}
	counter_add(p->worker->counters.hellos, 1);
	p->state = PEER_OPEN;
	p->deadline_ms = 0;
	return true;
}

/* An ACK over the agreed size would cost HAProxy's connection: say less. */
static void fit_ack(struct peer *p, uint64_t stream_id, uint64_t frame_id,
    struct writer *out, size_t begun)
{
	if (writer_len(out) - begun - SPOP_LEN_BYTES <= p->max_frame &&
	    !out->full)
		return;
	writer_rewind(out, begun);
	begun = spop_begin(out, SPOP_ACK, stream_id, frame_id);
	spop_unset_var(out, SPOP_TXN, span_of("ep"));
	spop_end(out, begun);
}

struct notified {
	struct peer *peer;
	const struct spop_frame *frame;
};

/* `r` is what `h` was copied from: only it knows the body. */
static void fill_waiter(struct held *h, const struct endpoint_view *view,
    const struct request *r, int64_t now_ms)
{
	h->waiter = (struct waiter){
		.priority = admission_priority(view, r),
		.fairness_id = h->request.fairness,
		.arrived_ms = now_ms,
		.slo_ms = r->slo_ttft_ms,
		.bytes = r->ask->body.len + r->unseen_bytes,
	};
}

static bool hold(void *data, const struct endpoint_view *view,
    const struct request *request)
{
	const struct notified *n = data;
	struct worker *w = n->peer->worker;
	struct held *h = w->flow != NULL ? held_new(request) : NULL;

	if (h == NULL)
		return false;
	fill_waiter(h, view, request, clock_ms());
	h->worker = w;
	h->peer = n->peer;
	h->stream_id = n->frame->stream_id;
	h->frame_id = n->frame->frame_id;
	h->pool_live = view->pool_live;
	atomic_fetch_add(&h->pool_live->n_held, 1);
	list_append(&n->peer->held, &h->in_peer);
	held_ref(h);
	h->is_booked = books_hold(w->books, h->ask.id, h, clock_us());
	if (!h->is_booked)
		held_unref(h);
	held_ref(h);
	flow_control_hold(w->flow, h);
	return true;
}

static bool step_notify(struct peer *p, struct spop_frame *f,
    struct writer *out)
{
	struct worker *w = p->worker;
	struct notified notified = { p, f };
	int64_t now_us = clock_us();
	const struct notify notify = { .fleet = epoch_get(w->fleet),
		.arena = w->arena, .rng = &w->rng, .counters = &w->counters,
		.books = w->books, .now_us = now_us,
		.is_overloaded = now_us - w->woke_us > PEER_OVERLOAD_US,
		.hold = hold, .data = &notified };
	size_t begun;

	if ((f->flags & SPOP_FLAG_FIN) == 0) {
		p->status = SPOP_STATUS_NO_FRAGMENTS;
		return false;
	}
	begun = spop_begin(out, SPOP_ACK, f->stream_id, f->frame_id);
	if (notify_answer(&notify, &f->payload, out) == NOTIFY_HELD) {
		writer_rewind(out, begun);
		return true;
	}
	spop_end(out, begun);
	fit_ack(p, f->stream_id, f->frame_id, out, begun);
	counter_add(w->counters.notifies, 1);
	return true;
}

static bool step_fragment(struct peer *p, struct spop_frame *f,
    struct writer *out)
{
	(void)f;
	(void)out;
	p->status = SPOP_STATUS_NO_FRAGMENTS;
	return false;
}

static bool step_disconnect(struct peer *p, struct spop_frame *f,
    struct writer *out)
{
	uint32_t status;
	struct span message;

	if (spop_read_disconnect(&f->payload, &status, &message) &&
	    status != SPOP_STATUS_NORMAL)
		log_debug("peer.disconnect", "status=%u message=\"%.*s\"", status,
		    (int)(message.len < 128 ? message.len : 128),
		    message.len > 0 ? message.ptr : "");
	say_goodbye(p, out, SPOP_STATUS_NORMAL);
	return true;
}

static bool step_invalid(struct peer *p, struct spop_frame *f,
    struct writer *out)
{
	(void)f;
	(void)out;
	p->status = SPOP_STATUS_INVALID;
	return false;
}

/* A type that is in no row is skipped: SPOE.txt 3.2, "may be silently skipped". */
static const struct step {
	enum peer_state state;
	enum spop_frame_type type;
	const char *name;
	bool (*func)(struct peer *p, struct spop_frame *f, struct writer *out);
} steps[] = {
	{ PEER_OPEN, SPOP_NOTIFY, "notify", step_notify },
	{ PEER_NEW, SPOP_HAPROXY_HELLO, "hello", step_hello },
	{ PEER_OPEN, SPOP_HAPROXY_DISCONNECT, "disconnect", step_disconnect },
	{ PEER_NEW, SPOP_HAPROXY_DISCONNECT, "disconnect", step_disconnect },
	{ PEER_OPEN, SPOP_UNSET, "fragment", step_fragment },
	{ PEER_NEW, SPOP_NOTIFY, "notify before hello", step_invalid },
	{ PEER_NEW, SPOP_UNSET, "fragment before hello", step_invalid },
	{ PEER_OPEN, SPOP_HAPROXY_HELLO, "second hello", step_invalid },
	{ PEER_OPEN, SPOP_AGENT_HELLO, "agent's own hello", step_invalid },
	{ PEER_OPEN, SPOP_AGENT_DISCONNECT, "agent's own", step_invalid },
	{ PEER_OPEN, SPOP_ACK, "agent's own ack", step_invalid },
	{ PEER_NEW, SPOP_AGENT_HELLO, "agent's own hello", step_invalid },
	{ PEER_NEW, SPOP_AGENT_DISCONNECT, "agent's own", step_invalid },
	{ PEER_NEW, SPOP_ACK, "agent's own ack", step_invalid },
};

static void take_frame(struct peer *p, struct spop_frame *f,
    struct writer *out)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (steps[i].state != p->state || steps[i].type != f->type)
			continue;
		if (!steps[i].func(p, f, out))
			refuse_frame(p, out, p->status, steps[i].name);
		return;
	}
}

/* Cuts `in` into frames; returns what is left of it. False: connection lost. */
static bool take_frames(struct peer *p, struct span *in, struct writer *out)
{
	while (p->state != PEER_GOODBYE) {
		struct spop_frame f;
		size_t used;
		enum spop_result result = spop_decode(*in, p->max_frame, &f,
		    &used);

		if (result == SPOP_MORE)
			return true;
		if (result != SPOP_OK) {
			refuse_frame(p, out, result == SPOP_TOO_BIG ?
			    SPOP_STATUS_TOO_BIG : SPOP_STATUS_INVALID,
			    "cutting frames");
			break;
		}
		in->ptr += used;
		in->len -= used;
		take_frame(p, &f, out);
		if ((size_t)(out->end - out->at) < 4 * ANSWER_MAX_BYTES &&
		    !flush(p, out))
			return false;
	}
	in->len = 0;
	return true;
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
		keep(p, &p->partial, rest.ptr, rest.len);
		if (is_new || p->deadline_ms == 0)
			p->deadline_ms = clock_ms() + PEER_FRAME_TIMEOUT_MS;
	} else {
		trim(p, &p->partial);
		if (p->state == PEER_OPEN && p->unsent.len == 0)
			p->deadline_ms = 0;
	}
	return !buf_failed(&p->partial);
}

/* False: the connection is over. */
static bool serve(struct peer *p)
{
	struct writer out = writer_over(p->worker->out, WORKER_OUT_BYTES);
	struct span in;
	ssize_t got = gather(p, &in);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0)
		return false;
	return take_frames(p, &in, &out) && keep_partial(p, in) &&
	    flush(p, &out);
}

static void on_readable(EV_P_ ev_io *io, int revents)
{
	struct peer *p = io->data;

	(void)loop;
	(void)revents;
	if (!serve(p))
		peer_close(p);
}

/* ---- life ---- */

struct peer *peer_of(struct list *link)
{
	return list_entry(link, struct peer, link);
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
	ev_io_init(&p->readable, on_readable, fd, EV_READ);
	ev_io_init(&p->writable, on_writable, fd, EV_WRITE);
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
	keep(p, &p->partial, bytes, len);
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

/* Nobody waits for an answer on it: it may be closed. */
static void end_drained(struct peer *p)
{
	struct writer out = writer_over(p->worker->out, WORKER_OUT_BYTES);

	if (p->state == PEER_GOODBYE || !list_is_empty(&p->held))
		return;
	if (p->worker->handover != NULL) {
		hand_over(p);
		return;
	}
	say_goodbye(p, &out, SPOP_STATUS_NORMAL);
	if (!flush(p, &out))
		peer_close(p);
}

void peer_drain(struct peer *p)
{
	if (p->state == PEER_GOODBYE)
		return;
	/* What has arrived by now still gets its answer: from us, or whom it goes to. */
	if (p->worker->handover == NULL && !serve(p))
		peer_close(p);
	else
		end_drained(p);
}

static void answer_held(struct peer *p, const struct held *h)
{
	struct writer out = writer_over(p->worker->out, WORKER_OUT_BYTES);
	size_t begun = spop_begin(&out, SPOP_ACK, h->stream_id, h->frame_id);

	if (h->n_actions > 0)
		writer_bytes(&out, h->actions, h->n_actions);
	else
		spop_unset_var(&out, SPOP_TXN, span_of("ep"));
	spop_end(&out, begun);
	fit_ack(p, h->stream_id, h->frame_id, &out, begun);
	counter_add(p->worker->counters.notifies, 1);
	if (!flush(p, &out))
		peer_close(p);
	else if (p->worker->is_draining)
		end_drained(p);
}

void peer_answer_held(struct held *h)
{
	struct peer *p = h->peer;

	list_remove(&h->in_peer);
	if (p != NULL && p->state == PEER_OPEN)
		answer_held(p, h);
	held_drop(h);
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
