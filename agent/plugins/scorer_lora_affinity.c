/*
 * scorer_lora_affinity.c - where the adapter that the request names is loaded, or fits
 *
 *	in use 1; room for one more 0.8; waited for 0.6; else 0
 *
 * Source: llm-d-router, scorer "lora-affinity-scorer". Room is fewer names than
 * max_lora; there the two lists are added up, which counts each adapter of vLLM twice.
 * As there, a model that nobody has loaded is an adapter not loaded yet, the base model
 * too. An engine that tells no adapters, and one whose numbers are stale, scores 0.
 */
#include "plugins/plugins.h"

#include "columns.h"
#include "lora.h"
#include "request.h"

static const float worth[] = {
	[LORA_UNTOLD] = 0.0f, [LORA_AWAY] = 0.0f, [LORA_AWAITED] = 0.6f,
	[LORA_AWAY_ROOM] = 0.8f, [LORA_AWAITED_ROOM] = 0.8f,
	[LORA_IN_USE] = 1.0f,
};

static void lora_affinity_score(const struct choice *choice,
    const void *params, float *out)
{
	const struct choice c = *choice;
	uint64_t adapter = lora_spelled(c.request->model);

	(void)params;
	for (size_t i = 0; i < c.n; i++) {
		float score = worth[choice_lora(&c, adapter, i)];

		out[i] = choice_fresh(&c, i) ? score : 0.0f;
	}
}

const struct scorer scorer_lora_affinity = {
	.name = "lora-affinity-scorer",
	.differs = "an adapter that vLLM lists twice is counted once; stale "
	    "numbers score 0",
	.wants_lora = true,
	.score = lora_affinity_score,
};
