/*
 * topology.h - how near two endpoints are to each other, by their labels
 *
 * kubernetes.io/hostname, topology.kubernetes.io/rack, /zone and /region, from the
 * nearest to the farthest; the tightest one that both have, with the same value, is
 * the level they share. An empty value is none. Source: llm-d-router,
 * scheduling/util/topology and datalayer/extractor/topology. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endpoints.h"
#include "plugin.h"

enum topology_level {
	TOPOLOGY_HOST,
	TOPOLOGY_RACK,
	TOPOLOGY_ZONE,
	TOPOLOGY_REGION,
	TOPOLOGY_NONE,		/* nothing in common */
};

/* For conf_enum: host, rack, zone, region, as llm-d spells them. */
extern const char *const topology_names[];

/* Where an endpoint is; NULL for what it does not say. Borrows its labels. */
struct topology {
	const char *at[TOPOLOGY_NONE];
};

struct topology topology_of(const struct endpoint *e);

/* A place, made ready to be compared with many endpoints. */
struct topology_near {
	struct topology place;
	uint64_t ids[TOPOLOGY_NONE];	/* of the keys; 0 for what it does not say */
};

struct topology_near topology_near(const struct topology *place);

/* The level that `e` shares with it: its labels are looked at once. */
enum topology_level topology_level(const struct topology_near *near,
    const struct endpoint *e);

/* The same for candidates. */
struct topology_rows {
	struct topology_near near;
	bool is_quick;		/* the rest is set */
	const uint64_t *columns[TOPOLOGY_NONE];
	uint64_t values[TOPOLOGY_NONE];
};

struct topology_rows topology_rows(const struct endpoint_view *view,
    const struct topology *place);

static inline enum topology_level topology_level_at(
    const struct topology_rows *t, const struct choice *c, size_t i)
{
	enum topology_level nearest = TOPOLOGY_NONE;
	uint32_t row = c->rows[i];

	if (!t->is_quick)
		return topology_level(&t->near, &c->view->endpoints[row]);
	for (int k = TOPOLOGY_REGION; k >= TOPOLOGY_HOST; k--)
		nearest = t->columns[k][row] == t->values[k] ?
		    (enum topology_level)k : nearest;
	return nearest;
}

/*
 * The endpoint that this request is to be near to, or NULL: the one that an earlier
 * profile picked, as llm-d has it; else the one of the pool that the header x-epp-peer
 * names, by ip:port, or by ip: the first one that has it. llm-d knows no header yet.
 */
const struct endpoint *topology_peer(const struct choice *c);
