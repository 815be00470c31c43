/*
 * options_file.c - an endpoints file: `endpoints:` and nothing else
 */
#include <errno.h>

#include "arena.h"
#include "fault.h"
#include "options_rows.h"
#include "yaml.h"

/* POOL_ENDPOINTS_MAX rows of a few keys each. */
static const struct yaml_limits endpoints_limits = {
	.max_bytes = 16 << 20,
	.max_nodes = 1000000,
};

struct endpoints_file {
	const struct endpoint_options *endpoints;
	size_t n;
};

static const struct conf_row file_rows[] = {
	{ .key = "endpoints", .decode = decode_endpoints, .required = true,
	  .table = &endpoint_table, .max = POOL_ENDPOINTS_MAX,
	  .offset = offsetof(struct endpoints_file, endpoints),
	  .offset_n = offsetof(struct endpoints_file, n),
	  .help = "a list of endpoints, [] for none" },
};

static const struct conf_table file_table = {
	.what = "an endpoints file",
	.rows = file_rows,
	.n_rows = sizeof(file_rows) / sizeof(*file_rows),
};

static int decode_file(const struct conf_input *in, const struct conf *root,
    const struct pool_options *pool, const struct endpoint_options **out,
    size_t *n_out)
{
	struct endpoints_file file = { 0 };
	int err = conf_decode(in, &file_table, root, &file);

	if (err == 0)
		err = check_endpoint_engines(in, root, pool->engines,
		    pool->n_engines);
	if (err != 0)
		return err;
	*out = file.endpoints;
	*n_out = file.n;
	return 0;
}

/* `text` NULL: what the file says. */
static int read_endpoints(const char *file, const struct span *text,
    const struct pool_options *pool, struct arena *arena,
    const struct endpoint_options **out, size_t *n_out, struct fault *why)
{
	const struct conf_input in = { file, arena, why };
	struct arena *tree = arena_new(64 << 10, 160 << 20);
	const struct conf *root;
	int err = -EINVAL;

	if (tree == NULL)
		return conf_no_memory(&in);
	root = text != NULL ?
	    yaml_parse(file, *text, &endpoints_limits, tree, why) :
	    yaml_load(file, &endpoints_limits, tree, why);
	if (root != NULL)
		err = decode_file(&in, root, pool, out, n_out);
	arena_free(tree);
	return err;
}

int options_load_endpoints(const char *file, const struct pool_options *pool,
    struct arena *arena, const struct endpoint_options **out, size_t *n_out,
    struct fault *why)
{
	return read_endpoints(file, NULL, pool, arena, out, n_out, why);
}

int options_parse_endpoints(const char *file, struct span text,
    const struct pool_options *pool, struct arena *arena,
    const struct endpoint_options **out, size_t *n_out, struct fault *why)
{
	return read_endpoints(file, &text, pool, arena, out, n_out, why);
}
