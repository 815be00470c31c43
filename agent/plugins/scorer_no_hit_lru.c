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
 * remembers its last number. Those that never had one score alike, not each less than
 * the one before it. All endpoints are remembered, not lruSize (1024). Earlier is counted
 * among the candidates; there among all that are remembered, so that of a stage's few
 * candidates most score 0. A request is cold, and its endpoint remembered, by each profile
 * with this scorer; there all are by the last one that scored. Those that differ only
 * beyond the last 65,536 cold requests are alike too.
 */
#include "plugins/plugins.h"

#include <string.h>

#include "conf.h"
#include "endpoints.h"
#include "plugins/float_bits.h"

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
};

static const struct conf_table table = {
	.what = "no-hit-lru-scorer",
	.size = sizeof(struct lru_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

/*
 * Above all ages is who never had one: first bits of a few bytes, since a byte that is
 * written over and over is waited for.
 */
enum { AGES = 1 << 16, NEVER = AGES, NEVER_BYTES = 16,
	AGE_BYTES = AGES / 8 + NEVER_BYTES };

/* ---- what an endpoint remembers: its slot's generation, a number ---- */

static uint64_t mark_of(const struct choice *c, size_t i, uint32_t number)
{
	const struct endpoint_live *l = endpoint_live(c->view, c->rows[i]);

	return (uint64_t)live_generation(l) << 32 | number;
}

static inline _Atomic uint64_t *mark_at(const struct choice *c, size_t i)
{
	return &c->view->pool_live->cold[c->view->stats[c->rows[i]].slot];
}

/* The number of its last cold request; 0: it had none. Numbers wrap, and skip 0. */
static inline uint32_t number_at(const struct choice *c, size_t i)
{
	uint64_t mark = atomic_load_explicit(mark_at(c, i),
	    memory_order_relaxed);
	uint32_t stranger = (uint32_t)(mark >> 32) ^
	    live_generation(endpoint_live(c->view, c->rows[i]));

	return stranger == 0 ? (uint32_t)mark : 0;
}

/* In cold requests; a number that was given out after we looked is of now. */
static inline int32_t age_of(uint32_t number, uint32_t now, uint32_t i)
{
	int32_t age = (int32_t)(now - number);

	age = age > 0 ? age : 0;
	age = age < AGES ? age : AGES - 1;
	return number == 0 ? NEVER + (int32_t)(8 * (i % NEVER_BYTES)) : age;
}

/* ---- ranks: numbers differ, so a rank is a count in a set of ages ---- */

struct ages {
	uint8_t set[AGE_BYTES];
	uint16_t older[AGE_BYTES];	/* never had one, or in the bytes behind */
};

static inline void ages_add(struct ages *a, uint32_t age)
{
	a->set[age / 8] |= (uint8_t)(1u << age % 8);
}

#define BITS_2(n) n, n + 1, n + 1, n + 2
#define BITS_4(n) BITS_2(n), BITS_2(n + 1), BITS_2(n + 1), BITS_2(n + 2)
#define BITS_6(n) BITS_4(n), BITS_4(n + 1), BITS_4(n + 1), BITS_4(n + 2)

/* The processors that we are built for may have no instruction for it. */
static const uint8_t n_bits[256] = { BITS_6(0), BITS_6(1), BITS_6(1), BITS_6(2) };

/* Who never had one is nobody's follower: rank 0. */
static void ages_count(struct ages *a, uint32_t oldest, uint32_t n_never)
{
	uint32_t n = n_never;

	for (uint32_t k = oldest / 8 + 1; k-- > 0;) {
		a->older[k] = (uint16_t)n;
		n += n_bits[a->set[k]];
	}
	memset(a->set + NEVER / 8, 0, NEVER_BYTES);
	memset(a->older + NEVER / 8, 0, NEVER_BYTES * sizeof(*a->older));
}

static inline uint32_t ages_rank(const struct ages *a, uint32_t age)
{
	return a->older[age / 8] + n_bits[a->set[age / 8] >> age % 8 >> 1];
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

/* Of some candidates, none of whom may have had a cold request. */
struct cold {
	uint32_t n_never;
	int32_t oldest;		/* of the others */
};

/* Ages are read once, and kept in `out`. Numbers first: they are all over the place. */
static struct cold read_ages(const struct choice *choice, float *out)
{
	const struct endpoint_view view = *choice->view;
	struct choice c = *choice;
	uint32_t now = atomic_load_explicit(&view.pool_live->n_cold,
	    memory_order_relaxed), n_never = 0, n = (uint32_t)c.n;
	int32_t oldest = 0;

	c.view = &view;
	for (size_t i = 0; i < c.n; i++)
		out[i] = bits_float(number_at(&c, i));
	for (uint32_t i = 0; i < n; i++) {
		int32_t age = age_of(float_bits(out[i]), now, i);
		int32_t known = age >= NEVER ? 0 : age;

		n_never += age >= NEVER;
		oldest = known > oldest ? known : oldest;
		out[i] = bits_float((uint32_t)age);
	}
	return (struct cold){ n_never, oldest };
}

/* Ages in `out`, of whom not all are NEVER, become ranks. */
static void rank_ages(const struct cold *cold, float *out, size_t n)
{
	uint32_t oldest = (uint32_t)cold->oldest;
	struct ages ages;

	memset(ages.set, 0, oldest / 8 + 1);
	memset(ages.set + NEVER / 8, 0, NEVER_BYTES);
	for (size_t i = 0; i < n; i++)
		ages_add(&ages, float_bits(out[i]));
	ages_count(&ages, oldest, cold->n_never);
	for (size_t i = 0; i < n; i++)
		out[i] = bits_float(ages_rank(&ages, float_bits(out[i])));
}

static void score_cold(const struct choice *c, float *out)
{
	const struct cold cold = read_ages(c, out);
	float step = 1.0f / (float)(c->n - 1);
	size_t n = c->n;

	if (cold.n_never == n) {
		all_alike(n, 1.0f, out);
		return;
	}
	rank_ages(&cold, out, n);
	for (size_t i = 0; i < n; i++)
		out[i] = 1.0f - step * (float)(int32_t)float_bits(out[i]);
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
	    "endpoint is remembered, and ranked among the candidates of its "
	    "profile",
	.params = &table,
	.score = lru_score,
	.picked = lru_picked,
};
