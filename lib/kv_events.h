/*
 * kv_events.h - what an engine says of its KV cache: blocks stored, removed, cleared
 *
 * One message is a batch, [ts, [event, ...], data_parallel_rank]; an event is
 *	[BlockStored, block_hashes, parent_block_hash, token_ids, block_size, lora_id,
 *	    medium, lora_name, extra_keys, group_idx, kv_cache_spec_kind, ...]
 *	[BlockRemoved, block_hashes, medium, group_idx]
 *	[AllBlocksCleared]
 * with trailing fields left out, or a map with those names and "type"; batches are maps
 * too in later releases. Events of other types are told as such. Hashes are the
 * engine's own: numbers, or digests, of which 64 bits are made here. A batch is walked
 * without a copy or an allocation; spans and readers borrow from it. Any thread.
 * Source: vllm/distributed/kv_events.py; SGLang's disaggregation/kv_events.py.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reader.h"
#include "span.h"

struct kv_batch {
	struct reader events;
	uint32_t n_left;
};

enum kv_kind { KV_STORED, KV_REMOVED, KV_CLEARED, KV_OTHER };

struct kv_event {
	enum kv_kind kind;
	struct reader hashes;	/* for kv_hash(), n_hashes times */
	uint32_t n_hashes;
	bool has_parent;	/* stored: else the first block is a prompt's first */
	uint64_t parent;
	uint32_t n_tokens, block_size;	/* stored */
	struct reader tokens, extra;	/* for kv_tokens(), kv_event_is_of_text() */
	struct span lora;	/* the adapter's name; empty: none */
	bool has_lora, has_extra;
	struct span medium;	/* "GPU", "CPU", ...; empty: not told, the GPU */
	int64_t group;		/* of a hybrid cache; -1: not told */
	struct span spec_kind;	/* of that group: "full_attention", ... */
};

/*
 * False: no batch. What is behind the events is not looked at: data-parallel ranks have
 * publishers of their own.
 */
bool kv_batch_open(struct kv_batch *b, struct span payload);

enum kv_result { KV_EVENT, KV_END, KV_BAD };

/* Behind KV_BAD comes nothing more. */
enum kv_result kv_batch_next(struct kv_batch *b, struct kv_event *out);

/* Has been looked at by kv_batch_next(): cannot fail for n_hashes times. */
uint64_t kv_hash(struct reader *hashes);

/*
 * Its n_tokens ids, into room for as many. False: they are no 32-bit numbers (SGLang
 * sends pairs where it speculates). Any event that kv_batch_next() gave.
 */
bool kv_tokens(const struct kv_event *e, uint32_t *out);

/*
 * Do its blocks depend on nothing but tokens and an adapter that is named? Not those of
 * a prompt with a salt or an image: their extra keys say more than the adapter.
 */
bool kv_event_is_of_text(const struct kv_event *e);

/* May what it says be read as prefixes? Not of sliding windows, nor of states. */
bool kv_event_is_of_prefixes(const struct kv_event *e);
