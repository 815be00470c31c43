/*
 * ledger.c - shards of chained buckets over an array of entries
 *
 * Entries are taken from the array's front first and then from a stack of those given
 * back, so that memory is touched only as far as there were ever requests at once.
 */
#include "ledger.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "hash.h"

enum { N_SHARDS = 64, NONE = UINT32_MAX };

struct entry {
	uint64_t key;
	uint32_t next;		/* in its bucket, or among the free */
	struct booking booking;
};

struct shard {
	pthread_mutex_t lock;	/* guards all of the shard */
	uint32_t *buckets;
	struct entry *entries;
	uint32_t n_fresh;	/* entries that were never used begin here */
	uint32_t free;		/* stack of those given back */
	_Atomic uint32_t n;
} __attribute__((aligned(64)));

struct ledger {
	uint64_t secret;
	uint32_t mask;		/* of a shard's buckets */
	uint32_t max;		/* entries of a shard */
	struct shard shards[N_SHARDS];
};

/*
 * Its part, and what chance gives one of 64 shards more than that: six deviations, of
 * Poisson's, which are wider than the square root where there are few.
 */
static size_t shard_max(size_t max_bookings)
{
	size_t part = (max_bookings + N_SHARDS - 1) / N_SHARDS;
	size_t root = 0;

	while (root * root < part)
		root++;
	return part + 6 * root + 8;
}

static int shard_init(struct shard *s, size_t n_buckets, size_t max)
{
	s->buckets = malloc(n_buckets * sizeof(*s->buckets));
	/* Fresh pages, touched as they are needed. */
	s->entries = calloc(max, sizeof(*s->entries));
	s->free = NONE;
	pthread_mutex_init(&s->lock, NULL);
	if (s->buckets == NULL || s->entries == NULL)
		return -1;
	for (size_t i = 0; i < n_buckets; i++)
		s->buckets[i] = NONE;
	return 0;
}

struct ledger *ledger_new(size_t max_bookings, uint64_t secret)
{
	struct ledger *l = aligned_alloc(64, sizeof(*l));
	size_t max = shard_max(max_bookings);
	size_t n_buckets = 1;
	int err = 0;

	if (l == NULL)
		return NULL;
	while (n_buckets < max)
		n_buckets *= 2;
	*l = (struct ledger){ .secret = secret, .mask = (uint32_t)n_buckets - 1,
		.max = (uint32_t)max };
	for (size_t i = 0; i < N_SHARDS; i++)
		err |= shard_init(&l->shards[i], n_buckets, max);
	if (err == 0)
		return l;
	ledger_free(l);
	return NULL;
}

void ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < N_SHARDS; i++) {
		pthread_mutex_destroy(&l->shards[i].lock);
		free(l->shards[i].buckets);
		free(l->shards[i].entries);
	}
	free(l);
}

uint64_t ledger_key(const struct ledger *l, struct span id)
{
	uint64_t key = hash_bytes(id.ptr, id.len, l->secret);

	return key != 0 ? key : 1;
}

static struct shard *lock_shard(struct ledger *l, uint64_t key)
{
	struct shard *s = &l->shards[key % N_SHARDS];

	pthread_mutex_lock(&s->lock);
	return s;
}

/* Where the number of the key's entry is written, or the end of its bucket's chain. */
static uint32_t *place_of(const struct ledger *l, struct shard *s, uint64_t key)
{
	uint32_t *at = &s->buckets[key / N_SHARDS & l->mask];

	while (*at != NONE && s->entries[*at].key != key)
		at = &s->entries[*at].next;
	return at;
}

static uint32_t new_entry(const struct ledger *l, struct shard *s)
{
	uint32_t i = s->free;

	if (i != NONE)
		s->free = s->entries[i].next;
	else if (s->n_fresh < l->max)
		i = s->n_fresh++;
	else
		return NONE;
	s->n++;
	return i;
}

static void remove_at(struct shard *s, uint32_t *at)
{
	uint32_t i = *at;

	*at = s->entries[i].next;
	s->entries[i].next = s->free;
	s->free = i;
	s->n--;
}

static enum ledger_result put(struct ledger *l, struct shard *s, uint64_t key,
    const struct booking *b, struct booking *old)
{
	uint32_t *at = place_of(l, s, key);
	uint32_t i = *at;

	if (i != NONE && s->entries[i].booking.waits != NULL)
		return LEDGER_WAITING;
	if (i != NONE) {
		*old = s->entries[i].booking;
		s->entries[i].booking = *b;
		return LEDGER_REPLACED;
	}
	i = new_entry(l, s);
	if (i == NONE)
		return LEDGER_FULL;
	s->entries[i] = (struct entry){ key, NONE, *b };
	*at = i;
	return LEDGER_OK;
}

enum ledger_result ledger_put(struct ledger *l, uint64_t key,
    const struct booking *b, struct booking *old)
{
	struct shard *s = lock_shard(l, key);
	enum ledger_result result = put(l, s, key, b, old);

	pthread_mutex_unlock(&s->lock);
	return result;
}

bool ledger_take(struct ledger *l, uint64_t key, struct booking *out)
{
	return ledger_take_if(l, key, NULL, NULL, out);
}

bool ledger_take_if(struct ledger *l, uint64_t key,
    bool (*is_it)(const struct booking *b, const void *data), const void *data,
    struct booking *out)
{
	struct shard *s = lock_shard(l, key);
	uint32_t *at = place_of(l, s, key);
	bool found = *at != NONE && (is_it == NULL ||
	    is_it(&s->entries[*at].booking, data));

	if (found) {
		*out = s->entries[*at].booking;
		remove_at(s, at);
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

bool ledger_change(struct ledger *l, uint64_t key,
    void (*change)(struct booking *b, void *data), void *data)
{
	struct shard *s = lock_shard(l, key);
	uint32_t *at = place_of(l, s, key);
	bool found = *at != NONE;

	if (found)
		change(&s->entries[*at].booking, data);
	pthread_mutex_unlock(&s->lock);
	return found;
}

static size_t sweep_bucket(struct shard *s, uint32_t *at, size_t max,
    bool (*is_over)(const struct booking *b, void *data),
    void (*gone)(const struct booking *b, void *data), void *data)
{
	size_t n = 0;

	while (*at != NONE && n < max) {
		struct entry *e = &s->entries[*at];

		if (!is_over(&e->booking, data)) {
			at = &e->next;
			continue;
		}
		gone(&e->booking, data);
		remove_at(s, at);
		n++;
	}
	return n;
}

size_t ledger_sweep(struct ledger *l, size_t max,
    bool (*is_over)(const struct booking *b, void *data),
    void (*gone)(const struct booking *b, void *data), void *data)
{
	size_t n = 0;

	for (size_t i = 0; i < N_SHARDS && n < max; i++) {
		struct shard *s = &l->shards[i];

		if (s->n == 0)
			continue;
		pthread_mutex_lock(&s->lock);
		for (size_t k = 0; k <= l->mask && n < max; k++)
			n += sweep_bucket(s, &s->buckets[k], max - n, is_over,
			    gone, data);
		pthread_mutex_unlock(&s->lock);
	}
	return n;
}

static void visit_bucket(struct shard *s, uint32_t at,
    void (*change)(struct booking *b, void *data), void *data)
{
	for (; at != NONE; at = s->entries[at].next)
		change(&s->entries[at].booking, data);
}

void ledger_visit(struct ledger *l,
    void (*change)(struct booking *b, void *data), void *data)
{
	for (size_t i = 0; i < N_SHARDS; i++) {
		struct shard *s = &l->shards[i];

		if (s->n == 0)
			continue;
		pthread_mutex_lock(&s->lock);
		for (size_t k = 0; k <= l->mask; k++)
			visit_bucket(s, s->buckets[k], change, data);
		pthread_mutex_unlock(&s->lock);
	}
}

size_t ledger_count(const struct ledger *l)
{
	size_t n = 0;

	for (size_t i = 0; i < N_SHARDS; i++)
		n += atomic_load_explicit(&l->shards[i].n, memory_order_relaxed);
	return n;
}
