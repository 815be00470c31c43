/*
 * options_rewrite.c - rows of who is asked for under which other name
 *
 * The rules of llm-d's InferenceModelRewrite, as its `spec.rules` has them. Source:
 * llm-d-router apix/v1alpha2/inferencemodelrewrite_types.go.
 */
#include "options_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "fault.h"
#include "model_name.h"

/* What JSON and a header can carry, and HAProxy's variables. */
static int decode_model(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	const char **name = out;
	int err = conf_string(in, row, value, name);

	if (err != 0)
		return err;
	return model_is_name(span_of(*name)) ? 0 : conf_refuse(in, row, value,
	    "a model's name: 1 to %d bytes, no control characters",
	    MODEL_NAME_MAX);
}

static const char *const types[] = { "Exact", NULL };

/* A match has no use for its type: there is one. */
static int check_type(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	int type;

	(void)out;
	return conf_enum(in, row, value, &type);
}

static const struct conf_row model_rows[] = {
	{ .key = "type", .decode = check_type, .names = types, .help = "Exact" },
	{ .key = "value", .decode = decode_model, .required = true,
	  .offset = offsetof(struct model_match_options, model),
	  .help = "`model` of the request's body" },
};

static const struct conf_table model_table = {
	.what = "model", .rows = model_rows,
	.n_rows = sizeof(model_rows) / sizeof(*model_rows),
};

static const struct conf_row match_rows[] = {
	{ .key = "model", .decode = conf_section, .required = true,
	  .table = &model_table, .help = "of the request:" },
};

static const struct conf_table match_table = {
	.what = "a match", .size = sizeof(struct model_match_options),
	.rows = match_rows, .n_rows = sizeof(match_rows) / sizeof(*match_rows),
};

static const struct conf_row target_rows[] = {
	{ .key = "modelRewrite", .decode = decode_model, .required = true,
	  .offset = offsetof(struct model_target_options, model),
	  .help = "what the model server is asked for" },
	{ .key = "weight", .decode = conf_u32, .min = 1, .max = 1000000,
	  .offset = offsetof(struct model_target_options, weight),
	  .help = "of all weights of the rule; none: all alike" },
};

static const struct conf_table target_table = {
	.what = "a target", .size = sizeof(struct model_target_options),
	.rows = target_rows,
	.n_rows = sizeof(target_rows) / sizeof(*target_rows),
};

static const struct conf_row rule_rows[] = {
	{ .key = "matches", .decode = conf_list, .table = &match_table,
	  .max = MODEL_MATCHES_MAX,
	  .offset = offsetof(struct model_rule_options, matches),
	  .offset_n = offsetof(struct model_rule_options, n_matches),
	  .help = "any of these; none: every model that no other rule names" },
	{ .key = "targets", .decode = conf_list, .required = true,
	  .table = &target_table, .min = 1, .max = MODEL_TARGETS_MAX,
	  .offset = offsetof(struct model_rule_options, targets),
	  .offset_n = offsetof(struct model_rule_options, n_targets),
	  .help = "one of these, by chance and weight" },
};

/* llm-d says "all or none", and then never chooses those without: an error here. */
static int check_rule(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct model_rule_options *r = out;
	size_t n = 0;

	for (size_t i = 0; i < r->n_targets; i++) {
		n += r->targets[i].weight > 0;
		r->weight += r->targets[i].weight;
	}
	if (n == 0 || n == r->n_targets)
		return 0;
	fault_set(in->why, in->file, map->line,
	    "targets of which some have a weight",
	    "a weight for each of them, or for none");
	return -EINVAL;
}

const struct conf_table model_rule_table = {
	.what = "a rule of modelRewrites",
	.size = sizeof(struct model_rule_options),
	.rows = rule_rows,
	.n_rows = sizeof(rule_rows) / sizeof(*rule_rows),
	.check = check_rule,
};

/* ---- the index ---- */

/* By name, then by age: rules lie in their order. */
static int by_name(const void *a, const void *b)
{
	const struct model_name_options *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : (x->rule > y->rule) - (x->rule < y->rule);
}

static size_t list_names(const struct pool_options *pool,
    struct model_name_options *names)
{
	size_t n = 0, n_kept = 0;

	for (size_t i = 0; i < pool->n_rules; i++)
		for (size_t k = 0; k < pool->rules[i].n_matches; k++)
			names[n++] = (struct model_name_options){
				pool->rules[i].matches[k].model,
				&pool->rules[i] };
	qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++)
		if (n_kept == 0 ||
		    strcmp(names[n_kept - 1].name, names[i].name) != 0)
			names[n_kept++] = names[i];
	return n_kept;
}

/* Source: modelRewriteStore of llm-d-router pkg/epp/datastore. */
int index_rewrites(const struct conf_input *in, const struct conf *map,
    struct pool_options *pool)
{
	struct model_rewrite_options *o;
	struct model_name_options *names;
	size_t n = 0;

	if (!conf_is_given(conf_child(map, "modelRewrites")))
		return 0;
	for (size_t i = 0; i < pool->n_rules; i++)
		n += pool->rules[i].n_matches;
	o = arena_zalloc(in->arena, sizeof(*o));
	names = arena_zalloc(in->arena, (n + 1) * sizeof(*names));
	if (o == NULL || names == NULL)
		return conf_no_memory(in);
	o->names = names;
	o->n_names = list_names(pool, names);
	for (size_t i = pool->n_rules; i-- > 0;)
		if (pool->rules[i].n_matches == 0)
			o->generic = &pool->rules[i];
	pool->rewrites = o;
	return 0;
}
