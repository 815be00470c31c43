/*
 * picker_config_help.c - what an EndpointPickerConfig may say of plugins, as text
 *
 * Of those that have an effect, each once for each kind that it is. What is read, and
 * without effect, has parameters that nobody need know.
 */
#include "conf.h"
#include "picker_config_parts.h"

static void print_producer(FILE *out, const char *key)
{
	const struct conf_row row = { .key = key,
		.help = "a name under plugins, or a producer's type" };
	const struct conf_table table = { .rows = &row, .n_rows = 1 };

	conf_print_help(out, &table);
}

/* One that is of the other types too may have its parameters there. */
static void print_type(FILE *out, const char *kind, const char *name,
    const struct conf_table *params)
{
	const struct other_type *o = other_type_find(name);
	const char *key;

	if (params == NULL && o != NULL)
		params = o->params;
	fprintf(out, "%s: %s\n", kind, name);
	if (params != NULL)
		conf_print_help(out, params);
	for (size_t i = 0;
	    (key = picker_config_producer_key(name, i)) != NULL; i++)
		print_producer(out, key);
}

static bool is_printed(const char *name)
{
	return filter_find(name) != NULL || scorer_find(name) != NULL;
}

static void print_others(FILE *out)
{
	const struct other_type *o;

	for (size_t i = 0; (o = other_type_at(i)) != NULL; i++)
		if (!is_printed(o->name) && (o->params != NULL ||
			o->verdict != MIGRATION_NOT_HONOURED))
			print_type(out, "other", o->name, o->params);
}

void picker_config_print_help(FILE *out)
{
	const struct filter *f;
	const struct scorer *s;
	const struct picker *p;
	const struct handler *h;
	const struct decider *d;

	for (size_t i = 0; (f = filter_at(i)) != NULL; i++)
		print_type(out, "filter", f->name, f->params);
	for (size_t i = 0; (s = scorer_at(i)) != NULL; i++)
		print_type(out, "scorer", s->name, s->params);
	for (size_t i = 0; (p = picker_at(i)) != NULL; i++)
		print_type(out, "picker", p->name, p->params);
	for (size_t i = 0; (h = handler_at(i)) != NULL; i++)
		print_type(out, "profile handler", h->name, h->params);
	for (size_t i = 0; (d = decider_at(i)) != NULL; i++)
		print_type(out, "decider", d->name, d->params);
	print_others(out);
}
