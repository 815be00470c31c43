/*
 * picker_config_refused.c - what llm-d has, or had, and we refuse: what to have instead
 *
 * Types: left out they would send requests elsewhere, or to servers that do not fit
 * together; the name that is spelled most alike is no help. Parameters: of documents
 * older than llm-d-router 0.9, whose plugin no longer reads them. Source: llm-d-router
 * cmd/epp/runner, registerInTreePlugins(); deploy/config of llm-d-inference-scheduler.
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
	{ "capacity-ledger",
	  "concurrency-detector: requests wait while the pool is full, not for an "
	  "endpoint with room for their tokens" },
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

static const char to_producer[] = "it under approx-prefix-cache-producer";
static const char to_producer_tokens[] =
    "blockSizeTokens under approx-prefix-cache-producer: four bytes are a token";

static const struct {
	const char *type, *key, *want;
} params[] = {
	{ "prefix-cache-scorer", "autoTune", to_producer },
	{ "prefix-cache-scorer", "blockSize", to_producer },
	{ "prefix-cache-scorer", "blockSizeTokens", to_producer },
	{ "prefix-cache-scorer", "hashBlockSize", to_producer_tokens },
	{ "prefix-cache-scorer", "maxPrefixBlocksToMatch", to_producer },
	{ "prefix-cache-scorer", "maxPrefixTokensToMatch", to_producer },
	{ "prefix-cache-scorer", "lruCapacityPerServer", to_producer },
	{ "prefix-cache-affinity-filter", "maxTokensInFlightPenalty",
	  "maxTTFTPenaltyMs: those tokens / peakPrefillThroughput * 1000" },
	{ "pd-profile-handler", "threshold",
	  "nonCachedTokens of prefix-based-pd-decider; always: always-disagg-pd-decider" },
	{ "pd-profile-handler", "hashBlockSize", to_producer_tokens },
};

const char *moved_param_want(const char *type, const char *key)
{
	for (size_t i = 0; i < sizeof(params) / sizeof(*params); i++)
		if (strcmp(params[i].type, type) == 0 &&
		    strcmp(params[i].key, key) == 0)
			return params[i].want;
	return NULL;
}
