/*
 * scorer_kv_cache.c - the more of its KV cache is free, the better
 *
 *	score = 1 - kv_used
 *
 * Source: llm-d-router, scorer "kv-cache-utilization-scorer". Stale numbers score 0.
 */
#include "plugins/plugins.h"

#include "endpoints.h"

static void kv_cache_score(const struct choice *c, const void *params,
    float *out)
{
	(void)params;
	for (size_t i = 0; i < c->n; i++) {
		const struct endpoint_stats *s = &c->view->stats[c->rows[i]];

		out[i] = s->health == ENDPOINT_FRESH ? 1.0f - s->kv_used : 0.0f;
	}
}

const struct scorer scorer_kv_cache = {
	.name = "kv-cache-utilization-scorer",
	.differs = "stale numbers score 0",
	.score = kv_cache_score,
};
