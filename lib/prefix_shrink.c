/*
 * prefix_shrink.c - what one endpoint gives up, a piece at a time
 *
 * Thousands of blocks take milliseconds, and workers insert under the same lock: so it is
 * held for a piece of them, and whoever waits then goes first. Between pieces the endpoint
 * holds less than it did and is as sound as ever; what is inserted for it meanwhile is
 * more recent than what is to go.
 */
#include "prefix_parts.h"

#include <sched.h>

#include "must.h"

enum {
	PIECE = 128,		/* some ten microseconds */
	YIELDS_MAX = 1000,	/* who sleeps on the lock must wake up first */
};

static void give_way(struct prefix_index *p)
{
	prefix_unlock(p);
	for (int i = 0; i < YIELDS_MAX && atomic_load_explicit(&p->n_waiting,
	    memory_order_relaxed) > 0; i++)
		sched_yield();
	prefix_lock(p);
}

/* As many as are too many now, and not those that come meanwhile. Locked, so returned. */
static uint32_t evict(struct prefix_index *p, struct holder *h, uint32_t keep)
{
	uint32_t n = h->count > keep ? h->count - keep : 0, done = 0;

	while (done < n && h->count > 0) {
		uint32_t piece = n - done < PIECE ? n - done : PIECE;

		if (done > 0)
			give_way(p);
		piece = piece < h->count ? piece : h->count;
		prefix_evict_to(p, h, h->count - piece);
		done += piece;
	}
	return done;
}

static void empty(struct prefix_index *p, struct holder *h)
{
	evict(p, h, 0);
	if (h->count == 0)
		h->has_answers = false;
}

void prefix_purge(struct prefix_index *p, uint16_t slot)
{
	must(slot < p->n_slots);
	prefix_lock(p);
	empty(p, &p->holders[slot]);
	prefix_unlock(p);
}

void prefix_leave(struct prefix_index *p, uint16_t slot)
{
	struct holder *h;

	must(slot < p->n_slots);
	prefix_lock(p);
	h = &p->holders[slot];
	must(h->joined);
	empty(p, h);
	prefix_evict_to(p, h, 0);	/* somebody came late */
	h->has_answers = false;
	h->joined = false;
	p->n_joined--;
	prefix_unlock(p);
}

void prefix_set_capacity(struct prefix_index *p, uint16_t slot,
    uint32_t capacity_blocks)
{
	struct holder *h;

	must(slot < p->n_slots);
	prefix_lock(p);
	h = &p->holders[slot];
	h->capacity = capacity_blocks;
	evict(p, h, capacity_blocks);
	prefix_unlock(p);
}

uint32_t prefix_trim(struct prefix_index *p, uint16_t slot, uint32_t count)
{
	uint32_t n;

	must(slot < p->n_slots);
	prefix_lock(p);
	n = evict(p, &p->holders[slot], count);
	prefix_unlock(p);
	return n;
}

/* Up to PIECE, the deepest first, so that nothing ever hangs on what is gone. */
static uint32_t drop_piece(struct prefix_index *p, struct holder *h,
    uint32_t top)
{
	uint32_t n = 0, id = top;

	while (n < PIECE) {
		uint32_t parent;

		while (p->kin[id].child != 0)
			id = p->kin[id].child;
		parent = p->postings[id].parent;
		prefix_remove(p, h, id);
		n++;
		if (id == top)
			break;
		id = parent;
	}
	return n;
}

uint32_t prefix_drop(struct prefix_index *p, uint16_t slot, uint64_t block)
{
	struct holder *h;
	uint32_t id, n = 0;

	must(slot < p->n_slots && p->kin != NULL);
	prefix_lock(p);
	h = &p->holders[slot];
	while (h->joined && (id = prefix_find(p, block, slot)) != 0) {
		uint32_t piece = drop_piece(p, h, id);

		n += piece;
		if (piece < PIECE)
			break;
		give_way(p);
	}
	prefix_unlock(p);
	return n;
}
