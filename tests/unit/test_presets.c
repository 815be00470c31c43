/*
 * Documents as llm-d's guides and charts have them, written anew: of each
 * in tests/presets, NAME.yaml is what is read and NAME.report what is told of it. And
 * README.md's list of all types. Run from the top of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "conf.h"
#include "fault.h"
#include "options.h"
#include "picker_config.h"
#include "picker_config_types.h"
#include "plugin.h"
#include "presets.h"
#include "yaml.h"

#define SINGLE "single-profile-handler"

enum { TEXT_MAX = 64 << 10 };

/*
 * What each preset comes down to: names in their order, weights of the scorers; of
 * several profiles each begins with its own name.
 */
static const struct known {
	const char *name, *filters, *scorers, *picker, *handler;
} known[] = {
	{ "affinity-token-load", " prefix-cache-affinity-filter",
	    " token-load-scorer*1", "max-score-picker", SINGLE },
	{ "data-parallel", " decode-filter", " prefix-cache-scorer*2",
	    "max-score-picker", "data-parallel-profile-handler" },
	{ "default", "", " queue-scorer*2 kv-cache-utilization-scorer*2"
	    " prefix-cache-scorer*3", "max-score-picker", SINGLE },
	{ "latency", " prefix-cache-affinity-filter slo-headroom-tier-filter"
	    " prefix-cache-affinity-filter", " latency-scorer*1",
	    "weighted-random-picker", SINGLE },
	{ "optimized-baseline", "", " queue-scorer*2"
	    " kv-cache-utilization-scorer*2 prefix-cache-scorer*3"
	    " no-hit-lru-scorer*2", "max-score-picker", SINGLE },
	{ "precise", " decode-filter", " prefix-cache-scorer*2"
	    " kv-cache-utilization-scorer*1 queue-scorer*1",
	    "max-score-picker", SINGLE },
	{ "payload-agnostic", "", " active-request-scorer*1"
	    " session-affinity-scorer*1", "max-score-picker", SINGLE },
	{ "prefill-decode", " prefill: prefill-filter"
	    " topology-affinity-filter decode: decode-filter",
	    " prefill: prefix-cache-scorer*2 queue-scorer*1"
	    " topology-affinity-scorer*1 decode: prefix-cache-scorer*2"
	    " queue-scorer*1", "max-score-picker", "disagg-profile-handler" },
	{ "encode-prefill-decode", " encode: encode-filter"
	    " prefill: prefill-filter decode: decode-filter",
	    " encode: prefill: queue-scorer*1 decode: queue-scorer*1",
	    "max-score-picker", "disagg-profile-handler" },
	{ "stage-by-header", " encode: encode-filter prefill: prefill-filter"
	    " decode: decode-filter", " encode: prefill: queue-scorer*1"
	    " decode: queue-scorer*1 kv-cache-utilization-scorer*1",
	    "max-score-picker", "header-profile-handler" },
};

enum { N_PRESETS = sizeof(known) / sizeof(*known) };

static char text[TEXT_MAX];

static const char *path_of(const char *name, const char *ending)
{
	static char path[512];

	snprintf(path, sizeof(path), "tests/presets/%s%s", name, ending);
	return path;
}

static const char *read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		fail_msg("no %s here: run it from the top of the tree", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	assert_true(n > 0 && n < sizeof(text) - 1);
	text[n] = '\0';
	return text;
}

static struct options *options_with(const char *scheduling)
{
	struct fault why = { 0 };
	struct options *o;
	char said[700], config[1024];

	snprintf(config, sizeof(config), "pools: [{name: p, file: /f, "
	    "scheduling: %s}]\nfeedback: {listen: 127.0.0.1:9003}\n",
	    scheduling);
	o = options_parse("f", span_of(config), &why);
	if (o == NULL)
		fail_msg("%s", fault_text(&why, said, sizeof(said)));
	return o;
}

/* By its absolute path, as an operator would. */
static struct options *options_by(const char *name)
{
	char *path = realpath(path_of(name, ".yaml"), NULL);
	struct options *o;

	assert_non_null(path);
	o = options_with(path);
	free(path);
	return o;
}

/* Behind what is there already. */
static void put(char *out, size_t len, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void put(char *out, size_t len, const char *fmt, ...)
{
	size_t n = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	assert_true((size_t)vsnprintf(out + n, len - n, fmt, ap) < len - n);
	va_end(ap);
}

static void describe(const struct profile *p, bool is_one, char *filters,
    char *scorers, size_t len)
{
	if (!is_one) {
		put(filters, len, " %s:", p->name);
		put(scorers, len, " %s:", p->name);
	}
	for (size_t k = 0; k < p->n_filters; k++)
		put(filters, len, " %s", p->filters[k].filter->name);
	for (size_t k = 0; k < p->n_scorers; k++)
		put(scorers, len, " %s*%g", p->scorers[k].scorer->name,
		    (double)p->scorers[k].weight);
}

static void expect_schedule(const struct schedule *s, const struct known *want)
{
	char filters[512] = "", scorers[512] = "";

	for (size_t k = 0; k < s->n_profiles; k++) {
		describe(&s->profiles[k], s->n_profiles == 1, filters, scorers,
		    sizeof(filters));
		assert_string_equal(s->profiles[k].picker->name, want->picker);
	}
	assert_string_equal(filters, want->filters);
	assert_string_equal(scorers, want->scorers);
	assert_string_equal(s->handler->name, want->handler);
}

static void test_each_preset_comes_down_to_what_llm_d_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PRESETS; i++) {
		struct options *o = options_by(known[i].name);

		expect_schedule(o->pools[0].schedule, &known[i]);
		options_free(o);
	}
}

/* Those that a pool may name: all of them, and nothing of them is not honoured. */
static void test_each_named_preset_is_a_profile(void **state)
{
	static const struct known named[] = {
		{ "default", "", " queue-scorer*2 kv-cache-utilization-scorer*2"
		    " prefix-cache-scorer*3", "max-score-picker", SINGLE },
		{ "sticky", " prefix-cache-affinity-filter",
		    " token-load-scorer*1", "max-score-picker", SINGLE },
		{ "fastest", "", " expected-ttft-scorer*1",
		    "max-score-picker", SINGLE },
	};
	size_t i;

	(void)state;
	for (i = 0; preset_at(i) != NULL; i++) {
		struct options *o = options_with(preset_at(i)->name);
		const struct picker_config *c = o->pools[0].scheduling;

		assert_string_equal(preset_at(i)->name, named[i].name);
		expect_schedule(o->pools[0].schedule, &named[i]);
		for (size_t k = 0; k < c->n_lines; k++)
			assert_int_not_equal(c->lines[k].verdict,
			    MIGRATION_NOT_HONOURED);
		options_free(o);
	}
	assert_int_equal(i, sizeof(named) / sizeof(*named));
}

/* Written out, the default is the one that needs no document. */
static void expect_default(struct options *o)
{
	const struct profile *p = o->pools[0].schedule->profiles;

	assert_ptr_equal(p->picker, profile_default.picker);
	assert_int_equal(p->n_filters, profile_default.n_filters);
	assert_int_equal(p->n_scorers, profile_default.n_scorers);
	for (size_t i = 0; i < p->n_scorers; i++) {
		const struct weighted_scorer *a = &p->scorers[i];
		const struct weighted_scorer *b = &profile_default.scorers[i];

		assert_ptr_equal(a->scorer, b->scorer);
		assert_float_equal(a->weight, b->weight, 0);
		assert_int_equal(a->params == NULL, b->params == NULL);
		if (a->params != NULL)
			assert_memory_equal(a->params, b->params,
			    a->scorer->params->size);
	}
	options_free(o);
}

static void test_the_default_is_ours(void **state)
{
	(void)state;
	expect_default(options_by("default"));
	expect_default(options_with("default"));
}

static void test_what_a_preset_says_of_the_pool_is_taken(void **state)
{
	struct options *o = options_by("optimized-baseline");

	(void)state;
	assert_int_equal(o->pools[0].prefix.block_tokens, 64);
	assert_int_equal(o->pools[0].prefix.max_match_tokens, 100000);
	assert_int_equal(o->pools[0].prefix.capacity_tokens, 31250 * 64);
	options_free(o);
	o = options_by("affinity-token-load");
	assert_int_equal(o->pools[0].prefix.max_match_tokens, 131072);
	assert_float_equal(o->pools[0].saturation.queue_depth, 5, 0);
	assert_int_equal(o->pools[0].saturation.stale_ms, 200);
	assert_false(o->pools[0].prefix.kv.enabled);
	options_free(o);
	o = options_by("precise");
	assert_true(o->pools[0].prefix.kv.enabled);
	assert_int_equal(o->pools[0].prefix.kv.port, 5557);
	assert_int_equal(o->pools[0].prefix.kv.replay_port, 5558);
	assert_string_equal(o->pools[0].prefix.kv.topic, "kv@");
	assert_int_equal(o->pools[0].prefix.block_tokens, 64);
	assert_true(o->pools[0].prefix.tokenizer.enabled);
	assert_int_equal(o->pools[0].prefix.tokenizer.api, TOKENIZER_RENDER);
	assert_string_equal(o->pools[0].prefix.tokenizer.host, "localhost");
	assert_int_equal(o->pools[0].prefix.tokenizer.port, 8000);
	assert_string_equal(o->pools[0].prefix.tokenizer.model,
	    "meta-llama/Llama-3.1-8B-Instruct");
	assert_int_equal(o->pools[0].prefix.tokenizer.timeout_ms, 5000);
	options_free(o);
}

/* ---- the reports ---- */

static void expect_report(const char *name)
{
	static char told[TEXT_MAX];
	struct arena *arena = arena_new(4096, 1 << 20);
	struct fault why = { 0 };
	struct picker_config *config;
	const char *path = path_of(name, ".yaml");
	struct conf_input in = { path, arena, &why };
	const struct conf *root = yaml_load(path, &yaml_limits_default, arena,
	    &why);
	FILE *out = fmemopen(told, sizeof(told), "w");

	assert_non_null(root);
	assert_non_null(out);
	assert_int_equal(picker_config_decode(&in, root, &config), 0);
	picker_config_report(config, out);
	fclose(out);
	arena_free(arena);
	if (strcmp(told, read_all(path_of(name, ".report"))) != 0)
		fail_msg("%s is not what is told:\n%s", path_of(name, ".report"),
		    told);
}

static void test_what_is_told_of_each_preset_is_as_written_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PRESETS; i++)
		expect_report(known[i].name);
}

/* A preset that no row is for would be tested by nobody. */
static void test_every_file_is_a_preset_of_ours(void **state)
{
	DIR *d = opendir("tests/presets");
	struct dirent *e;
	size_t n = 0;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		size_t len = strcspn(e->d_name, ".");
		bool is_known = len == 0;	/* . and .. */

		for (size_t i = 0; i < N_PRESETS; i++)
			is_known |= strlen(known[i].name) == len &&
			    strncmp(known[i].name, e->d_name, len) == 0;
		if (!is_known)
			fail_msg("%s is of no preset", e->d_name);
		n += len > 0;
	}
	closedir(d);
	assert_int_equal(n, 2 * N_PRESETS);
}

/* ---- README.md ---- */

/* The names in backticks behind "- **what**", up to the next such, each after a space. */
static void names_of(const char *what, char *out, size_t len)
{
	const char *at = read_all("README.md"), *end;
	char head[64];

	snprintf(head, sizeof(head), "\n- **%s**", what);
	at = strstr(at, head);
	if (at == NULL)
		fail_msg("README.md has no list of %s", what);
	at += strlen(head);
	end = at + strcspn(at, "\n");
	while (strncmp(end, "\n  ", 3) == 0)
		end += 1 + strcspn(end + 1, "\n");
	out[0] = '\0';
	while ((at = memchr(at, '`', (size_t)(end - at))) != NULL) {
		size_t n = strcspn(at + 1, "`");
		size_t used = strlen(out);

		snprintf(out + used, len - used, " %.*s", (int)n, at + 1);
		at += n + 2;
	}
}

static void test_the_readme_lists_what_there_is(void **state)
{
	char want[6][8192] = { "", "", "", "", "", "" }, got[8192];
	static const char *const lists[] = {
		"Filters", "Scorers", "Pickers", "Read, and without effect",
		"Profile handlers", "Deciders",
	};

	(void)state;
	for (size_t i = 0; filter_at(i) != NULL; i++)
		put(want[0], sizeof(want[0]), " %s", filter_at(i)->name);
	for (size_t i = 0; scorer_at(i) != NULL; i++)
		put(want[1], sizeof(want[1]), " %s", scorer_at(i)->name);
	for (size_t i = 0; picker_at(i) != NULL; i++)
		put(want[2], sizeof(want[2]), " %s", picker_at(i)->name);
	for (size_t i = 0; other_type_at(i) != NULL; i++)
		if (other_type_at(i)->verdict == MIGRATION_NOT_HONOURED)
			put(want[3], sizeof(want[3]), " %s",
			    other_type_at(i)->name);
	for (size_t i = 0; handler_at(i) != NULL; i++)
		put(want[4], sizeof(want[4]), " %s", handler_at(i)->name);
	for (size_t i = 0; decider_at(i) != NULL; i++)
		put(want[5], sizeof(want[5]), " %s", decider_at(i)->name);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		names_of(lists[i], got, sizeof(got));
		if (strcmp(want[i], got) != 0)
			fail_msg("README.md's %s:\n%s\nare, in this order:\n%s",
			    lists[i], got, want[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_each_preset_comes_down_to_what_llm_d_does),
		cmocka_unit_test(test_each_named_preset_is_a_profile),
		cmocka_unit_test(test_the_default_is_ours),
		cmocka_unit_test(test_what_a_preset_says_of_the_pool_is_taken),
		cmocka_unit_test(
		    test_what_is_told_of_each_preset_is_as_written_down),
		cmocka_unit_test(test_every_file_is_a_preset_of_ours),
		cmocka_unit_test(test_the_readme_lists_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
