/*
 * plan_index.h - what hangs on a pair of names, found in constant time
 *
 * Keys are lent, not copied. Memory comes from an arena and goes with it. One
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct index_slot {
	const char *a, *b;
	uint64_t number;
	void *value;
};

struct plan_index {
	struct arena *arena;
	struct index_slot *slots;
	size_t n_slots, n;
};

/*
 * Where the value of (a, b, number) is: NULL was put there when it is new. NULL
 * without memory. Good until the next call.
 */
void **index_at(struct plan_index *x, const char *a, const char *b,
    uint64_t number);

/* The value, or NULL. */
void *index_get(const struct plan_index *x, const char *a, const char *b,
    uint64_t number);
