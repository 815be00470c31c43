/*
 * heat.c - how many requests lately had a prompt that begins the same
 */
#include "heat.h"

#include "lately.h"
#include "live.h"

enum { PERIOD_MS = 250 };	/* about what a long prompt takes */

static bool is_at(const struct heat *h, uint64_t beginning)
{
	return atomic_load_explicit(&h->beginning, memory_order_relaxed) ==
	    beginning;
}

void heat_add(struct heat *table, uint64_t beginning, int64_t now_ms)
{
	struct heat *h = &table[beginning % LIVE_HEAT];
	int64_t period = now_ms / PERIOD_MS;

	if (!is_at(h, beginning)) {
		if (lately_get(&h->asked, period) > 1)
			return;
		atomic_store_explicit(&h->beginning, beginning,
		    memory_order_relaxed);
		atomic_store_explicit(&h->asked, 0, memory_order_relaxed);
	}
	lately_add(&h->asked, 1, period);
}

uint32_t heat_get(const struct heat *table, uint64_t beginning,
    int64_t now_ms)
{
	const struct heat *h = &table[beginning % LIVE_HEAT];

	return is_at(h, beginning) ?
	    lately_get(&h->asked, now_ms / PERIOD_MS) : 0;
}
