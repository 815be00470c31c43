/*
 * picker_weighted_random.c - any endpoint, as likely as its score says
 *
 *	key = U^(1 / score), U evenly in (0, 1); the largest key first
 *
 * An endpoint that scores 0 comes after all others; when all do, each is as likely.
 * Source: llm-d-router, picker "weighted-random-picker"; algorithm A-Res of Efraimidis,
 * Spirakis: "Weighted random sampling with a reservoir", IPL 97 (2006). Its logarithm,
 * ln U / score, has the same order and does not become 0 where scores are small.
 */
#include "plugins/plugins.h"

#include <math.h>
#include <stdbool.h>

#include "plugins/chance.h"
#include "plugins/picker_list.h"
#include "rng.h"

/* More are not asked for: PICK_CHOICES_MAX. */
enum { NAMED_MAX = 16 };

struct key {
	double log;
	uint64_t chance;	/* between those that score 0 */
};

static struct key key_of(float score, struct rng *rng)
{
	return (struct key){
		score > 0 ? log(chance_draw(rng)) / (double)score : -HUGE_VAL,
		rng_next(rng) };
}

static bool is_larger(struct key a, struct key b)
{
	return a.log != b.log ? a.log > b.log : a.chance > b.chance;
}

/* A few best of many: one pass, with an insertion into a very short list. */
static size_t weighted_random_pick(const struct choice *c, const void *params,
    const float *scores, struct rng *rng, uint32_t *best, size_t n_best)
{
	struct key keys[NAMED_MAX];
	size_t n = 0;

	n_best = picker_limit(params, n_best < NAMED_MAX ? n_best : NAMED_MAX);
	for (size_t i = 0; i < c->n; i++) {
		struct key mine = key_of(scores[i], rng);
		size_t at = n;

		while (at > 0 && is_larger(mine, keys[at - 1]))
			at--;
		if (at == n_best)
			continue;
		n += n < n_best;
		for (size_t k = n - 1; k > at; k--) {
			best[k] = best[k - 1];
			keys[k] = keys[k - 1];
		}
		best[at] = (uint32_t)i;
		keys[at] = mine;
	}
	return n;
}

const struct picker picker_weighted_random = {
	.name = "weighted-random-picker",
	.params = &picker_table,
	.pick = weighted_random_pick,
};
