/*
 * test_render_tls.c - TLS in every combination, TCP, InferencePools; and manifests
 * whose words would like to be configuration
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "output_files.h"
#include "rendered.h"
#include "slurp.h"

/* Made once: a certificate for *.example.com with its key, its own CA. */
static struct plan_pem pem = { .ref = { PLAN_SECRET, "ns", "cert", NULL, 0 } };
static const struct plan_pem *pems[] = { &pem };
static char *pem_bytes;

static int make_pem(void **state)
{
	static const char make[] = "d=$(mktemp -d) && openssl req -x509 "
	    "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
	    "-subj /CN=example.com -addext 'subjectAltName=DNS:*.example.com' "
	    "-keyout $d/key -out $d/cert 2>/dev/null && cat $d/cert $d/key "
	    ">/tmp/test_render_tls.pem && rm -r $d";
	ssize_t n;

	(void)state;
	if (system(make) != 0)
		return -1;
	n = slurp_file("/tmp/test_render_tls.pem", 1 << 20, &pem_bytes);
	unlink("/tmp/test_render_tls.pem");
	pem.text = (struct span){ pem_bytes, n > 0 ? (size_t)n : 0 };
	return n > 0 ? 0 : -1;
}

static int free_pem(void **state)
{
	(void)state;
	free(pem_bytes);
	return 0;
}

static struct plan_listener listener(enum plan_listener_protocol protocol,
    const char *hostname, const struct plans *p)
{
	return (struct plan_listener){
		.ref = { PLAN_GATEWAY, "ns", "gw", "l", 0 },
		.protocol = protocol, .hostname = hostname, .certs = pems,
		.n_certs = 1, .matches = p->matches, .n_matches = 1 };
}

/* Every set of listeners that one port may have together. */
static void test_listeners_of_one_port(void **state)
{
	static const struct {
		enum plan_listener_protocol protocols[3];
		const char *hosts[3];
		size_t n, frontends;
	} cases[] = {
		{ { PLAN_LISTENER_HTTPS }, { NULL }, 1, 1 },
		{ { PLAN_LISTENER_HTTPS, PLAN_LISTENER_HTTPS },
		  { "a.example.com", "*.example.com" }, 2, 1 },
		{ { PLAN_LISTENER_TLS_PASSTHROUGH }, { "*.example.com" }, 1, 1 },
		{ { PLAN_LISTENER_TLS_TERMINATE }, { "*.example.com" }, 1, 1 },
		{ { PLAN_LISTENER_TLS_TERMINATE,
		    PLAN_LISTENER_TLS_PASSTHROUGH },
		  { "a.example.com", "*.example.com" }, 2, 2 },
		{ { PLAN_LISTENER_HTTPS, PLAN_LISTENER_TLS_PASSTHROUGH,
		    PLAN_LISTENER_TLS_TERMINATE },
		  { NULL, "*.example.com", "a.example.com" }, 3, 3 },
		{ { PLAN_LISTENER_TCP }, { NULL }, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct plans p;
		struct rendered r;

		plans_init(&p, 18443);
		plans_match(&p, cases[i].protocols[0] == PLAN_LISTENER_TCP ?
		    NULL : "a.example.com", PLAN_PATH_PREFIX, "/",
		    plans_rule(&p, "r"));
		for (size_t k = 0; k < cases[i].n; k++)
			p.listeners[k] = listener(cases[i].protocols[k],
			    cases[i].hosts[k], &p);
		p.bind.n_listeners = cases[i].n;
		r = rendered_of(&p, 206);
		assert_int_equal(r.problems.n, 0);
		assert_int_equal(rendered_count(r.out, "frontend "),
		    cases[i].frontends);
		rendered_assert_valid(&r);
		rendered_drop(&r);
		plans_fini(&p);
	}
}

static void test_clients_that_must_show_a_certificate(void **state)
{
	struct plan_client_validation client = { pems, 1,
		PLAN_CLIENT_ALLOW_VALID_ONLY };
	struct plans p;
	struct rendered r;

	(void)state;
	plans_init(&p, 18443);
	p.listeners[0] = listener(PLAN_LISTENER_HTTPS, NULL, &p);
	p.listeners[0].n_matches = 0;
	p.bind.client = &client;
	r = rendered_of(&p, 206);
	assert_int_equal(rendered_count(r.out, " verify required\n"), 1);
	rendered_assert_valid(&r);
	rendered_drop(&r);
	client.mode = PLAN_CLIENT_ALLOW_INSECURE;
	r = rendered_of(&p, 206);
	assert_int_equal(rendered_count(r.out, " verify optional"), 1);
	rendered_assert_valid(&r);
	rendered_drop(&r);
	plans_fini(&p);
}

static void test_backends_that_speak_tls(void **state)
{
	static const char *const other[] = { "other.example.com" };
	struct plan_backend_tls tls = {
		.ref = { PLAN_BACKEND_TLS_POLICY, "ns", "p", NULL, 0 },
		.cas = pems, .n_cas = 1, .hostname = "a.example.com" };
	struct plans p;
	struct rendered r;

	(void)state;
	plans_init(&p, 18080);
	plans_match(&p, NULL, PLAN_PATH_PREFIX, "/", plans_rule(&p, "r"));
	p.service.tls = &tls;
	p.service.client_cert = &pem;
	r = rendered_of(&p, 206);
	assert_int_equal(rendered_count(r.out, "verify required"), 1);
	assert_int_equal(rendered_count(r.out, "sni str(a.example.com)"), 1);
	rendered_assert_valid(&r);
	rendered_drop(&r);

	/* What cannot be verified is not talked to. */
	tls.sans_hostname = other;
	tls.n_sans_hostname = 1;
	r = rendered_of(&p, 206);
	assert_int_equal(r.problems.n, 1);
	assert_int_equal(r.problems.items[0].ref.kind, PLAN_BACKEND_TLS_POLICY);
	assert_int_equal(r.out->servers.n, 0);
	assert_string_equal(r.out->maps[MAP_RULE].items[0].value,
	    "answer-500");
	rendered_drop(&r);
	plans_fini(&p);
}

/* ---- pools --------------------------------------------------------------- */

static const char *const models[] = { "a: \"b\" {#\\", "\xc3\xa9" };
static const struct plan_model_target targets[] = { { "x]", 3 }, { "y'", 1 } };
static const struct plan_model_rule by_name = { models, 2, targets, 2 };
static const struct plan_model_rule for_all = { NULL, 0,
	&(const struct plan_model_target){ "*z", 0 }, 1 };

static void test_the_agent_takes_pools(void **state)
{
	static const struct plan_endpoint endpoints[] = {
		{ "10.0.0.1", 8000 }, { "10.0.0.1", 8001 }, { "fd00::1", 8000 },
	};
	char dir[] = "/tmp/test_render_tls.XXXXXX", command[256];
	struct plan_pool pool = { .ref = { PLAN_INFERENCE_POOL, "ns", "llama",
		NULL, 0 }, .failure_mode = PLAN_FAIL_CLOSE,
		.rewrites = (const struct plan_model_rule[]){ by_name,
		    for_all }, .n_rewrites = 2 };
	struct plan_backend backends[2] = {
		{ .ref = pool.ref, .pool = &pool, .endpoints = endpoints,
		  .n_endpoints = 3 },
		{ .ref = { PLAN_INFERENCE_POOL, "ns", "none", NULL, 0 },
		  .pool = &pool, .protocol = PLAN_H2C },
	};
	const struct plan_backend *pools[] = { &backends[0], &backends[1] };
	struct plan_rule *rule;
	struct plans p;
	struct rendered r;

	(void)state;
	plans_init(&p, 18080);
	rule = plans_rule(&p, "r");
	p.targets[0].backend = &backends[0];
	p.targets[1] = (struct plan_target){ .backend = &backends[1],
		.weight = 9 };
	rule->n_targets = 2;
	plans_match(&p, NULL, PLAN_PATH_PREFIX, "/", rule);
	p.plan.pools = pools;
	p.plan.n_pools = 2;
	r = rendered_of(&p, 206);
	assert_int_equal(r.out->servers.n, 3);
	assert_string_equal(r.out->servers.items[0].name, "10.0.0.1:8000");
	assert_string_equal(r.out->servers.items[2].name, "fd00::1:8000");
	assert_string_equal(r.out->servers.items[2].address, "[fd00::1]:8000");
	assert_int_equal(rendered_count(r.out, "str(ns.llama)"), 1);
	assert_int_equal(rendered_count(r.out, "no endpoint picker"), 2);
	rendered_assert_valid(&r);

	assert_non_null(mkdtemp(dir));
	assert_int_equal(output_write_agent(r.out, dir), 0);
	snprintf(command, sizeof(command), "%s -c -f %s/pools.yaml >&2 && "
	    "grep -q 10.0.0.1 %s/pool-ns.llama.yaml && rm -r %s",
	    getenv("EPP_AGENT") != NULL ? getenv("EPP_AGENT") :
	    "build/debug/epp-agent", dir, dir, dir);
	assert_int_equal(system(command), 0);
	rendered_drop(&r);
	plans_fini(&p);
}

static const char *const left_out[] = {	/* for this file, or for each server */
	".", "#", "filter spoe", "http-request set-var(txn.epp.pool)",
	"default-server", "server ", "retry-on", "option httpchk",
};

static bool is_left_out(const char *line)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
		if (strncmp(line, left_out[i], strlen(left_out[i])) == 0)
			return true;
	return *line == '\0';
}

/* Lines that are off in what is shipped, for models under other names. */
static bool is_of_models(const char *line)
{
	return strncmp(line, "#filter lua", 11) == 0 ||
	    (strncmp(line, "#http-re", 8) == 0 &&
	     (strstr(line, "epp.model") != NULL ||
	      strstr(line, "epp.rename") != NULL));
}

/* What is shipped by hand and what is rendered are one contract. */
static void test_a_pool_has_the_shipped_lines(void **state)
{
	struct plan_pool pool = { .ref = { PLAN_INFERENCE_POOL, "ns", "llm",
		NULL, 0 }, .failure_mode = PLAN_FAIL_OPEN, .rewrites = &by_name,
		.n_rewrites = 1 };
	struct plan_backend backend = { .ref = pool.ref, .pool = &pool };
	const struct plan_backend *pools[] = { &backend };
	FILE *f = fopen("haproxy-cfg/share/haproxy.cfg", "r");
	struct plans p;
	struct rendered r;
	char line[2048];
	size_t n = 0, n_models = 0;
	bool is_pool = false;

	(void)state;
	assert_non_null(f);
	plans_init(&p, 18080);
	plans_match(&p, NULL, PLAN_PATH_PREFIX, "/", plans_rule(&p, "r"));
	p.targets[0].backend = &backend;
	p.plan.pools = pools;
	p.plan.n_pools = 1;
	r = rendered_of(&p, 206);
	while (fgets(line, sizeof(line), f) != NULL) {
		char *text = line + strspn(line, " ");

		text[strcspn(text, "\n")] = '\0';
		if (is_of_models(text)) {
			text++;
			n_models++;
		}
		if (text == line)
			is_pool = *text == '\0' || *text == '.' ? is_pool :
			    strcmp(text, "backend llm") == 0;
		else if (is_pool && !is_left_out(text)) {
			if (rendered_count(r.out, text) == 0)
				fail_msg("not rendered: %s", text);
			n++;
		}
	}
	assert_true(n > 15);
	assert_int_equal(n_models, 6);
	fclose(f);
	rendered_drop(&r);
	plans_fini(&p);
}

/* ---- hostile words ------------------------------------------------------- */

static const char *const hostile[] = {
	"\n    http-request deny\n", "' ; http-request deny", "%[src]", "}",
	"a b", "a|b", "a,b)c", "$(reboot)", "\"", "\\", "#", "", "\x01", "\x02",
	"if", "--", "caf\xc3\xa9", "a\tb", "(", "[", "/../..", "*", "*.",
	"a\\", "'", "%", "%%[", "str(x)", "\r\nx: y", "a;b",
};

enum { N_HOSTILE = sizeof(hostile) / sizeof(*hostile) };

/* Each text in every place that a manifest can fill. */
static void fill(struct plans *p, const char *text)
{
	static struct plan_header h;
	static struct plan_header_edits e;
	static struct plan_redirect d;
	static struct plan_rewrite w;
	static struct plan_cors c;
	static struct plan_session s;
	static struct plan_test t[4];
	static const char *list[1];
	struct plan_rule *rule = plans_rule(p, text);
	struct plan_match *m;

	list[0] = text;
	h = (struct plan_header){ text, text };
	e = (struct plan_header_edits){ &h, &h, &h, 1, 1, 1 };
	w = (struct plan_rewrite){ text, PLAN_PATH_PREFIX_MATCH, text };
	d = (struct plan_redirect){ .hostname = text, .path = text,
		.path_edit = PLAN_PATH_FULL, .status = 302 };
	c = (struct plan_cors){ list, list, list, list, 1, 1, 1, 1, true, 5 };
	s = (struct plan_session){ PLAN_SESSION_COOKIE, text, -1, -1, false };
	t[0] = (struct plan_test){ PLAN_TEST_HEADER, false, text, text };
	t[1] = (struct plan_test){ PLAN_TEST_QUERY, false, text, text };
	t[2] = (struct plan_test){ PLAN_TEST_HEADER, true, "x", text };
	t[3] = (struct plan_test){ PLAN_TEST_QUERY, true, "x", text };
	rule->ref.namespace = rule->ref.section = text;
	rule->filters = (struct plan_filters){ .request = &e, .response = &e,
		.rewrite = &w, .cors = &c };
	rule->session = &s;
	plans_match(p, text, PLAN_PATH_PREFIX, "/a", rule);
	plans_match(p, NULL, PLAN_PATH_PREFIX, text, rule);
	plans_match(p, NULL, PLAN_PATH_EXACT, text, rule);
	plans_match(p, NULL, PLAN_PATH_REGEX, text, rule);
	for (size_t i = 0; i < 4; i++) {
		m = plans_match(p, NULL, PLAN_PATH_PREFIX, "/t", rule);
		m->tests = &t[i];
		m->n_tests = 1;
		m->method = i == 0 ? text : NULL;
	}
	rule = plans_rule(p, "redirect");
	rule->filters.redirect = &d;
	plans_match(p, NULL, PLAN_PATH_PREFIX, "/r", rule);
	p->listeners[0].hostname = NULL;
	p->bind.ref.name = p->service.ref.name = text;
	p->service.ref.namespace = text;
	p->endpoint.address = text;
}

static void test_no_word_becomes_configuration(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_HOSTILE; i++) {
		struct plans p;
		struct rendered r;

		plans_init(&p, 18080);
		fill(&p, hostile[i]);
		r = rendered_of(&p, 206);
		assert_int_equal(rendered_count(r.out, "\n    http-request deny"),
		    0);
		assert_true(r.problems.n > 0);
		rendered_assert_valid(&r);
		rendered_drop(&r);
		plans_fini(&p);
	}
}

static void test_what_a_version_cannot_do_is_told(void **state)
{
	static const uint16_t codes[] = { 429, 503 };
	static const struct plan_retry retry = { codes, 2, 1, -1 };
	struct plan_rule *rule;
	struct plans p;
	struct rendered r;

	(void)state;
	plans_init(&p, 18080);
	rule = plans_rule(&p, "r");
	rule->retry = &retry;
	plans_match(&p, NULL, PLAN_PATH_PREFIX, "/", rule);
	r = rendered_of(&p, 206);
	assert_int_equal(r.problems.n, 1);
	assert_string_equal(r.problems.items[0].reason, "UnsupportedValue");
	assert_non_null(strstr(r.problems.items[0].message, "429"));
	rendered_assert_valid(&r);
	rendered_drop(&r);
	r = rendered_of(&p, 302);
	assert_int_equal(r.problems.n, 0);
	assert_int_equal(rendered_count(r.out, " 429 503\n"), 1);
	rendered_drop(&r);
	plans_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listeners_of_one_port),
		cmocka_unit_test(test_clients_that_must_show_a_certificate),
		cmocka_unit_test(test_backends_that_speak_tls),
		cmocka_unit_test(test_the_agent_takes_pools),
		cmocka_unit_test(test_a_pool_has_the_shipped_lines),
		cmocka_unit_test(test_no_word_becomes_configuration),
		cmocka_unit_test(test_what_a_version_cannot_do_is_told),
	};

	return cmocka_run_group_tests(tests, make_pem, free_pem);
}
