/*
 * engine_scan.c - fold the samples of one page into one reading
 *
 * A page is read as it arrives; what is kept is one tally a row. Values that
 * cannot be a count or a share (negative, NaN) are as good as absent.
 */
#include "engine.h"

#include <math.h>
#include <stdlib.h>

#include "must.h"

enum { LABEL_NUMBER_MAX = 32 };

struct tally {
	double sum, max;
	uint32_t n;		/* series counted */
};

struct engine_scan {
	const struct engine *engine;
	struct prom prom;
	struct tally block_tokens, n_blocks;	/* from ENGINE_CACHE_INFO */
	struct tally rows[];
};

static void tally_add(struct tally *t, double value)
{
	if (isnan(value) || value < 0)
		return;
	t->sum += value;
	if (t->n == 0 || value > t->max)
		t->max = value;
	t->n++;
}

/* A label that is not a number ("None" while vLLM starts) is ignored. */
static void tally_add_label(struct tally *t, struct span labels,
    const char *key)
{
	char text[LABEL_NUMBER_MAX], *end;
	double value;

	if (key == NULL || !prom_label(labels, key, text, sizeof(text)))
		return;
	value = (double)strtoull(text, &end, 10);
	if (end != text && *end == '\0' && text[0] != '-')
		tally_add(t, value);
}

static double tally_fold(const struct tally *t, enum engine_fold fold)
{
	if (fold == FOLD_MEAN)
		return t->sum / t->n;
	return fold == FOLD_MAX ? t->max : t->sum;
}

static void on_sample(void *data, const struct prom_sample *sample)
{
	struct engine_scan *s = data;
	enum engine_role role = s->engine->rows[sample->selector].role;
	double value = sample->value;

	if (role == ENGINE_CACHE_INFO) {
		tally_add_label(&s->block_tokens, sample->labels,
		    s->engine->block_size_label);
		tally_add_label(&s->n_blocks, sample->labels,
		    s->engine->n_blocks_label);
		return;
	}
	if (role == ENGINE_KV_USED && value > 1)
		value = 1;
	tally_add(&s->rows[sample->selector], value);
}

struct engine_scan *engine_scan_new(const struct engine *engine)
{
	struct engine_scan *s = calloc(1,
	    sizeof(*s) + engine->n_rows * sizeof(*s->rows));

	if (s == NULL)
		return NULL;
	must(engine->n_rows > 0 && engine->n_rows <= ENGINE_ROWS_MAX);
	s->engine = engine;
	prom_init(&s->prom, &engine->rows->selector, engine->n_rows,
	    sizeof(*engine->rows), on_sample, s);
	return s;
}

void engine_scan_free(struct engine_scan *s)
{
	if (s == NULL)
		return;
	prom_fini(&s->prom);
	free(s);
}

void engine_scan_begin(struct engine_scan *s)
{
	prom_reset(&s->prom);
	s->block_tokens = s->n_blocks = (struct tally){ .n = 0 };
	for (size_t i = 0; i < s->engine->n_rows; i++)
		s->rows[i] = (struct tally){ .n = 0 };
}

enum prom_result engine_scan_feed(struct engine_scan *s, const void *bytes,
    size_t len)
{
	return prom_feed(&s->prom, bytes, len);
}

/* The first row of the role that the page had. */
static bool role_value(const struct engine_scan *s, enum engine_role role,
    double *out)
{
	for (size_t i = 0; i < s->engine->n_rows; i++)
		if (s->engine->rows[i].role == role && s->rows[i].n != 0) {
			*out = tally_fold(&s->rows[i], s->engine->rows[i].fold);
			return true;
		}
	return false;
}

static uint32_t saturated(double value)
{
	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static bool role_count(const struct engine_scan *s, enum engine_role role,
    uint32_t *out)
{
	double value;

	if (!role_value(s, role, &value))
		return false;
	*out = saturated(value);
	return true;
}

enum prom_result engine_scan_end(struct engine_scan *s,
    struct engine_reading *out)
{
	enum prom_result result = prom_finish(&s->prom);
	double kv_used, awake;

	*out = (struct engine_reading){ .has_queued = false };
	if (result != PROM_OK)
		return result;
	out->has_queued = role_count(s, ENGINE_QUEUED, &out->queued);
	out->has_running = role_count(s, ENGINE_RUNNING, &out->running);
	out->has_kv_used = role_value(s, ENGINE_KV_USED, &kv_used);
	if (out->has_kv_used)
		out->kv_used = (float)kv_used;
	if (!role_count(s, ENGINE_BLOCK_TOKENS, &out->block_tokens))
		out->block_tokens = saturated(s->block_tokens.max);
	if (!role_count(s, ENGINE_N_BLOCKS, &out->n_blocks))
		out->n_blocks = saturated(s->n_blocks.sum);
	if (!role_value(s, ENGINE_START_TIME, &out->start_time))
		out->start_time = 0;
	out->is_asleep = role_value(s, ENGINE_AWAKE, &awake) && awake == 0;
	if (!out->has_queued && !out->has_running && !out->has_kv_used)
		return PROM_BAD;
	return PROM_OK;
}
