/*
 * status_since.h - since when a condition has its status
 *
 * lastTransitionTime changes when the status does, and only then (Kubernetes API
 * conventions, "Typical status properties"): what was written before is kept in mind,
 * as one hash a condition. What is not written again is forgotten. One thread.
 */
#pragma once

#include <stddef.h>

struct object;
struct condition;

enum { STATUS_TIME_BYTES = 24 };	/* RFC 3339 in UTC, seconds */

struct status_since;

struct status_since *status_since_new(void);	/* NULL without memory */
void status_since_free(struct status_since *s);

/* What is asked for from here on is what is written at `now` (RFC 3339). */
void status_since_begin(struct status_since *s, const char *now);

/*
 * The time for a condition of the object; `where` tells apart those of its listeners
 * and parents. Good until the next call. Without memory it is now.
 */
const char *status_since_get(struct status_since *s, const struct object *o,
    const char *where, size_t index, const struct condition *c);
