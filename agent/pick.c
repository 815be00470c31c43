/*
 * pick.c - which profiles are run for one request, and what comes of it
 */
#include "pick.h"

#include <stdbool.h>
#include <string.h>

#include "arena.h"
#include "entries.h"
#include "options.h"
#include "picking.h"
#include "prefix.h"
#include "prompt.h"
#include "request.h"
#include "rng.h"

enum { TOKENS_MAX = 1 << 20 };	/* of one request: more is not a prompt */

/* ---- running them ---- */

/* All that one pick by profiles needs, on the stack. */
struct course {
	struct picking *p;
	struct stages stages;
	struct run runs[N_STAGES];
	const char *why;
};

static const struct endpoint *endpoint_of(const struct run *run, size_t i)
{
	return &run->choice.view->endpoints[run->choice.rows[run->best[i]]];
}

static bool has_won(const struct run *run)
{
	return run->profile != NULL && run->n > 0;
}

/* Who prefills should be near who decodes, whichever is picked first. */
static const struct endpoint *peer_of(const struct course *c, enum stage stage)
{
	const struct run *other = stage == STAGE_PRIMARY ?
	    &c->runs[STAGE_PREFILL] : &c->runs[STAGE_PRIMARY];

	return stage != STAGE_ENCODE && has_won(other) ?
	    endpoint_of(other, 0) : NULL;
}

/*
 * HAProxy walks a list of servers, so it gets as many as it can use; nobody retries a
 * prefill elsewhere; of encoders each is sent to, so llm-d's preset of one counts.
 */
static size_t n_best_of(const struct profile *profile, enum stage stage)
{
	size_t n = profile->max_endpoints;

	if (stage == STAGE_PRIMARY)
		return PICK_CHOICES_MAX;
	return stage == STAGE_PREFILL || n == 0 ? 1 :
	    n < PICK_CHOICES_MAX ? n : PICK_CHOICES_MAX;
}

static void run_stage(struct course *c, enum stage stage,
    const struct profile *profile)
{
	struct run *run = &c->runs[stage];
	struct stage_result *result = &c->stages.of[stage];

	picking_run(c->p, profile, peer_of(c, stage), stage == STAGE_PRIMARY,
	    n_best_of(profile, stage), run);
	result->is_over = true;
	if (run->n == 0)
		return;
	result->choice = &run->choice;
	result->winner = run->best[0];
	/* Here, since the next run takes the scores' place. */
	if (stage == STAGE_PRIMARY && c->stages.request->wants_why)
		c->why = picking_explain(c->p, run->best[0]);
}

static void run_all(struct course *c)
{
	const struct schedule *s = c->stages.schedule;
	const struct profile *profile;
	enum stage stage;

	while (!c->p->has_failed && (profile = s->handler->next(&c->stages,
		    s->params, &stage)) != NULL)
		run_stage(c, stage, profile);
}

/* ---- what it came to ---- */

/* What its engine has to prefill, as far as we can tell. */
static uint32_t tokens_of(const struct run *run)
{
	const struct request *r = run->choice.request;
	uint64_t held = (uint64_t)run->choice.matched[run->best[0]] *
	    run->choice.view->block_bytes;
	uint64_t bytes = request_prompt_bytes(r);
	uint64_t tokens = bytes > held ? (bytes - held) / PROMPT_TOKEN_BYTES : 0;

	return tokens < TOKENS_MAX ? (uint32_t)tokens : TOKENS_MAX;
}

/* What the engine computes first; of a full one, that says nothing. */
static uint32_t tokens_ahead(const struct run *run)
{
	const struct endpoint_view *view = run->choice.view;
	uint32_t row = run->choice.rows[run->best[0]];
	const struct endpoint_live *l = endpoint_live(view, row);
	const struct endpoint_pace *pace = endpoint_pace(view, row);
	uint32_t batch = pace == NULL ? 0 :
	    atomic_load_explicit(&pace->batch, memory_order_relaxed);

	if (batch != 0 && live_count_get(&l->requests) >= batch)
		return PICK_WAITS;
	return live_count_get(&l->tokens);
}

static struct pick_helper put_in_flight(const struct run *run)
{
	struct pick_helper h = { endpoint_live(run->choice.view,
	    run->choice.rows[run->best[0]]), tokens_of(run) };

	live_count_add(&h.live->requests, 1);
	if (!live_count_add(&h.live->tokens, h.tokens))
		h.tokens = 0;
	return h;
}

static void take_back(const struct pick_helper *h)
{
	/* The view that named the slot is still ours: it cannot be renewed. */
	live_count_sub(&h->live->requests, live_generation(h->live), 1);
	live_count_sub(&h->live->tokens, live_generation(h->live), h->tokens);
}

void pick_undo(struct pick *pick)
{
	const struct pick_helper primary = { pick->live, pick->tokens };

	if (pick->live == NULL)
		return;
	take_back(&primary);
	for (size_t i = 0; i < PICK_HELPERS; i++)
		if (pick->helpers[i].live != NULL)
			take_back(&pick->helpers[i]);
	memset(pick->helpers, 0, sizeof(pick->helpers));
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

static void remember_prompt(const struct run *run)
{
	const struct request *r = run->choice.request;
	uint32_t hint = r->n_chains == 1 ?
	    run->choice.matched[run->best[0]] : 0;

	for (size_t k = 0; k < r->n_chains; k++)
		prefix_insert(run->choice.view->prefix,
		    endpoint_of(run, 0)->slot, r->blocks + r->chains[k].first,
		    r->chains[k].n, hint);
}

/* For plugins that remember what became of their opinion. */
static void tell_picked(const struct run *run)
{
	const struct profile *profile = run->profile;

	for (size_t k = 0; k < profile->n_filters; k++)
		if (profile->filters[k].filter->picked != NULL)
			profile->filters[k].filter->picked(&run->choice,
			    profile->filters[k].params, run->best[0]);
	for (size_t k = 0; k < profile->n_scorers; k++)
		if (profile->scorers[k].scorer->picked != NULL)
			profile->scorers[k].scorer->picked(&run->choice,
			    profile->scorers[k].params, run->best[0]);
}

/*
 * llm-d's approximate index learns of who prefills too, not of who encodes. The primary
 * is told of last: where one plugin serves several profiles, its word stands.
 */
static void conclude(struct pick *out, const struct course *c)
{
	const struct run *primary = &c->runs[STAGE_PRIMARY];
	const struct run *prefill = &c->runs[STAGE_PREFILL];
	const struct run *encode = &c->runs[STAGE_ENCODE];
	struct pick_helper h;

	out->ahead = tokens_ahead(primary);
	h = put_in_flight(primary);
	out->live = h.live;
	out->tokens = h.tokens;
	out->n = primary->n;
	for (size_t i = 0; i < out->n; i++)
		out->choices[i] = endpoint_of(primary, i);
	remember_prompt(primary);
	note_end(out, primary->choice.request);
	if (has_won(prefill)) {
		out->helpers[0] = put_in_flight(prefill);
		out->prefill = endpoint_of(prefill, 0);
		remember_prompt(prefill);
		tell_picked(prefill);
	}
	if (has_won(encode)) {
		out->helpers[1] = put_in_flight(encode);
		for (; out->n_encode < encode->n; out->n_encode++)
			out->encode[out->n_encode] = endpoint_of(encode,
			    out->n_encode);
		tell_picked(encode);
	}
	tell_picked(primary);
	out->why = c->why;
}

/* ---- ranks ---- */

static bool is_listed(const struct endpoint *const *list, size_t n,
    const struct endpoint *e)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == e)
			return true;
	return false;
}

/* Ranks become the servers that forward to them; several may have the same. */
static void enter(struct pick *out, const struct endpoint_view *view)
{
	size_t n = 0;

	for (size_t i = 0; i < out->n; i++) {
		const struct endpoint *rank = out->choices[i], *e = rank;
		size_t row = view->entries->rows[rank - view->endpoints];

		if (row < view->n_endpoints) {
			e = &view->endpoints[row];
			if (i == 0)
				out->rank = rank;
			if (i == 0 && e != rank)
				out->entry = endpoint_live(view, row);
		}
		if (!is_listed(out->choices, n, e))
			out->choices[n++] = e;
	}
	out->n = n;
}

/* ---- refusals ---- */

static void refuse(struct pick *out, const struct endpoint_view *view,
    int status, const char *reason, const char *message)
{
	out->status = status;
	out->reason = reason;
	out->message = message;
	if (status != 400)
		out->retry_after_s =
		    (uint32_t)view->options->saturation.retry_after_s;
}

/* Source: llm-d-router's scheduler: no endpoint passed, hence 429. */
static void refuse_filtered(struct pick *out, const struct endpoint_view *view)
{
	refuse(out, view, 429, "rejected-saturated",
	    "no endpoint of the pool passes the filters");
}

static void pick_scheduled(struct pick *out, struct picking *p)
{
	const struct endpoint_view *view = p->choice.view;
	struct course c = { .p = p, .stages = { .schedule = view->schedule,
		.request = p->choice.request } };

	if (!picking_match(p))
		return;
	run_all(&c);
	if (p->has_failed)
		return;
	if (c.runs[STAGE_PRIMARY].profile == NULL) {
		refuse(out, view, 400, NULL,
		    "no scheduling profile has the name that a header gives");
		return;
	}
	if (c.runs[STAGE_PRIMARY].n == 0) {
		refuse_filtered(out, view);
		return;
	}
	conclude(out, &c);
	if (view->entries != NULL)
		enter(out, view);
}

/* ---- a request ---- */

/* No body, no scheduling: any endpoint will do. llm-d-router: random too. */
static void pick_any(struct pick *out, struct picking *p)
{
	const struct endpoint *endpoints = p->choice.view->endpoints;
	size_t from = rng_below(p->rng, (uint32_t)p->n_all);

	while (out->n < p->n_all && out->n < PICK_CHOICES_MAX) {
		out->choices[out->n] = &endpoints[
		    p->all_rows[(from + out->n) % p->n_all]];
		out->n++;
	}
	out->why = p->choice.request->wants_why ? "no body: any endpoint" : NULL;
}

void pick_settle(struct pick *pick, const struct endpoint_view *view)
{
	if (pick->n > 0 || pick->status != 0 ||
	    view->options->failure_mode == FAIL_OPEN)
		return;
	refuse(pick, view, 503, pick->reason,
	    "the endpoint picker cannot schedule the request");
}

void pick_endpoint(struct pick *out, const struct endpoint_view *view,
    const struct request *request, struct rng *rng, struct arena *arena)
{
	struct picking p;

	*out = (struct pick){ .status = request->status,
		.message = request->message };
	if (request->status != 0)
		return;
	if (request->target.len > 0) {
		out->model = request->target;
		out->model_at = request->target_at;
		out->model_len = request->target_len;
		out->model_grow = (int32_t)request->model.len -
		    (int32_t)request->target_len;
	}
	if (view->n_endpoints == 0) {
		if (view->is_known)	/* else HAProxy may know better */
			refuse(out, view, 503, "rejected-no-endpoints",
			    "the pool has no endpoints");
		return;
	}
	if (!picking_init(&p, view, request, rng, arena))
		return;
	if (request->has_body)
		pick_scheduled(out, &p);
	else
		pick_any(out, &p);
}
