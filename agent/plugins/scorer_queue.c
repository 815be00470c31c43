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

#include "endpoints.h"

static int is_fresh(const struct choice *c, size_t i)
{
	return c->view->stats[c->rows[i]].health == ENDPOINT_FRESH;
}

/* 64 bits: what an engine claims may be anything, and must not wrap to nothing. */
static uint64_t queue_of(const struct choice *c, size_t i)
{
	return (uint64_t)c->view->stats[c->rows[i]].queued + c->unsettled[i];
}

static void queue_score(const struct choice *c, const void *params,
    float *out)
{
	uint64_t least = UINT64_MAX, most = 0;

	(void)params;
	for (size_t i = 0; i < c->n; i++) {
		uint64_t q = queue_of(c, i);

		if (!is_fresh(c, i))
			continue;
		least = q < least ? q : least;
		most = q > most ? q : most;
	}
	for (size_t i = 0; i < c->n; i++) {
		uint64_t q = queue_of(c, i);

		if (!is_fresh(c, i))
			out[i] = 0.0f;
		else
			out[i] = most == least ? 1.0f :
			    (float)(most - q) / (float)(most - least);
	}
}

const struct scorer scorer_queue = {
	.name = "queue-scorer",
	.differs = "requests sent since the last scrape count as queued; stale "
	    "numbers count as the longest queue",
	.score = queue_score,
};
