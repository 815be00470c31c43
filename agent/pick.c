/*
 * pick.c - candidates, scores, order, reservation
 */
#include "pick.h"

#include <stdbool.h>
#include <stdio.h>

#include "arena.h"
#include "plugin.h"
#include "prefix.h"
#include "request.h"
#include "rng.h"

enum {
	RESERVE_TRIES = 4,	/* then without a new look: somebody must win */
	WHY_MAX = 512,
};

/* All that one pick needs, in the worker's arena. */
struct picking {
	struct choice choice;
	uint32_t *rows, *unsettled;
	uint16_t *matched, *depth;
	float *scores, *score;
	struct rng *rng;
};

static bool picking_init(struct picking *p, const struct endpoint_view *view,
    const struct request *request, struct rng *rng, struct arena *arena)
{
	size_t n = view->n_endpoints;

	*p = (struct picking){
		.choice = { .view = view, .request = request },
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
	return p->rows != NULL && p->unsettled != NULL && p->matched != NULL &&
	    p->depth != NULL && p->scores != NULL && p->score != NULL;
}

static size_t rows_not(const struct endpoint_view *view, uint8_t health,
    uint32_t *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < view->n_endpoints; i++)
		if (view->stats[i].health != health)
			rows[n++] = (uint32_t)i;
	return n;
}

/* When every endpoint looks down, our picture is the likelier thing to be wrong. */
static void find_candidates(struct picking *p)
{
	const struct endpoint_view *view = p->choice.view;

	p->choice.n = rows_not(view, ENDPOINT_DOWN, p->rows);
	if (p->choice.n == 0)
		p->choice.n = rows_not(view, UINT8_MAX, p->rows);
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

		profile->scorers[k].scorer->score(&p->choice, p->score);
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
	    &view->live[view->stats[row].slot].picked, &seen, seen + 1);
}

static size_t choose_and_reserve(struct picking *p, uint32_t *best)
{
	const struct profile *profile = p->choice.view->profile;
	size_t n = 0;

	for (int tries = 0; tries < RESERVE_TRIES; tries++) {
		look_at_live(p);
		score_all(p);
		n = profile->picker->pick(&p->choice, p->scores, p->rng, best,
		    PICK_CHOICES_MAX);
		if (n == 0 || reserve(p, best[0]))
			return n;
	}
	atomic_fetch_add(&p->choice.view->live[candidate(p, best[0])->slot]
	    .picked, 1);
	return n;
}

static void remember_prompt(struct picking *p, uint32_t winner)
{
	const struct request *r = p->choice.request;
	uint32_t hint = r->n_chains == 1 ? p->matched[winner] : 0;

	for (size_t k = 0; k < r->n_chains; k++)
		prefix_insert(p->choice.view->prefix, candidate(p, winner)->slot,
		    r->blocks + r->chains[k].first, r->chains[k].n, hint);
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
		profile->scorers[k].scorer->score(&p->choice, p->score);
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

static void pick_scheduled(struct pick *out, struct picking *p,
    struct arena *arena)
{
	uint32_t best[PICK_CHOICES_MAX];

	match_prompt(p);
	out->n = choose_and_reserve(p, best);
	if (out->n == 0)
		return;
	remember_prompt(p, best[0]);
	for (size_t i = 0; i < out->n; i++)
		out->choices[i] = candidate(p, best[i]);
	if (p->choice.request->wants_why)
		out->why = explain(p, best[0], arena);
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
