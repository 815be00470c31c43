/*
 * kv_track.c - events to chains, removals to text that is dropped
 */
#include "kv_track_parts.h"

#include <stdlib.h>

#include "hash.h"
#include "prompt.h"

static const float BYTES_PER_TOKEN = PROMPT_TOKEN_BYTES;	/* to begin with */
static const float SLACK_HELD = 1.25f;

static struct counters unused;	/* of trackers that nobody wants to count */

struct kv_track *kv_track_new(struct prefix_index *prefix, uint16_t slot,
    uint32_t n_ranks, uint32_t block_bytes, struct kv_texts *texts,
    struct counters *c)
{
	struct kv_track *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	if (prefix_follow(prefix, slot, true) != 0) {
		free(t);
		return NULL;
	}
	t->prefix = prefix;
	t->slot = slot;
	t->n_ranks = n_ranks;
	t->block_bytes = block_bytes;
	t->counters = c != NULL ? c : &unused;
	t->bytes_per_token = BYTES_PER_TOKEN;
	kv_map_init(&t->map, KV_FOLLOWED_MAX);
	t->texts = texts;
	kv_map_init(&t->blocks, KV_HELD_MAX);
	kv_map_init(&t->links, KV_HELD_MAX);
	return t;
}

void kv_track_free(struct kv_track *t)
{
	if (t == NULL)
		return;
	prefix_follow(t->prefix, t->slot, false);
	kv_chains_free(t);
	kv_exact_forget(t);
	kv_map_fini(&t->map);
	kv_map_fini(&t->blocks);
	kv_map_fini(&t->links);
	free(t);
}

void kv_track_reset(struct kv_track *t, bool is_empty)
{
	prefix_purge(t->prefix, t->slot);
	kv_chains_forget(t);
	kv_map_clear(&t->map);
	kv_exact_forget(t);
	t->n_held = 0;
	t->other_groups = 0;
	t->is_complete = is_empty && t->n_ranks == 1;
}

void kv_track_count(struct kv_track *t)
{
	t->n_held = 0;
	t->is_complete = t->n_ranks == 1;
}

size_t kv_track_followed(const struct kv_track *t)
{
	return t->map.n;
}

int64_t kv_track_held(const struct kv_track *t)
{
	return t->is_complete ? t->n_held : -1;
}

void kv_track_beat(struct kv_track *t, int64_t now_ms)
{
	kv_chains_sent(t, now_ms);
	kv_chains_age(t, now_ms);
}

/* ---- events ---- */

/* By engine, by its rank, by its group: the same hash is another block elsewhere. */
static uint64_t key_of(uint64_t hash, const struct kv_event *e, uint32_t rank)
{
	uint64_t key = hash_pair(hash, (uint64_t)rank << 32 |
	    (uint32_t)(e->group + 1));

	return key != 0 ? key : 1;
}

static uint64_t medium_of(const struct kv_event *e)
{
	if (e->medium.len == 0 || span_is_nocase(e->medium, "gpu"))
		return KV_GPU;
	return (uint64_t)2 << hash_bytes(e->medium.ptr, e->medium.len, 0) % 62;
}

static uint64_t *keys_of(struct kv_event *e, uint32_t rank)
{
	uint64_t *keys = calloc((size_t)e->n_hashes + 1, sizeof(*keys));
	struct reader hashes = e->hashes;

	for (uint32_t i = 0; keys != NULL && i < e->n_hashes; i++)
		keys[i] = key_of(kv_hash(&hashes), e, rank);
	if (e->has_parent)
		e->parent = key_of(e->parent, e, rank);
	return keys;
}

static void note_medium(struct kv_track *t, const uint64_t *keys, uint32_t n,
    uint64_t medium)
{
	for (uint32_t i = 0; i < n; i++) {
		struct kv_entry *e = kv_map_find(&t->map, keys[i]);

		if (e != NULL)
			e->media |= medium;
	}
}

/* A removal tells its group only: which were not counted must be known by then. */
static void note_group(struct kv_track *t, int64_t group)
{
	if (group >= 0 && group < KV_GROUPS_MAX)
		t->other_groups |= 1ull << group;
	else
		t->is_complete = false;
}

static bool is_of_other_group(const struct kv_track *t, const struct kv_event *e)
{
	return e->group >= 0 && e->group < KV_GROUPS_MAX &&
	    (t->other_groups >> e->group & 1) != 0;
}

static void on_stored(struct kv_track *t, struct kv_event *e,
    const uint64_t *keys, int64_t now_ms)
{
	uint64_t medium = medium_of(e);

	if (!kv_event_is_of_prefixes(e)) {
		note_group(t, e->group);
		return;
	}
	if (e->n_hashes == 0)
		return;
	note_medium(t, keys, e->n_hashes, medium);
	kv_exact_medium(t, keys, e->n_hashes, medium);
	if (medium != KV_GPU)
		return;
	t->n_held += e->n_hashes;
	t->block_size = e->block_size;
	kv_exact_stored(t, e, keys);
	kv_chains_stored(t, e, keys, now_ms);
}

static void remove_key(struct kv_track *t, uint64_t key, uint64_t medium)
{
	struct kv_entry *e;
	uint64_t text;

	kv_chains_close(t, key);
	kv_exact_removed(t, key, medium);
	e = kv_map_find(&t->map, key);
	if (e == NULL)
		return;
	e->media &= ~medium;
	if (e->media != 0)
		return;		/* another tier has it still */
	text = e->text;
	kv_map_remove(&t->map, key);
	counter_add(t->counters->kv_dropped,
	    prefix_drop(t->prefix, t->slot, text));
}

static void on_removed(struct kv_track *t, const struct kv_event *e,
    const uint64_t *keys)
{
	uint64_t medium = medium_of(e);

	if (is_of_other_group(t, e))
		return;
	for (uint32_t i = 0; i < e->n_hashes; i++)
		remove_key(t, keys[i], medium);
	if (medium == KV_GPU)
		t->n_held -= e->n_hashes;
}

static void trim(struct kv_track *t)
{
	float bytes = (float)t->n_held * (float)t->block_size *
	    t->bytes_per_token * SLACK_HELD;
	uint32_t most;

	if (!t->is_complete || t->block_size == 0)
		return;
	if (t->n_held < 0) {	/* then we have misunderstood something */
		t->is_complete = false;
		return;
	}
	most = (uint32_t)(bytes / (float)t->block_bytes) + kv_chains_untold(t);
	counter_add(t->counters->kv_dropped,
	    prefix_trim(t->prefix, t->slot, most));
}

/* False without memory: then something was not heard. */
static bool take_event(struct kv_track *t, struct kv_event *e, uint32_t rank,
    int64_t now_ms)
{
	uint64_t *keys;

	counter_add(t->counters->kv_events, 1);
	if (e->kind == KV_CLEARED) {
		kv_track_reset(t, true);
		return true;
	}
	if (e->kind == KV_OTHER)
		return true;
	keys = keys_of(e, rank);
	if (keys == NULL)
		return false;
	if (e->kind == KV_STORED)
		on_stored(t, e, keys, now_ms);
	else
		on_removed(t, e, keys);
	free(keys);
	return true;
}

bool kv_track_batch(struct kv_track *t, struct span payload, uint32_t rank,
    int64_t now_ms)
{
	struct kv_batch b;
	struct kv_event e;
	enum kv_result result;
	bool has_removed = false, is_whole = true;

	if (!kv_batch_open(&b, payload))
		return false;
	kv_chains_sent(t, now_ms);
	while ((result = kv_batch_next(&b, &e)) == KV_EVENT) {
		is_whole &= take_event(t, &e, rank, now_ms);
		has_removed |= e.kind == KV_REMOVED;
	}
	if (has_removed)
		trim(t);
	return is_whole && result == KV_END;
}
