/*
 * scorer_expected_ttft.c - the sooner the first token is to be expected, the better
 *
 *	score = 1 / (1 + ttft / 1 s),   ttft = max(ahead, place) + own + load + n * c
 *
 *	ahead	tokens in flight there / rate, less what there was time for since
 *	place	(n - batch + 1) * serve / batch, where the batch is full
 *	own	what of this prompt is not cached there / rate
 *	load	adapterLoadMs, where the adapter asked for is not known to be
 *		(adapter_load.h)
 *	n	requests there: booked, or running and queued as last told, if more
 *	c	requestCostMs: of two alike the one with fewer requests decodes faster
 *
 * What an endpoint does not have of a prompt, and another has, counts 1 / h, after h that
 * asked for the same lately (heat.h), if nothing goes for it that was of use lately. So it is
 * computed once more as soon as it would cost those, would they come again, as much to
 * wait where it is (as who rents skis should then buy them: Karlin et al., Competitive
 * Snoopy Caching, Algorithmica 3, 1988). And until a first token has told how fast these
 * engines are, it counts nothing where nobody is: that is soon, and the wait anybody's guess.
 * Scores tell of it only where such a one comes first by it.
 *
 * rate, batch and serve are learned, each endpoint's own (live.h, struct endpoint_pace):
 * rate from first tokens, where little was ahead: tokens / (TTFT - that of a prompt that
 * is cached); who is not far from the average is taken to be as fast as that; batch from
 * pages that show a queue, else the most of any other, unless its page shows more; serve
 * from first tokens to ends (serveMs before the first). So it works from nothing but
 * HAProxy's lines, and needs `feedback:`. Without it what is queued counts as prompts
 * like this one, and the rate is peakPrefillThroughput.
 *
 * Ours. One quantity, in place of weights between a queue, a cache and a count that
 * are measured in different units: a server with the prefix and a queue is compared
 * with an idle one by what each costs this request. Nearest relatives: llm-d-router's
 * latency-scorer, which asks a trained model the same question, and token-load-scorer,
 * which is `ahead + own` alone.
 */
#include "plugins/plugins.h"

#include <float.h>

#include "clones.h"
#include "columns.h"
#include "conf.h"
#include "heat.h"
#include "must.h"
#include "plugins/adapter_load.h"
#include "plugins/float_bits.h"
#include "prefix.h"
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
	struct prompt_size prompt;
	float usual_rate, high_rate, low_rate, usual_serve_ms, most_batch;
	float request_ms;
};

static float or_preset(float value, float preset)
{
	return value > 0.0f ? value : preset;
}

static struct question question_of(const struct choice *c,
    const struct ttft_params *p)
{
	float usual = or_preset(c->pace.usual_rate, p->peak_rate);

	return (struct question){ .prompt = choice_prompt(c),
		.usual_rate = usual, .high_rate = noise * usual,
		.low_rate = usual / noise,
		.usual_serve_ms = or_preset(c->pace.usual_serve_ms,
		    p->serve_ms),
		.most_batch = c->pace.most_batch,
		.request_ms = p->request_ms };
}

/*
 * Of one that has not been seen at work, or whose rate is near the others': what all
 * do on average. Whoever seems a little faster, or is assumed to be, would draw
 * everybody.
 */
static inline float rate_of(const struct question *q, float rate)
{
	bool is_known = rate > 0.0f;	/* `&` and `|`: chance decides, no branch */
	bool is_odd = (rate > q->high_rate) | (is_known & (rate < q->low_rate));

	return is_odd ? rate : q->usual_rate;
}

/* Conversions of signed numbers are what vectors have. Nobody has as many. */
static inline float count_of(uint32_t n)
{
	return (float)(int32_t)(n < INT32_MAX ? n : INT32_MAX);
}

static inline float greater(float a, float b)
{
	return a > b ? a : b;
}

static inline float lesser(float a, float b)
{
	return a < b ? a : b;
}

/* What candidate i has to do, in requests and in tokens of prompts. */
struct work {
	float requests, tokens;
	bool is_booked;
};

/*
 * Other pickers' requests show on the page only, ours of this instant not yet. Where
 * nothing is booked nothing tells of first tokens and ends either.
 */
static inline struct work work_at(const struct choice *c, float own, size_t i)
{
	float booked = count_of(c->live.requests[i]);
	float tokens = count_of(c->live.tokens[i]);
	float unsettled = count_of(c->unsettled[i]);
	float waiting = count_of(c->told.queued[i]) + unsettled;
	float told = waiting + count_of(c->told.running[i]);
	bool is_fresh = c->told.fresh[i] != 0, is_booked = booked > 0.0f;
	float like_this = (is_fresh ? waiting : unsettled) * own;

	return (struct work){ .is_booked = is_booked,
		.requests = greater(is_fresh ? told : 0.0f, booked),
		.tokens = is_booked ? tokens : like_this };
}

/* Part of what is in flight is computed already: as much as there was time for. */
static inline float ahead_ms(const struct choice *c, const struct work *w,
    float token_ms, size_t i)
{
	float most = w->tokens * token_ms;
	float left = lesser(c->pace.busy_ms[i], most);

	return w->is_booked ? left : most;
}

/* Its own, once it has been seen full; 0: as many as there are. */
static inline float batch_of(const struct choice *c, const struct question *q,
    size_t i)
{
	float own = c->pace.batch[i], running = count_of(c->told.running[i]);
	bool has_more = (c->told.fresh[i] != 0) & (running > q->most_batch);
	float assumed = has_more ? 0.0f : q->most_batch;

	return own > 0.0f ? own : assumed;
}

/* With a batch that is full though nobody has left yet, others tell how long it takes. */
static inline float place_ms(const struct choice *c, const struct question *q,
    const struct work *w, size_t i)
{
	float batch = batch_of(c, q, i), serve_ms = c->pace.serve_ms[i];
	float waits = w->requests - batch + 1.0f;
	float ms = (serve_ms > 0.0f ? serve_ms : q->usual_serve_ms) * waits /
	    greater(batch, 1.0f);

	return (batch > 0.0f) & (waits >= 1.0f) ? ms : 0.0f;
}

/* A loop of its own, without a branch: the compiler makes four of each step at once. */
CLONED_FOR_AVX2 static void expect_all(const struct choice *choice,
    const struct question *question, float *restrict out)
{
	const struct choice c = *choice;
	const struct question q = *question;

	for (size_t i = 0; i < c.n; i++) {
		float own = choice_uncached(&c, q.prompt, i);
		float token_ms = 1000.0f / rate_of(&q, c.pace.rate[i]);
		struct work w = work_at(&c, own, i);

		out[i] = greater(ahead_ms(&c, &w, token_ms, i),
		    place_ms(&c, &q, &w, i)) + own * token_ms +
		    w.requests * q.request_ms;
	}
}

/* ---- what others have ---- */

/* What computing again costs this request less than it takes. */
struct sparing {
	float least;	/* tokens that are computed wherever it goes */
	float share;	/* of the rest, spared; 0: nothing is */
	bool is_idle_only;
};

/* Then a first token will tell soon. Without `feedback:` nobody keeps these counts. */
static bool is_any_computing(const struct choice *c)
{
	uint32_t any = 0;

	for (size_t i = 0; i < c->n; i++)
		any |= c->live.tokens[i];
	return any != 0;
}

static struct sparing sparing_of(const struct choice *c,
    const struct question *q)
{
	struct reach reach = choice_reach(c);
	float held = q->prompt.block * (float)reach.blocks;
	struct sparing s = { .least = greater(q->prompt.tokens - held, 0.0f) };
	const struct heat *heat = endpoint_heat(c->view);

	if (reach.blocks == 0)
		return s;
	if (c->pace.usual_rate <= 0.0f) {
		s.is_idle_only = true;
		s.share = is_any_computing(c) ? 1.0f : 0.0f;
	} else if (reach.beginning != 0 && heat != NULL) {
		uint32_t n = heat_get(heat, reach.beginning, c->now_ms);

		s.share = n > 1 ? 1.0f - 1.0f / count_of(n) : 0.0f;
	}
	return s;
}

/* In milliseconds. */
static inline float spared_ms(const struct choice *c, const struct question *q,
    const struct sparing *s, size_t i)
{
	float own = choice_uncached(c, q->prompt, i);
	struct work w = work_at(c, own, i);
	float again = (own - s->least) * 1000.0f / rate_of(q, c->pace.rate[i]);
	bool is_idle = (w.requests == 0.0f) & (c->unsettled[i] == 0);

	return is_idle | !s->is_idle_only ? s->share * again : 0.0f;
}

/* Never negative: bits are in the same order. */
CLONED_FOR_AVX2 static float soonest_of(const float *ms, size_t n)
{
	uint32_t soonest = float_bits(FLT_MAX);

	for (size_t i = 0; i < n; i++) {
		uint32_t one = float_bits(ms[i]);

		soonest = one < soonest ? one : soonest;
	}
	return bits_float(soonest);
}

enum { STRETCH = 64 };

/* What `many` candidates from `first` on would come to; does that put any first? */
CLONED_FOR_AVX2 static bool spare_stretch(const struct choice *choice,
    const struct question *question, const struct sparing *sparing,
    float soonest, const float *ms, size_t first, size_t many,
    float *restrict spared)
{
	const struct choice c = *choice;
	const struct question q = *question;
	const struct sparing s = *sparing;
	uint32_t any = 0;

	for (size_t k = 0; k < many; k++) {
		spared[k] = ms[first + k] -
		    spared_ms(&c, &q, &s, first + k);
		any |= spared[k] < soonest;
	}
	return any != 0;
}

static float blocks_of(const struct choice *c, struct prompt_size prompt,
    size_t i)
{
	return choice_uncached(c, prompt, i) / prompt.block;
}

/*
 * What must go for it was not used for a minute: what it got since then and this fit.
 * Caches are always full, after a while.
 */
static bool has_room(const struct choice *c, struct prompt_size prompt,
    size_t i)
{
	const struct endpoint_pace *pace = endpoint_pace(c->view, c->rows[i]);
	float filled = pace != NULL ?
	    (float)pace_filled(pace, c->now_ms) : 0.0f;

	return filled + blocks_of(c, prompt, i) <=
	    (float)prefix_share(c->view->prefix, choice_stats(c, i)->slot);
}

static void spare_what_is_shared(const struct choice *c,
    const struct question *q, float *ms)
{
	struct sparing s = sparing_of(c, q);
	float soonest, spared[STRETCH];

	if (s.share <= 0.0f)
		return;
	soonest = soonest_of(ms, c->n);
	for (size_t i = 0, many; i < c->n; i += many) {
		many = c->n - i < STRETCH ? c->n - i : STRETCH;
		if (!spare_stretch(c, q, &s, soonest, ms, i, many, spared))
			continue;
		for (size_t k = 0; k < many; k++)
			if (spared[k] < soonest && has_room(c, q->prompt, i + k))
				ms[i + k] = spared[k];
	}
}

CLONED_FOR_AVX2 static void score_each(float *ms, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ms[i] = score_scale_ms / (score_scale_ms + ms[i]);
}

static void ttft_score(const struct choice *c, const void *params, float *out)
{
	const struct ttft_params *p = params;
	const struct question q = question_of(c, p);

	must(c->told.fresh != NULL && c->live.requests != NULL &&
	    c->pace.rate != NULL);
	expect_all(c, &q, out);
	adapter_load_add(c, p->load_ms, out);
	spare_what_is_shared(c, &q, out);
	score_each(out, c->n);
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

static void note_heat(const struct choice *c)
{
	struct heat *heat = endpoint_heat(c->view);
	uint64_t beginning = choice_reach(c).beginning;

	if (heat != NULL && beginning != 0)
		heat_add(heat, beginning, c->now_ms);
}

static void ttft_picked(const struct choice *c, const void *params,
    uint32_t winner)
{
	struct endpoint_pace *pace = endpoint_pace(c->view, c->rows[winner]);
	struct question q;

	note_heat(c);
	adapter_load_picked(c, winner);
	if (pace == NULL)
		return;
	q = question_of(c, params);
	keep_busy(pace, c->now_ms, (int64_t)(1000.0f *
	    choice_uncached(c, q.prompt, winner) /
	    rate_of(&q, c->pace.rate[winner]) + 0.5f));
	pace_fill(pace, (uint32_t)blocks_of(c, q.prompt, winner), c->now_ms);
}

const struct scorer scorer_expected_ttft = {
	.name = "expected-ttft-scorer",
	.params = &table,
	.wants_pace = true,
	.wants_lora = true,
	.score = ttft_score,
	.picked = ttft_picked,
};
