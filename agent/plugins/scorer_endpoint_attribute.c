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

#include "fault.h"
#include "plugins/attribute.h"

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

/* Of nobody: max is below min. */
static struct range range_of(const struct choice *c,
    const struct attribute_ref *attribute)
{
	const struct attribute_ref ref = *attribute;
	struct range r = { DBL_MAX, -DBL_MAX };

	for (size_t i = 0; i < c->n; i++) {
		double value;

		if (!attribute_read(c, i, &ref, &value))
			continue;
		r.min = value < r.min ? value : r.min;
		r.max = value > r.max ? value : r.max;
	}
	return r;
}

/* Halves where max - min is more than a double holds. */
static inline double share_of(struct range r, double value)
{
	double width = r.max - r.min;

	if (value <= r.min)
		return 0;
	if (value >= r.max)
		return 1;
	if (isfinite(width))
		return (value - r.min) / width;
	return (value / 2 - r.min / 2) / (r.max / 2 - r.min / 2);
}

static void attribute_score(const struct choice *choice, const void *params,
    float *out)
{
	const struct attribute_scorer_params p =
	    *(const struct attribute_scorer_params *)params;
	const struct normalization *n = &p.algorithm.normalization;
	const struct choice c = *choice;
	const struct range r = n->is_fixed ? n->fixed :
	    range_of(&c, &p.attribute);
	bool is_alike = r.min == r.max;
	bool is_lower_better = p.algorithm.type == LOWER_IS_BETTER;

	for (size_t i = 0; i < c.n; i++) {
		double value, share;

		out[i] = 0;
		if (!attribute_read(&c, i, &p.attribute, &value))
			continue;
		share = is_alike ? 1 : share_of(r, value);
		out[i] = (float)(is_lower_better && !is_alike ?
		    1 - share : share);
	}
}

const struct scorer scorer_endpoint_attribute = {
	.name = "endpoint-attribute-scorer",
	.differs = "a number that is stale is missing",
	.params = &table,
	.score = attribute_score,
};
