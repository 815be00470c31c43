/*
 * scorer_load_aware.c - half a point for an empty queue, less and less for longer ones
 *
 *	score = 0.5 * (1 - min(q, T) / T),  T = threshold (128)
 *
 * Source: llm-d-router, scorer "load-aware-scorer". Unlike queue-scorer it measures by
 * a fixed rule: short queues are nearly alike, however the other candidates fare. As
 * there, q is what was scraped; what we have sent since is added. Stale numbers score
 * 0, as a queue of T does.
 */
#include "plugins/plugins.h"

#include "clones.h"
#include "columns.h"
#include "conf.h"

struct load_params {
	uint32_t threshold;
};

static const struct conf_row rows[] = {
	{ .key = "threshold", .decode = conf_u32, .preset = "128", .min = 1,
	  .offset = offsetof(struct load_params, threshold),
	  .help = "a queue as long as that is as bad as any" },
};

static const struct conf_table table = {
	.what = "load-aware-scorer",
	.size = sizeof(struct load_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

CLONED_FOR_AVX2 static void load_score(const struct choice *choice,
    const void *params, float *out)
{
	const struct choice c = *choice;
	const struct load_params *p = params;
	uint32_t threshold = p->threshold;
	float scale = 1.0f / (float)threshold;

	for (size_t i = 0; i < c.n; i++) {
		uint32_t q = choice_queued(&c, i);
		float score = q < threshold ?
		    0.5f - 0.5f * scale * (float)q : 0.0f;

		out[i] = choice_fresh(&c, i) ? score : 0.0f;
	}
}

const struct scorer scorer_load_aware = {
	.name = "load-aware-scorer",
	.differs = "requests sent since the last scrape count as queued; stale "
	    "numbers score 0",
	.params = &table,
	.score = load_score,
};
