/*
 * picker_config_refused.c - plugin types of llm-d that we will not do without a word
 *
 * Left out they would send requests elsewhere, or to servers that do not fit together;
 * the name that is spelled most alike is no help. Source: llm-d-router
 * cmd/epp/runner, registerInTreePlugins().
 */
#include "picker_config_types.h"

#include <string.h>

static const char no_clusters[] =
    "its type without `multicluster-`: an endpoint is a server here, not a cluster";
static const char no_observer[] =
    "latency-scorer, or `scheduling: fastest`: an endpoint is a server here";

static const struct {
	const char *name, *want;
} types[] = {
	{ "multicluster-approx-prefix-cache-producer", no_clusters },
	{ "multicluster-file-discovery", no_clusters },
	{ "multicluster-kv-cache-utilization-scorer", no_clusters },
	{ "multicluster-metrics-data-source", no_clusters },
	{ "multicluster-metrics-extractor", no_clusters },
	{ "multicluster-prefix-cache-scorer", no_clusters },
	{ "multicluster-queue-scorer", no_clusters },
	{ "multicluster-session-affinity-filter", no_clusters },
	{ "latency-observer-producer-hub", no_observer },
	{ "latency-observation-scorer-hub", no_observer },
	{ "disaggregatedset-rollout-screener",
	  "a pool of each revision: within one, prefill and decode are picked from all" },
	{ "thunder-agent", "program-aware-fairness, with concurrency-detector: programs' "
	  "footprints are not known here" },
};

const char *refused_type_want(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].want;
	return NULL;
}
