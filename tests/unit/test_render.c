/*
 * test_render.c - every feature is text that HAProxy accepts; the same plan is the same
 * text; what cannot be is told
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "arena.h"
#include "output.h"
#include "output_files.h"
#include "plans.h"
#include "render.h"
#include "rendered.h"

static const char *only_group(const struct output *o)
{
	assert_int_equal(o->maps[MAP_HOST].n, 1);
	return o->maps[MAP_HOST].items[0].value;
}

/* The rule of ids.json that an id stands for. */
static void assert_rule(const struct output *o, const char *id,
    const char *name)
{
	char want[128];

	assert_non_null(id);
	snprintf(want, sizeof(want), "{\"id\":\"%s\",\"kind\":\"HTTPRoute\","
	    "\"namespace\":\"ns\",\"name\":\"%s\"", id, name);
	assert_non_null(memmem(o->table.data, o->table.len, want,
	    strlen(want)));
}

static const char *path_value(const struct output *o, const char *path)
{
	char key[256];
	const char *value;

	snprintf(key, sizeof(key), "%s%s", only_group(o), path);
	value = rendered_value(o, MAP_EXACT, key);
	if (value != NULL)
		return value;
	snprintf(key, sizeof(key), "%s%s/", only_group(o), path);
	return rendered_prefix(o, key);
}

static void test_nothing_is_a_valid_configuration(void **state)
{
	struct plans p;
	struct rendered r;

	(void)state;
	plans_init(&p, 18080);
	p.plan.n_binds = 0;
	r = rendered_of(&p, 206);
	rendered_assert_valid(&r);
	rendered_drop(&r);
	plans_fini(&p);
}

static void test_paths_are_found_by_elements(void **state)
{
	static const struct { const char *path, *rule; } cases[] = {
		{ "/", "root" }, { "/foo", "foo" }, { "/foo/", "foo" },
		{ "/foo/x", "foo" }, { "/foobar", "root" },
		{ "/foo/bar", "bar" }, { "/foo/bar/", "foobar" },
		{ "/foo/bar/x", "foobar" }, { "/foo/barn", "foo" },
	};
	struct plans p;
	struct rendered r;

	(void)state;
	plans_init(&p, 18080);
	plans_match(&p, NULL, PLAN_PATH_EXACT, "/foo/bar",
	    plans_rule(&p, "bar"));
	plans_match(&p, NULL, PLAN_PATH_PREFIX, "/foo/bar",
	    plans_rule(&p, "foobar"));
	plans_match(&p, NULL, PLAN_PATH_PREFIX, "/foo", plans_rule(&p, "foo"));
	plans_match(&p, NULL, PLAN_PATH_PREFIX, "/", plans_rule(&p, "root"));
	r = rendered_of(&p, 206);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_rule(r.out, path_value(r.out, cases[i].path),
		    cases[i].rule);
	assert_int_equal(r.problems.n, 0);
	rendered_assert_valid(&r);
	rendered_drop(&r);
	plans_fini(&p);
}

/* "/foo" with a header; without it what "/" has is tried next. */
static void test_conditions_fall_through_to_shorter_prefixes(void **state)
{
	static const struct plan_test canary = { PLAN_TEST_HEADER, false,
		"x-env", "canary" };
	char key[64], want[64];
	struct plans p;
	struct plan_match *m;
	struct rendered r;
	const char *group;

	(void)state;
	plans_init(&p, 18080);
	m = plans_match(&p, NULL, PLAN_PATH_PREFIX, "/foo",
	    plans_rule(&p, "canary"));
	m->tests = &canary;
	m->n_tests = 1;
	plans_match(&p, NULL, PLAN_PATH_PREFIX, "/", plans_rule(&p, "root"));
	r = rendered_of(&p, 206);
	group = path_value(r.out, "/foo");
	assert_int_equal(group[0], 'C');
	snprintf(key, sizeof(key), "%s|1000000", group);
	assert_rule(r.out, rendered_value(r.out, MAP_PICK, key), "root");
	snprintf(key, sizeof(key), "%s|0", group);
	assert_rule(r.out, rendered_value(r.out, MAP_PICK, key), "canary");
	assert_int_equal(r.out->maps[MAP_CONDITION].n, 1);
	snprintf(want, sizeof(want), "|63616E617279");
	assert_non_null(strstr(r.out->maps[MAP_CONDITION].items[0].key, want));
	assert_rule(r.out, path_value(r.out, "/bar"), "root");
	rendered_assert_valid(&r);
	rendered_drop(&r);
	plans_fini(&p);
}

enum { MANY = 3000 };

/* MANY matches of one hostname and path: what each tests is tests[i]. */
static struct rendered rendered_of_many(struct plans *p,
    struct plan_test tests[MANY])
{
	plans_init(p, 8080);
	for (size_t i = 0; i < MANY; i++) {
		struct plan_match *m = plans_match(p, "a.example.com",
		    PLAN_PATH_PREFIX, "/", plans_rule(p, "r"));

		m->tests = &tests[i];
		m->n_tests = 1;
	}
	return rendered_of(p, 206);
}

static void assert_short_values(const struct output *o)
{
	for (size_t m = 0; m < OUTPUT_N_MAPS; m++)
		for (size_t i = 0; i < o->maps[m].n; i++)
			assert_true(strlen(o->maps[m].items[i].value) < 15000);
}

static void test_many_matches_of_a_header_are_one_schema(void **state)
{
	static struct plan_test tests[MANY];
	static char values[MANY][8];
	struct plans p;
	struct rendered r;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		/* The last one is the first again. */
		snprintf(values[i], sizeof(values[i]), "v%zu", i % (MANY - 1));
		tests[i] = (struct plan_test){ PLAN_TEST_HEADER, false,
			i % 2 == 0 ? "x-even" : "x-odd", values[i] };
	}
	tests[MANY - 1].name = "x-even";
	r = rendered_of_many(&p, tests);
	assert_int_equal(r.problems.n, 0);
	assert_int_equal(r.out->maps[MAP_USES].n, 1);
	/* Two schemas, two attributes, commas. */
	assert_int_equal(strlen(r.out->maps[MAP_USES].items[0].value),
	    1 + 4 * 12);
	assert_int_equal(r.out->maps[MAP_CONDITION].n, MANY - 1);
	assert_int_equal(r.out->maps[MAP_PICK].n, MANY - 1);
	assert_short_values(r.out);
	rendered_assert_valid(&r);
	rendered_drop(&r);
	plans_fini(&p);
}

/* Asked for by two hostnames, said once; of the same words in two routes, both. */
static void test_a_problem_is_told_once_an_object(void **state)
{
	struct plans p;
	struct rendered r;
	const struct plan_rule *first, *second;

	(void)state;
	plans_init(&p, 18080);
	first = plans_rule(&p, "first");
	second = plans_rule(&p, "second");
	plans_match(&p, "a.org", PLAN_PATH_REGEX, "/(", first);
	plans_match(&p, "b.org", PLAN_PATH_REGEX, "/(", first);
	plans_match(&p, "c.org", PLAN_PATH_REGEX, "/(", second);
	plans_match(&p, "d.org", PLAN_PATH_REGEX, "/[", second);
	r = rendered_of(&p, 206);
	assert_int_equal(r.problems.n, 3);
	assert_string_equal(r.problems.items[0].ref.name, "first");
	assert_string_equal(r.problems.items[1].ref.name, "second");
	assert_string_equal(r.problems.items[0].message,
	    r.problems.items[1].message);
	assert_non_null(strstr(r.problems.items[2].message, "/["));
	rendered_drop(&r);
	plans_fini(&p);
}

static void test_more_headers_than_a_group_has_place_for_are_told(void **state)
{
	static struct plan_test tests[MANY];
	static char names[MANY][8];
	struct plans p;
	struct rendered r;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "x-%zu", i);
		tests[i] = (struct plan_test){ PLAN_TEST_HEADER, false,
			names[i], "v" };
	}
	r = rendered_of_many(&p, tests);
	assert_int_equal(r.problems.n, 1);
	assert_non_null(strstr(r.problems.items[0].message, "Dropped Rule"));
	assert_in_range(r.out->maps[MAP_CONDITION].n, 500, MANY - 1);
	assert_short_values(r.out);
	rendered_assert_valid(&r);
	rendered_drop(&r);
	plans_fini(&p);
}

static void test_equal_policies_share_a_backend(void **state)
{
	static const struct plan_header header = { "x-a", "1" };
	static const struct plan_header_edits edits = { .add = &header,
		.n_add = 1 };
	struct plans p;
	struct rendered r;
	char path[16][16];

	(void)state;
	plans_init(&p, 18080);
	for (int i = 0; i < 9; i++) {
		struct plan_rule *rule;

		snprintf(path[i], sizeof(path[i]), "/%d", i);
		rule = plans_rule(&p, path[i] + 1);
		if (i % 3 == 0)
			rule->filters.request = &edits;
		plans_match(&p, NULL, PLAN_PATH_PREFIX, path[i], rule);
	}
	r = rendered_of(&p, 206);
	assert_int_equal(rendered_count(r.out, "\nbackend B"), 2);
	assert_int_equal(r.out->maps[MAP_RULE].n, 9);
	rendered_drop(&r);
	plans_fini(&p);
}

static void test_a_split_has_its_weights(void **state)
{
	struct plans p;
	struct plan_rule *rule;
	struct plan_target *t;
	struct rendered r;
	size_t n[3] = { 0 };

	(void)state;
	plans_init(&p, 18080);
	rule = plans_rule(&p, "split");
	t = &p.targets[0];
	t[0].weight = 9;
	t[1] = (struct plan_target){ .backend = NULL, .weight = 1 };
	t[2] = (struct plan_target){ .backend = &p.service, .weight = 0 };
	rule->n_targets = 3;
	plans_match(&p, NULL, PLAN_PATH_PREFIX, "/", rule);
	r = rendered_of(&p, 206);
	assert_int_equal(rendered_value(r.out, MAP_RULE,
	    path_value(r.out, "/"))[0], 'T');
	for (size_t i = 0; i < r.out->maps[MAP_SPLIT].n; i++)
		if (r.out->maps[MAP_SPLIT].items[i].key[0] == 'D')
			n[r.out->maps[MAP_SPLIT].items[i].value[0] - '0']++;
	assert_int_equal(n[0], 900);
	assert_int_equal(n[1], 100);
	rendered_assert_valid(&r);
	rendered_drop(&r);
	plans_fini(&p);
}

/* ---- everything at once -------------------------------------------------- */

static const struct plan_header set[] = {
	{ "x-quote", "it's \"100%\" $HOME \\n #no %[src] {}" },
	{ "if", "unless" },
};
static const struct plan_header removed[] = { { "x-gone", NULL } };
static const struct plan_header_edits edits = {
	.set = set, .n_set = 2, .add = set, .n_add = 1, .remove = removed,
	.n_remove = 1,
};
static const char *const origins[] = { "https://a.example.com",
	"https://*.b.example.com", "http://[::1]:8080" };
static const char *const star[] = { "*" };
static const char *const methods[] = { "GET", "PUT" };
static const struct plan_cors cors[] = {
	{ .origins = origins, .n_origins = 3, .methods = methods,
	  .n_methods = 2, .headers = star, .n_headers = 1, .expose = methods,
	  .n_expose = 2, .allow_credentials = true, .max_age_s = 5 },
	{ .origins = star, .n_origins = 1, .methods = star, .n_methods = 1 },
};
static const struct plan_redirect redirects[] = {
	{ .scheme = "https", .status = 301 },
	{ .hostname = "a.example.com", .port = 8443, .status = 302 },
	{ .path_edit = PLAN_PATH_FULL, .path = "/a'b%20c", .status = 307 },
	{ .path_edit = PLAN_PATH_PREFIX_MATCH, .path = "/", .status = 308 },
};
static const struct plan_rewrite rewrites[] = {
	{ .hostname = "b.example.com", .path_edit = PLAN_PATH_PREFIX_MATCH,
	  .path = "/x+y\\1" },
	{ .path_edit = PLAN_PATH_PREFIX_MATCH, .path = "" },
	{ .path_edit = PLAN_PATH_FULL, .path = "/" },
};
static const uint16_t codes[] = { 500, 503 };
static const struct plan_retry retry = { .codes = codes, .n_codes = 2,
	.attempts = 3, .backoff_ms = PLAN_NOT_GIVEN };
static const struct plan_session sessions[] = {
	{ PLAN_SESSION_COOKIE, "sid", 3600000, 60000, true },
	{ PLAN_SESSION_HEADER, "x-session", PLAN_NOT_GIVEN, PLAN_NOT_GIVEN,
	  false },
};
static const struct plan_test tests[] = {
	{ PLAN_TEST_HEADER, false, "x-a", "b c;'|" },
	{ PLAN_TEST_HEADER, true, "x-b", "^v[0-9]+'|}$" },
	{ PLAN_TEST_QUERY, false, "q", "1" },
	{ PLAN_TEST_QUERY, true, "p", "a|b" },
};

static struct plan_rule *next_rule(struct plans *p)
{
	static char names[64][8], paths[64][8];
	struct plan_rule *rule;
	size_t i = p->n_rules;

	snprintf(names[i], sizeof(names[i]), "r%zu", i);
	snprintf(paths[i], sizeof(paths[i]), "/p%zu", i);
	rule = plans_rule(p, names[i]);
	plans_match(p, i % 3 == 0 ? NULL : i % 3 == 1 ? "*.example.com" :
	    "a.b.example.com", PLAN_PATH_PREFIX, paths[i], rule);
	return rule;
}

static void add_every_filter(struct plans *p)
{
	struct plan_rule *rule = next_rule(p);

	rule->filters.request = rule->filters.response = &edits;
	for (size_t i = 0; i < 2; i++)
		next_rule(p)->filters.cors = &cors[i];
	for (size_t i = 0; i < 4; i++) {
		rule = next_rule(p);
		rule->filters.redirect = &redirects[i];
		rule->n_targets = 0;
	}
	for (size_t i = 0; i < 3; i++)
		next_rule(p)->filters.rewrite = &rewrites[i];
	for (size_t i = 0; i < 2; i++)
		next_rule(p)->session = &sessions[i];
	rule = next_rule(p);
	rule->retry = &retry;
	rule->request_ms = 400;
	rule->backend_request_ms = 100;
	rule = next_rule(p);
	rule->request_ms = 0;
	next_rule(p)->retry = &retry;
}

static void add_every_match(struct plans *p)
{
	struct plan_match *m;

	for (size_t i = 0; i < 4; i++) {
		m = plans_match(p, NULL, PLAN_PATH_PREFIX, "/c", plans_rule(p,
		    "conditions"));
		m->tests = &tests[i];
		m->n_tests = 4 - i;
	}
	m = plans_match(p, "a.b.example.com", PLAN_PATH_REGEX,
	    "/v[0-9]+/(a|b)'x", plans_rule(p, "regex"));
	m->method = "GET";
}

static void test_haproxy_accepts_every_feature(void **state)
{
	struct plans p;
	struct rendered r, again;

	(void)state;
	plans_init(&p, 18080);
	add_every_filter(&p);
	add_every_match(&p);
	r = rendered_of(&p, 206);
	for (size_t i = 0; i < r.problems.n; i++)
		fail_msg("%s", r.problems.items[i].message);
	rendered_assert_valid(&r);
	again = rendered_of(&p, 206);
	assert_int_equal(again.out->shape, r.out->shape);
	assert_int_equal(again.out->text.len, r.out->text.len);
	assert_memory_equal(again.out->text.data, r.out->text.data,
	    r.out->text.len);
	rendered_drop(&again);
	rendered_drop(&r);
	plans_fini(&p);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(test_nothing_is_a_valid_configuration),
		cmocka_unit_test(test_paths_are_found_by_elements),
		cmocka_unit_test(
		    test_conditions_fall_through_to_shorter_prefixes),
		cmocka_unit_test(test_many_matches_of_a_header_are_one_schema),
		cmocka_unit_test(
		    test_more_headers_than_a_group_has_place_for_are_told),
		cmocka_unit_test(test_a_problem_is_told_once_an_object),
		cmocka_unit_test(test_equal_policies_share_a_backend),
		cmocka_unit_test(test_a_split_has_its_weights),
		cmocka_unit_test(test_haproxy_accepts_every_feature),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
