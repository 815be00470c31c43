/*
 * flow_control.h - the thread that lets requests wait while their pool is full
 *
 * A worker hands over what may not be picked for yet, and keeps nothing but the place
 * of the answer; HAProxy keeps the request. Whoever waits is served in the order of
 * flow_queue.h as soon as the pool is no longer saturated (saturation.h), one after the
 * other, each pick seen by the next: so the limit holds. Nothing happens while nothing
 * changes: the thread wakes for a request, for a poke (new numbers, an ended request),
 * and when a time to live is over.
 *
 * A request that expires is refused (429 rejected-ttl-expired), one that finds no room
 * too (429 rejected-saturated); while the pool has no endpoints both are 503
 * rejected-no-endpoints. One whose client left is dropped: HAProxy's log line for it,
 * or the end of its connection, says so.
 * All of it must fit in HAProxy's `timeout processing`, which is the operator's to set.
 * Source: llm-d-router pkg/epp/flowcontrol; outcomes in its types/outcomes.go.
 */
#pragma once

#include <stddef.h>

struct books;
struct counters;
struct epoch;
struct flow_control;
struct held;

/* Reads `fleet` by slot `reader` of its own. `books` may be NULL. NULL: no memory. */
struct flow_control *flow_control_start(struct epoch *fleet, size_t reader,
    struct books *books);

/* Workers must be joined and not yet freed. Takes down what still waits. */
void flow_control_stop(struct flow_control *f);

/*
 * Takes one reference over. The answer comes to h->worker by worker_deliver().
 * Workers' threads.
 */
void flow_control_hold(struct flow_control *f, struct held *h);

/* Nobody waits for it any more; takes one reference over. Any thread. */
void flow_control_leave(struct flow_control *f, struct held *h);

/* Something changed that may let somebody go. Costs nothing while nobody waits. Any
 * thread. */
void flow_control_poke(struct flow_control *f);

/* From now on nobody waits: those who do are picked for as if there were room, or
 * refused where the pool fails closed. Any thread, once. */
void flow_control_drain(struct flow_control *f);

const struct counters *flow_control_counters(const struct flow_control *f);
