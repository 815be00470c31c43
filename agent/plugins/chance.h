/*
 * chance.h - a number between 0 and 1, for plugins that toss a coin
 *
 * A picker is handed a generator. A filter is not: it may run several times for one
 * request, on any worker, and must not remember. What is different at each request is
 * its prompt and how often its candidates were picked, so that is what it draws from;
 * the same facts give the same draw, hence a decision can be replayed. Any thread.
 */
#pragma once

#include <stdint.h>

#include "rng.h"

struct choice;

/* Evenly in (0, 1), neither end. */
static inline double chance_draw(struct rng *rng)
{
	return ((double)(rng_next(rng) >> 11) + 0.5) * 0x1p-53;
}

/* The same for a filter. `salt`: what tells its draws from those of others. */
double chance_of(const struct choice *c, uint64_t salt);
