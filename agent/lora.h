/*
 * lora.h - the LoRA adapters that an engine says are in use, or waited for
 *
 * Read from the labels of one series: two lists of names, and how many adapters fit at
 * once. An adapter in both lists is in use, and is one adapter: vLLM writes both lists
 * from one dictionary. Names are kept as hashes, because they are only ever compared;
 * two that collide mislead the requests that bear them and no others. Pure functions;
 * any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

enum { LORA_ADAPTERS_MAX = 64, LORA_NAME_MAX = 512 };

/* Names of the labels. */
struct lora_labels {
	const char *max, *running, *waiting;
};

struct lora_set {
	uint32_t max;		/* adapters that fit at once; 0: not told */
	uint8_t n_running, n;	/* names: those in use, then the others */
	bool is_cut;		/* there were more, or one too long to be kept */
	uint64_t names[];	/* lora_name(), each once */
};

enum lora_state { LORA_ABSENT, LORA_WAITING, LORA_RUNNING };

uint64_t lora_name(struct span name);

/* Of a name as JSON spells it, without its quotes. */
uint64_t lora_spelled(struct span raw);

/* Of a set with `n` names. */
static inline size_t lora_bytes(size_t n)
{
	return sizeof(struct lora_set) + n * sizeof(uint64_t);
}

/*
 * Replaces what is in `set`, which has room for LORA_ADAPTERS_MAX names. `raw` is what
 * stands between the braces on the page: prom_sample.labels.
 */
void lora_read(struct lora_set *set, struct span raw,
    const struct lora_labels *labels);

/* Inline: asked of every endpoint for a pick. */
static inline enum lora_state lora_find(const struct lora_set *set,
    uint64_t name)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->names[i] == name)
			return i < set->n_running ? LORA_RUNNING : LORA_WAITING;
	return LORA_ABSENT;
}

/* How an engine stands to one adapter. */
enum lora_place {
	LORA_UNTOLD,		/* it tells of no adapters */
	LORA_AWAY,
	LORA_AWAY_ROOM,		/* not there, and there is room for one more */
	LORA_AWAITED,
	LORA_AWAITED_ROOM,
	LORA_IN_USE,
};

/* Could it take one more? One that named more than we keep is taken to be full. */
static inline bool lora_has_room(const struct lora_set *set)
{
	return set->n < set->max && !set->is_cut;
}

/* `set` may be NULL. */
static inline enum lora_place lora_place(const struct lora_set *set, uint64_t name)
{
	enum lora_state state;

	if (set == NULL)
		return LORA_UNTOLD;
	state = lora_find(set, name);
	if (state == LORA_RUNNING)
		return LORA_IN_USE;
	return (state == LORA_WAITING ? LORA_AWAITED : LORA_AWAY) +
	    lora_has_room(set);
}
