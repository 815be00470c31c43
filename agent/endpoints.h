/*
 * endpoints.h - what we know of every endpoint at one instant
 *
 * A fleet is all pools. The scraper's thread builds it, publishes it through an epoch
 * and never writes it again; workers look at it within one loop turn. What must
 * survive from view to view is in live.h, one element per slot, and in the pool's
 * prefix index, under the same slots.
 *
 * A slot belongs to one endpoint (pool, name, address and port) as long as it is in
 * the pool, and is given to another only after every view that knew the old one has
 * been retired.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "extras.h"
#include "live.h"
#include "span.h"

struct entries;
struct label;
struct label_columns;
struct pool_options;
struct prefix_index;
struct questions;
struct schedule;

/* Who it is: the same in all views while the pool's set does not change. */
struct endpoint {
	struct span name;	/* HAProxy's server name */
	struct span addr;	/* "10.0.0.7:8000", "[fd00::7]:8000" */
	uint16_t slot;
	const struct label *labels;
	size_t n_labels;
	const uint64_t *label_ids;	/* of each key; NULL: not known */
};

/* What stands for a label's key where thousands are looked at. Never 0. */
uint64_t endpoint_label_id(const char *key);

/* And for a label's value. */
uint64_t endpoint_value_id(struct span value);

enum endpoint_health {
	ENDPOINT_FRESH,		/* its numbers are younger than stale_ms */
	ENDPOINT_STALE,		/* older, or never read; it may well serve */
	ENDPOINT_DOWN,		/* refuses connections, sleeps, or HAProxy says so */
};

/* How it is: endpoint_view.stats[i] belongs to endpoints[i]. */
struct endpoint_stats {
	uint32_t queued, running;
	float kv_used;		/* 0..1 */
	uint32_t settled;	/* picks that the numbers above may contain */
	int64_t seen_ms;	/* clock_ms() when they were read; 0: never */
	uint16_t slot;		/* endpoints[i].slot, where scorers look anyway */
	uint8_t health;		/* enum endpoint_health at publication */
	bool is_current;	/* the saturation detector may believe them */
};

struct endpoint_view {
	uint64_t number;	/* counts the pool's publications */
	const char *pool;
	bool is_known;		/* false: its source has not answered yet */
	size_t n_endpoints;
	const struct endpoint *endpoints;	/* sorted by name */
	const struct endpoint_stats *stats;
	const struct endpoint_extras *extras;	/* by row; NULL: there are none */
	const struct label_columns *labels;	/* NULL: endpoints have them only */
	const struct entries *entries;		/* NULL: nobody forwards to ranks */
	size_t n_slots;				/* all slots are below this */
	struct endpoint_live *live;		/* by slot; the one thing written */
	struct prefix_index *prefix;		/* by slot */
	struct questions *questions;		/* NULL: there is no tokenizer */
	uint32_t block_bytes;			/* of a prefix block */
	uint32_t max_blocks;			/* of a prompt that are looked at */
	const struct schedule *schedule;
	const struct pool_options *options;
	struct pool_live *pool_live;
};

struct fleet {
	size_t n_pools;
	const struct endpoint_view *const *pools;	/* sorted by name */
};

/* NULL when there is none of that name. */
const struct endpoint_view *fleet_find(const struct fleet *fleet,
    struct span pool);

/* The row of that name, or n_endpoints. */
size_t endpoint_find(const struct endpoint_view *view, struct span name);

static inline struct endpoint_live *endpoint_live(
    const struct endpoint_view *view, size_t row)
{
	return &view->live[view->stats[row].slot];
}

/* By slot; NULL where nobody keeps them. */
static inline struct endpoint_pace *endpoint_paces(
    const struct endpoint_view *view)
{
	return view->pool_live != NULL ? view->pool_live->pace : NULL;
}

static inline struct endpoint_pace *endpoint_pace(
    const struct endpoint_view *view, size_t row)
{
	struct endpoint_pace *paces = endpoint_paces(view);

	return paces != NULL ? &paces[view->stats[row].slot] : NULL;
}

/* NULL where nobody keeps it. */
static inline struct heat *endpoint_heat(const struct endpoint_view *view)
{
	return view->pool_live != NULL ? view->pool_live->heat : NULL;
}

static inline const struct lora_set *endpoint_lora(
    const struct endpoint_view *view, size_t row)
{
	return view->extras != NULL ? view->extras[row].lora : NULL;
}

static inline const struct attribute_set *endpoint_attributes(
    const struct endpoint_view *view, size_t row)
{
	return view->extras != NULL ? view->extras[row].attributes : NULL;
}

/* Sent by us and not in the scraped numbers yet. */
static inline uint32_t endpoint_unsettled(const struct endpoint_view *view,
    size_t row)
{
	uint32_t picked = atomic_load_explicit(
	    &endpoint_live(view, row)->picked, memory_order_relaxed);

	return picked - view->stats[row].settled;
}
