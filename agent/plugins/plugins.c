/*
 * plugins.c - the one table of plugins, and what llm-d does without a configuration
 */
#include "plugins/plugins.h"

#include <string.h>

static const struct filter *const filters[] = {
	&filter_label_selector,
	&filter_by_label_selector,
	&filter_by_label,
	&filter_encode,
	&filter_prefill,
	&filter_decode,
	&filter_prefix_cache_affinity,
	&filter_slo_headroom_tier,
	&filter_utilization,
	&filter_utilization_detector,
	&filter_concurrency_detector,
	&filter_topology_affinity,
	&filter_endpoint_subset,
	&filter_header_based_testing,
	&filter_session_affinity,
	&filter_context_length,
	&filter_endpoint_attribute,
	NULL,
};

static const struct scorer *const scorers[] = {
	&scorer_queue,
	&scorer_kv_cache,
	&scorer_prefix,
	&scorer_precise_prefix,
	&scorer_running_requests,
	&scorer_load_aware,
	&scorer_active_request,
	&scorer_token_load,
	&scorer_no_hit_lru,
	&scorer_session_affinity,
	&scorer_header_label_affinity,
	&scorer_context_length,
	&scorer_latency,
	&scorer_topology_affinity,
	&scorer_lora_affinity,
	&scorer_endpoint_attribute,
	&scorer_expected_ttft,
	NULL,
};

static const struct picker *const pickers[] = {
	&picker_max_score,
	&picker_random,
	&picker_weighted_random,
	NULL,
};

static const struct handler *const handlers[] = {
	&handler_single,
	&handler_header,
	&handler_disagg,
	&handler_pd,
	&handler_data_parallel,
	NULL,
};

static const struct decider *const deciders[] = {
	&decider_prefix_pd,
	&decider_always_pd,
	&decider_always_multimodal,
	NULL,
};

enum {
	N_FILTERS = sizeof(filters) / sizeof(*filters),
	N_SCORERS = sizeof(scorers) / sizeof(*scorers),
	N_PICKERS = sizeof(pickers) / sizeof(*pickers),
	N_HANDLERS = sizeof(handlers) / sizeof(*handlers),
	N_DECIDERS = sizeof(deciders) / sizeof(*deciders),
};

const struct filter *filter_at(size_t i)
{
	return i < N_FILTERS ? filters[i] : NULL;
}

const struct scorer *scorer_at(size_t i)
{
	return i < N_SCORERS ? scorers[i] : NULL;
}

const struct picker *picker_at(size_t i)
{
	return i < N_PICKERS ? pickers[i] : NULL;
}

const struct handler *handler_at(size_t i)
{
	return i < N_HANDLERS ? handlers[i] : NULL;
}

const struct decider *decider_at(size_t i)
{
	return i < N_DECIDERS ? deciders[i] : NULL;
}

const struct filter *filter_find(const char *name)
{
	for (size_t i = 0; filters[i] != NULL; i++)
		if (strcmp(filters[i]->name, name) == 0)
			return filters[i];
	return NULL;
}

const struct scorer *scorer_find(const char *name)
{
	for (size_t i = 0; scorers[i] != NULL; i++)
		if (strcmp(scorers[i]->name, name) == 0)
			return scorers[i];
	return NULL;
}

const struct picker *picker_find(const char *name)
{
	for (size_t i = 0; pickers[i] != NULL; i++)
		if (strcmp(pickers[i]->name, name) == 0)
			return pickers[i];
	return NULL;
}

const struct handler *handler_find(const char *name)
{
	for (size_t i = 0; handlers[i] != NULL; i++)
		if (strcmp(handlers[i]->name, name) == 0)
			return handlers[i];
	return NULL;
}

const struct decider *decider_find(const char *name)
{
	for (size_t i = 0; deciders[i] != NULL; i++)
		if (strcmp(deciders[i]->name, name) == 0)
			return deciders[i];
	return NULL;
}

static const struct weighted_scorer default_scorers[] = {
	{ .scorer = &scorer_queue, .weight = 2.0f },
	{ .scorer = &scorer_kv_cache, .weight = 2.0f },
	{ .scorer = &scorer_prefix, .weight = 3.0f,
	  .params = &scorer_prefix_default },
};

const struct profile profile_default = {
	.name = "default",
	.scorers = default_scorers,
	.n_scorers = sizeof(default_scorers) / sizeof(*default_scorers),
	.picker = &picker_max_score,
};

const struct schedule schedule_default = {
	.handler = &handler_single,
	.profiles = &profile_default,
	.n_profiles = 1,
};
