/*
 * scorer_prefix.c - the more of the prompt an endpoint has cached, the better
 *
 *	score = w * min(1, matched tokens / scale)^2 + (1 - w) * matched / blocks
 *	w = matchLengthWeight (0), scale = matchLengthScaleTokens (8192); no prompt: 0
 *
 * Source: llm-d-router, scorer "prefix-cache-scorer". Of a prompt that was cut, the
 * blocks that were seen count.
 */
#include "plugins/plugins.h"

#include "conf.h"
#include "endpoints.h"
#include "prompt.h"
#include "request.h"

static const struct conf_row rows[] = {
	{ .key = "matchLengthWeight", .decode = conf_fraction, .preset = "0",
	  .max = 1, .offset = offsetof(struct prefix_scorer_params, length_weight),
	  .help = "how much the length of a match counts, not its share" },
	{ .key = "matchLengthScaleTokens", .decode = conf_fraction,
	  .preset = "8192", .min = 1,
	  .offset = offsetof(struct prefix_scorer_params, scale_tokens),
	  .help = "a match of so many tokens is as good as any" },
};

static const struct conf_table table = {
	.what = "prefix-cache-scorer",
	.size = sizeof(struct prefix_scorer_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

const struct prefix_scorer_params scorer_prefix_default = {
	.scale_tokens = 8192,
};

static float squared(float v)
{
	return v < 1.0f ? v * v : 1.0f;
}

static void prefix_score(const struct choice *choice, const void *params, float *out)
{
	const struct choice c = *choice;
	const struct prefix_scorer_params *p = params;
	float weight = p->length_weight;
	float share = c.request->n_blocks > 0 ?
	    1.0f / (float)c.request->n_blocks : 0.0f;
	float scaled = (float)c.view->block_bytes /
	    (PROMPT_TOKEN_BYTES * p->scale_tokens);

	for (size_t i = 0; i < c.n; i++)
		out[i] = (1.0f - weight) * share * (float)c.matched[i];
	for (size_t i = 0; weight > 0 && i < c.n; i++)
		out[i] += weight * squared((float)c.matched[i] * scaled);
}

/* Its parameters are those of the producer inside: picker_config_types.c. */
static void precise_score(const struct choice *c, const void *params, float *out)
{
	(void)params;
	prefix_score(c, &scorer_prefix_default, out);
}

const struct scorer scorer_precise_prefix = {
	.name = "precise-prefix-cache-scorer",
	.differs = "scored as prefix-cache-scorer, as llm-d does since it has "
	    "deprecated this one",
	.score = precise_score,
};

const struct scorer scorer_prefix = {
	.name = "prefix-cache-scorer",
	.params = &table,
	.score = prefix_score,
};
