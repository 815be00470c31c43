/*
 * prefix_image.c - what one endpoint holds, out of an index and into another
 *
 * From the most recent on, so that a parent always comes before its children: who reads
 * needs no second look, and what does not fit is the oldest.
 */
#include "prefix_parts.h"

#include <stdlib.h>

#include "must.h"

/* Posting ids are places in the index; in an image a block is its number there. */
struct numbering {
	uint32_t id, number;
};

static int by_id(const void *a, const void *b)
{
	const struct numbering *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static uint32_t number_of(const struct numbering *sorted, uint32_t n,
    uint32_t id)
{
	const struct numbering key = { .id = id };
	const struct numbering *found = id != 0 ? bsearch(&key, sorted, n,
	    sizeof(*sorted), by_id) : NULL;

	return found != NULL ? found->number : 0;
}

/* Under the lock only as long as it takes to walk the list once. */
static uint32_t copy_postings(struct prefix_index *p, uint16_t slot,
    struct prefix_block *out, struct numbering *numbers, uint32_t max)
{
	uint32_t n = 0;

	prefix_lock(p);
	for (uint32_t id = p->holders[slot].newest; id != 0 && n < max;
	     id = p->postings[id].older) {
		out[n].hash = atomic_load_explicit(&p->postings[id].key,
		    memory_order_relaxed) & ~(uint64_t)0xffff;
		out[n].parent = p->postings[id].parent;
		numbers[n] = (struct numbering){ id, n + 1 };
		n++;
	}
	prefix_unlock(p);
	return n;
}

uint32_t prefix_export(struct prefix_index *p, uint16_t slot,
    struct prefix_block *out, uint32_t max)
{
	struct numbering *numbers = calloc((size_t)max + 1, sizeof(*numbers));
	uint32_t n;

	must(slot < p->n_slots);
	if (numbers == NULL)
		return 0;
	n = copy_postings(p, slot, out, numbers, max);
	qsort(numbers, n, sizeof(*numbers), by_id);
	for (uint32_t i = 0; i < n; i++)
		out[i].parent = number_of(numbers, n, out[i].parent);
	free(numbers);
	return n;
}

/* `ids` by number; 0 for those that were left out, whose children are too. */
static uint32_t put_blocks(struct prefix_index *p, struct holder *h,
    uint16_t slot, const struct prefix_block *blocks, uint32_t n, uint32_t *ids)
{
	uint32_t done = 0, limit = prefix_limit(p, h);

	for (uint32_t i = 0; i < n && h->count < limit; i++) {
		const struct prefix_block *b = &blocks[i];
		uint32_t parent = b->parent <= i ? ids[b->parent] : 0;

		if (b->parent > i || (b->parent != 0 && parent == 0) ||
		    prefix_find(p, b->hash, slot) != 0)
			continue;
		ids[i + 1] = prefix_add(p, h, slot, b->hash, parent);
		if (ids[i + 1] == 0)
			break;
		prefix_push_oldest(p, h, ids[i + 1]);
		done++;
	}
	return done;
}

uint32_t prefix_import(struct prefix_index *p, uint16_t slot,
    const struct prefix_block *blocks, uint32_t n)
{
	uint32_t *ids = calloc((size_t)n + 1, sizeof(*ids));
	uint32_t done = 0;

	must(slot < p->n_slots);
	if (ids == NULL)
		return 0;
	prefix_lock(p);
	if (p->holders[slot].joined && p->holders[slot].count == 0)
		done = put_blocks(p, &p->holders[slot], slot, blocks, n, ids);
	prefix_unlock(p);
	free(ids);
	return done;
}
