/*
 * picker_max_score.c - the highest score first
 *
 * Ties go to the endpoint with the fewest requests known to be there, then to chance.
 * Source: llm-d-router, picker "max-score-picker", which shuffles and sorts; the step
 * by load in between is ours: it spreads a burst that arrives at equal scores.
 * maxNumOfEndpoints: picker_list.h.
 */
#include "plugins/plugins.h"

#include <stdbool.h>

#include "endpoints.h"
#include "plugins/picker_list.h"
#include "rng.h"

struct rank {
	float score;
	uint64_t load;
	uint64_t chance;
};

static struct rank rank_of(const struct choice *c, const float *scores,
    uint64_t salt, size_t i)
{
	const struct endpoint_stats *s = &c->view->stats[c->rows[i]];

	return (struct rank){ scores[i],
		(uint64_t)s->running + s->queued + c->unsettled[i],
		rng_mix(salt + i) };
}

static bool is_better(struct rank a, struct rank b)
{
	if (a.score != b.score)
		return a.score > b.score;
	if (a.load != b.load)
		return a.load < b.load;
	return a.chance > b.chance;
}

/* A few best of many: one pass, with an insertion into a very short list. */
static size_t max_score_pick(const struct choice *c, const void *params,
    const float *scores, struct rng *rng, uint32_t *best, size_t n_best)
{
	uint64_t salt = rng_next(rng);
	size_t n = 0;

	n_best = picker_limit(params, n_best);
	for (size_t i = 0; i < c->n; i++) {
		struct rank mine;
		size_t at = n;

		if (n == n_best && scores[i] < scores[best[n - 1]])
			continue;
		mine = rank_of(c, scores, salt, i);
		while (at > 0 && is_better(mine,
		    rank_of(c, scores, salt, best[at - 1])))
			at--;
		if (at == n_best)
			continue;
		n += n < n_best;
		for (size_t k = n - 1; k > at; k--)
			best[k] = best[k - 1];
		best[at] = (uint32_t)i;
	}
	return n;
}

const struct picker picker_max_score = {
	.name = "max-score-picker",
	.differs = "equal scores go to the endpoint with the fewest requests, then "
	    "to chance",
	.params = &picker_table,
	.pick = max_score_pick,
};
