/*
 * filter_label_selector.c - only endpoints whose labels match a Kubernetes selector
 *
 *	matchLabels key: value	the label has that value
 *	In, NotIn values	it has one of them; has none of them, or is not there
 *	Exists, DoesNotExist	it is there; is not there
 *
 * All must hold; without any, everybody passes. Nobody left: 429. Source:
 * llm-d-router, filter "label-selector-filter" (older name: "by-label-selector"), and
 * Kubernetes' LabelSelectorAsSelector(). How Kubernetes lets keys and values be spelled
 * is not checked: our labels need not come from there.
 */
#include "plugins/plugins.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "conf.h"
#include "endpoints.h"
#include "fault.h"
#include "options.h"
#include "plugins/label.h"

enum { LABELS_MAX = 64, EXPRESSIONS_MAX = 64, VALUES_MAX = 1024 };

enum operator { OP_IN, OP_NOT_IN, OP_EXISTS, OP_DOES_NOT_EXIST };

static const char *const operators[] = {
	[OP_IN] = "In", [OP_NOT_IN] = "NotIn", [OP_EXISTS] = "Exists",
	[OP_DOES_NOT_EXIST] = "DoesNotExist", NULL,
};

struct expression {
	const char *key;
	enum operator operator;
	const char *const *values;
	size_t n_values;
};

struct selector {
	const struct label *labels;
	size_t n_labels;
	const struct expression *expressions;
	size_t n_expressions;
};

static int decode_labels(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	struct selector *s = (struct selector *)((char *)out - row->offset);
	struct label *labels;
	int err = 0;

	if (value->type != CONF_MAP || value->n_children > LABELS_MAX)
		return conf_refuse(in, row, value,
		    "a map of at most %d labels: key: value", LABELS_MAX);
	labels = arena_zalloc(in->arena, value->n_children * sizeof(*labels));
	if (labels == NULL)
		return conf_no_memory(in);
	s->labels = labels;
	for (const struct conf *c = value->children; c != NULL && err == 0;
	    c = c->next) {
		struct label *l = &labels[s->n_labels++];

		l->key = arena_copy(in->arena, c->key, strlen(c->key));
		err = l->key == NULL ? conf_no_memory(in) :
		    label_decode_value(in, row, c, &l->value);
	}
	return err;
}

static int check_expression(const struct conf_input *in,
    const struct conf *map, void *out)
{
	const struct expression *e = out;
	bool needs_values = e->operator == OP_IN || e->operator == OP_NOT_IN;

	if (needs_values == (e->n_values > 0))
		return 0;
	fault_setf(in->why, in->file, map->line, "%s %s values",
	    operators[e->operator], needs_values ? "without" : "with");
	fault_want(in->why, needs_values ? "values: [a, b]" : "no values");
	return -EINVAL;
}

static const struct conf_row expression_rows[] = {
	{ .key = "key", .decode = conf_string, .required = true,
	  .offset = offsetof(struct expression, key), .help = "of a label" },
	{ .key = "operator", .decode = conf_enum, .required = true,
	  .names = operators, .offset = offsetof(struct expression, operator),
	  .help = "In, NotIn, Exists or DoesNotExist" },
	{ .key = "values", .decode = conf_list, .table = &label_values_table,
	  .max = VALUES_MAX, .offset = offsetof(struct expression, values),
	  .offset_n = offsetof(struct expression, n_values),
	  .help = "for In and NotIn" },
};

static const struct conf_table expression_table = {
	.what = "an entry of matchExpressions",
	.size = sizeof(struct expression),
	.rows = expression_rows,
	.n_rows = sizeof(expression_rows) / sizeof(*expression_rows),
	.check = check_expression,
};

static const struct conf_row rows[] = {
	{ .key = "matchLabels", .decode = decode_labels,
	  .offset = offsetof(struct selector, labels),
	  .help = "key: value, all of which an endpoint must have" },
	{ .key = "matchExpressions", .decode = conf_list,
	  .table = &expression_table, .max = EXPRESSIONS_MAX,
	  .offset = offsetof(struct selector, expressions),
	  .offset_n = offsetof(struct selector, n_expressions),
	  .help = "all of which must hold" },
};

static const struct conf_table table = {
	.what = "label-selector-filter",
	.size = sizeof(struct selector),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static bool holds(const struct endpoint *endpoint, const struct expression *e)
{
	const char *value = label_value(endpoint, e->key);

	switch (e->operator) {
	case OP_IN:
		return label_is_one_of(value, e->values, e->n_values);
	case OP_NOT_IN:
		return !label_is_one_of(value, e->values, e->n_values);
	case OP_EXISTS:
		return value != NULL;
	case OP_DOES_NOT_EXIST:
		break;
	}
	return value == NULL;
}

static bool is_selected(const struct endpoint *e, const struct selector *s)
{
	for (size_t i = 0; i < s->n_labels; i++)
		if (!label_is_one_of(label_value(e, s->labels[i].key),
			&s->labels[i].value, 1))
			return false;
	for (size_t i = 0; i < s->n_expressions; i++)
		if (!holds(e, &s->expressions[i]))
			return false;
	return true;
}

static void selector_filter(const struct choice *c, const void *params,
    bool *keep)
{
	for (size_t i = 0; i < c->n; i++)
		keep[i] = is_selected(&c->view->endpoints[c->rows[i]], params);
}

const struct filter filter_label_selector = {
	.name = "label-selector-filter",
	.params = &table,
	.filter = selector_filter,
};

const struct filter filter_by_label_selector = {
	.name = "by-label-selector",
	.params = &table,
	.filter = selector_filter,
};
