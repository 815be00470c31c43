/*
 * flow_table.h - the bands and flows that somebody waits in; for flow_queue.c only
 *
 * Knows where they are and what they cost, and nothing of who is next. Bands are
 * sorted; flows are found by hash. A flow has no id of its own: it is that of any
 * waiter in it, so nothing is copied and a flow must not be empty when the next one is
 * looked for.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "flow_queue.h"
#include "list.h"

struct flow_band {
	int32_t priority;
	const struct flow_band_options *options;
	struct flow_counts counts;
	struct flow_heap flows;
};

struct flow {
	struct flow_band *band;
	struct flow *chain;		/* next of the same bucket */
	uint64_t hash;
	uint64_t turn;			/* the lower, the longer ago it was served */
	struct flow_heap waiters;
	struct flow_node node;		/* in band->flows, put there by flow_queue.c */
};

struct flow_table {
	struct flow_band **bands;	/* highest priority first */
	size_t n_bands, cap_bands;
	struct flow **buckets;
	size_t n_buckets;		/* a power of two */
	size_t n_flows;
	uint64_t secret;
	size_t bytes, max_bytes;
};

#define flow_of(flow_node) list_entry(flow_node, struct flow, node)
#define waiter_of(place_node) list_entry(place_node, struct waiter, place)

/* 0 or -ENOMEM. */
int flow_table_init(struct flow_table *t, uint64_t secret, size_t max_bytes);

/* All flows have been dropped. */
void flow_table_fini(struct flow_table *t);

/* NULL when nobody waits there. */
struct flow_band *flow_table_band(const struct flow_table *t, int32_t priority);

/* Of priority and fairness id, under the table's secret. */
uint64_t flow_table_hash(const struct flow_table *t, const struct waiter *w);

/*
 * The flow this waiter belongs to; `options` are its band's, should it be new. A new
 * flow is in no heap and has turn 0. 0, FLOW_FULL past FLOW_BANDS_MAX, or -ENOMEM.
 */
int flow_table_get(struct flow_table *t, const struct waiter *w,
    const struct flow_band_options *options, struct flow **out);

/* A flow that nobody waits in, and is in no heap; its band goes with the last one. */
void flow_table_drop(struct flow_table *t, struct flow *f);
