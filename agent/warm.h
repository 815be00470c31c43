/*
 * warm.h - a prefix index that outlives its process: `prefix: {snapshot: FILE}`
 *
 * Written when the agent stops, and when it starts its own successor (upgrade.h); read
 * when the pool is made. An endpoint gets back what was known of it if it has the same
 * name and address; its engine having restarted meanwhile shows on its first metrics
 * page (target.h), and purges as ever. A file that is torn, alien or old is refused with
 * one line, and the agent starts cold; whatever is in it, no more is taken from it than
 * the index has room for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

struct endpoint_view;
struct engine_life;
struct pool_options;
struct prefix_index;
struct warm;

/* NULL: none is configured, there is none yet, or it was refused (and logged). */
struct warm *warm_load(const struct pool_options *o, int64_t unix_ms);
void warm_free(struct warm *w);

/*
 * What is known of that endpoint, into a slot that has just joined; which
 * process its engine was, into `life`. Once for each endpoint. Returns how many blocks.
 */
uint32_t warm_take(struct warm *w, struct span name, struct span addr,
    struct prefix_index *prefix, uint16_t slot, struct engine_life *life);

/* Every endpoint has got its own. */
bool warm_is_spent(const struct warm *w);

/* Of a pool that wants it. 0, or -errno, logged. Main's thread, in the epoch. */
int warm_save(const struct endpoint_view *view, int64_t unix_ms);
