/*
 * prefix.c - a hash table of (block, endpoint) postings, each in its endpoint's LRU
 */
#include "prefix_parts.h"

#include <stdlib.h>

#include "must.h"

enum {
	POSTINGS_PER_HEAD = 2,
	STEAL_BATCH = 64,
};

static const uint64_t DEFAULT_SECRET = 0x9e3779b97f4a7c15u;

static void store(_Atomic uint32_t *at, uint32_t value)
{
	atomic_store_explicit(at, value, memory_order_release);
}

static uint32_t power_of_two(uint32_t at_least)
{
	uint32_t n = 2;		/* a shift by 64 is none */

	while (n < at_least)
		n *= 2;
	return n;
}

struct prefix_index *prefix_new(size_t max_bytes, uint32_t n_slots)
{
	struct prefix_index *p = calloc(1, sizeof(*p));
	size_t each = sizeof(struct posting) +
	    sizeof(uint32_t) / POSTINGS_PER_HEAD;
	uint32_t n_heads;

	must(n_slots > 0 && n_slots <= PREFIX_SLOTS_MAX);
	if (p == NULL)
		return NULL;
	p->n_postings = max_bytes / each < UINT32_MAX / 2 ?
	    (uint32_t)(max_bytes / each) : UINT32_MAX / 2;
	n_heads = power_of_two(p->n_postings / POSTINGS_PER_HEAD / 2 + 1);
	p->secret = DEFAULT_SECRET;
	p->head_shift = 64 - (unsigned)__builtin_ctz(n_heads);
	p->n_slots = n_slots;
	/* calloc() of this size is fresh pages: reserved, not yet touched. */
	p->heads = calloc(n_heads, sizeof(*p->heads));
	p->postings = calloc((size_t)p->n_postings + 1, sizeof(*p->postings));
	p->holders = calloc(n_slots, sizeof(*p->holders));
	if (p->heads == NULL || p->postings == NULL || p->holders == NULL) {
		free(p->heads);
		free(p->postings);
		free(p->holders);
		free(p);
		return NULL;
	}
	p->bytes = n_heads * sizeof(*p->heads) +
	    ((size_t)p->n_postings + 1) * sizeof(*p->postings) +
	    n_slots * sizeof(*p->holders);
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void prefix_free(struct prefix_index *p)
{
	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->lock);
	for (uint32_t i = 0; i < p->n_slots; i++)
		free(p->holders[i].journal);
	free(p->heads);
	free(p->postings);
	free(p->kin);
	free(p->holders);
	free(p);
}

void prefix_key(struct prefix_index *p, uint64_t secret)
{
	must(p->n_used == 0);
	p->secret = secret | 1;
}

/* ---- without the lock ---- */

uint32_t prefix_limit(const struct prefix_index *p, const struct holder *h)
{
	uint32_t n_joined = prefix_load(&p->n_joined);
	uint32_t capacity = prefix_load(&h->capacity);
	uint32_t share = n_joined > 0 ? p->n_postings / n_joined :
	    p->n_postings;

	return capacity < share ? capacity : share;
}

uint32_t prefix_share(const struct prefix_index *p, uint16_t slot)
{
	must(slot < p->n_slots);
	return prefix_limit(p, &p->holders[slot]);
}

/* ---- everything below runs under the lock ---- */

uint32_t prefix_find(const struct prefix_index *p, uint64_t hash, uint16_t slot)
{
	uint64_t want = prefix_key_of(hash, slot);
	uint32_t id = prefix_load(prefix_head_of(p, hash));

	while (id != 0 && atomic_load_explicit(&p->postings[id].key,
	    memory_order_relaxed) != want)
		id = prefix_load(&p->postings[id].chain);
	return id;
}

static void lru_unlink(struct prefix_index *p, struct holder *h, uint32_t id)
{
	struct posting *at = &p->postings[id];

	if (at->newer != 0)
		p->postings[at->newer].older = at->older;
	else
		h->newest = at->older;
	if (at->older != 0)
		p->postings[at->older].newer = at->newer;
	else
		h->oldest = at->newer;
}

void prefix_push_newest(struct prefix_index *p, struct holder *h, uint32_t id)
{
	struct posting *at = &p->postings[id];

	at->newer = 0;
	at->older = h->newest;
	if (h->newest != 0)
		p->postings[h->newest].newer = id;
	else
		h->oldest = id;
	h->newest = id;
}

static void table_unlink(struct prefix_index *p, uint32_t id)
{
	_Atomic uint32_t *link = prefix_head_of(p, atomic_load(&p->postings[id].key));

	while (prefix_load(link) != id) {
		must(prefix_load(link) != 0);
		link = &p->postings[prefix_load(link)].chain;
	}
	store(link, prefix_load(&p->postings[id].chain));
}

void prefix_push_oldest(struct prefix_index *p, struct holder *h, uint32_t id)
{
	struct posting *at = &p->postings[id];

	at->older = 0;
	at->newer = h->oldest;
	if (h->oldest != 0)
		p->postings[h->oldest].older = id;
	else
		h->newest = id;
	h->oldest = id;
}

static void kin_link(struct prefix_index *p, uint32_t id, uint32_t parent)
{
	struct kin *k = &p->kin[id];

	*k = (struct kin){ .next = p->kin[parent].child };
	if (parent == 0) {
		k->next = 0;	/* roots are nobody's */
		return;
	}
	if (k->next != 0)
		p->kin[k->next].prev = id;
	p->kin[parent].child = id;
}

static void kin_unlink(struct prefix_index *p, uint32_t id, uint32_t parent)
{
	const struct kin *k = &p->kin[id];

	must(k->child == 0);
	if (k->next != 0)
		p->kin[k->next].prev = k->prev;
	if (k->prev != 0)
		p->kin[k->prev].next = k->next;
	else if (parent != 0)
		p->kin[parent].child = k->next;
}

void prefix_remove(struct prefix_index *p, struct holder *h, uint32_t id)
{
	lru_unlink(p, h, id);
	table_unlink(p, id);
	if (p->kin != NULL)
		kin_unlink(p, id, p->postings[id].parent);
	atomic_store_explicit(&p->postings[id].key, 0, memory_order_relaxed);
	store(&p->postings[id].chain, p->free_list);
	p->free_list = id;
	p->n_used--;
	h->count--;
}

/* Drops the endpoint's least recent block: one without children, see prefix.h. */
static void evict_one(struct prefix_index *p, struct holder *h)
{
	must(h->oldest != 0);
	prefix_remove(p, h, h->oldest);
}

void prefix_evict_to(struct prefix_index *p, struct holder *h, uint32_t count)
{
	while (h->count > count)
		evict_one(p, h);
}

/*
 * The postings ran out though this endpoint is within its share: others still hold
 * more than theirs, from when there were fewer of them. They give a few back.
 */
static bool steal(struct prefix_index *p, uint32_t n_wanted)
{
	uint32_t batch = n_wanted > STEAL_BATCH ? n_wanted : STEAL_BATCH;

	for (uint32_t seen = 0; seen < p->n_slots; seen++) {
		struct holder *h = &p->holders[p->steal_at];
		uint32_t limit = prefix_limit(p, h);

		p->steal_at = (p->steal_at + 1) % p->n_slots;
		if (h->count > limit) {
			prefix_evict_to(p, h, h->count - limit > batch ?
			    h->count - batch : limit);
			return true;
		}
	}
	return false;
}

static uint32_t posting_take(struct prefix_index *p)
{
	uint32_t id = p->free_list;

	if (id == 0 && p->n_touched < p->n_postings)
		id = ++p->n_touched;
	else if (id != 0)
		p->free_list = prefix_load(&p->postings[id].chain);
	if (id != 0)
		p->n_used++;
	return id;
}

uint32_t prefix_add(struct prefix_index *p, struct holder *h,
    uint16_t slot, uint64_t hash, uint32_t parent)
{
	uint32_t id = posting_take(p);
	struct posting *at = &p->postings[id];
	_Atomic uint32_t *head = prefix_head_of(p, hash);

	if (id == 0)
		return 0;
	at->parent = parent;
	atomic_store_explicit(&at->key, prefix_key_of(hash, slot),
	    memory_order_relaxed);
	store(&at->chain, prefix_load(head));
	store(head, id);
	if (p->kin != NULL)
		kin_link(p, id, parent);
	h->count++;
	return id;
}

/* How deep the endpoint holds the chain, and the posting of that last block. */
static uint32_t deepest_held(const struct prefix_index *p, uint16_t slot,
    const uint64_t *chain, uint32_t n, uint32_t hint, uint32_t *leaf)
{
	uint32_t low = 0, high = hint < n ? hint : n;	/* low is held */
	uint32_t id;

	*leaf = 0;
	if (high > 0 && (id = prefix_find(p, chain[high - 1], slot)) != 0) {
		low = high;
		*leaf = id;
		while (low < n && (id = prefix_find(p, chain[low], slot)) != 0) {
			*leaf = id;
			low++;
		}
		return low;
	}
	if (high == 0)	/* no hint: somebody may have been faster */
		high = n + 1;
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		id = prefix_find(p, chain[mid - 1], slot);
		if (id != 0) {
			low = mid;
			*leaf = id;
		} else {
			high = mid;
		}
	}
	return low;
}

/*
 * Is the posting that many blocks from its root? Nearly always: only hashes that
 * agree in 48 bits, which a client may well craft, mistake one depth for another.
 */
static bool is_at_depth(const struct prefix_index *p, uint32_t leaf,
    uint32_t depth)
{
	uint32_t n = 0;

	for (uint32_t id = leaf; id != 0 && n <= depth; n++)
		id = p->postings[id].parent;
	return n == depth;
}

void prefix_touch(struct prefix_index *p, struct holder *h, uint32_t leaf)
{
	for (uint32_t id = leaf; id != 0; id = p->postings[id].parent) {
		lru_unlink(p, h, id);
		prefix_push_newest(p, h, id);
	}
}

void prefix_make_room(struct prefix_index *p, struct holder *h, uint32_t n_new)
{
	uint32_t limit = prefix_limit(p, h);

	prefix_evict_to(p, h, limit > n_new ? limit - n_new : 0);
	while (p->n_postings - p->n_used < n_new &&
	    steal(p, n_new - (p->n_postings - p->n_used)))
		;
}

/* Returns how many blocks are new. `was_sent`: by us, and just now. */
static uint32_t insert_locked(struct prefix_index *p, uint16_t slot,
    const uint64_t *chain, uint32_t n, uint32_t hint, bool was_sent)
{
	struct holder *h = &p->holders[slot];
	uint32_t leaf, held, n_new = 0, limit = prefix_limit(p, h);

	if (n > limit)
		n = limit;
	held = deepest_held(p, slot, chain, n, hint, &leaf);
	if (!is_at_depth(p, leaf, held))
		return 0;
	if (was_sent && h->journal != NULL && n > 0)
		prefix_note_sent(h, chain[n - 1], n, held);
	if (h->has_answers && held > 0 && held < n)
		prefix_retire_answer(p, h, slot, chain[held - 1], n - held);
	prefix_touch(p, h, leaf);	/* so that making room spares it */
	prefix_make_room(p, h, n - held);
	for (uint32_t i = held; i < n; i++) {
		uint32_t id = prefix_add(p, h, slot, chain[i], leaf);

		if (id == 0)
			break;
		prefix_push_newest(p, h, id);
		leaf = id;
		n_new++;
	}
	prefix_touch(p, h, leaf);
	return n_new;
}

void prefix_insert(struct prefix_index *p, uint16_t slot, const uint64_t *chain,
    size_t n, uint32_t depth)
{
	must(slot < p->n_slots);
	if (n > UINT16_MAX)
		n = UINT16_MAX;
	prefix_lock(p);
	if (p->holders[slot].joined)
		insert_locked(p, slot, chain, (uint32_t)n, depth, true);
	prefix_unlock(p);
}

uint32_t prefix_claim(struct prefix_index *p, uint16_t slot,
    const uint64_t *chain, size_t n)
{
	uint32_t n_new = 0;

	must(slot < p->n_slots);
	if (n > UINT16_MAX)
		n = UINT16_MAX;
	prefix_lock(p);
	if (p->holders[slot].joined)
		n_new = insert_locked(p, slot, chain, (uint32_t)n, 0, false);
	prefix_unlock(p);
	return n_new;
}

void prefix_join(struct prefix_index *p, uint16_t slot, uint32_t capacity_blocks)
{
	struct holder *h;

	must(slot < p->n_slots);
	prefix_lock(p);
	h = &p->holders[slot];
	must(!h->joined && h->count == 0);
	h->joined = true;
	h->capacity = capacity_blocks;
	p->n_joined++;
	prefix_unlock(p);
}

uint32_t prefix_count(struct prefix_index *p, uint16_t slot)
{
	uint32_t n;

	must(slot < p->n_slots);
	prefix_lock(p);
	n = p->holders[slot].count;
	prefix_unlock(p);
	return n;
}

uint32_t prefix_total(struct prefix_index *p)
{
	uint32_t n;

	prefix_lock(p);
	n = p->n_used;
	prefix_unlock(p);
	return n;
}

uint32_t prefix_capacity(const struct prefix_index *p)
{
	return p->n_postings;
}

size_t prefix_bytes(const struct prefix_index *p)
{
	return p->bytes;
}
