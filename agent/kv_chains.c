/*
 * kv_chains.c - requests that wait for their blocks, and chains that are still told
 *
 * A chain may come in pieces: prompts are prefilled in chunks, each of which is told as
 * it is done. So it stays open until it has been silent for a while, or until a piece of
 * a single block comes: so blocks of answers come, one by one.
 */
#include "kv_track_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
	PENDING_MS = 30000,	/* a request whose blocks were not told by then */
	OPEN_MS = 500,
	CHAIN_MAX = 1 << 16,	/* blocks of an engine in one chain */
	ROOM_FIRST = 4,
	FILTER_BITS_PER_KEY = 8, FILTER_BITS_MIN = 1024,
	RATIO_SURE = 8,		/* chains, before sizes are held to be known */
};

/* How far a size may be off: before and after it is known what tokens are like. */
static const float SLACK_FIRST = 2.5f, SLACK_SURE = 1.4f;

/*
 * The array with room for one more, `max` at most. Most endpoints of a fleet have few on
 * their way, or none: so it begins small. NULL without memory; then it is as it was.
 */
static void *grown(void *array, size_t *room, size_t n, size_t max, size_t each)
{
	size_t next = *room > 0 ? 2 * *room : ROOM_FIRST;

	if (n < *room)
		return array;
	next = next < max ? next : max;
	array = realloc(array, next * each);
	if (array != NULL)
		*room = next;
	return array;
}

/* ---- requests that were sent ---- */

static void drop_pending(struct kv_track *t, size_t i)
{
	t->n_pending--;
	memmove(&t->pending[i], &t->pending[i + 1],
	    (t->n_pending - i) * sizeof(t->pending[0]));
}

/* False without memory. */
static bool add_pending(struct kv_track *t, const struct prefix_sent *sent,
    int64_t now_ms)
{
	struct pending *pending;

	if (t->n_pending == KV_PENDING_MAX)
		drop_pending(t, 0);
	pending = grown(t->pending, &t->pending_room, t->n_pending,
	    KV_PENDING_MAX, sizeof(*pending));
	if (pending == NULL)
		return false;
	t->pending = pending;
	t->pending[t->n_pending++] = (struct pending){ *sent, now_ms };
	return true;
}

/* A request all of which was held already stores nothing. */
void kv_chains_sent(struct kv_track *t, int64_t now_ms)
{
	struct prefix_sent sent[PREFIX_SENT_MAX];
	uint32_t n_lost, n = prefix_sent(t->prefix, t->slot, sent, &n_lost);

	while (t->n_pending > 0 &&
	    now_ms - t->pending[0].at_ms > PENDING_MS)
		drop_pending(t, 0);
	for (uint32_t i = 0; i < n; i++) {
		if (sent[i].held == sent[i].n || sent[i].n < 2)
			continue;
		n_lost += !add_pending(t, &sent[i], now_ms);
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
	size_t found[KV_PENDING_MAX], n = 0;

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
			.text = texts[c->sent.held + i], .media = KV_GPU };

		if (at != last)
			kv_map_put(&t->map, &e);
		last = at;
	}
}

static void forget_chain(struct chain *c)
{
	free(c->filter);
	free(c->keys);
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
	forget_chain(c);
	t->open[i] = t->open[--t->n_open];
}

void kv_chains_age(struct kv_track *t, int64_t now_ms)
{
	for (size_t i = t->n_open; i-- > 0;)
		if (now_ms - t->open[i].at_ms >= OPEN_MS)
			close_chain(t, i);
}

static uint64_t *bit_of(const struct chain *c, uint64_t key, uint64_t *bit)
{
	uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) &
	    (c->filter_bits - 1);

	*bit = (uint64_t)1 << at % 64;
	return &c->filter[at / 64];
}

/* Of eight keys that are not there, one passes. False without memory. */
static bool filter(struct chain *c)
{
	uint64_t bit;

	if (c->n > c->filter_bits / FILTER_BITS_PER_KEY) {
		uint32_t bits = FILTER_BITS_MIN;

		while (bits / FILTER_BITS_PER_KEY < c->n)
			bits *= 2;
		free(c->filter);
		c->filter = calloc(bits / 64, sizeof(*c->filter));
		c->filter_bits = c->filter != NULL ? bits : 0;
		c->n_filtered = 0;
	}
	for (; c->filter != NULL && c->n_filtered < c->n; c->n_filtered++)
		*bit_of(c, c->keys[c->n_filtered], &bit) |= bit;
	return c->filter != NULL;
}

/* Engines remove as many blocks as they store, most of them of none of the chains. */
static bool has_key(struct chain *c, uint64_t key)
{
	uint64_t bit;

	if (filter(c) && (*bit_of(c, key, &bit) & bit) == 0)
		return false;
	for (uint32_t i = 0; i < c->n; i++)
		if (c->keys[i] == key)
			return true;
	return false;
}

void kv_chains_close(struct kv_track *t, uint64_t key)
{
	for (size_t i = t->n_open; i-- > 0;)
		if (has_key(&t->open[i], key))
			close_chain(t, i);
}

void kv_chains_forget(struct kv_track *t)
{
	while (t->n_open > 0)
		forget_chain(&t->open[--t->n_open]);
	t->n_pending = 0;
}

void kv_chains_free(struct kv_track *t)
{
	kv_chains_forget(t);
	free(t->pending);
	free(t->open);
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
	struct chain *open;

	drop_pending(t, pending);
	if (t->n_open == KV_OPEN_MAX)
		close_chain(t, 0);
	open = grown(t->open, &t->open_room, t->n_open, KV_OPEN_MAX,
	    sizeof(*open));
	if (open == NULL)
		return;
	t->open = open;
	if (extend(&c, keys, e->n_hashes))
		open[t->n_open++] = c;
	else
		forget_chain(&c);
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

void kv_chains_stored(struct kv_track *t, const struct kv_event *e,
    const uint64_t *keys, int64_t now_ms)
{
	size_t pending;

	if (continue_chain(t, e, keys, now_ms) ||
	    (e->has_parent && e->n_hashes == 1))
		return;
	pending = find_pending(t, e);
	if (pending < t->n_pending)
		open_chain(t, pending, e, keys, now_ms);
}

uint32_t kv_chains_untold(const struct kv_track *t)
{
	uint32_t n = 0;

	for (size_t i = 0; i < t->n_pending; i++)
		n += t->pending[i].sent.n - t->pending[i].sent.held;
	for (size_t i = 0; i < t->n_open; i++)
		n += t->open[i].sent.n - t->open[i].sent.held;
	return n;
}
