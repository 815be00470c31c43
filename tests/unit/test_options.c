#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "engine.h"
#include "fault.h"
#include "log.h"
#include "options.h"
#include "pool.h"

#define LIST "pools:\n- name: p\n  endpoints:"
#define POOL LIST " [{name: s, address: h, port: 1}]\n"

static struct options *parse(const char *text)
{
	struct fault why = { 0 };
	char said[700];
	struct options *o = options_parse("f", span_of(text), &why);

	if (o == NULL)
		fail_msg("%s", fault_text(&why, said, sizeof(said)));
	return o;
}

/* As epp-translator calls the servers of a pool. */
static void test_no_name_means_address_and_port(void **state)
{
	struct options *o = parse(LIST " [{address: 10.0.0.1, port: 8000}, "
	    "{address: '[FD00::0:1]', ports: [1, 2]}]");
	const struct endpoint_options *e = o->pools[0].endpoints;

	(void)state;
	assert_int_equal(o->pools[0].n_endpoints, 3);
	assert_string_equal(e[0].name, "10.0.0.1:8000");
	assert_string_equal(e[1].name, "fd00::1:1");
	assert_string_equal(e[2].name, "fd00::1:2");
	options_free(o);
}

static void test_every_default_is_as_documented(void **state)
{
	struct options *o = parse(POOL);
	const struct pool_options *p = &o->pools[0];

	(void)state;
	assert_string_equal(o->file, "f");
	assert_int_equal(o->n_listens, 1);
	assert_string_equal(o->listens[0].host, "127.0.0.1");
	assert_int_equal(o->listens[0].port, 9002);
	assert_null(o->listens[0].path);
	assert_int_equal(o->threads, 0);
	assert_int_equal(o->log_level, LOG_LEVEL_INFO);
	assert_int_equal(o->n_engines, 0);
	assert_int_equal(o->n_pools, 1);
	assert_string_equal(p->engine, "vllm");
	assert_int_equal(p->source, SOURCE_STATIC);
	assert_string_equal(p->haproxy_backend, "p");
	assert_null(p->endpoints[0].engine);
	assert_int_equal(p->endpoints[0].n_labels, 0);
	assert_true(p->scrape.enabled);
	assert_false(p->scrape.https);
	assert_string_equal(p->scrape.path, "/metrics");
	assert_int_equal(p->scrape.port, 0);
	assert_int_equal(p->scrape.interval_ms, 50);
	assert_int_equal(p->scrape.timeout_ms, 1000);
	assert_int_equal(p->scrape.stale_ms, 2000);
	assert_int_equal(p->scrape.max_bytes, 4 << 20);
	assert_false(p->scrape.insecure_skip_verify);
	assert_null(p->scrape.ca_file);
	assert_int_equal(p->prefix.block_tokens, 64);
	assert_int_equal(p->prefix.max_match_tokens, 131072);
	assert_int_equal(p->prefix.capacity_tokens, 131072);
	assert_true(p->prefix.auto_tune);
	assert_int_equal(p->prefix.max_bytes, 16 << 20);
	assert_null(p->prefix.snapshot);
	assert_int_equal(p->prefix.snapshot_max_age_ms, 600000);
	assert_false(p->prefix.kv.enabled);
	options_free(o);
	o = parse("pools: [{name: p, file: /f, prefix: {kvEvents: {}}}]");
	assert_true(o->pools[0].prefix.kv.enabled);
	assert_int_equal(o->pools[0].prefix.kv.port, 5557);
	assert_int_equal(o->pools[0].prefix.kv.replay_port, 0);
	assert_int_equal(o->pools[0].prefix.kv.ranks, 1);
	assert_string_equal(o->pools[0].prefix.kv.topic, "");
	assert_false(o->pools[0].prefix.tokenizer.enabled);
	options_free(o);
	o = parse("pools: [{name: p, file: /f, prefix: {kvEvents: {}, "
	    "tokenizer: {}}}]");
	assert_true(o->pools[0].prefix.tokenizer.enabled);
	assert_null(o->pools[0].prefix.tokenizer.host);
	assert_int_equal(o->pools[0].prefix.tokenizer.api, TOKENIZER_TOKENIZE);
	assert_null(o->pools[0].prefix.tokenizer.model);
	assert_int_equal(o->pools[0].prefix.tokenizer.timeout_ms, 5000);
	assert_int_equal(o->pools[0].prefix.tokenizer.concurrency, 4);
	assert_int_equal(o->pools[0].prefix.tokenizer.max_bytes, 4 << 20);
	options_free(o);
	o = parse("pools: [{name: p, haproxy: {socket: /s}}]");
	assert_int_equal(o->pools[0].haproxy_interval_ms, 1000);
	options_free(o);
}

static const char everything[] =
    "listen: [127.0.0.1:9002, \"[::1]:9003\", \"unix:/run/a.sock,mode=0600\"]\n"
    "threads: 4\n"
    "log: {level: debug}\n"
    "engines:\n"
    "- {name: mine, queuedRequestsSpec: 'q', runningRequestsSpec: 'r{m=\"x\"}',"
    " kvUsageSpec: kv, cacheInfoSpec: ci, cacheBlockSizeLabelName: bs,"
    " cacheNumBlocksLabelName: nb, extends: vllm, loraSpec: l, customMetrics:"
    " [{attributeKey: a.b, metricSpec: 'c{d=e}'},"
    " {attributeKey: f, metricSpec: g, fold: max}]}\n"
    "pools:\n"
    "- name: llm\n"
    "  engine: mine\n"
    "  endpoints:\n"
    "  - {name: s1, address: 10.0.0.7, port: 8000, engine: sglang,"
    " labels: {llm-d.ai/role: decode, empty: ''}}\n"
    "  - {name: big, address: gpu2.example.com, ports: [8000, 8001]}\n"
    "  - {name: six, address: '[2001:db8::1]', port: 1}\n"
    "  metrics: {enabled: false, scheme: https, path: /m?x=1, port: 9,"
    " interval: 1s, timeout: 2s, staleAfter: 3s, maxBytes: 1MiB,"
    " insecureSkipVerify: true, caCertPath: /ca.pem}\n"
    "  prefix: {blockSizeTokens: 16, maxPrefixTokensToMatch: 1024,"
    " capacityTokens: 4096, autoTune: false, maxBytes: 64k,"
    " snapshot: /var/p, snapshotMaxAge: 1h, kvEvents: {socketPort: 5,"
    " replaySocketPort: 6, ranks: 8, topicFilter: kv@},"
    " tokenizer: {url: 'https://[2001:db8::2]:8443/', api: render,"
    " modelName: base, timeout: 2s, concurrency: 7, maxBytes: 1MiB}}\n"
    "- {name: by-file, file: /e.yaml}\n"
    "- {name: by-haproxy, haproxy: {socket: '127.0.0.1:99', backend: b,"
    " interval: 500ms}}\n";

static void test_every_key_reaches_its_field(void **state)
{
	struct options *o = parse(everything);
	const struct pool_options *p = &o->pools[0];

	(void)state;
	assert_int_equal(o->n_listens, 3);
	assert_string_equal(o->listens[1].host, "::1");
	assert_int_equal(o->listens[1].port, 9003);
	assert_string_equal(o->listens[2].path, "/run/a.sock");
	assert_int_equal(o->listens[2].mode, 0600);
	assert_int_equal(o->threads, 4);
	assert_int_equal(o->log_level, LOG_LEVEL_DEBUG);
	assert_string_equal(o->engines[0].name, "mine");
	assert_string_equal(o->engines[0].queued_spec, "q");
	assert_string_equal(o->engines[0].running_spec, "r{m=\"x\"}");
	assert_string_equal(o->engines[0].kv_spec, "kv");
	assert_string_equal(o->engines[0].cache_info_spec, "ci");
	assert_string_equal(o->engines[0].block_size_label, "bs");
	assert_string_equal(o->engines[0].n_blocks_label, "nb");
	assert_string_equal(o->engines[0].extends, "vllm");
	assert_string_equal(o->engines[0].lora_spec, "l");
	assert_int_equal(o->engines[0].n_custom, 2);
	assert_string_equal(o->engines[0].custom[0].key, "a.b");
	assert_string_equal(o->engines[0].custom[0].spec, "c{d=e}");
	assert_int_equal(o->engines[0].custom[0].fold, FOLD_MEAN);
	assert_int_equal(o->engines[0].custom[1].fold, FOLD_MAX);
	assert_ptr_equal(p->engines, o->engines);
	assert_int_equal(p->n_engines, 1);
	assert_string_equal(p->engine, "mine");
	assert_false(p->scrape.enabled);
	assert_true(p->scrape.https);
	assert_string_equal(p->scrape.path, "/m?x=1");
	assert_int_equal(p->scrape.port, 9);
	assert_int_equal(p->scrape.interval_ms, 1000);
	assert_int_equal(p->scrape.timeout_ms, 2000);
	assert_int_equal(p->scrape.stale_ms, 3000);
	assert_int_equal(p->scrape.max_bytes, 1 << 20);
	assert_true(p->scrape.insecure_skip_verify);
	assert_string_equal(p->scrape.ca_file, "/ca.pem");
	assert_int_equal(p->prefix.block_tokens, 16);
	assert_int_equal(p->prefix.max_match_tokens, 1024);
	assert_int_equal(p->prefix.capacity_tokens, 4096);
	assert_false(p->prefix.auto_tune);
	assert_int_equal(p->prefix.max_bytes, 65536);
	assert_string_equal(p->prefix.snapshot, "/var/p");
	assert_int_equal(p->prefix.snapshot_max_age_ms, 3600000);
	assert_true(p->prefix.kv.enabled);
	assert_int_equal(p->prefix.kv.port, 5);
	assert_int_equal(p->prefix.kv.replay_port, 6);
	assert_int_equal(p->prefix.kv.ranks, 8);
	assert_string_equal(p->prefix.kv.topic, "kv@");
	assert_true(p->prefix.tokenizer.enabled);
	assert_true(p->prefix.tokenizer.https);
	assert_string_equal(p->prefix.tokenizer.host, "2001:db8::2");
	assert_int_equal(p->prefix.tokenizer.port, 8443);
	assert_int_equal(p->prefix.tokenizer.api, TOKENIZER_RENDER);
	assert_string_equal(p->prefix.tokenizer.model, "base");
	assert_int_equal(p->prefix.tokenizer.timeout_ms, 2000);
	assert_int_equal(p->prefix.tokenizer.concurrency, 7);
	assert_int_equal(p->prefix.tokenizer.max_bytes, 1 << 20);
	assert_int_equal(o->pools[1].source, SOURCE_FILE);
	assert_string_equal(o->pools[1].file, "/e.yaml");
	assert_int_equal(o->pools[2].source, SOURCE_HAPROXY);
	assert_string_equal(o->pools[2].haproxy_socket, "127.0.0.1:99");
	assert_string_equal(o->pools[2].haproxy_backend, "b");
	assert_int_equal(o->pools[2].haproxy_interval_ms, 500);
	options_free(o);
}

static void test_one_row_with_ports_is_one_endpoint_a_port(void **state)
{
	struct options *o = parse(everything);
	const struct endpoint_options *e = o->pools[0].endpoints;

	(void)state;
	assert_int_equal(o->pools[0].n_endpoints, 4);
	assert_string_equal(e[0].name, "s1");
	assert_string_equal(e[0].engine, "sglang");
	assert_int_equal(e[0].n_labels, 2);
	assert_string_equal(e[0].labels[0].key, "llm-d.ai/role");
	assert_string_equal(e[0].labels[0].value, "decode");
	assert_string_equal(e[0].labels[1].value, "");
	assert_string_equal(e[1].name, "big-8000");
	assert_int_equal(e[1].port, 8000);
	assert_string_equal(e[2].name, "big-8001");
	assert_string_equal(e[2].host, "gpu2.example.com");
	assert_string_equal(e[3].host, "2001:db8::1");
	options_free(o);
}

/* In order: what stands in the text, the fault's line, its found and want. */
static const struct {
	const char *text;
	unsigned line;
	const char *found, *want;
} bad[] = {
	{ "", 1, "this file: nothing", "a map" },
	{ "threads: 1", 1, "this file without pools", "pools: " },
	{ "pools: []", 1, "pools: a list", "1 or more" },
	{ POOL "lisen: 1", 4, "unknown key lisen", "listen" },
	{ POOL "threads: 1025", 4, "threads: 1025", "0 to 1024" },
	{ POOL "log: {level: inof}", 4, "level: inof", "info" },
	{ POOL "listen: localhost:9002", 4, "listen: localhost:9002",
	    "127.0.0.1:9002" },
	{ POOL "listen: 127.0.0.1:0", 4, "listen: ", "127.0.0.1:9002" },
	{ POOL "listen: 127.0.0.1:65536", 4, "listen: ", "127.0.0.1:9002" },
	{ POOL "listen: 127.0.0.1", 4, "listen: ", "127.0.0.1:9002" },
	{ POOL "listen: ::1:80", 4, "listen: ", "[::1]:9002" },
	{ POOL "listen: '[127.0.0.1]:80'", 4, "listen: ", "127.0.0.1:9002" },
	{ POOL "listen: unix:run/a", 4, "listen: ", "unix:/path" },
	{ POOL "listen: unix:/a,mode=99", 4, "listen: ", "mode=0660" },
	{ POOL "listen: unix:/a,mode=7777", 4, "listen: ", "mode=0660" },
	{ POOL "engines: [{name: vllm}]", 4, "built in", "another name" },
	{ POOL "engines:\n- {name: a, queuedRequestsSpec: q}\n"
	       "- {name: a, queuedRequestsSpec: q}", 6,
	    "engine a a second time", "line 5" },
	{ POOL "engines: [{name: a, queuedRequestsSpec: '{'}]", 4, "", "" },
	{ POOL "engines: [{name: a, extends: vlm}]", 4,
	    "engine a extends vlm", "vllm" },
	{ POOL "engines:\n- name: a\n  extends: vllm\n  customMetrics:\n"
	       "  - {attributeKey: k}", 8, "a custom metric without metricSpec",
	    "metricSpec: " },
	{ POOL "engines: [{name: a, extends: vllm, customMetrics:"
	       " [{attributeKey: k, metricSpec: m, fold: men}]}]", 4,
	    "fold: men", "mean" },
	{ POOL "engines: [{name: a, extends: vllm, customMetrics:"
	       " [{attributeKey: k, metricSpec: 'm{'}]}]", 4, "", "" },
	{ "pools:\n- {name: p, file: /f}\n- {name: p, file: /f}", 3,
	    "pool p a second time", "line 2" },
	{ "pools:\n- {name: p}", 2, "pool p with no endpoints",
	    "one of: endpoints, file, haproxy" },
	{ "pools:\n- {name: p, file: /f, haproxy: {socket: /s}}", 2,
	    "more than one source", "one of:" },
	{ "pools:\n- {name: 'a b', file: /f}", 2, "name: \"a b\"", "letters" },
	{ "pools:\n- {name: p, endpoints: []}", 2, "endpoints: ", "1 or more" },
	{ "pools:\n- {name: p, engine: vlm, file: /f}", 2, "engine: vlm",
	    "vllm" },
	{ LIST "\n  - {name: s, address: h, port: 1}\n"
	  "  - {name: t, address: h, port: 1, engine: sgland}", 5,
	    "engine: sgland", "sglang" },
	{ LIST "\n  - {name: s, address: h, port: 1}\n"
	  "  - {name: s, address: h, port: 2}", 5, "endpoint s a second time",
	    "line 4" },
	{ LIST "\n  - {name: s-1, address: h, port: 1}"
	  "\n  - {name: s, address: h, ports: [1]}", 5,
	    "endpoint s-1 a second time", "line 4" },
	{ LIST " [{name: s, address: h}]", 3,
	    "neither port and ports", "port: 8000" },
	{ LIST " [{address: 10.0.0.1}]", 3, "endpoint 10.0.0.1 with neither",
	    "port: 8000" },
	{ LIST " [{address: pod.example.com, port: 80}]", 3,
	    "pod.example.com without a name", "name:" },
	{ LIST " [{address: 10.0.0.1, port: 80},\n"
	    "    {name: '10.0.0.1:80', address: 10.0.0.2, port: 80}]", 4,
	    "10.0.0.1:80 a second time", "line 3" },
	{ LIST " [{name: s, address: h, port: 1,"
	  " ports: [2]}]", 3, "both port and ports", "port: 8000" },
	{ LIST " [{name: s, address: 'h:80', port: 1}]",
	    3, "address: \"h:80\"", "its port under port:" },
	{ LIST " [{name: s, address: 1.2.3, port: 1}]",
	    3, "address: 1.2.3", "DNS name" },
	{ LIST " [{name: s, address: 1.2.3.256, port: 1"
	  "}]", 3, "address: 1.2.3.256", "DNS name" },
	{ LIST " [{name: s, address: '[h]', port: 1}]",
	    3, "address: \"[h]\"", "" },
	{ LIST " [{name: s, address: h, port: 0}]", 3,
	    "port: 0", "1 to 65535" },
	{ LIST " [{name: s, address: h, port: 1,"
	  " labels: {a: [b]}}]", 3, "labels: a list", "label: a string" },
	{ "pools:\n- {name: p, haproxy: {socket: sock}}", 2, "socket: sock",
	    "an absolute path" },
	{ "pools:\n- {name: p, haproxy: {backend: b}}", 2,
	    "haproxy without socket", "socket: " },
	{ "pools:\n- {name: p, file: /f, metrics: {scheme: htps}}", 2,
	    "scheme: htps", "https" },
	{ "pools:\n- {name: p, file: /f, metrics: {path: m}}", 2, "path: m",
	    "/metrics" },
	{ "pools:\n- {name: p, file: /f, metrics: {path: '/a b'}}", 2,
	    "path: \"/a b\"", "/metrics" },
	{ "pools:\n- {name: p, file: /f, metrics: {interval: 1ms}}", 2,
	    "interval: 1ms", "10ms" },
	{ "pools:\n- {name: p, file: /f, metrics: {staleAfter: 20ms}}", 2,
	    "staleAfter below interval", "several" },
	{ "pools:\n- {name: p, file: /f, prefix: {snapshot: p.prefix}}", 2,
	    "snapshot: p.prefix", "an absolute path" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: 5557}}", 2,
	    "kvEvents: 5557", "a map" },
	{ "pools:\n- name: p\n  file: /f\n  prefix:\n    kvEvents:\n"
	    "      port: 5557", 6, "kvEvents with unknown key port",
	    "socketPort" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: {ranks: 65}}}", 2,
	    "ranks: 65", "1 to 64" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: {ranks: 2,"
	    " socketPort: 65535}}}", 2, "socketPort: 65535", "65534 at most" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: {ranks: 3,"
	    " replaySocketPort: 65534}}}", 2, "replaySocketPort: 65534",
	    "65533 at most" },
	{ "pools:\n- {name: p, file: /f, prefix: {tokenizer: {}}}", 2,
	    "a tokenizer and without kvEvents", "kvEvents beside it" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: {}, tokenizer: {url:"
	    " 'http://h:8000/tokenize'}}}", 2, "http://h:8000/tokenize",
	    "no path" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: {}, tokenizer: {url:"
	    " 'http://h:0'}}}", 2, "http://h:0", "a host" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: {}, tokenizer: {url:"
	    " 'http://[::1'}}}", 2, "http://[::1", "a host" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: {}, tokenizer: {url:"
	    " 'http://'}}}", 2, "http://", "a host" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: {}, tokenizer: {"
	    "modelName: 'a\"b'}}}", 2, "modelName", "without quotes" },
	{ "pools:\n- {name: p, file: /f, prefix: {kvEvents: {}, tokenizer: {"
	    "concurrency: 65}}}", 2, "concurrency: 65", "1 to 64" },
	{ "pools:\n- {name: p, file: /f, prefix: {blockSizeTokens: 0}}", 2,
	    "blockSizeTokens: 0", "1 to 1024" },
};

static void test_what_is_wrong_says_where_and_what_would_be_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fault why = { 0 };

		assert_null(options_parse("f", span_of(bad[i].text), &why));
		assert_string_equal(why.file, "f");
		assert_int_equal(why.line, bad[i].line);
		if (strstr(why.found, bad[i].found) == NULL ||
		    strstr(why.want, bad[i].want) == NULL)
			fail_msg("%s; want: %s", why.found, why.want);
	}
}

static void test_every_truncation_is_options_or_a_fault(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof(everything); cut++) {
		struct fault why = { 0 };
		char *exact = malloc(cut + 1);	/* so that ASan sees the edge */
		struct options *o;

		assert_non_null(exact);
		memcpy(exact, everything, cut);
		o = options_parse("f", (struct span){ exact, cut }, &why);
		assert_int_equal(o == NULL, why.is_set);
		options_free(o);
		free(exact);
	}
}

static int parse_endpoints(const char *text, struct arena *arena,
    const struct endpoint_options **e, size_t *n, struct fault *why)
{
	static const struct engine_options engines[] = { { .name = "mine" } };
	const struct pool_options pool = {
		.name = "p", .engine = "vllm", .engines = engines,
		.n_engines = 1,
	};

	*why = (struct fault){ 0 };
	return options_parse_endpoints("f", span_of(text), &pool, arena, e, n,
	    why);
}

static void test_an_endpoints_file_has_the_same_rows(void **state)
{
	struct arena *arena = arena_new(4096, 1 << 20);
	const struct endpoint_options *e;
	struct fault why;
	size_t n;

	(void)state;
	assert_int_equal(parse_endpoints("endpoints:\n- {name: a,"
	    " address: '::1', ports: [1, 2], engine: mine}", arena, &e, &n,
	    &why), 0);
	assert_int_equal(n, 2);
	assert_string_equal(e[1].name, "a-2");
	assert_string_equal(e[1].engine, "mine");
	assert_int_equal(parse_endpoints("endpoints: []", arena, &e, &n, &why),
	    0);
	assert_int_equal(n, 0);
	assert_int_equal(parse_endpoints("", arena, &e, &n, &why), -22);
	assert_int_equal(parse_endpoints("endpoints:\n- {name: a, address: b,"
	    " port: 1, engine: other}", arena, &e, &n, &why), -22);
	assert_int_equal(why.line, 2);
	arena_free(arena);
}

static void test_a_file_pool_may_be_as_large_as_promised(void **state)
{
	struct arena *arena = arena_new(1 << 16, 256 << 20);
	const struct endpoint_options *e;
	struct fault why;
	struct buf text;
	size_t n;

	(void)state;
	buf_init(&text, 16 << 20);
	buf_puts(&text, "endpoints:\n");
	for (size_t i = 0; i < POOL_ENDPOINTS_MAX; i++)
		buf_printf(&text, "- {name: pod-%zu, address: 10.0.%zu.%zu,"
		    " port: 8000, labels: {r: d}}\n", i, i >> 8 & 255, i & 255);
	buf_put(&text, "", 1);
	assert_int_equal(parse_endpoints(text.data, arena, &e, &n, &why), 0);
	assert_int_equal(n, POOL_ENDPOINTS_MAX);
	text.len--;
	buf_puts(&text, "- {name: more, address: h, port: 1}\n");
	buf_put(&text, "", 1);
	assert_int_equal(parse_endpoints(text.data, arena, &e, &n, &why), -22);
	assert_non_null(strstr(why.want, "65535"));
	buf_fini(&text);
	arena_free(arena);
}

/* ---- who keeps them ---- */

static void test_the_last_reference_frees_them(void **state)
{
	struct options *o = parse(POOL);

	(void)state;
	assert_ptr_equal(options_ref(o), o);
	assert_ptr_equal(options_ref(o), o);
	options_free(o);
	options_free(o);
	assert_string_equal(o->pools[0].name, "p");	/* ASan looks on */
	options_free(o);
	options_free(NULL);
}

static void test_each_load_has_its_own_number(void **state)
{
	struct options *a = parse("pools: [{name: p, file: /f},"
	    " {name: q, file: /f}]");
	struct options *b = parse(POOL);

	(void)state;
	assert_true(a->pools[0].number > 0);
	assert_int_equal(a->pools[1].number, a->pools[0].number);
	assert_true(b->pools[0].number > a->pools[0].number);
	assert_ptr_equal(a->pools[1].owner, a);
	options_free(a);
	options_free(b);
}

/* A worker may look at the old one while the file is read again: ASan looks on. */
static void test_a_view_keeps_its_options_over_a_reload(void **state)
{
	static const char text[] = "pools:\n- name: p\n  file: /f\n"
	    "  failureMode: %s\n  objectives: [{name: %s}]\n"
	    "  flowControl: {priorityBands: [{priority: 7}]}\n";
	const struct endpoint_view *views[2];
	struct options *o[2];
	struct pool *pool;
	char said[512];

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(said, sizeof(said), text, "FailOpen", "before");
	o[0] = parse(said);
	snprintf(said, sizeof(said), text, "FailClose", "after");
	o[1] = parse(said);
	pool = pool_new(&o[0]->pools[0]);
	views[0] = pool_view(pool, 1);
	pool->options = &o[1]->pools[0];
	views[1] = pool_view(pool, 2);
	options_free(o[0]);
	options_free(o[1]);
	pool_view_ref(views[0]);
	pool_view_unref(views[0]);
	assert_string_equal(views[0]->options->objectives[0].name, "before");
	assert_int_equal(views[0]->options->failure_mode, FAIL_OPEN);
	assert_int_equal(views[0]->options->flow.queue.bands[0].priority, 7);
	pool_view_unref(views[0]);
	assert_string_equal(views[1]->options->objectives[0].name, "after");
	assert_int_equal(views[1]->options->failure_mode, FAIL_CLOSE);
	pool_unref(pool);		/* the view keeps that too */
	pool_view_unref(views[1]);
}

static void test_the_shipped_example_loads(void **state)
{
	struct fault why = { 0 };
	struct options *o = options_load("haproxy-cfg/share/agent.yaml", &why);

	(void)state;
	assert_non_null(o);
	assert_string_equal(o->listens[0].text, "127.0.0.1:9002");
	assert_int_equal(o->n_pools, 1);
	assert_string_equal(o->pools[0].name, "llm");
	assert_int_equal(o->pools[0].n_endpoints, 3);
	assert_string_equal(o->pools[0].endpoints[2].name, "s3");
	assert_int_equal(o->pools[0].endpoints[2].port, 8003);
	options_free(o);
}

static void test_a_file_that_is_not_there_is_a_fault(void **state)
{
	struct fault why = { 0 };

	(void)state;
	assert_null(options_load("/nonesuch/agent.yaml", &why));
	assert_string_equal(why.file, "/nonesuch/agent.yaml");
	assert_non_null(strstr(why.found, "No such file"));
}

static void test_help_shows_defaults(void **state)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	options_print_help(out);
	fclose(out);
	assert_non_null(strstr(text, "listen[]"));
	assert_non_null(strstr(text, "pools[].metrics.interval"));
	assert_non_null(strstr(text, "pools[].haproxy.socket"));
	assert_non_null(strstr(text, "16MiB"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_name_means_address_and_port),
		cmocka_unit_test(test_every_default_is_as_documented),
		cmocka_unit_test(test_every_key_reaches_its_field),
		cmocka_unit_test(
		    test_one_row_with_ports_is_one_endpoint_a_port),
		cmocka_unit_test(
		    test_what_is_wrong_says_where_and_what_would_be_right),
		cmocka_unit_test(test_every_truncation_is_options_or_a_fault),
		cmocka_unit_test(test_an_endpoints_file_has_the_same_rows),
		cmocka_unit_test(test_a_file_pool_may_be_as_large_as_promised),
		cmocka_unit_test(test_the_last_reference_frees_them),
		cmocka_unit_test(test_each_load_has_its_own_number),
		cmocka_unit_test(test_a_view_keeps_its_options_over_a_reload),
		cmocka_unit_test(test_the_shipped_example_loads),
		cmocka_unit_test(test_a_file_that_is_not_there_is_a_fault),
		cmocka_unit_test(test_help_shows_defaults),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
