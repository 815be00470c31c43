/*
 * handler_pd.c - decode, and prefill elsewhere: the ancestor of handler_disagg.c
 *
 * Two stages only, decode-first, by "prefix-based-pd-decider" unless it names another;
 * and primaryPort for data-parallel ranks, as handler_data_parallel.c has it. Source:
 * llm-d-router, profile handler "pd-profile-handler", deprecated there.
 */
#include "plugins/plugins.h"

#include "conf.h"
#include "plugins/disagg.h"

#define FIELD(field) offsetof(struct disagg_params, field)

static const struct conf_row rows[] = {
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
};

static int check(const struct conf_input *in, const struct conf *map,
    void *out)
{
	(void)in;
	(void)map;
	disagg_fill_names(out);
	return 0;
}

static const struct conf_table table = {
	.what = "pd-profile-handler",
	.size = sizeof(struct disagg_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.check = check,
};

static uint16_t pd_port(const void *params)
{
	return ((const struct disagg_params *)params)->primary_port;
}

const struct handler handler_pd = {
	.name = "pd-profile-handler",
	.differs = "saturation is the whole pool's, not its fuller stage's; "
	    "x-prefiller-host-port needs no prefill-header-handler",
	.params = &table,
	.bind = disagg_bind,
	.next = disagg_next,
	.entry_port = pd_port,
};
