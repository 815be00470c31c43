/*
 * picking.c - candidates, matches, scores, order, reservation
 */
#include "picking.h"

#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "clones.h"
#include "columns.h"
#include "outlier.h"
#include "prefix.h"
#include "request.h"

enum {
	RESERVE_TRIES = 4,	/* then without a new look: somebody must win */
	WHY_MAX = 512,
};

/* ---- candidates ---- */

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
	const struct endpoint_view v = *view;	/* which `rows` is not part of */
	size_t n = 0;

	for (size_t i = 0; i < v.n_endpoints; i++) {
		rows[n] = (uint32_t)i;
		n += is_wanted(&v, i);
	}
	return n;
}

/* When every endpoint looks bad, our picture is the likelier thing to be wrong. */
static void find_candidates(struct picking *p)
{
	const struct endpoint_view *view = p->choice.view;

	p->n_all = rows_of(view, p->all_rows, is_up_and_allowed);
	if (p->n_all == 0)
		p->n_all = rows_of(view, p->all_rows, is_up);
	if (p->n_all == 0)
		p->n_all = rows_of(view, p->all_rows, is_any);
}

bool picking_init(struct picking *p, const struct endpoint_view *view,
    const struct request *request, struct rng *rng, struct arena *arena)
{
	size_t n = view->n_endpoints;

	*p = (struct picking){
		.choice = { .view = view, .request = request,
			.now_ms = request->now_ms },
		.rng = rng, .arena = arena,
		.is_plain = view->schedule->n_profiles == 1 &&
		    view->schedule->profiles->n_filters == 0,
		.all_rows = arena_alloc(arena, n * sizeof(*p->all_rows)),
		.all_matched = arena_alloc(arena, n * sizeof(*p->all_matched)),
		.scores = arena_alloc(arena, n * sizeof(*p->scores)),
		.score = arena_alloc(arena, n * sizeof(*p->score)),
		.keep = arena_alloc(arena, n * sizeof(*p->keep)),
	};
	if (p->all_rows == NULL || p->all_matched == NULL ||
	    p->scores == NULL || p->score == NULL || p->keep == NULL)
		return false;
	find_candidates(p);
	return true;
}

static void add_depths(const struct endpoint_stats *stats,
    const uint32_t *rows, size_t n, const uint16_t *depth, uint16_t *matched)
{
	for (size_t i = 0; i < n; i++)
		matched[i] += depth[stats[rows[i]].slot];
}

/* The index is younger than the view: it may know slots that the view does not. */
bool picking_match(struct picking *p)
{
	const struct endpoint_view *view = p->choice.view;
	const struct request *r = p->choice.request;
	uint16_t *depth = arena_alloc(p->arena, view->n_slots * sizeof(*depth));

	if (depth == NULL)
		return false;
	memset(p->all_matched, 0, p->n_all * sizeof(*p->all_matched));
	for (size_t k = 0; k < r->n_chains; k++) {
		const struct request_chain *c = &r->chains[k];

		memset(depth, 0, view->n_slots * sizeof(*depth));
		if (prefix_match(view->prefix, r->blocks + c->first, c->n,
			depth, view->n_slots) == 0)
			continue;
		add_depths(view->stats, p->all_rows, p->n_all, depth,
		    p->all_matched);
	}
	return true;
}

/* ---- one run ---- */

/* What its scorers ask for. */
static bool init_columns(struct picking *p, size_t n)
{
	const struct profile *profile = p->profile;
	bool wants_live = false, wants_pace = false, wants_lora = false;

	for (size_t k = 0; k < profile->n_scorers; k++) {
		wants_live |= profile->scorers[k].scorer->wants_live;
		wants_pace |= profile->scorers[k].scorer->wants_pace;
		wants_lora |= profile->scorers[k].scorer->wants_lora;
	}
	p->live = (struct live_columns){ 0 };
	p->pace = (struct pace_columns){ 0 };
	p->lora = (struct lora_columns){ 0 };
	return told_columns_init(&p->told, p->arena, n) &&
	    (!(wants_live | wants_pace) ||
		live_columns_init(&p->live, p->arena, n)) &&
	    (!wants_pace || pace_columns_init(&p->pace, p->arena, n)) &&
	    (!wants_lora || p->choice.view->extras == NULL ||
		lora_columns_init(&p->lora, p->arena, n));
}

/* Arrays of its own: what it came to must outlive the next one. */
static bool begin_run(struct picking *p)
{
	size_t n = p->n_all;

	p->unsettled = arena_alloc(p->arena, n * sizeof(*p->unsettled));
	p->rows = p->is_plain ? p->all_rows :
	    arena_alloc(p->arena, n * sizeof(*p->rows));
	p->matched = p->is_plain ? p->all_matched :
	    arena_alloc(p->arena, n * sizeof(*p->matched));
	p->choice.rows = p->rows;
	p->choice.unsettled = p->unsettled;
	p->choice.matched = p->matched;
	p->has_failed |= p->unsettled == NULL || p->rows == NULL ||
	    p->matched == NULL || !init_columns(p, n);
	return !p->has_failed;
}

/* Filters look at live counts too, so each try begins with everybody. */
static void begin_anew(struct picking *p)
{
	p->choice.n = p->n_all;
	p->choice.told = (struct told_columns){ 0 };
	p->choice.live = (struct live_columns){ 0 };
	p->choice.pace = (struct pace_columns){ 0 };
	p->choice.lora = (struct lora_columns){ 0 };
	if (p->is_plain)
		return;
	memcpy(p->rows, p->all_rows, p->n_all * sizeof(*p->rows));
	memcpy(p->matched, p->all_matched, p->n_all * sizeof(*p->matched));
}

static void look_at_live(struct picking *p)
{
	const struct choice c = p->choice;
	uint32_t *out = p->unsettled;

	for (size_t i = 0; i < c.n; i++)
		out[i] = endpoint_unsettled(c.view, c.rows[i]);
}

static void gather(struct picking *p)
{
	told_columns_fill(&p->told, &p->choice);
	if (p->live.requests != NULL)
		live_columns_fill(&p->live, &p->choice);
	if (p->pace.rate != NULL)
		pace_columns_fill(&p->pace, &p->choice);
	if (p->lora.place != NULL)
		lora_columns_fill(&p->lora, &p->choice);
	p->choice.told = p->told;
	p->choice.live = p->live;
	p->choice.pace = p->pace;
	p->choice.lora = p->lora;
}

/* Those that stay move up. */
static void keep_only(struct picking *p, const bool *keep)
{
	size_t n = 0;

	if (memchr(keep, false, p->choice.n) == NULL)
		return;
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
	const struct profile *profile = p->profile;

	for (size_t k = 0; k < profile->n_filters; k++) {
		memset(p->keep, true, p->choice.n * sizeof(*p->keep));
		profile->filters[k].filter->filter(&p->choice,
		    profile->filters[k].params, p->keep);
		keep_only(p, p->keep);
	}
}

static inline float clamped(float v)
{
	return v > 1.0f ? 1.0f : v > 0.0f ? v : 0.0f;	/* NaN becomes 0 */
}

struct weighted {
	float least, most, weight;
};

/*
 * For every scorer and candidate. Limits that gcc does not know, or it makes three
 * times as many instructions; so it is two, minps and maxps. NaN becomes `least`.
 */
CLONED_FOR_AVX2 static __attribute__((noinline)) void add_weighted(
    float *restrict sum, const float *restrict score, struct weighted w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		float v = score[i] > w.least ? score[i] : w.least;

		sum[i] += w.weight * (v < w.most ? v : w.most);
	}
}

static void score_all(struct picking *p)
{
	const struct profile *profile = p->profile;

	memset(p->scores, 0, p->choice.n * sizeof(*p->scores));
	for (size_t k = 0; k < profile->n_scorers; k++) {
		float weight = profile->scorers[k].weight;

		profile->scorers[k].scorer->score(&p->choice,
		    profile->scorers[k].params, p->score);
		add_weighted(p->scores, p->score,
		    (struct weighted){ 0.0f, 1.0f, weight }, p->choice.n);
	}
}

static size_t decide(struct picking *p, uint32_t *best, size_t n_best)
{
	begin_anew(p);
	look_at_live(p);
	filter_all(p);
	if (p->choice.n == 0)
		return 0;
	gather(p);
	score_all(p);
	return p->profile->picker->pick(&p->choice, p->profile->picker_params,
	    p->scores, p->rng, best, n_best);
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
	uint32_t *rows = p->all_rows;
	uint16_t *matched = p->all_matched;
	size_t at = 0;

	while (rows[at] != row)
		at++;
	p->n_all--;
	memmove(rows + at, rows + at + 1, (p->n_all - at) * sizeof(*rows));
	memmove(matched + at, matched + at + 1,
	    (p->n_all - at) * sizeof(*matched));
}

/*
 * An endpoint that comes back by trial takes one request. False: somebody else has
 * the trial, or this is no trial (HAProxy would not tell how it went); it is no
 * candidate any more; what reserve() counted settles by itself.
 */
static bool enter(struct picking *p, uint32_t winner, bool trials)
{
	struct endpoint_live *l = endpoint_live(p->choice.view,
	    p->rows[winner]);
	bool is_free = trials ? outlier_take(l) :
	    atomic_load(&l->breaker) == BREAKER_CLOSED;

	if (is_free || p->n_all == 1 ||
	    atomic_load(&l->breaker) == BREAKER_OPEN)
		return true;	/* OPEN: all are, and it was the best of them */
	forget_row(p, p->rows[winner]);
	return false;
}

static size_t choose_and_reserve(struct picking *p, bool trials,
    uint32_t *best, size_t n_best)
{
	size_t n;

	for (int tries = 0; tries < RESERVE_TRIES; tries++) {
		n = decide(p, best, n_best);
		if (n == 0 || (reserve(p, best[0]) &&
			enter(p, best[0], trials)))
			return n;
	}
	do
		n = decide(p, best, n_best);
	while (n > 0 && !enter(p, best[0], trials));	/* each time one fewer */
	if (n > 0)
		atomic_fetch_add(&endpoint_live(p->choice.view,
		    p->rows[best[0]])->picked, 1);
	return n;
}

void picking_run(struct picking *p, const struct profile *profile,
    const struct endpoint *peer, bool trials, size_t n_best, struct run *run)
{
	run->profile = p->profile = profile;
	p->choice.peer = peer;
	if (!begin_run(p))
		return;
	run->n = choose_and_reserve(p, trials, run->best, n_best);
	run->choice = p->choice;
}

/* ---- why ---- */

/* The scores again, one by one: only for those who asked. */
const char *picking_explain(struct picking *p, uint32_t i)
{
	const struct profile *profile = p->profile;
	const struct request *r = p->choice.request;
	const struct endpoint_stats *s = &p->choice.view->stats[p->rows[i]];
	char *text = arena_alloc(p->arena, WHY_MAX);
	int n;

	if (text == NULL)
		return NULL;
	n = snprintf(text, WHY_MAX,
	    "%.3f of %zu:", (double)p->scores[i], p->choice.n);
	for (size_t k = 0; k < profile->n_scorers && n < WHY_MAX; k++) {
		profile->scorers[k].scorer->score(&p->choice,
		    profile->scorers[k].params, p->score);
		n += snprintf(text + n, (size_t)(WHY_MAX - n), " %s=%.3f*%g",
		    profile->scorers[k].scorer->name,
		    (double)clamped(p->score[i]),
		    (double)profile->scorers[k].weight);
	}
	if (n < WHY_MAX)
		snprintf(text + n, (size_t)(WHY_MAX - n),
		    " queued=%u+%u running=%u kv=%.3f prefix=%u/%zu%s",
		    s->queued, p->unsettled[i], s->running,
		    (double)s->kv_used, p->matched[i], r->n_blocks,
		    r->is_cut ? " cut" : "");
	return text;
}
