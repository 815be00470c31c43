/*
 * extras.h - what only some engines tell: LoRA adapters, and numbers an operator named
 *
 * Kept beside endpoint_stats and not in it, since every pick reads the stats of every
 * endpoint and most have nothing here. A target keeps the extras of its last page; a
 * view has a copy of all of them in one block of its own, and none when nobody told
 * any. Old values go with the page that no longer has them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lora_set;

enum { ATTRIBUTES_MAX = 8 };	/* of an engine */

/* llm-d: a scalar endpoint attribute, from an engine's `customMetrics`. */
struct attribute {
	uint64_t key;		/* attribute_key() of its attributeKey */
	double value;		/* finite */
};

struct attribute_set {
	size_t n;
	struct attribute items[];
};

/* Of one endpoint; NULL: its last page had none. */
struct endpoint_extras {
	const struct lora_set *lora;
	const struct attribute_set *attributes;
};

uint64_t attribute_key(const char *name);

static inline size_t attributes_bytes(size_t n)
{
	return sizeof(struct attribute_set) + n * sizeof(struct attribute);
}

/* NULL: not told. Inline: asked of every endpoint for a pick. */
static inline const struct attribute *attribute_find(
    const struct attribute_set *set, uint64_t key)
{
	for (size_t i = 0; set != NULL && i < set->n; i++)
		if (set->items[i].key == key)
			return &set->items[i];
	return NULL;
}

/*
 * Makes `kept` a copy of `told`, in memory of its own that extras_fini() frees. What
 * there is no memory for stays as it was.
 */
void extras_keep(struct endpoint_extras *kept,
    const struct endpoint_extras *told);
void extras_fini(struct endpoint_extras *kept);

/* What extras_pack() takes of a block; 0: there is nothing. */
size_t extras_bytes(const struct endpoint_extras *e);

/* Copies to `*at`, a multiple of 8, which moves behind; returns the copy's extras. */
struct endpoint_extras extras_pack(const struct endpoint_extras *e, char **at);
