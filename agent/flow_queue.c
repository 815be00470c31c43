/*
 * flow_queue.c - a heap of waiters in each flow, of flows in each band, and one of all
 * by expiry
 *
 * A policy is nothing but a key: an ordering is the key of a waiter among those of its
 * flow, a fairness the key of a flow among those of its band. So another policy is
 * other keys for who is there, and takes no memory. One number counts arrivals and
 * turns alike; it makes every key unique, and a turn is lower the longer ago it was.
 */
#include "flow_queue.h"

#include <stdlib.h>

#include "flow_table.h"
#include "list.h"
#include "must.h"

#define BAND_DEFAULT { .max_requests = FLOW_BAND_MAX_REQUESTS, \
	.max_bytes = FLOW_BAND_MAX_BYTES }

const struct flow_options flow_options_default = {
	.default_band = BAND_DEFAULT,
	.default_negative_band = BAND_DEFAULT,
};

struct flow_queue {
	const struct flow_options *options;
	struct flow_table table;
	struct flow_heap expiries;
	struct flow_counts counts;	/* `flows` is the table's to know */
	uint64_t number;
};

struct flow_queue *flow_queue_new(const struct flow_options *options,
    uint64_t secret, size_t max_table_bytes)
{
	struct flow_queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	if (flow_table_init(&q->table, secret, max_table_bytes) != 0) {
		free(q);
		return NULL;
	}
	q->options = options;
	return q;
}

void flow_queue_free(struct flow_queue *q)
{
	if (q == NULL)
		return;
	flow_table_fini(&q->table);
	free(q);
}

const struct flow_band_options *flow_options_band(const struct flow_options *o,
    int32_t priority)
{
	for (size_t i = 0; i < o->n_bands; i++)
		if (o->bands[i].priority == priority)
			return &o->bands[i];
	return priority < 0 ? &o->default_negative_band : &o->default_band;
}

/* ---- keys ---- */

static int64_t slo_deadline(const struct waiter *w)
{
	int64_t at;

	if (w->slo_ms <= 0 ||
	    __builtin_add_overflow(w->arrived_ms, w->slo_ms, &at))
		return FLOW_NEVER;
	return at;
}

static int64_t deadline_of(const struct waiter *w, enum flow_ordering ordering)
{
	switch (ordering) {
	case FLOW_EDF:
		return w->expires_ms;
	case FLOW_SLO_DEADLINE:
		return slo_deadline(w);
	case FLOW_FCFS:
		break;
	}
	return 0;
}

/* The number was given when it was added. */
static struct flow_key place_key(const struct waiter *w, const struct flow *f)
{
	return (struct flow_key){ deadline_of(w, f->band->options->ordering),
		w->arrived_ms, w->expiry.key.number };
}

static struct flow_key expiry_key(const struct waiter *w, uint64_t number)
{
	return (struct flow_key){ .time_ms = w->expires_ms, .number = number };
}

static struct flow_key flow_key(const struct flow *f)
{
	return f->band->options->fairness == FLOW_ROUND_ROBIN ?
	    (struct flow_key){ .number = f->turn } :
	    f->waiters.first->key;
}

static bool key_is(struct flow_key a, struct flow_key b)
{
	return a.time_ms == b.time_ms && a.arrived_ms == b.arrived_ms &&
	    a.number == b.number;
}

/* Its first waiter or its turn may have changed. */
static void settle(struct flow *f)
{
	struct flow_key key = flow_key(f);

	if (!key_is(key, f->node.key))
		flow_heap_move(&f->band->flows, &f->node, key);
}

/* ---- in and out ---- */

static bool has_room(uint64_t limit, uint64_t used, uint64_t more)
{
	if (limit == 0)
		limit = UINT64_MAX;
	return used <= limit && more <= limit - used;
}

static int check_room(const struct flow_queue *q, const struct waiter *w,
    const struct flow_band_options *o, const struct flow_counts *in_band)
{
	if (!has_room(q->options->max_requests, q->counts.requests, 1) ||
	    !has_room(q->options->max_bytes, q->counts.bytes, w->bytes))
		return FLOW_FULL;
	if (!has_room(o->max_requests, in_band->requests, 1) ||
	    !has_room(o->max_bytes, in_band->bytes, w->bytes))
		return FLOW_BAND_FULL;
	return 0;
}

static void count_in(struct flow_counts *c, const struct waiter *w)
{
	c->requests++;
	c->bytes += w->bytes;
}

static void count_out(struct flow_counts *c, const struct waiter *w)
{
	must(c->requests > 0 && c->bytes >= w->bytes);
	c->requests--;
	c->bytes -= w->bytes;
}

static void enter(struct flow_queue *q, struct waiter *w, struct flow *f)
{
	bool is_new = f->waiters.first == NULL;

	w->flow = f;
	flow_heap_insert(&q->expiries, &w->expiry, expiry_key(w, ++q->number));
	flow_heap_insert(&f->waiters, &w->place, place_key(w, f));
	count_in(&q->counts, w);
	count_in(&f->band->counts, w);
	if (is_new) {
		f->turn = q->number;
		flow_heap_insert(&f->band->flows, &f->node, flow_key(f));
	} else {
		settle(f);
	}
}

int flow_queue_add(struct flow_queue *q, struct waiter *w)
{
	const struct flow_band *b = flow_table_band(&q->table, w->priority);
	const struct flow_band_options *o = b != NULL ? b->options :
	    flow_options_band(q->options, w->priority);
	const struct flow_counts none = { 0 };
	struct flow *f;
	int r;

	must(w->flow == NULL);
	r = check_room(q, w, o, b != NULL ? &b->counts : &none);
	if (r == 0)
		r = flow_table_get(&q->table, w, o, &f);
	if (r == 0)
		enter(q, w, f);
	return r;
}

void flow_queue_drop(struct flow_queue *q, struct waiter *w)
{
	struct flow *f = w->flow;

	must(f != NULL);
	w->flow = NULL;
	flow_heap_remove(&q->expiries, &w->expiry);
	flow_heap_remove(&f->waiters, &w->place);
	count_out(&q->counts, w);
	count_out(&f->band->counts, w);
	if (f->waiters.first != NULL) {
		settle(f);
		return;
	}
	flow_heap_remove(&f->band->flows, &f->node);
	flow_table_drop(&q->table, f);
}

/* A flow that ends here needs no turn: should it come again, it comes last. */
void flow_queue_take(struct flow_queue *q, struct waiter *w)
{
	must(w->flow != NULL);
	w->flow->turn = ++q->number;
	flow_queue_drop(q, w);
}

struct waiter *flow_queue_next(const struct flow_queue *q)
{
	const struct flow_table *t = &q->table;

	if (t->n_bands == 0)
		return NULL;
	return waiter_of(flow_of(t->bands[0]->flows.first)->waiters.first);
}

/* ---- expiry ---- */

static struct waiter *expiry_waiter(struct flow_node *n)
{
	return list_entry(n, struct waiter, expiry);
}

int64_t flow_queue_next_expiry_ms(const struct flow_queue *q)
{
	return q->expiries.first != NULL ? q->expiries.first->key.time_ms :
	    FLOW_NEVER;
}

struct waiter *flow_queue_expired(const struct flow_queue *q, int64_t now_ms)
{
	int64_t at = flow_queue_next_expiry_ms(q);

	return at != FLOW_NEVER && at <= now_ms ?
	    expiry_waiter(q->expiries.first) : NULL;
}

void flow_queue_set_expiry(struct flow_queue *q, struct waiter *w,
    int64_t expires_ms)
{
	struct flow *f = w->flow;

	must(f != NULL);
	w->expires_ms = expires_ms;
	flow_heap_move(&q->expiries, &w->expiry,
	    expiry_key(w, w->expiry.key.number));
	if (f->band->options->ordering != FLOW_EDF)
		return;
	flow_heap_move(&f->waiters, &w->place, place_key(w, f));
	settle(f);
}

/* ---- all at once ---- */

static struct flow_key rekey_waiter(struct flow_node *n, void *data)
{
	(void)data;
	return place_key(waiter_of(n), waiter_of(n)->flow);
}

static struct flow_key rekey_flow(struct flow_node *n, void *data)
{
	flow_heap_rekey(&flow_of(n)->waiters, rekey_waiter, data);
	return flow_key(flow_of(n));
}

static void rekey_band(struct flow_band *b)
{
	flow_heap_rekey(&b->flows, rekey_flow, NULL);
}

static void set_band_options(struct flow_band *b,
    const struct flow_band_options *o)
{
	bool is_same = b->options->fairness == o->fairness &&
	    b->options->ordering == o->ordering;

	b->options = o;
	if (!is_same)
		rekey_band(b);
}

void flow_queue_set_options(struct flow_queue *q,
    const struct flow_options *options)
{
	struct flow_table *t = &q->table;

	q->options = options;
	for (size_t i = 0; i < t->n_bands; i++)
		set_band_options(t->bands[i],
		    flow_options_band(options, t->bands[i]->priority));
}

struct renewal {
	flow_expiry_f *expires_ms;
	void *data;
};

static struct flow_key rekey_expiry(struct flow_node *n, void *data)
{
	const struct renewal *r = data;
	struct waiter *w = expiry_waiter(n);

	w->expires_ms = r->expires_ms(w, r->data);
	return expiry_key(w, n->key.number);
}

void flow_queue_renew(struct flow_queue *q, flow_expiry_f *expires_ms,
    void *data)
{
	struct renewal r = { expires_ms, data };

	flow_heap_rekey(&q->expiries, rekey_expiry, &r);
	for (size_t i = 0; i < q->table.n_bands; i++)
		if (q->table.bands[i]->options->ordering == FLOW_EDF)
			rekey_band(q->table.bands[i]);
}

/* ---- counts ---- */

struct flow_counts flow_queue_counts(const struct flow_queue *q)
{
	struct flow_counts c = q->counts;

	c.flows = q->table.n_flows;
	return c;
}

size_t flow_queue_n_bands(const struct flow_queue *q)
{
	return q->table.n_bands;
}

struct flow_counts flow_queue_band(const struct flow_queue *q, size_t i,
    int32_t *priority)
{
	must(i < q->table.n_bands);
	*priority = q->table.bands[i]->priority;
	return q->table.bands[i]->counts;
}

size_t flow_queue_table_bytes(const struct flow_queue *q)
{
	return q->table.bytes;
}
