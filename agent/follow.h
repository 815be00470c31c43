/*
 * follow.h - requests are followed to their end by what HAProxy's log lines tell
 *
 * The wiring of feedback.h (lines), books.h (who is where), outlier.h (who fails) and
 * flow_control.h (who may go now). Main's loop and thread.
 */
#pragma once

#include <stddef.h>

struct books;
struct counters;
struct epoch;
struct ev_loop;
struct fault;
struct feedback_options;
struct flow_control;
struct follow;

/*
 * Listens; does not accept yet. Reads `fleet` by slot `reader`; all that is given must
 * outlive it. NULL with `why` filled.
 */
struct follow *follow_open(struct ev_loop *loop,
    const struct feedback_options *o, struct epoch *fleet, size_t reader,
    struct books *books, struct flow_control *flow, struct fault *why);

/* NULL is fine. */
void follow_start(struct follow *f);
void follow_close(struct follow *f);

const struct counters *follow_counters(const struct follow *f);
