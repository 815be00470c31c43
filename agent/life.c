/*
 * life.c - start times and counters out of a page
 */
#include "life.h"

#include "engine.h"
#include "live.h"

/* Beyond these no page is right. */
static const double SECONDS_MAX = 1e12, SERVED_MAX = 1e18;

static int64_t started_ms(const struct engine_reading *r)
{
	return r->start_time > 0 && r->start_time < SECONDS_MAX ?
	    (int64_t)(r->start_time * 1000) : 0;
}

bool life_is_another(const struct engine_life *l, const struct engine_reading *r)
{
	int64_t was_ms = atomic_load(&l->started_ms);
	int64_t is_ms = started_ms(r);
	uint64_t was_served = atomic_load(&l->served);

	if (was_ms != 0 && is_ms != 0)
		return was_ms != is_ms;
	return r->served >= 0 && r->served < (double)was_served;
}

void life_note(struct engine_life *l, const struct engine_reading *r)
{
	if (started_ms(r) != 0)
		atomic_store(&l->started_ms, started_ms(r));
	if (r->served >= 0 && r->served < SERVED_MAX)
		atomic_store(&l->served, (uint64_t)r->served);
}
