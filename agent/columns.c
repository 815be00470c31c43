/*
 * columns.c - one walk over the candidates' rows, one over their counts
 */
#include "columns.h"

#include <float.h>

#include "arena.h"
#include "clones.h"

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

bool pace_columns_init(struct pace_columns *p, struct arena *arena, size_t n)
{
	*p = (struct pace_columns){
		.rate = arena_alloc(arena, n * sizeof(*p->rate)),
		.serve_ms = arena_alloc(arena, n * sizeof(*p->serve_ms)),
		.batch = arena_alloc(arena, n * sizeof(*p->batch)),
		.busy_ms = arena_alloc(arena, n * sizeof(*p->busy_ms)),
	};
	return p->rate != NULL && p->serve_ms != NULL && p->batch != NULL &&
	    p->busy_ms != NULL;
}

bool lora_columns_init(struct lora_columns *l, struct arena *arena, size_t n)
{
	*l = (struct lora_columns){
		.place = arena_alloc(arena, n * sizeof(*l->place)),
		.max = arena_alloc(arena, n * sizeof(*l->max)),
	};
	return l->place != NULL && l->max != NULL;
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

void lora_columns_fill(const struct lora_columns *l,
    const struct choice *choice)
{
	const struct choice c = *choice;
	const struct lora_columns to = *l;
	uint64_t adapter = lora_spelled(c.request->model);

	for (size_t i = 0; i < c.n; i++) {
		const struct lora_set *set = endpoint_lora(c.view, c.rows[i]);

		to.place[i] = (uint8_t)lora_place(set, adapter);
		to.max[i] = set != NULL ? set->max : 0;
	}
}

/* ---- paces ---- */

static inline float busy_ms(const struct endpoint_pace *pace, int64_t now_ms)
{
	int64_t left = atomic_load_explicit(&pace->busy_until_ms,
	    memory_order_relaxed) - now_ms;

	return left > 0 ? (float)left : 0.0f;
}

struct average {
	float sum;
	uint32_t n;
};

static inline void average_add(struct average *a, float value)
{
	a->sum += value;
	a->n += value > 0.0f;
}

static float average_of(const struct average *a)
{
	return a->n > 0 ? a->sum / (float)a->n : 0.0f;
}

static void fill_with_nothing(const struct pace_columns *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to->rate[i] = to->serve_ms[i] = to->batch[i] = 0.0f;
		to->busy_ms[i] = FLT_MAX;
	}
}

void pace_columns_fill(struct pace_columns *p, const struct choice *choice)
{
	const struct choice c = *choice;
	const struct pace_columns to = *p;
	const struct endpoint_pace *paces = endpoint_paces(c.view);
	struct average rate = { 0 }, serve_ms = { 0 };
	float most_batch = 0.0f;

	for (size_t i = 0; paces != NULL && i < c.n; i++) {
		const struct endpoint_pace *from =
		    &paces[choice_stats(&c, i)->slot];

		to.rate[i] = ewma_or_zero(&from->prefill_rate);
		to.serve_ms[i] = ewma_or_zero(&from->serve_us) / 1000.0f;
		to.batch[i] = (float)atomic_load_explicit(&from->batch,
		    memory_order_relaxed);
		to.busy_ms[i] = busy_ms(from, c.now_ms);
		average_add(&rate, to.rate[i]);
		average_add(&serve_ms, to.serve_ms[i]);
		most_batch = to.batch[i] > most_batch ? to.batch[i] : most_batch;
	}
	if (paces == NULL)
		fill_with_nothing(&to, c.n);
	p->usual_rate = average_of(&rate);
	p->usual_serve_ms = average_of(&serve_ms);
	p->most_batch = most_batch;
}

CLONED_FOR_AVX2 static uint32_t most_of(const uint16_t *blocks, size_t n)
{
	uint16_t most = 0;

	for (size_t i = 0; i < n; i++)
		most = blocks[i] > most ? blocks[i] : most;
	return most;
}

struct reach choice_reach(const struct choice *c)
{
	const struct request *r = c->request;
	struct reach reach = { most_of(c->matched, c->n), 0 };

	if (r->n_chains == 1 && reach.blocks > 0 &&
	    reach.blocks <= r->chains[0].n)
		reach.beginning = r->blocks[r->chains[0].first +
		    reach.blocks - 1];
	return reach;
}
