/*
 * decode_pool.c - InferencePool, InferenceObjective, InferenceModelRewrite
 *
 * InferencePool as of the Inference Extension v1.6.0 (api/v1); the other two as
 * of llm-d's router (apix/v1alpha2).
 */
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "decode_rows.h"

/* ---- InferencePool ------------------------------------------------------- */

static const struct conf_row number_rows[] = {
	{ .key = "number", .decode = conf_u16, .min = 1, .required = true,
	  .help = "1 to 65535" },
};

static const struct conf_table number_table = {
	.what = "a port", ROWS(number_rows), .size = sizeof(uint16_t),
};

static int check_picker(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct endpoint_picker *p = out;

	if (strcmp(p->kind, "Service") != 0 || p->port != 0)
		return 0;
	return conf_refuse_at(in, map, "name", NULL,
	    "port: {number: ...} beside it, for a Service");
}

static const char *const failure_modes[] = {
	[FAIL_CLOSE] = "FailClose", [FAIL_OPEN] = "FailOpen", NULL,
};

static const struct conf_row picker_rows[] = {
	{ .key = "group", .decode = kube_group, .preset = "",
	  .offset = offsetof(struct endpoint_picker, group),
	  .help = "its API group" },
	{ .key = "kind", .decode = kube_kind, .preset = "Service",
	  .offset = offsetof(struct endpoint_picker, kind), .help = "its kind" },
	{ .key = "name", .decode = kube_name, .required = true,
	  .offset = offsetof(struct endpoint_picker, name), .help = "its name" },
	{ .key = "port", .decode = conf_section, .table = &number_table,
	  .offset = offsetof(struct endpoint_picker, port),
	  .help = "{number: of the Service's port}" },
	{ .key = "failureMode", .decode = conf_enum, .names = failure_modes,
	  .preset = "FailClose",
	  .offset = offsetof(struct endpoint_picker, failure_mode),
	  .help = "FailClose or FailOpen" },
};

static const struct conf_table picker_table = {
	.what = "an endpointPickerRef", ROWS(picker_rows),
	.size = sizeof(struct endpoint_picker), .check = check_picker,
};

static const struct conf_row labels_rows[] = {
	{ .key = "matchLabels", .decode = kube_labels, .required = true,
	  .min = 1, .max = 64, .help = "labels of the pods" },
};

static const struct conf_table labels_table = {
	.what = "a selector", ROWS(labels_rows),
};

static const char *const protocols[] = {
	[POOL_HTTP] = "http", [POOL_H2C] = "kubernetes.io/h2c", NULL,
};

static int check_pool(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct inference_pool *p = out;

	for (size_t i = 1; i < p->n_ports; i++)
		for (size_t k = 0; k < i; k++)
			if (p->ports[i] == p->ports[k])
				return conf_refuse_at(in, map, "targetPorts",
				    "a port twice", "each port once");
	return 0;
}

static const struct conf_row pool_spec_rows[] = {
	{ .key = "selector", .decode = conf_section, .required = true,
	  .table = &labels_table,
	  .offset = offsetof(struct inference_pool, selector),
	  .help = "{matchLabels: ...}" },
	{ .key = "targetPorts", .decode = conf_list, .table = &number_table,
	  .min = 1, .max = 8, .required = true,
	  .offset = offsetof(struct inference_pool, ports),
	  .offset_n = offsetof(struct inference_pool, n_ports),
	  .help = "[{number: ...}, ...]" },
	{ .key = "appProtocol", .decode = conf_enum, .names = protocols,
	  .preset = "http", .offset = offsetof(struct inference_pool, protocol),
	  .help = "http or kubernetes.io/h2c" },
	{ .key = "endpointPickerRef", .decode = conf_pointer,
	  .table = &picker_table,
	  .offset = offsetof(struct inference_pool, picker),
	  .help = "who picks; ours when not given" },
};

static const struct conf_table pool_spec = {
	.what = "spec", ROWS(pool_spec_rows), .check = check_pool,
};

static const struct conf_row pool_rows[] = {
	OBJECT_ROWS,
	{ .key = "spec", .decode = conf_section, .table = &pool_spec,
	  .required = true, .help = "{selector, targetPorts}" },
};

const struct conf_table inference_pool_table = {
	.what = "an InferencePool", ROWS(pool_rows),
	.size = sizeof(struct inference_pool),
};

/* ---- what points to a pool ----------------------------------------------- */

static const struct conf_row pool_ref_rows[] = {
	{ .key = "group", .decode = kube_group, .preset = INFERENCE_GROUP,
	  .offset = offsetof(struct pool_ref, group), .help = "its API group" },
	{ .key = "kind", .decode = kube_kind, .preset = "InferencePool",
	  .offset = offsetof(struct pool_ref, kind), .help = "its kind" },
	{ .key = "name", .decode = kube_name, .required = true,
	  .offset = offsetof(struct pool_ref, name), .help = "its name" },
};

static const struct conf_table pool_ref_table = {
	.what = "a poolRef", ROWS(pool_ref_rows),
};

static const struct conf_row objective_spec_rows[] = {
	{ .key = "priority", .decode = conf_i32, .preset = "0",
	  .offset = offsetof(struct inference_objective, priority),
	  .help = "the higher is served first" },
	{ .key = "poolRef", .decode = conf_section, .table = &pool_ref_table,
	  .offset = offsetof(struct inference_objective, pool),
	  .required = true, .help = "{name: of an InferencePool}" },
};

static const struct conf_table objective_spec = {
	.what = "spec", ROWS(objective_spec_rows),
};

static const struct conf_row objective_rows[] = {
	OBJECT_ROWS,
	{ .key = "spec", .decode = conf_section, .table = &objective_spec,
	  .required = true, .help = "{poolRef, priority}" },
};

const struct conf_table inference_objective_table = {
	.what = "an InferenceObjective", ROWS(objective_rows),
	.size = sizeof(struct inference_objective),
};

/* ---- InferenceModelRewrite ----------------------------------------------- */

static const char *const model_types[] = { "Exact", NULL };

static const struct conf_row model_rows[] = {
	{ .key = "type", .decode = conf_ignore, .names = model_types,
	  .help = "Exact" },
	{ .key = "value", .decode = kube_text, .min = 1, .required = true,
	  .help = "a model's name" },
};

static const struct conf_table model_table = {
	.what = "a model", ROWS(model_rows),
};

static const struct conf_row model_match_rows[] = {
	{ .key = "model", .decode = conf_section, .table = &model_table,
	  .required = true, .help = "{value: a model's name}" },
};

static const struct conf_table model_match_table = {
	.what = "a match", ROWS(model_match_rows), .size = sizeof(char *),
};

static const struct conf_row model_target_rows[] = {
	{ .key = "modelRewrite", .decode = kube_text, .min = 1,
	  .required = true, .offset = offsetof(struct model_target, model),
	  .help = "the model to ask instead" },
	{ .key = "weight", .decode = conf_u32, .min = 1, .max = 1000000,
	  .offset = offsetof(struct model_target, weight),
	  .help = "its share of requests" },
};

static const struct conf_table model_target_table = {
	.what = "a target", ROWS(model_target_rows),
	.size = sizeof(struct model_target),
};

static const struct conf_row rewrite_rule_rows[] = {
	{ .key = "matches", .decode = conf_list, .table = &model_match_table,
	  .offset = offsetof(struct rewrite_rule, models),
	  .offset_n = offsetof(struct rewrite_rule, n_models),
	  .help = "any of them; every model when not given" },
	{ .key = "targets", .decode = conf_list, .table = &model_target_table,
	  .min = 1, .required = true,
	  .offset = offsetof(struct rewrite_rule, targets),
	  .offset_n = offsetof(struct rewrite_rule, n_targets),
	  .help = "[{modelRewrite, weight}, ...]" },
};

static const struct conf_table rewrite_rule_table = {
	.what = "a rule", ROWS(rewrite_rule_rows),
	.size = sizeof(struct rewrite_rule),
};

static const struct conf_row rewrite_spec_rows[] = {
	{ .key = "poolRef", .decode = conf_section, .table = &pool_ref_table,
	  .offset = offsetof(struct inference_model_rewrite, pool),
	  .required = true, .help = "{name: of an InferencePool}" },
	{ .key = "rules", .decode = conf_list, .table = &rewrite_rule_table,
	  .offset = offsetof(struct inference_model_rewrite, rules),
	  .offset_n = offsetof(struct inference_model_rewrite, n_rules),
	  .min = 1, .required = true, .help = "[{matches, targets}, ...]" },
};

static const struct conf_table rewrite_spec = {
	.what = "spec", ROWS(rewrite_spec_rows),
};

static const struct conf_row rewrite_rows[] = {
	OBJECT_ROWS,
	{ .key = "spec", .decode = conf_section, .table = &rewrite_spec,
	  .required = true, .help = "{poolRef, rules}" },
};

const struct conf_table inference_model_rewrite_table = {
	.what = "an InferenceModelRewrite", ROWS(rewrite_rows),
	.size = sizeof(struct inference_model_rewrite),
};
