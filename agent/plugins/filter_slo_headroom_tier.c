/*
 * filter_slo_headroom_tier.c - only endpoints that are fast enough for this request
 *
 *	headroom = what the request asks for - what the last requests there got
 *
 * of the time to first token (x-llm-d-slo-ttft-ms) and of the time between tokens
 * (x-llm-d-slo-tpot-ms), in whole milliseconds; the older names without "llm-d-" will
 * do. Enough is where neither is below 0. Those are kept; with a chance of
 * epsilonExploreNeg only the others, so that one that has recovered is noticed. All of
 * them, when all are enough or none is, or the request asks for nothing.
 *
 * Source: llm-d-router, filter "slo-headroom-tier-filter". There, headroom comes from a
 * model trained on the endpoint's state and this request's length; we have none, and
 * take moving averages: they lag, and are the same for short prompts and long ones. An
 * endpoint that has no sample is enough here, since it would hardly get a request to be
 * measured by otherwise; there each is predicted. An objective that is not given binds
 * nothing; there it is 0 and nobody meets it. The averages need `feedback:`.
 */
#include "plugins/plugins.h"

#include "conf.h"
#include "endpoints.h"
#include "json.h"
#include "plugins/chance.h"
#include "request.h"

struct headroom_params {
	float explore_negative;
};

static const struct conf_row rows[] = {
	{ .key = "epsilonExploreNeg", .decode = conf_fraction,
	  .preset = "0.01", .max = 1,
	  .offset = offsetof(struct headroom_params, explore_negative),
	  .help = "how often only the slow ones are kept" },
};

static const struct conf_table table = {
	.what = "slo-headroom-tier-filter",
	.size = sizeof(struct headroom_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

/* Microseconds; 0: any. */
struct objective {
	double ttft_us, token_us;
};

static double header_us(const struct request *r, const char *name)
{
	struct span value;
	uint64_t ms;

	return request_header(r, name, &value) && json_uint(value, &ms) ?
	    (double)ms * 1000 : 0;
}

static struct objective objective_of(const struct request *r)
{
	struct objective o = { .ttft_us = r->slo_ttft_ms * 1000.0,
		.token_us = header_us(r, "x-llm-d-slo-tpot-ms") };

	if (o.token_us <= 0)
		o.token_us = header_us(r, "x-slo-tpot-ms");
	return o;
}

/* An average below 0 says that there is none. */
static bool meets(double wanted_us, const struct ewma *seen_us)
{
	return wanted_us <= 0 || (double)ewma_get(seen_us) <= wanted_us;
}

static bool is_enough(const struct choice *c, size_t i,
    const struct objective *o)
{
	const struct endpoint_live *l = endpoint_live(c->view, c->rows[i]);

	return meets(o->ttft_us, &l->ttft_us) &&
	    meets(o->token_us, &l->token_us);
}

enum { SALT = 0x510 };

static void headroom_filter(const struct choice *c, const void *params,
    bool *keep)
{
	const struct headroom_params *p = params;
	struct objective o = objective_of(c->request);
	bool wants_enough = p->explore_negative <= 0 ||
	    chance_of(c, SALT) >= (double)p->explore_negative;
	size_t n_enough = 0;

	for (size_t i = 0; i < c->n; i++) {
		keep[i] = is_enough(c, i, &o);	/* once: averages move */
		n_enough += keep[i];
	}
	if (n_enough == 0 || n_enough == c->n)
		wants_enough = n_enough > 0;
	for (size_t i = 0; i < c->n; i++)
		keep[i] = keep[i] == wants_enough;
}

const struct filter filter_slo_headroom_tier = {
	.name = "slo-headroom-tier-filter",
	.differs = "averages that were observed instead of predictions; "
	    "without one an endpoint is fast enough; needs `feedback:`",
	.params = &table,
	.filter = headroom_filter,
};
