/*
 * books.c - the ledger's entries and the counts of live.h, kept in step
 */
#include "books.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "endpoints.h"
#include "held.h"
#include "ledger.h"
#include "options.h"
#include "outlier.h"
#include "pick.h"
#include "prefix.h"
#include "prompt.h"
#include "record.h"

enum {
	/*
	 * One token of a stream as vLLM sends it: an event of OpenAI's
	 * chat.completion.chunk with its ids, and its HTTP chunk. An estimate; what
	 * counts is that it is the same for all endpoints of a pool.
	 */
	STREAM_TOKEN_BYTES = 240,
	/* Of an answer in one piece: its JSON and headers, then text alone. */
	WHOLE_BYTES = 600,
	STREAM_TOKENS_MIN = 8,		/* fewer tell more of headers than of speed */
	UNTOLD_TIMES = 6,
	QUEUE_TIMEOUT_US = 60 * 1000 * 1000,	/* HAProxy's own, and connecting */
};

struct books {
	struct ledger *ledger;
	int64_t server_timeout_us;
	_Atomic bool firsts_are_told;
};

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

static void give_back_helper(const struct booking_helper *h)
{
	if (h->live == NULL)
		return;
	live_count_sub(&h->live->requests, h->generation, 1);
	live_count_sub(&h->live->tokens, h->generation, h->tokens);
}

static void give_back(const struct booking *k)
{
	const struct booking_helper own = { k->live, k->generation, k->tokens };

	give_back_helper(&own);
	for (size_t i = 0; i < BOOKING_HELPERS; i++)
		give_back_helper(&k->helpers[i]);
}

static void on_gone(const struct booking *k, void *data)
{
	(void)data;
	give_back(k);
}

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
		give_back(&old);
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
		give_back(&old);
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

/* A server by its names, as long as the caller is online in the fleet's epoch. */
struct place {
	const struct endpoint_view *view;
	size_t row;
	struct endpoint_live *live;	/* NULL: nobody we know */
};

static struct place find_place(const struct fleet *fleet, struct span pool,
    struct span server)
{
	struct place p = { .view = fleet_find(fleet, pool) };

	if (p.view == NULL)
		return p;
	p.row = endpoint_find(p.view, server);
	if (p.row < p.view->n_endpoints)
		p.live = endpoint_live(p.view, p.row);
	return p;
}

/* Below, a first token tells what else it takes, not how fast prompts are computed. */
enum { PACE_TOKENS_MIN = 64 };

/* Tokens a second; llm-d-router, peakPrefillThroughput. */
enum { PACE_RATE_START = 15928 };

static bool is_helped(const struct booking *k)
{
	bool is = false;

	for (size_t i = 0; i < BOOKING_HELPERS; i++)
		is |= k->helpers[i].live != NULL;
	return is;
}

/*
 * From llm-d's default on, and at most by the factor of 2 a sample: an engine that
 * warms up, or a machine that pauses, must not make it look slow for good, since where
 * prompts are cached no other sample comes.
 */
static float believable(float rate, const struct endpoint_pace *pace)
{
	float now = ewma_get(&pace->prefill_rate);

	if (now <= 0)
		now = PACE_RATE_START;
	return rate < now / 2 ? now / 2 : rate > now * 2 ? now * 2 : rate;
}

/*
 * It took so long to compute the prompt, and what was left of those before it: half,
 * on average. If that is much, the sample says little; nothing, if another one
 * prefilled.
 */
static void note_pace(const struct place *at, const struct booking *k,
    uint32_t tokens, int64_t took_us, int64_t now_us)
{
	struct endpoint_pace *pace = endpoint_pace(at->view, at->row);
	float computed = (float)tokens + (float)k->ahead / 2, base_us;

	if (pace == NULL || k->chosen != at->live ||
	    k->ahead > tokens / 2 || is_helped(k))
		return;
	if (tokens < PACE_TOKENS_MIN) {
		ewma_add(&pace->base_us, (float)took_us, now_us / 1000);
		return;
	}
	base_us = ewma_get(&pace->base_us);
	if ((float)took_us > 2 * base_us && took_us > 0)
		ewma_add(&pace->prefill_rate, believable(1e6f * computed /
		    ((float)took_us - (base_us > 0 ? base_us : 0)), pace),
		    now_us / 1000);
}

struct first {
	struct place place;
	int64_t now_us, took_us;
	bool is_noted;
	struct booking was;
};

/* Its slot may be the same and another endpoint's by now. */
static bool is_there(const struct booking *k, const struct endpoint_live *live)
{
	return k->live == live && k->generation == live_generation(live);
}

/* The row that was picked, if the view still has it. */
static struct place place_of(const struct endpoint_view *view,
    const struct booking *k)
{
	struct place p = { .view = view };

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
static void find_rank(struct place *p, const struct booking *k)
{
	if (p->live != NULL && p->live == k->entry &&
	    live_generation(k->entry) == k->entry_generation)
		*p = place_of(p->view, k);
}

/* Their work was before the first token. */
static void let_helpers_go(struct booking *k)
{
	for (size_t i = 0; i < BOOKING_HELPERS; i++)
		give_back_helper(&k->helpers[i]);
	memset(k->helpers, 0, sizeof(k->helpers));
}

static void move_to(struct booking *k, struct endpoint_live *live)
{
	const struct booking_helper own = { k->live, k->generation, k->tokens };

	give_back_helper(&own);
	k->live = live;
	k->generation = live_generation(live);
	k->tokens = 0;
	live_count_add(&live->requests, 1);
}

/* Under the shard's lock, so that the end cannot come in between. */
static void note_first(struct booking *k, void *data)
{
	struct first *f = data;

	if (k->live == NULL || k->first_us != 0)
		return;
	f->was = *k;
	let_helpers_go(k);
	find_rank(&f->place, k);
	if (f->place.live != NULL && !is_there(k, f->place.live))
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
	note_pace(&f.place, &f.was, f.was.tokens, f.took_us, now_us);
	outlier_served(f.place.view, f.place.row);
}

/* ---- the end ---- */

static void note_latency(const struct place *at, const struct booking *k,
    const struct record *r, int64_t now_us)
{
	struct endpoint_pace *pace = endpoint_pace(at->view, at->row);
	int64_t first_us = k->first_us, tokens;

	if (k->first_us == 0 && record_has_ttft(r)) {
		ewma_add(&at->live->ttft_us, (float)r->ttft_us, now_us / 1000);
		note_pace(at, k, k->tokens, r->ttft_us, now_us);
		first_us = k->picked_us + r->ttft_us;
	}
	if (first_us != 0 && first_us < now_us && pace != NULL)
		ewma_add(&pace->serve_us, (float)(now_us - first_us),
		    now_us / 1000);
	tokens = (int64_t)(r->bytes / STREAM_TOKEN_BYTES);
	if (k->is_stream && first_us != 0 && first_us < now_us &&
	    tokens >= STREAM_TOKENS_MIN)
		ewma_add(&at->live->token_us,
		    (float)(now_us - first_us) / (float)tokens, now_us / 1000);
}

/* Of the answer, by its bytes: nobody tells us the number itself. */
static uint64_t tokens_of(const struct booking *k, uint64_t bytes)
{
	uint64_t tokens = bytes / STREAM_TOKEN_BYTES;

	if (!k->is_stream)
		tokens = bytes > WHOLE_BYTES ?
		    (bytes - WHOLE_BYTES) / PROMPT_TOKEN_BYTES : 0;
	return k->max_tokens > 0 && tokens > k->max_tokens ? k->max_tokens :
	    tokens;
}

/* Its engine has it cached behind the prompt: there it takes its room. */
static void note_answer(const struct place *at, const struct booking *k,
    const struct record *r)
{
	uint32_t block_bytes = at->view->block_bytes;
	uint64_t n;

	if (k->last_block == 0 || r->status != 200 || at->live != k->chosen ||
	    live_generation(k->chosen) != k->chosen_generation)
		return;
	n = (tokens_of(k, r->bytes) * PROMPT_TOKEN_BYTES + block_bytes / 2) /
	    block_bytes;
	prefix_answered(at->view->prefix, at->view->endpoints[at->row].slot,
	    k->last_block, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX);
}

static void note_outcome(const struct place *at, bool is_failure, int64_t now_us,
    struct counters *c)
{
	ewma_add(&at->live->error_rate, is_failure ? 1.0f : 0.0f, now_us / 1000);
	if (!is_failure) {
		outlier_served(at->view, at->row);
		return;
	}
	counter_add(c->server_failures, 1);
	if (outlier_failed(at->view, at->row, now_us / 1000))
		counter_add(c->ejections, 1);
}

/* HAProxy turned away from the endpoint that we chose: that is its failure. */
static void note_move(const struct place *served, const struct booking *k,
    const struct record *r, int64_t now_us, struct counters *c)
{
	struct place chosen = place_of(served->view, k);

	counter_add(c->moved, 1);
	if (chosen.live != NULL && (r->n_retries > 0 || r->is_redispatched))
		note_outcome(&chosen, true, now_us, c);
}

struct held *books_end(struct books *b, const struct fleet *fleet,
    const struct record *r, int64_t now_us, struct counters *c)
{
	struct place served = find_place(fleet, r->pool, r->server);
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
	give_back(&k);
	if (is_booked)
		find_rank(&served, &k);
	if (served.live == NULL)
		return NULL;
	if (is_booked && k.chosen != served.live)
		note_move(&served, &k, r, now_us, c);
	if (is_booked)
		note_answer(&served, &k, r);
	if (is_booked && blame == RECORD_SERVED)
		note_latency(&served, &k, r, now_us);
	if (blame != RECORD_NEUTRAL)
		note_outcome(&served, blame == RECORD_FAILED, now_us, c);
	return NULL;
}

/* ---- what is never told ---- */

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
	    k->picked_us < w->before_us && !is_helped(k);
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
		give_back_helper(h);
		*h = (struct booking_helper){ 0 };
		w->n_helped++;
	}
}

size_t books_write_off(struct books *b, struct endpoint_live *live, size_t n,
    int64_t before_us)
{
	struct write_off w = { .live = live, .generation = live_generation(live),
		.before_us = before_us, .n = n };

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
	return is_there(k, k->live) && atomic_load_explicit(
	    &k->live->is_witnessed, memory_order_relaxed);
}

static bool is_expired(const struct booking *k, void *data)
{
	const struct expiry *e = data;

	if (k->live == NULL)
		return false;		/* waits: flow.c has its own clock */
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

size_t books_count(const struct books *b)
{
	return ledger_count(b->ledger);
}
