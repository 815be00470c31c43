/*
 * words.h - made-up text, four bytes a token, the same for the same seed
 *
 * Four bytes are what the simulator counts as one token, so a text of N words
 * here is N tokens there. Letters and spaces only: no JSON escapes needed. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { WORD_BYTES = 4 };

/* splitmix64: any seed is a good seed. */
static inline uint64_t words_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Evenly in [0, 1). */
static inline double words_unit(uint64_t *state)
{
	return (double)(words_random(state) >> 11) / (double)(1ull << 53);
}

static inline void words_next(uint64_t *state, char out[WORD_BYTES])
{
	static const char outer[] = "bcdfghjklmnprstv";
	static const char inner[] = "aeiouyao";
	uint64_t r = words_random(state);

	out[0] = outer[r & 15];
	out[1] = inner[r >> 4 & 7];
	out[2] = outer[r >> 7 & 15];
	out[3] = ' ';
}
