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

#include "clones.h"
#include "columns.h"
#include "conf.h"

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
};

static const struct conf_table table = {
	.what = "active-request-scorer",
	.size = sizeof(struct active_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static uint32_t scraped_at(const struct choice *c, size_t i)
{
	return choice_sum(choice_running(c, i), choice_stats(c, i)->queued);
}

/*
 * Counts move while we look: each is read once, into `out`. Returns the largest.
 * Inline, so that each use is a loop of its own without calls.
 */
static inline float count_all(const struct choice *choice, float *out,
    uint32_t (*count_at)(const struct choice *c, size_t i))
{
	const struct choice c = *choice;
	uint32_t most = 0;

	for (size_t i = 0; i < c.n; i++) {
		uint32_t count = count_at(&c, i);

		out[i] = (float)count;
		most = count > most ? count : most;
	}
	return (float)most;
}

CLONED_FOR_AVX2 static void active_score(const struct choice *choice,
    const void *params, float *out)
{
	const struct choice c = *choice;
	const struct active_params *p = params;
	float idle = (float)p->idle, max_busy = p->max_busy;
	float most = count_all(choice, out, choice_requests);

	if (most <= 0)
		most = count_all(choice, out, scraped_at);
	for (size_t i = 0; i < c.n; i++) {
		float busy = (most - out[i]) / most * max_busy;

		out[i] = out[i] <= idle ? 1.0f : busy;
	}
}

const struct scorer scorer_active_request = {
	.name = "active-request-scorer",
	.differs = "needs feedback, which tells when requests end; without, what the "
	    "engines tell counts",
	.params = &table,
	.wants_live = true,
	.score = active_score,
};
