/*
 * plugins.h - every plugin by name, for the one table and for tests
 */
#pragma once

#include "plugin.h"

/* For the profile that needs no configuration. */
struct prefix_scorer_params {
	float length_weight, scale_tokens;
};

extern const struct prefix_scorer_params scorer_prefix_default;

extern const struct scorer scorer_queue, scorer_kv_cache, scorer_prefix,
    scorer_precise_prefix;
extern const struct picker picker_max_score, picker_random,
    picker_weighted_random;

extern const struct filter filter_label_selector, filter_by_label_selector,
    filter_by_label, filter_encode, filter_prefill, filter_decode,
    filter_prefix_cache_affinity, filter_slo_headroom_tier, filter_utilization,
    filter_utilization_detector, filter_concurrency_detector,
    filter_topology_affinity, filter_endpoint_subset,
    filter_header_based_testing;

extern const struct filter filter_endpoint_attribute;
extern const struct scorer scorer_lora_affinity, scorer_endpoint_attribute,
    scorer_expected_ttft;
extern const struct scorer scorer_running_requests, scorer_load_aware,
    scorer_active_request, scorer_token_load, scorer_no_hit_lru,
    scorer_session_affinity, scorer_header_label_affinity,
    scorer_context_length, scorer_latency, scorer_topology_affinity;
extern const struct filter filter_session_affinity, filter_context_length;
extern const struct handler handler_single, handler_header, handler_disagg,
    handler_pd, handler_data_parallel;
extern const struct decider decider_prefix_pd, decider_always_pd,
    decider_always_multimodal;
