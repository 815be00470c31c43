/*
 * handler_single.c - one profile, for every request
 *
 * Source: llm-d-router, profile handler "single-profile-handler"; what llm-d makes by
 * itself where there is one profile and no handler.
 */
#include "plugins/plugins.h"

static const struct profile *single_next(const struct stages *s,
    const void *params, enum stage *stage)
{
	(void)params;
	if (s->of[STAGE_PRIMARY].is_over)
		return NULL;
	*stage = STAGE_PRIMARY;
	return s->schedule->profiles;
}

const struct handler handler_single = {
	.name = "single-profile-handler",
	.next = single_next,
};
