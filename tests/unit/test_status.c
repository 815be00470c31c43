#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "conf_tree.h"
#include "fault.h"
#include "help_manifest.h"
#include "status_since.h"
#include "yaml.h"

static const char route[] =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
    "metadata: {name: r, generation: 5}\n"
    "spec: {parentRefs: [{name: gw}, {name: gw, sectionName: http, port: 80}]"
    "}\n";
static const char odd_route[] =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
    "metadata: {name: r, generation: 5}\n"
    "spec: {parentRefs: [{name: gw, sectionName: http}, {name: gw, "
    "sectionName: nowhere}]}\n";

static struct made made_with(const char *text)
{
	const char *const texts[] = { manifest_class, manifest_gateway, text };

	return made_of(texts, 3);
}

static void test_refused_values_are_told_once_each(void **state)
{
	struct made m = made_with(odd_route);
	struct plan_problem items[] = {
		{ { PLAN_HTTP_ROUTE, "default", "r", NULL, 0 },
		  PLAN_UNSUPPORTED, "UnsupportedValue", "no backoff" },
		{ { PLAN_HTTP_ROUTE, "default", "r", NULL, 1 },
		  PLAN_UNSUPPORTED, "UnsupportedValue", "no backoff" },
		{ { PLAN_HTTP_ROUTE, "default", "r", NULL, 1 },
		  PLAN_UNSUPPORTED, "UnsupportedValue", "code 409" },
		{ { PLAN_HTTP_ROUTE, "default", "gone", NULL, 1 },
		  PLAN_UNSUPPORTED, "UnsupportedValue", "whose?" },
	};
	const struct plan_problems problems = { items, 4, 4 };
	const struct condition *c;

	(void)state;
	assert_int_equal(status_refuse(&m.statuses, &problems, m.arena), 0);
	c = made_parent(&m, KIND_HTTP_ROUTE, "r", 0, "PartiallyInvalid");
	assert_non_null(c);
	assert_int_equal(c->status, CONDITION_TRUE);
	assert_string_equal(c->reason, "UnsupportedValue");
	assert_string_equal(c->message, "no backoff; code 409");
	/* A parent that did not accept the route hears nothing of it. */
	assert_null(made_parent(&m, KIND_HTTP_ROUTE, "r", 1,
	    "PartiallyInvalid"));
	made_free(&m);
}

static void test_a_refused_listener_is_not_programmed(void **state)
{
	struct made m = made_with(odd_route);
	struct plan_problem items[] = {
		{ { PLAN_GATEWAY, "default", "gw", "http", 0 }, PLAN_REFUSED,
		  "Invalid", "haproxy says no" },
		{ { PLAN_GATEWAY, "default", "gw", NULL, 0 }, PLAN_REFUSED,
		  "AddressNotUsable", "cannot bind" },
	};
	const struct plan_problems problems = { items, 2, 2 };
	const struct status *s;
	const struct condition *c;

	(void)state;
	assert_int_equal(status_refuse(&m.statuses, &problems, m.arena), 0);
	s = statuses_find(&m.statuses, KIND_GATEWAY, "default", "gw");
	c = conditions_get(&s->listeners[0].conditions, "Programmed");
	assert_int_equal(c->status, CONDITION_FALSE);
	assert_string_equal(c->message, "haproxy says no");
	c = conditions_get(&s->conditions, "Programmed");
	assert_int_equal(c->status, CONDITION_FALSE);
	assert_string_equal(c->reason, "AddressNotUsable");
	made_free(&m);
}

static const struct conf *child(const struct conf *c, const char *key)
{
	c = conf_child(c, key);
	assert_non_null(c);
	return c;
}

struct seen {
	size_t n, n_routes;
	bool has_time;
};

static bool on_document(void *data, const struct conf *root,
    struct conf_place place)
{
	struct seen *seen = data;
	const struct conf *parents, *condition;

	(void)place;
	seen->n++;
	assert_non_null(conf_child(child(root, "metadata"), "name"));
	if (strcmp(child(root, "kind")->text, "HTTPRoute") != 0)
		return true;
	seen->n_routes++;
	parents = child(child(root, "status"), "parents");
	assert_int_equal(parents->n_children, 1);
	assert_string_equal(child(child(parents->children, "parentRef"),
	    "kind")->text, "Gateway");
	assert_string_equal(child(parents->children, "controllerName")->text,
	    "example.com/epp");
	condition = child(parents->children, "conditions")->children;
	assert_string_equal(child(condition, "observedGeneration")->text, "5");
	assert_string_equal(child(condition, "type")->text, "Accepted");
	seen->has_time = conf_child(condition, "lastTransitionTime") != NULL;
	return true;
}

/* What is written is YAML, whatever was in the names. */
static void test_written_statuses_are_read_back(void **state)
{
	static const char one[] =
	    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
	    "metadata: {name: \"12\", namespace: \"on\", generation: 5}\n"
	    "spec: {parentRefs: [{name: gw, namespace: default}]}\n";
	struct made m = made_with(one);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct status_since *since = status_since_new();
		struct seen seen = { 0, 0, false };
		struct fault why = { 0 };
		struct buf out;

		buf_init(&out, 1 << 20);
		status_since_begin(since, 1769903999);
		status_write(&m.statuses, i == 0 ? NULL : since, &out);
		assert_int_equal(yaml_each("f", buf_span(&out),
		    &yaml_limits_default, on_document, &seen, &why), 0);
		assert_int_equal(seen.n, 3);
		assert_int_equal(seen.n_routes, 1);
		assert_int_equal(seen.has_time, i == 1);
		buf_fini(&out);
		status_since_free(since);
	}
	made_free(&m);
}

static void assert_since(struct status_since *s, const struct object *o,
    const char *where, size_t index, const struct condition *c, int second)
{
	char want[32];

	snprintf(want, sizeof(want), "1970-01-01T00:00:0%dZ", second);
	assert_string_equal(status_since_get(s, o, where, index, c), want);
}

static void test_a_time_changes_when_the_status_does(void **state)
{
	struct made m = made_with(odd_route);
	const struct object *gateway = statuses_find(&m.statuses,
	    KIND_GATEWAY, "default", "gw")->object;
	struct status_since *s = status_since_new();
	struct condition c = { "Programmed", CONDITION_TRUE, "a", "b" };

	(void)state;
	status_since_begin(s, 1);
	assert_since(s, gateway, "", 0, &c, 1);
	status_since_begin(s, 2);
	c.message = "other words";
	assert_since(s, gateway, "", 0, &c, 1);
	assert_since(s, gateway, "x", 0, &c, 2);
	assert_since(s, gateway, "", 1, &c, 2);
	status_since_begin(s, 3);
	c.status = CONDITION_FALSE;
	assert_since(s, gateway, "", 0, &c, 3);
	c.status = CONDITION_TRUE;
	assert_since(s, gateway, "x", 0, &c, 2);
	/* Whoever was not written for once is new when he comes back. */
	status_since_begin(s, 4);
	status_since_begin(s, 5);
	assert_since(s, gateway, "x", 0, &c, 5);
	for (size_t i = 0; i < 10000; i++)
		status_since_get(s, gateway, "many", i, &c);
	status_since_begin(s, 6);
	for (size_t i = 0; i < 10000; i++)
		assert_since(s, gateway, "many", i, &c, 5);
	status_since_free(s);
	made_free(&m);
}

/* CEL: of one parent, either all parentRefs name a section or none does. */
static void test_a_parent_twice_is_refused_before_it_gets_here(void **state)
{
	struct store *s = store_new();
	struct fault why = { 0 };

	(void)state;
	assert_int_equal(store_put_text(s, "f.yaml", span_of(route), &why),
	    -22);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_values_are_told_once_each),
		cmocka_unit_test(test_a_refused_listener_is_not_programmed),
		cmocka_unit_test(test_written_statuses_are_read_back),
		cmocka_unit_test(test_a_time_changes_when_the_status_does),
		cmocka_unit_test(
		    test_a_parent_twice_is_refused_before_it_gets_here),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
