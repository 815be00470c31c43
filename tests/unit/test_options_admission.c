/* Who is let in, when, and where not to; and feedback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "fault.h"
#include "options.h"

#define POOL "pools:\n- name: p\n  file: /f\n"
#define FEEDBACK "feedback: {listen: 127.0.0.1:9003}\n"
#define CONCURRENCY "  saturation: {detector: concurrency-detector}\n"

static struct options *parse(const char *text)
{
	struct fault why = { 0 };
	char said[700];
	struct options *o = options_parse("f", span_of(text), &why);

	if (o == NULL)
		fail_msg("%s: %s", text, fault_text(&why, said, sizeof(said)));
	return o;
}

static void expect_fault(const char *text, unsigned line, const char *found,
    const char *want)
{
	struct fault why = { 0 };
	struct options *o = options_parse("f", span_of(text), &why);

	if (o != NULL)
		fail_msg("%s: it is taken", text);
	if (strstr(why.found, found) == NULL || strstr(why.want, want) == NULL ||
	    why.line != line)
		fail_msg("%s: line %u: %s; want: %s", text, why.line, why.found,
		    why.want);
}

/* ---- defaults ---- */

static void expect_default_band(const struct flow_band_options *b)
{
	assert_int_equal(b->max_requests, 5000);
	assert_int_equal(b->max_bytes, 1000000000);
	assert_int_equal(b->fairness, FLOW_GLOBAL_STRICT);
	assert_int_equal(b->ordering, FLOW_FCFS);
}

static void test_every_default_is_as_documented(void **state)
{
	struct options *o = parse(POOL FEEDBACK);
	const struct pool_options *p = &o->pools[0];

	(void)state;
	assert_int_equal(p->failure_mode, FAIL_OPEN);
	assert_int_equal(p->outlier.consecutive_failures, 5);
	assert_int_equal(p->outlier.base_ms, 30000);
	assert_int_equal(p->outlier.max_ms, 300000);
	assert_int_equal(p->outlier.max_percent, 10);
	assert_int_equal(p->saturation.detector, DETECTOR_UTILIZATION);
	assert_float_equal(p->saturation.queue_depth, 5, 0);
	assert_float_equal(p->saturation.kv_used, .8f, 0);
	assert_int_equal(p->saturation.stale_ms, 200);
	assert_int_equal(p->saturation.mode, CONCURRENCY_REQUESTS);
	assert_int_equal(p->saturation.max_concurrency, 100);
	assert_int_equal(p->saturation.max_token_concurrency, 1000000);
	assert_int_equal(p->saturation.retry_after_s, 1);
	assert_int_equal(p->n_objectives, 0);
	assert_false(p->flow.enabled);
	assert_int_equal(p->flow.ttl_ms, 60000);
	assert_int_equal(p->flow.empty_ttl_ms, 60000);
	assert_int_equal(p->flow.queue.max_requests, 0);
	assert_int_equal(p->flow.queue.max_bytes, 0);
	assert_int_equal(p->flow.queue.n_bands, 0);
	expect_default_band(&p->flow.queue.default_band);
	expect_default_band(&p->flow.queue.default_negative_band);
	assert_int_equal(o->feedback.max_requests, 65536);
	assert_int_equal(o->feedback.server_timeout_ms, 600000);
	assert_int_equal(o->feedback.reconcile_after_ms, 10000);
	options_free(o);
}

static void test_without_the_key_there_is_no_feedback(void **state)
{
	struct options *o = parse(POOL "feedback:\n");

	(void)state;
	assert_int_equal(o->feedback.n_listens, 0);
	options_free(o);
}

/* ---- keys ---- */

static const char everything[] =
    POOL
    "  failureMode: FailClose\n"
    "  outlierDetection: {consecutive5xx: 3, baseEjectionTime: 1s,"
    " maxEjectionTime: 2s, maxEjectionPercent: 50}\n"
    "  saturation: {detector: concurrency-detector, queueDepthThreshold: 2.5,"
    " kvCacheUtilThreshold: 0.95, metricsStalenessThreshold: 1s,"
    " concurrencyMode: hybrid, maxConcurrency: 7, maxTokenConcurrency: 8,"
    " retryAfter: 2m}\n"
    "  objectives:\n"
    "  - {name: chat, priority: 2147483647}\n"
    "  - {name: batch, priority: -2147483648}\n"
    "  - name: plain\n"
    "  flowControl:\n"
    "    enabled: true\n"
    "    defaultRequestTTL: 5s\n"
    "    noEndpointRequestTTL: 5m\n"
    "    maxRequests: 10\n"
    "    maxBytes: 1G\n"
    "    priorityBands:\n"
    "    - {priority: -5, maxRequests: 1, maxBytes: 2k,"
    " fairnessPolicyRef: round-robin-fairness-policy,"
    " orderingPolicyRef: edf-ordering-policy, defaultRequestTTL: 7s}\n"
    "    - {priority: 5}\n"
    "    defaultPriorityBand: {maxRequests: 3,"
    " orderingPolicyRef: slo-deadline-ordering-policy}\n"
    "    defaultNegativePriorityBand: {maxBytes: 4}\n"
    "feedback: {listen: ['127.0.0.1:1', 'unix:/run/f.sock'], maxRequests: 64,"
    " serverTimeout: 1s, reconcileAfter: 100ms}\n";

static void test_every_key_reaches_its_field(void **state)
{
	struct options *o = parse(everything);
	const struct pool_options *p = &o->pools[0];
	const struct flow_options *q = &p->flow.queue;

	(void)state;
	assert_int_equal(p->failure_mode, FAIL_CLOSE);
	assert_int_equal(p->outlier.consecutive_failures, 3);
	assert_int_equal(p->outlier.base_ms, 1000);
	assert_int_equal(p->outlier.max_ms, 2000);
	assert_int_equal(p->outlier.max_percent, 50);
	assert_int_equal(p->saturation.detector, DETECTOR_CONCURRENCY);
	assert_float_equal(p->saturation.queue_depth, 2.5, 0);
	assert_float_equal(p->saturation.kv_used, .95f, 0);
	assert_int_equal(p->saturation.stale_ms, 1000);
	assert_int_equal(p->saturation.mode, CONCURRENCY_HYBRID);
	assert_int_equal(p->saturation.max_concurrency, 7);
	assert_int_equal(p->saturation.max_token_concurrency, 8);
	assert_int_equal(p->saturation.retry_after_s, 120);
	assert_true(p->flow.enabled);
	assert_int_equal(p->flow.ttl_ms, 5000);
	assert_int_equal(p->flow.empty_ttl_ms, 300000);
	assert_int_equal(q->max_requests, 10);
	assert_int_equal(q->max_bytes, 1 << 30);
	assert_int_equal(q->n_bands, 2);
	assert_int_equal(q->bands[0].priority, -5);
	assert_int_equal(q->bands[0].max_requests, 1);
	assert_int_equal(q->bands[0].max_bytes, 2048);
	assert_int_equal(q->bands[0].fairness, FLOW_ROUND_ROBIN);
	assert_int_equal(q->bands[0].ordering, FLOW_EDF);
	assert_int_equal(q->bands[0].ttl_ms, 7000);
	assert_int_equal(q->bands[1].priority, 5);
	expect_default_band(&q->bands[1]);
	assert_int_equal(q->bands[1].ttl_ms, 0);
	assert_int_equal(q->default_band.max_requests, 3);
	assert_int_equal(q->default_band.ordering, FLOW_SLO_DEADLINE);
	assert_int_equal(q->default_negative_band.max_requests, 5000);
	assert_int_equal(q->default_negative_band.max_bytes, 4);
	assert_int_equal(q->default_negative_band.ordering, FLOW_FCFS);
	assert_int_equal(o->feedback.n_listens, 2);
	assert_string_equal(o->feedback.listens[1].path, "/run/f.sock");
	assert_int_equal(o->feedback.max_requests, 64);
	assert_int_equal(o->feedback.server_timeout_ms, 1000);
	assert_int_equal(o->feedback.reconcile_after_ms, 100);
	options_free(o);
}

/*
 * For each key its least and greatest value, what is beyond them, and what is of
 * another type. In a line of its own below its section; `also` stands above it.
 */
#define WHOLE(max) "a whole number from 0 to " max
static const struct key {
	const char *section, *also, *key;
	const char *least, *greatest, *below, *above, *other, *want;
} keys[] = {
	{ "outlierDetection", "", "consecutive5xx", "0", "65535", "-1", "65536",
	    "five", WHOLE("65535") },
	{ "outlierDetection", "maxEjectionTime: 24h", "baseEjectionTime",
	    "100ms", "1h", "99ms", "61m", "30", "a duration" },
	{ "outlierDetection", "baseEjectionTime: 100ms", "maxEjectionTime",
	    "100ms", "24h", "99ms", "25h", "[]", "a duration" },
	{ "outlierDetection", "", "maxEjectionPercent", "0", "100", "-1", "101",
	    "10%", WHOLE("100") },
	{ "saturation", "", "queueDepthThreshold", "0.000001", "4294967295",
	    "-1", "4294967296", "true", "a number from 0 to 4294967295" },
	{ "saturation", "", "kvCacheUtilThreshold", "0.000001", "1.000000",
	    "-0.1", "1.000001", "80%", "a number from 0 to 1" },
	{ "saturation", "", "metricsStalenessThreshold", "50ms", "1h", "0",
	    "3601s", "200", "a duration" },
	{ "saturation", "", "maxConcurrency", "1", "4294967295", "0",
	    "4294967296", "1.5", "a whole number from 1 to 4294967295" },
	{ "saturation", "", "maxTokenConcurrency", "1", "18446744073709551615",
	    "0", "18446744073709551616", "1k", "a whole number from 1 to" },
	{ "saturation", "", "retryAfter", "0", "24h", "-1s", "86401s", "1500ms",
	    "" },
	{ "flowControl", "", "defaultRequestTTL", "1ms", "1h", "0", "3600001ms",
	    "60", "a duration" },
	{ "flowControl", "", "noEndpointRequestTTL", "0", "1h", "-1s",
	    "3600001ms", "never", "a duration" },
	{ "flowControl", "", "maxRequests", "0", "18446744073709551615", "-1",
	    "18446744073709551616", "'5'", "a whole number" },
	{ "flowControl", "", "maxBytes", "0", "18446744073709551615", "-1",
	    "18446744073709551616", "1GB", "a size" },
};

static const char *line_of(const struct key *k, const char *value)
{
	static char text[512];

	snprintf(text, sizeof(text), POOL "  %s:\n    %s\n    %s: %s\n",
	    k->section, k->also, k->key, value);
	return text;
}

static void test_every_number_has_its_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const struct key *k = &keys[i];

		options_free(parse(line_of(k, k->least)));
		options_free(parse(line_of(k, k->greatest)));
		expect_fault(line_of(k, k->below), 6, k->key, k->want);
		expect_fault(line_of(k, k->above), 6, k->key, k->want);
		expect_fault(line_of(k, k->other), 6, k->key, k->want);
	}
}

static const struct key feedback_keys[] = {
	{ NULL, NULL, "maxRequests", "64", "16777216", "63", "16777217", "many",
	    "a size" },
	{ NULL, NULL, "serverTimeout", "1s", "24h", "999ms", "25h", "600",
	    "a duration" },
	{ NULL, NULL, "reconcileAfter", "100ms", "1h", "99ms", "2h", "{}",
	    "a duration" },
};

static const char *feedback_line(const char *key, const char *value)
{
	static char text[256];

	snprintf(text, sizeof(text), POOL "feedback:\n  listen: 127.0.0.1:1\n"
	    "  %s: %s\n", key, value);
	return text;
}

static void test_feedback_has_its_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(feedback_keys) / sizeof(*feedback_keys);
	     i++) {
		const struct key *k = &feedback_keys[i];

		options_free(parse(feedback_line(k->key, k->least)));
		options_free(parse(feedback_line(k->key, k->greatest)));
		expect_fault(feedback_line(k->key, k->below), 6, k->key, k->want);
		expect_fault(feedback_line(k->key, k->above), 6, k->key, k->want);
		expect_fault(feedback_line(k->key, k->other), 6, k->key, k->want);
	}
}

/* In order: what stands in the text, the fault's line, its found and want. */
static const struct {
	const char *text;
	unsigned line;
	const char *found, *want;
} bad[] = {
	/* Misspelt: the nearest. */
	{ POOL "  failuremode: FailOpen", 4, "unknown key failuremode",
	    "failureMode" },
	{ POOL "  outlierDetecton: {}", 4, "unknown key outlierDetecton",
	    "outlierDetection" },
	{ POOL "  outlierDetection:\n    consecutive5x: 5", 5,
	    "unknown key consecutive5x", "consecutive5xx" },
	{ POOL "  saturation:\n    queueDepth: 5", 5, "unknown key queueDepth",
	    "queueDepthThreshold" },
	{ POOL "  saturation:\n    mode: tokens", 5, "unknown key mode", "" },
	{ POOL "  objectives: [{nam: x}]", 4, "unknown key nam", "name" },
	{ POOL "  flowControl:\n    enable: true", 5, "unknown key enable",
	    "enabled" },
	{ POOL "  flowControl:\n    priorityBands: [{priorit: 1}]", 5,
	    "unknown key priorit", "priority" },
	{ POOL "  flowControl:\n    defaultPriorityBand: {priority: 1}", 5,
	    "unknown key priority", "" },
	{ POOL "feedback: {listn: x}", 4, "unknown key listn", "listen" },
	/* Of another type, or another word. */
	{ POOL "  failureMode: Open", 4, "failureMode: Open", "FailOpen" },
	{ POOL "  failureMode: FailClosed", 4, "failureMode: FailClosed",
	    "FailClose" },
	{ POOL "  failureMode: [FailOpen]", 4, "failureMode: a list",
	    "FailOpen" },
	{ POOL "  outlierDetection: true", 4, "outlierDetection: true",
	    "a map" },
	{ POOL "  saturation: []", 4, "saturation: a list", "a map" },
	{ POOL "  saturation: {detector: utilization}", 4,
	    "detector: utilization", "utilization-detector" },
	{ POOL "  saturation: {concurrencyMode: token}", 4,
	    "concurrencyMode: token", "tokens" },
	{ POOL "  saturation: {retryAfter: 1500ms}", 4, "retryAfter: 1500ms",
	    "whole seconds" },
	{ POOL "  saturation: {retryAfter: 25h}", 4, "retryAfter: 25h",
	    "a duration from 0ms to" },
	{ POOL "  objectives: {name: x}", 4, "objectives: a map", "a list" },
	{ POOL "  objectives: [x]", 4, "an objective: x", "a map" },
	{ POOL "  objectives: [{name: ''}]", 4, "name: \"\"", "a string" },
	{ POOL "  objectives: [{name: []}]", 4, "name: a list", "a string" },
	{ POOL "  objectives: [{priority: 1}]", 4, "an objective without name",
	    "name: " },
	{ POOL "  objectives:\n  - name: x\n    priority: 2147483648", 6,
	    "priority: 2147483648", "-2147483648 to 2147483647" },
	{ POOL "  objectives: [{name: x, priority: high}]", 4,
	    "priority: high", "a whole number" },
	{ POOL "  flowControl: {enabled: 1}", 4, "enabled: 1",
	    "true or false" },
	{ POOL "  flowControl: {priorityBands: {priority: 1}}", 4,
	    "priorityBands: a map", "a list" },
	{ POOL "  flowControl: {priorityBands: [{}]}", 4,
	    "a priority band without priority", "priority: " },
	{ POOL "  flowControl: {defaultPriorityBand: 5}", 4,
	    "defaultPriorityBand: 5", "a map" },
	{ POOL "  flowControl:\n    defaultNegativePriorityBand:\n"
	    "      fairnessPolicyRef: round-robin", 6,
	    "fairnessPolicyRef: round-robin", "round-robin-fairness-policy" },
	{ POOL "  flowControl: {defaultPriorityBand: {orderingPolicyRef:"
	    " fcfs}}", 4, "orderingPolicyRef: fcfs", "fcfs-ordering-policy" },
	{ POOL "  flowControl: {defaultPriorityBand: {maxBytes: x}}", 4,
	    "maxBytes: x", "a size" },
	{ POOL "feedback: {}", 4, "feedback without listen", "127.0.0.1:9003" },
	{ POOL "feedback: {listen: []}", 4, "listen: a list", "1 or more" },
	{ POOL "feedback: 127.0.0.1:9003", 4, "feedback: ", "a map" },
	/* What does not fit together. */
	{ POOL "  outlierDetection: {maxEjectionTime: 29s}", 4,
	    "maxEjectionTime below baseEjectionTime", "a longer" },
	{ POOL "  saturation: {queueDepthThreshold: 0}", 4, "threshold of 0",
	    "above 0" },
	{ POOL "  saturation: {kvCacheUtilThreshold: 0.0}", 4,
	    "threshold of 0", "above 0" },
	{ POOL "  objectives:\n  - {name: b, priority: 1}\n  - {name: a}\n"
	    "  - {name: b}", 7, "objective b a second time", "line 5" },
	{ POOL "  flowControl:\n    priorityBands:\n    - {priority: 1}\n"
	    "    - {priority: -1}\n    - {priority: 1}", 8,
	    "a second band of this priority", "one each" },
	{ POOL "  metrics: {interval: 1s, staleAfter: 5s}\n  saturation:\n"
	    "    metricsStalenessThreshold: 999ms", 6,
	    "metricsStalenessThreshold below the interval", "several" },
	{ POOL "  metrics: {enabled: false}\n  flowControl: {enabled: true}", 2,
	    "utilization-detector and without metrics",
	    "concurrency-detector" },
	{ POOL "  metrics: {enabled: false}\n"
	    "  objectives: [{name: x, priority: -1}]", 2,
	    "without metrics", "concurrency-detector" },
	{ "pools:\n- {name: q, file: /f}\n- name: p\n  file: /f\n" CONCURRENCY,
	    3, "pool p with the concurrency-detector and no feedback",
	    "feedback: " },
};

static void test_what_is_wrong_says_where_and_what_would_be_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect_fault(bad[i].text, bad[i].line, bad[i].found,
		    bad[i].want);
}

/* Each beside one of the above: what does fit together. */
static const char *const good[] = {
	POOL "  outlierDetection: {maxEjectionTime: 30s}",
	POOL "  outlierDetection: {consecutive5xx: 0}",
	POOL "  saturation: {}",
	POOL "  saturation: ~",
	POOL "  objectives: []",
	POOL "  objectives: [{name: a}, {name: A}, {name: 'a b'}]",
	POOL "  flowControl: {priorityBands: []}",
	POOL "  flowControl: {priorityBands: [{priority: 1}, {priority: -1}]}",
	POOL "  metrics: {interval: 1s}\n"
	    "  saturation: {metricsStalenessThreshold: 1s}",
	POOL "  metrics: {enabled: false, interval: 1s}\n"
	    "  saturation: {metricsStalenessThreshold: 1ms}",
	POOL "  metrics: {enabled: false}",
	POOL "  metrics: {enabled: false}\n"
	    "  objectives: [{name: x, priority: 1}]",
	POOL "  metrics: {enabled: false}\n" CONCURRENCY
	    "  flowControl: {enabled: true}\n" FEEDBACK,
	POOL CONCURRENCY FEEDBACK,
};

static void test_what_fits_together_is_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		options_free(parse(good[i]));
}

/* ---- what follows from other keys ---- */

static const struct {
	const char *text;
	int64_t stale_ms;
} stalenesses[] = {
	{ POOL, 200 },
	{ POOL "  metrics: {interval: 10ms}", 200 },
	{ POOL "  metrics: {interval: 51ms}", 204 },
	{ POOL "  metrics: {interval: 1s}", 4000 },
	{ POOL "  metrics: {interval: 1s}\n"
	    "  saturation: {metricsStalenessThreshold: 1500ms}", 1500 },
	{ POOL "  metrics: {enabled: false, interval: 1s}", 4000 },
};

/* A threshold that no scrape can keep would make the pool full for ever. */
static void test_numbers_are_old_after_some_scrapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stalenesses) / sizeof(*stalenesses); i++) {
		struct options *o = parse(stalenesses[i].text);

		assert_int_equal(o->pools[0].saturation.stale_ms,
		    stalenesses[i].stale_ms);
		options_free(o);
	}
}

static const struct {
	const char *text;
	int64_t empty_ttl_ms;
} empties[] = {
	{ POOL, 60000 },
	{ POOL "  flowControl: {defaultRequestTTL: 5s}", 5000 },
	{ POOL "  flowControl: {defaultRequestTTL: 5s, noEndpointRequestTTL: 0}",
	    0 },
	{ POOL "  flowControl: {noEndpointRequestTTL: 5m}", 300000 },
};

static void test_an_empty_pool_is_waited_for_as_long_as_a_full_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(empties) / sizeof(*empties); i++) {
		struct options *o = parse(empties[i].text);

		assert_int_equal(o->pools[0].flow.empty_ttl_ms,
		    empties[i].empty_ttl_ms);
		options_free(o);
	}
}

static void test_negative_priorities_wait_as_the_others_do(void **state)
{
	struct options *o = parse(POOL "  flowControl: {defaultPriorityBand:"
	    " {maxRequests: 9, fairnessPolicyRef:"
	    " round-robin-fairness-policy}}");
	const struct flow_options *q = &o->pools[0].flow.queue;

	(void)state;
	assert_int_equal(q->default_negative_band.max_requests, 9);
	assert_int_equal(q->default_negative_band.fairness, FLOW_ROUND_ROBIN);
	options_free(o);
}

/* Those who look one up by name halve the list: admission.c. */
static void test_objectives_are_in_the_order_of_their_names(void **state)
{
	struct options *o = parse(POOL "  objectives: [{name: b, priority: 2},"
	    " {name: ab, priority: 1}, {name: c, priority: 3},"
	    " {name: B, priority: -1}, {name: bb, priority: 4},"
	    " {name: \"\\xff\", priority: 5}, {name: a}]");
	const struct objective_options *a = o->pools[0].objectives;

	(void)state;
	assert_int_equal(o->pools[0].n_objectives, 7);
	for (size_t i = 1; i < 7; i++)
		assert_true(strcmp(a[i - 1].name, a[i].name) < 0);
	assert_string_equal(a[0].name, "B");
	assert_int_equal(a[0].priority, -1);
	assert_string_equal(a[3].name, "b");
	assert_int_equal(a[3].priority, 2);
	options_free(o);
}

static void test_many_objectives_and_bands_are_bounded(void **state)
{
	static const struct {
		const char *before, *begin, *end;
		unsigned most;
	} lists[] = {
		{ POOL "  objectives:\n", "  - {name: n", "}\n", 4096 },
		{ POOL "  flowControl:\n    priorityBands:\n",
		    "    - {priority: ", "}\n", 256 },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct buf text;

		buf_init(&text, 1 << 20);
		buf_puts(&text, lists[i].before);
		for (unsigned k = 0; k < lists[i].most; k++)
			buf_printf(&text, "%s%u%s", lists[i].begin, k,
			    lists[i].end);
		buf_put(&text, "", 1);
		options_free(parse(text.data));
		text.len--;
		buf_printf(&text, "%s%u%s", lists[i].begin, lists[i].most,
		    lists[i].end);
		buf_put(&text, "", 1);
		expect_fault(text.data, i == 0 ? 4 : 5, "a list", "at most");
		buf_fini(&text);
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

static void test_help_shows_every_key(void **state)
{
	static const char *const some[] = {
		"pools[].failureMode ", "pools[].outlierDetection.consecutive5xx ",
		"pools[].saturation.kvCacheUtilThreshold ",
		"pools[].objectives[].priority ",
		"pools[].flowControl.priorityBands[].orderingPolicyRef ",
		"pools[].flowControl.defaultNegativePriorityBand.maxBytes ",
		"feedback.listen[]", "feedback.reconcileAfter ",
	};
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	options_print_help(out);
	fclose(out);
	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
		if (strstr(text, some[i]) == NULL)
			fail_msg("%s", some[i]);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_default_is_as_documented),
		cmocka_unit_test(test_without_the_key_there_is_no_feedback),
		cmocka_unit_test(test_every_key_reaches_its_field),
		cmocka_unit_test(test_every_number_has_its_bounds),
		cmocka_unit_test(test_feedback_has_its_bounds),
		cmocka_unit_test(
		    test_what_is_wrong_says_where_and_what_would_be_right),
		cmocka_unit_test(test_what_fits_together_is_taken),
		cmocka_unit_test(test_numbers_are_old_after_some_scrapes),
		cmocka_unit_test(
		    test_an_empty_pool_is_waited_for_as_long_as_a_full_one),
		cmocka_unit_test(test_negative_priorities_wait_as_the_others_do),
		cmocka_unit_test(test_objectives_are_in_the_order_of_their_names),
		cmocka_unit_test(test_many_objectives_and_bands_are_bounded),
		cmocka_unit_test(test_every_truncation_is_options_or_a_fault),
		cmocka_unit_test(test_help_shows_every_key),
	};

	return cmocka_run_group_tests_name("options_admission", tests, NULL,
	    NULL);
}
