/*
 * scorer_expected_ttft.c - the sooner the first token is to be expected, the better
 *
 *	score = 1 / (1 + ttft / 1 s),   ttft = max(ahead, place) + own + load + n * c
 *
 *	ahead	tokens in flight there / rate, less what there was time for since
 *	place	(n - batch + 1) * serve / batch, where the batch is full
 *	own	what of this prompt is not cached there / rate
 *	load	adapterLoadMs, where the adapter asked for is not known to be; twice
 *		where another must go for it, which will be loaded again
 *	n	requests there: booked, or running and queued as last told, if more
 *	c	requestCostMs: of two alike the one with fewer requests decodes faster
 *
 * rate, batch and serve are learned, each endpoint's own (live.h, struct endpoint_pace):
 * rate from first tokens, where little was ahead: tokens / (TTFT - that of a prompt that
 * is cached); who is not far from the average is taken to be as fast as that; batch from pages that
 * show a queue; serve from first tokens to ends (serveMs before the first). So it works from
 * nothing but HAProxy's lines, and needs `feedback:`. Without it what is queued counts
 * as prompts like this one, and the rate is peakPrefillThroughput.
 *
 * Engines list adapters that run, not those that are loaded and idle; so we remember
 * where each was sent last, as many as the engine says fit.
 *
 * Ours. One quantity, in place of weights between a queue, a cache and a count that
 * are measured in different units: a server with the prefix and a queue is compared
 * with an idle one by what each costs this request. Nearest relatives: llm-d-router's
 * latency-scorer, which asks a trained model the same question, and token-load-scorer,
 * which is `ahead + own` alone.
 */
#include "plugins/plugins.h"

#include "columns.h"
#include "conf.h"
#include "lora.h"
#include "request.h"

struct ttft_params {
	float peak_rate, load_ms, request_ms, serve_ms;
};

#define PARAM(field) offsetof(struct ttft_params, field)

static const struct conf_row rows[] = {
	{ .key = "peakPrefillThroughput", .decode = conf_fraction,
	  .preset = "15928", .min = 1, .offset = PARAM(peak_rate),
	  .help = "tokens a second, until it is learned" },
	{ .key = "adapterLoadMs", .decode = conf_fraction, .preset = "500",
	  .offset = PARAM(load_ms),
	  .help = "to load a LoRA adapter" },
	{ .key = "requestCostMs", .decode = conf_fraction, .preset = "1",
	  .offset = PARAM(request_ms),
	  .help = "for each request that is there" },
	{ .key = "serveMs", .decode = conf_fraction, .preset = "1000",
	  .offset = PARAM(serve_ms),
	  .help = "from a first token to the end, until it is learned" },
};

static const struct conf_table table = {
	.what = "expected-ttft-scorer",
	.size = sizeof(struct ttft_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static const float score_scale_ms = 1000.0f;
static const float noise = 1.5f;	/* a rate that differs by less is the same */

/* The same for all candidates. */
struct question {
	const struct endpoint_pace *paces;	/* by slot; NULL: nothing is known */
	struct prompt_size prompt;
	float usual_rate, high_rate, low_rate, usual_serve_ms;
};

/* What is known of candidate i, read once: counts move while we look. */
struct outlook {
	const struct endpoint_pace *pace;	/* NULL: nothing is */
	float requests, tokens, own, token_ms;
	uint32_t batch;
	bool is_booked;
};

static inline const struct endpoint_pace *pace_of(const struct choice *c,
    const struct endpoint_pace *paces, size_t i)
{
	return paces == NULL ? NULL : &paces[choice_stats(c, i)->slot];
}

/* 0: none was. */
static inline float learned_rate(const struct endpoint_pace *pace)
{
	float rate = pace == NULL ? 0.0f : ewma_get(&pace->prefill_rate);

	return rate > 0.0f ? rate : 0.0f;
}

/* What those do on average that were seen at work, or as configured. */
struct average {
	float sum;
	size_t n;
};

static inline void average_add(struct average *a, float value)
{
	a->sum += value > 0.0f ? value : 0.0f;
	a->n += value > 0.0f;
}

static float average_or(const struct average *a, float preset)
{
	return a->n > 0 ? a->sum / (float)a->n : preset;
}

static struct question question_of(const struct choice *choice,
    const struct ttft_params *p)
{
	const struct choice c = *choice;
	const struct endpoint_pace *paces = endpoint_paces(c.view);
	struct average rate = { 0 }, serve_us = { 0 };
	float usual;

	for (size_t i = 0; paces != NULL && i < c.n; i++) {
		average_add(&rate, learned_rate(pace_of(&c, paces, i)));
		average_add(&serve_us,
		    ewma_get(&pace_of(&c, paces, i)->serve_us));
	}
	usual = average_or(&rate, p->peak_rate);
	return (struct question){ .paces = paces,
		.prompt = choice_prompt(&c),
		.usual_rate = usual, .high_rate = noise * usual,
		.low_rate = usual / noise, .usual_serve_ms =
		    average_or(&serve_us, 1000.0f * p->serve_ms) / 1000.0f };
}

/*
 * Of one that has not been seen at work, or whose rate is near the others': what all
 * do on average. Whoever seems a little faster, or is assumed to be, would draw
 * everybody.
 */
static inline float rate_of(const struct question *q,
    const struct endpoint_pace *pace)
{
	float rate = learned_rate(pace);

	bool is_known = rate > 0.0f;	/* `&` and `|`: chance decides, no branch */
	bool is_odd = (rate > q->high_rate) | (is_known & (rate < q->low_rate));

	return is_odd ? rate : q->usual_rate;
}

/* Other pickers' requests show on the page only, ours of this instant not yet. */
static inline struct outlook outlook_of(const struct choice *c,
    const struct question *q, size_t i)
{
	uint32_t booked = choice_requests(c, i);
	bool is_fresh = choice_fresh(c, i);
	float waiting = (float)choice_queued(c, i);
	float told = waiting + (float)choice_stats(c, i)->running;
	struct outlook o = { .pace = pace_of(c, q->paces, i),
		.own = choice_uncached(c, q->prompt, i),
		.requests = (float)booked, .is_booked = booked > 0,
		.tokens = (float)choice_tokens(c, i) };

	if (is_fresh && told > o.requests)
		o.requests = told;
	if (!o.is_booked)	/* nothing tells of first tokens and ends */
		o.tokens = (is_fresh ? waiting : (float)c->unsettled[i]) *
		    o.own;
	o.token_ms = 1000.0f / rate_of(q, o.pace);
	if (o.pace != NULL)
		o.batch = atomic_load_explicit(&o.pace->batch,
		    memory_order_relaxed);
	return o;
}

static inline float place_ms(const struct question *q, const struct outlook *o)
{
	float serve_ms;

	if (o->batch == 0 || o->requests < (float)o->batch)
		return 0.0f;
	serve_ms = ewma_get(&o->pace->serve_us) / 1000.0f;
	if (serve_ms <= 0.0f)	/* nobody has left yet: it is full all the same */
		serve_ms = q->usual_serve_ms;
	return serve_ms * (o->requests - (float)o->batch + 1.0f) /
	    (float)o->batch;
}

/* Part of what is in flight is computed already: as much as there was time for. */
static inline float ahead_ms(const struct choice *c, const struct outlook *o)
{
	float most = o->tokens * o->token_ms, left;

	if (o->pace == NULL || !o->is_booked)
		return most;
	left = (float)(atomic_load_explicit(&o->pace->busy_until_ms,
	    memory_order_relaxed) - c->now_ms);
	left = left > 0.0f ? left : 0.0f;
	return left < most ? left : most;
}

/* What we remember, of as many as fit: is it there, and would another have to go? */
struct adapters {
	bool is_there, is_full;
};

static struct adapters recall(const struct endpoint_pace *pace, uint32_t max,
    uint64_t adapter)
{
	uint32_t n = max < PACE_ADAPTERS ? max : PACE_ADAPTERS;

	for (uint32_t i = 0; pace != NULL && i < n; i++) {
		uint64_t one = atomic_load_explicit(&pace->adapters[i],
		    memory_order_relaxed);

		if (one == adapter || one == 0)	/* none is behind one of 0 */
			return (struct adapters){ one == adapter, false };
	}
	return (struct adapters){ false, pace != NULL };
}

static float load_ms(const struct choice *c, size_t i,
    const struct endpoint_pace *pace, uint64_t adapter, float once_ms)
{
	const struct lora_set *set = endpoint_lora(c->view, c->rows[i]);
	struct adapters a;

	if (set == NULL || set->max == 0 ||
	    lora_find(set, adapter) != LORA_ABSENT)
		return 0.0f;
	a = recall(pace, set->max, adapter);
	if (a.is_there)
		return 0.0f;
	return a.is_full ? 2.0f * once_ms : once_ms;
}

static bool has_lora(const struct choice *c)
{
	return c->view->extras != NULL;
}

static void ttft_score(const struct choice *choice, const void *params,
    float *out)
{
	const struct ttft_params p = *(const struct ttft_params *)params;
	const struct choice c = *choice;
	const struct question q = question_of(&c, params);
	bool asks_lora = has_lora(&c);
	uint64_t adapter = asks_lora ? lora_spelled(c.request->model) : 0;

	for (size_t i = 0; i < c.n; i++) {
		const struct outlook o = outlook_of(&c, &q, i);
		float ahead = ahead_ms(&c, &o), place = place_ms(&q, &o);
		float ms = (ahead > place ? ahead : place) +
		    o.own * o.token_ms + o.requests * p.request_ms;

		if (asks_lora)
			ms += load_ms(&c, i, o.pace, adapter, p.load_ms);
		out[i] = ms;
	}
	for (size_t i = 0; i < c.n; i++)	/* four divisions at once */
		out[i] = score_scale_ms / (score_scale_ms + out[i]);
}

/* What it is busy with grows by this request. */
static void keep_busy(struct endpoint_pace *pace, int64_t now_ms, int64_t ms)
{
	int64_t until = atomic_load_explicit(&pace->busy_until_ms,
	    memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(&pace->busy_until_ms,
	    &until, (until > now_ms ? until : now_ms) + ms,
	    memory_order_relaxed, memory_order_relaxed))
		;
}

static void ttft_picked(const struct choice *c, const void *params,
    uint32_t winner)
{
	struct endpoint_pace *pace = endpoint_pace(c->view, c->rows[winner]);
	struct question q;

	if (pace == NULL)
		return;
	q = question_of(c, params);
	keep_busy(pace, c->now_ms, (int64_t)(1000.0f *
	    choice_uncached(c, q.prompt, winner) / rate_of(&q, pace) + 0.5f));
	if (has_lora(c))
		pace_adapter(pace, lora_spelled(c->request->model));
}

const struct scorer scorer_expected_ttft = {
	.name = "expected-ttft-scorer",
	.params = &table,
	.wants_live = true,
	.score = ttft_score,
	.picked = ttft_picked,
};
