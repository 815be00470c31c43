/*
 * picker_random.c - any endpoint, each as likely; scores do not matter
 *
 * In whatever order, and no two the same: those that HAProxy falls back on are as
 * random. Source: llm-d-router, picker "random-picker". Algorithm: Floyd's sample, then
 * a shuffle (Bentley, Floyd: "Programming pearls: a sample of brilliance", CACM 1987).
 */
#include "plugins/plugins.h"

#include <stdbool.h>

#include "plugins/picker_list.h"
#include "rng.h"

static bool has(const uint32_t *best, size_t n, uint32_t i)
{
	while (n > 0 && best[n - 1] != i)
		n--;
	return n > 0;
}

static void shuffle(uint32_t *best, size_t n, struct rng *rng)
{
	for (; n > 1; n--) {
		uint32_t at = rng_below(rng, (uint32_t)n);
		uint32_t last = best[n - 1];

		best[n - 1] = best[at];
		best[at] = last;
	}
}

static size_t random_pick(const struct choice *c, const void *params,
    const float *scores, struct rng *rng, uint32_t *best, size_t n_best)
{
	size_t n = 0;

	(void)scores;
	n_best = picker_limit(params, n_best);
	n_best = n_best < c->n ? n_best : c->n;
	for (size_t last = c->n - n_best; last < c->n; last++) {
		uint32_t i = rng_below(rng, (uint32_t)last + 1);

		best[n] = has(best, n, i) ? (uint32_t)last : i;
		n++;
	}
	shuffle(best, n, rng);
	return n;
}

const struct picker picker_random = {
	.name = "random-picker",
	.params = &picker_table,
	.pick = random_pick,
};
