/*
 * worker.h - one thread, one loop, and every connection it was handed
 *
 * A worker is online in the epoch from the moment its loop wakes until it sleeps
 * again; the fleet it looks at is valid within that stretch only.
 */
#pragma once

#include <stddef.h>

struct counters;
struct epoch;
struct worker;

/* `fleet` is an epoch of struct fleet; slot `index` of it is this worker's. */
struct worker *worker_start(size_t index, struct epoch *fleet);

/* Gives a connected socket away. 0: it is the worker's; -EAGAIN: still ours. */
int worker_adopt(struct worker *w, int fd);

/*
 * Every peer is told goodbye; the thread ends when the last has left, which is within
 * seconds. Same thread as worker_stop().
 */
void worker_drain(struct worker *w);

/* Ends the thread at once, or waits for its draining; frees the worker. */
void worker_stop(struct worker *w);

/* Live; readable from any thread until worker_stop(). */
const struct counters *worker_counters(const struct worker *w);
