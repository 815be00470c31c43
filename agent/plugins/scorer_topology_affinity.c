/*
 * scorer_topology_affinity.c - the nearer an endpoint is, the better
 *
 *	same host 1, rack 0.2, zone 0.05, region 0.02; nothing in common 0
 *
 * Source: llm-d-router, scorer "topology-affinity-scorer"; the ratios follow what a KV
 * cache's transfer finds: NVLink within a host, one switch within a rack, several
 * beyond. Which labels: topology.h. Near to the endpoint that an earlier
 * profile picked; here also, where none did, to the one that the header x-epp-peer
 * names, as for "topology-affinity-filter"; or else to the agent itself, which is
 * where its HAProxy is: ownHostname, ownRack, ownZone and ownRegion say where. These
 * are parameters of ours. Where neither is known, all score 0.
 */
#include "plugins/plugins.h"

#include "conf.h"
#include "endpoints.h"
#include "plugins/topology.h"

struct topology_params {
	struct topology own;
};

#define OWN(level) offsetof(struct topology_params, own.at[level])

static const struct conf_row rows[] = {
	{ .key = "ownHostname", .decode = conf_string,
	  .offset = OWN(TOPOLOGY_HOST), .help = "where the agent runs" },
	{ .key = "ownRack", .decode = conf_string,
	  .offset = OWN(TOPOLOGY_RACK), .help = "where the agent runs" },
	{ .key = "ownZone", .decode = conf_string,
	  .offset = OWN(TOPOLOGY_ZONE), .help = "where the agent runs" },
	{ .key = "ownRegion", .decode = conf_string,
	  .offset = OWN(TOPOLOGY_REGION), .help = "where the agent runs" },
};

static const struct conf_table table = {
	.what = "topology-affinity-scorer",
	.size = sizeof(struct topology_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static const float worth[] = {
	[TOPOLOGY_HOST] = 1.0f, [TOPOLOGY_RACK] = 0.2f,
	[TOPOLOGY_ZONE] = 0.05f, [TOPOLOGY_REGION] = 0.02f,
	[TOPOLOGY_NONE] = 0.0f,
};

static void topology_score(const struct choice *choice, const void *params,
    float *out)
{
	const struct topology_params *p = params;
	const struct choice c = *choice;
	const struct endpoint *peer = topology_peer(&c);
	struct topology place = peer != NULL ? topology_of(peer) : p->own;
	const struct topology_rows t = topology_rows(c.view, &place);

	for (size_t i = 0; i < c.n; i++)
		out[i] = worth[topology_level_at(&t, &c, i)];
}

const struct scorer scorer_topology_affinity = {
	.name = "topology-affinity-scorer",
	.differs = "where no earlier profile picked one, near to what the request "
	    "header x-epp-peer names, or to the agent's own place: ownHostname, "
	    "ownRack, ownZone, ownRegion",
	.params = &table,
	.score = topology_score,
};
