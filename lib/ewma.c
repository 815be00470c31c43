/*
 * ewma.c - the word is replaced by compare-and-swap, so that no sample is lost
 */
#include "ewma.h"

#include <math.h>
#include <string.h>

static const float least_weight = 1.0f / 8.0f;
static const float decay_ms = 10000.0f;

/* Of two threads one may be late with what it saw. Further back is far ahead: the 32
 * bits have wrapped, which they do in 49 days. */
static const uint32_t late_max_ms = 60 * 1000;

static float value_of(uint64_t word)
{
	uint32_t bits = (uint32_t)(word >> 32);
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* The time is never 0, so that a word of 0 means "none". */
static uint64_t word_of(float value, uint32_t ms)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return (uint64_t)bits << 32 | (ms | 1);
}

static float elapsed_ms(uint32_t since_ms, uint32_t ms)
{
	uint32_t dt = ms - since_ms;

	return dt <= UINT32_MAX - late_max_ms ? (float)dt : 0.0f;
}

static float next_value(uint64_t old, float sample, uint32_t ms)
{
	float value = value_of(old), w;

	if (old == 0)
		return sample;
	w = 1.0f - expf(-elapsed_ms((uint32_t)old, ms) / decay_ms);
	return value + (w > least_weight ? w : least_weight) * (sample - value);
}

void ewma_add(struct ewma *e, float sample, int64_t now_ms)
{
	uint64_t old = atomic_load_explicit(&e->word, memory_order_relaxed);
	uint64_t next;

	do
		next = word_of(next_value(old, sample, (uint32_t)now_ms),
		    (uint32_t)now_ms);
	while (!atomic_compare_exchange_weak_explicit(&e->word, &old, next,
	    memory_order_relaxed, memory_order_relaxed));
}

void ewma_reset(struct ewma *e)
{
	atomic_store_explicit(&e->word, 0, memory_order_relaxed);
}
