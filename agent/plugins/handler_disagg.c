/*
 * handler_disagg.c - one profile a stage: who decodes, who prefills, who encodes
 *
 *	decode-first	decode, then encode if its decider says so, then prefill if
 *			its own does
 *	prefill-first	prefill if there is a profile for it, then encode, then decode
 *
 * The request goes to who decodes, with the others' ip:port in the headers
 * x-prefiller-host-port and x-encoder-hosts-ports. Nobody to decode: it is refused.
 * Nobody to prefill or to encode: the decoding server does it. In the later of decode
 * and prefill, "topology-affinity" plugins look for the vicinity of the earlier one.
 * A stage without a decider, or without a profile of its name, never runs.
 *
 * Source: llm-d-router, profile handlers "disagg-profile-handler", whose older, flat
 * parameters it takes too (not both kinds at once), and "pd-profile-handler", its
 * ancestor: two stages only, decode-first, and primaryPort as data-parallel ranks have.
 */
#include "plugins/plugins.h"

#include <errno.h>
#include <string.h>

#include "conf.h"
#include "fault.h"

enum stage_order { DECODE_FIRST, PREFILL_FIRST };

/* Names first; behind them, what bind() found. */
struct disagg_params {
	int order;
	const char *profile_names[N_STAGES], *decider_names[N_STAGES];
	const char *old_profiles[N_STAGES], *old_deciders[N_STAGES];
	const char *older_decider;	/* of prefill, in the ancestor's word */
	const char *unused;
	uint16_t primary_port;
	const struct profile *profiles[N_STAGES];
	const struct used_decider *deciders[N_STAGES];
};

#define FIELD(field) offsetof(struct disagg_params, field)

static const char *const orders[] = {
	[DECODE_FIRST] = "decode-first", [PREFILL_FIRST] = "prefill-first", NULL,
};

static const struct conf_row profile_rows[] = {
	{ .key = "decode", .decode = conf_string,
	  .offset = FIELD(profile_names[STAGE_PRIMARY]), .help = "decode" },
	{ .key = "prefill", .decode = conf_string,
	  .offset = FIELD(profile_names[STAGE_PREFILL]), .help = "prefill" },
	{ .key = "encode", .decode = conf_string,
	  .offset = FIELD(profile_names[STAGE_ENCODE]), .help = "encode" },
};

static const struct conf_table profiles_table = {
	.what = "profiles", .rows = profile_rows,
	.n_rows = sizeof(profile_rows) / sizeof(*profile_rows),
};

static const struct conf_row decider_rows[] = {
	{ .key = "prefill", .decode = conf_string,
	  .offset = FIELD(decider_names[STAGE_PREFILL]),
	  .help = "a decider's name" },
	{ .key = "encode", .decode = conf_string,
	  .offset = FIELD(decider_names[STAGE_ENCODE]),
	  .help = "a decider's name" },
};

static const struct conf_table deciders_table = {
	.what = "deciders", .rows = decider_rows,
	.n_rows = sizeof(decider_rows) / sizeof(*decider_rows),
};

static const struct conf_row rows[] = {
	{ .key = "stageOrder", .decode = conf_enum, .preset = "decode-first",
	  .names = orders, .offset = FIELD(order),
	  .help = "decode-first or prefill-first" },
	{ .key = "profiles", .decode = conf_section, .table = &profiles_table,
	  .help = "their names, if others:" },
	{ .key = "deciders", .decode = conf_section, .table = &deciders_table,
	  .help = "without one a stage does not run:" },
	{ .key = "decodeProfile", .decode = conf_string,
	  .offset = FIELD(old_profiles[STAGE_PRIMARY]),
	  .help = "deprecated: profiles.decode" },
	{ .key = "prefillProfile", .decode = conf_string,
	  .offset = FIELD(old_profiles[STAGE_PREFILL]),
	  .help = "deprecated: profiles.prefill" },
	{ .key = "encodeProfile", .decode = conf_string,
	  .offset = FIELD(old_profiles[STAGE_ENCODE]),
	  .help = "deprecated: profiles.encode" },
	{ .key = "prefillDeciderPluginName", .decode = conf_string,
	  .offset = FIELD(old_deciders[STAGE_PREFILL]),
	  .help = "deprecated: deciders.prefill" },
	{ .key = "encodeDeciderPluginName", .decode = conf_string,
	  .offset = FIELD(old_deciders[STAGE_ENCODE]),
	  .help = "deprecated: deciders.encode" },
	{ .key = "deciderPluginName", .decode = conf_string,
	  .offset = FIELD(older_decider),
	  .help = "deprecated: deciders.prefill" },
};

static const char *const stage_names[N_STAGES] = {
	[STAGE_PRIMARY] = "decode", [STAGE_PREFILL] = "prefill",
	[STAGE_ENCODE] = "encode",
};

static void fill(const char **name, const char *other)
{
	if (*name == NULL)
		*name = other;
}

static bool is_flat(const struct disagg_params *p)
{
	bool is = p->older_decider != NULL;

	for (size_t i = 0; i < N_STAGES; i++)
		is |= p->old_profiles[i] != NULL || p->old_deciders[i] != NULL;
	return is;
}

static void fill_names(struct disagg_params *p)
{
	for (size_t i = 0; i < N_STAGES; i++) {
		fill(&p->profile_names[i], p->old_profiles[i]);
		fill(&p->profile_names[i], stage_names[i]);
		fill(&p->decider_names[i], p->old_deciders[i]);
	}
	fill(&p->decider_names[STAGE_PREFILL], p->older_decider);
}

/* Source: DisaggProfileHandlerConfigParser(). */
static int check(const struct conf_input *in, const struct conf *map, void *out)
{
	struct disagg_params *p = out;

	if (is_flat(p) && (conf_is_given(conf_child(map, "profiles")) ||
		conf_is_given(conf_child(map, "deciders")))) {
		fault_set(in->why, in->file, map->line,
		    "deprecated parameters beside `profiles` and `deciders`",
		    "one kind only");
		return -EINVAL;
	}
	fill_names(p);
	if (p->order == PREFILL_FIRST &&
	    p->decider_names[STAGE_PREFILL] != NULL) {
		fault_set(in->why, in->file, map->line,
		    "a decider of prefill in prefill-first order",
		    "none: prefill always runs then");
		return -EINVAL;
	}
	return 0;
}

static const struct conf_table table = {
	.what = "disagg-profile-handler",
	.size = sizeof(struct disagg_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.check = check,
};

/* ---- names ---- */

static const struct profile *find_profile(const struct handler_names *names,
    const char *name)
{
	for (size_t i = 0; i < names->n_profiles; i++)
		if (strcmp(names->profiles[i].name, name) == 0)
			return &names->profiles[i];
	return NULL;
}

static const struct used_decider *find_decider(
    const struct handler_names *names, const char *name)
{
	for (size_t i = 0; i < names->n_deciders; i++)
		if (strcmp(names->deciders[i].name, name) == 0)
			return &names->deciders[i];
	return NULL;
}

static struct unbound disagg_bind(void *params,
    const struct handler_names *names)
{
	struct disagg_params *p = params;

	for (size_t i = 0; i < N_STAGES; i++) {
		const char *name = p->decider_names[i];

		p->profiles[i] = find_profile(names, p->profile_names[i]);
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

static const struct profile *disagg_next(const struct stages *s,
    const void *params, enum stage *stage)
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

const struct handler handler_disagg = {
	.name = "disagg-profile-handler",
	.differs = "saturation is the whole pool's, not its fuller stage's; at most 4 "
	    "encoders",
	.params = &table,
	.bind = disagg_bind,
	.next = disagg_next,
};

/* ---- the ancestor ---- */

static const struct conf_row pd_rows[] = {
	{ .key = "decodeProfile", .decode = conf_string, .preset = "decode",
	  .offset = FIELD(profile_names[STAGE_PRIMARY]), .help = "its name" },
	{ .key = "prefillProfile", .decode = conf_string, .preset = "prefill",
	  .offset = FIELD(profile_names[STAGE_PREFILL]), .help = "its name" },
	{ .key = "deciderPluginName", .decode = conf_string,
	  .preset = "prefix-based-pd-decider",
	  .offset = FIELD(decider_names[STAGE_PREFILL]),
	  .help = "a decider's name" },
	{ .key = "primaryPort", .decode = conf_u16,
	  .offset = FIELD(primary_port),
	  .help = "of the server that forwards to ranks; 0: none does" },
	{ .key = "prefixPluginType", .decode = conf_string,
	  .offset = FIELD(unused), .help = "never had an effect" },
	{ .key = "prefixPluginName", .decode = conf_string,
	  .offset = FIELD(unused), .help = "never had an effect" },
	{ .key = "prefixMatchInfoProducerName", .decode = conf_string,
	  .offset = FIELD(unused), .help = "there is one: without effect" },
};

static int check_pd(const struct conf_input *in, const struct conf *map,
    void *out)
{
	(void)in;
	(void)map;
	fill_names(out);
	return 0;
}

static const struct conf_table pd_table = {
	.what = "pd-profile-handler",
	.size = sizeof(struct disagg_params),
	.rows = pd_rows,
	.n_rows = sizeof(pd_rows) / sizeof(*pd_rows),
	.check = check_pd,
};

static uint16_t pd_port(const void *params)
{
	return ((const struct disagg_params *)params)->primary_port;
}

const struct handler handler_pd = {
	.name = "pd-profile-handler",
	.differs = "saturation is the whole pool's, not its fuller stage's; "
	    "x-prefiller-host-port needs no prefill-header-handler",
	.params = &pd_table,
	.bind = disagg_bind,
	.next = disagg_next,
	.entry_port = pd_port,
};
