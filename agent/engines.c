/*
 * engines.c - the one table of engines, and engines made from the configuration
 */
#include "engine.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "conf.h"
#include "engine_rows.h"
#include "fault.h"
#include "must.h"
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

static const char *copy_or(struct arena *arena, const char *text,
    const char *otherwise)
{
	return text != NULL ? arena_copy(arena, text, strlen(text)) : otherwise;
}

/* An engine that is being made: its rows are not const yet. */
struct making {
	struct engine *engine;
	struct engine_row *rows;
	uint64_t *attributes;
	struct arena *arena;
	struct fault *why;
};

static int add_row(struct making *m, enum engine_role role,
    enum engine_fold fold, const char *spec)
{
	struct engine_row *row = &m->rows[m->engine->n_rows];
	int ret;

	if (spec == NULL)
		return 0;
	row->role = role;
	row->fold = fold;
	ret = prom_selector_parse(&row->selector, spec, m->arena, m->why);
	if (ret == 0)
		m->engine->n_rows++;
	return ret;
}

static int add_own(struct making *m, const struct engine_options *o)
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
		{ ENGINE_LORA, FOLD_MAX, o->lora_spec },
	};
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(specs) / sizeof(*specs); i++)
		ret = add_row(m, specs[i].role, specs[i].fold, specs[i].spec);
	return ret;
}

static bool has_role(const struct engine_row *rows, size_t n,
    enum engine_role role)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].role == role)
			return true;
	return false;
}

/* The size of the cache is told by labels, or by two roles that go before them. */
static bool is_given(const struct engine_row *own, size_t n_own,
    enum engine_role role)
{
	if (role == ENGINE_BLOCK_TOKENS || role == ENGINE_N_BLOCKS)
		role = ENGINE_CACHE_INFO;
	return has_role(own, n_own, role);
}

/* Its rows, alternatives too, of the roles that have none yet. */
static void add_base(struct making *m, const struct engine *base)
{
	size_t n_own = m->engine->n_rows;

	for (size_t i = 0; base != NULL && i < base->n_rows; i++)
		if (!is_given(m->rows, n_own, base->rows[i].role))
			m->rows[m->engine->n_rows++] = base->rows[i];
}

static int add_custom(struct making *m, const struct engine_options *o)
{
	int ret = 0;

	must(o->n_custom <= ATTRIBUTES_MAX);
	if (o->n_custom > 0)
		m->engine->attributes = m->attributes;
	for (size_t i = 0; ret == 0 && i < o->n_custom; i++) {
		const struct custom_metric_options *c = &o->custom[i];

		m->attributes[m->engine->n_rows] = attribute_key(c->key);
		ret = add_row(m, ENGINE_ATTRIBUTE, (enum engine_fold)c->fold,
		    c->spec);
	}
	return ret;
}

/* Which labels carry what: as told, else as the base has them, else as vLLM. */
static int add_labels(struct making *m, const struct engine_options *o,
    const struct engine *base)
{
	struct engine *e = m->engine;

	if (base == NULL || base->block_size_label == NULL)
		base = &engine_vllm;
	e->block_size_label = copy_or(m->arena, o->block_size_label,
	    base->block_size_label);
	e->n_blocks_label = copy_or(m->arena, o->n_blocks_label,
	    base->n_blocks_label);
	e->lora = engine_vllm.lora;
	return e->block_size_label != NULL && e->n_blocks_label != NULL ? 0 :
	    -ENOMEM;
}

static int find_base(const struct engine_options *o, const struct engine **base,
    struct fault *why)
{
	const char *names[sizeof(engines) / sizeof(*engines)];
	size_t n = 0;

	*base = o->extends != NULL ? engine_find(o->extends) : NULL;
	if (o->extends == NULL || *base != NULL)
		return 0;
	fault_setf(why, NULL, 0, "engine %.64s extends %.64s, which is not built "
	    "in", o->name, o->extends);
	for (; engine_at(n) != NULL; n++)
		names[n] = engine_at(n)->name;
	conf_want_name(why, o->extends, names, n);
	return -EINVAL;
}

static bool names_a_number(const struct making *m)
{
	const struct engine *e = m->engine;

	return has_role(m->rows, e->n_rows, ENGINE_QUEUED) ||
	    has_role(m->rows, e->n_rows, ENGINE_RUNNING) ||
	    has_role(m->rows, e->n_rows, ENGINE_KV_USED);
}

static int make_rows(struct making *m, const struct engine_options *o)
{
	const struct engine *base;
	int ret = find_base(o, &base, m->why);

	if (ret == 0)
		ret = add_labels(m, o, base);
	if (ret == 0)
		ret = add_own(m, o);
	if (ret != 0)
		return ret;
	add_base(m, base);
	if (!names_a_number(m)) {
		fault_setf(m->why, NULL, 0, "engine %s names no metric",
		    m->engine->name);
		fault_want(m->why, "at least one of the queued, running and KV "
		    "usage specs");
		return -EINVAL;
	}
	return add_custom(m, o);
}

const struct engine *engine_make(const struct engine_options *options,
    struct arena *arena, struct fault *why)
{
	struct making m = {
		.engine = arena_zalloc(arena, sizeof(*m.engine)),
		.rows = arena_zalloc(arena, ENGINE_ROWS_MAX * sizeof(*m.rows)),
		.attributes = arena_zalloc(arena,
		    ENGINE_ROWS_MAX * sizeof(*m.attributes)),
		.arena = arena, .why = why,
	};

	if (m.engine != NULL && m.rows != NULL && m.attributes != NULL) {
		m.engine->rows = m.rows;
		m.engine->name = copy_or(arena, options->name, NULL);
		if (m.engine->name != NULL && make_rows(&m, options) == 0)
			return m.engine;
	}
	if (!why->is_set)
		fault_set(why, NULL, 0, "no memory for an engine", NULL);
	return NULL;
}
