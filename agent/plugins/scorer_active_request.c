/*
 * scorer_active_request.c - the fewer of our own requests are there, the better
 *
 *	c <= idleThreshold (0): 1;  else (max - c) / max * maxBusyScore (1)
 *
 * c is what we have sent there and not seen end, max the largest c of the candidates.
 * Source: llm-d-router, scorer "active-request-scorer", with its
 * inflight-load-producer. Ends are told by `feedback:`. Where no candidate has anything
 * booked (nothing tells, or we have just started), c is what the engines told last,
 * running and waiting, and what we have sent since.
 */
#include "plugins/plugins.h"

#include "conf.h"
#include "endpoints.h"

struct active_params {
	uint32_t idle;
	float max_busy;
	const char *unused;
};

static const struct conf_row rows[] = {
	{ .key = "idleThreshold", .decode = conf_u32, .preset = "0",
	  .offset = offsetof(struct active_params, idle),
	  .help = "up to so many requests are none" },
	{ .key = "maxBusyScore", .decode = conf_fraction, .preset = "1",
	  .max = 1, .offset = offsetof(struct active_params, max_busy),
	  .help = "the most for one that has more" },
	{ .key = "requestTimeout", .decode = conf_string,
	  .offset = offsetof(struct active_params, unused),
	  .help = "deprecated by llm-d, and without effect" },
	{ .key = "inFlightLoadProducerName", .decode = conf_string,
	  .offset = offsetof(struct active_params, unused),
	  .help = "there is one: without effect" },
};

static const struct conf_table table = {
	.what = "active-request-scorer",
	.size = sizeof(struct active_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static float booked_at(const struct choice *c, size_t i)
{
	return (float)live_count_get(
	    &endpoint_live(c->view, c->rows[i])->requests);
}

static float scraped_at(const struct choice *c, size_t i)
{
	const struct endpoint_stats *s = &c->view->stats[c->rows[i]];

	return (float)((uint64_t)s->running + s->queued + c->unsettled[i]);
}

/* Counts move while we look: each is read once, into `out`. Returns the largest. */
static float count_all(const struct choice *c, float *out,
    float (*count_at)(const struct choice *c, size_t i))
{
	float most = 0.0f;

	for (size_t i = 0; i < c->n; i++) {
		out[i] = count_at(c, i);
		most = out[i] > most ? out[i] : most;
	}
	return most;
}

static void active_score(const struct choice *c, const void *params, float *out)
{
	const struct active_params *p = params;
	float most = count_all(c, out, booked_at);

	if (most <= 0)
		most = count_all(c, out, scraped_at);
	for (size_t i = 0; i < c->n; i++)
		out[i] = out[i] <= (float)p->idle ? 1.0f :
		    (most - out[i]) / most * p->max_busy;
}

const struct scorer scorer_active_request = {
	.name = "active-request-scorer",
	.differs = "needs feedback, which tells when requests end; without, what the "
	    "engines tell counts",
	.params = &table,
	.score = active_score,
};
