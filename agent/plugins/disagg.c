/*
 * disagg.c - names to profiles and deciders, and which of them is next
 */
#include "plugins/disagg.h"

#include <string.h>

/* ---- names ---- */

static const struct used_decider *find_decider(
    const struct handler_names *names, const char *name)
{
	for (size_t i = 0; i < names->n_deciders; i++)
		if (strcmp(names->deciders[i].name, name) == 0)
			return &names->deciders[i];
	return NULL;
}

static const char *const stage_names[N_STAGES] = {
	[STAGE_PRIMARY] = "decode", [STAGE_PREFILL] = "prefill",
	[STAGE_ENCODE] = "encode",
};

static void fill(const char **name, const char *other)
{
	if (*name == NULL)
		*name = other;
}

void disagg_fill_names(struct disagg_params *p)
{
	for (size_t i = 0; i < N_STAGES; i++) {
		fill(&p->profile_names[i], p->old_profiles[i]);
		fill(&p->profile_names[i], stage_names[i]);
		fill(&p->decider_names[i], p->old_deciders[i]);
	}
	fill(&p->decider_names[STAGE_PREFILL], p->older_decider);
}

struct unbound disagg_bind(void *params, const struct handler_names *names)
{
	struct disagg_params *p = params;

	for (size_t i = 0; i < N_STAGES; i++) {
		const char *name = p->decider_names[i];

		p->profiles[i] = profile_find(names->profiles,
		    names->n_profiles, span_of(p->profile_names[i]));
		if (name == NULL)
			continue;
		p->deciders[i] = find_decider(names, name);
		if (p->deciders[i] == NULL)
			return (struct unbound){ name,
				"a decider, as prefix-based-pd-decider" };
	}
	if (p->profiles[STAGE_PRIMARY] == NULL)
		return (struct unbound){ p->profile_names[STAGE_PRIMARY],
			"a scheduling profile's name" };
	return (struct unbound){ 0 };
}

/* ---- stages ---- */

static bool is_wanted(const struct stages *s, const struct disagg_params *p,
    enum stage stage)
{
	const struct used_decider *d = p->deciders[stage];

	if (s->of[stage].is_over || p->profiles[stage] == NULL)
		return false;
	if (stage == STAGE_PRIMARY ||
	    (stage == STAGE_PREFILL && p->order == PREFILL_FIRST))
		return true;
	return d != NULL && d->decider->wants(s, d->params);
}

static const enum stage sequence[][N_STAGES] = {
	[DECODE_FIRST] = { STAGE_PRIMARY, STAGE_ENCODE, STAGE_PREFILL },
	[PREFILL_FIRST] = { STAGE_PREFILL, STAGE_ENCODE, STAGE_PRIMARY },
};

const struct profile *disagg_next(const struct stages *s, const void *params,
    enum stage *stage)
{
	const struct disagg_params *p = params;

	if (s->of[STAGE_PRIMARY].is_over &&
	    (s->of[STAGE_PRIMARY].choice == NULL || p->order == PREFILL_FIRST))
		return NULL;
	for (size_t i = 0; i < N_STAGES; i++) {
		*stage = sequence[p->order][i];
		if (is_wanted(s, p, *stage))
			return p->profiles[*stage];
	}
	return NULL;
}
