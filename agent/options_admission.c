/*
 * options_admission.c - rows of who is let in, when, and where not to
 */
#include "options_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, BANDS_MAX = 256 };

const char *const failure_modes[] = {
	[FAIL_OPEN] = "FailOpen", [FAIL_CLOSE] = "FailClose", NULL,
};

/* ---- outliers ---- */

static int check_outlier(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct outlier_options *o = out;

	if (o->max_ms >= o->base_ms)
		return 0;
	fault_set(in->why, in->file, map->line,
	    "outlierDetection with maxEjectionTime below baseEjectionTime",
	    "a longer maxEjectionTime");
	return -EINVAL;
}

static const struct conf_row outlier_rows[] = {
	{ .key = "consecutive5xx", .decode = conf_u32, .preset = "5",
	  .max = UINT16_MAX,
	  .offset = offsetof(struct outlier_options, consecutive_failures),
	  .help = "failures in a row that eject an endpoint; 0: none do" },
	{ .key = "baseEjectionTime", .decode = conf_duration, .preset = "30s",
	  .min = 100, .max = HOUR_MS,
	  .offset = offsetof(struct outlier_options, base_ms),
	  .help = "times the number of ejections; then one request tries it" },
	{ .key = "maxEjectionTime", .decode = conf_duration, .preset = "300s",
	  .min = 100, .max = 24 * HOUR_MS,
	  .offset = offsetof(struct outlier_options, max_ms),
	  .help = "at most" },
	{ .key = "maxEjectionPercent", .decode = conf_u32, .preset = "10",
	  .max = 100, .offset = offsetof(struct outlier_options, max_percent),
	  .help = "of the pool at once; one endpoint in any case" },
};

const struct conf_table outlier_table = {
	.what = "outlierDetection",
	.rows = outlier_rows,
	.n_rows = sizeof(outlier_rows) / sizeof(*outlier_rows),
	.check = check_outlier,
};

/* ---- saturation ---- */

static int decode_seconds(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	int64_t ms;
	int err = conf_duration(in, row, value, &ms);

	if (err != 0)
		return err;
	if (ms % 1000 != 0)	/* RFC 9110 10.2.3: Retry-After is in seconds */
		return conf_refuse(in, row, value, "whole seconds, as 1s");
	*(int64_t *)out = ms / 1000;
	return 0;
}

static int check_saturation(const struct conf_input *in,
    const struct conf *map, void *out)
{
	const struct saturation_options *s = out;

	if (s->queue_depth > 0 && s->kv_used > 0)
		return 0;
	fault_set(in->why, in->file, map->line,
	    "saturation with a threshold of 0", "queueDepthThreshold and "
	    "kvCacheUtilThreshold above 0");
	return -EINVAL;
}

static const char *const detectors[] = {
	[DETECTOR_UTILIZATION] = "utilization-detector",
	[DETECTOR_CONCURRENCY] = "concurrency-detector", NULL,
};

static const char *const modes[] = {
	[CONCURRENCY_REQUESTS] = "requests", [CONCURRENCY_TOKENS] = "tokens",
	[CONCURRENCY_HYBRID] = "hybrid", NULL,
};

static const struct conf_row saturation_rows[] = {
	{ .key = "detector", .decode = conf_enum,
	  .preset = "utilization-detector", .names = detectors,
	  .offset = offsetof(struct saturation_options, detector),
	  .help = "or concurrency-detector, which needs feedback" },
	{ .key = "queueDepthThreshold", .decode = conf_fraction, .preset = "5",
	  .offset = offsetof(struct saturation_options, queue_depth),
	  .help = "requests waiting at an endpoint that is full" },
	{ .key = "kvCacheUtilThreshold", .decode = conf_fraction,
	  .preset = "0.8", .max = 1,
	  .offset = offsetof(struct saturation_options, kv_used),
	  .help = "share of KV cache used at one that is full" },
	{ .key = "metricsStalenessThreshold", .decode = conf_duration,
	  .min = 1, .max = HOUR_MS,
	  .offset = offsetof(struct saturation_options, stale_ms),
	  .help = "older numbers mean full; 200ms, or 4 scrapes if longer" },
	{ .key = "concurrencyMode", .decode = conf_enum, .preset = "requests",
	  .names = modes, .offset = offsetof(struct saturation_options, mode),
	  .help = "what is counted: requests, tokens or hybrid" },
	{ .key = "maxConcurrency", .decode = conf_u32, .preset = "100",
	  .min = 1, .offset = offsetof(struct saturation_options,
	      max_concurrency),
	  .help = "requests in flight at an endpoint that is full" },
	{ .key = "maxTokenConcurrency", .decode = conf_u64,
	  .preset = "1000000", .min = 1,
	  .offset = offsetof(struct saturation_options,
	      max_token_concurrency),
	  .help = "prompt tokens not yet prefilled at one that is full" },
	{ .key = "retryAfter", .decode = decode_seconds, .preset = "1s",
	  .max = 24 * HOUR_MS,
	  .offset = offsetof(struct saturation_options, retry_after_s),
	  .help = "told to who is refused; 0: nothing is" },
};

const struct conf_table saturation_table = {
	.what = "saturation",
	.rows = saturation_rows,
	.n_rows = sizeof(saturation_rows) / sizeof(*saturation_rows),
	.check = check_saturation,
};

/* ---- objectives ---- */

static const struct conf_row objective_rows[] = {
	{ .key = "name", .decode = conf_string, .required = true,
	  .offset = offsetof(struct objective_options, name),
	  .help = "the value of x-llm-d-inference-objective" },
	{ .key = "priority", .decode = conf_i32, .preset = "0",
	  .offset = offsetof(struct objective_options, priority),
	  .help = "higher goes first; negative may be refused" },
};

const struct conf_table objective_table = {
	.what = "an objective",
	.size = sizeof(struct objective_options),
	.rows = objective_rows,
	.n_rows = sizeof(objective_rows) / sizeof(*objective_rows),
};

static int by_name(const void *a, const void *b)
{
	const struct objective_options *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* ---- flow control ---- */

static const char *const fairnesses[] = {
	[FLOW_GLOBAL_STRICT] = "global-strict-fairness-policy",
	[FLOW_ROUND_ROBIN] = "round-robin-fairness-policy", NULL,
};

static const char *const orderings[] = {
	[FLOW_FCFS] = "fcfs-ordering-policy",
	[FLOW_EDF] = "edf-ordering-policy",
	[FLOW_SLO_DEADLINE] = "slo-deadline-ordering-policy", NULL,
};

/* The last rows of all bands; the first is for those that have a number. */
#define BAND_ROWS                                                       \
	{ .key = "maxRequests", .decode = conf_u64, .preset = "5000",   \
	  .offset = offsetof(struct flow_band_options, max_requests),   \
	  .help = "that may wait; 0: no limit" },                       \
	{ .key = "maxBytes", .decode = decode_bytes, .preset = "1000000000", \
	  .offset = offsetof(struct flow_band_options, max_bytes),      \
	  .help = "of their bodies, which HAProxy keeps; 0: no limit" }, \
	{ .key = "defaultRequestTTL", .decode = conf_duration, .min = 1, \
	  .max = HOUR_MS,                                               \
	  .offset = offsetof(struct flow_band_options, ttl_ms),         \
	  .help = "if not the pool's, while it has endpoints" },        \
	{ .key = "fairnessPolicyRef", .decode = conf_enum,              \
	  .preset = "global-strict-fairness-policy", .names = fairnesses, \
	  .offset = offsetof(struct flow_band_options, fairness),       \
	  .help = "or round-robin-fairness-policy, between fairness ids" }, \
	{ .key = "orderingPolicyRef", .decode = conf_enum,              \
	  .preset = "fcfs-ordering-policy", .names = orderings,         \
	  .offset = offsetof(struct flow_band_options, ordering),       \
	  .help = "or edf-, or slo-deadline-ordering-policy" }

static int decode_bytes(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	size_t bytes;
	int err = conf_size(in, row, value, &bytes);

	if (err == 0)
		*(uint64_t *)out = bytes;
	return err;
}

static const struct conf_row band_rows[] = {
	{ .key = "priority", .decode = conf_i32, .required = true,
	  .offset = offsetof(struct flow_band_options, priority),
	  .help = "of the requests it is for" },
	BAND_ROWS,
};

static const struct conf_row default_band_rows[] = { BAND_ROWS };

static const struct conf_table band_table = {
	.what = "a priority band",
	.size = sizeof(struct flow_band_options),
	.rows = band_rows,
	.n_rows = sizeof(band_rows) / sizeof(*band_rows),
};

static const struct conf_table default_band_table = {
	.what = "a default band",
	.rows = default_band_rows,
	.n_rows = sizeof(default_band_rows) / sizeof(*default_band_rows),
};

static int check_bands(const struct conf_input *in, const struct conf *map,
    const struct flow_options *o)
{
	const struct conf *entry;

	for (size_t i = 0; i < o->n_bands; i++)
		for (size_t k = 0; k < i; k++) {
			if (o->bands[i].priority != o->bands[k].priority)
				continue;
			entry = conf_child(map, "priorityBands")->children;
			while (i-- > 0)
				entry = entry->next;
			fault_set(in->why, in->file, entry->line,
			    "a second band of this priority", "one each");
			return -EINVAL;
		}
	return 0;
}

static int check_flow(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct flow_control_options *o = out;

	if (!conf_is_given(conf_child(map, "noEndpointRequestTTL")))
		o->empty_ttl_ms = o->ttl_ms;
	if (!conf_is_given(conf_child(map, "defaultNegativePriorityBand")))
		o->queue.default_negative_band = o->queue.default_band;
	return check_bands(in, map, &o->queue);
}

static const struct conf_row flow_rows[] = {
	{ .key = "enabled", .decode = conf_bool, .preset = "false",
	  .offset = offsetof(struct flow_control_options, enabled),
	  .help = "mind HAProxy's `timeout processing`: README" },
	{ .key = "defaultRequestTTL", .decode = conf_duration, .preset = "60s",
	  .min = 1, .max = HOUR_MS,
	  .offset = offsetof(struct flow_control_options, ttl_ms),
	  .help = "how long a request waits at most" },
	{ .key = "noEndpointRequestTTL", .decode = conf_duration,
	  .max = HOUR_MS,
	  .offset = offsetof(struct flow_control_options, empty_ttl_ms),
	  .help = "while there are no endpoints; the same; 0: not at all" },
	{ .key = "maxRequests", .decode = conf_u64, .preset = "0",
	  .offset = offsetof(struct flow_control_options, queue.max_requests),
	  .help = "that may wait in all bands; 0: no limit" },
	{ .key = "maxBytes", .decode = decode_bytes, .preset = "0",
	  .offset = offsetof(struct flow_control_options, queue.max_bytes),
	  .help = "of their bodies; 0: no limit" },
	{ .key = "priorityBands", .decode = conf_list, .table = &band_table,
	  .max = BANDS_MAX,
	  .offset = offsetof(struct flow_control_options, queue.bands),
	  .offset_n = offsetof(struct flow_control_options, queue.n_bands),
	  .help = "limits and policies of a priority" },
	{ .key = "defaultPriorityBand", .decode = conf_section, .preset = "{}",
	  .table = &default_band_table,
	  .offset = offsetof(struct flow_control_options,
	      queue.default_band),
	  .help = "of priorities that are not listed" },
	{ .key = "defaultNegativePriorityBand", .decode = conf_section,
	  .table = &default_band_table,
	  .offset = offsetof(struct flow_control_options,
	      queue.default_negative_band),
	  .help = "of negative ones; the same as the default band" },
};

const struct conf_table flow_table = {
	.what = "flowControl",
	.rows = flow_rows,
	.n_rows = sizeof(flow_rows) / sizeof(*flow_rows),
	.check = check_flow,
};

/* ---- across sections ---- */

enum { STALE_MS = 200, STALE_SCRAPES = 4 };

/* A scraper that is slower than the threshold would make every pool full for ever. */
static void set_staleness(struct pool_options *pool)
{
	int64_t ms = STALE_SCRAPES * pool->scrape.interval_ms;

	if (pool->saturation.stale_ms == 0)
		pool->saturation.stale_ms = ms > STALE_MS ? ms : STALE_MS;
}

/* It stands here, or in the EndpointPickerConfig. */
static unsigned line_of_staleness(const struct conf *map)
{
	const struct conf *section = conf_child(map, "saturation");
	const struct conf *key = section != NULL ?
	    conf_child(section, "metricsStalenessThreshold") : NULL;

	return key != NULL ? key->line : conf_child(map, "scheduling")->line;
}

static int check_staleness(const struct conf_input *in, const struct conf *map,
    const struct pool_options *pool)
{
	if (!pool->scrape.enabled ||
	    pool->saturation.stale_ms >= pool->scrape.interval_ms)
		return 0;
	fault_set(in->why, in->file, line_of_staleness(map),
	    "metricsStalenessThreshold below the interval of metrics",
	    "several times the interval");
	return -EINVAL;
}

static bool can_shed(const struct pool_options *pool)
{
	for (size_t i = 0; i < pool->n_objectives; i++)
		if (pool->objectives[i].priority < 0)
			return true;
	return pool->flow.enabled;
}

int check_admission(const struct conf_input *in, const struct conf *map,
    struct pool_options *pool)
{
	const struct conf *list = conf_child(map, "objectives");
	int err = conf_is_given(list) ?
	    check_unique_names(in, list, "objective") : 0;

	if (err != 0)
		return err;
	if (pool->n_objectives > 0)
		qsort((struct objective_options *)pool->objectives,
		    pool->n_objectives, sizeof(*pool->objectives), by_name);
	set_staleness(pool);
	err = check_staleness(in, map, pool);
	if (err != 0 || pool->scrape.enabled || !can_shed(pool) ||
	    pool->saturation.detector != DETECTOR_UTILIZATION)
		return err;
	fault_setf(in->why, in->file, map->line,
	    "pool %.64s with the utilization-detector and without metrics",
	    pool->name);
	fault_want(in->why, "saturation: {detector: concurrency-detector}, or "
	    "metrics");
	return -EINVAL;
}
