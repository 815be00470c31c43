/*
 * decider_pd.c - is a prefill of its own worth its transfer?
 *
 *	prefix-based-pd-decider: with i = tokens of the prompt, c = tokens of it that
 *	the decoding server holds: yes, if all of
 *		nonCachedTokens > 0	(0, the preset, is never)
 *		i >= promptTokens	(0: any length)
 *		i >= nonCachedTokens
 *		i - c >= nonCachedTokens
 *	always-disagg-pd-decider: yes
 *
 * Four bytes are one token, the last one of a prompt may be short; what of the body we
 * could not see counts too. Source: llm-d-router, deciders of "disagg-profile-handler".
 */
#include "plugins/plugins.h"

#include "conf.h"
#include "endpoints.h"
#include "prompt.h"
#include "request.h"

struct prefix_params {
	uint32_t non_cached_tokens, prompt_tokens;
};

static const struct conf_row rows[] = {
	{ .key = "nonCachedTokens", .decode = conf_u32, .preset = "0",
	  .offset = offsetof(struct prefix_params, non_cached_tokens),
	  .help = "so many to prefill, or more; 0: never" },
	{ .key = "promptTokens", .decode = conf_u32, .preset = "0",
	  .offset = offsetof(struct prefix_params, prompt_tokens),
	  .help = "and so many in all; 0: any length" },
};

static const struct conf_table table = {
	.what = "prefix-based-pd-decider",
	.size = sizeof(struct prefix_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static uint64_t prompt_tokens(const struct request *r)
{
	return (request_prompt_bytes(r) + PROMPT_TOKEN_BYTES - 1) /
	    PROMPT_TOKEN_BYTES;
}

static uint64_t cached_tokens(const struct stage_result *decode)
{
	return (uint64_t)decode->choice->matched[decode->winner] *
	    (decode->choice->view->block_bytes / PROMPT_TOKEN_BYTES);
}

static bool prefix_wants(const struct stages *s, const void *params)
{
	const struct prefix_params *p = params;
	const struct stage_result *decode = &s->of[STAGE_PRIMARY];
	uint64_t n = prompt_tokens(s->request);

	if (p->non_cached_tokens == 0 || decode->choice == NULL ||
	    n < p->prompt_tokens)
		return false;
	return n >= cached_tokens(decode) + p->non_cached_tokens;
}

const struct decider decider_prefix_pd = {
	.name = "prefix-based-pd-decider",
	.params = &table,
	.wants = prefix_wants,
};

static bool always(const struct stages *s, const void *params)
{
	(void)s;
	(void)params;
	return true;
}

const struct decider decider_always_pd = {
	.name = "always-disagg-pd-decider",
	.wants = always,
};
