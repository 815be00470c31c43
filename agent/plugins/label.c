/*
 * label.c - a scan of a few labels; an index would cost more than it saves
 */
#include "plugins/label.h"

#include <string.h>

#include "arena.h"
#include "endpoints.h"
#include "options.h"
#include "plugin.h"

const char *label_value(const struct endpoint *e, const char *key)
{
	for (size_t i = 0; i < e->n_labels; i++)
		if (e->labels[i].key[0] == key[0] &&
		    strcmp(e->labels[i].key, key) == 0)
			return e->labels[i].value;
	return NULL;
}

bool label_is_one_of(const char *value, const char *const *values, size_t n)
{
	if (value == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(values[i], value) == 0)
			return true;
	return false;
}

void label_keep(const struct choice *c, const struct label_rule *rule,
    bool *keep)
{
	for (size_t i = 0; i < c->n; i++) {
		const char *value = label_value(
		    &c->view->endpoints[c->rows[i]], rule->key);

		keep[i] = value == NULL ? rule->allows_none :
		    label_is_one_of(value, rule->values, rule->n_values);
	}
}

int label_decode_value(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	char *text;

	if (value->type != CONF_SCALAR)
		return conf_refuse(in, row, value, "a label's value");
	text = arena_copy(in->arena, value->text, strlen(value->text));
	if (text == NULL)
		return conf_no_memory(in);
	*(char **)out = text;
	return 0;
}

static const struct conf_row value_row = {
	.key = "values", .decode = label_decode_value,
};

const struct conf_table label_values_table = {
	.what = "values of a label",
	.size = sizeof(const char *),
	.item = &value_row,
};
