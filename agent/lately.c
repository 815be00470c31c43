/*
 * lately.c - how much of something there was in the last one to two periods
 */
#include "lately.h"

enum {
	COUNT_BITS = 20, PERIOD_BITS = 24,
	PERIODS_MASK = (1 << PERIOD_BITS) - 1,
	AHEAD_MAX = 8,		/* periods that one thread may be ahead of another */
};

struct lately {
	uint32_t period, now, before;
};

static struct lately lately_at(uint64_t word, uint32_t period)
{
	uint32_t then = (uint32_t)(word >> 2 * COUNT_BITS);
	uint32_t age = (period - then) & PERIODS_MASK;
	struct lately l = { then, word >> COUNT_BITS & LATELY_MAX,
		word & LATELY_MAX };

	if (age == 0 || age > PERIODS_MASK - AHEAD_MAX)
		return l;
	return (struct lately){ period, 0, age == 1 ? l.now : 0 };
}

static uint32_t bits_of(int64_t period)
{
	return (uint32_t)(period & PERIODS_MASK);
}

void lately_add(_Atomic uint64_t *at, uint32_t n, int64_t period)
{
	uint64_t old = atomic_load_explicit(at, memory_order_relaxed), word;

	do {
		struct lately l = lately_at(old, bits_of(period));

		l.now = n < LATELY_MAX - l.now ? l.now + n : LATELY_MAX;
		word = (uint64_t)l.period << 2 * COUNT_BITS |
		    (uint64_t)l.now << COUNT_BITS | l.before;
	} while (!atomic_compare_exchange_weak_explicit(at, &old, word,
	    memory_order_relaxed, memory_order_relaxed));
}

uint32_t lately_get(const _Atomic uint64_t *at, int64_t period)
{
	struct lately l = lately_at(atomic_load_explicit(at,
	    memory_order_relaxed), bits_of(period));

	return l.now + l.before;
}
