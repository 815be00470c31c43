/*
 * hash.h - xxHash64, the one hash we use; the only file that knows the library
 *
 * XXH64 as specified in doc/xxhash_spec.md of the xxHash project. Stable across
 * machines and releases, so hashes may be compared between processes. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed);

/* XXH64 over the 16 bytes LE64(a) LE64(b), seed 0: one link of a hash chain. */
uint64_t hash_pair(uint64_t a, uint64_t b);
