/*
 * scorer_token_load.c - the fewer tokens wait for their prefill there, the better
 *
 *	score = 1 - min(t, T) / T,  T = queueThresholdTokens (4194304: 128 of 32k)
 *	t = tokens in flight there + what of this prompt it does not hold
 *
 * Tokens in flight are prompt tokens that were not cached when sent, until the first
 * token of the answer. Source: llm-d-router, scorer "token-load-scorer", with its
 * inflight-load-producer. No number of an engine is needed, so none can be stale; but
 * somebody must tell of first tokens (`feedback:`). Four bytes are one token, and what
 * of a body we could not see counts too, as in pick.c.
 */
#include "plugins/plugins.h"

#include "clones.h"
#include "columns.h"
#include "conf.h"

struct token_params {
	uint64_t threshold;
};

static const struct conf_row rows[] = {
	{ .key = "queueThresholdTokens", .decode = conf_u64,
	  .preset = "4194304", .min = 1,
	  .offset = offsetof(struct token_params, threshold),
	  .help = "so many tokens are as bad as any more" },
};

static const struct conf_table table = {
	.what = "token-load-scorer",
	.size = sizeof(struct token_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

/* Of blocks of whole tokens. Floats: exact for 16 million tokens, near beyond. */
CLONED_FOR_AVX2 static void token_score(const struct choice *choice,
    const void *params, float *out)
{
	const struct token_params *p = params;
	const struct choice c = *choice;
	struct prompt_size prompt = choice_prompt(&c);
	float threshold = (float)p->threshold, scale = 1.0f / threshold;

	for (size_t i = 0; i < c.n; i++) {
		float t = choice_uncached(&c, prompt, i) +
		    (float)choice_tokens(&c, i);

		out[i] = t < threshold ? 1.0f - scale * t : 0.0f;
	}
}

const struct scorer scorer_token_load = {
	.name = "token-load-scorer",
	.differs = "first tokens and ends are told by HAProxy: set feedback",
	.params = &table,
	.wants_live = true,
	.score = token_score,
};
