/*
 * outlier.h - endpoints that fail again and again are left out, and tried again
 *
 *	CLOSED --consecutive failures--> OPEN --time--> HALF_OPEN --picked--> TRIAL
 *	   ^                              ^                                    |
 *	   +------------ served ----------|------------------------------------+
 *	                                  +------------- failed ---------------+
 *
 * An ejection lasts base_ms times the number of ejections, max_ms at most; an endpoint
 * that was not ejected for max_ms after one is as good as new. At most max_percent of a
 * pool, but one in any case, is ejected at once. Source: Envoy, "Outlier detection"
 * (consecutive_5xx 5, base_ejection_time 30 s, max_ejection_time 300 s,
 * max_ejection_percent 10); HAProxy's `observe layer7` and `error-limit` count the same
 * failures. The single trial is ours: Envoy lets an endpoint back whole.
 *
 * What counts as a failure: record.h. Which thread: said at each function.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live.h"

struct endpoint_view;
struct outlier_options;

/* A request failed there. True: that was one too many. Main's thread. */
bool outlier_failed(const struct endpoint_view *view, size_t row, int64_t now_ms);

/* It sent a first token, or ended a request well. True: it is back. Any thread. */
bool outlier_served(const struct endpoint_view *view, size_t row);

/* Moves that only time makes. Scraper's thread, before each view. */
void outlier_tick(struct endpoint_live *l, const struct outlier_options *o,
    int64_t now_ms);

/* May a request go there? Any thread. */
static inline bool outlier_allows(const struct endpoint_live *l)
{
	uint16_t state = atomic_load_explicit(&l->breaker, memory_order_relaxed);

	return state == BREAKER_CLOSED || state == BREAKER_HALF_OPEN;
}

/* One goes there. False: it would be a second trial. Any thread. */
bool outlier_take(struct endpoint_live *l);
