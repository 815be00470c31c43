/*
 * help_flow.h - views that follow each other while other threads look
 *
 * A help_pool is the draft: a test writes its stats and options, then publishes a copy,
 * which is freed when no reader can see it any more, with its options and their lists.
 * What outlives a view (endpoints' names, live counts, prefixes) stays the draft's.
 */
#pragma once

#include "help.h"

struct epoch;
struct flow_control;
struct held;
struct worker;

enum { HELP_WAIT_MS = 20000 };	/* the deadline of whoever waits for another thread */

/* For epoch_new(); `p` NULL: a fleet without pools. */
struct fleet *help_fleet(const struct help_pool *p);
void help_fleet_retire(void *fleet);

/* The draft as it is now. Options that changed need another number. */
void help_publish(struct epoch *e, struct flow_control *f,
    const struct help_pool *p);

/* No room, by the utilization-detector; or as much as there can be. */
void help_fill(struct help_pool *p);
void help_clear(struct help_pool *p);

/* Fails the test once it has taken too long. */
void help_still_in_time(int64_t since_ms);

/* Until the flow thread has seen so many that wait. */
void help_await_held(const struct flow_control *f, uint64_t n);

/* How many wait in the pool. */
uint32_t help_n_held(const struct help_pool *p);
void help_await_nobody_held(const struct help_pool *p);
