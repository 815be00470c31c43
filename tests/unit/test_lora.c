/*
 * Expected scores are worked out by hand from llm-d-router's formula: in use 1; fewer
 * names than max_lora 0.8; waited for 0.6; else 0. Only the count differs: a name in
 * both lists is one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "help.h"
#include "lora.h"
#include "plugins/plugins.h"
#include "rng.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

enum { N_MAX = 8 };

static const struct lora_labels vllm = { "max_lora", "running_lora_adapters",
	"waiting_lora_adapters" };

/* The labels of a page, read; the caller frees it. */
static struct lora_set *read_labels(struct span raw)
{
	struct lora_set *set = malloc(lora_bytes(LORA_ADAPTERS_MAX));

	lora_read(set, raw, &vllm);
	return set;
}

static struct lora_set *set_of(const char *max, const char *running,
    const char *waiting)
{
	char raw[8192];

	snprintf(raw, sizeof(raw), "max_lora=\"%s\",running_lora_adapters=\"%s\","
	    "waiting_lora_adapters=\"%s\"", max, running, waiting);
	return read_labels(span_of(raw));
}

static enum lora_state find(const struct lora_set *set, const char *name)
{
	return lora_find(set, lora_name(span_of(name)));
}

/* ---- sets ---- */

/* In whichever order the page has the labels, and whatever else it has. */
static void test_labels_may_come_in_any_order(void **state)
{
	static const char *const raws[] = {
		"max_lora=\"3\",running_lora_adapters=\"r\","
		    "waiting_lora_adapters=\"w\"",
		"waiting_lora_adapters=\"w\",running_lora_adapters=\"r\","
		    "max_lora=\"3\"",
		" engine = \"0\" , waiting_lora_adapters=\"w,r\","
		    "model_name=\"x,y\",max_lora=\"3\","
		    "running_lora_adapters=\"r\",",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(raws); i++) {
		struct lora_set *set = read_labels(span_of(raws[i]));

		assert_int_equal(set->max, 3);
		assert_int_equal(set->n, 2);
		assert_int_equal(find(set, "r"), LORA_RUNNING);
		assert_int_equal(find(set, "w"), LORA_WAITING);
		assert_int_equal(find(set, "x"), LORA_ABSENT);
		assert_int_equal(find(set, ""), LORA_ABSENT);
		free(set);
	}
}

/* One that is too long is not kept, and takes a place that we cannot count. */
static void test_a_name_too_long_makes_it_full(void **state)
{
	char names[LORA_NAME_MAX + 8];

	(void)state;
	for (size_t len = LORA_NAME_MAX - 1; len <= LORA_NAME_MAX; len++) {
		struct lora_set *set;

		memset(names, 'x', len);
		snprintf(names + len, sizeof(names) - len, ",a");
		set = set_of("9", names, "w");
		assert_int_equal(find(set, "a"), LORA_RUNNING);
		assert_int_equal(find(set, "w"), LORA_WAITING);
		assert_int_equal(set->n, len < LORA_NAME_MAX ? 3 : 2);
		assert_int_equal(lora_has_room(set), len < LORA_NAME_MAX);
		free(set);
	}
}

/* Both lists of vLLM have the same keys: 64 of 65 are room, and no one is cut. */
static void test_the_same_names_twice_need_no_more_room(void **state)
{
	char names[LORA_ADAPTERS_MAX * 8], more[sizeof(names) + 8];
	struct lora_set *set;
	size_t len = 0;

	(void)state;
	for (int i = 0; i < LORA_ADAPTERS_MAX; i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len,
		    "%sn%d", i > 0 ? "," : "", i);
	set = set_of("65", names, names);
	assert_int_equal(set->n, LORA_ADAPTERS_MAX);
	assert_false(set->is_cut);
	assert_true(lora_has_room(set));
	free(set);
	snprintf(more, sizeof(more), "%s,one", names);
	set = set_of("99", names, more);
	assert_true(set->is_cut);
	assert_false(lora_has_room(set));
	assert_int_equal(find(set, "n63"), LORA_RUNNING);
	free(set);
}

/* Any cut of any labels, and any bytes: what comes out holds together. */
static void test_hostile_labels_make_a_sound_set(void **state)
{
	static const char alphabet[] = "a,=\"\\ n}maxlor_1";
	static const char good[] = "max_lora=\"3\",running_lora_adapters=\"a,\\\\,"
	    "\\\"\",waiting_lora_adapters=\"b\\";
	struct rng rng = { 11 };
	char raw[512];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t head = rng_below(&rng, sizeof(good)), len = head;
		struct lora_set *set;

		memcpy(raw, good, head);
		while (len < sizeof(raw) && rng_below(&rng, 40) > 0)
			raw[len++] = alphabet[rng_below(&rng,
			    sizeof(alphabet) - 1)];
		set = read_labels((struct span){ raw, len });
		assert_true(set->n_running <= set->n);
		assert_true(set->n <= LORA_ADAPTERS_MAX);
		for (size_t i = 0; i < set->n; i++)
			assert_int_equal(lora_find(set, set->names[i]),
			    i < set->n_running ? LORA_RUNNING : LORA_WAITING);
		free(set);
	}
}

/* ---- the scorer ---- */

static struct help_pool pool;
static struct endpoint_extras extras[N_MAX];
static struct request request;
static uint32_t rows[N_MAX], unsettled[N_MAX];
static uint16_t matched[N_MAX];

struct told {
	const char *max, *running, *waiting;	/* max NULL: it tells nothing */
	enum endpoint_health health;
};

static void forget(void)
{
	for (size_t i = 0; i < N_MAX; i++) {
		free((void *)extras[i].lora);
		extras[i].lora = NULL;
	}
}

static struct choice choice_of(const struct told *told, size_t n,
    const char *model)
{
	forget();
	for (size_t i = 0; i < n; i++) {
		if (told[i].max != NULL)
			extras[i].lora = set_of(told[i].max, told[i].running,
			    told[i].waiting);
		pool.stats[i].health = (uint8_t)told[i].health;
		rows[i] = (uint32_t)i;
	}
	pool.view.extras = extras;
	request.model = span_of(model);
	return (struct choice){ .view = &pool.view, .request = &request,
		.rows = rows, .n = n, .unsettled = unsettled,
		.matched = matched };
}

#define STALE ENDPOINT_STALE

static const struct {
	const char *model;
	size_t n;
	struct told told[N_MAX];
	float want[N_MAX];
} known[] = {
	/* In use; room (1 < 2); full and absent. */
	{ "a", 3, { { "2", "a,b", "", 0 }, { "2", "b", "", 0 }, { "2", "b,c", "", 0 } },
	    { 1, .8f, 0 } },
	/* Waited for: full 0.6; with room 0.8, as llm-d tests room first. */
	{ "a", 2, { { "2", "b,c", "a", 0 }, { "4", "b,c", "a", 0 } }, { .6f, .8f } },
	/* One is running and two wait: 3 of 3, although one only runs. */
	{ "d", 2, { { "3", "a", "b,c", 0 }, { "4", "a", "b,c", 0 } }, { 0, .8f } },
	/* vLLM's twins: 2 of 4 adapters, where llm-d counts 4 and sees it full. */
	{ "c", 1, { { "4", "a,b", "a,b", 0 } }, { .8f } },
	{ "b", 1, { { "1", "b", "b", 0 } }, { 1 } },
	/* Idle, and started without adapters. */
	{ "a", 2, { { "1", "", "", 0 }, { "0", "", "", 0 } }, { .8f, 0 } },
	{ "a", 2, { { NULL, "", "", 0 }, { "1", "a", "", 0 } }, { 0, 1 } },
	/* No number of places: what is in use counts all the same. */
	{ "a", 2, { { "", "a", "", 0 }, { "", "b", "", 0 } }, { 1, 0 } },
	/* Stale: the worst, whatever it said. */
	{ "a", 2, { { "4", "a", "", STALE }, { "4", "a", "", 0 } }, { 0, 1 } },
	{ "a", 1, { { "4", "a", "", ENDPOINT_DOWN } }, { 0 } },
	/* The base model is an adapter that nobody has: where there is room. */
	{ "meta-llama/Llama-3.1-8B", 2, { { "1", "a", "", 0 }, { "2", "a", "", 0 } },
	    { 0, .8f } },
	{ "", 1, { { "1", "a", "", 0 } }, { 0 } },
	/* The same name, escaped as JSON does and as Prometheus does. */
	{ "\\u0061", 1, { { "1", "a", "", 0 } }, { 1 } },
	{ "org\\/a", 1, { { "1", "org/a", "", 0 } }, { 1 } },
	{ "x\\\"y\\\\z", 1, { { "1", "x\\\"y\\\\z", "", 0 } }, { 1 } },
	{ "\\u00e9", 1, { { "1", "\xc3\xa9", "", 0 } }, { 1 } },
	/* A part of a name is no name. */
	{ "a", 1, { { "1", "ab,ba", "", 0 } }, { 0 } },
	{ "a,b", 1, { { "2", "a,b", "", 0 } }, { 0 } },
};

static void test_scores_are_what_the_formula_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		struct choice c = choice_of(known[i].told, known[i].n,
		    known[i].model);
		float got[N_MAX];

		scorer_lora_affinity.score(&c, NULL, got);
		for (size_t k = 0; k < known[i].n; k++)
			if (got[k] != known[i].want[k])
				fail_msg("row %zu: %zu is %f", i, k,
				    (double)got[k]);
	}
	forget();
}

static void test_a_pool_without_adapters_has_no_opinion(void **state)
{
	static const struct told told[N_MAX];
	struct choice c = choice_of(told, N_MAX, "a");
	float got[N_MAX];

	(void)state;
	pool.view.extras = NULL;
	scorer_lora_affinity.score(&c, NULL, got);
	for (size_t i = 0; i < N_MAX; i++)
		assert_true(got[i] == 0);
}

/* One that no engine can have, escaped beyond what we unescape: absent. */
static void test_a_model_of_any_length_is_scored(void **state)
{
	static const struct told told[] = { { "2", "a", "", 0 } };
	static char model[65536];
	float got;

	(void)state;
	for (size_t len = 1; len < sizeof(model); len *= 2) {
		for (size_t i = 0; i < len; i++)
			model[i] = i % 2 == 0 ? '\\' : 'n';
		struct choice c = choice_of(told, 1, "");

		request.model = (struct span){ model, len };
		scorer_lora_affinity.score(&c, NULL, &got);
		assert_true(got == .8f);
	}
	forget();
}

/* Candidates are rows in any order and any number; each has the score of its row. */
static void test_scores_belong_to_rows(void **state)
{
	static const struct told told[N_MAX] = {
		{ "2", "a", "", 0 }, { "2", "b,c", "a", 0 }, { "9", "", "", 0 },
		{ "1", "b", "", 0 }, { NULL, "", "", 0 }, { "2", "a", "", STALE },
		{ "1", "", "a", 0 }, { "3", "b", "c,a", 0 },
	};
	static const float want[N_MAX] = { 1, .6f, .8f, 0, 0, 0, .6f, .6f };
	struct choice c = choice_of(told, N_MAX, "a");
	struct rng rng = { 12 };

	(void)state;
	for (int round = 0; round < 1000; round++) {
		float got[N_MAX];

		c.n = rng_below(&rng, N_MAX + 1);
		for (size_t i = 0; i < N_MAX; i++) {
			size_t k = rng_below(&rng, (uint32_t)(i + 1));

			rows[i] = rows[k];
			rows[k] = (uint32_t)i;
		}
		scorer_lora_affinity.score(&c, NULL, got);
		for (size_t i = 0; i < c.n; i++)
			assert_true(got[i] == want[rows[i]]);
	}
	forget();
}

static void test_the_scorer_is_in_the_table_and_takes_nothing(void **state)
{
	(void)state;
	assert_ptr_equal(scorer_find("lora-affinity-scorer"),
	    &scorer_lora_affinity);
	assert_null(scorer_lora_affinity.params);
}

static int setup(void **state)
{
	(void)state;
	help_pool_init(&pool, "pool", N_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels_may_come_in_any_order),
		cmocka_unit_test(test_a_name_too_long_makes_it_full),
		cmocka_unit_test(test_the_same_names_twice_need_no_more_room),
		cmocka_unit_test(test_hostile_labels_make_a_sound_set),
		cmocka_unit_test(test_scores_are_what_the_formula_says),
		cmocka_unit_test(test_a_pool_without_adapters_has_no_opinion),
		cmocka_unit_test(test_a_model_of_any_length_is_scored),
		cmocka_unit_test(test_scores_belong_to_rows),
		cmocka_unit_test(test_the_scorer_is_in_the_table_and_takes_nothing),
	};

	return cmocka_run_group_tests_name("lora", tests, setup, teardown);
}
