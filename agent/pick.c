/*
 * pick.c - candidates, scores, order, reservation
 */
#include "pick.h"

#include <stdbool.h>
#include <stdio.h>

#include "arena.h"
#include "options.h"
#include "outlier.h"
#include "plugin.h"
#include "prefix.h"
#include "prompt.h"
#include "request.h"
#include "rng.h"

enum {
	RESERVE_TRIES = 4,	/* then without a new look: somebody must win */
	WHY_MAX = 512,
	TOKENS_MAX = 1 << 20,	/* of one request: more is not a prompt */
};

/* All that one pick needs, in the worker's arena. */
struct picking {
	struct choice choice;
	uint32_t *rows, *unsettled;
	uint16_t *matched, *depth;
	float *scores, *score;
	struct rng *rng;
	/* With filters: what they begin with, each time. */
	uint32_t *all_rows;
	uint16_t *all_matched;
	size_t n_all;
	bool *keep;
};

static bool has_filters(const struct picking *p)
{
	return p->choice.view->profile->n_filters > 0;
}

static bool picking_init(struct picking *p, const struct endpoint_view *view,
    const struct request *request, struct rng *rng, struct arena *arena)
{
	size_t n = view->n_endpoints;

	*p = (struct picking){
		.choice = { .view = view, .request = request,
			.now_ms = request->now_ms },
		.rng = rng,
		.rows = arena_alloc(arena, n * sizeof(*p->rows)),
		.unsettled = arena_alloc(arena, n * sizeof(*p->unsettled)),
		.matched = arena_alloc(arena, n * sizeof(*p->matched)),
		.depth = arena_alloc(arena, view->n_slots * sizeof(*p->depth)),
		.scores = arena_alloc(arena, n * sizeof(*p->scores)),
		.score = arena_alloc(arena, n * sizeof(*p->score)),
	};
	p->choice.rows = p->rows;
	p->choice.unsettled = p->unsettled;
	p->choice.matched = p->matched;
	if (has_filters(p)) {
		p->all_rows = arena_alloc(arena, n * sizeof(*p->all_rows));
		p->all_matched = arena_alloc(arena, n * sizeof(*p->all_matched));
		p->keep = arena_alloc(arena, n * sizeof(*p->keep));
		if (p->all_rows == NULL || p->all_matched == NULL ||
		    p->keep == NULL)
			return false;
	}
	return p->rows != NULL && p->unsettled != NULL && p->matched != NULL &&
	    p->depth != NULL && p->scores != NULL && p->score != NULL;
}

static bool is_any(const struct endpoint_view *view, size_t row)
{
	(void)view;
	(void)row;
	return true;
}

static bool is_up(const struct endpoint_view *view, size_t row)
{
	return view->stats[row].health != ENDPOINT_DOWN;
}

static bool is_up_and_allowed(const struct endpoint_view *view, size_t row)
{
	return is_up(view, row) && outlier_allows(endpoint_live(view, row));
}

typedef bool wanted_f(const struct endpoint_view *view, size_t row);

/* Inline, so that each use is a loop of its own without calls. */
static inline size_t rows_of(const struct endpoint_view *view, uint32_t *rows,
    wanted_f *is_wanted)
{
	size_t n = 0;

	for (size_t i = 0; i < view->n_endpoints; i++)
		if (is_wanted(view, i))
			rows[n++] = (uint32_t)i;
	return n;
}

/* When every endpoint looks bad, our picture is the likelier thing to be wrong. */
static void find_candidates(struct picking *p)
{
	const struct endpoint_view *view = p->choice.view;

	p->choice.n = rows_of(view, p->rows, is_up_and_allowed);
	if (p->choice.n == 0)
		p->choice.n = rows_of(view, p->rows, is_up);
	if (p->choice.n == 0)
		p->choice.n = rows_of(view, p->rows, is_any);
}

/* The index is younger than the view: it may know slots that the view does not. */
static void match_prompt(struct picking *p)
{
	const struct endpoint_view *view = p->choice.view;
	const struct request *r = p->choice.request;

	memset(p->matched, 0, p->choice.n * sizeof(*p->matched));
	for (size_t k = 0; k < r->n_chains; k++) {
		const struct request_chain *c = &r->chains[k];

		memset(p->depth, 0, view->n_slots * sizeof(*p->depth));
		if (prefix_match(view->prefix, r->blocks + c->first, c->n,
			p->depth, view->n_slots) == 0)
			continue;
		for (size_t i = 0; i < p->choice.n; i++)
			p->matched[i] += p->depth[
			    view->stats[p->rows[i]].slot];
	}
}

static void look_at_live(struct picking *p)
{
	for (size_t i = 0; i < p->choice.n; i++)
		p->unsettled[i] = endpoint_unsettled(p->choice.view,
		    p->rows[i]);
}

/* Those that stay move up. */
static void keep_only(struct picking *p, const bool *keep)
{
	size_t n = 0;

	for (size_t i = 0; i < p->choice.n; i++) {
		if (!keep[i])
			continue;
		p->rows[n] = p->rows[i];
		p->matched[n] = p->matched[i];
		p->unsettled[n++] = p->unsettled[i];
	}
	p->choice.n = n;
}

static void filter_all(struct picking *p)
{
	const struct profile *profile = p->choice.view->profile;

	for (size_t k = 0; k < profile->n_filters; k++) {
		memset(p->keep, true, p->choice.n * sizeof(*p->keep));
		profile->filters[k].filter->filter(&p->choice,
		    profile->filters[k].params, p->keep);
		keep_only(p, p->keep);
	}
}

/* Filters look at live counts too, so each try begins with everybody. */
static void remember_all(struct picking *p)
{
	p->n_all = p->choice.n;
	if (!has_filters(p))
		return;
	memcpy(p->all_rows, p->rows, p->n_all * sizeof(*p->rows));
	memcpy(p->all_matched, p->matched, p->n_all * sizeof(*p->matched));
}

static void begin_anew(struct picking *p)
{
	if (!has_filters(p))
		return;
	p->choice.n = p->n_all;
	memcpy(p->rows, p->all_rows, p->n_all * sizeof(*p->rows));
	memcpy(p->matched, p->all_matched, p->n_all * sizeof(*p->matched));
}

static float clamped(float v)
{
	return v > 1.0f ? 1.0f : v > 0.0f ? v : 0.0f;	/* NaN becomes 0 */
}

static void score_all(struct picking *p)
{
	const struct profile *profile = p->choice.view->profile;

	memset(p->scores, 0, p->choice.n * sizeof(*p->scores));
	for (size_t k = 0; k < profile->n_scorers; k++) {
		float weight = profile->scorers[k].weight;

		profile->scorers[k].scorer->score(&p->choice,
		    profile->scorers[k].params, p->score);
		for (size_t i = 0; i < p->choice.n; i++)
			p->scores[i] += weight * clamped(p->score[i]);
	}
}

static const struct endpoint *candidate(const struct picking *p, uint32_t i)
{
	return &p->choice.view->endpoints[p->rows[i]];
}

/* True when the winner's count is still what it was scored by, and now one more. */
static bool reserve(struct picking *p, uint32_t winner)
{
	const struct endpoint_view *view = p->choice.view;
	uint32_t row = p->rows[winner];
	uint32_t seen = view->stats[row].settled + p->unsettled[winner];

	return atomic_compare_exchange_strong(
	    &endpoint_live(view, row)->picked, &seen, seen + 1);
}

static void forget_row(struct picking *p, uint32_t row)
{
	uint32_t *rows = has_filters(p) ? p->all_rows : p->rows;
	uint16_t *matched = has_filters(p) ? p->all_matched : p->matched;
	size_t at = 0;

	while (rows[at] != row)
		at++;
	p->n_all--;
	memmove(rows + at, rows + at + 1, (p->n_all - at) * sizeof(*rows));
	memmove(matched + at, matched + at + 1,
	    (p->n_all - at) * sizeof(*matched));
	p->choice.n = p->n_all;
}

/*
 * An endpoint that comes back by trial takes one request. False: somebody else has
 * the trial, and it is no candidate any more; what reserve() counted settles by itself.
 */
static bool enter(struct picking *p, uint32_t winner)
{
	struct endpoint_live *l = endpoint_live(p->choice.view,
	    p->rows[winner]);

	if (outlier_take(l) || p->n_all == 1 ||
	    atomic_load(&l->breaker) == BREAKER_OPEN)
		return true;	/* OPEN: all are, and it was the best of them */
	forget_row(p, p->rows[winner]);
	return false;
}

static size_t decide(struct picking *p, uint32_t *best)
{
	const struct profile *profile = p->choice.view->profile;

	begin_anew(p);
	look_at_live(p);
	filter_all(p);
	if (p->choice.n == 0)
		return 0;
	score_all(p);
	return profile->picker->pick(&p->choice, profile->picker_params,
	    p->scores, p->rng, best, PICK_CHOICES_MAX);
}

static size_t choose_and_reserve(struct picking *p, uint32_t *best)
{
	size_t n;

	for (int tries = 0; tries < RESERVE_TRIES; tries++) {
		n = decide(p, best);
		if (n == 0 || (reserve(p, best[0]) && enter(p, best[0])))
			return n;
	}
	do
		n = decide(p, best);
	while (n > 0 && !enter(p, best[0]));	/* each time one fewer */
	if (n > 0)
		atomic_fetch_add(&endpoint_live(p->choice.view,
		    p->rows[best[0]])->picked, 1);
	return n;
}

/* What its engine has to prefill, as far as we can tell. */
static uint32_t tokens_of(const struct picking *p, uint32_t winner)
{
	const struct request *r = p->choice.request;
	uint64_t held = (uint64_t)p->matched[winner] *
	    p->choice.view->block_bytes;
	uint64_t bytes = r->prompt_bytes + r->unseen_bytes;
	uint64_t tokens = bytes > held ? (bytes - held) / PROMPT_TOKEN_BYTES : 0;

	return tokens < TOKENS_MAX ? (uint32_t)tokens : TOKENS_MAX;
}

/* What the engine computes first; of a full one, that says nothing. */
static uint32_t tokens_ahead(const struct picking *p, uint32_t winner)
{
	const struct endpoint_view *view = p->choice.view;
	const struct endpoint_stats *s = &view->stats[p->rows[winner]];
	const struct endpoint_live *l = &view->live[s->slot];
	const struct pool_live *pool = view->pool_live;
	uint32_t batch = pool == NULL || pool->pace == NULL ? 0 :
	    atomic_load_explicit(&pool->pace[s->slot].batch,
		memory_order_relaxed);

	if (batch != 0 && live_count_get(&l->requests) >= batch)
		return PICK_WAITS;
	return live_count_get(&l->tokens);
}

static void put_in_flight(struct pick *out, struct picking *p, uint32_t winner)
{
	out->live = endpoint_live(p->choice.view, p->rows[winner]);
	out->tokens = tokens_of(p, winner);
	out->ahead = tokens_ahead(p, winner);
	live_count_add(&out->live->requests, 1);
	if (!live_count_add(&out->live->tokens, out->tokens))
		out->tokens = 0;
}

void pick_undo(struct pick *pick)
{
	if (pick->live == NULL)
		return;
	/* The view that named the slot is still ours: it cannot be renewed. */
	live_count_sub(&pick->live->requests, live_generation(pick->live), 1);
	live_count_sub(&pick->live->tokens, live_generation(pick->live),
	    pick->tokens);
	pick->live = NULL;
}

/* Where its answer will stand. The last block is hardly ever full. */
static void note_end(struct pick *out, const struct request *r)
{
	size_t n = r->n_chains == 1 ? r->chains[0].n : 0;

	if (n > 0)
		out->last_block = r->blocks[r->chains[0].first +
		    (n > 1 ? n - 2 : 0)];
	out->max_tokens = r->max_tokens < UINT32_MAX ?
	    (uint32_t)r->max_tokens : 0;
}

static void remember_prompt(struct picking *p, uint32_t winner)
{
	const struct request *r = p->choice.request;
	uint32_t hint = r->n_chains == 1 ? p->matched[winner] : 0;

	for (size_t k = 0; k < r->n_chains; k++)
		prefix_insert(p->choice.view->prefix, candidate(p, winner)->slot,
		    r->blocks + r->chains[k].first, r->chains[k].n, hint);
}

/* For plugins that remember what became of their opinion. */
static void tell_picked(const struct picking *p, uint32_t winner)
{
	const struct profile *profile = p->choice.view->profile;

	for (size_t k = 0; k < profile->n_filters; k++)
		if (profile->filters[k].filter->picked != NULL)
			profile->filters[k].filter->picked(&p->choice,
			    profile->filters[k].params, winner);
	for (size_t k = 0; k < profile->n_scorers; k++)
		if (profile->scorers[k].scorer->picked != NULL)
			profile->scorers[k].scorer->picked(&p->choice,
			    profile->scorers[k].params, winner);
}

/* The winner's scores again, one by one: only for those who asked. */
static const char *explain(struct picking *p, uint32_t winner,
    struct arena *arena)
{
	const struct profile *profile = p->choice.view->profile;
	const struct request *r = p->choice.request;
	const struct endpoint_stats *s =
	    &p->choice.view->stats[p->rows[winner]];
	char *text = arena_alloc(arena, WHY_MAX);
	int n;

	if (text == NULL)
		return NULL;
	n = snprintf(text, WHY_MAX,
	    "%.3f of %zu:", (double)p->scores[winner], p->choice.n);
	for (size_t k = 0; k < profile->n_scorers && n < WHY_MAX; k++) {
		profile->scorers[k].scorer->score(&p->choice,
		    profile->scorers[k].params, p->score);
		n += snprintf(text + n, (size_t)(WHY_MAX - n), " %s=%.3f*%g",
		    profile->scorers[k].scorer->name,
		    (double)clamped(p->score[winner]),
		    (double)profile->scorers[k].weight);
	}
	if (n < WHY_MAX)
		snprintf(text + n, (size_t)(WHY_MAX - n),
		    " queued=%u+%u running=%u kv=%.3f prefix=%u/%zu%s",
		    s->queued, p->unsettled[winner], s->running,
		    (double)s->kv_used, p->matched[winner], r->n_blocks,
		    r->is_cut ? " cut" : "");
	return text;
}

/* No body, no scheduling: any endpoint will do. llm-d-router: random too. */
static void pick_any(struct pick *out, struct picking *p)
{
	size_t from = rng_below(p->rng, (uint32_t)p->choice.n);

	while (out->n < p->choice.n && out->n < PICK_CHOICES_MAX) {
		out->choices[out->n] = candidate(p,
		    (uint32_t)((from + out->n) % p->choice.n));
		out->n++;
	}
	out->why = p->choice.request->wants_why ? "no body: any endpoint" : NULL;
}

/* Source: llm-d-router's scheduler: no endpoint passed, hence 429. */
static void refuse_filtered(struct pick *out, const struct endpoint_view *view)
{
	out->status = 429;
	out->reason = "rejected-saturated";
	out->message = "no endpoint of the pool passes the filters";
	out->retry_after_s =
	    (uint32_t)view->options->saturation.retry_after_s;
}

static void pick_scheduled(struct pick *out, struct picking *p,
    struct arena *arena)
{
	uint32_t best[PICK_CHOICES_MAX];

	match_prompt(p);
	remember_all(p);
	out->n = choose_and_reserve(p, best);
	if (out->n == 0) {
		refuse_filtered(out, p->choice.view);
		return;
	}
	put_in_flight(out, p, best[0]);
	remember_prompt(p, best[0]);
	note_end(out, p->choice.request);
	for (size_t i = 0; i < out->n; i++)
		out->choices[i] = candidate(p, best[i]);
	if (p->choice.request->wants_why)
		out->why = explain(p, best[0], arena);
	tell_picked(p, best[0]);	/* behind explain(): it must not change why */
}

void pick_settle(struct pick *pick, const struct endpoint_view *view)
{
	if (pick->n > 0 || pick->status != 0 ||
	    view->options->failure_mode == FAIL_OPEN)
		return;
	pick->status = 503;
	pick->message = "the endpoint picker cannot schedule the request";
	pick->retry_after_s =
	    (uint32_t)view->options->saturation.retry_after_s;
}

void pick_endpoint(struct pick *out, const struct endpoint_view *view,
    const struct request *request, struct rng *rng, struct arena *arena)
{
	struct picking p;

	*out = (struct pick){ .status = request->status,
		.message = request->message };
	if (request->status != 0)
		return;
	if (view->n_endpoints == 0) {
		if (!view->is_known)
			return;	/* we cannot know better than HAProxy */
		out->status = 503;
		out->reason = "rejected-no-endpoints";
		out->message = "the pool has no endpoints";
		out->retry_after_s =
		    (uint32_t)view->options->saturation.retry_after_s;
		return;
	}
	if (!picking_init(&p, view, request, rng, arena))
		return;
	find_candidates(&p);
	if (request->has_body)
		pick_scheduled(out, &p, arena);
	else
		pick_any(out, &p);
}
