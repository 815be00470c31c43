/*
 * plugins.c - the one table of plugins, and what llm-d does without a configuration
 */
#include "plugins/plugins.h"

#include <string.h>

static const struct filter *const filters[] = {
	NULL,
};

static const struct scorer *const scorers[] = {
	&scorer_queue,
	&scorer_kv_cache,
	&scorer_prefix,
	NULL,
};

static const struct picker *const pickers[] = {
	&picker_max_score,
	NULL,
};

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
