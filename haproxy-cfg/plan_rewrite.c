/*
 * plan_rewrite.c - InferenceModelRewrites: which model is asked for under which name
 *
 * A pool has the rules of all that refer to it, the oldest object first, in each as
 * they are written; the agent prefers those that name a model, and takes the first.
 * Of targets some of which have a weight, those without are never chosen. Source:
 * llm-d-router pkg/epp/datastore/modelrewritestore.go and
 * pkg/epp/requestcontrol/director.go.
 */
#include <stdlib.h>
#include <string.h>

#include "model_name.h"
#include "plan_state.h"

struct rewrite {
	const struct inference_model_rewrite *o;
	const struct object *pool;	/* NULL: there is none */
	const char *why_not;		/* the agent cannot have it; NULL: it can */
	bool has_idle_targets;		/* without a weight, beside some with */
};

static size_t n_weighted(const struct rewrite_rule *rule)
{
	size_t n = 0;

	for (size_t i = 0; i < rule->n_targets; i++)
		n += rule->targets[i].weight > 0;
	return n;
}

static const char *bad_name(struct planner *p, size_t rule, const char *what)
{
	return plan_textf(p, "spec.rules[%zu].%s: a model's name has 1 to %d "
	    "bytes and no control characters", rule, what, MODEL_NAME_MAX);
}

static const char *why_no_rule(struct planner *p,
    const struct rewrite_rule *rule, size_t at)
{
	if (rule->n_models > MODEL_MATCHES_MAX)
		return plan_textf(p, "spec.rules[%zu].matches: more than %d",
		    at, MODEL_MATCHES_MAX);
	if (rule->n_targets > MODEL_TARGETS_MAX)
		return plan_textf(p, "spec.rules[%zu].targets: more than %d",
		    at, MODEL_TARGETS_MAX);
	for (size_t i = 0; i < rule->n_models; i++)
		if (!model_is_name(span_of(rule->models[i])))
			return bad_name(p, at, "matches");
	for (size_t i = 0; i < rule->n_targets; i++)
		if (!model_is_name(span_of(rule->targets[i].model)))
			return bad_name(p, at, "targets");
	return NULL;
}

static void look_at(struct planner *p, struct rewrite *w)
{
	w->pool = plan_pool_of(p, &w->o->o, &w->o->pool);
	for (size_t i = 0; i < w->o->n_rules && w->why_not == NULL; i++) {
		const struct rewrite_rule *rule = &w->o->rules[i];
		size_t n = n_weighted(rule);

		w->why_not = why_no_rule(p, rule, i);
		w->has_idle_targets |= n > 0 && n < rule->n_targets;
	}
}

/* Pool by pool, and there the oldest first. */
static int by_pool(const void *left, const void *right)
{
	const struct rewrite *a = left, *b = right;
	int order = strcmp(a->o->o.namespace, b->o->o.namespace);

	if (order == 0)
		order = strcmp(a->o->pool.name, b->o->pool.name);
	return order != 0 ? order : plan_by_age(&a->o->o, &b->o->o);
}

/* What the youngest of a pool have too many, they have in vain. */
static void cap_rules(struct planner *p)
{
	const struct object *pool = NULL;
	size_t n = 0;

	for (size_t i = 0; i < p->n_rewrites; i++) {
		struct rewrite *w = &p->rewrites[i];

		if (w->pool != pool)
			n = 0;
		pool = w->pool;
		if (w->why_not != NULL)
			continue;
		n += w->o->n_rules;
		if (n > MODEL_RULES_MAX)
			w->why_not = plan_textf(p, "spec.rules: more than %d "
			    "for one pool, with those of older objects",
			    MODEL_RULES_MAX);
	}
}

void plan_rewrites(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_INFERENCE_MODEL_REWRITE);

	p->rewrites = plan_alloc(p, all.n * sizeof(*p->rewrites));
	if (p->rewrites == NULL)
		return;
	for (size_t i = 0; i < all.n; i++) {
		p->rewrites[i].o = (const void *)all.items[i];
		look_at(p, &p->rewrites[i]);
	}
	p->n_rewrites = all.n;
	if (all.n > 1)
		qsort(p->rewrites, all.n, sizeof(*p->rewrites), by_pool);
	cap_rules(p);
}

static void take_rule(struct planner *p, const struct rewrite_rule *rule,
    struct plan_model_rule *out)
{
	struct plan_model_target *targets = plan_alloc(p,
	    rule->n_targets * sizeof(*targets));
	size_t weighted = n_weighted(rule);

	if (targets == NULL)
		return;
	out->models = rule->models;
	out->n_models = rule->n_models;
	out->targets = targets;
	for (size_t i = 0; i < rule->n_targets; i++)
		if (weighted == 0 || rule->targets[i].weight > 0)
			targets[out->n_targets++] = (struct plan_model_target){
				rule->targets[i].model,
				rule->targets[i].weight };
}

void plan_take_rewrites(struct planner *p, const struct inference_pool *pool,
    struct plan_pool *made)
{
	struct plan_model_rule *rules;
	size_t n = 0;

	for (size_t i = 0; i < p->n_rewrites; i++)
		if (p->rewrites[i].pool == &pool->o)
			n += p->rewrites[i].o->n_rules;
	rules = plan_alloc(p, n * sizeof(*rules));
	for (size_t i = 0; rules != NULL && i < p->n_rewrites; i++) {
		const struct rewrite *w = &p->rewrites[i];

		if (w->pool != &pool->o || w->why_not != NULL)
			continue;
		for (size_t k = 0; k < w->o->n_rules; k++)
			take_rule(p, &w->o->rules[k],
			    &rules[made->n_rewrites++]);
	}
	made->rewrites = rules;
}

static void tell(struct planner *p, const struct rewrite *w,
    struct conditions *c)
{
	if (w->pool == NULL)
		plan_set(p, c, "Accepted", CONDITION_UNKNOWN, "Pending",
		    plan_textf(p, "There is no InferencePool %s",
			w->o->pool.name));
	else
		plan_judge(p, c, "Accepted", w->why_not != NULL ?
		    "Unsupported" : NULL, w->why_not, w->has_idle_targets ? "Models are asked for as it says; "
		    "targets without a weight, beside some that have one, are "
		    "never chosen" : "Models are asked for as it says");
}

void plan_rewrite_statuses(struct planner *p)
{
	for (size_t i = 0; i < p->n_rewrites && !p->failed; i++) {
		struct status *s = plan_status(p, &p->rewrites[i].o->o);

		if (s != NULL)
			tell(p, &p->rewrites[i], &s->conditions);
	}
}
