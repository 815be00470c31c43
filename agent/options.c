/*
 * options.c - agent.yaml as a whole: top rows, engines, and what spans sections
 *
 * The tree is thrown away once it is decoded; what stays is one arena.
 */
#include "options.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "arena.h"
#include "engine.h"
#include "fault.h"
#include "options_rows.h"
#include "picker_config.h"
#include "yaml.h"

enum {
	ARENA_FIRST_BYTES = 16 << 10,
	ARENA_MAX_BYTES = 64 << 20,
	LISTENS_MAX = 64,
	POOLS_MAX = 1024,
	ENGINES_MAX = 64,
};

/*
 * What engine_make() makes of the rows is thrown away here: this is only to
 * tell a bad selector while its line is known.
 */
static int check_own_engine(const struct conf_input *in,
    const struct conf *map, void *out)
{
	const struct engine_options *own = out;
	struct fault why = { 0 };

	if (engine_find(own->name) != NULL) {
		fault_setf(in->why, in->file, map->line,
		    "engine %.64s, which is built in", own->name);
		fault_want(in->why, "another name");
		return -EINVAL;
	}
	if (engine_make(own, in->arena, &why) != NULL)
		return 0;
	fault_set(in->why, in->file, map->line, why.found, why.want);
	return -EINVAL;
}

static const char *const folds[] = {
	[FOLD_SUM] = "sum", [FOLD_MEAN] = "mean", [FOLD_MAX] = "max", NULL,
};

static const struct conf_row custom_rows[] = {
	{ .key = "attributeKey", .decode = conf_string, .required = true,
	  .offset = offsetof(struct custom_metric_options, key),
	  .help = "what plugins call it" },
	{ .key = "metricSpec", .decode = conf_string, .required = true,
	  .offset = offsetof(struct custom_metric_options, spec),
	  .help = "the metric, as name{label=\"x\"}" },
	{ .key = "fold", .decode = conf_enum, .preset = "mean", .names = folds,
	  .offset = offsetof(struct custom_metric_options, fold),
	  .help = "what several series make: sum, mean or max" },
};

static const struct conf_table custom_table = {
	.what = "a custom metric",
	.size = sizeof(struct custom_metric_options),
	.rows = custom_rows,
	.n_rows = sizeof(custom_rows) / sizeof(*custom_rows),
};

static const struct conf_row engine_rows[] = {
	{ .key = "name", .decode = decode_identifier, .required = true,
	  .offset = offsetof(struct engine_options, name),
	  .help = "for `engine:` of pools and endpoints" },
	{ .key = "extends", .decode = conf_string,
	  .offset = offsetof(struct engine_options, extends),
	  .help = "a built-in engine, for what is not given" },
	{ .key = "queuedRequestsSpec", .decode = conf_string,
	  .offset = offsetof(struct engine_options, queued_spec),
	  .help = "metric of requests waiting, as name{label=\"x\"}" },
	{ .key = "runningRequestsSpec", .decode = conf_string,
	  .offset = offsetof(struct engine_options, running_spec),
	  .help = "metric of requests running" },
	{ .key = "kvUsageSpec", .decode = conf_string,
	  .offset = offsetof(struct engine_options, kv_spec),
	  .help = "metric of the KV cache's share in use, 0 to 1" },
	{ .key = "cacheInfoSpec", .decode = conf_string,
	  .offset = offsetof(struct engine_options, cache_info_spec),
	  .help = "metric whose labels tell the cache's size" },
	{ .key = "cacheBlockSizeLabelName", .decode = conf_string,
	  .offset = offsetof(struct engine_options, block_size_label),
	  .help = "the label of tokens in a block" },
	{ .key = "cacheNumBlocksLabelName", .decode = conf_string,
	  .offset = offsetof(struct engine_options, n_blocks_label),
	  .help = "the label of the number of blocks" },
	{ .key = "loraSpec", .decode = conf_string,
	  .offset = offsetof(struct engine_options, lora_spec),
	  .help = "metric whose labels tell adapters, as vLLM's" },
	{ .key = "customMetrics", .decode = conf_list, .table = &custom_table,
	  .max = ATTRIBUTES_MAX, .offset = offsetof(struct engine_options, custom),
	  .offset_n = offsetof(struct engine_options, n_custom),
	  .help = "numbers for endpoint-attribute-filter and -scorer" },
};

static const struct conf_table engine_table = {
	.what = "an engine",
	.size = sizeof(struct engine_options),
	.rows = engine_rows,
	.n_rows = sizeof(engine_rows) / sizeof(*engine_rows),
	.check = check_own_engine,
};

static const char *const log_levels[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug", NULL,
};

static const struct conf_row log_rows[] = {
	{ .key = "level", .decode = conf_enum, .preset = "info",
	  .names = log_levels, .offset = offsetof(struct options, log_level),
	  .help = "error, warn, info or debug" },
};

static const struct conf_table log_table = {
	.what = "log",
	.rows = log_rows,
	.n_rows = sizeof(log_rows) / sizeof(*log_rows),
};

static const struct conf_row options_rows[] = {
	{ .key = "listen", .decode = conf_list, .preset = "127.0.0.1:9002",
	  .table = &listen_table, .min = 1, .max = LISTENS_MAX,
	  .offset = offsetof(struct options, listens),
	  .offset_n = offsetof(struct options, n_listens),
	  .help = "where HAProxy connects to; also unix:/path,mode=0660" },
	{ .key = "threads", .decode = conf_u32, .preset = "0",
	  .max = THREADS_MAX, .offset = offsetof(struct options, threads),
	  .help = "0: as many as there are cores" },
	{ .key = "log", .decode = conf_section, .preset = "{}",
	  .table = &log_table, .help = "what is told on stderr" },
	{ .key = "feedback", .decode = conf_section, .table = &feedback_table,
	  .offset = offsetof(struct options, feedback),
	  .help = "HAProxy's log lines, which tell how requests ended" },
	{ .key = "engines", .decode = conf_list, .table = &engine_table,
	  .max = ENGINES_MAX, .offset = offsetof(struct options, engines),
	  .offset_n = offsetof(struct options, n_engines),
	  .help = "metric names of model servers that are not built in" },
	{ .key = "pools", .decode = conf_list, .required = true,
	  .table = &pool_table, .min = 1, .max = POOLS_MAX,
	  .offset = offsetof(struct options, pools),
	  .offset_n = offsetof(struct options, n_pools),
	  .help = "what HAProxy may ask about, one a backend" },
};

static bool is_engine(const char *name, const struct engine_options *engines,
    size_t n_engines)
{
	for (size_t i = 0; i < n_engines; i++)
		if (strcmp(engines[i].name, name) == 0)
			return true;
	return engine_find(name) != NULL;
}

static void want_engine(struct fault *why, const char *name,
    const struct engine_options *engines, size_t n_engines)
{
	const char *names[2 * ENGINES_MAX];
	const struct engine *built_in;
	size_t n = 0;

	for (size_t i = 0; n < ENGINES_MAX; i++) {
		built_in = engine_at(i);
		if (built_in == NULL)
			break;
		names[n++] = built_in->name;
	}
	for (size_t i = 0; i < n_engines; i++)
		names[n++] = engines[i].name;
	conf_want_name(why, name, names, n);
}

int check_engine(const struct conf_input *in, const struct conf *map,
    const struct engine_options *engines, size_t n_engines)
{
	static const struct conf_row row = { .key = "engine" };
	const struct conf *engine = conf_child(map, "engine");

	if (!conf_is_given(engine) ||
	    is_engine(engine->text, engines, n_engines))
		return 0;
	conf_refuse(in, &row, engine, "%s", "");
	want_engine(in->why, engine->text, engines, n_engines);
	return -EINVAL;
}

/* The same for `defaultEngine` of the pool's EndpointPickerConfig. */
static int check_scheduled_engine(const struct conf_input *in,
    const struct picker_config *c, const struct options *o)
{
	if (c == NULL || c->engine == NULL ||
	    is_engine(c->engine, o->engines, o->n_engines))
		return 0;
	fault_setf(in->why, c->file, c->engine_line, "defaultEngine: %.64s",
	    c->engine);
	want_engine(in->why, c->engine, o->engines, o->n_engines);
	return -EINVAL;
}

int check_endpoint_engines(const struct conf_input *in, const struct conf *map,
    const struct engine_options *engines, size_t n_engines)
{
	const struct conf *list = conf_child(map, "endpoints");

	if (!conf_is_given(list))
		return 0;
	for (const struct conf *c = list->children; c != NULL; c = c->next) {
		int err = check_engine(in, c, engines, n_engines);

		if (err != 0)
			return err;
	}
	return 0;
}

/* Without it nothing is ever in flight for long, so that nothing would be full. */
static int check_feedback(const struct conf_input *in, const struct conf *map,
    const struct options *o, const struct pool_options *pool)
{
	if (pool->saturation.detector != DETECTOR_CONCURRENCY ||
	    o->feedback.n_listens > 0)
		return 0;
	fault_setf(in->why, in->file, map->line,
	    "pool %.64s with the concurrency-detector and no feedback",
	    pool->name);
	fault_want(in->why, "feedback: {listen: [127.0.0.1:9003]}, and a ring in "
	    "haproxy.cfg");
	return -EINVAL;
}

static _Atomic uint64_t loads = 1;

/* Pools may name engines that stand further down, hence at the end. */
static int check_options(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct options *o = out;
	struct pool_options *pools = (struct pool_options *)o->pools;
	const struct conf *list = conf_child(map, "pools");
	const struct conf *engines = conf_child(map, "engines");
	const struct conf *pool = list->children;
	uint64_t number = atomic_fetch_add(&loads, 1);
	int err = check_unique_names(in, list, "pool");

	if (err == 0 && conf_is_given(engines))
		err = check_unique_names(in, engines, "engine");
	for (size_t i = 0; i < o->n_pools && err == 0; i++, pool = pool->next) {
		pools[i].owner = o;
		pools[i].number = number;
		pools[i].engines = o->engines;
		pools[i].n_engines = o->n_engines;
		err = check_engine(in, pool, o->engines, o->n_engines);
		if (err == 0)
			err = check_endpoint_engines(in, pool, o->engines,
			    o->n_engines);
		if (err == 0)
			err = check_scheduled_engine(in, pools[i].scheduling,
			    o);
		if (err == 0)
			err = check_feedback(in, pool, o, &pools[i]);
	}
	return err;
}

static const struct conf_table options_table = {
	.what = "this file",
	.rows = options_rows,
	.n_rows = sizeof(options_rows) / sizeof(*options_rows),
	.check = check_options,
};

static struct options *options_new(const char *file, struct fault *why)
{
	struct arena *arena = arena_new(ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
	struct options *o = arena != NULL ? arena_zalloc(arena, sizeof(*o)) :
	    NULL;

	if (o != NULL) {
		o->arena = arena;
		o->refs = 1;
		o->file = arena_copy(arena, file, strlen(file));
		if (o->file != NULL)
			return o;
	}
	fault_set(why, file, 0, "no memory", NULL);
	arena_free(arena);
	return NULL;
}

/* `text` NULL: what the file says. */
static struct options *read_options(const char *file, const struct span *text,
    struct fault *why)
{
	struct arena *tree = arena_new(ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
	struct options *o = options_new(file, why);
	const struct conf *root = NULL;

	if (tree != NULL && o != NULL)
		root = text != NULL ?
		    yaml_parse(file, *text, &yaml_limits_default, tree, why) :
		    yaml_load(file, &yaml_limits_default, tree, why);
	if (root != NULL) {
		const struct conf_input in = { file, o->arena, why };

		conf_decode(&in, &options_table, root, o);
	}
	if (tree == NULL)
		fault_set(why, file, 0, "no memory", NULL);
	arena_free(tree);
	if (!why->is_set)
		return o;
	options_free(o);
	return NULL;
}

struct options *options_load(const char *file, struct fault *why)
{
	return read_options(file, NULL, why);
}

struct options *options_parse(const char *file, struct span text,
    struct fault *why)
{
	return read_options(file, &text, why);
}

const struct options *options_ref(const struct options *o)
{
	((struct options *)o)->refs++;
	return o;
}

void options_free(struct options *o)
{
	if (o != NULL && --o->refs == 0)
		arena_free(o->arena);
}

void options_print_help(FILE *out)
{
	conf_print_help(out, &options_table);
}
