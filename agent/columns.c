/*
 * columns.c - one walk over the candidates' rows, one over their counts
 */
#include "columns.h"

#include "arena.h"

bool told_columns_init(struct told_columns *t, struct arena *arena, size_t n)
{
	*t = (struct told_columns){
		.queued = arena_alloc(arena, n * sizeof(*t->queued)),
		.running = arena_alloc(arena, n * sizeof(*t->running)),
		.fresh = arena_alloc(arena, n * sizeof(*t->fresh)),
		.kv_used = arena_alloc(arena, n * sizeof(*t->kv_used)),
	};
	return t->queued != NULL && t->running != NULL && t->fresh != NULL &&
	    t->kv_used != NULL;
}

bool live_columns_init(struct live_columns *l, struct arena *arena, size_t n)
{
	*l = (struct live_columns){
		.requests = arena_alloc(arena, n * sizeof(*l->requests)),
		.tokens = arena_alloc(arena, n * sizeof(*l->tokens)),
		.ttft_us = arena_alloc(arena, n * sizeof(*l->ttft_us)),
		.token_us = arena_alloc(arena, n * sizeof(*l->token_us)),
	};
	return l->requests != NULL && l->tokens != NULL &&
	    l->ttft_us != NULL && l->token_us != NULL;
}

void told_columns_fill(const struct told_columns *t,
    const struct choice *choice)
{
	const struct choice c = *choice;
	const struct told_columns to = *t;

	for (size_t i = 0; i < c.n; i++) {
		const struct endpoint_stats *s = choice_stats(&c, i);

		to.queued[i] = s->queued;
		to.running[i] = s->running;
		to.kv_used[i] = s->kv_used;
		to.fresh[i] = 0u - (s->health == ENDPOINT_FRESH);
	}
}

void live_columns_fill(const struct live_columns *l,
    const struct choice *choice)
{
	const struct choice c = *choice;
	const struct live_columns to = *l;

	for (size_t i = 0; i < c.n; i++) {
		const struct endpoint_live *from = choice_live(&c, i);

		to.requests[i] = live_count_get(&from->requests);
		to.tokens[i] = live_count_get(&from->tokens);
		to.ttft_us[i] = ewma_get(&from->ttft_us);
		to.token_us[i] = ewma_get(&from->token_us);
	}
}
