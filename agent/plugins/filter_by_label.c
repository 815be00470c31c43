/*
 * filter_by_label.c - only endpoints with one of some values of a label
 *
 * Those that lack the label pass with allowsNoLabel. Nobody left: 429. Source:
 * llm-d-router, filter "by-label", which is deprecated there for
 * "label-selector-filter". One difference: there, "" among the values lets those in
 * that lack the label; here it means the empty value.
 */
#include "plugins/plugins.h"

#include <errno.h>

#include "conf.h"
#include "fault.h"
#include "plugins/label.h"

enum { VALUES_MAX = 1024 };

static int check(const struct conf_input *in, const struct conf *map, void *out)
{
	const struct label_rule *rule = out;

	if (rule->n_values > 0 || rule->allows_none)
		return 0;
	fault_set(in->why, in->file, map->line, "by-label that keeps nobody",
	    "validValues: [a, b], or allowsNoLabel: true");
	return -EINVAL;
}

static const struct conf_row rows[] = {
	{ .key = "label", .decode = conf_string, .required = true,
	  .offset = offsetof(struct label_rule, key), .help = "its key" },
	{ .key = "validValues", .decode = conf_list,
	  .table = &label_values_table, .max = VALUES_MAX,
	  .offset = offsetof(struct label_rule, values),
	  .offset_n = offsetof(struct label_rule, n_values),
	  .help = "of which it must have one" },
	{ .key = "allowsNoLabel", .decode = conf_bool, .preset = "false",
	  .offset = offsetof(struct label_rule, allows_none),
	  .help = "keep those without it too" },
};

static const struct conf_table table = {
	.what = "by-label",
	.size = sizeof(struct label_rule),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.check = check,
};

static void by_label_filter(const struct choice *c, const void *params,
    bool *keep)
{
	label_keep(c, params, keep);
}

const struct filter filter_by_label = {
	.name = "by-label",
	.params = &table,
	.filter = by_label_filter,
};
