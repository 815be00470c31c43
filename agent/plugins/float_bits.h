/*
 * float_bits.h - a float's bits, where loops want whole numbers
 *
 * Bits of floats that are not negative are in the order of the floats, and those of
 * negative ones are above all of them. gcc makes vector loops of the least and most of
 * whole numbers; of floats it must not, since it matters there which of two zeros,
 * and what becomes of NaN. Source of the format: IEEE 754-2008, 3.4.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define FLOAT_SIGN 0x80000000u

static inline uint32_t float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline float bits_float(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/*
 * Within 0..1, -0 and NaN too: which end NaN becomes is its sign's choice. A third of
 * the instructions that gcc makes of the same with floats.
 */
static inline float float_clamped(float v)
{
	int32_t bits = (int32_t)float_bits(v), one = (int32_t)float_bits(1.0f);

	bits &= ~(bits >> 31);
	return bits_float((uint32_t)(bits < one ? bits : one));
}
