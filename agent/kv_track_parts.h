/*
 * kv_track_parts.h - the tracker from inside, for kv_track.c, kv_chains.c and
 * kv_exact.c, and for tests
 */
#pragma once

#include "counters.h"
#include "kv_events.h"
#include "kv_map.h"
#include "kv_track.h"
#include "prefix.h"

enum {
	KV_PENDING_MAX = 2 * PREFIX_SENT_MAX,
	KV_OPEN_MAX = 16,
	KV_GPU = 1,		/* of kv_entry.media */
	KV_GROUPS_MAX = 64,	/* of other_groups */
};

/* One that was sent and of which no block has been told. */
struct pending {
	struct prefix_sent sent;
	int64_t at_ms;
};

/* One that is being told. */
struct chain {
	struct prefix_sent sent;
	uint64_t *keys;
	uint32_t n, room, block_size;
	uint64_t *filter;	/* a bit for each of the first n_filtered keys */
	uint32_t n_filtered, filter_bits;	/* bits: a power of two */
	int64_t at_ms;		/* the last piece */
};

struct kv_track {
	struct prefix_index *prefix;
	uint16_t slot;
	uint32_t n_ranks, block_bytes;
	struct counters *counters;
	struct pending *pending;	/* oldest first; KV_PENDING_MAX at most */
	size_t n_pending, pending_room;
	struct chain *open;		/* KV_OPEN_MAX at most */
	size_t n_open, open_room;
	struct kv_map map;
	struct kv_texts *texts;	/* NULL: nobody tells; then both are empty */
	struct kv_map blocks;	/* engine's block -> its link, in `text` */
	struct kv_map links;	/* link -> how many blocks are it, in `media` */
	uint64_t other_groups;	/* a bit for each that has no prefixes */
	bool is_complete;	/* n_held is all there is */
	int64_t n_held;		/* blocks, stored minus removed */
	uint32_t block_size;	/* tokens in one of them */
	float bytes_per_token;
	unsigned n_ratios;
};

/* ---- kv_track.c, for tests ---- */

/* Text blocks whose removal would be noticed; blocks the engine holds, -1: unknown. */
size_t kv_track_followed(const struct kv_track *t);
int64_t kv_track_held(const struct kv_track *t);

/* ---- kv_chains.c ---- */

/* What was sent since the last time now waits for its blocks. */
void kv_chains_sent(struct kv_track *t, int64_t now_ms);

/* A piece of GPU blocks by their keys: the next one of a chain, or a chain's first. */
void kv_chains_stored(struct kv_track *t, const struct kv_event *e,
    const uint64_t *keys, int64_t now_ms);

/* Chains that have been silent for a while, or have that block, are whole. */
void kv_chains_age(struct kv_track *t, int64_t now_ms);
void kv_chains_close(struct kv_track *t, uint64_t key);
void kv_chains_forget(struct kv_track *t);
void kv_chains_free(struct kv_track *t);

/* Text that the engine may hold without having said so yet. */
uint32_t kv_chains_untold(const struct kv_track *t);

/* ---- kv_exact.c ---- */

/* On the GPU; or on another tier too. */
void kv_exact_stored(struct kv_track *t, const struct kv_event *e,
    const uint64_t *keys);
void kv_exact_medium(struct kv_track *t, const uint64_t *keys, uint32_t n,
    uint64_t medium);
void kv_exact_forget(struct kv_track *t);
void kv_exact_removed(struct kv_track *t, uint64_t key, uint64_t medium);
