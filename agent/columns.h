/*
 * columns.h - what scorers ask of every candidate, each kind of number by itself
 *
 * Gathered once for all scorers of a profile, when the filters are done: views and live
 * counts have a row or a cache line an endpoint, of which each scorer wants four bytes.
 * So loops over them become the compiler's vector loops, and all scorers see the same
 * counts, though these move. A choice without them (a filter's, a test's) is read where
 * the numbers are: the functions below give the same either way. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endpoints.h"
#include "lora.h"
#include "plugin.h"
#include "prompt.h"
#include "request.h"

struct arena;

/* Arrays for `n` candidates; false without memory. */
bool told_columns_init(struct told_columns *t, struct arena *arena, size_t n);
bool live_columns_init(struct live_columns *l, struct arena *arena, size_t n);
bool pace_columns_init(struct pace_columns *p, struct arena *arena, size_t n);
bool lora_columns_init(struct lora_columns *l, struct arena *arena, size_t n);

/* Those of the choice's candidates. */
void told_columns_fill(const struct told_columns *t, const struct choice *c);
void live_columns_fill(const struct live_columns *l, const struct choice *c);
void pace_columns_fill(struct pace_columns *p, const struct choice *c);
void lora_columns_fill(const struct lora_columns *l, const struct choice *c);

static inline const struct endpoint_stats *choice_stats(const struct choice *c,
    size_t i)
{
	return &c->view->stats[c->rows[i]];
}

static inline const struct endpoint_live *choice_live(const struct choice *c,
    size_t i)
{
	return endpoint_live(c->view, c->rows[i]);
}

/* A mask. */
static inline uint32_t choice_fresh(const struct choice *c, size_t i)
{
	return c->told.fresh != NULL ? c->told.fresh[i] :
	    0u - (choice_stats(c, i)->health == ENDPOINT_FRESH);
}

static inline float choice_kv_used(const struct choice *c, size_t i)
{
	return c->told.fresh != NULL ? c->told.kv_used[i] :
	    choice_stats(c, i)->kv_used;
}

/* What an engine claims may be anything, and must not wrap to nothing. */
static inline uint32_t choice_sum(uint32_t a, uint32_t b)
{
	return (a + b) | (0u - (a + b < a));
}

/* As this request will find it: as told last, and what was sent there since. */
static inline uint32_t choice_queued(const struct choice *c, size_t i)
{
	return choice_sum(c->unsettled[i], c->told.fresh != NULL ?
	    c->told.queued[i] : choice_stats(c, i)->queued);
}

static inline uint32_t choice_running(const struct choice *c, size_t i)
{
	return choice_sum(c->unsettled[i], c->told.fresh != NULL ?
	    c->told.running[i] : choice_stats(c, i)->running);
}

static inline uint32_t choice_requests(const struct choice *c, size_t i)
{
	return c->live.requests != NULL ? c->live.requests[i] :
	    live_count_get(&choice_live(c, i)->requests);
}

static inline uint32_t choice_tokens(const struct choice *c, size_t i)
{
	return c->live.requests != NULL ? c->live.tokens[i] :
	    live_count_get(&choice_live(c, i)->tokens);
}

static inline float choice_ttft_us(const struct choice *c, size_t i)
{
	return c->live.requests != NULL ? c->live.ttft_us[i] :
	    ewma_get(&choice_live(c, i)->ttft_us);
}

static inline float choice_token_us(const struct choice *c, size_t i)
{
	return c->live.requests != NULL ? c->live.token_us[i] :
	    ewma_get(&choice_live(c, i)->token_us);
}

/* `adapter` is the request's: lora_spelled(). */
static inline enum lora_place choice_lora(const struct choice *c, uint64_t adapter,
    size_t i)
{
	return c->lora.place != NULL ? (enum lora_place)c->lora.place[i] :
	    lora_place(endpoint_lora(c->view, c->rows[i]), adapter);
}

/* Of one that tells of adapters. */
static inline uint32_t choice_lora_max(const struct choice *c, size_t i)
{
	return c->lora.place != NULL ? c->lora.max[i] :
	    endpoint_lora(c->view, c->rows[i])->max;
}

/* In tokens. What of a body could not be seen counts too: its engine computes it. */
struct prompt_size {
	float tokens, block;
};

static inline struct prompt_size choice_prompt(const struct choice *c)
{
	return (struct prompt_size){
		(float)(request_prompt_bytes(c->request) / PROMPT_TOKEN_BYTES),
		(float)(c->view->block_bytes / PROMPT_TOKEN_BYTES) };
}

/* What of it candidate i does not hold. */
static inline float choice_uncached(const struct choice *c,
    struct prompt_size prompt, size_t i)
{
	float held = prompt.block * (float)c->matched[i];

	return prompt.tokens > held ? prompt.tokens - held : 0.0f;
}

/* How far any candidate has the prompt, in blocks. */
struct reach {
	uint32_t blocks;
	uint64_t beginning;	/* the last of them; 0: none, or of several prompts */
};

struct reach choice_reach(const struct choice *c);

/*
 * The fewer, the better: (max - v) / (max - min) over the candidates that are fresh,
 * all alike: 1; those that are not: 0. `value_at` is inlined.
 */
static inline void score_fewest(const struct choice *choice,
    uint32_t (*value_at)(const struct choice *c, size_t i), float *out)
{
	const struct choice c = *choice;
	uint32_t least = UINT32_MAX, most = 0;
	float width;

	for (size_t i = 0; i < c.n; i++) {
		uint32_t v = value_at(&c, i), fresh = choice_fresh(&c, i);
		uint32_t low = v | ~fresh, high = v & fresh;

		least = low < least ? low : least;
		most = high > most ? high : most;
	}
	width = most > least ? (float)(most - least) : 0.0f;
	for (size_t i = 0; i < c.n; i++) {
		float score = width > 0.0f ?
		    (float)(most - value_at(&c, i)) / width : 1.0f;

		out[i] = choice_fresh(&c, i) ? score : 0.0f;
	}
}
