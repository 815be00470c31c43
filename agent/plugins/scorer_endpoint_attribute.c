/*
 * scorer_endpoint_attribute.c - by one of the numbers that an operator named
 *
 *	share = (value - min) / (max - min), within 0..1
 *	score = share, or 1 - share where lower is better; without a value: 0
 *
 * adaptiveRange (the default): min and max are those of the candidates; all alike: 1.
 * fixedRange: as configured. Source: llm-d-router, scorer "endpoint-attribute-scorer".
 * A number that is stale is missing.
 */
#include "plugins/plugins.h"

#include <errno.h>
#include <float.h>
#include <math.h>

#include "clones.h"
#include "fault.h"
#include "plugins/attribute.h"
#include "plugins/float_bits.h"

enum { LOWER_IS_BETTER, HIGHER_IS_BETTER };

static const char *const algorithms[] = {
	[LOWER_IS_BETTER] = "linear_lower_is_better",
	[HIGHER_IS_BETTER] = "linear_higher_is_better", NULL,
};

struct range {
	double min, max;
};

struct normalization {
	bool is_fixed;
	struct range fixed;
};

struct algorithm {
	int type;
	struct normalization normalization;
};

struct attribute_scorer_params {
	struct attribute_ref attribute;
	struct algorithm algorithm;
};

static const struct conf_row fixed_rows[] = {
	{ .key = "min", .decode = decode_attribute_number, .preset = "0",
	  .offset = offsetof(struct range, min),
	  .help = "the worst or best that counts" },
	{ .key = "max", .decode = decode_attribute_number, .preset = "0",
	  .offset = offsetof(struct range, max), .help = "the other; above min" },
};

static int check_fixed(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct range *r = out;

	if (r->min < r->max)
		return 0;
	fault_setf(in->why, in->file, map->line, "fixedRange from %g to %g",
	    r->min, r->max);
	fault_want(in->why, "min below max");
	return -EINVAL;
}

static const struct conf_table fixed_table = {
	.what = "a fixedRange",
	.rows = fixed_rows,
	.n_rows = sizeof(fixed_rows) / sizeof(*fixed_rows),
	.check = check_fixed,
};

static const struct conf_table adaptive_table = {
	.what = "an adaptiveRange, which has no keys,",
};

static const struct conf_row normalization_rows[] = {
	{ .key = "fixedRange", .decode = conf_section, .table = &fixed_table,
	  .offset = offsetof(struct normalization, fixed),
	  .help = "{min, max}" },
	{ .key = "adaptiveRange", .decode = conf_section,
	  .table = &adaptive_table,
	  .help = "{}: that of the candidates, as without either" },
};

static int check_normalization(const struct conf_input *in,
    const struct conf *map, void *out)
{
	struct normalization *n = out;

	n->is_fixed = conf_is_given(conf_child(map, "fixedRange"));
	if (!n->is_fixed || !conf_is_given(conf_child(map, "adaptiveRange")))
		return 0;
	fault_set(in->why, in->file, map->line,
	    "both fixedRange and adaptiveRange", "one of them");
	return -EINVAL;
}

static const struct conf_table normalization_table = {
	.what = "a normalization",
	.rows = normalization_rows,
	.n_rows = sizeof(normalization_rows) / sizeof(*normalization_rows),
	.check = check_normalization,
};

static const struct conf_row algorithm_rows[] = {
	{ .key = "type", .decode = conf_enum, .required = true,
	  .names = algorithms, .offset = offsetof(struct algorithm, type),
	  .help = "linear_lower_is_better or linear_higher_is_better" },
	{ .key = "normalization", .decode = conf_section,
	  .table = &normalization_table,
	  .offset = offsetof(struct algorithm, normalization),
	  .help = "what 0 and 1 stand for" },
};

static const struct conf_table algorithm_table = {
	.what = "an algorithm",
	.rows = algorithm_rows,
	.n_rows = sizeof(algorithm_rows) / sizeof(*algorithm_rows),
};

static const struct conf_row rows[] = {
	{ .key = "attributeKey", .decode = conf_string, .required = true,
	  .offset = offsetof(struct attribute_scorer_params, attribute.name),
	  .help = "that of an engine's customMetrics" },
	{ .key = "producer", .decode = conf_enum,
	  .preset = "core-metrics-extractor", .names = attribute_producers,
	  .offset = offsetof(struct attribute_scorer_params, attribute.producer),
	  .help = "who publishes it" },
	{ .key = "algorithm", .decode = conf_section, .required = true,
	  .table = &algorithm_table,
	  .offset = offsetof(struct attribute_scorer_params, algorithm),
	  .help = "{type, normalization}" },
};

static int check_params(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct attribute_scorer_params *p = out;

	return attribute_resolve(in, map, "attributeKey", &p->attribute);
}

static const struct conf_table table = {
	.what = "endpoint-attribute-scorer",
	.size = sizeof(struct attribute_scorer_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.check = check_params,
};

/* ---- numbers of some candidates, in a row ---- */

enum { CHUNK = 1024 };

/* `values[k]` is candidate first + k's; NaN: it is without one. */
struct chunk {
	size_t first, n;
	double values[CHUNK];
};

/* NaN, neither less nor more than any: candidate i is without it. */
static inline double value_at(const struct choice *c, size_t i,
    const struct attribute_ref *ref)
{
	double value = NAN;

	attribute_read(c, i, ref, &value);
	return value;
}

/* Returns `r`, and what it takes beside to hold these. */
static struct range chunk_read(struct chunk *chunk,
    const struct choice *choice, const struct attribute_ref *attribute,
    size_t first, struct range r)
{
	const struct endpoint_view view = *choice->view;
	const struct attribute_ref ref = *attribute;
	struct choice c = *choice;
	size_t n = c.n - first < CHUNK ? c.n - first : CHUNK;
	double min = r.min, max = r.max;

	c.view = &view;
	for (size_t k = 0; k < n; k++) {
		double value = value_at(&c, first + k, &ref);

		min = value < min ? value : min;
		max = value > max ? value : max;
		chunk->values[k] = value;
	}
	chunk->first = first;
	chunk->n = n;
	return (struct range){ min, max };
}

/* Of nobody: max is below min. Who fits in one chunk is in it then. */
static struct range range_of(const struct choice *c,
    const struct attribute_ref *attribute, struct chunk *chunk)
{
	struct range r = { DBL_MAX, -DBL_MAX };

	for (size_t first = 0; first < c->n; first += CHUNK)
		r = chunk_read(chunk, c, attribute, first, r);
	return r;
}

/* ---- scores ---- */

/* share = (value * by - worst) / width, where worst is min, or max, by type. */
struct scale {
	double by, worst, width;
};

/* Halves where max - min is more than a double holds. */
static struct scale scale_of(struct range r, bool is_lower_better)
{
	double by = isfinite(r.max - r.min) ? 1.0 : 0.5;
	double worst = (is_lower_better ? r.max : r.min) * by;
	double best = (is_lower_better ? r.min : r.max) * by;

	if (r.min == r.max)	/* 1, whatever it is */
		return (struct scale){ 0.0, -1.0, 1.0 };
	return (struct scale){ by, worst, best - worst };
}

static inline float scored(double value, const struct scale *s)
{
	float share = float_clamped((float)((value * s->by - s->worst) /
	    s->width));

	return isnan(value) ? 0.0f : share;
}

CLONED_FOR_AVX2 static void chunk_score(const struct chunk *chunk,
    const struct scale *scale, float *out)
{
	const struct scale s = *scale;
	const double *values = chunk->values;
	size_t n = chunk->n;

	out += chunk->first;
	for (size_t k = 0; k < n; k++)
		out[k] = scored(values[k], &s);
}

static void attribute_score(const struct choice *c, const void *params,
    float *out)
{
	const struct attribute_scorer_params *p = params;
	const struct normalization *n = &p->algorithm.normalization;
	bool is_read = !n->is_fixed && c->n <= CHUNK;
	struct chunk chunk;
	const struct range r = n->is_fixed ? n->fixed :
	    range_of(c, &p->attribute, &chunk);
	const struct scale scale = scale_of(r,
	    p->algorithm.type == LOWER_IS_BETTER);

	for (size_t first = 0; first < c->n; first += CHUNK) {
		if (!is_read)
			chunk_read(&chunk, c, &p->attribute, first, r);
		chunk_score(&chunk, &scale, out);
	}
}

const struct scorer scorer_endpoint_attribute = {
	.name = "endpoint-attribute-scorer",
	.differs = "a number that is stale is missing",
	.params = &table,
	.score = attribute_score,
};
