/*
 * adapter_load.c - what loading a LoRA adapter adds to an expected wait
 */
#include "plugins/adapter_load.h"

#include "columns.h"
#include "lora.h"

/* What we remember, of as many as fit: is it there, and would another have to go? */
struct adapters {
	bool is_there, is_full;
};

static struct adapters recall(const struct endpoint_pace *pace, uint32_t max,
    uint64_t adapter)
{
	uint32_t n = max < PACE_ADAPTERS ? max : PACE_ADAPTERS;

	for (uint32_t i = 0; pace != NULL && i < n; i++) {
		uint64_t one = atomic_load_explicit(&pace->adapters[i],
		    memory_order_relaxed);

		if (one == adapter || one == 0)	/* none is behind one of 0 */
			return (struct adapters){ one == adapter, false };
	}
	return (struct adapters){ false, pace != NULL };
}

static float load_ms(const struct choice *c, size_t i, uint32_t max,
    uint64_t adapter, float once_ms)
{
	struct adapters a = recall(endpoint_pace(c->view, c->rows[i]), max,
	    adapter);

	if (a.is_there)
		return 0.0f;
	return a.is_full ? 2.0f * once_ms : once_ms;
}

static bool has_lora(const struct choice *c)
{
	return c->view->extras != NULL;
}

void adapter_load_add(const struct choice *choice, float once_ms, float *ms)
{
	const struct choice c = *choice;
	uint64_t adapter;

	if (!has_lora(&c))
		return;
	adapter = lora_spelled(c.request->model);
	for (size_t i = 0; i < c.n; i++) {
		enum lora_place place = choice_lora(&c, adapter, i);
		uint32_t max;

		if (place != LORA_AWAY && place != LORA_AWAY_ROOM)
			continue;
		max = choice_lora_max(&c, i);
		if (max > 0)
			ms[i] += load_ms(&c, i, max, adapter, once_ms);
	}
}

void adapter_load_picked(const struct choice *c, uint32_t winner)
{
	struct endpoint_pace *pace = endpoint_pace(c->view, c->rows[winner]);

	if (pace != NULL && has_lora(c))
		pace_adapter(pace, lora_spelled(c->request->model));
}
