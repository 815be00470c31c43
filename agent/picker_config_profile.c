/*
 * picker_config_profile.c - filters, scorers and a picker, put together by name
 *
 * Without profiles llm-d makes one of all filters, scorers and pickers that are
 * listed, each of weight 1; a profile without a picker gets one that is listed, else
 * max-score-picker. Source: llm-d-router pkg/epp/config/loader.
 */
#include "picker_config_parts.h"

#include <errno.h>

#include "arena.h"

struct building {
	struct decoding *d;
	struct used_filter *filters;
	struct weighted_scorer *scorers;
	struct profile *profile;
};

static int begin(struct building *b, struct decoding *d, const char *name,
    size_t n_refs)
{
	struct arena *arena = d->in->arena;
	struct profile *p = arena_zalloc(arena, sizeof(*p));

	b->d = d;
	b->profile = p;
	b->filters = arena_zalloc(arena, (n_refs + 1) * sizeof(*b->filters));
	b->scorers = arena_zalloc(arena, (n_refs + 1) * sizeof(*b->scorers));
	if (p == NULL || b->filters == NULL || b->scorers == NULL)
		return conf_no_memory(d->in);
	p->name = name;
	p->filters = b->filters;
	p->scorers = b->scorers;
	d->config->profile = p;
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

static int build_explicit(struct decoding *d, const struct profile_entry *from)
{
	struct building b;
	int err = begin(&b, d, from->name.name, from->n_refs);

	for (size_t i = 0; i < from->n_refs && err == 0; i++) {
		const struct profile_ref *r = &from->refs[i];
		struct entry *e = picker_config_entry(d, &r->plugin);

		err = e != NULL ? add(&b, e, r->weight, r->plugin.line) :
		    -EINVAL;
	}
	if (err == 0 && b.profile->picker == NULL)
		err = add_default_picker(&b, from->name.line);
	return err;
}

static int build_implicit(struct decoding *d)
{
	struct building b;
	int err = begin(&b, d, "default", d->doc.n_entries);

	for (size_t i = 0; i < d->doc.n_entries && err == 0; i++) {
		struct entry *e = &d->doc.entries[i];

		if (e->filter != NULL || e->scorer != NULL || e->picker != NULL)
			err = add(&b, e, 1.0f, e->type.line);
	}
	if (err == 0 && b.profile->n_filters + b.profile->n_scorers == 0 &&
	    b.profile->picker == NULL) {
		d->config->profile = &profile_default;
		picker_config_tell(d, d->root->line, MIGRATION_APPROXIMATE,
		    "no filter, scorer or picker", "queue-scorer 2, "
		    "kv-cache-utilization-scorer 2, prefix-cache-scorer 3; "
		    "llm-d picks at random");
		return 0;
	}
	if (err == 0 && b.profile->picker == NULL)
		err = add_default_picker(&b, d->root->line);
	return err;
}

int picker_config_build_profile(struct decoding *d)
{
	if (d->doc.n_profiles == 0)
		return build_implicit(d);
	if (d->doc.n_profiles > 1)
		return picker_config_refuse(d, d->doc.profiles[1].name.line,
		    "a second profile", d->doc.profiles[1].name.name,
		    "one: the single-profile-handler takes no more");
	return build_explicit(d, &d->doc.profiles[0]);
}
