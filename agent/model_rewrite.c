/*
 * model_rewrite.c - rule, target, and the name as JSON has it
 */
#include "model_rewrite.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"
#include "options.h"
#include "request.h"
#include "rng.h"

static int by_name(const void *key, const void *entry)
{
	const struct model_name_options *o = entry;

	return span_compare(*(const struct span *)key, span_of(o->name));
}

static const struct model_rule_options *find_rule(
    const struct model_rewrite_options *o, struct span model)
{
	const struct model_name_options *found = o->n_names == 0 ? NULL :
	    bsearch(&model, o->names, o->n_names, sizeof(*o->names), by_name);

	return found != NULL ? found->rule : o->generic;
}

static const char *choose(const struct model_rule_options *rule,
    struct rng *rng)
{
	uint32_t at;

	if (rule->weight == 0)
		return rule->targets[rng_below(rng,
		    (uint32_t)rule->n_targets)].model;
	at = rng_below(rng, rule->weight);
	for (size_t i = 0;; i++) {
		if (at < rule->targets[i].weight)
			return rule->targets[i].model;
		at -= rule->targets[i].weight;
	}
}

static struct span header_of(const struct request *r)
{
	struct span name;

	if (request_header(r, "x-llm-d-model-name-rewrite", &name) ||
	    request_header(r, "x-gateway-model-name-rewrite", &name))
		return model_is_name(name) ? name : (struct span){ 0 };
	return (struct span){ 0 };
}

/* As json.h lends strings: what has to be escaped is. */
static struct span to_json(struct span name, struct arena *arena)
{
	char *text = arena_alloc(arena, 2 * name.len), *at = text;

	if (text == NULL)
		return (struct span){ 0 };
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '"' || name.ptr[i] == '\\')
			*at++ = '\\';
		*at++ = name.ptr[i];
	}
	return (struct span){ text, (size_t)(at - text) };
}

/* The name that the raw text in the body means; one too long for us means none. */
static struct span meaning(struct span raw, char *out, size_t len)
{
	size_t n;

	if (memchr(raw.ptr, '\\', raw.len) == NULL)
		return raw;
	n = json_unescape(raw, out, len);
	return n != SIZE_MAX ? (struct span){ out, n } : raw;
}

void model_rewrite(const struct model_rewrite_options *o, struct request *r,
    struct rng *rng, struct arena *arena)
{
	char name[MODEL_NAME_MAX];
	const struct model_rule_options *rule;
	struct span model, target, raw;

	if (r->model.len == 0)
		return;
	model = meaning(r->model, name, sizeof(name));
	rule = find_rule(o, model);
	target = rule != NULL ? span_of(choose(rule, rng)) : header_of(r);
	if (target.len == 0 || span_is(target, model))
		return;
	raw = to_json(target, arena);
	if (raw.len == 0)
		return;
	r->target = target;
	r->target_at = (uint64_t)(r->model.ptr - r->ask->body.ptr);
	r->target_len = (uint32_t)r->model.len;
	r->model = raw;
}
