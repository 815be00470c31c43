/* Which model is asked for: rules as a pool has them, requests as HAProxy shows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "fault.h"
#include "help.h"
#include "model_rewrite.h"
#include "options.h"
#include "rng.h"

#define POOL "pools:\n- name: p\n  file: /f\n  modelRewrites:\n"

static struct options *options;
static struct arena *arena;
static struct rng rng = { 1 };
static struct ask ask;
static char header_block[2048];

static void use(const char *rules)
{
	struct fault why = { 0 };
	char text[4096], said[512];

	snprintf(text, sizeof(text), POOL "%s", rules);
	options_free(options);
	options = options_parse("f", span_of(text), &why);
	if (options == NULL)
		fail_msg("%s", fault_text(&why, said, sizeof(said)));
}

static struct request request_of(const char *body, const char *const *headers)
{
	const struct rewriting by = { options->pools[0].rewrites, &rng };
	struct request r;

	ask = help_ask("/v1/completions", body);
	if (headers != NULL)
		ask.headers = help_headers(headers, header_block,
		    sizeof(header_block));
	request_parse(&r, &ask, HELP_BLOCK_BYTES, 2048, &by, arena);
	return r;
}

static const char rules[] =
    "  - matches: [{model: {value: food}}, {model: {type: Exact, value: meal}}]\n"
    "    targets: [{modelRewrite: food-v1}]\n"
    "  - targets: [{modelRewrite: 'the \"base\"\\'}]\n"
    "  - matches: [{model: {value: food}}, {model: {value: late}}]\n"
    "    targets: [{modelRewrite: younger}]\n"
    "  - targets: [{modelRewrite: younger}]\n";

static const struct {
	const char *body;
	const char *target;		/* "": left alone */
	const char *model;		/* as it is hashed */
	uint64_t at;
	uint32_t len;
} examples[] = {
	{ "{\"model\":\"food\",\"prompt\":\"p\"}", "food-v1", "food-v1", 10, 4 },
	{ "{\"model\" : \"meal\",\"prompt\":\"p\"}", "food-v1", "food-v1", 12, 4 },
	{ "{\"prompt\":\"p\",\"model\":\"late\"}", "younger", "younger", 23, 4 },
	/* The name is what it means, and what is to be replaced what stands there. */
	{ "{\"model\":\"\\u0066ood\",\"prompt\":\"p\"}", "food-v1", "food-v1",
	    10, 9 },
	{ "{\"model\":\"fo\",\"prompt\":\"p\"}", "the \"base\"\\",
	    "the \\\"base\\\"\\\\", 10, 2 },
	{ "{\"model\":\"foods\",\"prompt\":\"p\"}", "the \"base\"\\",
	    "the \\\"base\\\"\\\\", 10, 5 },
	{ "{\"model\":\"Food\",\"prompt\":\"p\"}", "the \"base\"\\",
	    "the \\\"base\\\"\\\\", 10, 4 },
	{ "{\"model\":\"fo\\u0000d\",\"prompt\":\"p\"}", "the \"base\"\\",
	    "the \\\"base\\\"\\\\", 10, 9 },
	/* As it is already. */
	{ "{\"model\":\"the \\\"base\\\"\\\\\",\"prompt\":\"p\"}", "",
	    "the \\\"base\\\"\\\\", 0, 0 },
	/* Of two the last is what counts for engines, and so for us. */
	{ "{\"model\":\"late\",\"model\":\"food\",\"prompt\":\"p\"}", "food-v1",
	    "food-v1", 25, 4 },
	/* Inside of something else it is no model. */
	{ "{\"x\":{\"model\":\"food\"},\"model\":\"late\",\"prompt\":\"p\"}",
	    "younger", "younger", 31, 4 },
};

static void test_the_rule_that_names_it_else_the_one_that_names_none(
    void **state)
{
	(void)state;
	use(rules);
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		struct request r = request_of(examples[i].body, NULL);

		assert_int_equal(r.status, 0);
		if (!span_is_text(r.target, examples[i].target) ||
		    !span_is_text(r.model, examples[i].model) ||
		    r.target_at != examples[i].at ||
		    r.target_len != examples[i].len)
			fail_msg("%s: %.*s, %.*s, %d %d", examples[i].body,
			    (int)r.target.len, r.target.ptr, (int)r.model.len,
			    r.model.ptr, (int)r.target_at, (int)r.target_len);
		if (r.target.len == 0)
			continue;
		/* Behind a quote, and up to one. */
		assert_int_equal(ask.body.ptr[r.target_at - 1], '"');
		assert_int_equal(ask.body.ptr[r.target_at + r.target_len], '"');
	}
}

static void test_what_has_no_model_that_we_see_is_left_alone(void **state)
{
	static const char *const bodies[] = {
		"{\"prompt\":\"p\"}", "{\"model\":7,\"prompt\":\"p\"}",
		"{\"model\":null,\"prompt\":\"p\"}", "{\"model\":\"\"}", "[]",
		"{\"model\":\"food\"", "{\"model\":\"food\",}",
	};

	(void)state;
	use(rules);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		struct request r = request_of(bodies[i], NULL);

		assert_int_equal(r.target.len, 0);
		assert_int_equal(r.status, 400);
	}
}

/* Cut anywhere: it is seen whole, or it is not rewritten. */
static void test_a_model_behind_the_cut_is_left_alone(void **state)
{
	static const char body[] =
	    "{\"prompt\":\"p\",\"model\":\"food\",\"stream\":true}";
	const struct rewriting by = { NULL, &rng };
	struct rewriting all = by;

	(void)state;
	use(rules);
	all.rules = options->pools[0].rewrites;
	for (size_t len = 1; len < sizeof(body) - 1; len++) {
		struct ask cut = help_cut(help_ask("/v1/completions", body), len);
		struct request r;

		request_parse(&r, &cut, HELP_BLOCK_BYTES, 2048, &all, arena);
		assert_int_equal(r.status, 0);
		assert_int_equal(r.target.len > 0, len >= 28);
		assert_true(r.target_at + r.target_len <= len);
	}
}

static const struct {
	const char *const headers[5];
	const char *model, *target;
} forced[] = {
	{ { "x-llm-d-model-name-rewrite", "x" }, "other", "x" },
	{ { "X-Gateway-Model-Name-Rewrite", "y" }, "other", "y" },
	{ { "x-gateway-model-name-rewrite", "y",
	    "x-llm-d-model-name-rewrite", "x" }, "other", "x" },
	/* A rule says otherwise: director.go asks it last. */
	{ { "x-llm-d-model-name-rewrite", "x" }, "food", "food-v1" },
	{ { "x-llm-d-model-name-rewrite", "other" }, "other", "" },
	{ { "x-llm-d-model-name-rewrite", "" }, "other", "" },
	{ { "x-llm-d-model-name-rewrite", "a\nb" }, "other", "" },
};

static void test_a_header_may_say_so_where_no_rule_does(void **state)
{
	char body[64], name[MODEL_NAME_MAX + 2];
	const char *const headers[] = { "x-llm-d-model-name-rewrite", name,
		NULL };

	(void)state;
	use("  - matches: [{model: {value: food}}]\n"
	    "    targets: [{modelRewrite: food-v1}]\n");
	for (size_t i = 0; i < sizeof(forced) / sizeof(*forced); i++) {
		struct request r;

		snprintf(body, sizeof(body),
		    "{\"model\":\"%s\",\"prompt\":\"p\"}", forced[i].model);
		r = request_of(body, forced[i].headers);
		if (!span_is_text(r.target, forced[i].target))
			fail_msg("%zu: %.*s", i, (int)r.target.len,
			    r.target.ptr);
	}
	memset(name, 'n', sizeof(name));
	for (size_t n = MODEL_NAME_MAX; n <= MODEL_NAME_MAX + 1; n++) {
		struct request r;

		name[n] = '\0';
		r = request_of("{\"model\":\"other\",\"prompt\":\"p\"}", headers);
		assert_int_equal(r.target.len, n <= MODEL_NAME_MAX ? n : 0);
		name[n] = 'n';
	}
}

/* An empty list is a wish too: the header counts. No list: nothing does. */
static void test_without_the_key_models_are_left_alone(void **state)
{
	struct fault why = { 0 };

	(void)state;
	use("    []\n");
	assert_non_null(options->pools[0].rewrites);
	assert_true(span_is_text(request_of(
	    "{\"model\":\"other\",\"prompt\":\"p\"}", forced[0].headers).target,
	    "x"));
	options_free(options);
	options = options_parse("f", span_of("pools: [{name: p, file: /f}]"),
	    &why);
	assert_null(options->pools[0].rewrites);
}

/* 10,000 of 1:2:7: 1000, 2000, 7000; sigma is 46 at most. */
static void test_chance_goes_by_weight(void **state)
{
	static const struct {
		const char *targets;
		unsigned want[3];
	} weights[] = {
		{ "{modelRewrite: a, weight: 1}, {modelRewrite: b, weight: 2},"
		    " {modelRewrite: c, weight: 7}", { 1000, 2000, 7000 } },
		{ "{modelRewrite: a}, {modelRewrite: b}, {modelRewrite: c}",
		    { 3333, 3333, 3333 } },
		{ "{modelRewrite: a, weight: 1000000}, {modelRewrite: b,"
		    " weight: 1}", { 10000, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(weights) / sizeof(*weights); i++) {
		unsigned hits[3] = { 0 };
		char text[256];

		snprintf(text, sizeof(text), "  - targets: [%s]\n",
		    weights[i].targets);
		use(text);
		for (int k = 0; k < 10000; k++) {
			struct request r = request_of(
			    "{\"model\":\"m\",\"prompt\":\"p\"}", NULL);

			assert_int_equal(r.target.len, 1);
			hits[r.target.ptr[0] - 'a']++;
			arena_reset(arena);
		}
		for (size_t k = 0; k < 3; k++)
			assert_in_range(hits[k], weights[i].want[k] > 250 ?
			    weights[i].want[k] - 250 : 0,
			    weights[i].want[k] + 250);
	}
}

/* What is asked of the engine is what its cache is of. */
static void test_prompts_are_hashed_with_the_target(void **state)
{
	uint64_t direct, rewritten, other;

	(void)state;
	use("  - matches: [{model: {value: food}}]\n"
	    "    targets: [{modelRewrite: food-v1}]\n");
	rewritten = request_of("{\"model\":\"food\",\"prompt\":\"p\"}",
	    NULL).blocks[0];
	direct = request_of("{\"model\":\"food-v1\",\"prompt\":\"p\"}",
	    NULL).blocks[0];
	other = request_of("{\"model\":\"fool\",\"prompt\":\"p\"}",
	    NULL).blocks[0];
	assert_true(rewritten == direct);
	assert_true(rewritten != other);
}

static const struct {
	const char *rules;
	unsigned line;
	const char *found, *want;
} faults[] = {
	{ "  - targets: []\n", 5, "targets", "" },
	{ "  - matches: []\n", 5, "targets", "" },
	{ "  - targets: [{modelRewrite: a, weight: 1}, {modelRewrite: b}]\n", 5,
	    "some have a weight", "for none" },
	{ "  - targets: [{modelRewrite: a, weight: 0}]\n", 5, "weight: 0", "1" },
	{ "  - targets: [{modelRewrite: a, weight: 1000001}]\n", 5,
	    "weight: 1000001", "1000000" },
	{ "  - targets: [{modelRewrite: ''}]\n", 5, "modelRewrite", "" },
	{ "  - targets: [{modelRewrite: \"a\\tb\"}]\n", 5, "modelRewrite",
	    "control" },
	{ "  - targets: [{model: a}]\n", 5, "unknown key model",
	    "modelRewrite" },
	{ "  - matches: [{model: {type: Prefix, value: a}}]\n"
	    "    targets: [{modelRewrite: a}]\n", 5, "type: Prefix", "Exact" },
	{ "  - matches: [{model: {type: Exact}}]\n"
	    "    targets: [{modelRewrite: a}]\n", 5, "without value", "" },
	{ "  - matches: [{}]\n    targets: [{modelRewrite: a}]\n", 5,
	    "without model", "" },
	{ "  - matches: [{model: a}]\n    targets: [{modelRewrite: a}]\n", 5,
	    "model: a", "" },
};

static void test_what_is_wrong_says_where_and_what_would_be_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		struct fault why = { 0 };
		char text[512];

		snprintf(text, sizeof(text), POOL "%s", faults[i].rules);
		assert_null(options_parse("f", span_of(text), &why));
		if (why.line != faults[i].line ||
		    strstr(why.found, faults[i].found) == NULL ||
		    strstr(why.want, faults[i].want) == NULL)
			fail_msg("%s: %u: %s; want: %s", faults[i].rules,
			    why.line, why.found, why.want);
	}
}

/* Too small an arena: it is left alone, whole. */
static void test_without_memory_it_is_left_alone(void **state)
{
	struct rewriting by;

	(void)state;
	use(rules);
	by = (struct rewriting){ options->pools[0].rewrites, &rng };
	ask = help_ask("/v1/completions", examples[0].body);
	for (size_t max = 1; max < 2048; max += 7) {
		struct arena *small = arena_new(1, max);
		struct request r;

		request_parse(&r, &ask, HELP_BLOCK_BYTES, 2048, &by, small);
		assert_true(r.target.len == 0 ? span_is_text(r.model, "food") :
		    span_is_text(r.model, "food-v1") && r.target_len == 4);
		arena_free(small);
	}
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 16, 1 << 20);
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	options_free(options);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_the_rule_that_names_it_else_the_one_that_names_none),
		cmocka_unit_test(
		    test_what_has_no_model_that_we_see_is_left_alone),
		cmocka_unit_test(test_a_model_behind_the_cut_is_left_alone),
		cmocka_unit_test(test_a_header_may_say_so_where_no_rule_does),
		cmocka_unit_test(test_without_the_key_models_are_left_alone),
		cmocka_unit_test(test_chance_goes_by_weight),
		cmocka_unit_test(test_prompts_are_hashed_with_the_target),
		cmocka_unit_test(
		    test_what_is_wrong_says_where_and_what_would_be_right),
		cmocka_unit_test(test_without_memory_it_is_left_alone),
	};

	return cmocka_run_group_tests_name("model_rewrite", tests, setup,
	    teardown);
}
