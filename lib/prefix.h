/*
 * prefix.h - which endpoint has which prompt prefixes in its KV cache, as far as we
 * can know from where we sent them
 *
 * A prompt is a chain of block hashes: each hash covers its block and all before it
 * (formula: llm-d-router, prefixhash/hashing.go; see prefix_chain()). For each
 * endpoint the index keeps the chains sent to it, least recently used out first,
 * under a capacity in blocks; for all of them together, under a number of bytes that
 * is fixed at birth.
 *
 * Touching goes leaf first, root last, so that within one endpoint a block is always
 * more recent than those that follow it: what an endpoint holds is closed under
 * "prefix of". Matching lives on that. The number of holders never rises along a
 * chain, so where two blocks have equally many, so has all between them; a match
 * looks at O(log n) blocks where holders agree, not at all n.
 *
 * Threads: prefix_match() and prefix_share() take no lock and may run beside anything;
 * under a race a match may miss or overrate a block, never leave its memory. All else
 * takes the one lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

enum { PREFIX_SLOTS_MAX = 65535, PREFIX_SENT_MAX = 64 };

struct prefix_index;

/*
 * Memory is reserved now and touched as it fills. `n_slots` endpoints at most,
 * PREFIX_SLOTS_MAX at the outside. NULL without memory.
 */
struct prefix_index *prefix_new(size_t max_bytes, uint32_t n_slots);
void prefix_free(struct prefix_index *p);

/*
 * A secret of this process, before the first insert: what a client sends then cannot
 * be aimed at one bucket of the table. Results do not depend on it.
 */
void prefix_key(struct prefix_index *p, uint64_t secret);

/* An endpoint joins under a slot of the caller's choosing; leaving purges it. */
void prefix_join(struct prefix_index *p, uint16_t slot, uint32_t capacity_blocks);
void prefix_leave(struct prefix_index *p, uint16_t slot);

/* Its cache is empty now: it restarted, or went to sleep. */
void prefix_purge(struct prefix_index *p, uint16_t slot);
void prefix_set_capacity(struct prefix_index *p, uint16_t slot,
    uint32_t capacity_blocks);

/*
 * depth[slot] = how many leading blocks of the chain the endpoint holds, written for
 * holders with a slot below `n_depth` only: the caller zeroes that many. Returns the
 * largest depth of all holders.
 */
uint32_t prefix_match(const struct prefix_index *p, const uint64_t *chain,
    size_t n, uint16_t *depth, size_t n_depth);

/*
 * The chain was sent to this endpoint: what it did not hold is added, all of it is
 * touched. `depth` is prefix_match()'s answer for it, a hint. Chains longer than the
 * capacity keep their front.
 */
void prefix_insert(struct prefix_index *p, uint16_t slot, const uint64_t *chain,
    size_t n, uint32_t depth);

/*
 * The endpoint holds that chain, whoever sent it: as prefix_insert(), but nothing that
 * prefix_sent() would tell of. How many of its blocks were new.
 */
uint32_t prefix_claim(struct prefix_index *p, uint16_t slot,
    const uint64_t *chain, size_t n);

/*
 * An answer of `n` blocks has been generated behind `block`, the last full one of its
 * prompt. The endpoint's cache holds it too, so it takes capacity here; it matches
 * nothing, since nobody told us its text. Not held any more: nothing happens.
 */
void prefix_answered(struct prefix_index *p, uint16_t slot, uint64_t block,
    uint32_t n);

/* ---- an engine's own word ---- */

/*
 * From birth on: the index will know which blocks follow which, at 12 bytes each, so
 * that prefix_drop() can work. -1 without memory.
 */
int prefix_track(struct prefix_index *p);

/* One chain that was sent: its last block, its length, how much of it was held. */
struct prefix_sent {
	uint64_t leaf;
	uint32_t n, held;
};

/* What is inserted for the endpoint is kept for prefix_sent(). -1 without memory. */
int prefix_follow(struct prefix_index *p, uint16_t slot, bool is_followed);

/* Takes what was sent since the last call, oldest first; how many did not fit. */
uint32_t prefix_sent(struct prefix_index *p, uint16_t slot,
    struct prefix_sent out[PREFIX_SENT_MAX], uint32_t *n_lost);

/* The `n` blocks that end in `leaf`, root side first; n, or 0: not held any more. */
uint32_t prefix_blocks(struct prefix_index *p, uint16_t slot, uint64_t leaf,
    uint32_t n, uint64_t *out);

/* The endpoint holds it no more, nor what follows it. How many blocks that were. */
uint32_t prefix_drop(struct prefix_index *p, uint16_t slot, uint64_t block);

/* The endpoint holds no more than so many: the least recent go. Returns how many. */
uint32_t prefix_trim(struct prefix_index *p, uint16_t slot, uint32_t count);

/* ---- images: see prefix_file.h for how one is kept ---- */

/* `parent` counts from 1, in the image; 0: a root. Only 48 bits of the hash count. */
struct prefix_block {
	uint64_t hash;
	uint32_t parent;
};

/* What the endpoint holds, most recent first, parents before children. */
uint32_t prefix_export(struct prefix_index *p, uint16_t slot,
    struct prefix_block *out, uint32_t max);

/*
 * Into an endpoint that has joined and holds nothing yet; as much of it as fits. What
 * makes no sense (a parent that comes later, a block twice) is left out with all that
 * follows it. Returns how many blocks are held then.
 */
uint32_t prefix_import(struct prefix_index *p, uint16_t slot,
    const struct prefix_block *blocks, uint32_t n);

/* Blocks that the endpoint may hold: its capacity, or its share of all. No lock. */
uint32_t prefix_share(const struct prefix_index *p, uint16_t slot);

/* Blocks held now by one endpoint, and by all. */
uint32_t prefix_count(struct prefix_index *p, uint16_t slot);
uint32_t prefix_total(struct prefix_index *p);

/* Blocks that fit in all, and bytes reserved. */
uint32_t prefix_capacity(const struct prefix_index *p);
size_t prefix_bytes(const struct prefix_index *p);

/*
 * Turns block ids (XXH64 of each block's bytes) into a chain, in place:
 *	prev = XXH64(model . cache_salt);  prev = ids[i] = XXH64(LE64(ids[i]) . LE64(prev))
 * Source: llm-d-router pkg/epp/.../prefixhash/hashing.go, seed 0. Model and salt of
 * over 512 bytes together are hashed one by one instead.
 */
void prefix_chain(struct span model, struct span cache_salt, uint64_t *ids,
    size_t n);
