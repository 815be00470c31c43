/*
 * picker_config_profile.c - filters, scorers, pickers and a handler, put together by name
 *
 * Without profiles llm-d makes one of all filters, scorers and pickers that are
 * listed, each of weight 1; a profile without a picker gets one that is listed, else
 * max-score-picker. One handler, which of one profile may be left out. Source:
 * llm-d-router pkg/epp/config/loader.
 */
#include "picker_config_parts.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "fault.h"
#include "plugins/picker_list.h"
#include "plugins/plugins.h"

struct building {
	struct decoding *d;
	struct used_filter *filters;
	struct weighted_scorer *scorers;
	struct profile *profile;
};

static int begin(struct building *b, struct decoding *d, struct profile *p,
    const char *name, size_t n_refs)
{
	struct arena *arena = d->in->arena;

	b->d = d;
	b->profile = p;
	b->filters = arena_zalloc(arena, (n_refs + 1) * sizeof(*b->filters));
	b->scorers = arena_zalloc(arena, (n_refs + 1) * sizeof(*b->scorers));
	if (b->filters == NULL || b->scorers == NULL)
		return conf_no_memory(d->in);
	p->name = name;
	p->filters = b->filters;
	p->scorers = b->scorers;
	return 0;
}

/*
 * One that is nothing of the three takes its part by being listed; llm-d's own chart
 * puts a producer into a profile.
 */
static int add(struct building *b, struct entry *e, float weight,
    unsigned line)
{
	struct profile *p = b->profile;

	e->is_in_profile = true;
	if (e->filter != NULL)
		b->filters[p->n_filters++] = (struct used_filter){ e->filter,
			e->filter_params };
	if (e->scorer != NULL)
		b->scorers[p->n_scorers++] = (struct weighted_scorer){
			e->scorer, weight, e->scorer_params };
	if (e->picker == NULL)
		return 0;
	if (p->picker != NULL)
		return picker_config_refuse(b->d, line,
		    "a second picker in a profile", e->name.name, "one");
	p->picker = e->picker;
	p->picker_params = e->picker_params;
	p->max_endpoints = picker_asked(e->picker_params);
	return 0;
}

static int add_default_picker(struct building *b, unsigned line)
{
	struct decoding *d = b->d;
	struct entry e;
	int err;

	for (size_t i = 0; i < d->doc.n_entries; i++)
		if (d->doc.entries[i].picker != NULL)
			return add(b, &d->doc.entries[i], 0, line);
	err = picker_config_preset(d, "max-score-picker", line, &e);
	if (err != 0)
		return err;
	picker_config_tell(d, line, e.picker->differs != NULL ?
	    MIGRATION_APPROXIMATE : MIGRATION_EXACT,
	    "max-score-picker, by default", e.picker->differs);
	return add(b, &e, 0, line);
}

static int build_explicit(struct decoding *d, const struct profile_entry *from,
    struct profile *to)
{
	struct building b;
	int err = begin(&b, d, to, from->name.name, from->n_refs);

	for (size_t i = 0; i < from->n_refs && err == 0; i++) {
		const struct profile_ref *r = &from->refs[i];
		struct entry *e = picker_config_entry(d, &r->plugin);

		err = e != NULL ? add(&b, e, r->weight, r->plugin.line) :
		    -EINVAL;
	}
	if (err == 0 && to->picker == NULL)
		err = add_default_picker(&b, from->name.line);
	return err;
}

static int build_implicit(struct decoding *d, struct profile *to)
{
	struct building b;
	int err = begin(&b, d, to, "default", d->doc.n_entries);

	for (size_t i = 0; i < d->doc.n_entries && err == 0; i++) {
		struct entry *e = &d->doc.entries[i];

		if (e->filter != NULL || e->scorer != NULL || e->picker != NULL)
			err = add(&b, e, 1.0f, e->type.line);
	}
	if (err == 0 && to->n_filters + to->n_scorers == 0 &&
	    to->picker == NULL) {
		*to = profile_default;
		picker_config_tell(d, d->root->line, MIGRATION_APPROXIMATE,
		    "no filter, scorer or picker", "queue-scorer 2, "
		    "kv-cache-utilization-scorer 2, prefix-cache-scorer 3; "
		    "llm-d picks at random");
		return 0;
	}
	if (err == 0 && to->picker == NULL)
		err = add_default_picker(&b, d->root->line);
	return err;
}

static int check_names(const struct decoding *d, size_t i)
{
	const struct profile_entry *p = d->doc.profiles;

	for (size_t k = 0; k < i; k++)
		if (strcmp(p[k].name.name, p[i].name.name) == 0)
			return picker_config_refuse(d, p[i].name.line,
			    "a second profile of this name", p[i].name.name,
			    "a name of its own");
	return 0;
}

static int build_profiles(struct decoding *d, struct profile *to)
{
	int err = 0;

	if (d->doc.n_profiles == 0)
		return build_implicit(d, to);
	for (size_t i = 0; i < d->doc.n_profiles && err == 0; i++) {
		err = check_names(d, i);
		if (err == 0)
			err = build_explicit(d, &d->doc.profiles[i], &to[i]);
	}
	return err;
}

/* ---- the handler ---- */

static int find_handler(struct decoding *d, struct entry **out)
{
	*out = NULL;
	for (size_t i = 0; i < d->doc.n_entries; i++) {
		struct entry *e = &d->doc.entries[i];

		if (e->handler == NULL)
			continue;
		if (*out != NULL)
			return picker_config_refuse(d, e->type.line,
			    "a second profile handler", e->name.name, "one");
		*out = e;
	}
	return 0;
}

/* Where a name stands among parameters; their plugin's own line where none does. */
static unsigned line_of(const struct conf *parameters, const char *text,
    unsigned line)
{
	if (!conf_is_given(parameters))
		return line;
	for (const struct conf *c = parameters->children; c != NULL; c = c->next)
		if (c->type == CONF_SCALAR ? strcmp(c->text, text) == 0 :
		    line_of(c, text, 0) != 0)
			return c->type == CONF_SCALAR ? c->line :
			    line_of(c, text, 0);
	return line;
}

static int list_deciders(const struct decoding *d, struct handler_names *names)
{
	struct used_decider *all = arena_zalloc(d->in->arena,
	    (d->doc.n_entries + 1) * sizeof(*all));

	if (all == NULL)
		return conf_no_memory(d->in);
	names->deciders = all;
	for (size_t i = 0; i < d->doc.n_entries; i++) {
		const struct entry *e = &d->doc.entries[i];

		if (e->decider != NULL)
			all[names->n_deciders++] = (struct used_decider){
				e->name.name, e->decider, e->decider_params };
	}
	return 0;
}

static int bind_names(const struct decoding *d, const struct entry *e,
    const struct schedule *s)
{
	struct handler_names names = { .profiles = s->profiles,
		.n_profiles = s->n_profiles };
	struct unbound missing;
	int err = list_deciders(d, &names);

	if (err != 0)
		return err;
	missing = e->handler->bind(e->handler_params, &names);
	return missing.name == NULL ? 0 : picker_config_refuse(d,
	    line_of(e->parameters, missing.name, e->type.line),
	    "a profile handler refers to what is not there", missing.name,
	    missing.want);
}

static int take_handler(struct decoding *d, struct schedule *s)
{
	struct entry *e;
	int err = find_handler(d, &e);

	if (err != 0)
		return err;
	s->handler = e != NULL ? e->handler : &handler_single;
	s->params = e != NULL ? e->handler_params : NULL;
	if (s->handler->bind != NULL)
		return bind_names(d, e, s);
	return s->n_profiles == 1 ? 0 : picker_config_refuse(d,
	    d->doc.profiles[1].name.line, "a second profile",
	    d->doc.profiles[1].name.name, e == NULL ?
	    "a profile handler for several, as disagg-profile-handler" :
	    "one: this profile handler takes no more");
}

int picker_config_build_schedule(struct decoding *d)
{
	size_t n = d->doc.n_profiles > 0 ? d->doc.n_profiles : 1;
	struct schedule *s = arena_zalloc(d->in->arena, sizeof(*s));
	struct profile *profiles = arena_zalloc(d->in->arena,
	    n * sizeof(*profiles));
	int err;

	if (s == NULL || profiles == NULL)
		return conf_no_memory(d->in);
	err = build_profiles(d, profiles);
	s->profiles = profiles;
	s->n_profiles = n;
	if (err == 0)
		err = take_handler(d, s);
	d->config->schedule = s;
	return err;
}
