/*
 * books_untold.c - what is never told to have ended, and the evidence to give it up
 */
#include "books_parts.h"
#include "endpoints.h"

enum {
	UNTOLD_TIMES = 6,
	QUEUE_TIMEOUT_US = 60 * 1000 * 1000,	/* HAProxy's own, and connecting */
};

static void on_gone(const struct booking *k, void *data)
{
	(void)data;
	books_give_back(k);
}

struct write_off {
	const struct endpoint_live *live;
	uint32_t generation;
	int64_t before_us;
	size_t n, n_helped;		/* at most; helpers' parts so far */
};

/* While somebody prefills for it, its own engine does not know it yet. */
static bool is_written_off(const struct booking *k, void *data)
{
	const struct write_off *w = data;

	return k->live == w->live && k->generation == w->generation &&
	    k->picked_us < w->before_us && !books_is_helped(k);
}

static void write_off_helper(struct booking *k, void *data)
{
	struct write_off *w = data;

	for (size_t i = 0; i < BOOKING_HELPERS; i++) {
		struct booking_helper *h = &k->helpers[i];

		if (w->n_helped == w->n || h->live == NULL ||
		    h->live != w->live || h->generation != w->generation ||
		    k->picked_us >= w->before_us)
			continue;
		books_give_back_helper(h);
		*h = (struct booking_helper){ 0 };
		w->n_helped++;
	}
}

size_t books_write_off(struct books *b, struct endpoint_live *live, size_t n,
    int64_t before_us)
{
	struct write_off w = { .live = live,
		.generation = live_generation(live), .before_us = before_us,
		.n = n };

	if (b == NULL)
		return 0;
	ledger_visit(b->ledger, write_off_helper, &w);
	return w.n_helped + ledger_sweep(b->ledger, n - w.n_helped,
	    is_written_off, on_gone, &w);
}

struct expiry {
	int64_t without_first_us, untold_us;	/* picked before: over */
};

/* Does its own endpoint's engine tell what runs there, not that of a successor? */
static bool is_witnessed(const struct booking *k)
{
	return books_is_there(k, k->live) && atomic_load_explicit(
	    &k->live->is_witnessed, memory_order_relaxed);
}

static bool is_expired(const struct booking *k, void *data)
{
	const struct expiry *e = data;

	if (k->live == NULL)
		return false;		/* waits: by flow_control.h's clock */
	if (k->first_us == 0 && k->picked_us < e->without_first_us)
		return true;
	return k->picked_us < e->untold_us && !is_witnessed(k);
}

size_t books_expire(struct books *b, int64_t now_us)
{
	struct expiry e = { .untold_us =
		now_us - UNTOLD_TIMES * b->server_timeout_us };

	e.without_first_us = atomic_load(&b->firsts_are_told) ?
	    now_us - b->server_timeout_us - QUEUE_TIMEOUT_US : INT64_MIN;
	return ledger_sweep(b->ledger, SIZE_MAX, is_expired, on_gone, &e);
}
