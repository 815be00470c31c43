/*
 * filter_utilization_detector.c - only who is not full, by what its engine tells
 *
 *	waiting < queueDepthThreshold * (1 + headroom)
 *	kv used < kvCacheUtilThreshold * (1 + headroom)
 *
 * and the numbers are not too old. Everybody, when nobody is left. Source:
 * llm-d-router, flowcontrol/saturationdetector/utilization, Filter(). There, waiting is
 * what was scraped; here, what we have sent since counts too, as in saturation.c. What
 * is too old is what metricsStalenessThreshold says or, when it is not given, what is
 * too old for the pool's saturation.
 */
#include "plugins/plugins.h"

#include <errno.h>

#include "conf.h"
#include "endpoints.h"
#include "fault.h"
#include "plugins/detector.h"

enum { HOUR_MS = 60 * 60 * 1000 };

static int check(const struct conf_input *in, const struct conf *map, void *out)
{
	struct detector_params *p = out;
	struct saturation_options *s = &p->saturation, given = *s;

	*s = detector_presets;
	s->detector = DETECTOR_UTILIZATION;
	s->queue_depth = given.queue_depth;
	s->kv_used = given.kv_used;
	s->stale_ms = given.stale_ms;
	p->limits[0] = detector_limit((double)s->queue_depth, p->headroom);
	p->limits[1] = detector_limit((double)s->kv_used, p->headroom);
	if (s->queue_depth > 0 && s->kv_used > 0)
		return 0;
	fault_set(in->why, in->file, map->line,
	    "utilization-detector with a threshold of 0",
	    "queueDepthThreshold and kvCacheUtilThreshold above 0");
	return -EINVAL;
}

#define PARAM(field) offsetof(struct detector_params, saturation.field)

static const struct conf_row rows[] = {
	{ .key = "queueDepthThreshold", .decode = conf_fraction,
	  .preset = "5", .offset = PARAM(queue_depth),
	  .help = "requests waiting at an endpoint that is full" },
	{ .key = "kvCacheUtilThreshold", .decode = conf_fraction,
	  .preset = "0.8", .max = 1, .offset = PARAM(kv_used),
	  .help = "share of KV cache used at one that is full" },
	{ .key = "metricsStalenessThreshold", .decode = conf_duration,
	  .min = 1, .max = HOUR_MS, .offset = PARAM(stale_ms),
	  .help = "older numbers mean full; 200ms, or 4 scrapes if longer" },
	DETECTOR_HEADROOM_ROW,
};

static const struct conf_table table = {
	.what = "utilization-detector",
	.size = sizeof(struct detector_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.check = check,
};

static bool is_young(const struct choice *c, const struct endpoint_stats *s,
    const struct detector_params *p)
{
	if (p->saturation.stale_ms == 0)
		return s->is_current;
	return s->seen_ms != 0 &&
	    c->now_ms - s->seen_ms <= p->saturation.stale_ms;
}

static bool passes(const struct choice *c, size_t i,
    const struct detector_params *p)
{
	const struct endpoint_stats *s = &c->view->stats[c->rows[i]];
	double waiting = (double)s->queued + c->unsettled[i];

	return is_young(c, s, p) && waiting < p->limits[0] &&
	    (double)s->kv_used < p->limits[1];
}

static void utilization_filter(const struct choice *c, const void *params,
    bool *keep)
{
	detector_keep(c, params, keep, passes);
}

const struct filter filter_utilization_detector = {
	.name = "utilization-detector",
	.differs = "requests sent since the last scrape count as waiting",
	.params = &table,
	.filter = utilization_filter,
};
