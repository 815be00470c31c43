#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "decode.h"
#include "fault.h"
#include "yaml.h"

struct decoded {
	struct arena *arena;
	const struct object *object;
	struct fault why;
	char kind[128];
	int err;
};

static bool on_document(void *data, const struct conf *root,
    struct conf_place place)
{
	struct decoded *d = data;

	d->err = decode_object("f.yaml", place.document, root, d->arena,
	    &d->object, d->kind, sizeof(d->kind), &d->why);
	return false;
}

static struct decoded decode(const char *text)
{
	struct decoded d = { .arena = arena_new(4096, 64 << 20), .err = -1 };

	int err = yaml_each("f.yaml", span_of(text), &yaml_limits_default,
	    on_document, &d, &d.why);

	assert_int_equal(err != 0, d.why.is_set);
	return d;
}

#define HEAD(api, kind) \
	"apiVersion: " api "\nkind: " kind "\nmetadata: {name: x}\nspec:\n"
#define GATEWAY HEAD("gateway.networking.k8s.io/v1", "Gateway")
#define HTTP HEAD("gateway.networking.k8s.io/v1", "HTTPRoute")
#define GRPC HEAD("gateway.networking.k8s.io/v1", "GRPCRoute")
#define TLS HEAD("gateway.networking.k8s.io/v1", "TLSRoute")
#define TCP HEAD("gateway.networking.k8s.io/v1", "TCPRoute")
#define POLICY HEAD("gateway.networking.k8s.io/v1", "BackendTLSPolicy")
#define GRANT HEAD("gateway.networking.k8s.io/v1", "ReferenceGrant")
#define POOL HEAD("inference.networking.k8s.io/v1", "InferencePool")
#define LISTENER GATEWAY "  gatewayClassName: c\n  listeners:\n  - "
#define RULE HTTP "  rules:\n  - "
#define FILTER RULE "filters:\n    - "

/* What the API server would refuse: by the schema, or by a CEL rule. */
static const struct {
	const char *text;
	unsigned line;
	const char *found, *want;
} bad[] = {
	/* What every object has. */
	{ "a: 1\n", 1, "without kind", "apiVersion" },
	{ "- a\n", 1, "no map", "apiVersion" },
	{ "kind: Gateway\n", 1, "without apiVersion", "" },
	{ "apiVersion: gateway.networking.k8s.io/v9\nkind: Gateway\n", 1,
	    "Gateway of apiVersion gateway.networking.k8s.io/v9",
	    "gateway.networking.k8s.io/v1" },
	{ "apiVersion: v1\nkind: Service\n", 1, "without metadata", "name" },
	{ "apiVersion: v1\nkind: Service\nmetadata: {name: X_y}\n", 3,
	    "metadata.name: X_y", "a-z" },
	{ "apiVersion: v1\nkind: Service\nmetadata: {nam: x}\n", 3,
	    "unknown key nam", "name" },
	{ "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, "
	    "namespace: y}\n", 3, "namespace: y", "no namespace" },
	{ HTTP "  hostname: [a]\n", 5, "unknown key hostname", "hostnames" },
	/* Gateway */
	{ GATEWAY "  gatewayClassName: c\n", 4, "without listeners", "" },
	{ LISTENER "{name: a, port: 0, protocol: HTTP}\n", 7,
	    "spec.listeners[0].port: 0", "1 to 65535" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP, tls: {mode: "
	    "Passthrough}}\n", 7, "tls", "no tls for protocol HTTP" },
	{ LISTENER "{name: a, port: 80, protocol: HTTPS, tls: {mode: "
	    "Passthrough}}\n", 7, "tls: mode: Passthrough", "Terminate" },
	{ LISTENER "{name: a, port: 80, protocol: HTTPS, tls: {}}\n", 7, "tls",
	    "certificateRefs or options" },
	{ LISTENER "{name: a, port: 80, protocol: TLS}\n", 7, "no tls.mode",
	    "Passthrough" },
	{ LISTENER "{name: a, port: 80, protocol: TCP, hostname: a.b}\n", 7,
	    "hostname: a.b", "no hostname" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP, hostname: A.b}\n", 7,
	    "hostname: A.b", "lower case" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP, hostname: \"*\"}\n", 7,
	    "hostname: \"*\"", "" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP}\n  - {name: a, port: "
	    "81, protocol: HTTP}\n", 6, "listeners: a", "name once" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP}\n  - {name: b, port: "
	    "80, protocol: HTTP}\n", 6, "listeners: b", "listener a" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP, allowedRoutes: "
	    "{namespaces: {from: None}}}\n", 7, "from: None", "Same" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP, allowedRoutes: "
	    "{namespaces: {from: Selector, selector: {matchExpressions: "
	    "[{key: a, operator: In}]}}}}\n", 7, "matchExpressions[0]",
	    "one value or more" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP}\n"
	    "  addresses: [{value: 1.2.3.4}, {value: 1.2.3.4}]\n", 8,
	    "1.2.3.4", "once" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP}\n"
	    "  addresses: [{value: \"256.255.255.255\"}]\n", 8,
	    "addresses[0].value: \"256.255.255.255\"", "IPv4" },
	{ LISTENER "{name: a, port: 80, protocol: HTTP}\n"
	    "  addresses: [{type: Hostname, value: \"a.b:80\"}]\n", 8,
	    "a.b:80", "host name" },
	/* parentRefs, hostnames */
	{ HTTP "  parentRefs: [{name: a}, {name: a}]\n", 5, "parentRefs: a",
	    "another sectionName or port" },
	{ HTTP "  parentRefs: [{name: a}, {name: a, port: 80}]\n", 5,
	    "parentRefs: a", "sectionName or port in each" },
	{ HTTP "  hostnames: [1.2]\n", 5, "hostnames[0]: 1.2", "\"1.2\"" },
	{ HTTP "  hostnames: [a..b]\n", 5, "a..b", "" },
	{ HTTP "  hostnames: a.b\n", 5, "hostnames: a.b", "a list" },
	{ HTTP "  rules: []\n", 5, "rules", "1 or more" },
	/* matches */
	{ RULE "matches: [{path: {value: a}}]\n", 6,
	    "spec.rules[0].matches[0].path.value: a", "begins with /" },
	{ RULE "matches: [{path: {value: /a//b}}]\n", 6, "/a//b", "//" },
	{ RULE "matches: [{path: {value: /a/../b}}]\n", 6, "/a/../b", "" },
	{ RULE "matches: [{path: {value: /a/..}}]\n", 6, "/a/..", "end" },
	{ RULE "matches: [{path: {value: /a%2fb}}]\n", 6, "/a%2fb", "%2F" },
	{ RULE "matches: [{path: {value: \"/a b\"}}]\n", 6, "/a b",
	    "RFC 3986" },
	{ RULE "matches: [{path: {value: /a%0}}]\n", 6, "/a%0", "RFC 3986" },
	{ RULE "matches: [{path: {type: Prefix}}]\n", 6, "type: Prefix",
	    "PathPrefix" },
	{ RULE "matches: [{method: get}]\n", 6, "method: get", "GET" },
	{ RULE "matches: [{headers: [{name: a, value: 1}]}]\n", 6, "value: 1",
	    "in quotes: \"1\"" },
	{ RULE "matches: [{headers: [{name: a, value: yes}]}]\n", 6,
	    "value: yes", "in quotes" },
	{ RULE "matches: [{headers: [{name: a, value: b}, {name: a, value: "
	    "c}]}]\n", 6, "headers: a", "once" },
	{ RULE "matches: [{headers: [{name: \"a:\", value: b}]}]\n", 6, "a:",
	    "letters" },
	{ RULE "matches: [{headers: [{name: a, value: \"b \"}]}]\n", 6, "b ",
	    "blanks" },
	{ RULE "matches: [{headers: [{name: a, value: \"b\\nc\"}]}]\n", 6,
	    "b?c", "printable" },
	/* filters */
	{ FILTER "type: CORS\n", 7, "type: CORS", "cors beside it" },
	{ FILTER "type: CORS\n      cors: {}\n      urlRewrite: {}\n", 9,
	    "urlRewrite", "only cors" },
	{ FILTER "{type: CORS, cors: {allowOrigins: [\"*\", \"http://a\"]}}\n",
	    7, "allowOrigins: *", "alone" },
	{ FILTER "{type: CORS, cors: {allowOrigins: [\"ftp://a\"]}}\n", 7,
	    "ftp://a", "origin" },
	{ FILTER "{type: URLRewrite, urlRewrite: {path: {type: "
	    "ReplaceFullPath}}}\n", 7, "ReplaceFullPath", "replaceFullPath" },
	{ FILTER "{type: URLRewrite, urlRewrite: {path: {type: "
	    "ReplaceFullPath, replaceFullPath: /a, replacePrefixMatch: /b}}}\n",
	    7, "replacePrefixMatch", "only what" },
	{ FILTER "{type: RequestRedirect, requestRedirect: {statusCode: "
	    "304}}\n", 7, "statusCode: 304", "302" },
	{ FILTER "{type: RequestRedirect, requestRedirect: {}}\n"
	    "    backendRefs: [{name: a, port: 1}]\n", 8, "RequestRedirect",
	    "one of the two" },
	{ FILTER "{type: RequestRedirect, requestRedirect: {}}\n"
	    "    - {type: URLRewrite, urlRewrite: {}}\n", 6, "URLRewrite",
	    "one of the two" },
	{ FILTER "{type: URLRewrite, urlRewrite: {}}\n"
	    "    - {type: URLRewrite, urlRewrite: {}}\n", 6,
	    "filters: URLRewrite", "once" },
	{ FILTER "{type: URLRewrite, urlRewrite: {path: {type: "
	    "ReplacePrefixMatch, replacePrefixMatch: /a}}}\n"
	    "    matches: [{path: {type: Exact, value: /b}}]\n", 8,
	    "ReplacePrefixMatch", "PathPrefix" },
	{ FILTER "{type: RequestMirror, requestMirror: {backendRef: {name: a, "
	    "port: 1}, percent: 1, fraction: {numerator: 1}}}\n", 7, "fraction",
	    "not both" },
	{ FILTER "{type: RequestMirror, requestMirror: {backendRef: {name: a, "
	    "port: 1}, fraction: {numerator: 2, denominator: 1}}}\n", 7,
	    "numerator: 2", "denominator" },
	{ FILTER "{type: RequestHeaderModifier, requestHeaderModifier: {set: "
	    "[{name: a, value: b}, {name: A, value: c}]}}\n", 7, "set: A",
	    "once" },
	{ FILTER "{type: RequestHeaderModifier, requestHeaderModifier: "
	    "{remove: [a, a]}}\n", 7, "remove: a", "once" },
	{ FILTER "{type: ExternalAuth, externalAuth: {backendRef: {name: a, "
	    "port: 1}}}\n", 7, "without protocol", "HTTP" },
	{ FILTER "{type: ExternalAuth, externalAuth: {protocol: GRPC, http: {}, "
	    "backendRef: {name: a, port: 1}}}\n", 7, "protocol: GRPC", "grpc" },
	{ FILTER "{type: ExternalAuth, externalAuth: {protocol: HTTP, http: "
	    "{path: \"/?\"}, backendRef: {name: a, port: 1}}}\n", 7, "/?",
	    "RFC 3986" },
	/* backendRefs, the rest of a rule */
	{ RULE "backendRefs: [{name: a}]\n", 6, "name: a", "port" },
	{ RULE "backendRefs: [{name: a, port: 1, weight: 1000001}]\n", 6,
	    "weight: 1000001", "1000000" },
	{ RULE "timeouts: {request: 1s, backendRequest: 2s}\n", 6,
	    "backendRequest: 2s", "at most" },
	{ RULE "timeouts: {request: 1d}\n", 6, "request: 1d", "10s" },
	{ RULE "timeouts: {request: \"\"}\n", 6, "request: \"\"", "10s" },
	{ RULE "timeouts: {request: 123456s}\n", 6, "request: 123456s", "" },
	{ RULE "timeouts: {request: 1h1h1h1h1h}\n", 6, "1h1h1h1h1h", "" },
	{ RULE "retry: {codes: [500, 500]}\n", 6, "codes", "once" },
	{ RULE "retry: {codes: [200]}\n", 6, "codes[0]: 200", "400" },
	{ RULE "sessionPersistence: {cookieConfig: {lifetimeType: "
	    "Permanent}}\n", 6, "absoluteTimeout", "" },
	{ RULE "sessionPersistence: {type: Header, cookie: {name: a}}\n", 6,
	    "cookie", "Cookie" },
	{ RULE "name: a\n  - name: a\n", 5, "rules: a", "once" },
	/* the other routes */
	{ GRPC "  rules: [{matches: [{method: {}}]}]\n", 5,
	    "neither service nor method", "" },
	{ GRPC "  rules: [{matches: [{method: {service: a/b}}]}]\n", 5, "a/b",
	    "package.Service" },
	{ GRPC "  rules: [{matches: [{method: {method: 9a}}]}]\n", 5, "9a",
	    "Login" },
	{ GRPC "  rules: [{filters: [{type: CORS}]}]\n", 5, "CORS",
	    "RequestHeaderModifier" },
	{ TLS "  rules: [{backendRefs: [{name: a, port: 1}]}]\n", 4,
	    "without hostnames", "" },
	{ TLS "  hostnames: [\"10.0.0.1\"]\n"
	    "  rules: [{backendRefs: [{name: a, port: 1}]}]\n", 5, "10.0.0.1",
	    "addresses" },
	{ TCP "  rules: [{backendRefs: []}]\n", 5, "backendRefs", "1 or more" },
	{ TCP "  hostnames: [a]\n", 5, "unknown key hostnames", "" },
	/* policies */
	{ GRANT "  from: [{group: a, kind: B, namespace: c}]\n  to: []\n", 6,
	    "to: ", "1 or more" },
	{ POLICY "  targetRefs: [{group: \"\", kind: Service, name: a}]\n"
	    "  validation: {hostname: a.b}\n", 6, "no certificates",
	    "System" },
	{ POLICY "  targetRefs: [{group: \"\", kind: Service, name: a}]\n"
	    "  validation: {hostname: a.b, wellKnownCACertificates: System, "
	    "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: a}]}\n",
	    6, "System", "not both" },
	{ POLICY "  targetRefs: [{group: \"\", kind: Service, name: a}]\n"
	    "  validation: {hostname: a.b, wellKnownCACertificates: System, "
	    "subjectAltNames: [{type: URI, hostname: a.b}]}\n", 6, "type: URI",
	    "uri" },
	{ POLICY "  targetRefs: [{group: \"\", kind: Service, name: a}, "
	    "{group: \"\", kind: Service, name: a}]\n  validation: {hostname: "
	    "a.b, wellKnownCACertificates: System}\n", 5, "targetRefs: a",
	    "another sectionName" },
	/* pools */
	{ POOL "  selector: {matchLabels: {}}\n  targetPorts: [{number: 1}]\n",
	    5, "matchLabels", "1 to 64" },
	{ POOL "  selector: {matchLabels: {a: b}}\n"
	    "  targetPorts: [{number: 1}, {number: 1}]\n", 6, "targetPorts",
	    "once" },
	{ POOL "  selector: {matchLabels: {a: b}}\n"
	    "  targetPorts: [{number: 1}]\n"
	    "  endpointPickerRef: {name: a}\n", 7, "name: a", "port" },
	/* the core */
	{ "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n"
	    "data: {tls.crt: \"%%%\"}\n", 4, "tls.crt: \"%%%\"", "base64" },
	{ "apiVersion: v1\nkind: Service\nmetadata: {name: x, "
	    "creationTimestamp: yesterday}\n", 3, "yesterday", "2026" },
};

static void test_what_the_api_server_refuses_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct decoded d = decode(bad[i].text);

		if (d.err != -22)
			fail_msg("taken:\n%s", bad[i].text);
		if (d.why.line != bad[i].line ||
		    strstr(d.why.found, bad[i].found) == NULL ||
		    strstr(d.why.want, bad[i].want) == NULL)
			fail_msg("%s:%u: %s; want: %s\nof:\n%s", d.why.file,
			    d.why.line, d.why.found, d.why.want, bad[i].text);
		assert_null(d.object);
		arena_free(d.arena);
	}
}

static void test_a_fault_names_object_and_path(void **state)
{
	struct decoded d = decode(
	    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
	    "metadata: {name: x, namespace: shop}\nspec:\n  rules:\n"
	    "  - backendRefs:\n    - {name: a, port: 80}\n"
	    "    - {name: b, prt: 80}\n");
	char text[1200];

	(void)state;
	assert_string_equal(fault_text(&d.why, text, sizeof(text)),
	    "f.yaml:8: HTTPRoute shop/x: spec.rules[0].backendRefs[1]: a "
	    "backendRef with unknown key prt; want: port");
	arena_free(d.arena);
}

static void test_kinds_of_others_are_unknown(void **state)
{
	static const char *const texts[] = {
		"apiVersion: apps/v1\nkind: Deployment\nspec: {a: [1]}\n",
		"apiVersion: networking.istio.io/v1\nkind: Gateway\nspec: 1\n",
		"apiVersion: v1\nkind: Pods\n",
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct decoded d = decode(texts[i]);

		assert_int_equal(d.err, DECODE_UNKNOWN);
		assert_null(d.object);
		assert_non_null(strchr(d.kind, ' '));
		arena_free(d.arena);
	}
}

static void test_an_http_route_is_read_with_its_defaults(void **state)
{
	struct decoded d = decode(
	    "apiVersion: gateway.networking.k8s.io/v1beta1\n"
	    "kind: HTTPRoute\n"
	    "metadata: {name: x, generation: 7, labels: {b: \"2\", a: \"1\"},\n"
	    "  creationTimestamp: \"2026-01-31T23:59:59Z\", managedFields: []}\n"
	    "spec:\n  parentRefs: [{name: gw}]\n  hostnames: [\"*.a.b\"]\n"
	    "  rules:\n"
	    "  - backendRefs: [{name: web, port: 80}, {name: p, kind: "
	    "InferencePool, group: inference.networking.k8s.io, weight: 0}]\n"
	    "    timeouts: {request: 1m30s}\n"
	    "status: {whatever: 1}\n");
	const struct route *r = (const void *)d.object;

	(void)state;
	assert_int_equal(d.err, DECODE_OK);
	assert_int_equal(r->o.kind, KIND_HTTP_ROUTE);
	assert_string_equal(r->o.namespace, "default");
	assert_int_equal(r->o.generation, 7);
	assert_int_equal(r->o.created_s, 1769903999);
	assert_string_equal(labels_get(&r->o.labels, "b"), "2");
	assert_null(labels_get(&r->o.labels, "c"));
	assert_string_equal(r->parents[0].kind, "Gateway");
	assert_string_equal(r->parents[0].group, GATEWAY_GROUP);
	assert_null(r->parents[0].section);
	assert_int_equal(r->rules[0].n_http_matches, 1);
	assert_string_equal(r->rules[0].http_matches[0].path.value, "/");
	assert_int_equal(r->rules[0].backends[0].weight, 1);
	assert_int_equal(r->rules[0].backends[1].weight, 0);
	assert_string_equal(r->rules[0].backends[0].kind, "Service");
	assert_int_equal(r->rules[0].request_ms, 90000);
	assert_int_equal(r->rules[0].backend_request_ms, KINDS_NOT_GIVEN);
	arena_free(d.arena);
}

static void test_both_spellings_of_session_persistence_are_read(void **state)
{
	static const char *const texts[] = {
		RULE "sessionPersistence: {sessionName: s, absoluteTimeout: "
		"1h, cookieConfig: {lifetimeType: Permanent}}\n",
		RULE "sessionPersistence: {absoluteTimeout: 1h, cookie: "
		"{name: s, lifetimeType: Permanent}}\n",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct decoded d = decode(texts[i]);
		const struct route *r = (const void *)d.object;

		assert_int_equal(d.err, DECODE_OK);
		assert_string_equal(r->rules[0].session->name, "s");
		assert_int_equal(r->rules[0].session->absolute_ms, 3600000);
		assert_int_equal(r->rules[0].session->lifetime,
		    SESSION_PERMANENT);
		arena_free(d.arena);
	}
}

static void test_an_exported_pod_is_read_past_what_is_not_ours(void **state)
{
	struct decoded d = decode("apiVersion: v1\nkind: Pod\n"
	    "metadata: {name: p, namespace: n, uid: u, ownerReferences: [{}]}\n"
	    "spec: {containers: [{name: c, ports: [1]}], nodeName: x}\n"
	    "status: {podIP: 10.0.0.1, phase: Running, conditions: [{type: "
	    "Ready, status: \"True\", lastProbeTime: null}]}\n");
	const struct pod *p = (const void *)d.object;

	(void)state;
	assert_int_equal(d.err, DECODE_OK);
	assert_string_equal(p->ip, "10.0.0.1");
	assert_true(p->ready);
	arena_free(d.arena);
}

static void test_an_endpoint_without_conditions_is_ready(void **state)
{
	struct decoded d = decode("apiVersion: discovery.k8s.io/v1\n"
	    "kind: EndpointSlice\n"
	    "metadata: {name: s, labels: {kubernetes.io/service-name: web}}\n"
	    "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]},\n"
	    "  {addresses: [10.0.0.2], conditions: {ready: false}},\n"
	    "  {addresses: [10.0.0.3], conditions: {terminating: true, "
	    "ready: null}}]\nports: [{port: 80}]\n");
	const struct endpoint_slice *s = (const void *)d.object;

	(void)state;
	assert_int_equal(d.err, DECODE_OK);
	assert_string_equal(s->service, "web");
	assert_true(s->endpoints[0].ready);
	assert_false(s->endpoints[1].ready);
	assert_true(s->endpoints[2].ready && s->endpoints[2].terminating);
	arena_free(d.arena);
}

static void test_a_secret_is_decoded_and_looked_at(void **state)
{
	struct decoded d = decode("apiVersion: v1\nkind: Secret\n"
	    "metadata: {name: s}\ntype: kubernetes.io/tls\n"
	    "data: {tls.crt: SGVsbG8gd29ybGQK, tls.key: \"\", other: \"%\"}\n");
	const struct secret *s = (const void *)d.object;

	(void)state;
	assert_int_equal(d.err, DECODE_OK);
	assert_true(span_is_text(s->crt, "Hello world\n"));
	assert_non_null(strstr(s->why_no_pair, "tls.key"));
	arena_free(d.arena);
}

/* Every field of a route taken away in turn: refused or read, never a crash. */
static void test_every_truncation_is_answered(void **state)
{
	static const char text[] = RULE "matches: [{path: {type: Exact, value: "
	    "/a}, headers: [{name: h, value: v}], method: GET}]\n"
	    "    filters: [{type: URLRewrite, urlRewrite: {hostname: a.b}}]\n"
	    "    backendRefs: [{name: web, port: 80, filters: [{type: "
	    "RequestHeaderModifier, requestHeaderModifier: {add: [{name: a, "
	    "value: b}], remove: [c]}}]}]\n    retry: {codes: [500], attempts: "
	    "2}\n";
	char *cut = strdup(text);

	(void)state;
	for (size_t n = sizeof(text) - 1; n > 0; n--) {
		struct decoded d;

		cut[n] = '\0';
		d = decode(cut);
		assert_true((d.object != NULL) == (d.err == DECODE_OK));
		arena_free(d.arena);
	}
	free(cut);
}

static void test_a_full_arena_is_a_fault_and_no_crash(void **state)
{
	(void)state;
	for (size_t max = 64; max < 4096; max += 64) {
		struct fault why = { 0 };
		struct arena *tree = arena_new(4096, 1 << 20);
		struct arena *small = arena_new(64, max);
		const struct conf *root = yaml_parse("f", span_of(RULE
		    "matches: [{headers: [{name: h, value: v}]}]\n"
		    "    backendRefs: [{name: web, port: 80}]\n"),
		    &yaml_limits_default, tree, &why);
		const struct object *o;
		char kind[64];
		int err = decode_object("f", 1, root, small, &o, kind,
		    sizeof(kind), &why);

		assert_true(err == 0 ? o != NULL : why.is_set);
		arena_free(small);
		arena_free(tree);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_api_server_refuses_is_refused),
		cmocka_unit_test(test_a_fault_names_object_and_path),
		cmocka_unit_test(test_kinds_of_others_are_unknown),
		cmocka_unit_test(test_an_http_route_is_read_with_its_defaults),
		cmocka_unit_test(
		    test_both_spellings_of_session_persistence_are_read),
		cmocka_unit_test(
		    test_an_exported_pod_is_read_past_what_is_not_ours),
		cmocka_unit_test(test_an_endpoint_without_conditions_is_ready),
		cmocka_unit_test(test_a_secret_is_decoded_and_looked_at),
		cmocka_unit_test(test_every_truncation_is_answered),
		cmocka_unit_test(test_a_full_arena_is_a_fault_and_no_crash),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
