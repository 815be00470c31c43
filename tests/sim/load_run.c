/*
 * load_run.c - starts calls when they are due, collects them when they end
 *
 * In an open loop a request counts from when it was due, not from when this
 * process came to send it, so that a stall here or there is not hidden.
 */
#include "load_run.h"

#include <math.h>

#include "clock.h"
#include "words.h"

static bool may_start(const struct load_run *r)
{
	return r->n_started < r->options->requests && clock_us() < r->stop_us;
}

static bool is_open_loop(const struct load_run *r)
{
	return r->options->rate > 0 ||
	    strcmp(r->options->workload, "burst") == 0;
}

static void call_free(struct load_call *call)
{
	LIST_REMOVE(call, link);
	load_call_fini(call);
	free(call);
}

static void start_one(struct load_run *r, int64_t due_us)
{
	struct load_call *call = calloc(1, sizeof(*call));

	r->n_started++;
	if (call == NULL) {
		r->stats->n_lost++;
		return;
	}
	load_call_init(call);
	call->owner = r;
	call->due_us = due_us;
	load_workload_next(r->workload, &call->body, &call->session);
	LIST_INSERT_HEAD(&r->calls, call, link);
	r->n_running++;
	load_client_send(&r->client, call);
}

static void stop_if_done(struct load_run *r)
{
	bool more = may_start(r);

	if (!more)
		ev_timer_stop(r->loop, &r->arrival);
	if (!more && r->n_running == 0)
		ev_break(r->loop, EVBREAK_ALL);
}

static void on_end(struct load_call *call)
{
	struct load_run *r = call->owner;
	struct span answer = buf_span(&call->answer);

	load_stats_add(r->stats, call);
	if (call->outcome != LOAD_OK)
		answer = span_of(NULL);
	load_workload_answer(r->workload, call->session, answer);
	call_free(call);
	r->n_running--;
	if (!is_open_loop(r) && may_start(r))
		start_one(r, clock_us());
	stop_if_done(r);
}

/* Microseconds to the next arrival. */
static int64_t draw_gap(struct load_run *r)
{
	const struct load_options *o = r->options;

	if (strcmp(o->workload, "burst") == 0)
		return (int64_t)(o->burst_every * 1e6);
	return (int64_t)(-log(1 - words_unit(&r->rng)) / o->rate * 1e6);
}

static void on_arrival(struct ev_loop *loop, struct ev_timer *t, int events)
{
	struct load_run *r = t->data;
	bool is_burst = strcmp(r->options->workload, "burst") == 0;
	uint64_t n = is_burst ? r->options->burst_size : 1;
	int64_t now = clock_us(), wake_us;

	(void)events;
	while (r->next_us <= now && may_start(r)) {
		for (uint64_t i = 0; i < n && may_start(r); i++)
			start_one(r, r->next_us);
		r->next_us += draw_gap(r);
	}
	wake_us = r->next_us < r->stop_us ? r->next_us : r->stop_us;
	ev_timer_stop(loop, t);
	ev_timer_set(t, (double)(wake_us - now) / 1e6 +
	    (ev_time() - ev_now(loop)), 0);
	ev_timer_start(loop, t);
	stop_if_done(r);
}

void load_run(struct load_run *r, struct ev_loop *loop,
    const struct load_options *o, struct load_workload *w,
    struct load_stats *stats)
{
	int64_t now = clock_us();

	*r = (struct load_run){ .loop = loop, .options = o, .workload = w,
		.stats = stats, .rng = o->seed, .next_us = now };
	LIST_INIT(&r->calls);
	r->stop_us = o->duration > 0 ? now + (int64_t)(o->duration * 1e6) :
	    INT64_MAX;
	load_client_init(&r->client, loop, o, on_end);
	ev_timer_init(&r->arrival, on_arrival, 0, 0);
	r->arrival.data = r;
	stats->start_us = now;
	if (is_open_loop(r))
		ev_timer_start(loop, &r->arrival);
	for (uint64_t i = 0; !is_open_loop(r) && i < o->concurrency &&
	    may_start(r); i++)
		start_one(r, clock_us());
	ev_run(loop, 0);
	stats->end_us = clock_us();
	ev_timer_stop(loop, &r->arrival);
	load_client_fini(&r->client);
	while (!LIST_EMPTY(&r->calls)) {
		struct load_call *call = LIST_FIRST(&r->calls);

		ev_timer_stop(loop, &call->timeout);
		load_workload_answer(w, call->session, span_of(NULL));
		call_free(call);
	}
}
