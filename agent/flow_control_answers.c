/*
 * flow_control_answers.c - how a wait ends: served, refused, its client gone
 */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "arena.h"
#include "books.h"
#include "clock.h"
#include "endpoints.h"
#include "flow_control_parts.h"
#include "worker.h"
#include "writer.h"

static void keep_actions(struct held *h, const struct pick *pick)
{
	uint8_t bytes[ANSWER_MAX_BYTES];
	struct writer w = writer_over(bytes, sizeof(bytes));

	answer_write(&w, pick);
	h->actions = malloc(writer_len(&w));
	if (h->actions == NULL || w.full)
		return;
	h->n_actions = writer_len(&w);
	memcpy(h->actions, bytes, h->n_actions);
}

/* Gives our reference to its worker's mail, which always has room: worker.c. */
static void finish(struct flow_control *f, struct held *h,
    const struct pick *pick)
{
	keep_actions(h, pick);
	h->state = HELD_DONE;
	atomic_fetch_sub(&h->pool_live->n_held, 1);
	atomic_fetch_sub(&f->n_waiting, 1);
	worker_deliver(h->worker, h);
}

/* False: its line was faster, and its client is gone. */
static bool take_from_books(struct flow_control *f, struct held *h)
{
	if (!h->is_booked)
		return true;
	if (!books_unhold(f->books, h->ask.id))
		return false;
	held_unref(h);		/* the books' */
	return true;
}

void flow_control_refuse(struct flow_control *f, struct held *h,
    const struct pick *pick)
{
	take_from_books(f, h);
	counter_add(f->counters.refused, 1);
	finish(f, h, pick);
}

void flow_control_drop_gone(struct flow_control *f, struct held *h)
{
	const struct pick pick = { .message = "the client is gone" };

	take_from_books(f, h);
	counter_add(f->counters.gone, 1);
	finish(f, h, &pick);
}

void flow_control_serve(struct flow_control *f,
    const struct endpoint_view *view, struct held *h)
{
	struct pick pick = { .message = "the pool is gone" };

	if (h->is_gone || !take_from_books(f, h)) {
		h->is_booked = false;
		flow_control_drop_gone(f, h);
		return;
	}
	counter_add(f->counters.dispatched, 1);
	if (view != NULL) {
		arena_reset(f->arena);
		h->request.now_ms = clock_ms();
		pick_endpoint(&pick, view, &h->request, &f->rng, f->arena);
		books_open(f->books, h->ask.id, &pick, h->request.stream,
		    clock_us(), &f->counters);
		pick_settle(&pick, view);
	}
	if (pick.status != 0)
		counter_add(f->counters.refused, 1);
	else if (pick.n > 0)
		counter_add(f->counters.picks, 1);
	else
		counter_add(f->counters.no_pick, 1);
	finish(f, h, &pick);
}

/* A pool without endpoints is not busy but away, whatever ended the wait. */
struct pick flow_control_refusal(const struct flow_line *l, const char *reason,
    const char *message)
{
	if (l->is_empty)
		return (struct pick){ .status = 503,
			.reason = "rejected-no-endpoints",
			.message = "the pool has no endpoints",
			.retry_after_s = (uint32_t)l->retry_after_s };
	return (struct pick){ .status = 429, .reason = reason,
		.message = message,
		.retry_after_s = (uint32_t)l->retry_after_s };
}

void flow_control_abandon(struct flow_control *f, struct held *h)
{
	take_from_books(f, h);
	atomic_fetch_sub(&h->pool_live->n_held, 1);
	held_drop(h);	/* nobody else will */
}
