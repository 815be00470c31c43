/*
 * status_since.h - since when a condition has its status
 *
 * lastTransitionTime changes when the status does, and only then (Kubernetes API
 * conventions, "Typical status properties"): what was written before is kept in mind,
 * as one hash a condition. What is not written again is forgotten. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct object;
struct condition;

struct status_since;

struct status_since *status_since_new(void);	/* NULL without memory */
void status_since_free(struct status_since *s);

/*
 * Before the first status_since_begin(): a condition that was written as of `since_s`,
 * by a process before us. `where` and `index` as below. Without memory it is forgotten.
 */
void status_since_recall(struct status_since *s, const struct object *o,
    const char *where, size_t index, const struct condition *c,
    int64_t since_s);

/* What is asked for from here on is what is written at that second since 1970. */
void status_since_begin(struct status_since *s, int64_t now_s);

/*
 * The time, as in RFC 3339, for a condition of the object; `where` tells apart those of its listeners
 * and parents. Good until the next call. Without memory it is now.
 */
const char *status_since_get(struct status_since *s, const struct object *o,
    const char *where, size_t index, const struct condition *c);
