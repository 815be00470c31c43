/*
 * follow.c - lines to the books, and what they are worth to who waits
 *
 * The fleet is looked at only while a wakeup's lines are read: before and after, main
 * is not in the epoch's way.
 */
#include "follow.h"

#include <ev.h>
#include <stdlib.h>

#include "books.h"
#include "clock.h"
#include "counters.h"
#include "epoch.h"
#include "fault.h"
#include "feedback.h"
#include "flow_control.h"
#include "log.h"
#include "options.h"
#include "record.h"

enum { EXPIRE_PERIOD_S = 10 };

struct follow {
	struct ev_loop *loop;
	struct epoch *fleet;
	size_t reader;
	struct books *books;
	struct flow_control *flow;
	struct feedback *feedback;
	ev_timer expire;
	struct counters counters;
};

static void on_record(const struct record *r, void *data)
{
	struct follow *f = data;
	struct held *waited;

	if (r->is_early)	/* `option logasap`: it is not over */
		return;
	waited = books_end(f->books, epoch_get(f->fleet), r, clock_us(),
	    &f->counters);
	if (waited != NULL)
		flow_control_leave(f->flow, waited);
}

static void on_begin(void *data)
{
	struct follow *f = data;

	epoch_online(f->fleet, f->reader);
}

static void on_end(void *data)
{
	struct follow *f = data;

	epoch_offline(f->fleet, f->reader);
	flow_control_poke(f->flow);	/* a place may be free */
}

static const struct feedback_calls calls = {
	.begin = on_begin, .record = on_record, .end = on_end,
};

static void on_expire(EV_P_ ev_timer *timer, int revents)
{
	struct follow *f = timer->data;
	size_t n = books_expire(f->books, clock_us());

	(void)loop;
	(void)revents;
	if (n == 0)
		return;
	counter_add(f->counters.overdue, n);
	log_info("books.overdue", "requests=%zu", n);
	flow_control_poke(f->flow);
}

struct follow *follow_open(struct ev_loop *loop,
    const struct feedback_options *o, struct epoch *fleet, size_t reader,
    struct books *books, struct flow_control *flow, struct fault *why)
{
	struct follow *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		fault_set(why, NULL, 0, "no memory", NULL);
		return NULL;
	}
	f->loop = loop;
	f->fleet = fleet;
	f->reader = reader;
	f->books = books;
	f->flow = flow;
	f->feedback = feedback_open(loop, o->listens, o->n_listens, &calls, f,
	    why);
	if (f->feedback == NULL) {
		free(f);
		return NULL;
	}
	ev_timer_init(&f->expire, on_expire, EXPIRE_PERIOD_S, EXPIRE_PERIOD_S);
	f->expire.data = f;
	ev_timer_start(loop, &f->expire);
	return f;
}

void follow_start(struct follow *f)
{
	if (f != NULL)
		feedback_start(f->feedback);
}

void follow_close(struct follow *f)
{
	if (f == NULL)
		return;
	ev_timer_stop(f->loop, &f->expire);
	feedback_close(f->feedback);
	free(f);
}

const struct counters *follow_counters(const struct follow *f)
{
	return &f->counters;
}
