/*
 * outlier.c - each arrow of the picture is one compare-and-swap
 */
#include "outlier.h"

#include "endpoints.h"
#include "log.h"
#include "options.h"

static uint16_t state_of(const struct endpoint_live *l)
{
	return atomic_load(&l->breaker);
}

static bool move(struct endpoint_live *l, uint16_t from, uint16_t to)
{
	return atomic_compare_exchange_strong(&l->breaker, &from, to);
}

/* An ejection that comes in between has set its own time, and keeps it. */
static bool set_due(struct endpoint_live *l, int64_t from_ms, int64_t to_ms)
{
	return atomic_compare_exchange_strong(&l->due_ms, &from_ms, to_ms);
}

/* One endpoint may always go; more of them up to their share. */
static bool may_eject(const struct endpoint_view *view)
{
	size_t n = 0;

	for (size_t i = 0; i < view->n_endpoints; i++)
		n += state_of(endpoint_live(view, i)) != BREAKER_CLOSED;
	return n == 0 || (n + 1) * 100 <=
	    view->n_endpoints * view->options->outlier.max_percent;
}

static int64_t ejection_ms(const struct outlier_options *o, int64_t times)
{
	int64_t ms = times * o->base_ms;

	return ms < o->max_ms ? ms : o->max_ms;
}

/* Which one it would be, of those that are not forgotten. */
static int64_t next_ejection(const struct endpoint_live *l,
    const struct outlier_options *o, int64_t now_ms)
{
	int64_t until_ms = (int64_t)l->ejected_s * 1000 +
	    ejection_ms(o, l->n_ejections);

	return l->ejected_s != 0 && now_ms < until_ms + o->max_ms ?
	    l->n_ejections + 1 : 1;
}

static bool eject(const struct endpoint_view *view, size_t row, uint16_t from,
    int64_t now_ms)
{
	const struct outlier_options *o = &view->options->outlier;
	struct endpoint_live *l = endpoint_live(view, row);
	int64_t times = next_ejection(l, o, now_ms);
	int64_t lasts_ms = ejection_ms(o, times), due_ms = now_ms + lasts_ms;

	l->due_ms = due_ms;	/* before the state that looks at it */
	if (!move(l, from, BREAKER_OPEN)) {	/* it served, or its time was over */
		set_due(l, due_ms, 0);
		return false;
	}
	l->n_ejections = (uint16_t)(times < UINT16_MAX ? times : UINT16_MAX);
	l->ejected_s = (uint32_t)(now_ms / 1000 + 1);
	log_warn("outlier.ejected", "pool=%s endpoint=%.*s for_ms=%lld times=%lld",
	    view->pool, (int)view->endpoints[row].name.len,
	    view->endpoints[row].name.ptr, (long long)lasts_ms,
	    (long long)times);
	return true;
}

bool outlier_failed(const struct endpoint_view *view, size_t row, int64_t now_ms)
{
	const struct outlier_options *o = &view->options->outlier;
	struct endpoint_live *l = endpoint_live(view, row);
	uint32_t n = l->n_failures;

	if (o->consecutive_failures == 0)
		return false;
	if (state_of(l) == BREAKER_TRIAL)
		return eject(view, row, BREAKER_TRIAL, now_ms);
	if (state_of(l) != BREAKER_CLOSED)
		return false;
	if (n < UINT16_MAX)
		l->n_failures = (uint16_t)++n;
	return n >= o->consecutive_failures && may_eject(view) &&
	    eject(view, row, BREAKER_CLOSED, now_ms);
}

/* While it is ejected, what was sent there before says nothing new. */
bool outlier_served(const struct endpoint_view *view, size_t row)
{
	struct endpoint_live *l = endpoint_live(view, row);

	if (atomic_load_explicit(&l->n_failures, memory_order_relaxed) != 0)
		l->n_failures = 0;
	if (!move(l, BREAKER_TRIAL, BREAKER_CLOSED))
		return false;
	log_info("outlier.returned", "pool=%s endpoint=%.*s", view->pool,
	    (int)view->endpoints[row].name.len, view->endpoints[row].name.ptr);
	return true;
}

void outlier_tick(struct endpoint_live *l, const struct outlier_options *o,
    int64_t now_ms)
{
	uint16_t state = state_of(l);
	int64_t due_ms = l->due_ms;

	if (state == BREAKER_CLOSED)
		return;
	if (o->consecutive_failures == 0) {	/* switched off by a reload */
		move(l, state, BREAKER_CLOSED);
	} else if (state == BREAKER_OPEN && now_ms >= due_ms) {
		l->n_failures = 0;
		l->due_ms = 0;
		move(l, BREAKER_OPEN, BREAKER_HALF_OPEN);
	} else if (state == BREAKER_TRIAL && due_ms == 0) {
		/* Its end may never be told. */
		set_due(l, 0, now_ms + o->base_ms);
	} else if (state == BREAKER_TRIAL && now_ms >= due_ms &&
	    set_due(l, due_ms, 0)) {
		move(l, BREAKER_TRIAL, BREAKER_HALF_OPEN);
	}
}

bool outlier_take(struct endpoint_live *l)
{
	return state_of(l) == BREAKER_CLOSED ||
	    move(l, BREAKER_HALF_OPEN, BREAKER_TRIAL);
}
