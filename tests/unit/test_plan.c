#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "buf.h"
#include "help_manifest.h"
#include "rng.h"
#include "slurp.h"

#define ROUTE(name, spec) \
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n" \
	"metadata: {name: " name "}\nspec: {parentRefs: [{name: gw}], " spec "}\n"
#define DATED(name, date, spec) \
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n" \
	"metadata: {name: " name ", creationTimestamp: \"" date "\"}\n" \
	"spec: {parentRefs: [{name: gw}], " spec "}\n"

static struct made made_with(const char *text)
{
	const char *const texts[] = { manifest_class, manifest_gateway, text };

	return made_of(texts, 3);
}

static const struct plan_listener *only_listener(const struct made *m)
{
	assert_int_equal(m->plan.n_binds, 1);
	assert_int_equal(m->plan.binds[0].n_listeners, 1);
	return &m->plan.binds[0].listeners[0];
}

/* "host path rule", one a match, in order. */
static void spell_matches(struct buf *out, const struct plan_listener *l)
{
	static const char marks[] = {
		[PLAN_PATH_PREFIX] = '*', [PLAN_PATH_EXACT] = '=',
		[PLAN_PATH_REGEX] = '~',
	};

	for (size_t i = 0; i < l->n_matches; i++) {
		const struct plan_match *m = &l->matches[i];

		buf_printf(out, "%s %c%s", m->hostname != NULL ? m->hostname :
		    "-", marks[m->path_type], m->path);
		if (m->method != NULL)
			buf_printf(out, " %s", m->method);
		for (size_t k = 0; k < m->n_tests; k++)
			buf_printf(out, " %c%s%c%s",
			    m->tests[k].type == PLAN_TEST_HEADER ? 'h' : 'q',
			    m->tests[k].name, m->tests[k].is_regex ? '~' : '=',
			    m->tests[k].value);
		buf_printf(out, " > %s.%u\n", m->rule->ref.name,
		    m->rule->ref.index);
	}
}

static void assert_matches(const struct made *m, const char *want)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	spell_matches(&out, only_listener(m));
	buf_put(&out, "", 1);
	assert_string_equal(out.data, want);
	buf_fini(&out);
}

/* ---- precedence ---------------------------------------------------------- */

static void test_matches_come_in_the_order_of_the_specification(void **state)
{
	struct made m = made_with(ROUTE("r", "rules: ["
	    "{matches: [{path: {value: /}}]},"
	    "{matches: [{path: {value: /a/}}]},"
	    "{matches: [{path: {value: /a/b}}]},"
	    "{matches: [{path: {type: Exact, value: /a}}]},"
	    "{matches: [{path: {type: RegularExpression, value: /a.*}}]},"
	    "{matches: [{path: {value: /a/b}, method: GET}]},"
	    "{matches: [{path: {value: /a/b}, headers: [{name: X-A, value: v},"
	    "  {name: x-a, value: w}]}]},"
	    "{matches: [{path: {value: /a/b}, headers: [{name: A, value: v},"
	    "  {name: b, type: RegularExpression, value: w}]}]},"
	    "{matches: [{path: {value: /a/b}, queryParams: [{name: Q, value: "
	    "v}]}]}]"));

	(void)state;
	assert_matches(&m,
	    "- =/a > r.3\n"
	    "- ~/a.* > r.4\n"
	    "- */a/b GET > r.5\n"
	    "- */a/b ha=v hb~w > r.7\n"
	    "- */a/b hx-a=v > r.6\n"
	    "- */a/b qQ=v > r.8\n"
	    "- */a/b > r.2\n"
	    "- */a > r.1\n"
	    "- */ > r.0\n");
	made_free(&m);
}

static void test_specific_hosts_come_first(void **state)
{
	struct made m = made_with(
	    ROUTE("any", "rules: [{matches: [{path: {type: Exact, value: /x}}]}]")
	    ROUTE("short", "hostnames: [\"*.b\"]")
	    ROUTE("long", "hostnames: [\"*.a.b\"]")
	    ROUTE("exact", "hostnames: [z.b, c.a.b]"));

	(void)state;
	assert_matches(&m,
	    "c.a.b */ > exact.0\n"
	    "z.b */ > exact.0\n"
	    "*.a.b */ > long.0\n"
	    "*.b */ > short.0\n"
	    "- =/x > any.0\n");
	made_free(&m);
}

static void test_the_oldest_route_wins_then_the_first_name(void **state)
{
	struct made m = made_with(
	    ROUTE("undated", "rules: [{}]")
	    DATED("b-same", "2026-01-02T00:00:00Z", "rules: [{}]")
	    DATED("a-same", "2026-01-02T00:00:00Z", "rules: [{}]")
	    DATED("z-oldest", "2026-01-01T00:00:00Z", "rules: [{}, {}]"));

	(void)state;
	assert_matches(&m,
	    "- */ > z-oldest.0\n"
	    "- */ > z-oldest.1\n"
	    "- */ > a-same.0\n"
	    "- */ > b-same.0\n"
	    "- */ > undated.0\n");
	made_free(&m);
}

static void test_grpc_methods_are_paths(void **state)
{
	struct made m = made_with(
	    "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\n"
	    "metadata: {name: g}\nspec: {parentRefs: [{name: gw}], rules: ["
	    "{matches: [{method: {service: a.B, method: C}}]},"
	    "{matches: [{method: {service: a.B}}]},"
	    "{matches: [{method: {method: C}}]},"
	    "{matches: [{method: {type: RegularExpression, service: \"a.+\"}}]},"
	    "{matches: [{headers: [{name: h, value: v}]}]}, {}]}\n");

	(void)state;
	assert_matches(&m,
	    "- =/a.B/C > g.0\n"
	    "- */a.B > g.1\n"
	    "- ~/(?:a.+)/(?:[^/]+) > g.3\n"
	    "- ~/(?:[^/]+)/(?:C) > g.2\n"
	    "- */ hh=v > g.4\n"
	    "- */ > g.5\n");
	made_free(&m);
}

/* Of several that fit, the longest service wins, then the longest method. */
static void test_a_grpc_service_is_before_a_method(void **state)
{
	struct made m = made_with(
	    "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\n"
	    "metadata: {name: g}\nspec: {parentRefs: [{name: gw}], rules: ["
	    "{matches: [{headers: [{name: h, value: v}]}]},"
	    "{matches: [{method: {method: Some}}]},"
	    "{matches: [{method: {method: Some}, headers: [{name: h, value: v}]}]},"
	    "{matches: [{method: {type: RegularExpression, method: Some.*}}]},"
	    "{matches: [{method: {service: a.B}}]},"
	    "{matches: [{method: {type: RegularExpression, service: a.B, method: C.*}}]},"
	    "{matches: [{method: {type: RegularExpression, service: a.+B.+}}]},"
	    "{matches: [{method: {service: a.B, method: C}}]}]}\n");

	(void)state;
	assert_matches(&m,
	    "- =/a.B/C > g.7\n"
	    "- ~/(?:a.+B.+)/(?:[^/]+) > g.6\n"
	    "- ~/(?:a.B)/(?:C.*) > g.5\n"
	    "- */a.B > g.4\n"
	    "- ~/(?:[^/]+)/(?:Some.*) > g.3\n"
	    "- ~/(?:[^/]+)/(?:Some) hh=v > g.2\n"
	    "- ~/(?:[^/]+)/(?:Some) > g.1\n"
	    "- */ hh=v > g.0\n");
	made_free(&m);
}

/* ---- backends ------------------------------------------------------------ */

static const char web[] =
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
    "spec: {ports: [{name: a, port: 80}, {name: b, port: 81, appProtocol: "
    "kubernetes.io/h2c}]}\n---\napiVersion: discovery.k8s.io/v1\n"
    "kind: EndpointSlice\nmetadata: {name: web-2, labels: "
    "{kubernetes.io/service-name: web}}\naddressType: IPv4\n"
    "endpoints: [{addresses: [10.0.0.2]}, {addresses: [10.0.0.1]},\n"
    "  {addresses: [10.0.0.9], conditions: {ready: false}}]\n"
    "ports: [{name: a, port: 8000}, {name: b, port: 8001}]\n---\n"
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
    "metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\n"
    "addressType: IPv6\nendpoints: [{addresses: [\"::1\"]}]\n"
    "ports: [{name: a, port: 8000}]\n---\n"
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
    "metadata: {name: web-3, labels: {kubernetes.io/service-name: web}}\n"
    "addressType: FQDN\nendpoints: [{addresses: [a.b]}, {addresses: "
    "[10.0.0.1]}]\nports: [{name: a, port: 8000}]\n";

static void test_endpoints_are_ready_ones_of_all_slices_once(void **state)
{
	const char *const texts[] = { manifest_class, manifest_gateway, web,
		ROUTE("r", "rules: [{backendRefs: [{name: web, port: 80}, "
		"{name: web, port: 81}, {name: web, port: 80}]}]") };
	struct made m = made_of(texts, 4);
	const struct plan_rule *r = only_listener(&m)->matches[0].rule;
	const struct plan_backend *b = r->targets[0].backend;

	(void)state;
	assert_int_equal(b->n_endpoints, 3);
	assert_string_equal(b->endpoints[0].address, "10.0.0.1");
	assert_string_equal(b->endpoints[1].address, "10.0.0.2");
	assert_string_equal(b->endpoints[2].address, "::1");
	assert_int_equal(b->endpoints[0].port, 8000);
	assert_int_equal(b->protocol, PLAN_HTTP);
	assert_int_equal(r->targets[1].backend->protocol, PLAN_H2C);
	assert_int_equal(r->targets[1].backend->endpoints[0].port, 8001);
	assert_ptr_equal(r->targets[2].backend, b);
	made_free(&m);
}

static void test_what_does_not_resolve_keeps_its_weight(void **state)
{
	const char *const texts[] = { manifest_class, manifest_gateway, web,
		ROUTE("r", "rules: [{backendRefs: [{name: nowhere, port: 80, "
		"weight: 3}, {name: web, port: 80, weight: 7}]}]") };
	struct made m = made_of(texts, 4);
	const struct plan_rule *r = only_listener(&m)->matches[0].rule;
	const struct condition *c = made_parent(&m, KIND_HTTP_ROUTE, "r", 0,
	    "ResolvedRefs");

	(void)state;
	assert_int_equal(r->n_targets, 2);
	assert_null(r->targets[0].backend);
	assert_int_equal(r->targets[0].weight, 3);
	assert_non_null(r->targets[1].backend);
	assert_string_equal(c->reason, "BackendNotFound");
	made_free(&m);
}

/* A rule that cannot be done must not leave its requests to a wider one. */
static void test_a_dropped_rule_keeps_its_matches_and_answers_500(void **state)
{
	const char *const texts[] = { manifest_class, manifest_gateway, web,
		ROUTE("r", "rules: [{matches: [{path: {value: /admin}}], "
		"filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, "
		"http: {}, backendRef: {name: web, port: 80}}}], backendRefs: "
		"[{name: web, port: 80}]}, {backendRefs: [{name: web, port: "
		"80}]}]") };
	struct made m = made_of(texts, 4);
	const struct plan_listener *l = only_listener(&m);
	const struct condition *c = made_parent(&m, KIND_HTTP_ROUTE, "r", 0,
	    "PartiallyInvalid");

	(void)state;
	assert_string_equal(l->matches[0].path, "/admin");
	assert_int_equal(l->matches[0].rule->n_targets, 0);
	assert_int_equal(l->matches[1].rule->n_targets, 1);
	assert_non_null(c);
	assert_int_equal(strncmp(c->message, "Dropped Rule", 12), 0);
	made_free(&m);
}

static void test_a_pool_is_every_port_of_every_ready_pod(void **state)
{
	static const char pods[] =
	    "apiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\n"
	    "metadata: {name: p}\nspec: {selector: {matchLabels: {app: m}}, "
	    "targetPorts: [{number: 8001}, {number: 8000}]}\n"
	    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: b, labels: {app: "
	    "m, x: y}}\nstatus: {podIP: 10.0.0.2}\n"
	    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: "
	    "m}}\nstatus: {podIP: 10.0.0.1}\n"
	    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: c, labels: {app: "
	    "other}}\nstatus: {podIP: 10.0.0.3}\n"
	    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: d, labels: {app: "
	    "m}, deletionTimestamp: \"2026-01-01T00:00:00Z\"}\n"
	    "status: {podIP: 10.0.0.4}\n"
	    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: e, namespace: "
	    "other, labels: {app: m}}\nstatus: {podIP: 10.0.0.5}\n";
	const char *const texts[] = { manifest_class, manifest_gateway, pods,
		ROUTE("r", "rules: [{backendRefs: [{name: p, kind: "
		"InferencePool, group: inference.networking.k8s.io, port: "
		"9}]}]") };
	struct made m = made_of(texts, 4);
	const struct plan_backend *b = only_listener(&m)->matches[0].rule->
	    targets[0].backend;

	(void)state;
	assert_int_equal(m.plan.n_pools, 1);
	assert_ptr_equal(m.plan.pools[0], b);
	assert_int_equal(b->n_endpoints, 4);
	assert_string_equal(b->endpoints[1].address, "10.0.0.1");
	assert_int_equal(b->endpoints[1].port, 8001);
	assert_string_equal(b->endpoints[2].address, "10.0.0.2");
	assert_int_equal(b->endpoints[2].port, 8000);
	assert_int_equal(b->pool->failure_mode, PLAN_FAIL_OPEN);
	made_free(&m);
}

#define REWRITE(name, created, rules) "apiVersion: llm-d.ai/v1alpha2\nkind: " \
	"InferenceModelRewrite\nmetadata: {name: " name created "}\nspec: " \
	"{poolRef: {name: p}, rules: [" rules "]}\n---\n"

static const char rewrites_text[] =
    "apiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\n"
    "metadata: {name: p}\nspec: {selector: {matchLabels: {app: m}}, "
    "targetPorts: [{number: 8000}]}\n---\n"
    REWRITE("a", "", "{targets: [{modelRewrite: youngest}]}")
    REWRITE("b", ", creationTimestamp: \"2026-01-02T00:00:00Z\"",
	"{targets: [{modelRewrite: second}]}")
    REWRITE("c", ", creationTimestamp: \"2026-01-01T00:00:00Z\"",
	"{matches: [{model: {value: m}}], targets: [{modelRewrite: idle}, "
	"{modelRewrite: x, weight: 3}]}, {targets: [{modelRewrite: y}, "
	"{modelRewrite: z}]}")
    REWRITE("bad", ", creationTimestamp: \"2025-01-01T00:00:00Z\"",
	"{targets: [{modelRewrite: fine}]}, {targets: [{modelRewrite: "
	"\"a\\tb\"}]}")
    "apiVersion: llm-d.ai/v1alpha2\nkind: InferenceModelRewrite\n"
    "metadata: {name: poolless}\nspec: {poolRef: {name: q}, rules: "
    "[{targets: [{modelRewrite: x}]}]}\n";

static const char *told(const struct made *m, const char *name)
{
	for (size_t i = 0; i < m->statuses.n; i++)
		if (strcmp(m->statuses.items[i].object->name, name) == 0)
			return m->statuses.items[i].conditions.items[0].reason;
	return "nothing";
}

/* The oldest first; what the agent would refuse does not spoil the others. */
static void test_rewrites_of_a_pool_come_by_age(void **state)
{
	const char *const texts[] = { manifest_class, manifest_gateway,
		rewrites_text,
		ROUTE("r", "rules: [{backendRefs: [{name: p, kind: "
		"InferencePool, group: inference.networking.k8s.io}]}]") };
	struct made m = made_of(texts, 4);
	const struct plan_pool *pool = m.plan.pools[0]->pool;

	(void)state;
	assert_int_equal(pool->n_rewrites, 4);
	assert_string_equal(pool->rewrites[0].models[0], "m");
	assert_int_equal(pool->rewrites[0].n_targets, 1);
	assert_string_equal(pool->rewrites[0].targets[0].model, "x");
	assert_int_equal(pool->rewrites[0].targets[0].weight, 3);
	assert_int_equal(pool->rewrites[1].n_targets, 2);
	assert_string_equal(pool->rewrites[2].targets[0].model, "second");
	assert_string_equal(pool->rewrites[3].targets[0].model, "youngest");
	assert_string_equal(told(&m, "a"), "Accepted");
	assert_string_equal(told(&m, "c"), "Accepted");
	assert_string_equal(told(&m, "bad"), "Unsupported");
	assert_string_equal(told(&m, "poolless"), "Pending");
	made_free(&m);
}

static void test_a_gateway_of_another_class_is_none_of_ours(void **state)
{
	static const char *const texts[] = {
		"apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
		"metadata: {name: epp}\nspec: {controllerName: other.com/c}\n",
		manifest_gateway, ROUTE("r", "rules: [{}]"),
	};
	struct made m = made_of(texts, 3);

	(void)state;
	assert_int_equal(m.plan.n_binds, 0);
	assert_int_equal(m.statuses.n, 0);
	made_free(&m);
}

/* ---- any order, one plan ------------------------------------------------- */

static void spell_ref(struct buf *out, const struct plan_ref *ref)
{
	buf_printf(out, "%d:%s/%s/%s/%u", ref->kind, ref->namespace, ref->name,
	    ref->section != NULL ? ref->section : "", ref->index);
}

static void spell_backend(struct buf *out, const struct plan_backend *b)
{
	spell_ref(out, &b->ref);
	buf_printf(out, " :%u p%d%s%s", b->port, b->protocol,
	    b->tls != NULL ? " tls " : "", b->tls != NULL ? b->tls->ref.name :
	    "");
	if (b->client_cert != NULL)
		spell_ref(out, &b->client_cert->ref);
	for (size_t i = 0; i < b->n_endpoints; i++)
		buf_printf(out, " %s:%u", b->endpoints[i].address,
		    b->endpoints[i].port);
	buf_puts(out, "\n");
}

static void spell_rules(struct buf *out, const struct plan_listener *l)
{
	for (size_t i = 0; i < l->n_matches; i++) {
		const struct plan_rule *r = l->matches[i].rule;

		spell_ref(out, &r->ref);
		buf_printf(out, " %jd %jd %d\n", (intmax_t)r->request_ms,
		    (intmax_t)r->backend_request_ms,
		    r->filters.request != NULL);
		for (size_t k = 0; k < r->n_targets; k++) {
			buf_printf(out, "  %u ", r->targets[k].weight);
			if (r->targets[k].backend != NULL)
				spell_backend(out, r->targets[k].backend);
			else
				buf_puts(out, "500\n");
		}
	}
}

static void spell(struct buf *out, const struct made *m)
{
	for (size_t i = 0; i < m->plan.n_binds; i++) {
		const struct plan_bind *b = &m->plan.binds[i];

		buf_printf(out, "bind %s:%u %zu\n", b->address != NULL ?
		    b->address : "*", b->port, b->client != NULL ?
		    b->client->n_cas : 0);
		for (size_t k = 0; k < b->n_listeners; k++) {
			const struct plan_listener *l = &b->listeners[k];

			spell_ref(out, &l->ref);
			buf_printf(out, " %d %s %zu\n", l->protocol,
			    l->hostname != NULL ? l->hostname : "-",
			    l->n_certs);
			spell_matches(out, l);
			spell_rules(out, l);
		}
	}
	for (size_t i = 0; i < m->plan.n_pools; i++)
		spell_backend(out, m->plan.pools[i]);
	status_write(&m->statuses, NULL, out);
	buf_put(out, "", 1);
}

enum { DOCUMENTS_MAX = 64 };

/* The texts between the lines "---". */
static size_t cut(char *text, const char *out[DOCUMENTS_MAX])
{
	size_t n = 0;

	for (char *at = text; at != NULL && n < DOCUMENTS_MAX;) {
		char *next = strstr(at, "\n---\n");

		if (next != NULL)
			next[1] = '\0';
		out[n++] = at;
		at = next != NULL ? next + 5 : NULL;
	}
	return n;
}

static void shuffle(const char *texts[], size_t n, struct rng *rng)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = rng_next(rng) % i;
		const char *other = texts[k];

		texts[k] = texts[i - 1];
		texts[i - 1] = other;
	}
}

static struct store *store_of(const char *const *texts, size_t n)
{
	struct store *store = store_new();

	for (size_t i = 0; i < n; i++) {
		struct fault why = { 0 };
		char name[32];

		snprintf(name, sizeof(name), "%zu.yaml", i);
		assert_int_equal(store_put_text(store, name,
		    span_of(texts[i]), &why), 0);
	}
	return store;
}

/* Of what the store has, with so much memory. */
static int plan_within(struct store *store, struct arena *arena, struct buf *out)
{
	struct made m = { .store = store, .arena = arena };
	struct plan_input in = { .store = store,
		.controller = "haproxy-epp.io/gateway-controller" };
	int err = plan_make(&in, m.arena, &m.plan, &m.statuses);

	buf_init(out, 64 << 20);
	if (err == 0)
		spell(out, &m);
	assert_false(buf_failed(out));
	arena_free(arena);
	return err;
}

static struct buf plan_of(const char *const *texts, size_t n)
{
	struct store *store = store_of(texts, n);
	struct buf out;

	assert_int_equal(plan_within(store, arena_new(1 << 16, 1 << 28), &out),
	    0);
	store_free(store);
	return out;
}

/* Calls for every golden case; `n` texts of an object each. */
static void each_golden(void (*on_case)(const char **texts, size_t n))
{
	DIR *dir = opendir("tests/golden");
	const struct dirent *entry;
	size_t n_cases = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		const char *texts[DOCUMENTS_MAX];
		char path[600], *bytes;
		ssize_t len;

		snprintf(path, sizeof(path), "tests/golden/%s/in.yaml",
		    entry->d_name);
		len = slurp_file(path, 1 << 20, &bytes);
		if (len < 0)
			continue;
		bytes[len] = '\0';
		on_case(texts, cut(bytes, texts));
		free(bytes);
		n_cases++;
	}
	closedir(dir);
	assert_true(n_cases > 100);
}

static void assert_shuffled_alike(const char **texts, size_t n)
{
	static struct rng rng = { .state = 7 };
	struct buf first = plan_of(texts, n);

	for (int i = 0; i < 4; i++) {
		struct buf again;

		shuffle(texts, n, &rng);
		again = plan_of(texts, n);
		assert_string_equal(first.data, again.data);
		buf_fini(&again);
	}
	buf_fini(&first);
}

/* The property worth more than any example, over every golden case. */
static void test_shuffled_objects_give_the_same_plan(void **state)
{
	(void)state;
	each_golden(assert_shuffled_alike);
}

/* ---- memory -------------------------------------------------------------- */

/* Wherever it ends: told, or it made no difference. */
static void assert_same_or_told(const char **texts, size_t n)
{
	struct store *store = store_of(texts, n);
	struct buf all = plan_of(texts, n);
	int n_enough = 0;

	for (size_t max = 256; n_enough < 8; max += 512) {
		struct buf out;
		int err = plan_within(store, arena_new(256, max), &out);

		assert_true(err == 0 || err == -ENOMEM);
		assert_true(max < 1 << 20);
		if (err == 0) {
			assert_string_equal(all.data, out.data);
			n_enough++;
		}
		buf_fini(&out);
	}
	buf_fini(&all);
	store_free(store);
}

static void test_what_a_full_arena_lacks_is_not_read_as_absent(void **state)
{
	(void)state;
	each_golden(assert_same_or_told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_matches_come_in_the_order_of_the_specification),
		cmocka_unit_test(test_specific_hosts_come_first),
		cmocka_unit_test(
		    test_the_oldest_route_wins_then_the_first_name),
		cmocka_unit_test(test_grpc_methods_are_paths),
		cmocka_unit_test(test_a_grpc_service_is_before_a_method),
		cmocka_unit_test(
		    test_endpoints_are_ready_ones_of_all_slices_once),
		cmocka_unit_test(test_what_does_not_resolve_keeps_its_weight),
		cmocka_unit_test(
		    test_a_dropped_rule_keeps_its_matches_and_answers_500),
		cmocka_unit_test(test_a_pool_is_every_port_of_every_ready_pod),
		cmocka_unit_test(test_rewrites_of_a_pool_come_by_age),
		cmocka_unit_test(
		    test_a_gateway_of_another_class_is_none_of_ours),
		cmocka_unit_test(test_shuffled_objects_give_the_same_plan),
		cmocka_unit_test(
		    test_what_a_full_arena_lacks_is_not_read_as_absent),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
