/*
 * scorer_running_requests.c - the fewer requests run at an endpoint, the better
 *
 *	score = (max - r) / (max - min) over the candidates; all alike: 1
 *
 * Source: llm-d-router, scorer "running-requests-size-scorer". There r is the scraped
 * number of requests that run. Here it is that and what we have sent there since,
 * which runs by now or soon will. An endpoint whose numbers are stale counts as the
 * busiest.
 */
#include "plugins/plugins.h"

#include "endpoints.h"

static bool is_fresh(const struct choice *c, size_t i)
{
	return c->view->stats[c->rows[i]].health == ENDPOINT_FRESH;
}

static uint64_t running_at(const struct choice *c, size_t i)
{
	return (uint64_t)c->view->stats[c->rows[i]].running + c->unsettled[i];
}

static void running_score(const struct choice *c, const void *params,
    float *out)
{
	uint64_t least = UINT64_MAX, most = 0;

	(void)params;
	for (size_t i = 0; i < c->n; i++) {
		uint64_t r = running_at(c, i);

		if (!is_fresh(c, i))
			continue;
		least = r < least ? r : least;
		most = r > most ? r : most;
	}
	for (size_t i = 0; i < c->n; i++) {
		uint64_t r = running_at(c, i);

		if (!is_fresh(c, i))
			out[i] = 0.0f;
		else
			out[i] = most == least ? 1.0f :
			    (float)(most - r) / (float)(most - least);
	}
}

const struct scorer scorer_running_requests = {
	.name = "running-requests-size-scorer",
	.differs = "requests sent since the last scrape count as running; stale "
	    "numbers count as the busiest",
	.score = running_score,
};
