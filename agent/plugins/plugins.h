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

extern const struct scorer scorer_queue, scorer_kv_cache, scorer_prefix;
extern const struct picker picker_max_score;
