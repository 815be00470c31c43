/*
 * picker_config_help.c - what an EndpointPickerConfig may say of plugins, as text
 */
#include "picker_config.h"

#include "conf.h"
#include "picker_config_types.h"
#include "plugin.h"

static void print_type(FILE *out, const char *kind, const char *name,
    const struct conf_table *params)
{
	fprintf(out, "%s: %s\n", kind, name);
	if (params != NULL)
		conf_print_help(out, params);
}

/* What is read, and without effect, has parameters that nobody need know. */
static void print_others(FILE *out)
{
	const struct other_type *o;

	for (size_t i = 0; (o = other_type_at(i)) != NULL; i++)
		if (o->verdict != MIGRATION_NOT_HONOURED)
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
