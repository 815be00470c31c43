/*
 * peer_frames.c - what each frame means, as a table: state and frame type to function
 *
 * A step returns false when the connection must end with p->status said to HAProxy.
 * Format and status codes: HAProxy doc/SPOE.txt section 3.
 */
#include "answer.h"
#include "clock.h"
#include "epoch.h"
#include "log.h"
#include "notify.h"
#include "peer_parts.h"
#include "worker_state.h"

static struct log_gate bad_frame_gate;

void peer_say_goodbye(struct peer *p, struct writer *out,
    enum spop_status status)
{
	spop_write_disconnect(out, SPOP_AGENT_DISCONNECT, status);
	p->state = PEER_GOODBYE;
	p->deadline_ms = clock_ms() + PEER_CLOSE_TIMEOUT_MS;
	peer_forget_all_held(p);	/* nothing more can be said to them */
	buf_clear(&p->partial);
	peer_trim(p, &p->partial);
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
	peer_say_goodbye(p, out, status);
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

void peer_fit_ack(struct peer *p, uint64_t stream_id, uint64_t frame_id,
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

static bool step_notify(struct peer *p, struct spop_frame *f,
    struct writer *out)
{
	struct worker *w = p->worker;
	struct peer_notified notified = { p, f };
	int64_t now_us = clock_us();
	const struct notify notify = { .fleet = epoch_get(w->fleet),
		.arena = w->arena, .rng = &w->rng, .counters = &w->counters,
		.books = w->books, .now_us = now_us,
		.is_overloaded = now_us - w->woke_us > PEER_OVERLOAD_US,
		.hold = peer_hold, .data = &notified };
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
	peer_fit_ack(p, f->stream_id, f->frame_id, out, begun);
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
	peer_say_goodbye(p, out, SPOP_STATUS_NORMAL);
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

bool peer_take_frames(struct peer *p, struct span *in, struct writer *out)
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
		    !peer_flush(p, out))
			return false;
	}
	in->len = 0;
	return true;
}
