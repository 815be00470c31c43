/*
 * scorer_prefix.c - the more of the prompt an endpoint has cached, the better
 *
 *	score = matched blocks / blocks of the prompt; no prompt: 0
 *
 * Source: llm-d-router, scorer "prefix-cache-scorer" with matchLengthWeight 0. Of a
 * prompt that was cut, the blocks that were seen count.
 */
#include "plugin.h"

#include "request.h"

static void prefix_score(const struct choice *c, float *out)
{
	float each = c->request->n_blocks > 0 ?
	    1.0f / (float)c->request->n_blocks : 0.0f;

	for (size_t i = 0; i < c->n; i++)
		out[i] = each * (float)c->matched[i];
}

const struct scorer scorer_prefix = {
	.name = "prefix-cache-scorer",
	.score = prefix_score,
};
