/*
 * filter_utilization.c - only endpoints that use no more of anything than they may
 *
 *	active-requests		in flight there, as far as we sent them
 *	running-requests	as its engine tells
 *	waiting-queue		as its engine tells
 *	kv-cache-utilization	as its engine tells, 0 to 1
 *
 * None may be above its maxValue. Nobody left: 429; with fallbackOnEmpty everybody.
 * Source: llm-d-router, filter "utilization-filter". As there, the last numbers count
 * however old they are, and one that never came is 0: a filter that drops what it knows
 * nothing of would make an outage of the metrics one of the service. Neither are
 * requests added here that were sent since: they may well run at once. A cap that
 * holds within a burst is active-requests, which needs `feedback:`.
 */
#include "plugins/plugins.h"

#include <errno.h>
#include <string.h>

#include "conf.h"
#include "endpoints.h"
#include "fault.h"

enum { CONDITIONS_MAX = 16 };

enum metric {
	METRIC_ACTIVE, METRIC_RUNNING, METRIC_WAITING, METRIC_KV_CACHE,
};

static const char *const metrics[] = {
	[METRIC_ACTIVE] = "active-requests",
	[METRIC_RUNNING] = "running-requests",
	[METRIC_WAITING] = "waiting-queue",
	[METRIC_KV_CACHE] = "kv-cache-utilization", NULL,
};

struct condition {
	enum metric metric;
	float max;
};

struct utilization_params {
	const struct condition *conditions;
	size_t n_conditions;
	bool falls_back;
};

static int check_condition(const struct conf_input *in,
    const struct conf *map, void *out)
{
	const struct condition *condition = out;

	if (condition->metric != METRIC_KV_CACHE || condition->max <= 1)
		return 0;
	fault_set(in->why, in->file, conf_child(map, "maxValue")->line,
	    "maxValue above 1 for kv-cache-utilization", "a share, as 0.8");
	return -EINVAL;
}

static const struct conf_row condition_rows[] = {
	{ .key = "metric", .decode = conf_enum, .required = true,
	  .names = metrics, .offset = offsetof(struct condition, metric),
	  .help = "what is compared" },
	{ .key = "maxValue", .decode = conf_fraction, .required = true,
	  .offset = offsetof(struct condition, max),
	  .help = "the most that passes" },
};

static const struct conf_table condition_table = {
	.what = "a condition",
	.size = sizeof(struct condition),
	.rows = condition_rows,
	.n_rows = sizeof(condition_rows) / sizeof(*condition_rows),
	.check = check_condition,
};

static const struct conf_row rows[] = {
	{ .key = "conditions", .decode = conf_list, .required = true,
	  .table = &condition_table, .min = 1, .max = CONDITIONS_MAX,
	  .offset = offsetof(struct utilization_params, conditions),
	  .offset_n = offsetof(struct utilization_params, n_conditions),
	  .help = "a list of {metric, maxValue}; all must hold" },
	{ .key = "fallbackOnEmpty", .decode = conf_bool, .preset = "false",
	  .offset = offsetof(struct utilization_params, falls_back),
	  .help = "keep everybody rather than nobody" },
};

static const struct conf_table table = {
	.what = "utilization-filter",
	.size = sizeof(struct utilization_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

/* Doubles: they hold each 32-bit count as it is. */
static double value_of(const struct choice *c, size_t i, enum metric metric)
{
	const struct endpoint_stats *s = &c->view->stats[c->rows[i]];

	switch (metric) {
	case METRIC_ACTIVE:
		return live_count_get(
		    &endpoint_live(c->view, c->rows[i])->requests);
	case METRIC_RUNNING:
		return s->running;
	case METRIC_WAITING:
		return s->queued;
	case METRIC_KV_CACHE:
		break;
	}
	return (double)s->kv_used;
}

static void utilization_filter(const struct choice *c, const void *params,
    bool *keep)
{
	const struct utilization_params *p = params;
	size_t n_kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		for (size_t k = 0; k < p->n_conditions; k++)
			keep[i] = keep[i] &&
			    value_of(c, i, p->conditions[k].metric) <=
			    (double)p->conditions[k].max;
		n_kept += keep[i];
	}
	if (n_kept == 0 && p->falls_back)
		memset(keep, true, c->n * sizeof(*keep));
}

const struct filter filter_utilization = {
	.name = "utilization-filter",
	.differs = "active-requests needs `feedback:`",
	.params = &table,
	.filter = utilization_filter,
};
