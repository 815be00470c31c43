/*
 * prefix_parts.h - the index from inside, for prefix*.c only
 *
 * A posting is 24 bytes; the table costs two more for each. Ids count from 1, 0 is
 * nil. What prefix_match() and prefix_share() read (heads, keys, chains; capacities) is
 * atomic; the rest belongs to whoever holds the lock. A posting that is freed under a
 * reader's feet may lead that reader into another chain: the key tells it that nothing
 * there is its own, and the step limit gets it out.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "prefix.h"

struct posting {
	_Atomic uint64_t key;	/* high 48 bits of the block's hash, slot below */
	_Atomic uint32_t chain;	/* next of the same head; next free one */
	uint32_t newer, older;	/* LRU of its endpoint */
	uint32_t parent;	/* the block before, same endpoint; 0 for a root */
};

/* Who follows whom, for those who must drop a block with all that follow it. */
struct kin {
	uint32_t child;		/* any of its own */
	uint32_t next, prev;	/* among the children of its parent */
};

/* Chains sent there and not asked for by prefix_sent() yet, oldest first. */
struct journal {
	uint32_t n, n_lost;
	struct prefix_sent sent[PREFIX_SENT_MAX];
};

struct holder {			/* one endpoint */
	uint32_t newest, oldest;
	uint32_t count;
	_Atomic uint32_t capacity;	/* prefix_share() looks, unlocked */
	bool joined;
	bool has_answers;		/* since it was last empty */
	struct journal *journal;	/* NULL: nobody follows it */
};

struct prefix_index {
	_Atomic uint32_t *heads;
	uint64_t secret;		/* odd */
	unsigned head_shift;
	struct posting *postings;	/* [0] is nil */
	struct kin *kin;		/* as many; NULL: prefix_track() was not asked */
	uint32_t n_postings;		/* capacity, nil not counted */
	uint32_t n_slots;
	size_t bytes;

	_Atomic uint32_t n_waiting;	/* for the lock: whom prefix_shrink.c lets in */
	pthread_mutex_t lock;		/* guards all below, and every write above */
	struct holder *holders;
	_Atomic uint32_t n_joined;	/* as `capacity` */
	uint32_t free_list, n_touched, n_used;
	uint32_t steal_at;		/* the slot to be robbed next */
};

static inline uint64_t prefix_key_of(uint64_t hash, uint16_t slot)
{
	return (hash & ~(uint64_t)0xffff) | slot;
}

/*
 * From bits that the key keeps, so that an evicted posting finds its own head;
 * stirred with the index's secret, so that no client can aim at one head.
 */
static inline _Atomic uint32_t *prefix_head_of(const struct prefix_index *p,
    uint64_t hash)
{
	return &p->heads[((hash >> 16) * p->secret) >> p->head_shift];
}

static inline uint32_t prefix_load(const _Atomic uint32_t *at)
{
	return atomic_load_explicit(at, memory_order_acquire);
}

static inline void prefix_lock(struct prefix_index *p)
{
	if (pthread_mutex_trylock(&p->lock) == 0)
		return;
	atomic_fetch_add_explicit(&p->n_waiting, 1, memory_order_relaxed);
	pthread_mutex_lock(&p->lock);
	atomic_fetch_sub_explicit(&p->n_waiting, 1, memory_order_relaxed);
}

static inline void prefix_unlock(struct prefix_index *p)
{
	pthread_mutex_unlock(&p->lock);
}

/* What one endpoint may hold: its own capacity, or its share of the whole. Lock or not. */
uint32_t prefix_limit(const struct prefix_index *p, const struct holder *h);

/* ---- under the lock ---- */

/* 0: the endpoint does not hold it. */
uint32_t prefix_find(const struct prefix_index *p, uint64_t hash, uint16_t slot);

/* A posting of that block, not in the LRU yet; 0 when there is none left. */
uint32_t prefix_add(struct prefix_index *p, struct holder *h, uint16_t slot,
    uint64_t hash, uint32_t parent);

/* One that nothing held hangs on, wherever in the LRU it is. */
void prefix_remove(struct prefix_index *p, struct holder *h, uint32_t id);
void prefix_push_newest(struct prefix_index *p, struct holder *h, uint32_t id);
void prefix_push_oldest(struct prefix_index *p, struct holder *h, uint32_t id);

/* The least recent go, until so many are left. */
void prefix_evict_to(struct prefix_index *p, struct holder *h, uint32_t count);

/* Leaf first, root last: children are never more recent than their parents. */
void prefix_touch(struct prefix_index *p, struct holder *h, uint32_t leaf);

/* Evicts until `n_new` more fit into the endpoint's limit, and robs others. */
void prefix_make_room(struct prefix_index *p, struct holder *h, uint32_t n_new);

/* ---- prefix_follow.c, called by an insertion under the lock ---- */

/* The blocks behind `block` turned out to be `n_new` blocks of text. */
void prefix_retire_answer(struct prefix_index *p, struct holder *h,
    uint16_t slot, uint64_t block, uint32_t n_new);
void prefix_note_sent(struct holder *h, uint64_t leaf, uint32_t n, uint32_t held);
