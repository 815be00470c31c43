/*
 * disagg.h - one profile a stage: who decodes, who prefills, who encodes
 *
 *	decode-first	decode, then encode if its decider says so, then prefill if
 *			its own does
 *	prefill-first	prefill if there is a profile for it, then encode, then decode
 *
 * The request goes to who decodes, with the others' ip:port in the headers
 * x-prefiller-host-port and x-encoder-hosts-ports. Nobody to decode: it is refused.
 * Nobody to prefill or to encode: the decoding server does it. In the later of decode
 * and prefill, "topology-affinity" plugins look for the vicinity of the earlier one.
 * A stage without a decider, or without a profile of its name, never runs.
 *
 * What handler_disagg.c and handler_pd.c, its ancestor, have in common. Source:
 * llm-d-router, profile handler "disagg-profile-handler". Pure; any thread.
 */
#pragma once

#include <stdint.h>

#include "plugin.h"

enum stage_order { DECODE_FIRST, PREFILL_FIRST };

/* Names first, NULL for those not given; behind them, what disagg_bind() found. */
struct disagg_params {
	int order;			/* enum stage_order */
	const char *profile_names[N_STAGES], *decider_names[N_STAGES];
	const char *old_profiles[N_STAGES], *old_deciders[N_STAGES];
	const char *older_decider;	/* of prefill, in the ancestor's word */
	const char *unused;
	uint16_t primary_port;
	const struct profile *profiles[N_STAGES];
	const struct used_decider *deciders[N_STAGES];
};

/* From the older words, and then the presets: decode, prefill, encode. */
void disagg_fill_names(struct disagg_params *p);

/* Of struct handler. */
struct unbound disagg_bind(void *params, const struct handler_names *names);
const struct profile *disagg_next(const struct stages *s, const void *params,
    enum stage *stage);
