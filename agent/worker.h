/*
 * worker.h - one thread, one loop, and every connection it was handed
 *
 * A worker is online in the epoch from the moment its loop wakes until it sleeps
 * again; the fleet it looks at is valid within that stretch only.
 */
#pragma once

#include <stddef.h>

struct books;
struct counters;
struct epoch;
struct flow_control;
struct handed;
struct handover;
struct held;
struct worker;

/*
 * `fleet` is an epoch of struct fleet; slot `index` of it is this worker's. Without
 * `books` nothing is booked, without `flow` nobody may wait.
 */
struct worker *worker_start(size_t index, struct epoch *fleet,
    struct books *books, struct flow_control *flow);

/* Gives a connected socket away. 0: it is the worker's; -EAGAIN: still ours. */
int worker_adopt(struct worker *w, int fd);

/* The same for one that another process has served so far. */
int worker_adopt_handed(struct worker *w, struct handed *c);

/* One that waited may be answered now; takes one reference over. Any thread. */
void worker_deliver(struct worker *w, struct held *h);

/*
 * Every peer is told goodbye; the thread ends when the last has left, which is within
 * seconds. Same thread as worker_join().
 */
void worker_drain(struct worker *w);

/*
 * The same, but for a second they go to `to` instead, each as soon as it may; the rest
 * is told goodbye then. `to` must outlive worker_join(), and may be NULL.
 */
void worker_hand_over(struct worker *w, struct handover *to);

/* Ends the thread at once, or waits for its draining. */
void worker_join(struct worker *w);

/* Once joined, and nobody delivers to it any more. */
void worker_free(struct worker *w);

/* Live; readable from any thread until worker_free(). */
const struct counters *worker_counters(const struct worker *w);
