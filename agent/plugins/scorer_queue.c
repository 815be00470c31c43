/*
 * scorer_queue.c - the fewer requests wait at an endpoint, the better
 *
 *	score = (max - q) / (max - min) over the candidates; all alike: 1
 *
 * Source: llm-d-router, scorer "queue-scorer". There q is the scraped queue. Here it
 * is the queue as this request will find it: what was scraped and what we have sent
 * there since, so that requests between two scrapes do not all see the same idle
 * endpoint. An endpoint whose numbers are stale counts as the longest queue.
 */
#include "plugins/plugins.h"

#include "clones.h"
#include "columns.h"

CLONED_FOR_AVX2 static void queue_score(const struct choice *c,
    const void *params, float *out)
{
	(void)params;
	score_fewest(c, choice_queued, out);
}

const struct scorer scorer_queue = {
	.name = "queue-scorer",
	.differs = "requests sent since the last scrape count as queued; stale "
	    "numbers count as the longest queue",
	.score = queue_score,
};
