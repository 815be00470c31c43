/*
 * flow_control_turns.c - who may go, in order; who has waited too long
 */
#include "clock.h"
#include "endpoints.h"
#include "epoch.h"
#include "flow_control_parts.h"
#include "options.h"
#include "saturation.h"

static void expire(struct flow_control *f, struct flow_line *l, int64_t now_ms)
{
	const struct pick pick = flow_control_refusal(l, "rejected-ttl-expired",
	    "the pool was saturated for too long");
	struct waiter *w;

	while ((w = flow_queue_expired(l->queue, now_ms)) != NULL) {
		flow_queue_drop(l->queue, w);
		counter_add(f->counters.expired, 1);
		flow_control_refuse(f, flow_control_held_of(w), &pick);
	}
}

/* An empty pool is a full one: saturation.h. */
static bool may_go(const struct flow_control *f,
    const struct endpoint_view *view)
{
	return view == NULL || f->is_draining || !view->options->flow.enabled ||
	    saturation_of(view) < 1.0f;
}

static void dispatch(struct flow_control *f, struct flow_line *l,
    const struct endpoint_view *view)
{
	const struct pick closing = { .status = 503,
		.reason = "rejected-shutting-down",
		.message = "the endpoint picker is shutting down",
		.retry_after_s = (uint32_t)l->retry_after_s };
	struct waiter *w;

	while ((w = flow_queue_next(l->queue)) != NULL && may_go(f, view)) {
		flow_queue_take(l->queue, w);
		if (f->is_draining && view != NULL &&
		    view->options->failure_mode == FAIL_CLOSE)
			flow_control_refuse(f, flow_control_held_of(w),
			    &closing);
		else
			flow_control_serve(f, view, flow_control_held_of(w));
	}
}

static void set_timer(struct flow_control *f, int64_t now_ms)
{
	int64_t next_ms = FLOW_NEVER;

	for (struct flow_line *l = f->lines; l != NULL; l = l->next) {
		int64_t ms = flow_queue_next_expiry_ms(l->queue);

		next_ms = ms < next_ms ? ms : next_ms;
	}
	ev_timer_stop(f->loop, &f->expiry);
	if (next_ms == FLOW_NEVER)
		return;
	ev_now_update(f->loop);
	ev_timer_set(&f->expiry, next_ms > now_ms ?
	    (double)(next_ms - now_ms) / 1000. : 0., 0.);
	ev_timer_start(f->loop, &f->expiry);
}

void flow_control_turn(struct flow_control *f)
{
	const struct fleet *fleet;
	int64_t now_ms = clock_ms();

	epoch_online(f->fleet, f->reader);
	fleet = epoch_get(f->fleet);
	for (struct flow_line *l = f->lines; l != NULL; l = l->next) {
		const struct endpoint_view *view;

		if (flow_queue_next(l->queue) == NULL)
			continue;
		view = fleet_find(fleet, span_of(l->pool));
		flow_control_follow_view(l, view);
		dispatch(f, l, view);	/* first: room at last is no time to expire */
		expire(f, l, now_ms);
	}
	epoch_offline(f->fleet, f->reader);
	set_timer(f, now_ms);
}
