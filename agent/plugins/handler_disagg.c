/*
 * handler_disagg.c - decode, and prefill and encode elsewhere where a decider says so
 *
 * The stages and their order: disagg.h. Source: llm-d-router, profile handler
 * "disagg-profile-handler", whose older, flat parameters are taken too, but not both
 * kinds at once.
 */
#include "plugins/plugins.h"

#include <errno.h>

#include "conf.h"
#include "fault.h"
#include "plugins/disagg.h"

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

static bool is_flat(const struct disagg_params *p)
{
	bool is = p->older_decider != NULL;

	for (size_t i = 0; i < N_STAGES; i++)
		is |= p->old_profiles[i] != NULL || p->old_deciders[i] != NULL;
	return is;
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
	disagg_fill_names(p);
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

const struct handler handler_disagg = {
	.name = "disagg-profile-handler",
	.differs = "saturation is the whole pool's, not its fuller stage's; at most 4 "
	    "encoders",
	.params = &table,
	.bind = disagg_bind,
	.next = disagg_next,
};
