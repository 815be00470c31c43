/*
 * store_snapshot.c - a second table of the same objects, at rest
 */
#include <stdlib.h>
#include <string.h>

#include "store_table.h"

static void *copy_of(const void *items, size_t bytes)
{
	void *copy = malloc(bytes > 0 ? bytes : 1);

	if (copy != NULL && bytes > 0)
		memcpy(copy, items, bytes);
	return copy;
}

static bool copy_list(struct list_of_kind *to, struct objects from)
{
	to->items = copy_of(from.items, from.n * sizeof(*from.items));
	to->n_sorted = to->cap = from.n;
	return to->items != NULL;
}

/* Sorted on both sides: to ask a list that is sorted writes nothing. */
struct store *store_snapshot(struct store *s)
{
	struct store *copy = calloc(1, sizeof(*copy));
	bool done;

	if (copy == NULL)
		return NULL;
	copy->is_snapshot = true;
	copy->n_slots = s->n_slots;
	copy->n_objects = s->n_objects;
	copy->slots = copy_of(s->slots, s->n_slots * sizeof(*s->slots));
	done = copy->slots != NULL;
	for (size_t k = 0; k < N_KINDS && done; k++)
		done = copy_list(&copy->lists[k], store_all(s, k));
	if (done)
		return copy;
	store_free(copy);
	return NULL;
}
