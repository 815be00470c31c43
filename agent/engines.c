/*
 * engines.c - the one table of engines, and engines made from the configuration
 */
#include "engine.h"

#include <string.h>

#include "arena.h"
#include "engine_rows.h"
#include "fault.h"
#include "options.h"

static const struct engine *const engines[] = {
	&engine_vllm,
	&engine_sglang,
	&engine_trtllm_serve,
	&engine_triton_tensorrt_llm,
	&engine_tgi,
};

const struct engine *engine_at(size_t i)
{
	return i < sizeof(engines) / sizeof(*engines) ? engines[i] : NULL;
}

const struct engine *engine_find(const char *name)
{
	const struct engine *e;

	for (size_t i = 0; (e = engine_at(i)) != NULL; i++)
		if (strcmp(e->name, name) == 0)
			return e;
	return NULL;
}

static int add_row(struct engine_row *rows, size_t *n, enum engine_role role,
    enum engine_fold fold, const char *spec, struct arena *arena,
    struct fault *why)
{
	struct engine_row *row = &rows[*n];
	int ret;

	if (spec == NULL)
		return 0;
	row->role = role;
	row->fold = fold;
	ret = prom_selector_parse(&row->selector, spec, arena, why);
	if (ret == 0)
		(*n)++;
	return ret;
}

static int add_rows(struct engine_row *rows, size_t *n,
    const struct engine_options *o, struct arena *arena, struct fault *why)
{
	const struct {
		enum engine_role role;
		enum engine_fold fold;
		const char *spec;
	} specs[] = {
		{ ENGINE_QUEUED, FOLD_SUM, o->queued_spec },
		{ ENGINE_RUNNING, FOLD_SUM, o->running_spec },
		{ ENGINE_KV_USED, FOLD_MEAN, o->kv_spec },
		{ ENGINE_CACHE_INFO, FOLD_SUM, o->cache_info_spec },
	};
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(specs) / sizeof(*specs); i++)
		ret = add_row(rows, n, specs[i].role, specs[i].fold,
		    specs[i].spec, arena, why);
	return ret;
}

static const char *copy_or(struct arena *arena, const char *text,
    const char *otherwise)
{
	return text != NULL ? arena_copy(arena, text, strlen(text)) : otherwise;
}

const struct engine *engine_make(const struct engine_options *options,
    struct arena *arena, struct fault *why)
{
	struct engine_row *rows = arena_zalloc(arena,
	    ENGINE_ROWS_MAX * sizeof(*rows));
	struct engine *e = arena_zalloc(arena, sizeof(*e));

	if (rows == NULL || e == NULL)
		goto no_memory;
	e->rows = rows;
	e->name = copy_or(arena, options->name, NULL);
	e->block_size_label = copy_or(arena, options->block_size_label,
	    "block_size");
	e->n_blocks_label = copy_or(arena, options->n_blocks_label,
	    "num_gpu_blocks");
	if (e->name == NULL || e->block_size_label == NULL ||
	    e->n_blocks_label == NULL)
		goto no_memory;
	if (add_rows(rows, &e->n_rows, options, arena, why) != 0) {
		if (!why->is_set)
			goto no_memory;
		return NULL;
	}
	if (options->queued_spec == NULL && options->running_spec == NULL &&
	    options->kv_spec == NULL) {
		fault_setf(why, NULL, 0, "engine %s names no metric", e->name);
		fault_want(why, "at least one of the queued, running and KV "
		    "usage specs");
		return NULL;
	}
	return e;

no_memory:
	fault_set(why, NULL, 0, "no memory for an engine", NULL);
	return NULL;
}
