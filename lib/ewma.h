/*
 * ewma.h - a moving average that several threads may feed and read, in one word
 *
 *	ewma += w * (sample - ewma),  w = max(1/8, 1 - exp(-dt / 10 s))
 *
 * dt is the time since the sample before. 1/8: RFC 6298 section 2 (smoothed round-trip
 * time). The exponent: Finagle's and linkerd's peak EWMA, decay 10 s; what was
 * seen long ago counts for little once there is something newer. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* Zeroed: no sample yet. */
struct ewma {
	_Atomic uint64_t word;	/* float bits, then milliseconds of the last sample */
};

/* `sample` is finite and not negative. */
void ewma_add(struct ewma *e, float sample, int64_t now_ms);

static inline float ewma_of_word(uint64_t word)
{
	uint32_t bits = (uint32_t)(word >> 32);
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Negative while there was no sample. Inline: asked of every endpoint for a pick. */
static inline float ewma_get(const struct ewma *e)
{
	uint64_t word = atomic_load_explicit(&e->word, memory_order_relaxed);

	return word == 0 ? -1.0f : ewma_of_word(word);
}

/* 0 while there was no sample. */
static inline float ewma_or_zero(const struct ewma *e)
{
	return ewma_of_word(atomic_load_explicit(&e->word,
	    memory_order_relaxed));
}

void ewma_reset(struct ewma *e);
