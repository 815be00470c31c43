/*
 * picker_config_rows.c - the document's keys, as rows
 *
 * Everything that llm-d's types know, so that nothing it takes is an unknown key here.
 * Who waits has limits in Kubernetes' quantities, whose k and M are of 1000.
 */
#include "picker_config_parts.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum {
	PLUGINS_MAX = 128, PROFILES_MAX = 16, REFS_MAX = 64, GATES_MAX = 16,
	BANDS_MAX = 256, HOUR_MS = 60 * 60 * 1000,
};

/* ---- values ---- */

/* An empty name is none: llm-d's own examples write them. */
static int decode_name(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	struct reference *r = out;
	int err;

	if (value->type == CONF_SCALAR && value->text[0] == '\0' &&
	    !row->required)
		return 0;
	err = conf_string(in, row, value, &r->name);
	if (err != 0)
		return err;
	for (const char *c = r->name; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			return conf_refuse(in, row, value, "a name");
	r->line = value->line;
	return 0;
}

/* Kept as it stands in the tree, to be read when more is known. */
static int keep_tree(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	(void)in;
	(void)row;
	*(const struct conf **)out = value;
	return 0;
}

/* What a quantity's suffix multiplies by; 0: there is no such suffix. */
static uint64_t times_of(const char *suffix)
{
	static const struct {
		const char *suffix;
		uint64_t times;
	} units[] = {
		{ "", 1 }, { "k", 1000 }, { "Ki", 1 << 10 },
		{ "M", 1000000 }, { "Mi", 1 << 20 },
		{ "G", 1000000000 }, { "Gi", 1 << 30 },
		{ "T", 1000000000000 }, { "Ti", 1ull << 40 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (strcmp(units[i].suffix, suffix) == 0)
			return units[i].times;
	return 0;
}

/* 5000, 1k, 1G, 500Mi; fractions and exponents are not worth it. */
static int decode_quantity(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	const char *text = value->type == CONF_SCALAR ? value->text : "";
	uint64_t n = 0, times = times_of(text + strspn(text, "0123456789"));
	bool fits = isdigit((unsigned char)*text) && times > 0;

	for (; fits && isdigit((unsigned char)*text); text++)
		fits = !__builtin_mul_overflow(n, 10, &n) &&
		    !__builtin_add_overflow(n, *text - '0', &n);
	if (!fits || __builtin_mul_overflow(n, times, (uint64_t *)out))
		return conf_refuse(in, row, value,
		    "a quantity, as 5000 or 1Gi");
	return 0;
}

static int decode_eviction(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	bool is_on = false;
	int err = conf_bool(in, row, value, &is_on);

	(void)out;
	if (err == 0 && is_on)
		return conf_refuse(in, row, value, "false: a request that "
		    "HAProxy has sent cannot be taken back");
	return err;
}

/* Of what we do not do: no more than that it is a time. */
static int decode_any_time(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	int64_t ms;

	(void)out;
	return conf_duration(in, row, value, &ms);
}

/* Left out, requests would leave the queue that the gate holds back. */
static int decode_gate(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	(void)out;
	if (value->type == CONF_SCALAR && value->text[0] == '\0')
		return 0;
	return conf_refuse(in, row, value, "no gate: who waits goes as soon as "
	    "the pool has room");
}

/* ---- plugins and profiles ---- */

static const struct conf_row entry_rows[] = {
	{ .key = "type", .decode = decode_name, .required = true,
	  .offset = offsetof(struct entry, type), .help = "of the plugin" },
	{ .key = "name", .decode = decode_name,
	  .offset = offsetof(struct entry, name),
	  .help = "its type, if not given" },
	{ .key = "parameters", .decode = keep_tree,
	  .offset = offsetof(struct entry, parameters),
	  .help = "of that type" },
};

static const struct conf_table entry_table = {
	.what = "a plugin", .size = sizeof(struct entry), .rows = entry_rows,
	.n_rows = sizeof(entry_rows) / sizeof(*entry_rows),
};

static const struct conf_row ref_rows[] = {
	{ .key = "pluginRef", .decode = decode_name, .required = true,
	  .offset = offsetof(struct profile_ref, plugin),
	  .help = "a plugin's name" },
	{ .key = "weight", .decode = conf_fraction, .preset = "1",
	  .offset = offsetof(struct profile_ref, weight),
	  .help = "of a scorer" },
};

static const struct conf_table ref_table = {
	.what = "a plugin of a profile", .size = sizeof(struct profile_ref),
	.rows = ref_rows, .n_rows = sizeof(ref_rows) / sizeof(*ref_rows),
};

static const struct conf_row profile_rows[] = {
	{ .key = "name", .decode = decode_name, .required = true,
	  .offset = offsetof(struct profile_entry, name),
	  .help = "of the profile" },
	{ .key = "plugins", .decode = conf_list, .table = &ref_table,
	  .max = REFS_MAX, .offset = offsetof(struct profile_entry, refs),
	  .offset_n = offsetof(struct profile_entry, n_refs),
	  .help = "filters, scorers and a picker" },
};

static const struct conf_table profile_table = {
	.what = "a scheduling profile", .size = sizeof(struct profile_entry),
	.rows = profile_rows,
	.n_rows = sizeof(profile_rows) / sizeof(*profile_rows),
};

static const struct conf_row gate_row = {
	.key = "featureGates", .decode = decode_name, .required = true,
};

static const struct conf_table gate_table = {
	.what = "a feature gate", .size = sizeof(struct reference),
	.item = &gate_row,
};

/* ---- what only refers to plugins ---- */

/* For a list of {pluginRef: name}, and for one alone. */
static const struct conf_row plugin_rows[] = {
	{ .key = "pluginRef", .decode = decode_name, .required = true,
	  .help = "a plugin's name" },
};

static const struct conf_table plugin_table = {
	.what = "a reference", .size = sizeof(struct reference),
	.rows = plugin_rows,
	.n_rows = sizeof(plugin_rows) / sizeof(*plugin_rows),
};

static const struct conf_row optional_plugin_rows[] = {
	{ .key = "pluginRef", .decode = decode_name,
	  .help = "a plugin's name" },
};

static const struct conf_table optional_plugin_table = {
	.what = "a reference", .rows = optional_plugin_rows,
	.n_rows = sizeof(optional_plugin_rows) / sizeof(*optional_plugin_rows),
};

/* conf_section decodes at the struct's beginning plus each row's offset. */
static const struct conf_row handler_rows[] = {
	{ .key = "parsers", .decode = conf_list, .table = &plugin_table,
	  .max = REFS_MAX, .offset = offsetof(struct document, parsers),
	  .offset_n = offsetof(struct document, n_parsers),
	  .help = "which kinds of request are understood" },
	{ .key = "propagatePriority", .decode = conf_bool, .preset = "false",
	  .offset = offsetof(struct document, propagates_priority),
	  .help = "write it into bodies" },
};

static const struct conf_table handler_table = {
	.what = "requestHandler", .rows = handler_rows,
	.n_rows = sizeof(handler_rows) / sizeof(*handler_rows),
};

static const struct conf_row source_rows[] = {
	{ .key = "pluginRef", .decode = decode_name, .required = true,
	  .offset = offsetof(struct source_entry, plugin),
	  .help = "a plugin's name" },
	{ .key = "extractors", .decode = conf_list, .table = &plugin_table,
	  .max = REFS_MAX, .offset = offsetof(struct source_entry, extractors),
	  .offset_n = offsetof(struct source_entry, n_extractors),
	  .help = "what reads it" },
};

static const struct conf_table source_table = {
	.what = "a source", .size = sizeof(struct source_entry),
	.rows = source_rows,
	.n_rows = sizeof(source_rows) / sizeof(*source_rows),
};

#define DATA(field) offsetof(struct document, data.field)

/* pluginRef is older than the other two. */
static const struct conf_row discovery_rows[] = {
	{ .key = "pluginRef", .decode = decode_name,
	  .offset = DATA(discovery), .help = "a plugin's name" },
	{ .key = "endpoints", .decode = conf_section,
	  .table = &optional_plugin_table, .offset = DATA(discovery),
	  .help = "{pluginRef: file-discovery}" },
	{ .key = "peers", .decode = conf_section,
	  .table = &optional_plugin_table, .offset = DATA(peers),
	  .help = "of other pickers" },
};

static const struct conf_table discovery_table = {
	.what = "discovery", .rows = discovery_rows,
	.n_rows = sizeof(discovery_rows) / sizeof(*discovery_rows),
};

static const struct conf_row replica_rows[] = {
	{ .key = "syncerPluginRef", .decode = decode_name,
	  .offset = DATA(syncer), .help = "between pickers" },
	{ .key = "syncInterval", .decode = decode_any_time,
	  .help = "between pickers" },
	{ .key = "publishTimeout", .decode = decode_any_time,
	  .help = "between pickers" },
};

static const struct conf_table replica_table = {
	.what = "crossReplica", .rows = replica_rows,
	.n_rows = sizeof(replica_rows) / sizeof(*replica_rows),
};

static const struct conf_row data_rows[] = {
	{ .key = "injectDefaults", .decode = conf_bool, .preset = "true",
	  .offset = DATA(injects_defaults),
	  .help = "false: no metrics but of the sources listed" },
	{ .key = "sources", .decode = conf_list, .table = &source_table,
	  .max = REFS_MAX, .offset = DATA(sources),
	  .offset_n = DATA(n_sources), .help = "of metrics" },
	{ .key = "discovery", .decode = conf_section,
	  .table = &discovery_table, .help = "of endpoints" },
	{ .key = "peerDiscovery", .decode = conf_section,
	  .table = &optional_plugin_table, .offset = DATA(old_peers),
	  .help = "of other pickers" },
	{ .key = "crossReplicaSyncerPluginRef", .decode = decode_name,
	  .offset = DATA(old_syncer), .help = "between pickers" },
	{ .key = "crossReplicaSyncInterval", .decode = decode_any_time,
	  .help = "between pickers" },
	{ .key = "crossReplicaPublishTimeout", .decode = decode_any_time,
	  .help = "between pickers" },
	{ .key = "crossReplica", .decode = conf_section,
	  .table = &replica_table, .help = "between pickers" },
};

static const struct conf_table data_table = {
	.what = "dataLayer", .rows = data_rows,
	.n_rows = sizeof(data_rows) / sizeof(*data_rows),
};

/* ---- flow control ---- */

#define BAND(field) offsetof(struct band_document, field)
#define BAND_ROWS                                                         \
	{ .key = "maxRequests", .decode = decode_quantity,                \
	  .offset = BAND(max_requests), .help = "that may wait" },        \
	{ .key = "maxBytes", .decode = decode_quantity,                   \
	  .offset = BAND(max_bytes), .help = "of their bodies" },         \
	{ .key = "defaultRequestTTL", .decode = conf_duration,            \
	  .offset = BAND(ttl_ms), .help = "to wait" },                    \
	{ .key = "fairnessPolicyRef", .decode = decode_name,              \
	  .offset = BAND(fairness), .help = "a plugin's name" },          \
	{ .key = "orderingPolicyRef", .decode = decode_name,              \
	  .offset = BAND(ordering), .help = "a plugin's name" }

static const struct conf_row band_rows[] = {
	{ .key = "priority", .decode = conf_i32, .preset = "0",
	  .offset = BAND(priority), .help = "of the requests it is for" },
	BAND_ROWS,
};

/* llm-d: 0s is no limit at all. HAProxy has one in any case, and we: an hour. */
static int64_t limited(int64_t ttl_ms, bool *is_capped)
{
	if (ttl_ms > 0 && ttl_ms <= HOUR_MS)
		return ttl_ms;
	*is_capped = true;
	return HOUR_MS;
}

static int check_band(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct band_document *b = out;

	(void)in;
	b->line = map->line;
	if (conf_is_given(conf_child(map, "defaultRequestTTL")))
		b->ttl_ms = limited(b->ttl_ms, &b->is_capped);
	return 0;
}

static const struct conf_table band_table = {
	.what = "a priority band", .size = sizeof(struct band_document),
	.rows = band_rows, .n_rows = sizeof(band_rows) / sizeof(*band_rows),
	.check = check_band,
};

#define FLOW(field) offsetof(struct flow_document, field)

static const struct conf_row flow_rows[] = {
	{ .key = "maxRequests", .decode = decode_quantity,
	  .offset = FLOW(max_requests), .help = "of all bands" },
	{ .key = "maxBytes", .decode = decode_quantity,
	  .offset = FLOW(max_bytes), .help = "of all bands" },
	{ .key = "defaultRequestTTL", .decode = conf_duration, .preset = "60s",
	  .offset = FLOW(ttl_ms), .help = "to wait" },
	{ .key = "noEndpointRequestTTL", .decode = conf_duration,
	  .offset = FLOW(empty_ttl_ms), .help = "to wait" },
	{ .key = "priorityBands", .decode = conf_list, .table = &band_table,
	  .max = BANDS_MAX, .offset = FLOW(bands),
	  .offset_n = FLOW(n_bands), .help = "of priorities" },
	{ .key = "defaultPriorityBand", .decode = conf_section, .preset = "{}",
	  .table = &band_table, .offset = FLOW(default_band),
	  .help = "of others" },
	{ .key = "defaultNegativePriorityBand", .decode = conf_section,
	  .table = &band_table, .offset = FLOW(default_negative_band),
	  .help = "of negative ones" },
	{ .key = "usageLimitPolicyPluginRef", .decode = decode_name,
	  .offset = FLOW(usage_limit), .help = "static-usage-limit-policy" },
	{ .key = "saturationDetector", .decode = conf_section,
	  .table = &optional_plugin_table, .offset = FLOW(detector),
	  .help = "{pluginRef: utilization-detector}" },
	{ .key = "enableEviction", .decode = decode_eviction,
	  .help = "false" },
	{ .key = "endpointGatePluginRef", .decode = decode_gate,
	  .help = "none" },
};

static bool is_any_capped(const struct flow_document *f)
{
	bool is = f->is_capped | f->default_band.is_capped |
	    f->default_negative_band.is_capped;

	for (size_t i = 0; i < f->n_bands; i++)
		is |= f->bands[i].is_capped;
	return is;
}

static int check_flow(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct flow_document *f = out;

	(void)in;
	if (!conf_is_given(conf_child(map, "noEndpointRequestTTL")))
		f->empty_ttl_ms = f->ttl_ms;
	if (!conf_is_given(conf_child(map, "defaultNegativePriorityBand")))
		f->default_negative_band = f->default_band;
	f->ttl_ms = limited(f->ttl_ms, &f->is_capped);
	f->empty_ttl_ms = limited(f->empty_ttl_ms, &f->is_capped);
	f->is_capped = is_any_capped(f);
	for (const struct conf *c = map->children; c != NULL; c = c->next)
		f->has_settings |= strcmp(c->key, "saturationDetector") != 0;
	return 0;
}

static const struct conf_table flow_table = {
	.what = "flowControl", .rows = flow_rows,
	.n_rows = sizeof(flow_rows) / sizeof(*flow_rows), .check = check_flow,
};

/* ---- the document ---- */

static const char *const api_versions[] = {
	[PICKER_V1ALPHA1] = "llm-d.ai/v1alpha1", [PICKER_V1] = "llm-d.ai/v1",
	[PICKER_LEGACY] = "inference.networking.x-k8s.io/v1alpha1",
	[PICKER_LEGACY + 1] = NULL,
};

static const char *const kinds[] = { "EndpointPickerConfig", NULL };

static const struct conf_row document_rows[] = {
	{ .key = "apiVersion", .decode = conf_enum, .required = true,
	  .names = api_versions,
	  .offset = offsetof(struct document, api_version),
	  .help = "llm-d.ai/v1alpha1, or v1" },
	{ .key = "kind", .decode = conf_enum, .required = true, .names = kinds,
	  .offset = offsetof(struct document, kind),
	  .help = "EndpointPickerConfig" },
	{ .key = "featureGates", .decode = conf_list, .table = &gate_table,
	  .max = GATES_MAX, .offset = offsetof(struct document, gates),
	  .offset_n = offsetof(struct document, n_gates),
	  .help = "flowControl, haPopulateNonLeaderDatastore" },
	{ .key = "plugins", .decode = conf_list, .table = &entry_table,
	  .max = PLUGINS_MAX, .offset = offsetof(struct document, entries),
	  .offset_n = offsetof(struct document, n_entries),
	  .help = "each with a type, a name and parameters" },
	{ .key = "schedulingProfiles", .decode = conf_list,
	  .table = &profile_table, .max = PROFILES_MAX,
	  .offset = offsetof(struct document, profiles),
	  .offset_n = offsetof(struct document, n_profiles),
	  .help = "which plugins decide" },
	{ .key = "requestHandler", .decode = conf_section,
	  .table = &handler_table, .help = "parsers" },
	{ .key = "parser", .decode = conf_section,
	  .table = &optional_plugin_table,
	  .offset = offsetof(struct document, parser), .help = "deprecated" },
	{ .key = "dataLayer", .decode = conf_section, .table = &data_table,
	  .preset = "{}", .help = "where metrics come from" },
	{ .key = "flowControl", .decode = conf_section, .table = &flow_table,
	  .preset = "{}", .offset = offsetof(struct document, flow),
	  .help = "limits and policies of who waits" },
	{ .key = "saturationDetector", .decode = conf_section,
	  .table = &optional_plugin_table,
	  .offset = offsetof(struct document, detector),
	  .help = "deprecated: flowControl.saturationDetector" },
};

const struct conf_table document_table = {
	.what = "an EndpointPickerConfig", .size = sizeof(struct document),
	.rows = document_rows,
	.n_rows = sizeof(document_rows) / sizeof(*document_rows),
	.check = picker_config_check_version,
};
