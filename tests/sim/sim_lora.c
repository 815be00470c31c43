/*
 * sim_lora.c - a few slots, searched straight through
 */
#include "sim_lora.h"

#include "must.h"

void sim_lora_init(struct sim_lora *l, uint32_t max_resident)
{
	*l = (struct sim_lora){ .max_resident = max_resident };
}

/* The resident adapter to give way, or -1. */
static int find_victim(const struct sim_lora *l)
{
	int victim = -1;

	for (int i = 0; i < SIM_LORAS_MAX; i++) {
		const struct sim_adapter *a = &l->adapters[i];

		if (a->is_resident && a->n_running == 0 && (victim < 0 ||
		    a->last_use < l->adapters[victim].last_use))
			victim = i;
	}
	return victim;
}

bool sim_lora_fits(const struct sim_lora *l, int adapter)
{
	return l->adapters[adapter].is_resident ||
	    l->n_resident < l->max_resident || find_victim(l) >= 0;
}

void sim_lora_hold(struct sim_lora *l, int adapter)
{
	struct sim_adapter *a = &l->adapters[adapter];

	must(sim_lora_fits(l, adapter));
	if (!a->is_resident && l->n_resident == l->max_resident) {
		int victim = find_victim(l);

		l->adapters[victim].is_resident = false;
		l->adapters[victim].is_loaded = false;
		l->n_resident--;
	}
	if (!a->is_resident) {
		a->is_resident = true;
		l->n_resident++;
	}
	a->n_running++;
	a->last_use = ++l->uses;
}

void sim_lora_release(struct sim_lora *l, int adapter)
{
	must(l->adapters[adapter].n_running > 0);
	l->adapters[adapter].n_running--;
}
