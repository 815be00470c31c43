/*
 * filter_concurrency_detector.c - only who is not full, by what we have in flight there
 *
 *	requests	requests < maxConcurrency * (1 + headroom)
 *	tokens		tokens < maxTokenConcurrency * (1 + headroom)
 *	hybrid		both
 *
 * Everybody, when nobody is left. Without `feedback:` nothing is known to be in
 * flight, and everybody passes. Source: llm-d-router,
 * flowcontrol/saturationdetector/concurrency, Filter(), which rounds the limits down,
 * and which leaves nobody when all are full: a 429, also where requests could wait. Who
 * wants that has utilization-filter with active-requests.
 */
#include "plugins/plugins.h"

#include <math.h>

#include "conf.h"
#include "endpoints.h"
#include "plugins/detector.h"

static int check(const struct conf_input *in, const struct conf *map, void *out)
{
	struct detector_params *p = out;
	struct saturation_options *s = &p->saturation, given = *s;

	(void)in;
	(void)map;
	*s = detector_presets;
	s->detector = DETECTOR_CONCURRENCY;
	s->mode = given.mode;
	s->max_concurrency = given.max_concurrency;
	s->max_token_concurrency = given.max_token_concurrency;
	p->limits[0] = floor(detector_limit(s->max_concurrency, p->headroom));
	p->limits[1] = floor(detector_limit((double)s->max_token_concurrency,
	    p->headroom));
	return 0;
}

static const char *const modes[] = {
	[CONCURRENCY_REQUESTS] = "requests", [CONCURRENCY_TOKENS] = "tokens",
	[CONCURRENCY_HYBRID] = "hybrid", NULL,
};

#define PARAM(field) offsetof(struct detector_params, saturation.field)

static const struct conf_row rows[] = {
	{ .key = "concurrencyMode", .decode = conf_enum, .preset = "requests",
	  .names = modes, .offset = PARAM(mode),
	  .help = "what is counted: requests, tokens or hybrid" },
	{ .key = "maxConcurrency", .decode = conf_u32, .preset = "100",
	  .min = 1, .offset = PARAM(max_concurrency),
	  .help = "requests in flight at an endpoint that is full" },
	{ .key = "maxTokenConcurrency", .decode = conf_u64,
	  .preset = "1000000", .min = 1,
	  .offset = PARAM(max_token_concurrency),
	  .help = "prompt tokens not yet prefilled at one that is full" },
	DETECTOR_HEADROOM_ROW,
};

static const struct conf_table table = {
	.what = "concurrency-detector",
	.size = sizeof(struct detector_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.check = check,
};

static bool passes(const struct choice *c, size_t i,
    const struct detector_params *p)
{
	enum concurrency_mode mode = p->saturation.mode;
	const struct endpoint_live *l = endpoint_live(c->view, c->rows[i]);

	return (mode == CONCURRENCY_TOKENS ||
		live_count_get(&l->requests) < p->limits[0]) &&
	    (mode == CONCURRENCY_REQUESTS ||
		live_count_get(&l->tokens) < p->limits[1]);
}

static void concurrency_filter(const struct choice *c, const void *params,
    bool *keep)
{
	detector_keep(c, params, keep, passes);
}

const struct filter filter_concurrency_detector = {
	.name = "concurrency-detector",
	.differs = "as a filter it keeps everybody when all are full; needs "
	    "`feedback:`",
	.params = &table,
	.filter = concurrency_filter,
};
