/*
 * sim_kv.h - a KV cache of equal blocks with prefix reuse, as vLLM keeps it
 *
 * A block is held by any number of sequences. Once its tokens are computed and
 * it is full, it gets a name: the chain hash of its tokens and all before them;
 * by that a later sequence finds it. A named block that nobody holds stays
 * findable until its memory is needed; the longest unused goes first, and of one
 * sequence the leaf before the root. Heap; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sim_kv;

struct sim_kv *sim_kv_new(uint32_t n_blocks);
void sim_kv_free(struct sim_kv *kv);

/* Who wants to know when a name is no longer findable. */
typedef void sim_kv_removed_f(void *data, uint64_t name);
void sim_kv_watch(struct sim_kv *kv, sim_kv_removed_f *removed, void *data);

/* How many of the leading names are in the cache. */
uint32_t sim_kv_match(const struct sim_kv *kv, const uint64_t *names,
    uint32_t n);

/*
 * True when holding the first `n_match` named blocks would leave at least
 * `n_more` others to be had.
 */
bool sim_kv_fits(const struct sim_kv *kv, const uint64_t *names,
    uint32_t n_match, uint64_t n_more);

/* The block of this name, which must be in the cache; the caller holds it. */
uint32_t sim_kv_hold(struct sim_kv *kv, uint64_t name);

/* An empty block for the caller to hold; there must be one. */
uint32_t sim_kv_take(struct sim_kv *kv);

/* The held block is full and computed. False: the name was taken already. */
bool sim_kv_name(struct sim_kv *kv, uint32_t block, uint64_t name);

/* Lets go of a sequence's blocks, given in root to leaf order. */
void sim_kv_release(struct sim_kv *kv, const uint32_t *blocks, uint32_t n);

/* Forgets every name that nobody holds. */
void sim_kv_forget(struct sim_kv *kv);

uint32_t sim_kv_free_blocks(const struct sim_kv *kv);
