/*
 * chance.c - facts of a request, mixed into a seed
 *
 * Counts are summed: the order of the candidates must not matter.
 */
#include "plugins/chance.h"

#include "endpoints.h"
#include "plugin.h"
#include "request.h"

static uint64_t picks_of(const struct choice *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n; i++)
		sum += c->view->stats[c->rows[i]].settled + c->unsettled[i];
	return sum;
}

double chance_of(const struct choice *c, uint64_t salt)
{
	const struct request *r = c->request;
	uint64_t prompt = r->n_blocks > 0 ? r->blocks[r->n_blocks - 1] : 0;
	struct rng rng = { rng_mix(prompt + rng_mix(salt + picks_of(c))) };

	return chance_draw(&rng);
}
