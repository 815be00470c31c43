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

static float score_of(const struct lora_set *set, uint64_t adapter)
{
	enum lora_state state = lora_find(set, adapter);

	if (state == LORA_RUNNING)
		return 1.0f;
	if (lora_has_room(set))
		return 0.8f;
	return state == LORA_WAITING ? 0.6f : 0.0f;
}

static void lora_affinity_score(const struct choice *choice,
    const void *params, float *out)
{
	const struct choice c = *choice;
	uint64_t adapter = lora_spelled(c.request->model);

	(void)params;
	for (size_t i = 0; i < c.n; i++) {
		const struct lora_set *set = endpoint_lora(c.view, c.rows[i]);

		out[i] = set != NULL && choice_fresh(&c, i) ?
		    score_of(set, adapter) : 0.0f;
	}
}

const struct scorer scorer_lora_affinity = {
	.name = "lora-affinity-scorer",
	.differs = "an adapter that vLLM lists twice is counted once; stale "
	    "numbers score 0",
	.score = lora_affinity_score,
};
