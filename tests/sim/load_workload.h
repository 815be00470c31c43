/*
 * load_workload.h - what is asked: request bodies, the same for the same seed
 *
 * A multi-turn session's next question exists only when its last answer has
 * come; for all other workloads the n-th request is known from the start. Heap;
 * one thread.
 */
#pragma once

#include "buf.h"
#include "load_options.h"

struct load_workload;
struct load_session;

/* NULL with `f` filled: unknown workload, or no memory. */
struct load_workload *load_workload_new(const struct load_options *o,
    struct fault *f);
void load_workload_free(struct load_workload *w);

/*
 * The next request's body into `body`; `*session` (NULL but for multi-turn) is
 * the caller's until it says how the request ended.
 */
void load_workload_next(struct load_workload *w, struct buf *body,
    struct load_session **session);

/* The answer's text, as a JSON string's inside; null when it failed. */
void load_workload_answer(struct load_workload *w,
    struct load_session *session, struct span answer);
