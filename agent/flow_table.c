/*
 * flow_table.c - a sorted array of bands, a chained hash table of flows
 *
 * Both double when they are full and halve at a quarter, so that one that comes and goes
 * costs no realloc(). Who sends fairness ids that all hash alike, secret or not, makes
 * a chain of all flows that wait, which the limits bound.
 */
#include "flow_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "must.h"
#include "rng.h"

enum {
	BUCKETS_MIN = 16,
	BUCKETS_MAX = 1 << 20,
	BANDS_MIN = 8,
};

/* ---- memory: counted, up to the ceiling ---- */

static void *table_alloc(struct flow_table *t, size_t size)
{
	void *p = size <= t->max_bytes - t->bytes ? calloc(1, size) : NULL;

	if (p != NULL)
		t->bytes += size;
	return p;
}

static void table_release(struct flow_table *t, void *p, size_t size)
{
	free(p);
	t->bytes -= size;
}

/* NULL: `p` is as it was. */
static void *table_resize(struct flow_table *t, void *p, size_t from, size_t to)
{
	void *q;

	if (to > from && to - from > t->max_bytes - t->bytes)
		return NULL;
	q = realloc(p, to);
	if (q != NULL)
		t->bytes = t->bytes - from + to;
	return q;
}

int flow_table_init(struct flow_table *t, uint64_t secret, size_t max_bytes)
{
	*t = (struct flow_table){ .secret = secret, .max_bytes = max_bytes,
		.n_buckets = BUCKETS_MIN, .cap_bands = BANDS_MIN };
	t->buckets = table_alloc(t, BUCKETS_MIN * sizeof(*t->buckets));
	t->bands = table_alloc(t, BANDS_MIN * sizeof(struct flow_band *));
	if (t->buckets != NULL && t->bands != NULL)
		return 0;
	free(t->buckets);
	free(t->bands);
	return -ENOMEM;
}

void flow_table_fini(struct flow_table *t)
{
	must(t->n_flows == 0 && t->n_bands == 0);
	free(t->buckets);
	free(t->bands);
}

/* ---- bands ---- */

/* Where the band is, or would be. */
static size_t band_index(const struct flow_table *t, int32_t priority)
{
	size_t from = 0, to = t->n_bands;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (t->bands[mid]->priority > priority)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

struct flow_band *flow_table_band(const struct flow_table *t, int32_t priority)
{
	size_t i = band_index(t, priority);

	return i < t->n_bands && t->bands[i]->priority == priority ?
	    t->bands[i] : NULL;
}

static bool resize_bands(struct flow_table *t, size_t cap)
{
	struct flow_band **bands = table_resize(t, t->bands,
	    t->cap_bands * sizeof(*bands), cap * sizeof(*bands));

	if (bands == NULL)
		return false;
	t->bands = bands;
	t->cap_bands = cap;
	return true;
}

/* The array grows last: where it cannot, nothing has changed. */
static int add_band(struct flow_table *t,
    const struct flow_band_options *options, int32_t priority,
    struct flow_band **out)
{
	size_t i = band_index(t, priority);
	struct flow_band *b;

	if (t->n_bands >= FLOW_BANDS_MAX)
		return FLOW_FULL;
	b = table_alloc(t, sizeof(*b));
	if (b == NULL)
		return -ENOMEM;
	if (t->n_bands == t->cap_bands && !resize_bands(t, 2 * t->cap_bands)) {
		table_release(t, b, sizeof(*b));
		return -ENOMEM;
	}
	b->priority = priority;
	b->options = options;
	memmove(t->bands + i + 1, t->bands + i,
	    (t->n_bands - i) * sizeof(*t->bands));
	t->bands[i] = b;
	t->n_bands++;
	*out = b;
	return 0;
}

static void drop_band(struct flow_table *t, struct flow_band *b)
{
	size_t i = band_index(t, b->priority);

	must(b->counts.requests == 0 && b->flows.first == NULL);
	t->n_bands--;
	memmove(t->bands + i, t->bands + i + 1,
	    (t->n_bands - i) * sizeof(*t->bands));
	table_release(t, b, sizeof(*b));
	if (t->cap_bands > BANDS_MIN && t->n_bands < t->cap_bands / 4)
		resize_bands(t, t->cap_bands / 2);
}

/* ---- flows ---- */

static struct span id_of(const struct waiter *w)
{
	return w->fairness_id.len != 0 ? w->fairness_id :
	    span_of(FLOW_DEFAULT_ID);
}

uint64_t flow_table_hash(const struct flow_table *t, const struct waiter *w)
{
	struct span id = id_of(w);

	return hash_bytes(id.ptr, id.len,
	    t->secret ^ rng_mix((uint32_t)w->priority));
}

static struct flow **bucket_of(const struct flow_table *t, uint64_t hash)
{
	return &t->buckets[hash & (t->n_buckets - 1)];
}

static struct flow *find_flow(const struct flow_table *t,
    const struct flow_band *b, uint64_t hash, struct span id)
{
	struct flow *f = *bucket_of(t, hash);

	while (f != NULL && (f->hash != hash || f->band != b ||
	    !span_is(id_of(waiter_of(f->waiters.first)), id)))
		f = f->chain;
	return f;
}

static struct flow *empty_buckets(struct flow_table *t)
{
	struct flow *all = NULL;

	for (size_t i = 0; i < t->n_buckets; i++)
		while (t->buckets[i] != NULL) {
			struct flow *f = t->buckets[i];

			t->buckets[i] = f->chain;
			f->chain = all;
			all = f;
		}
	return all;
}

static void fill_buckets(struct flow_table *t, struct flow *all)
{
	while (all != NULL) {
		struct flow *f = all, **bucket = bucket_of(t, f->hash);

		all = f->chain;
		f->chain = *bucket;
		*bucket = f;
	}
}

static bool resize_buckets(struct flow_table *t, size_t n)
{
	struct flow **buckets = table_resize(t, t->buckets,
	    t->n_buckets * sizeof(*buckets), n * sizeof(*buckets));

	if (buckets == NULL)
		return false;
	if (n > t->n_buckets)
		memset(buckets + t->n_buckets, 0,
		    (n - t->n_buckets) * sizeof(*buckets));
	t->buckets = buckets;
	return true;
}

/* Without memory chains are longer than they should be, and nothing worse. */
static void grow_buckets(struct flow_table *t)
{
	struct flow *all;

	if (t->n_flows < t->n_buckets || t->n_buckets >= BUCKETS_MAX ||
	    !resize_buckets(t, 2 * t->n_buckets))
		return;
	all = empty_buckets(t);
	t->n_buckets *= 2;
	fill_buckets(t, all);
}

static void shrink_buckets(struct flow_table *t)
{
	struct flow *all;

	if (t->n_buckets <= BUCKETS_MIN || t->n_flows >= t->n_buckets / 4)
		return;
	all = empty_buckets(t);
	if (resize_buckets(t, t->n_buckets / 2))
		t->n_buckets /= 2;
	fill_buckets(t, all);
}

static void link_flow(struct flow_table *t, struct flow_band *b, struct flow *f)
{
	struct flow **bucket;

	grow_buckets(t);
	bucket = bucket_of(t, f->hash);
	f->band = b;
	f->chain = *bucket;
	*bucket = f;
	b->counts.flows++;
	t->n_flows++;
}

int flow_table_get(struct flow_table *t, const struct waiter *w,
    const struct flow_band_options *options, struct flow **out)
{
	struct flow_band *b = flow_table_band(t, w->priority);
	uint64_t hash = flow_table_hash(t, w);
	struct flow *f = b != NULL ? find_flow(t, b, hash, id_of(w)) : NULL;
	int r = 0;

	*out = f;
	if (f != NULL)
		return 0;
	f = table_alloc(t, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	if (b == NULL)
		r = add_band(t, options, w->priority, &b);
	if (r != 0) {
		table_release(t, f, sizeof(*f));
		return r;
	}
	f->hash = hash;
	link_flow(t, b, f);
	*out = f;
	return 0;
}

void flow_table_drop(struct flow_table *t, struct flow *f)
{
	struct flow **link = bucket_of(t, f->hash);

	must(f->waiters.first == NULL);
	while (*link != f) {
		must(*link != NULL);
		link = &(*link)->chain;
	}
	*link = f->chain;
	t->n_flows--;
	if (--f->band->counts.flows == 0)
		drop_band(t, f->band);
	table_release(t, f, sizeof(*f));
	shrink_buckets(t);
}
