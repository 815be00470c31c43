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

#include "clones.h"
#include "columns.h"

CLONED_FOR_AVX2 static void running_score(const struct choice *c,
    const void *params, float *out)
{
	(void)params;
	score_fewest(c, choice_running, out);
}

const struct scorer scorer_running_requests = {
	.name = "running-requests-size-scorer",
	.differs = "requests sent since the last scrape count as running; stale "
	    "numbers count as the busiest",
	.score = running_score,
};
