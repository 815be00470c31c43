#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <stdlib.h>

#include "clock.h"
#include "counters.h"
#include "epoch.h"
#include "flow_control.h"
#include "help_flow.h"
#include "must.h"

enum { BANDS_MAX = 8, OBJECTIVES_MAX = 8 };

struct box {
	struct fleet fleet;		/* first: a fleet is a box */
	const struct endpoint_view *views[1];
	struct endpoint_view view;
	struct endpoint_stats stats[HELP_ENDPOINTS_MAX];
	struct pool_options options;
	struct flow_band_options bands[BANDS_MAX];
	struct objective_options objectives[OBJECTIVES_MAX];
};

static void copy_pool(struct box *b, const struct help_pool *p)
{
	const struct flow_options *q = &p->options.flow.queue;

	must(q->n_bands <= BANDS_MAX && p->options.n_objectives <= OBJECTIVES_MAX);
	b->view = p->view;
	b->options = p->options;
	memcpy(b->stats, p->stats, sizeof(b->stats));
	for (size_t i = 0; i < q->n_bands; i++)
		b->bands[i] = q->bands[i];
	for (size_t i = 0; i < p->options.n_objectives; i++)
		b->objectives[i] = p->options.objectives[i];
	b->options.flow.queue.bands = b->bands;
	b->options.objectives = b->objectives;
	b->view.stats = b->stats;
	b->view.options = &b->options;
	b->views[0] = &b->view;
	b->fleet.n_pools = 1;
}

struct fleet *help_fleet(const struct help_pool *p)
{
	struct box *b = calloc(1, sizeof(*b));

	must(b != NULL);
	if (p != NULL)
		copy_pool(b, p);
	b->fleet.pools = b->views;
	return &b->fleet;
}

void help_fleet_retire(void *fleet)
{
	free(fleet);
}

void help_publish(struct epoch *e, struct flow_control *f,
    const struct help_pool *p)
{
	assert_int_equal(epoch_publish(e, help_fleet(p)), 0);
	flow_control_poke(f);
	epoch_reclaim(e);
}

static void set_queued(struct help_pool *p, uint32_t queued)
{
	for (size_t i = 0; i < HELP_ENDPOINTS_MAX; i++) {
		p->stats[i].queued = queued;
		p->stats[i].settled = p->live[i].picked;
	}
}

void help_fill(struct help_pool *p)
{
	set_queued(p, (uint32_t)p->options.saturation.queue_depth);
}

void help_clear(struct help_pool *p)
{
	set_queued(p, 0);
}

void help_still_in_time(int64_t since_ms)
{
	if (clock_ms() - since_ms > HELP_WAIT_MS)
		fail_msg("waited for %d ms", HELP_WAIT_MS);
	sched_yield();
}

void help_await_held(const struct flow_control *f, uint64_t n)
{
	int64_t begun = clock_ms();

	while (flow_control_counters(f)->held < n)
		help_still_in_time(begun);
	assert_int_equal(flow_control_counters(f)->held, n);
}

uint32_t help_n_held(const struct help_pool *p)
{
	return p->pool_live.n_held;
}

void help_await_nobody_held(const struct help_pool *p)
{
	int64_t begun = clock_ms();

	while (help_n_held(p) > 0)
		help_still_in_time(begun);
}
