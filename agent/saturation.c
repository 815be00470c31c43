/*
 * saturation.c - a function per detector
 */
#include "saturation.h"

#include "endpoints.h"
#include "options.h"
#include "outlier.h"

static float larger(float a, float b)
{
	return a > b ? a : b;
}

static float utilization_at(const struct endpoint_view *view, size_t row)
{
	const struct saturation_options *o = &view->options->saturation;
	const struct endpoint_stats *s = &view->stats[row];

	if (!s->is_current)
		return 1.0f;
	return larger(((float)s->queued + (float)endpoint_unsettled(view, row)) /
	    o->queue_depth, s->kv_used / o->kv_used);
}

static float concurrency_at(const struct endpoint_view *view, size_t row)
{
	const struct saturation_options *o = &view->options->saturation;
	const struct endpoint_live *l = endpoint_live(view, row);
	float requests = (float)live_count_get(&l->requests) /
	    (float)o->max_concurrency;
	float tokens = (float)live_count_get(&l->tokens) /
	    (float)o->max_token_concurrency;

	switch (o->mode) {
	case CONCURRENCY_REQUESTS:
		return requests;
	case CONCURRENCY_TOKENS:
		return tokens;
	case CONCURRENCY_HYBRID:
		break;
	}
	return larger(requests, tokens);
}

typedef float detect_f(const struct endpoint_view *view, size_t row);

/* All endpoints have the same capacity, so their mean is the ratio of the sums. */
static detect_f *const detectors[] = {
	[DETECTOR_UTILIZATION] = utilization_at,
	[DETECTOR_CONCURRENCY] = concurrency_at,
};

static float mean_of(const struct endpoint_view *view, bool only_usable)
{
	detect_f *detect = detectors[view->options->saturation.detector];
	float sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < view->n_endpoints; i++) {
		if (only_usable && (view->stats[i].health == ENDPOINT_DOWN ||
			!outlier_allows(endpoint_live(view, i))))
			continue;
		sum += detect(view, i);
		n++;
	}
	return n > 0 ? sum / (float)n : -1.0f;
}

float saturation_of(const struct endpoint_view *view)
{
	float usable = mean_of(view, true);

	if (usable >= 0)
		return usable;
	return view->n_endpoints > 0 ? mean_of(view, false) : 1.0f;
}
