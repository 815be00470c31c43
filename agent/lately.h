/*
 * lately.h - how much of something there was in the last one to two periods
 *
 * A count in one atomic word: the number of the period, 24 bits, what was added in it
 * and in the one before, 20 bits each. Nobody has to come by when a period ends. A word
 * of 0 has counted nothing. Any thread: of two whose clocks differ, the one behind adds
 * to the other's period.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum { LATELY_MAX = (1 << 20) - 1 };	/* a period: more is no more */

/* `period` is the time by the period's length, rounded down. */
void lately_add(_Atomic uint64_t *word, uint32_t n, int64_t period);

/* In that period and the one before; at most twice LATELY_MAX. */
uint32_t lately_get(const _Atomic uint64_t *word, int64_t period);
