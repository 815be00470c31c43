/*
 * scorer_session_affinity.c - a session's requests go where the last one went
 *
 *	its endpoint: 1; all others, and all when it has none: 0
 *
 * Source: llm-d-router, scorer "session-affinity-scorer". How a session tells its
 * endpoint: session.h.
 */
#include "plugins/plugins.h"

#include "plugins/session.h"

static void session_score(const struct choice *c, const void *params,
    float *out)
{
	size_t at = session_find(c, params);

	for (size_t i = 0; i < c->n; i++)
		out[i] = i == at ? 1.0f : 0.0f;
}

const struct scorer scorer_session_affinity = {
	.name = "session-affinity-scorer",
	.differs = SESSION_DIFFERS,
	.params = &session_table,
	.score = session_score,
	.picked = session_picked,
};
