/*
 * options_pools.c - rows of one pool: its source, its metrics, its scheduling
 */
#include "options_rows.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "fault.h"
#include "model_name.h"
#include "picker_config.h"
#include "presets.h"
#include "yaml.h"

enum {
	MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS,
	TREE_FIRST_BYTES = 16 << 10, TREE_MAX_BYTES = 16 << 20,
};

int decode_scheme(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	int https = 0;
	int err = conf_enum(in, row, value, &https);

	*(bool *)out = https != 0;
	return err;
}

int decode_url_path(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	const char **path = out;
	int err = conf_string(in, row, value, path);

	if (err != 0)
		return err;
	for (const char *c = *path; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || *c == '#' || **path != '/')
			return conf_refuse(in, row, value,
			    "a path such as /metrics, in printable ASCII");
	return 0;
}

static int check_scrape(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct scrape_options *s = out;

	if (s->stale_ms >= s->interval_ms)
		return 0;
	fault_set(in->why, in->file, map->line,
	    "metrics with staleAfter below interval",
	    "staleAfter of several intervals");
	return -EINVAL;
}

static const char *const schemes[] = { "http", "https", NULL };

static const struct conf_row scrape_rows[] = {
	{ .key = "enabled", .decode = conf_bool, .preset = "true",
	  .offset = offsetof(struct scrape_options, enabled),
	  .help = "false: endpoints are not asked" },
	{ .key = "scheme", .decode = decode_scheme, .preset = "http",
	  .names = schemes, .offset = offsetof(struct scrape_options, https),
	  .help = "http or https" },
	{ .key = "path", .decode = decode_url_path, .preset = "/metrics",
	  .offset = offsetof(struct scrape_options, path),
	  .help = "of the metrics page" },
	{ .key = "port", .decode = conf_u16, .preset = "0",
	  .offset = offsetof(struct scrape_options, port),
	  .help = "0: the endpoint's own" },
	{ .key = "interval", .decode = conf_duration, .preset = "50ms",
	  .min = 10, .max = HOUR_MS,
	  .offset = offsetof(struct scrape_options, interval_ms),
	  .help = "between two fetches" },
	{ .key = "timeout", .decode = conf_duration, .preset = "1s",
	  .min = 1, .max = MINUTE_MS,
	  .offset = offsetof(struct scrape_options, timeout_ms),
	  .help = "of one whole fetch" },
	{ .key = "staleAfter", .decode = conf_duration, .preset = "2s",
	  .min = 10, .max = HOUR_MS,
	  .offset = offsetof(struct scrape_options, stale_ms),
	  .help = "numbers older than this are not believed" },
	{ .key = "maxBytes", .decode = conf_size, .preset = "4MiB",
	  .min = 1 << 10, .max = 256 << 20,
	  .offset = offsetof(struct scrape_options, max_bytes),
	  .help = "of one page" },
	{ .key = "insecureSkipVerify", .decode = conf_bool, .preset = "false",
	  .offset = offsetof(struct scrape_options, insecure_skip_verify),
	  .help = "https: any certificate will do" },
	{ .key = "caCertPath", .decode = conf_string,
	  .offset = offsetof(struct scrape_options, ca_file),
	  .help = "https: PEM file; not given: the system's" },
};

static const struct conf_table scrape_table = {
	.what = "metrics",
	.rows = scrape_rows,
	.n_rows = sizeof(scrape_rows) / sizeof(*scrape_rows),
	.check = check_scrape,
};

static const struct conf_row haproxy_rows[] = {
	{ .key = "socket", .decode = decode_stats_socket, .required = true,
	  .offset = offsetof(struct pool_options, haproxy_socket),
	  .help = "its stats socket: a path or 127.0.0.1:9999" },
	{ .key = "backend", .decode = decode_identifier,
	  .offset = offsetof(struct pool_options, haproxy_backend),
	  .help = "if not named like the pool" },
	{ .key = "interval", .decode = conf_duration, .preset = "1s",
	  .min = 100, .max = HOUR_MS,
	  .offset = offsetof(struct pool_options, haproxy_interval_ms),
	  .help = "between two looks" },
};

static const struct conf_table haproxy_table = {
	.what = "haproxy",
	.rows = haproxy_rows,
	.n_rows = sizeof(haproxy_rows) / sizeof(*haproxy_rows),
};

static const struct conf *load_scheduling(const struct conf_input *in,
    const char *named, struct arena *tree)
{
	const struct preset *preset = preset_find(named);

	if (preset == NULL)
		return yaml_load(named, &yaml_limits_default, tree, in->why);
	return yaml_parse(named, span_of(preset->text), &yaml_limits_default,
	    tree, in->why);
}

/* A preset, a path, or the document itself. */
static int decode_scheduling(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	struct arena *tree;
	const struct conf *root;
	int err = -EINVAL;

	if (value->type == CONF_MAP)
		return picker_config_decode(in, value, out);
	if (value->type != CONF_SCALAR || (value->text[0] != '/' &&
	    preset_find(value->text) == NULL))
		return conf_refuse(in, row, value, "default, sticky, fastest, an "
		    "EndpointPickerConfig, or the absolute path of one");
	tree = arena_new(TREE_FIRST_BYTES, TREE_MAX_BYTES);
	if (tree == NULL)
		return conf_no_memory(in);
	root = load_scheduling(in, value->text, tree);
	if (root != NULL) {
		const struct conf_input file = { value->text, in->arena,
			in->why };

		err = picker_config_decode(&file, root, out);
	}
	arena_free(tree);
	return err;
}

/* The document's interval comes after the pool's own check. */
static int check_interval(const struct conf_input *in, const struct conf *map,
    const struct pool_options *pool)
{
	if (pool->scrape.stale_ms >= pool->scrape.interval_ms)
		return 0;
	fault_set(in->why, in->file, conf_child(map, "scheduling")->line,
	    "an EndpointPickerConfig whose interval is above staleAfter",
	    "metrics: {staleAfter: ...} of several intervals");
	return -EINVAL;
}

/* What stands in both could contradict. */
static int check_scheduling(const struct conf_input *in,
    const struct conf *map, struct pool_options *pool)
{
	const struct picker_config *c = pool->scheduling;
	const struct conf *both = c != NULL ? picker_config_overlap(c, map) :
	    NULL;

	if (both != NULL) {
		fault_setf(in->why, in->file, both->line, "%s, which the "
		    "EndpointPickerConfig says too", both->key);
		fault_want(in->why, "one of them");
		return -EINVAL;
	}
	if (c == NULL)
		return 0;
	picker_config_apply(c, pool);
	return check_interval(in, map, pool);
}

static int check_parts(const struct conf_input *in, const struct conf *map,
    struct pool_options *pool)
{
	int err = check_scheduling(in, map, pool);

	if (err == 0)	/* either may be the document's */
		err = check_tokenizer(in, conf_child(map, "prefix"),
		    &pool->prefix);
	if (err == 0)
		err = check_admission(in, map, pool);
	return err == 0 ? index_rewrites(in, map, pool) : err;
}

static int check_pool(const struct conf_input *in, const struct conf *map,
    void *out)
{
	static const struct {
		const char *key;
		enum pool_source source;
	} sources[] = {
		{ "endpoints", SOURCE_STATIC },
		{ "file", SOURCE_FILE },
		{ "haproxy", SOURCE_HAPROXY },
	};
	struct pool_options *pool = out;
	size_t n = 0;

	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		if (conf_is_given(conf_child(map, sources[i].key))) {
			pool->source = sources[i].source;
			n++;
		}
	if (pool->haproxy_backend == NULL)
		pool->haproxy_backend = pool->name;
	if (n == 1)
		return check_parts(in, map, pool);
	fault_setf(in->why, in->file, map->line, "pool %.64s with %s",
	    pool->name, n == 0 ? "no endpoints" : "more than one source");
	fault_want(in->why, "one of: endpoints, file, haproxy");
	return -EINVAL;
}

static const struct conf_row pool_rows[] = {
	{ .key = "name", .decode = decode_identifier, .required = true,
	  .offset = offsetof(struct pool_options, name),
	  .help = "the name of HAProxy's backend" },
	{ .key = "engine", .decode = conf_string, .preset = "vllm",
	  .offset = offsetof(struct pool_options, engine),
	  .help = "whose metric names the endpoints speak" },
	{ .key = "endpoints", .decode = decode_endpoints,
	  .table = &endpoint_table, .min = 1, .max = POOL_ENDPOINTS_MAX,
	  .offset = offsetof(struct pool_options, endpoints),
	  .offset_n = offsetof(struct pool_options, n_endpoints),
	  .help = "listed here; or:" },
	{ .key = "file", .decode = conf_string,
	  .offset = offsetof(struct pool_options, file),
	  .help = "a file with `endpoints:`, watched; or:" },
	{ .key = "haproxy", .decode = conf_section, .table = &haproxy_table,
	  .help = "servers of the backend, from HAProxy itself" },
	{ .key = "metrics", .decode = conf_section, .table = &scrape_table,
	  .preset = "{}", .offset = offsetof(struct pool_options, scrape),
	  .help = "how endpoints are asked for their load" },
	{ .key = "prefix", .decode = conf_section, .table = &prefix_table,
	  .preset = "{}", .offset = offsetof(struct pool_options, prefix),
	  .help = "which endpoint has seen which prompt" },
	{ .key = "scheduling", .decode = decode_scheduling,
	  .offset = offsetof(struct pool_options, scheduling),
	  .help = "default, sticky, fastest, or an EndpointPickerConfig of "
	      "llm-d: in place, or its path" },
	{ .key = "failureMode", .decode = conf_enum, .preset = "FailOpen",
	  .names = failure_modes,
	  .offset = offsetof(struct pool_options, failure_mode),
	  .help = "FailOpen or FailClose: what the agent cannot schedule" },
	{ .key = "outlierDetection", .decode = conf_section,
	  .table = &outlier_table, .preset = "{}",
	  .offset = offsetof(struct pool_options, outlier),
	  .help = "endpoints that fail are left out for a while" },
	{ .key = "saturation", .decode = conf_section,
	  .table = &saturation_table, .preset = "{}",
	  .offset = offsetof(struct pool_options, saturation),
	  .help = "when the pool is full" },
	{ .key = "objectives", .decode = conf_list, .table = &objective_table,
	  .max = 4096, .offset = offsetof(struct pool_options, objectives),
	  .offset_n = offsetof(struct pool_options, n_objectives),
	  .help = "priorities, by header x-llm-d-inference-objective" },
	{ .key = "flowControl", .decode = conf_section, .table = &flow_table,
	  .preset = "{}", .offset = offsetof(struct pool_options, flow),
	  .help = "requests wait here while the pool is full" },
	{ .key = "modelRewrites", .decode = conf_list,
	  .table = &model_rule_table, .max = MODEL_RULES_MAX,
	  .offset = offsetof(struct pool_options, rules),
	  .offset_n = offsetof(struct pool_options, n_rules),
	  .help = "rules, the oldest first; needs the Lua filter in HAProxy" },
};

const struct conf_table pool_table = {
	.what = "a pool",
	.size = sizeof(struct pool_options),
	.rows = pool_rows,
	.n_rows = sizeof(pool_rows) / sizeof(*pool_rows),
	.check = check_pool,
};
