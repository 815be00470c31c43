/*
 * plugins.c - the one table of plugins
 */
#include "plugin.h"

#include <string.h>

static const struct scorer *const scorers[] = {
	&scorer_queue,
	&scorer_kv_cache,
	&scorer_prefix,
};

static const struct picker *const pickers[] = {
	&picker_max_score,
};

const struct scorer *scorer_find(const char *name)
{
	for (size_t i = 0; i < sizeof(scorers) / sizeof(*scorers); i++)
		if (strcmp(scorers[i]->name, name) == 0)
			return scorers[i];
	return NULL;
}

const struct picker *picker_find(const char *name)
{
	for (size_t i = 0; i < sizeof(pickers) / sizeof(*pickers); i++)
		if (strcmp(pickers[i]->name, name) == 0)
			return pickers[i];
	return NULL;
}

static const struct weighted_scorer default_scorers[] = {
	{ &scorer_queue, 2.0f },
	{ &scorer_kv_cache, 2.0f },
	{ &scorer_prefix, 3.0f },
};

const struct profile profile_default = {
	.name = "default",
	.scorers = default_scorers,
	.n_scorers = sizeof(default_scorers) / sizeof(*default_scorers),
	.picker = &picker_max_score,
};
