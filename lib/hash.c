/*
 * hash.c - xxhash behind two names
 */
#include "hash.h"

#include <endian.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed)
{
	return XXH64(bytes, len, seed);
}

uint64_t hash_pair(uint64_t a, uint64_t b)
{
	uint64_t both[2] = { htole64(a), htole64(b) };

	return XXH64(both, sizeof(both), 0);
}
