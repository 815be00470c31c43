/*
 * filter_session_affinity.c - a session's requests go where the last one went, or
 * anywhere when that is no candidate
 *
 * Source: llm-d-router, filter "session-affinity-filter". How a session tells its
 * endpoint: session.h.
 */
#include "plugins/plugins.h"

#include "plugins/session.h"

static void session_filter(const struct choice *c, const void *params,
    bool *keep)
{
	size_t at = session_find(c, params);

	for (size_t i = 0; at < c->n && i < c->n; i++)
		keep[i] = i == at;
}

const struct filter filter_session_affinity = {
	.name = "session-affinity-filter",
	.differs = SESSION_DIFFERS,
	.params = &session_table,
	.filter = session_filter,
	.picked = session_picked,
};
