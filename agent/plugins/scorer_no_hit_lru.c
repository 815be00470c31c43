/*
 * scorer_no_hit_lru.c - a prompt that nobody has cached goes where the last such is
 * longest ago
 *
 *	some candidate holds some of the prompt: 0.5 for all
 *	else, of n candidates: never had a cold one: 1
 *	    else 1 - (how many never had + how many had theirs earlier) / (n - 1)
 *
 * so that caches grow evenly. Source: llm-d-router, scorer "no-hit-lru-scorer". There
 * is no list: cold requests of a pool are numbered as they are sent, and an endpoint
 * remembers its last number. Two differences: those that never had one score alike, not
 * each less than the one before it; and all endpoints are remembered, not lruSize
 * (1024). Those that differ only beyond the last 65,536 cold requests are alike too.
 */
#include "plugins/plugins.h"

#include <string.h>

#include "conf.h"
#include "endpoints.h"

struct lru_params {
	uint32_t unused_size;
	const char *unused;
};

#define UNUSED(field) offsetof(struct lru_params, field)

static const struct conf_row rows[] = {
	{ .key = "lruSize", .decode = conf_u32, .preset = "1024", .min = 1,
	  .offset = UNUSED(unused_size),
	  .help = "every endpoint is remembered: without effect" },
	{ .key = "prefixPluginType", .decode = conf_string,
	  .offset = UNUSED(unused),
	  .help = "deprecated by llm-d, and without effect" },
	{ .key = "prefixPluginName", .decode = conf_string,
	  .offset = UNUSED(unused),
	  .help = "deprecated by llm-d, and without effect" },
	{ .key = "prefixMatchInfoProducerName", .decode = conf_string,
	  .offset = UNUSED(unused), .help = "there is one: without effect" },
};

static const struct conf_table table = {
	.what = "no-hit-lru-scorer",
	.size = sizeof(struct lru_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

enum { AGES = 1 << 16, AGE_WORDS = AGES / 64, NEVER = UINT16_MAX };

/* ---- what an endpoint remembers: its slot's generation, then the number ---- */

static uint64_t mark_of(const struct choice *c, size_t i, uint32_t number)
{
	const struct endpoint_live *l = endpoint_live(c->view, c->rows[i]);

	return (uint64_t)live_generation(l) << 32 | number;
}

static _Atomic uint64_t *mark_at(const struct choice *c, size_t i)
{
	return &c->view->pool_live->cold[c->view->stats[c->rows[i]].slot];
}

/* In cold requests; numbers wrap, and start at 1, so that a mark of 0 is none. */
static uint32_t age_of(const struct choice *c, size_t i, uint32_t now)
{
	uint64_t mark = atomic_load_explicit(mark_at(c, i),
	    memory_order_relaxed);
	uint32_t age = now - (uint32_t)mark;

	if ((uint32_t)mark == 0 || mark != mark_of(c, i, (uint32_t)mark))
		return NEVER;
	/* A number that was given out after we looked at the last one. */
	if (age > UINT32_MAX / 2)
		return 0;
	return age < NEVER - 1 ? age : NEVER - 1;
}

/* ---- ranks: numbers differ, so ages make a set, and a rank is a count in it ---- */

struct ages {
	uint64_t set[AGE_WORDS];
	uint32_t older[AGE_WORDS];	/* how many in the words behind */
	uint32_t n_words, n_never;
};

static void ages_add(struct ages *a, uint32_t age)
{
	uint32_t word = age / 64;

	if (age == NEVER) {
		a->n_never++;
		return;
	}
	while (a->n_words <= word)
		a->set[a->n_words++] = 0;
	a->set[word] |= 1ull << age % 64;
}

static void ages_count(struct ages *a)
{
	uint32_t n = 0;

	for (uint32_t k = a->n_words; k-- > 0;) {
		a->older[k] = n;
		n += (uint32_t)__builtin_popcountll(a->set[k]);
	}
}

static uint32_t ages_rank(const struct ages *a, uint32_t age)
{
	uint64_t above = a->set[age / 64] >> age % 64 >> 1;

	return a->n_never + a->older[age / 64] +
	    (uint32_t)__builtin_popcountll(above);
}

/* ---- the scorer ---- */

/* To the end, whatever is found: eight at once are faster than a way out. */
static bool is_cold(const struct choice *c)
{
	uint16_t any = 0;

	for (size_t i = 0; i < c->n; i++)
		any |= c->matched[i];
	return any == 0;
}

static void all_alike(size_t n, float score, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = score;
}

/* Ages are read once, and kept in `out` as they are: 16 bits fit in a float. */
static void score_cold(const struct choice *choice, float *out)
{
	const struct choice c = *choice;
	uint32_t now = atomic_load_explicit(&c.view->pool_live->n_cold,
	    memory_order_relaxed);
	float step = 1.0f / (float)(c.n - 1);
	struct ages ages;

	ages.n_words = ages.n_never = 0;
	for (size_t i = 0; i < c.n; i++) {
		uint32_t age = age_of(&c, i, now);

		ages_add(&ages, age);
		out[i] = (float)age;
	}
	ages_count(&ages);
	for (size_t i = 0; i < c.n; i++) {
		uint32_t age = (uint32_t)out[i];

		out[i] = age == NEVER ? 1.0f :
		    1.0f - step * (float)ages_rank(&ages, age);
	}
}

static bool has_memory(const struct choice *c)
{
	return c->view->pool_live != NULL && c->view->pool_live->cold != NULL;
}

static void lru_score(const struct choice *c, const void *params, float *out)
{
	(void)params;
	if (!is_cold(c))
		all_alike(c->n, 0.5f, out);
	else if (c->n == 1 || !has_memory(c))
		all_alike(c->n, 1.0f, out);
	else
		score_cold(c, out);
}

static void lru_picked(const struct choice *c, const void *params,
    uint32_t winner)
{
	uint32_t number;

	(void)params;
	if (!has_memory(c) || !is_cold(c))
		return;
	do
		number = atomic_fetch_add_explicit(
		    &c->view->pool_live->n_cold, 1, memory_order_relaxed) + 1;
	while (number == 0);
	atomic_store_explicit(mark_at(c, winner), mark_of(c, winner, number),
	    memory_order_relaxed);
}

const struct scorer scorer_no_hit_lru = {
	.name = "no-hit-lru-scorer",
	.differs = "endpoints that never had a cold request score alike; every "
	    "endpoint is remembered",
	.params = &table,
	.score = lru_score,
	.picked = lru_picked,
};
