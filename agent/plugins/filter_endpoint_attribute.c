/*
 * filter_endpoint_attribute.c - only endpoints one of whose numbers is as it should be
 *
 *	value <operator> threshold; without a value: onMissing (Pass)
 *
 * Nobody left: 429; with fallbackOnEmpty everybody. Source: llm-d-router, filter
 * "endpoint-attribute-filter", whose `threshold` is its only algorithm. A number that
 * is stale is missing.
 */
#include "plugins/plugins.h"

#include <string.h>

#include "plugins/attribute.h"

enum operator {
	LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL, EQUAL, NOT_EQUAL,
};

static const char *const operators[] = {
	[LESS] = "LessThan", [LESS_OR_EQUAL] = "LessThanOrEqual",
	[GREATER] = "GreaterThan", [GREATER_OR_EQUAL] = "GreaterThanOrEqual",
	[EQUAL] = "Equal", [NOT_EQUAL] = "NotEqual", NULL,
};

enum on_missing { PASS, FAIL };

static const char *const policies[] = {
	[PASS] = "Pass", [FAIL] = "Fail", NULL,
};

static const char *const algorithms[] = { "threshold", NULL };

struct threshold {
	enum operator operator;
	double value;
};

struct algorithm {
	int type;
	struct threshold threshold;
};

struct attribute_filter_params {
	struct attribute_ref attribute;
	enum on_missing on_missing;
	bool falls_back;
	struct algorithm algorithm;
};

static const struct conf_row threshold_rows[] = {
	{ .key = "operator", .decode = conf_enum, .required = true,
	  .names = operators, .offset = offsetof(struct threshold, operator),
	  .help = "LessThan, LessThanOrEqual, GreaterThan, GreaterThanOrEqual, "
	    "Equal or NotEqual" },
	{ .key = "value", .decode = decode_attribute_number, .preset = "0",
	  .offset = offsetof(struct threshold, value),
	  .help = "what an endpoint's is compared with" },
};

static const struct conf_table threshold_table = {
	.what = "a threshold",
	.rows = threshold_rows,
	.n_rows = sizeof(threshold_rows) / sizeof(*threshold_rows),
};

static const struct conf_row algorithm_rows[] = {
	{ .key = "type", .decode = conf_enum, .required = true,
	  .names = algorithms, .offset = offsetof(struct algorithm, type),
	  .help = "threshold" },
	{ .key = "threshold", .decode = conf_section, .required = true,
	  .table = &threshold_table,
	  .offset = offsetof(struct algorithm, threshold),
	  .help = "what passes: {operator, value}" },
};

static const struct conf_table algorithm_table = {
	.what = "an algorithm",
	.rows = algorithm_rows,
	.n_rows = sizeof(algorithm_rows) / sizeof(*algorithm_rows),
};

static const struct conf_row rows[] = {
	{ .key = "attribute", .decode = conf_string, .required = true,
	  .offset = offsetof(struct attribute_filter_params, attribute.name),
	  .help = "an attributeKey of an engine's customMetrics" },
	{ .key = "producer", .decode = conf_enum,
	  .preset = "core-metrics-extractor", .names = attribute_producers,
	  .offset = offsetof(struct attribute_filter_params, attribute.producer),
	  .help = "who publishes it" },
	{ .key = "onMissing", .decode = conf_enum, .preset = "Pass",
	  .names = policies,
	  .offset = offsetof(struct attribute_filter_params, on_missing),
	  .help = "Pass or Fail: an endpoint without the attribute" },
	{ .key = "fallbackOnEmpty", .decode = conf_bool, .preset = "false",
	  .offset = offsetof(struct attribute_filter_params, falls_back),
	  .help = "keep everybody rather than nobody" },
	{ .key = "algorithm", .decode = conf_section, .required = true,
	  .table = &algorithm_table,
	  .offset = offsetof(struct attribute_filter_params, algorithm),
	  .help = "{type: threshold, threshold: {operator, value}}" },
};

static int check_params(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct attribute_filter_params *p = out;

	return attribute_resolve(in, map, "attribute", &p->attribute);
}

static const struct conf_table table = {
	.what = "endpoint-attribute-filter",
	.size = sizeof(struct attribute_filter_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.check = check_params,
};

static bool passes(const struct threshold *t, double value)
{
	switch (t->operator) {
	case LESS:
		return value < t->value;
	case LESS_OR_EQUAL:
		return value <= t->value;
	case GREATER:
		return value > t->value;
	case GREATER_OR_EQUAL:
		return value >= t->value;
	case EQUAL:
		return value == t->value;
	case NOT_EQUAL:
		break;
	}
	return value != t->value;
}

static void attribute_filter(const struct choice *c, const void *params,
    bool *keep)
{
	const struct attribute_filter_params *p = params;
	size_t n_kept = 0;
	double value;

	for (size_t i = 0; i < c->n; i++) {
		keep[i] = attribute_read(c, i, &p->attribute, &value) ?
		    passes(&p->algorithm.threshold, value) :
		    p->on_missing == PASS;
		n_kept += keep[i];
	}
	if (n_kept == 0 && p->falls_back)
		memset(keep, true, c->n * sizeof(*keep));
}

const struct filter filter_endpoint_attribute = {
	.name = "endpoint-attribute-filter",
	.differs = "a number that is stale is missing",
	.params = &table,
	.filter = attribute_filter,
};
