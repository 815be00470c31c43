/*
 * peer_held.c - a peer's asks that wait: handed to the flow thread, answered at last
 */
#include "admission.h"
#include "books.h"
#include "clock.h"
#include "endpoints.h"
#include "flow_control.h"
#include "held.h"
#include "live.h"
#include "peer_parts.h"
#include "worker_state.h"

/* Our reference stays until the flow thread gives it back by mail. */
static void forget_held(struct held *h)
{
	list_remove(&h->in_peer);
	h->peer = NULL;
	held_ref(h);
	flow_control_leave(h->worker->flow, h);
}

void peer_forget_all_held(struct peer *p)
{
	list_each(link, after, &p->held)
		forget_held(list_entry(link, struct held, in_peer));
}

/* `r` is what `h` was copied from: only it knows the body. */
static void fill_waiter(struct held *h, const struct endpoint_view *view,
    const struct request *r, int64_t now_ms)
{
	h->waiter = (struct waiter){
		.priority = admission_priority(view, r),
		.fairness_id = h->request.fairness,
		.arrived_ms = now_ms,
		.slo_ms = r->slo_ttft_ms,
		.ttl_ms = r->ttl_ms,
		.bytes = r->ask->body.len + r->unseen_bytes,
	};
}

bool peer_hold(void *data, const struct endpoint_view *view,
    const struct request *request)
{
	const struct peer_notified *n = data;
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

static void answer_held(struct peer *p, const struct held *h)
{
	struct writer out = writer_over(p->worker->out, WORKER_OUT_BYTES);
	size_t begun = spop_begin(&out, SPOP_ACK, h->stream_id, h->frame_id);

	if (h->n_actions > 0)
		writer_bytes(&out, h->actions, h->n_actions);
	else
		spop_unset_var(&out, SPOP_TXN, span_of("ep"));
	spop_end(&out, begun);
	peer_fit_ack(p, h->stream_id, h->frame_id, &out, begun);
	counter_add(p->worker->counters.notifies, 1);
	if (!peer_flush(p, &out))
		peer_close(p);
	else if (p->worker->is_draining)
		peer_end_drained(p);
}

void peer_answer_held(struct held *h)
{
	struct peer *p = h->peer;

	list_remove(&h->in_peer);
	if (p != NULL && p->state == PEER_OPEN)
		answer_held(p, h);
	held_drop(h);
}
