/*
 * engine_scan.c - fold the samples of one page into one reading
 *
 * A page is read as it arrives; what is kept is one tally a row, and of adapters the
 * labels of the latest series so far, read once when the page is over. Values that
 * cannot be a count or a share (negative, NaN) are as good as absent; an attribute may
 * be negative.
 */
#include "engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "must.h"

enum { LABEL_NUMBER_MAX = 32, LORA_LABELS_KEPT_BYTES = 4096 };

struct tally {
	double sum, max;
	uint32_t n;		/* series counted */
};

struct engine_scan {
	const struct engine *engine;
	struct prom prom;
	struct tally block_tokens, n_blocks;	/* from ENGINE_CACHE_INFO */
	double lora_time;		/* of `lora_labels`; below 0: none yet */
	struct buf lora_labels;
	struct lora_set *lora;		/* NULL: no page ever had any */
	struct attribute_set *attributes;	/* NULL: no row is one */
	uint8_t first[ENGINE_ROLES];	/* row by role, once the page is over */
	struct tally rows[];
};

static void tally_add_any(struct tally *t, double value)
{
	t->sum += value;
	if (t->n == 0 || value > t->max)
		t->max = value;
	t->n++;
}

static void tally_add(struct tally *t, double value)
{
	if (!isnan(value) && value >= 0)
		tally_add_any(t, value);
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

/* A series' value is when it was made; those of the past stay on the page. */
static void take_adapters(struct engine_scan *s,
    const struct prom_sample *sample)
{
	if (!(sample->value > s->lora_time))
		return;
	buf_clear(&s->lora_labels);
	buf_put(&s->lora_labels, sample->labels.ptr, sample->labels.len);
	s->lora_time = sample->value;
}

static void take_cache_info(struct engine_scan *s, struct span labels)
{
	tally_add_label(&s->block_tokens, labels, s->engine->block_size_label);
	tally_add_label(&s->n_blocks, labels, s->engine->n_blocks_label);
}

static void on_sample(void *data, const struct prom_sample *sample)
{
	struct engine_scan *s = data;
	struct tally *row = &s->rows[sample->selector];
	double value = sample->value;

	switch (s->engine->rows[sample->selector].role) {
	case ENGINE_CACHE_INFO:
		take_cache_info(s, sample->labels);
		break;
	case ENGINE_LORA:
		take_adapters(s, sample);
		break;
	case ENGINE_ATTRIBUTE:
		if (isfinite(value))
			tally_add_any(row, value);
		break;
	case ENGINE_KV_USED:
		tally_add(row, value > 1 ? 1 : value);
		break;
	default:
		tally_add(row, value);
	}
}

struct engine_scan *engine_scan_new(const struct engine *engine)
{
	struct engine_scan *s = calloc(1,
	    sizeof(*s) + engine->n_rows * sizeof(*s->rows));

	if (s == NULL)
		return NULL;
	must(engine->n_rows > 0 && engine->n_rows <= ENGINE_ROWS_MAX);
	s->engine = engine;
	buf_init(&s->lora_labels, PROM_LINE_MAX);
	if (engine->attributes != NULL) {
		s->attributes = malloc(attributes_bytes(engine->n_rows));
		if (s->attributes == NULL) {
			free(s);
			return NULL;
		}
	}
	prom_init(&s->prom, &engine->rows->selector, engine->n_rows,
	    sizeof(*engine->rows), on_sample, s);
	return s;
}

void engine_scan_free(struct engine_scan *s)
{
	if (s == NULL)
		return;
	prom_fini(&s->prom);
	buf_fini(&s->lora_labels);
	free(s->lora);
	free(s->attributes);
	free(s);
}

void engine_scan_begin(struct engine_scan *s)
{
	prom_reset(&s->prom);
	s->block_tokens = s->n_blocks = (struct tally){ .n = 0 };
	s->lora_time = -1;
	if (s->lora_labels.cap > LORA_LABELS_KEPT_BYTES)
		buf_fini(&s->lora_labels);
	for (size_t i = 0; i < s->engine->n_rows; i++)
		s->rows[i] = (struct tally){ .n = 0 };
}

enum prom_result engine_scan_feed(struct engine_scan *s, const void *bytes,
    size_t len)
{
	return prom_feed(&s->prom, bytes, len);
}

/* The first row of each role that the page had. */
static void find_rows(struct engine_scan *s)
{
	memset(s->first, ENGINE_ROWS_MAX, sizeof(s->first));
	for (size_t i = s->engine->n_rows; i-- > 0;)
		if (s->rows[i].n != 0)
			s->first[s->engine->rows[i].role] = (uint8_t)i;
}

static bool role_value(const struct engine_scan *s, enum engine_role role,
    double *out)
{
	size_t i = s->first[role];

	if (i == ENGINE_ROWS_MAX)
		return false;
	*out = tally_fold(&s->rows[i], s->engine->rows[i].fold);
	return true;
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

/* NULL without memory too: the numbers are worth having alone. */
static const struct lora_set *read_adapters(struct engine_scan *s)
{
	if (s->lora_time < 0 || buf_failed(&s->lora_labels))
		return NULL;
	if (s->lora == NULL)
		s->lora = malloc(lora_bytes(LORA_ADAPTERS_MAX));
	if (s->lora != NULL)
		lora_read(s->lora, buf_span(&s->lora_labels), &s->engine->lora);
	return s->lora;
}

/* In the order of the rows: of alternatives, attribute_find() sees the first. */
static const struct attribute_set *fold_attributes(struct engine_scan *s)
{
	const struct engine *e = s->engine;
	struct attribute_set *set = s->attributes;

	if (set == NULL)
		return NULL;
	set->n = 0;
	for (size_t i = 0; i < e->n_rows; i++) {
		double value;

		if (e->rows[i].role != ENGINE_ATTRIBUTE || s->rows[i].n == 0)
			continue;
		value = tally_fold(&s->rows[i], e->rows[i].fold);
		if (isfinite(value))	/* a sum may not be */
			set->items[set->n++] = (struct attribute){
				e->attributes[i], value };
	}
	return set->n > 0 ? set : NULL;
}

enum prom_result engine_scan_end(struct engine_scan *s,
    struct engine_reading *out)
{
	enum prom_result result = prom_finish(&s->prom);
	double kv_used, awake;

	*out = (struct engine_reading){ .has_queued = false };
	if (result != PROM_OK)
		return result;
	find_rows(s);
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
	if (!role_value(s, ENGINE_SERVED, &out->served))
		out->served = -1;
	out->is_asleep = role_value(s, ENGINE_AWAKE, &awake) && awake == 0;
	out->extras.lora = read_adapters(s);
	out->extras.attributes = fold_attributes(s);
	if (!out->has_queued && !out->has_running && !out->has_kv_used)
		return PROM_BAD;
	return PROM_OK;
}
