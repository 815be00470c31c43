/*
 * books.c - the ledger's entries and the counts of live.h, kept in step
 */
#include "books.h"

#include <stdlib.h>
#include <string.h>

#include "books_parts.h"
#include "counters.h"
#include "endpoints.h"
#include "held.h"
#include "options.h"
#include "outlier.h"
#include "pick.h"
#include "record.h"

struct books *books_new(const struct feedback_options *o, uint64_t secret)
{
	struct books *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->server_timeout_us = o->server_timeout_ms * 1000;
	b->ledger = ledger_new(o->max_requests, secret);
	if (b->ledger == NULL) {
		free(b);
		return NULL;
	}
	return b;
}

void books_free(struct books *b)
{
	if (b == NULL)
		return;
	ledger_free(b->ledger);
	free(b);
}

/*
 * Can a line tell of it? Where a client chooses the id it may choose one that no line
 * can carry, and would be booked for nothing: record.h reads it the same way.
 */
static bool is_tellable(struct span id)
{
	for (size_t i = 0; i < id.len && i <= RECORD_ID_MAX; i++)
		if (id.ptr[i] <= ' ' || id.ptr[i] > '~')
			return false;
	return id.len > 0 && id.len <= RECORD_ID_MAX && !span_is_text(id, "-");
}

/* ---- giving back ---- */

void books_give_back_helper(const struct booking_helper *h)
{
	if (h->live == NULL)
		return;
	live_count_sub(&h->live->requests, h->generation, 1);
	live_count_sub(&h->live->tokens, h->generation, h->tokens);
}

void books_give_back(const struct booking *k)
{
	const struct booking_helper own = { k->live, k->generation, k->tokens };

	books_give_back_helper(&own);
	for (size_t i = 0; i < BOOKING_HELPERS; i++)
		books_give_back_helper(&k->helpers[i]);
}

bool books_is_helped(const struct booking *k)
{
	bool is = false;

	for (size_t i = 0; i < BOOKING_HELPERS; i++)
		is |= k->helpers[i].live != NULL;
	return is;
}

/* ---- the pick, and who waits for one ---- */

static void take_helpers(struct booking *k, const struct pick *pick)
{
	_Static_assert((int)BOOKING_HELPERS == (int)PICK_HELPERS,
	    "a pick's helpers are a booking's");
	for (size_t i = 0; i < BOOKING_HELPERS; i++) {
		struct endpoint_live *l = pick->helpers[i].live;

		if (l != NULL)
			k->helpers[i] = (struct booking_helper){ l,
				live_generation(l), pick->helpers[i].tokens };
	}
	k->entry = pick->entry;
	if (k->entry != NULL)
		k->entry_generation = live_generation(k->entry);
}

void books_open(struct books *b, struct span id, struct pick *pick,
    bool is_stream, int64_t now_us, struct counters *c)
{
	struct booking old, k = { .live = pick->live, .chosen = pick->live,
		.tokens = pick->tokens, .ahead = pick->ahead,
		.max_tokens = pick->max_tokens, .last_block = pick->last_block,
		.picked_us = now_us, .is_stream = is_stream };

	if (pick->live == NULL)
		return;
	if (b == NULL || !is_tellable(id)) {
		pick_undo(pick);
		return;
	}
	k.generation = k.chosen_generation = live_generation(pick->live);
	take_helpers(&k, pick);
	switch (ledger_put(b->ledger, ledger_key(b->ledger, id), &k, &old)) {
	case LEDGER_OK:
		break;
	case LEDGER_REPLACED:	/* it asks again: the last answer counts */
		books_give_back(&old);
		break;
	case LEDGER_WAITING:
	case LEDGER_FULL:
		counter_add(c->unbooked, 1);
		pick_undo(pick);
		break;
	}
}

bool books_hold(struct books *b, struct span id, struct held *held,
    int64_t now_us)
{
	struct booking old, k = { .picked_us = now_us, .waits = held };

	if (b == NULL || !is_tellable(id))
		return false;
	switch (ledger_put(b->ledger, ledger_key(b->ledger, id), &k, &old)) {
	case LEDGER_OK:
		return true;
	case LEDGER_REPLACED:
		books_give_back(&old);
		return true;
	case LEDGER_WAITING:
	case LEDGER_FULL:
		break;
	}
	return false;
}

/* By where its copy of the id lies; while it is booked, it lives. */
static bool is_held_of(const struct booking *k, const void *id)
{
	return k->waits != NULL && k->waits->ask.id.ptr == id;
}

/* Behind an end, the same id may be somebody else's already. */
bool books_unhold(struct books *b, struct span id)
{
	struct booking k;

	return ledger_take_if(b->ledger, ledger_key(b->ledger, id), is_held_of,
	    id.ptr, &k);
}

/* ---- where it really is ---- */

static struct books_place find_place(const struct fleet *fleet,
    struct span pool, struct span server)
{
	struct books_place p = { .view = fleet_find(fleet, pool) };

	if (p.view == NULL)
		return p;
	p.row = endpoint_find(p.view, server);
	if (p.row < p.view->n_endpoints)
		p.live = endpoint_live(p.view, p.row);
	return p;
}

bool books_is_there(const struct booking *k, const struct endpoint_live *live)
{
	return k->live == live && k->generation == live_generation(live);
}

struct books_place books_place_of(const struct endpoint_view *view,
    const struct booking *k)
{
	struct books_place p = { .view = view };

	if (live_generation(k->chosen) != k->chosen_generation)
		return p;
	for (p.row = 0; p.row < view->n_endpoints; p.row++)
		if (endpoint_live(view, p.row) == k->chosen) {
			p.live = k->chosen;
			break;
		}
	return p;
}

/* The server told of forwards to the rank that was picked: then that is the place. */
static void find_rank(struct books_place *p, const struct booking *k)
{
	if (p->live != NULL && p->live == k->entry &&
	    live_generation(k->entry) == k->entry_generation)
		*p = books_place_of(p->view, k);
}

/* Their work was before the first token. */
static void let_helpers_go(struct booking *k)
{
	for (size_t i = 0; i < BOOKING_HELPERS; i++)
		books_give_back_helper(&k->helpers[i]);
	memset(k->helpers, 0, sizeof(k->helpers));
}

static void move_to(struct booking *k, struct endpoint_live *live)
{
	const struct booking_helper own = { k->live, k->generation, k->tokens };

	books_give_back_helper(&own);
	k->live = live;
	k->generation = live_generation(live);
	k->tokens = 0;
	live_count_add(&live->requests, 1);
}

struct first {
	struct books_place place;
	int64_t now_us, took_us;
	bool is_noted;
	struct booking was;
};

/* Under the shard's lock, so that the end cannot come in between. */
static void note_first(struct booking *k, void *data)
{
	struct first *f = data;

	if (k->live == NULL || k->first_us != 0)
		return;
	f->was = *k;
	let_helpers_go(k);
	find_rank(&f->place, k);
	if (f->place.live != NULL && !books_is_there(k, f->place.live))
		move_to(k, f->place.live);
	live_count_sub(&k->live->tokens, k->generation, k->tokens);
	k->tokens = 0;
	k->first_us = f->now_us;
	/* Two workers' turns: what is later may have begun earlier. */
	f->took_us = f->now_us > k->picked_us ? f->now_us - k->picked_us : 0;
	f->is_noted = true;
}

void books_first(struct books *b, const struct fleet *fleet, struct span id,
    struct span pool, struct span server, int64_t now_us, struct counters *c)
{
	struct first f = { .place = find_place(fleet, pool, server),
		.now_us = now_us };

	counter_add(c->first_tokens, 1);
	if (b == NULL || !is_tellable(id))
		return;
	if (!atomic_load_explicit(&b->firsts_are_told, memory_order_relaxed))
		b->firsts_are_told = true;
	ledger_change(b->ledger, ledger_key(b->ledger, id), note_first, &f);
	if (!f.is_noted || f.place.live == NULL)
		return;
	ewma_add(&f.place.live->ttft_us, (float)f.took_us, now_us / 1000);
	books_note_pace(&f.place, &f.was, f.was.tokens, f.took_us, now_us);
	outlier_served(f.place.view, f.place.row);
}

/* ---- the end ---- */

struct held *books_end(struct books *b, const struct fleet *fleet,
    const struct record *r, int64_t now_us, struct counters *c)
{
	struct books_place served = find_place(fleet, r->pool, r->server);
	struct booking k = { 0 };
	bool is_booked = r->id.len > 0 && ledger_take(b->ledger,
	    ledger_key(b->ledger, r->id), &k);
	enum record_blame blame = record_blame(r);

	if (is_booked)
		counter_add(c->ends, 1);
	else
		counter_add(c->unknown_ends, 1);
	if (k.waits != NULL)
		return k.waits;
	books_give_back(&k);
	if (is_booked)
		find_rank(&served, &k);
	if (served.live == NULL)
		return NULL;
	if (is_booked && k.chosen != served.live)
		books_note_move(&served, &k, r, now_us, c);
	if (is_booked)
		books_note_answer(&served, &k, r);
	if (is_booked && blame == RECORD_SERVED)
		books_note_latency(&served, &k, r, now_us);
	if (blame != RECORD_NEUTRAL)
		books_note_outcome(&served, blame == RECORD_FAILED, now_us, c);
	return NULL;
}

size_t books_count(const struct books *b)
{
	return ledger_count(b->ledger);
}
