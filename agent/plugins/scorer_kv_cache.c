/*
 * scorer_kv_cache.c - the more of its KV cache is free, the better
 *
 *	score = 1 - kv_used
 *
 * Source: llm-d-router, scorer "kv-cache-utilization-scorer". Stale numbers score 0.
 */
#include "plugins/plugins.h"

#include "clones.h"
#include "columns.h"

CLONED_FOR_AVX2 static void kv_cache_score(const struct choice *choice,
    const void *params, float *out)
{
	const struct choice c = *choice;
	(void)params;
	for (size_t i = 0; i < c.n; i++) {
		float room = 1.0f - choice_kv_used(&c, i);

		out[i] = choice_fresh(&c, i) ? room : 0.0f;
	}
}

const struct scorer scorer_kv_cache = {
	.name = "kv-cache-utilization-scorer",
	.differs = "stale numbers score 0",
	.score = kv_cache_score,
};
