/*
 * kv_track.c - requests that wait for their blocks, chains that are still growing, and
 * the map from blocks to text
 *
 * A chain may come in pieces: prompts are prefilled in chunks, each of which is told as
 * it is done. So it stays open until it has been silent for a while, or until a piece of
 * a single block comes: so blocks of answers come, one by one.
 */
#include "kv_track.h"

#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "hash.h"
#include "kv_events.h"
#include "kv_map.h"
#include "prefix.h"
#include "prompt.h"

enum {
	PENDING_MAX = 2 * PREFIX_SENT_MAX,
	PENDING_MS = 30000,	/* a request whose blocks were not told by then */
	OPEN_MAX = 16,
	OPEN_MS = 500,
	CHAIN_MAX = 1 << 16,	/* blocks of an engine in one chain */
	RATIO_SURE = 8,		/* chains, before sizes are held to be known */
	GPU = 1,
};

static const float BYTES_PER_TOKEN = PROMPT_TOKEN_BYTES;	/* to begin with */
/* How far a size may be off: before and after it is known what tokens are like. */
static const float SLACK_FIRST = 2.5f, SLACK_SURE = 1.4f;
static const float SLACK_HELD = 1.25f;

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
	int64_t at_ms;		/* the last piece */
};

struct kv_track {
	struct prefix_index *prefix;
	uint16_t slot;
	uint32_t block_bytes;
	struct counters *counters;	/* or NULL */
	struct counters unused;
	struct pending pending[PENDING_MAX];	/* oldest first */
	size_t n_pending;
	struct chain open[OPEN_MAX];
	size_t n_open;
	struct kv_map map;
	bool is_complete;	/* n_held is all there is */
	int64_t n_held;		/* blocks, stored minus removed */
	uint32_t block_size;	/* tokens in one of them */
	float bytes_per_token;
	unsigned n_ratios;
};

struct kv_track *kv_track_new(struct prefix_index *prefix, uint16_t slot,
    uint32_t block_bytes, struct counters *c)
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
	t->block_bytes = block_bytes;
	t->counters = c != NULL ? c : &t->unused;
	t->bytes_per_token = BYTES_PER_TOKEN;
	kv_map_init(&t->map, KV_FOLLOWED_MAX);
	return t;
}

static void forget_open(struct kv_track *t)
{
	while (t->n_open > 0)
		free(t->open[--t->n_open].keys);
}

void kv_track_free(struct kv_track *t)
{
	if (t == NULL)
		return;
	prefix_follow(t->prefix, t->slot, false);
	forget_open(t);
	kv_map_fini(&t->map);
	free(t);
}

void kv_track_reset(struct kv_track *t, bool is_empty)
{
	prefix_purge(t->prefix, t->slot);
	forget_open(t);
	kv_map_clear(&t->map);
	t->n_pending = 0;
	t->n_held = 0;
	t->is_complete = is_empty;
}

void kv_track_count(struct kv_track *t)
{
	t->n_held = 0;
	t->is_complete = true;
}

size_t kv_track_followed(const struct kv_track *t)
{
	return t->map.n;
}

int64_t kv_track_held(const struct kv_track *t)
{
	return t->is_complete ? t->n_held : -1;
}

/* ---- requests that were sent ---- */

static void drop_pending(struct kv_track *t, size_t i)
{
	t->n_pending--;
	memmove(&t->pending[i], &t->pending[i + 1],
	    (t->n_pending - i) * sizeof(t->pending[0]));
}

/* A request all of which was held already stores nothing. */
static void take_sent(struct kv_track *t, int64_t now_ms)
{
	struct prefix_sent sent[PREFIX_SENT_MAX];
	uint32_t n_lost, n = prefix_sent(t->prefix, t->slot, sent, &n_lost);

	while (t->n_pending > 0 &&
	    now_ms - t->pending[0].at_ms > PENDING_MS)
		drop_pending(t, 0);
	for (uint32_t i = 0; i < n; i++) {
		if (sent[i].held == sent[i].n || sent[i].n < 2)
			continue;
		if (t->n_pending == PENDING_MAX)
			drop_pending(t, 0);
		t->pending[t->n_pending++] = (struct pending){ sent[i], now_ms };
	}
	/* Any chain may be one of those we have not heard of. */
	if (n_lost > 0)
		t->n_pending = 0;
}

/* ---- which request is it? ---- */

static bool size_fits(const struct kv_track *t, const struct prefix_sent *s,
    uint64_t tokens)
{
	float slack = t->n_ratios < RATIO_SURE ? SLACK_FIRST : SLACK_SURE;
	float most = (float)(s->n - s->held) * (float)t->block_bytes;
	float least = most - (float)t->block_bytes;	/* the last is in part */
	float bytes = (float)tokens * t->bytes_per_token;

	/* The engine knows more of it than we do, or tells a first piece. */
	return bytes <= most * slack && bytes * slack >= least / 4;
}

/* Does the request's text have that block? */
static bool has_text(const struct kv_track *t, const struct prefix_sent *s,
    uint64_t text)
{
	uint64_t *blocks = calloc(s->n, sizeof(*blocks));
	uint32_t n = blocks != NULL ? prefix_blocks(t->prefix, t->slot, s->leaf,
	    s->n, blocks) : 0;
	bool has = false;

	for (uint32_t i = 0; i < n && !has; i++)
		has = blocks[i] == text;
	free(blocks);
	return has;
}

static bool may_be(const struct kv_track *t, const struct pending *p,
    const struct kv_event *e)
{
	const struct kv_entry *parent = NULL;

	if (e->has_parent != (p->sent.held > 0) ||
	    !size_fits(t, &p->sent, (uint64_t)e->n_hashes * e->block_size))
		return false;
	if (e->has_parent)
		parent = kv_map_find(&t->map, e->parent);
	return parent == NULL || has_text(t, &p->sent, parent->text);
}

/* The one it must be, or n_pending; of several none, then or later. */
static size_t find_pending(struct kv_track *t, const struct kv_event *e)
{
	size_t found[PENDING_MAX], n = 0;

	for (size_t i = 0; i < t->n_pending; i++)
		if (may_be(t, &t->pending[i], e))
			found[n++] = i;
	if (n == 1)
		return found[0];
	if (n > 1)
		counter_add(t->counters->kv_ambiguous, 1);
	while (n > 0)
		drop_pending(t, found[--n]);
	return t->n_pending;
}

/* ---- chains ---- */

static void learn_ratio(struct kv_track *t, const struct chain *c)
{
	float tokens = (float)c->n * (float)c->block_size;
	float bytes = ((float)(c->sent.n - c->sent.held) - .5f) *
	    (float)t->block_bytes;
	float weight = t->n_ratios < RATIO_SURE ?
	    1.0f / (float)(t->n_ratios + 1) : 1.0f / RATIO_SURE;

	if (c->sent.n - c->sent.held < 4 || c->n < 4)
		return;		/* too short to tell */
	t->bytes_per_token += weight * (bytes / tokens - t->bytes_per_token);
	if (t->n_ratios < RATIO_SURE)
		t->n_ratios++;
}

/* Text block i is gone when the engine's block is that it ends in. */
static void map_chain(struct kv_track *t, const struct chain *c,
    const uint64_t *texts)
{
	uint32_t n = c->sent.n - c->sent.held, last = UINT32_MAX;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (uint32_t)(((uint64_t)(i + 1) * c->n + n - 1) / n) -
		    1;
		const struct kv_entry e = { .key = c->keys[at],
			.text = texts[c->sent.held + i], .media = GPU };

		if (at != last)
			kv_map_put(&t->map, &e);
		last = at;
	}
}

static void close_chain(struct kv_track *t, size_t i)
{
	struct chain *c = &t->open[i];
	uint64_t *texts = calloc(c->sent.n, sizeof(*texts));

	if (texts != NULL && prefix_blocks(t->prefix, t->slot, c->sent.leaf,
		c->sent.n, texts) != 0) {
		learn_ratio(t, c);
		map_chain(t, c, texts);
		counter_add(t->counters->kv_chains, 1);
	}
	free(texts);
	free(c->keys);
	t->open[i] = t->open[--t->n_open];
}

void kv_track_beat(struct kv_track *t, int64_t now_ms)
{
	take_sent(t, now_ms);
	for (size_t i = t->n_open; i-- > 0;)
		if (now_ms - t->open[i].at_ms >= OPEN_MS)
			close_chain(t, i);
}

static bool extend(struct chain *c, const uint64_t *keys, uint32_t n)
{
	if (n > CHAIN_MAX - c->n)
		return false;
	if (c->n + n > c->room) {
		uint32_t room = c->n + n + c->room / 2;
		uint64_t *grown = realloc(c->keys, room * sizeof(*grown));

		if (grown == NULL)
			return false;
		c->keys = grown;
		c->room = room;
	}
	memcpy(c->keys + c->n, keys, n * sizeof(*keys));
	c->n += n;
	return true;
}

static void open_chain(struct kv_track *t, size_t pending,
    const struct kv_event *e, const uint64_t *keys, int64_t now_ms)
{
	struct chain c = { .sent = t->pending[pending].sent,
		.block_size = e->block_size, .at_ms = now_ms };

	drop_pending(t, pending);
	if (t->n_open == OPEN_MAX)
		close_chain(t, 0);
	if (extend(&c, keys, e->n_hashes))
		t->open[t->n_open++] = c;
	else
		free(c.keys);
}

/* A piece that goes on where an open chain ends. */
static bool continue_chain(struct kv_track *t, const struct kv_event *e,
    const uint64_t *keys, int64_t now_ms)
{
	for (size_t i = 0; i < t->n_open && e->has_parent; i++) {
		struct chain *c = &t->open[i];

		if (c->keys[c->n - 1] != e->parent)
			continue;
		if (e->n_hashes == 1 || !extend(c, keys, e->n_hashes))
			close_chain(t, i);	/* the answer has begun */
		else
			c->at_ms = now_ms;
		return true;
	}
	return false;
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
		return GPU;
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

static void on_stored(struct kv_track *t, struct kv_event *e,
    const uint64_t *keys, int64_t now_ms)
{
	uint64_t medium = medium_of(e);
	size_t pending;

	if (!kv_event_is_of_prefixes(e) || e->n_hashes == 0)
		return;
	note_medium(t, keys, e->n_hashes, medium);
	if (medium != GPU)
		return;
	t->n_held += e->n_hashes;
	t->block_size = e->block_size;
	if (continue_chain(t, e, keys, now_ms) ||
	    (e->has_parent && e->n_hashes == 1))
		return;
	pending = find_pending(t, e);
	if (pending < t->n_pending)
		open_chain(t, pending, e, keys, now_ms);
}

static bool is_open(const struct chain *c, uint64_t key)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->keys[i] == key)
			return true;
	return false;
}

static void remove_key(struct kv_track *t, uint64_t key, uint64_t medium)
{
	struct kv_entry *e;
	uint64_t text;

	for (size_t i = t->n_open; i-- > 0;)
		if (is_open(&t->open[i], key))
			close_chain(t, i);
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

	for (uint32_t i = 0; i < e->n_hashes; i++)
		remove_key(t, keys[i], medium);
	if (medium == GPU)
		t->n_held -= e->n_hashes;
}

/* Text that the engine may hold without having said so yet. */
static uint32_t untold_blocks(const struct kv_track *t)
{
	uint32_t n = 0;

	for (size_t i = 0; i < t->n_pending; i++)
		n += t->pending[i].sent.n - t->pending[i].sent.held;
	for (size_t i = 0; i < t->n_open; i++)
		n += t->open[i].sent.n - t->open[i].sent.held;
	return n;
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
	most = (uint32_t)(bytes / (float)t->block_bytes) + untold_blocks(t);
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
	take_sent(t, now_ms);
	while ((result = kv_batch_next(&b, &e)) == KV_EVENT) {
		is_whole &= take_event(t, &e, rank, now_ms);
		has_removed |= e.kind == KV_REMOVED;
	}
	if (has_removed)
		trim(t);
	return is_whole && result == KV_END;
}
