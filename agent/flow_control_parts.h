/*
 * flow_control_parts.h - the flow thread from inside, for flow_control*.c only
 *
 * flow_control.c takes mail in; flow_control_lines.c keeps a line for each pool;
 * flow_control_turns.c looks who may go and who waits too long; flow_control_answers.c
 * ends a wait. All of it runs on the flow thread but for what posts mail.
 */
#pragma once

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "counters.h"
#include "flow_control.h"
#include "flow_queue.h"
#include "held.h"
#include "list.h"
#include "pick.h"
#include "rng.h"
#include "span.h"

struct arena;
struct endpoint_view;
struct flow_control_options;
struct mailbox;

/* A pool somebody has waited for. They stay: there are as many as pools had names. */
struct flow_line {
	struct flow_line *next;
	char *pool;
	struct flow_queue *queue;
	struct flow_control_options *options;	/* a copy: the view's die with it */
	uint64_t options_number;
	int64_t retry_after_s;
	bool is_empty;		/* the pool has no endpoints: other times to live */
};

struct flow_control {
	pthread_t thread;
	struct ev_loop *loop;
	struct mailbox *mailbox;
	struct epoch *fleet;
	size_t reader;
	struct books *books;
	ev_timer expiry;
	ev_async poke;
	_Atomic unsigned n_waiting;	/* handed over and not answered */
	struct flow_line *lines;
	struct arena *arena;
	struct rng rng;
	struct counters counters;
	bool is_draining;
};

static inline struct held *flow_control_held_of(struct waiter *w)
{
	return list_entry(w, struct held, waiter);
}

/* ---- flow_control_lines.c ---- */

/* NULL: nobody has waited for that pool so far. */
struct flow_line *flow_control_find_line(struct flow_control *f,
    struct span pool);

/* NULL without memory. Those of `f` are freed with it. */
struct flow_line *flow_control_new_line(struct flow_control *f,
    struct span pool);
void flow_control_free_line(struct flow_line *l);

/* The view's options and times to live from now on; NULL: as they were. */
void flow_control_follow_view(struct flow_line *l,
    const struct endpoint_view *view);

/*
 * The pool's, or its band's, or a shorter one of its own; an empty pool has one for all.
 * Source: llm-d-router pkg/epp/flowcontrol/controller, createRequestContext().
 */
int64_t flow_control_ttl_ms(const struct flow_line *l, const struct waiter *w);

/* ---- flow_control_turns.c ---- */

/* All that may have changed is looked at anew: who waits too long, who may go. */
void flow_control_turn(struct flow_control *f);

/* ---- flow_control_answers.c: each takes the flow thread's reference ---- */

/* `view` may be NULL: the pool is no longer configured. */
void flow_control_serve(struct flow_control *f,
    const struct endpoint_view *view, struct held *h);

void flow_control_refuse(struct flow_control *f, struct held *h,
    const struct pick *pick);

/* What to refuse one of this line with. */
struct pick flow_control_refusal(const struct flow_line *l, const char *reason,
    const char *message);

void flow_control_drop_gone(struct flow_control *f, struct held *h);

/* Without an answer, and the worker's reference with it: both threads are over. */
void flow_control_abandon(struct flow_control *f, struct held *h);
