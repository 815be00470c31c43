/*
 * kv_map.h - from an engine's block to the text block that ends in it
 *
 * A hash table with open addressing that grows as it fills, up to `max` entries. Keys
 * are hashes already; 0 is no key. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_entry {
	uint64_t key, text;
	uint64_t media;		/* a bit for each tier that has it */
};

struct kv_map {
	struct kv_entry *entries;	/* NULL: nothing was ever put */
	size_t n, size, max;		/* size: 0 or a power of two */
};

void kv_map_init(struct kv_map *m, size_t max);
void kv_map_fini(struct kv_map *m);

/* NULL: it is not there. Valid until the next put or remove. */
struct kv_entry *kv_map_find(const struct kv_map *m, uint64_t key);

/* In place of what was under the key. False: full, or no memory. */
bool kv_map_put(struct kv_map *m, const struct kv_entry *e);
void kv_map_remove(struct kv_map *m, uint64_t key);

/* Gives the memory back too. */
void kv_map_clear(struct kv_map *m);
