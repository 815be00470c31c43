/*
 * filter_topology_affinity.c - only endpoints near the one this request works with
 *
 * Near is the same host, rack, zone or region (minAffinity), or nearer. Everybody
 * passes where there is no such endpoint, where it tells nothing of its place, and
 * where nobody is near: affinity is a preference. Source: llm-d-router, filter
 * "topology-affinity-filter". Who the other endpoint is: topology.h.
 */
#include "plugins/plugins.h"

#include <string.h>

#include "conf.h"
#include "endpoints.h"
#include "plugins/topology.h"

struct topology_filter_params {
	enum topology_level min_affinity;
};

static const struct conf_row rows[] = {
	{ .key = "minAffinity", .decode = conf_enum, .preset = "host",
	  .names = topology_names,
	  .offset = offsetof(struct topology_filter_params, min_affinity),
	  .help = "host, rack, zone or region that must be the same" },
};

static const struct conf_table table = {
	.what = "topology-affinity-filter",
	.size = sizeof(struct topology_filter_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static void topology_filter(const struct choice *c, const void *params,
    bool *keep)
{
	const struct topology_filter_params *p = params;
	const struct endpoint *peer = topology_peer(c);
	struct topology place;
	struct topology_rows t;
	bool is_any_near = false;

	if (peer == NULL)
		return;
	place = topology_of(peer);
	t = topology_rows(c->view, &place);
	for (size_t i = 0; i < c->n; i++) {
		keep[i] = topology_level_at(&t, c, i) <= p->min_affinity;
		is_any_near |= keep[i];
	}
	if (!is_any_near)
		memset(keep, true, c->n * sizeof(*keep));
}

const struct filter filter_topology_affinity = {
	.name = "topology-affinity-filter",
	.differs = "where no earlier profile picked one, the endpoint to be near to "
	    "is named by the request header x-epp-peer",
	.params = &table,
	.filter = topology_filter,
};
