/*
 * label.c - a scan of a few labels, by what stands for their keys
 */
#include "plugins/label.h"

#include <string.h>

#include "arena.h"
#include "endpoints.h"
#include "label_columns.h"
#include "options.h"
#include "plugin.h"

struct label_key label_key(const struct endpoint_view *view, const char *text)
{
	uint64_t id = endpoint_label_id(text);

	return (struct label_key){ text, id, label_column(view->labels, id) };
}

/* Ids lie side by side; each key's text is a cache line somewhere. */
const char *label_find(const struct endpoint *e, const struct label_key *key)
{
	for (size_t i = 0; i < e->n_labels; i++)
		if (e->label_ids != NULL ? e->label_ids[i] == key->id :
		    strcmp(e->labels[i].key, key->text) == 0)
			return e->labels[i].value;
	return NULL;
}

const char *label_value(const struct endpoint *e, const char *key)
{
	const struct label_key k = { key, endpoint_label_id(key), NULL };

	return label_find(e, &k);
}

uint64_t label_value_id(const struct choice *c, size_t i,
    const struct label_key *key)
{
	const char *value = label_find(&c->view->endpoints[c->rows[i]], key);

	return value != NULL ? endpoint_value_id(span_of(value)) : 0;
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
	const struct label_key key = label_key(c->view, rule->key);

	for (size_t i = 0; i < c->n; i++) {
		const char *value = label_find(
		    &c->view->endpoints[c->rows[i]], &key);

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
