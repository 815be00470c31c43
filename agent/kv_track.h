/*
 * kv_track.h - what an engine says of its blocks, made good use of
 *
 * The engine names blocks by hashes over its own token ids; we know prompts as text. So
 * which text a block is of cannot be computed. Without a tokenizer three things can
 * still be known:
 *
 * 1. AllBlocksCleared, and a new process, leave nothing: the endpoint is purged.
 * 2. What we send to an endpoint it stores soon after, as a chain of blocks. Where one
 *    single request of ours can be meant (it was sent there lately and its blocks are not
 *    told yet; it begins a prompt exactly if the chain does; its size fits) the chain is
 *    that request's, and block j of K is where text block j * n / K ends. When such a
 *    block is removed from every tier, the text from there on is dropped. Where several
 *    can be meant none is taken: it stays with what the LRU knows.
 * 3. Since the cache was last known to be empty, stored minus removed is what it holds.
 *    An endpoint is never credited with more text than that many tokens can be.
 *
 * With one, which text is which tokens is learned (kv_texts.h), and then:
 *
 * 4. What is stored is claimed for the endpoint, whoever sent it there, and what is
 *    removed is dropped, wherever its text is known: by its token ids, not by guessing.
 *
 * What 2 gets wrong costs a prefix its place, or keeps one until the LRU takes it: it
 * never harms a request. A prompt of one block is not followed. Memory: 24 bytes a text
 * block followed, KV_FOLLOWED_MAX of them; by 4 twice that for each block the engine
 * holds, KV_HELD_MAX of them (what is beyond is not seen). A table is at most twice as
 * large as what is in it. Scraper's thread; takes the index's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

enum { KV_FOLLOWED_MAX = 1 << 17, KV_HELD_MAX = 1 << 17 };

struct counters;
struct kv_texts;
struct kv_track;
struct prefix_index;

/*
 * `n_ranks` publishers. The index must have been asked to track. `texts` are the pool's
 * and outlive it; NULL: there is no tokenizer. NULL without memory. `c` may be NULL.
 */
struct kv_track *kv_track_new(struct prefix_index *prefix, uint16_t slot,
    uint32_t n_ranks, uint32_t block_bytes, struct kv_texts *texts,
    struct counters *c);
void kv_track_free(struct kv_track *t);		/* NULL is fine */

/* One batch of publisher `rank`. False: it could not be read, to the end at least. */
bool kv_track_batch(struct kv_track *t, struct span payload, uint32_t rank,
    int64_t now_ms);

/*
 * The cache is empty now, or what it holds is not known from here on: nor is it where
 * one of several ranks is empty, since the others may not be.
 */
void kv_track_reset(struct kv_track *t, bool is_empty);

/* The cache was empty until now: what it holds can be counted. Purges nothing. */
void kv_track_count(struct kv_track *t);

/* kv_texts_learn() gave this chain: as much of it as is held here is claimed. */
void kv_track_learned(struct kv_track *t, const uint64_t *chain, uint32_t n);

/* Now and then: what has been told in full by now is put to use. */
void kv_track_beat(struct kv_track *t, int64_t now_ms);
