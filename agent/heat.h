/*
 * heat.h - how many requests lately had a prompt that begins the same
 *
 * A beginning is named by the chained hash of its last block: the one up to which some
 * endpoint has this prompt. That is where it parts from what was sent before: at the end
 * of the system prompt that everybody sends, or at the end of a conversation's last
 * turn, which nobody else goes on with. So a thousand requests may share much and not
 * be counted together, and those that are have all of it in common.
 *
 * LIVE_HEAT are counted in a pool. Of two in the same place the one stays that is asked
 * for more than once. Who comes between another's two writes counts for the wrong one,
 * by as much as was asked for in that time. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct heat {
	_Atomic uint64_t beginning;
	_Atomic uint64_t asked;		/* by quarters of a second: lately.h */
};

/* `table` has LIVE_HEAT elements. */
void heat_add(struct heat *table, uint64_t beginning, int64_t now_ms);

/* In the last quarter to half of a second: what comes while a long prompt is computed. */
uint32_t heat_get(const struct heat *table, uint64_t beginning,
    int64_t now_ms);
