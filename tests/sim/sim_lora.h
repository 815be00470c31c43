/*
 * sim_lora.h - which adapters are resident, and what making one so costs
 *
 * Adapters are numbers, indices into the options' list. A running sequence holds
 * its adapter; one that nobody holds may be replaced, longest unused first.
 * Caller's storage; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sim_options.h"

struct sim_lora {
	uint32_t n_resident, max_resident;
	uint64_t uses;
	struct sim_adapter {
		bool is_resident, is_loaded;
		uint32_t n_running, n_waiting;
		uint64_t last_use;
	} adapters[SIM_LORAS_MAX];
};

void sim_lora_init(struct sim_lora *l, uint32_t max_resident);

/* Would sim_lora_hold() succeed? */
bool sim_lora_fits(const struct sim_lora *l, int adapter);

/* Makes it resident if need be; sim_lora_fits() must hold. */
void sim_lora_hold(struct sim_lora *l, int adapter);
void sim_lora_release(struct sim_lora *l, int adapter);
