/*
 * detector.c - a limit, and a filter that fails open
 */
#include "plugins/detector.h"

#include <math.h>
#include <string.h>

#include "plugin.h"

const struct saturation_options detector_presets = {
	.queue_depth = 5, .kv_used = 0.8f, .max_concurrency = 100,
	.max_token_concurrency = 1000000, .retry_after_s = 1,
};

/* A float's 0.7 is a little less than what was written, in six digits. */
double detector_limit(double limit, float headroom)
{
	return limit * (1 + round((double)headroom * 1e6) / 1e6);
}

void detector_keep(const struct choice *c, const struct detector_params *p,
    bool *keep, detector_passes_f *passes)
{
	size_t n_kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		keep[i] = passes(c, i, p);
		n_kept += keep[i];
	}
	if (n_kept == 0)
		memset(keep, true, c->n * sizeof(*keep));
}
