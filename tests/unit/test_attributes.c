/*
 * Expected scores are worked out by hand from llm-d-router's formula: the share of the
 * way from min to max, or what is left of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "conf.h"
#include "fault.h"
#include "help.h"
#include "plugins/plugins.h"
#include "rng.h"
#include "yaml.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NONE NAN		/* of an endpoint: it has no such number */

enum { N_MAX = 8, PARAMS_MAX = 256 };

static struct help_pool pool;
static struct endpoint_extras extras[N_MAX];
static struct attribute_set *sets[N_MAX];
static struct request request;
static uint32_t rows[N_MAX], unsettled[N_MAX];
static uint16_t matched[N_MAX];
static struct arena *arena;
static union {
	char bytes[PARAMS_MAX];
	double alignment;
} params;

/* Parameters by the plugin's rows, from YAML. False: `why` says why not. */
static bool decode(const struct conf_table *table, const char *yaml,
    struct fault *why)
{
	const struct conf *root;

	*why = (struct fault){ 0 };
	arena_reset(arena);
	memset(&params, 0, sizeof(params));
	assert_true(table->size <= sizeof(params));
	root = yaml_parse("f", span_of(yaml), &yaml_limits_default, arena, why);
	if (root == NULL)
		fail_msg("%s: %s", yaml, why->found);
	return conf_decode(&(struct conf_input){ "f", arena, why }, table, root,
	    &params) == 0;
}

static void must_decode(const struct conf_table *table, const char *yaml)
{
	struct fault why;

	if (!decode(table, yaml, &why))
		fail_msg("%s: %s; want %s", yaml, why.found, why.want);
}

/* Each row's "k", among others. */
static struct choice choice_of(const double *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct attribute_set *s = sets[i];

		s->n = 0;
		s->items[s->n++] = (struct attribute){ attribute_key("j"), -7 };
		if (!isnan(values[i]))
			s->items[s->n++] = (struct attribute){
				attribute_key("k"), values[i] };
		s->items[s->n++] = (struct attribute){ attribute_key("l"), 7 };
		extras[i].attributes = s;
		pool.stats[i].health = ENDPOINT_FRESH;
		rows[i] = (uint32_t)i;
	}
	pool.view.extras = extras;
	return (struct choice){ .view = &pool.view, .request = &request,
		.rows = rows, .n = n, .unsettled = unsettled,
		.matched = matched };
}

/* ---- the scorer ---- */

#define LOWER "{attributeKey: k, algorithm: {type: linear_lower_is_better}}"
#define HIGHER "{attributeKey: k, algorithm: {type: linear_higher_is_better}}"
#define FIXED(type, min, max) "{attributeKey: k, algorithm: {type: linear_" type \
	"_is_better, normalization: {fixedRange: {min: " min ", max: " max "}}}}"

static const struct {
	const char *params;
	size_t n;
	double values[N_MAX];
	float want[N_MAX];
} scores[] = {
	/* (v - 2) / (10 - 2), and 1 less that. */
	{ HIGHER, 4, { 2, 4, 8, 10 }, { 0, .25f, .75f, 1 } },
	{ LOWER, 4, { 2, 4, 8, 10 }, { 1, .75f, .25f, 0 } },
	/* All alike: 1, whichever is better; one alone is alike. */
	{ HIGHER, 3, { 5, 5, 5 }, { 1, 1, 1 } },
	{ LOWER, 3, { 0, 0, 0 }, { 1, 1, 1 } },
	{ LOWER, 1, { -1e9 }, { 1 } },
	/* Who has none scores 0 and moves neither end. */
	{ LOWER, 4, { NONE, 1, 3, NONE }, { 0, 1, 0, 0 } },
	{ HIGHER, 3, { NONE, 4, 4 }, { 0, 1, 1 } },
	{ LOWER, 2, { NONE, NONE }, { 0, 0 } },
	/* Below zero: (v + 4) / 8. */
	{ HIGHER, 3, { -4, 2, 4 }, { 0, .75f, 1 } },
	/* A range of its own; what is outside is at its ends. */
	{ FIXED("higher", "0", "1"), 5, { -3, 0, .25, 1, 9 },
	    { 0, 0, .25f, 1, 1 } },
	{ FIXED("lower", "0", "1"), 5, { -3, 0, .25, 1, 9 },
	    { 1, 1, .75f, 0, 0 } },
	{ FIXED("lower", "-1", "3"), 2, { 0, NONE }, { .75f, 0 } },
	{ FIXED("higher", "0.5", "1e3"), 1, { 500.25 }, { .5f } },
	/* Alike is nothing special there. */
	{ FIXED("lower", "0", "4"), 2, { 3, 3 }, { .25f, .25f } },
	{ "{attributeKey: k, algorithm: {type: linear_lower_is_better,"
	  " normalization: {adaptiveRange: {}}}}", 3, { 2, 4, 10 },
	    { 1, .75f, 0 } },
	{ "{attributeKey: k, producer: core-metrics-extractor,"
	  " algorithm: {type: linear_lower_is_better, normalization: {}}}", 2,
	    { 1, 2 }, { 1, 0 } },
	/* Another key is another number; one that nobody tells is none. */
	{ "{attributeKey: j, algorithm: {type: linear_lower_is_better}}", 2,
	    { 1, 2 }, { 1, 1 } },
	{ "{attributeKey: K, algorithm: {type: linear_lower_is_better}}", 2,
	    { 1, 2 }, { 0, 0 } },
	/* As far apart as doubles are: a quarter of the way is -max / 2. */
	{ HIGHER, 3, { -DBL_MAX, -DBL_MAX / 2, DBL_MAX }, { 0, .25f, 1 } },
	/* As near as they are: the middle of two steps. */
	{ HIGHER, 3, { 3 * DBL_TRUE_MIN, 4 * DBL_TRUE_MIN, 5 * DBL_TRUE_MIN },
	    { 0, .5f, 1 } },
};

static void score(const struct choice *c, float *out)
{
	scorer_endpoint_attribute.score(c, &params, out);
}

static void test_scores_are_what_the_formula_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scores); i++) {
		struct choice c = choice_of(scores[i].values, scores[i].n);
		float got[N_MAX];

		must_decode(scorer_endpoint_attribute.params, scores[i].params);
		score(&c, got);
		for (size_t k = 0; k < scores[i].n; k++)
			if (!(fabsf(got[k] - scores[i].want[k]) < 1e-6f))
				fail_msg("row %zu: %zu is %f", i, k,
				    (double)got[k]);
	}
}

static void test_stale_numbers_are_missing(void **state)
{
	static const double values[] = { 2, 100, 6, 4 };
	struct choice c = choice_of(values, 4);
	float got[N_MAX];

	(void)state;
	pool.stats[1].health = ENDPOINT_STALE;
	pool.stats[3].health = ENDPOINT_DOWN;
	must_decode(scorer_endpoint_attribute.params, HIGHER);
	score(&c, got);
	assert_true(got[0] == 0 && got[1] == 0 && got[2] == 1 && got[3] == 0);
}

static double random_value(struct rng *rng)
{
	static const double special[] = { 0, -0.0, 1, DBL_MAX, -DBL_MAX,
		DBL_TRUE_MIN, -DBL_TRUE_MIN, UINT32_MAX, NONE };
	size_t i = rng_below(rng, 2 * COUNT(special));

	return i < COUNT(special) ? special[i] :
	    ldexp((double)rng_next(rng) - 0x1p63,
		(int)rng_below(rng, 1800) - 1000);
}

static void test_every_score_is_between_0_and_1(void **state)
{
	static const char *const all[] = { LOWER, HIGHER,
		FIXED("lower", "0", "1"), FIXED("higher", "-1e308", "1e308"),
		FIXED("lower", "5e-324", "1e-323") };
	struct rng rng = { 21 };

	(void)state;
	for (size_t k = 0; k < COUNT(all); k++) {
		must_decode(scorer_endpoint_attribute.params, all[k]);
		for (int round = 0; round < 5000; round++) {
			size_t n = rng_below(&rng, N_MAX + 1);
			double values[N_MAX];
			float got[N_MAX];

			for (size_t i = 0; i < n; i++)
				values[i] = random_value(&rng);
			struct choice c = choice_of(values, n);

			score(&c, got);
			for (size_t i = 0; i < n; i++)
				assert_true(got[i] >= 0 && got[i] <= 1);
		}
	}
}

/* A better number never scores less. */
static void test_scores_follow_the_numbers(void **state)
{
	struct rng rng = { 22 };

	(void)state;
	must_decode(scorer_endpoint_attribute.params, HIGHER);
	for (int round = 0; round < 5000; round++) {
		double values[N_MAX];
		float got[N_MAX];

		for (size_t i = 0; i < N_MAX; i++)
			values[i] = random_value(&rng);
		struct choice c = choice_of(values, N_MAX);

		score(&c, got);
		for (size_t i = 0; i < N_MAX; i++)
			for (size_t k = 0; k < N_MAX; k++)
				assert_false(values[i] > values[k] &&
				    got[i] < got[k]);
	}
}

/* ---- the filter ---- */

#define THRESHOLD(op, value) "algorithm: {type: threshold, threshold: " \
	"{operator: " op ", value: " value "}}}"
#define THAN(op, value) "{attribute: k, " THRESHOLD(op, value)

static const struct {
	const char *params;
	double values[N_MAX];		/* of the first five */
	const char *kept;
} filters[] = {
	{ THAN("LessThan", "2"), { 1, 2, 3, -5, NONE }, "ynnyy" },
	{ THAN("LessThanOrEqual", "2"), { 1, 2, 3, -5, NONE }, "yynyy" },
	{ THAN("GreaterThan", "2"), { 1, 2, 3, -5, NONE }, "nnyny" },
	{ THAN("GreaterThanOrEqual", "2"), { 1, 2, 3, -5, NONE }, "nyyny" },
	{ THAN("Equal", "2"), { 1, 2, 3, -5, NONE }, "nynny" },
	{ THAN("NotEqual", "2"), { 1, 2, 3, -5, NONE }, "ynyyy" },
	{ THAN("GreaterThan", "-5.5"), { 1, -5, -6, -5.5, 0 }, "yynny" },
	/* A double here, as there: 0.8 is not below 0.8. */
	{ THAN("LessThan", "0.8"), { .8, .79, .81, 0, 1 }, "nynyn" },
	{ THAN("Equal", "16777217"), { 16777216, 16777217, 1, 2, 3 }, "nynnn" },
	{ "{attribute: k, onMissing: Pass, " THRESHOLD("LessThan", "2"),
	    { 1, 2, NONE, NONE, 0 }, "ynyyy" },
	{ "{attribute: k, onMissing: Fail, " THRESHOLD("LessThan", "2"),
	    { 1, 2, NONE, NONE, 0 }, "ynnny" },
	/* Nobody: nobody, or everybody. */
	{ "{attribute: k, onMissing: Fail, " THRESHOLD("LessThan", "0"),
	    { 1, 2, NONE, NONE, 0 }, "nnnnn" },
	{ "{attribute: k, onMissing: Fail, fallbackOnEmpty: true, "
	  THRESHOLD("LessThan", "0"), { 1, 2, NONE, NONE, 0 }, "yyyyy" },
	{ "{attribute: k, onMissing: Fail, fallbackOnEmpty: true, "
	  THRESHOLD("LessThan", "1"), { 1, 2, NONE, NONE, 0 }, "nnnny" },
	/* `value` is 0 where it is not given, as in llm-d's Go. */
	{ "{attribute: k, algorithm: {type: threshold, threshold: "
	  "{operator: GreaterThan}}}", { -1, 0, 1, 2, NONE }, "nnyyy" },
	{ "{attribute: nobody, " THRESHOLD("LessThan", "0"),
	    { 1, 2, 3, 4, 5 }, "yyyyy" },
};

static void filter(const struct choice *c, bool *keep)
{
	memset(keep, true, c->n * sizeof(*keep));
	filter_endpoint_attribute.filter(c, &params, keep);
}

static void test_who_passes_is_who_compares_true(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(filters); i++) {
		struct choice c = choice_of(filters[i].values, 5);
		bool keep[N_MAX];

		must_decode(filter_endpoint_attribute.params,
		    filters[i].params);
		filter(&c, keep);
		for (size_t k = 0; k < 5; k++)
			if (keep[k] != (filters[i].kept[k] == 'y'))
				fail_msg("row %zu: %zu", i, k);
	}
}

static void test_a_stale_number_is_missing_to_the_filter_too(void **state)
{
	static const double values[] = { 9, 1, 9 };
	struct choice c = choice_of(values, 3);
	bool keep[N_MAX];

	(void)state;
	pool.stats[0].health = ENDPOINT_STALE;
	pool.stats[1].health = ENDPOINT_STALE;
	must_decode(filter_endpoint_attribute.params, THAN("LessThan", "5"));
	filter(&c, keep);
	assert_true(keep[0] && keep[1] && !keep[2]);
	must_decode(filter_endpoint_attribute.params,
	    "{attribute: k, onMissing: Fail, " THRESHOLD("LessThan", "5"));
	filter(&c, keep);
	assert_false(keep[0] || keep[1] || keep[2]);
}

/* ---- both ---- */

/* Candidates are rows in any order and any number. */
static void test_verdicts_belong_to_rows(void **state)
{
	static const double values[N_MAX] = { 3, NONE, 0, 9, 3, 7, -2, 4 };
	struct choice c = choice_of(values, N_MAX);
	struct rng rng = { 23 };

	(void)state;
	for (int round = 0; round < 1000; round++) {
		float got[N_MAX];
		bool keep[N_MAX];

		c.n = rng_below(&rng, N_MAX + 1);
		for (size_t i = 0; i < N_MAX; i++) {
			size_t k = rng_below(&rng, (uint32_t)(i + 1));

			rows[i] = rows[k];
			rows[k] = (uint32_t)i;
		}
		must_decode(filter_endpoint_attribute.params,
		    THAN("LessThan", "4"));
		filter(&c, keep);
		must_decode(scorer_endpoint_attribute.params,
		    FIXED("higher", "0", "8"));
		score(&c, got);
		for (size_t i = 0; i < c.n; i++) {
			double v = values[rows[i]];

			assert_true(keep[i] == !(v >= 4));
			assert_true(isnan(v) ? got[i] == 0 :
			    got[i] == (float)fmin(fmax(v / 8, 0), 1));
		}
	}
}

static void test_nobody_told_anything(void **state)
{
	static const double values[] = { 1, 2 };
	struct choice c = choice_of(values, 2);
	float got[N_MAX];
	bool keep[N_MAX];

	(void)state;
	pool.view.extras = NULL;
	must_decode(scorer_endpoint_attribute.params, LOWER);
	score(&c, got);
	assert_true(got[0] == 0 && got[1] == 0);
	must_decode(filter_endpoint_attribute.params, THAN("Equal", "1"));
	filter(&c, keep);
	assert_true(keep[0] && keep[1]);
}

/* ---- parameters ---- */

static const struct {
	bool is_scorer;
	const char *params, *found, *want;
} bad[] = {
	{ false, "{}", "without attribute", "customMetrics" },
	{ false, "{attribute: k}", "without algorithm", "algorithm" },
	{ false, "{attribute: k, algorithm: {type: threshold}}",
	  "without threshold", "threshold" },
	{ false, "{attribute: k, algorithm: {type: topK}}", "type: topK",
	  "threshold" },
	{ false, "{attribute: k, algorithm: {type: threshold, threshold:"
	  " {value: 1}}}", "without operator", "operator" },
	{ false, THAN("LesThan", "1"), "operator: LesThan", "LessThan" },
	{ false, THAN("LessThan", "x"), "value: x", "a number" },
	{ false, THAN("LessThan", ".inf"), "value: .inf", "a number" },
	{ false, THAN("LessThan", "+Inf"), "value: +Inf", "a number" },
	{ false, THAN("LessThan", "NaN"), "value: NaN", "a number" },
	{ false, THAN("LessThan", "1e999"), "value: 1e999", "a number" },
	{ false, THAN("LessThan", "'1'"), "value: \"1\"", "a number" },
	{ false, THAN("LessThan", "[1]"), "value: a list", "a number" },
	{ false, "{attribute: k, onMissing: pass, " THRESHOLD("Equal", "1"),
	  "onMissing: pass", "Pass" },
	{ false, "{atribute: k}", "unknown key atribute", "attribute" },
	{ false, "{attribute: k, producer: dcgm-extractor, "
	  THRESHOLD("Equal", "1"), "producer: dcgm-extractor",
	  "core-metrics-extractor" },
	{ false, "{attribute: a/b, " THRESHOLD("Equal", "1"),
	  "attribute: a/b without a producer", "core-metrics-extractor" },
	{ true, "{}", "without attributeKey", "customMetrics" },
	{ true, "{attributeKey: k}", "without algorithm", "algorithm" },
	{ true, "{attributeKey: k, algorithm: {}}", "without type", "linear" },
	{ true, "{attributeKey: k, algorithm: {type: linear}}", "type: linear",
	  "linear_lower_is_better" },
	{ true, FIXED("lower", "1", "1"), "from 1 to 1", "min below max" },
	{ true, FIXED("lower", "2", "-2"), "from 2 to -2", "min below max" },
	{ true, "{attributeKey: k, algorithm: {type: linear_lower_is_better,"
	  " normalization: {fixedRange: {}}}}", "from 0 to 0", "min below max" },
	{ true, "{attributeKey: k, algorithm: {type: linear_lower_is_better,"
	  " normalization: {fixedRange: {max: 1}, adaptiveRange: {}}}}",
	  "both fixedRange and adaptiveRange", "one of them" },
	{ true, "{attributeKey: k, algorithm: {type: linear_lower_is_better,"
	  " normalization: {adaptiveRange: {min: 1}}}}", "unknown key min", "" },
	{ true, "{attributeKey: 'a/b', algorithm: {type:"
	  " linear_lower_is_better}}", "attributeKey: a/b without a producer",
	  "core-metrics-extractor" },
};

static void test_bad_parameters_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		const struct conf_table *table = bad[i].is_scorer ?
		    scorer_endpoint_attribute.params :
		    filter_endpoint_attribute.params;
		struct fault why;

		if (decode(table, bad[i].params, &why))
			fail_msg("%s is taken", bad[i].params);
		if (strstr(why.found, bad[i].found) == NULL ||
		    strstr(why.want, bad[i].want) == NULL)
			fail_msg("%s: %s; want %s", bad[i].params, why.found,
			    why.want);
	}
}

/* With its producer beside it a name may have a slash. */
static void test_a_slash_is_taken_where_the_producer_is_told(void **state)
{
	static const double values[] = { 1, 2 };
	struct choice c = choice_of(values, 2);
	float got[N_MAX];

	(void)state;
	sets[0]->items[0].key = attribute_key("a/b");
	must_decode(scorer_endpoint_attribute.params, "{attributeKey: a/b,"
	    " producer: core-metrics-extractor,"
	    " algorithm: {type: linear_lower_is_better}}");
	score(&c, got);
	assert_true(got[0] == 1 && got[1] == 0);
}

static void test_plugins_are_found_by_the_names_of_llm_d(void **state)
{
	(void)state;
	assert_ptr_equal(filter_find("endpoint-attribute-filter"),
	    &filter_endpoint_attribute);
	assert_ptr_equal(scorer_find("endpoint-attribute-scorer"),
	    &scorer_endpoint_attribute);
}

/* ---- copies ---- */

static void test_what_is_kept_is_what_was_told_last(void **state)
{
	const double values[] = { 1, NONE };
	struct endpoint_extras kept = { NULL, NULL };
	static const struct endpoint_extras nothing;

	(void)state;
	choice_of(values, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct attribute *a;

		extras_keep(&kept, &extras[i]);
		assert_ptr_not_equal(kept.attributes, extras[i].attributes);
		assert_int_equal(kept.attributes->n, i == 0 ? 3 : 2);
		a = attribute_find(kept.attributes, attribute_key("k"));
		assert_true(i == 0 ? a->value == 1 : a == NULL);
	}
	extras_keep(&kept, &nothing);
	assert_null(kept.attributes);
	assert_null(kept.lora);
	assert_int_equal(extras_bytes(&kept), 0);
	extras_fini(&kept);
}

static int setup(void **state)
{
	(void)state;
	help_pool_init(&pool, "pool", N_MAX);
	arena = arena_new(4096, 1 << 20);
	for (size_t i = 0; i < N_MAX; i++)
		sets[i] = malloc(attributes_bytes(ATTRIBUTES_MAX));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_MAX; i++)
		free(sets[i]);
	arena_free(arena);
	help_pool_fini(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scores_are_what_the_formula_says),
		cmocka_unit_test(test_stale_numbers_are_missing),
		cmocka_unit_test(test_every_score_is_between_0_and_1),
		cmocka_unit_test(test_scores_follow_the_numbers),
		cmocka_unit_test(test_who_passes_is_who_compares_true),
		cmocka_unit_test(test_a_stale_number_is_missing_to_the_filter_too),
		cmocka_unit_test(test_verdicts_belong_to_rows),
		cmocka_unit_test(test_nobody_told_anything),
		cmocka_unit_test(test_bad_parameters_are_told),
		cmocka_unit_test(test_a_slash_is_taken_where_the_producer_is_told),
		cmocka_unit_test(test_plugins_are_found_by_the_names_of_llm_d),
		cmocka_unit_test(test_what_is_kept_is_what_was_told_last),
	};

	return cmocka_run_group_tests_name("attributes", tests, setup, teardown);
}
