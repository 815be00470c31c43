/*
 * Expected scores are worked out by hand from the formulas on top of each scorer; how,
 * stands beside the rows that are not plain to see. Sessions: test_session.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "arena.h"
#include "columns.h"
#include "conf.h"
#include "fault.h"
#include "help.h"
#include "label_columns.h"
#include "pick.h"
#include "plugins/plugins.h"
#include "rng.h"
#include "yaml.h"

enum { N_MAX = 6, LABELS_MAX = 4 };

struct row {
	uint32_t queued, running, unsettled, requests, tokens;
	float kv_used, ttft_ms, token_ms;	/* times: 0 is no sample */
	uint16_t matched;
	enum endpoint_health health;
	uint32_t cold;			/* number of its last cold request */
	struct label labels[LABELS_MAX];
};

static struct help_pool pool;
static struct arena *arena;
static _Atomic uint64_t cold[HELP_ENDPOINTS_MAX];
static uint32_t rows[N_MAX], unsettled[N_MAX];
static uint16_t matched[N_MAX];
static char header_block[1024];
static struct label labels[N_MAX][LABELS_MAX];
static uint64_t ids[N_MAX][LABELS_MAX];

/* ---- what a scorer is asked ---- */

static void *params_of(const struct conf_table *table, const char *yaml,
    struct fault *why)
{
	struct conf_input in = { "test", arena, why };
	const struct conf *root = yaml_parse("test", span_of(yaml),
	    &yaml_limits_default, arena, why);
	void *out = table != NULL ? arena_zalloc(arena, table->size) : NULL;

	assert_non_null(root);
	if (out == NULL)
		return NULL;
	return conf_decode(&in, table, root, out) == 0 ? out : NULL;
}

static void put_row(size_t i, const struct row *r)
{
	struct endpoint_live *l = &pool.live[i];
	size_t n = 0;

	pool.stats[i] = (struct endpoint_stats){ .slot = (uint16_t)i,
		.queued = r->queued, .running = r->running,
		.kv_used = r->kv_used, .health = (uint8_t)r->health };
	live_renew(l);
	live_count_add(&l->requests, r->requests);
	live_count_add(&l->tokens, r->tokens);
	if (r->ttft_ms > 0)
		ewma_add(&l->ttft_us, r->ttft_ms * 1000, 1);
	if (r->token_ms > 0)
		ewma_add(&l->token_us, r->token_ms * 1000, 1);
	cold[i] = r->cold == 0 ? 0 :
	    (uint64_t)live_generation(l) << 32 | r->cold;
	while (n < LABELS_MAX && r->labels[n].key != NULL) {
		labels[i][n] = r->labels[n];
		n++;
	}
	pool.endpoints[i].labels = labels[i];
	pool.endpoints[i].n_labels = n;
	/* With ids, as a pool's have them, and without. */
	for (size_t k = 0; k < n; k++)
		ids[i][k] = endpoint_label_id(labels[i][k].key);
	pool.endpoints[i].label_ids = i % 2 == 0 ? ids[i] : NULL;
	rows[i] = (uint32_t)i;
	unsettled[i] = r->unsettled;
	matched[i] = r->matched;
}

static struct choice choice_of(const struct row *r, size_t n,
    const struct request *request)
{
	for (size_t i = 0; i < n; i++)
		put_row(i, &r[i]);
	return (struct choice){ .view = &pool.view, .request = request,
		.rows = rows, .n = n, .unsettled = unsettled,
		.matched = matched };
}

/* As request_parse() reads them. */
static struct request request_of(const char *const *headers, struct ask *ask)
{
	struct request r;

	*ask = (struct ask){ .path = span_of("/"),
		.headers = help_headers(headers, header_block,
		    sizeof(header_block)) };
	request_parse(&r, ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	return r;
}

/* ---- examples ---- */

#define Q .queued =
#define R .running =
#define SENT .unsettled =
#define STALE .health = ENDPOINT_STALE
#define RANGE(text) .labels = { { "llm-d.ai/context-length-range", text } }
#define MANY 4294967295u

#define HOST "kubernetes.io/hostname"
#define RACK "topology.kubernetes.io/rack"
#define ZONE "topology.kubernetes.io/zone"
#define REGION "topology.kubernetes.io/region"

static const struct {
	const char *scorer, *params;
	size_t n, n_blocks;
	uint64_t prompt_bytes, unseen_bytes;
	const char *headers[5];
	uint32_t n_cold;
	struct row rows[N_MAX];
	float want[N_MAX];
} known[] = {
	/* (max - r) / (max - min), r = running + sent: max 8, min 0 */
	{ "running-requests-size-scorer", "{}", 3,
	  .rows = { { R 0 }, { R 2 }, { R 8 } }, .want = { 1, .75f, 0 } },
	{ "running-requests-size-scorer", "{}", 3,
	  .rows = { { R 1, SENT 3 }, { R 2 }, { R 0 } },
	  .want = { 0, .5f, 1 } },
	{ "running-requests-size-scorer", "{}", 3,
	  .rows = { { R 4, Q 9 }, { R 4 }, { R 4 } }, .want = { 1, 1, 1 } },
	{ "running-requests-size-scorer", "{}", 3,
	  .rows = { { R 0 }, { R 4 }, { R 100, STALE } }, .want = { 1, 0, 0 } },
	{ "running-requests-size-scorer", "{}", 2,
	  .rows = { { R 0, STALE }, { R 0, .health = ENDPOINT_DOWN } },
	  .want = { 0, 0 } },
	{ "running-requests-size-scorer", "{}", 2,
	  .rows = { { R MANY, SENT 1 }, { R 0 } }, .want = { 0, 1 } },

	/* .5 * (1 - q / 128): 32 is .5 * .75 */
	{ "load-aware-scorer", "{}", 6,
	  .rows = { { Q 0 }, { Q 32 }, { Q 64 }, { Q 128 }, { Q MANY, SENT MANY },
		{ Q 0, STALE } },
	  .want = { .5f, .375f, .25f, 0, 0, 0 } },
	{ "load-aware-scorer", "{}", 2,
	  .rows = { { Q 16, SENT 16, R 99 }, { SENT 64 } },
	  .want = { .375f, .25f } },
	{ "load-aware-scorer", "{threshold: 4}", 4,
	  .rows = { { Q 1 }, { Q 3 }, { Q 4 }, { Q 5 } },
	  .want = { .375f, .125f, 0, 0 } },

	/* (max - c) / max: max 4 */
	{ "active-request-scorer", "{}", 3,
	  .rows = { { .requests = 0 }, { .requests = 1 }, { .requests = 4 } },
	  .want = { 1, .75f, 0 } },
	{ "active-request-scorer", "{idleThreshold: 1, maxBusyScore: 0.5}", 4,
	  .rows = { { .requests = 0 }, { .requests = 1 }, { .requests = 2 },
		{ .requests = 4 } },
	  .want = { 1, 1, .25f, 0 } },
	{ "active-request-scorer", "{maxBusyScore: 0}", 2,
	  .rows = { { .requests = 1 }, { .requests = 2 } }, .want = { 0, 0 } },
	{ "active-request-scorer", "{}", 2,
	  .rows = { { .requests = MANY }, { .requests = 0 } },
	  .want = { 0, 1 } },
	/* What the engines tell is nothing to it, or old, where something is booked */
	{ "active-request-scorer", "{}", 2,
	  .rows = { { .requests = 2, STALE }, { R 100, Q 100, SENT 100 } },
	  .want = { 0, 1 } },
	/* and where nothing is: running + queued + sent is 4, 0, 1 of 4 */
	{ "active-request-scorer", "{}", 3,
	  .rows = { { R 2, Q 1, SENT 1 }, { R 0 }, { SENT 1 } },
	  .want = { 0, 1, .75f } },

	/* 1 - t / 4194304 */
	{ "token-load-scorer", "{}", 4,
	  .rows = { { .tokens = 0 }, { .tokens = 1048576 },
		{ .tokens = 4194304 }, { .tokens = MANY, STALE } },
	  .want = { 1, .75f, 0, 0 } },
	/* 200 bytes are 50 tokens; of blocks of 64 bytes held 2 leave 72 / 4 = 18 */
	{ "token-load-scorer", "{queueThresholdTokens: 100}", 5,
	  .prompt_bytes = 200,
	  .rows = { { .tokens = 0 }, { .matched = 2 }, { .matched = 4 },
		{ .tokens = 25 }, { .tokens = 50 } },
	  .want = { .5f, .82f, 1, .25f, 0 } },
	{ "token-load-scorer", "{queueThresholdTokens: 100}", 2,
	  .prompt_bytes = 100, .unseen_bytes = 100,
	  .rows = { { .tokens = 0 }, { .tokens = 30 } },
	  .want = { .5f, .2f } },

	/* Numbers 1, 2, 3 after one that never had a cold one: ranks 1, 2, 3 of 3 */
	{ "no-hit-lru-scorer", "{}", 4, .n_cold = 3,
	  .rows = { { .cold = 0 }, { .cold = 3 }, { .cold = 1 }, { .cold = 2 } },
	  .want = { 1, 0, 2 / 3.f, 1 / 3.f } },
	{ "no-hit-lru-scorer", "{}", 4, .n_cold = 9,
	  .rows = { { .cold = 5 }, { .cold = 0 }, { .cold = 9 }, { .cold = 0 } },
	  .want = { 1 / 3.f, 1, 0, 1 } },
	{ "no-hit-lru-scorer", "{}", 2, .n_cold = 9,
	  .rows = { { .cold = 0 }, { .cold = 0 } }, .want = { 1, 1 } },
	{ "no-hit-lru-scorer", "{}", 1, .n_cold = 9,
	  .rows = { { .cold = 9 } }, .want = { 1 } },
	{ "no-hit-lru-scorer", "{}", 3, .n_cold = 9, .n_blocks = 4,
	  .rows = { { .cold = 9 }, { .cold = 0 }, { .matched = 1 } },
	  .want = { .5f, .5f, .5f } },
	/* Far apart within a word of 64, and over words: ranks alone count. */
	{ "no-hit-lru-scorer", "{}", 5, .n_cold = 10000,
	  .rows = { { .cold = 10000 }, { .cold = 9937 }, { .cold = 9936 },
		{ .cold = 9000 }, { .cold = 1 } },
	  .want = { 0, .25f, .5f, .75f, 1 } },
	/* Over the end of 32 bits, where there is no number 0. */
	{ "no-hit-lru-scorer", "{}", 4, .n_cold = 2,
	  .rows = { { .cold = 2 }, { .cold = MANY }, { .cold = 1 },
		{ .cold = MANY - 1 } },
	  .want = { 0, 2 / 3.f, 1 / 3.f, 1 } },
	/* Both are further back than is told apart: rank 0; one is older than the last */
	{ "no-hit-lru-scorer", "{}", 3, .n_cold = 200001,
	  .rows = { { .cold = 1 }, { .cold = 2 }, { .cold = 200001 } },
	  .want = { 1, 1, .5f } },
	/* A number given out after we looked at the last one is the latest. */
	{ "no-hit-lru-scorer", "{}", 3, .n_cold = 5,
	  .rows = { { .cold = 7 }, { .cold = 4 }, { .cold = 3 } },
	  .want = { 0, .5f, 1 } },

	{ "header-label-affinity-scorer", "{headerName: X-Tier, labelKey: tier}",
	  4, .headers = { "x-tier", "gold" },
	  .rows = { { .labels = { { "tier", "gold" } } },
		{ .labels = { { "tier", "golden" } } },
		{ .labels = { { "other", "gold" } } },
		{ .labels = { { "other", "x" }, { "tier", "gold" } } } },
	  .want = { 1, 0, 0, 1 } },
	{ "header-label-affinity-scorer", "{headerName: x-tier, labelKey: tier}",
	  2, .headers = { "x-other", "gold" },
	  .rows = { { .labels = { { "tier", "gold" } } },
		{ .labels = { { "tier", "" } } } },
	  .want = { 0, 0 } },
	/* An empty header asks for nothing. */
	{ "header-label-affinity-scorer", "{headerName: x-tier, labelKey: tier}",
	  1, .headers = { "x-tier", "" },
	  .rows = { { .labels = { { "tier", "" } } } }, .want = { 0 } },

	/*
	 * 4000 bytes are 1000 tokens.
	 *	0-2000	.3 + .7 * (.7 / 1.2 + .3 * 1000 / 2000) = .3 + .7 * .733333
	 *	0-10000	.3 + .7 * (.7 / 2 + .3 * 9000 / 10000) = .3 + .7 * .62
	 *	500-1000  .3 + .7 * .7 / 1.05
	 *	1000-3000 .3 + .7 * (.7 / 1.2 + .3)
	 */
	{ "context-length-aware", "{}", 6, .prompt_bytes = 4000,
	  .rows = { { RANGE("0-2000") }, { RANGE("0-10000") },
		{ RANGE("1000-1000") }, { RANGE("500-1000") },
		{ RANGE("1000-3000") }, { R 9 } },
	  .want = { .813333f, .734f, 1, .766667f, .918333f, .5f } },
	/* .3 / (1 + 1000 / 1000), .3 / 1.5; the rest are no ranges */
	{ "context-length-aware", "{}", 6, .prompt_bytes = 2000,
	  .unseen_bytes = 2000,
	  .rows = { { RANGE("2000-4000") }, { RANGE("0-500") },
		{ RANGE("x") }, { RANGE("5-3") }, { RANGE("0-2000-") },
		{ RANGE(" 0 - 2000 ") } },
	  .want = { .15f, .2f, 0, 0, 0, .813333f } },
	{ "context-length-aware", "{}", 6,
	  .rows = { { RANGE("") }, { RANGE("-") }, { RANGE("-5") },
		{ RANGE("0-99999999999999999999") }, { RANGE("0- ") },
		{ RANGE("99999999999999999999-5") } },
	  .want = { 0, 0, 0, 0, 0, 0 } },
	{ "context-length-aware", "{label: len}", 3, .prompt_bytes = 3,
	  .rows = { { .labels = { { "len", "0-0" } } }, { RANGE("0-0") },
		{ .labels = { { "len", "18446744073709551615-"
		    "18446744073709551615" } } } },
	  .want = { 1, .5f, 0 } },

	{ "topology-affinity-scorer", "{ownHostname: h1, ownRack: r1, "
	  "ownZone: z1, ownRegion: g1}", 6,
	  .rows = {
		{ .labels = { { HOST, "h1" }, { RACK, "r9" } } },
		{ .labels = { { HOST, "h2" }, { RACK, "r1" }, { ZONE, "z1" } } },
		{ .labels = { { RACK, "r2" }, { ZONE, "z1" } } },
		{ .labels = { { ZONE, "z2" }, { REGION, "g1" } } },
		{ .labels = { { REGION, "g2" } } }, { R 0 } },
	  .want = { 1, .2f, .05f, .02f, 0, 0 } },
	/* A place that is not known is no place in common. */
	{ "topology-affinity-scorer", "{ownZone: z1}", 3,
	  .rows = { { .labels = { { HOST, "" } } },
		{ .labels = { { HOST, "h" }, { ZONE, "z1" } } }, { R 0 } },
	  .want = { 0, .05f, 0 } },
	{ "topology-affinity-scorer", "{}", 2,
	  .rows = { { .labels = { { HOST, "h" } } }, { R 0 } },
	  .want = { 0, 0 } },
	/* s01 is named: it, and who is near to it, not to us. */
	{ "topology-affinity-scorer", "{ownHostname: h1}", 3,
	  .headers = { "x-epp-peer", "10.0.0.2:8000" },
	  .rows = { { .labels = { { HOST, "h1" }, { ZONE, "z1" } } },
		{ .labels = { { HOST, "h2" }, { ZONE, "z2" } } },
		{ .labels = { { HOST, "h3" }, { ZONE, "z2" } } } },
	  .want = { 0, 1, .05f } },
};

/* No NaN is near to anything. */
static bool is_near(float a, float b)
{
	return a >= b - 2e-6f && a <= b + 2e-6f;
}

static const struct request *request_for(size_t k, struct request *r,
    struct ask *ask)
{
	*r = request_of(known[k].headers, ask);
	r->n_blocks = known[k].n_blocks;
	r->prompt_bytes = known[k].prompt_bytes;
	r->unseen_bytes = known[k].unseen_bytes;
	return r;
}

static void test_scores_are_what_the_formulas_say(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++) {
		const struct scorer *s = scorer_find(known[k].scorer);
		struct fault why = { 0 };
		struct request r;
		struct ask ask;
		float got[N_MAX];

		assert_non_null(s);
		struct choice c = choice_of(known[k].rows, known[k].n,
		    request_for(k, &r, &ask));
		const void *p = params_of(s->params, known[k].params, &why);

		assert_true(s->params == NULL || p != NULL);
		pool.pool_live.n_cold = known[k].n_cold;
		s->score(&c, p, got);
		for (size_t i = 0; i < known[k].n; i++)
			if (!is_near(got[i], known[k].want[i]))
				fail_msg("row %zu: %s of %zu is %f, not %f", k,
				    s->name, i, (double)got[i],
				    (double)known[k].want[i]);
	}
}

/* ---- latency-scorer ---- */

#define BUSY .requests = 1
#define MS(first, token) .ttft_ms = first, .token_ms = token

/* .01 + .99 * x */
#define SCORE(x) (.01f + .99f * (x))

static const struct {
	const char *params;
	const char *headers[5];
	size_t n;
	struct row rows[N_MAX];
	float want[N_MAX];
} latencies[] = {
	/* Nothing asked for: the fastest. 100, 200, 400 ms; tokens are alike. */
	{ "{}", { NULL }, 3,
	  { { BUSY, MS(100, 10) }, { BUSY, MS(200, 10) }, { BUSY, MS(400, 10) } },
	  { 1, SCORE(2 / 3.f), SCORE(0) } },
	/* .8 * (0, .5, 1) + .2 * (1, 0, .5) = .2, .4, .9 */
	{ "{}", { NULL }, 3,
	  { { BUSY, MS(100, 30) }, { BUSY, MS(200, 10) }, { BUSY, MS(300, 20) } },
	  { SCORE(.8f), SCORE(.6f), SCORE(.1f) } },
	/* The same with weights of 1 and 3: .75, .125, .625 */
	{ "{ttftWeight: 1, tpotWeight: 3}", { NULL }, 3,
	  { { BUSY, MS(100, 30) }, { BUSY, MS(200, 10) }, { BUSY, MS(300, 20) } },
	  { SCORE(.25f), SCORE(.875f), SCORE(.375f) } },
	{ "{ttftWeight: 0, tpotWeight: 0}", { NULL }, 2,	/* 1 and 0 */
	  { { BUSY, MS(100, 30) }, { BUSY, MS(200, 10) } }, { 1, SCORE(0) } },
	/* Two are ahead of this one: 100 * 3, between 200 and 400 */
	{ "{}", { NULL }, 3,
	  { { BUSY, SENT 2, MS(100, 10) }, { BUSY, MS(200, 10) },
	    { BUSY, MS(400, 10) } },
	  { SCORE(.5f), 1, SCORE(0) } },
	/* All alike: half of it. One without a sample is like the best. */
	{ "{}", { NULL }, 3,
	  { { BUSY, MS(100, 10) }, { BUSY, MS(100, 10) }, { BUSY, R 9 } },
	  { SCORE(.5f), SCORE(.5f), SCORE(.5f) } },
	{ "{}", { NULL }, 3,
	  { { BUSY, MS(100, 10) }, { BUSY, MS(300, 10) },
	    { BUSY, SENT 1 } },		/* 200 */
	  { 1, SCORE(0), SCORE(.5f) } },
	/* Only first tokens were seen: those between bind nobody. */
	{ "{}", { NULL }, 2,
	  { { BUSY, MS(100, 0) }, { BUSY, MS(300, 0) } }, { 1, SCORE(0) } },
	/* Nobody is fast enough: one that is idle before all others. */
	{ "{}", { NULL }, 3,
	  { { BUSY, MS(100, 10) }, { MS(400, 40) }, { BUSY, MS(200, 20) } },
	  { 0, SCORE(.5f), 0 } },
	/* 250 and 25 ms asked: headrooms 150 and 15, 50 and 5, -50 and 15 */
	{ "{}", { "x-llm-d-slo-ttft-ms", "250", "x-llm-d-slo-tpot-ms", "25" }, 3,
	  { { BUSY, MS(100, 10) }, { BUSY, MS(200, 20) }, { MS(300, 10) } },
	  { SCORE(0), 1, 0 } },
	{ "{headroomSelectionStrategy: most}",
	  { "x-slo-ttft-ms", "250", "x-slo-tpot-ms", "25" }, 3,
	  { { BUSY, MS(100, 10) }, { BUSY, MS(200, 20) }, { MS(300, 10) } },
	  { 1, SCORE(0), 0 } },
	/* Exactly what is asked for is enough. */
	{ "{}", { "x-slo-ttft-ms", "250", "x-slo-tpot-ms", "25" }, 2,
	  { { BUSY, MS(250, 25) }, { BUSY, MS(251, 25) } }, { SCORE(.5f), 0 } },
	/* "most" never means the slowest. */
	{ "{headroomSelectionStrategy: most}", { NULL }, 2,
	  { { BUSY, MS(100, 10) }, { BUSY, MS(200, 10) } }, { 1, SCORE(0) } },
	/* Slow between tokens, late, both: the first of these. */
	{ "{}", { "x-slo-ttft-ms", "250", "x-slo-tpot-ms", "25" }, 3,
	  { { BUSY, MS(300, 30) }, { BUSY, MS(100, 90) }, { BUSY, MS(300, 10) } },
	  { 0, SCORE(.5f), 0 } },
	{ "{}", { "x-slo-ttft-ms", "250", "x-slo-tpot-ms", "25" }, 3,
	  { { BUSY, MS(300, 30) }, { BUSY, MS(350, 10) }, { BUSY, MS(300, 10) } },
	  { 0, SCORE(0), 1 } },
	/* No number: nothing asked for. */
	{ "{}", { "x-slo-ttft-ms", "-1", "x-slo-tpot-ms", "soon" }, 2,
	  { { BUSY, MS(100, 10) }, { BUSY, MS(200, 10) } }, { 1, SCORE(0) } },
	/*
	 * No sample at all: (free + queue + held of 4) / 3
	 *	(.5 + 4/4 + 2/4) / 3, (1 + 0/4 + 0) / 3, stale: (0 + 0 + 4/4) / 3
	 */
	{ "{}", { NULL }, 3,
	  { { .kv_used = .5f, .matched = 2 }, { Q 3, SENT 1 },
	    { .matched = 4, STALE } },
	  { 2 / 3.f, 1 / 3.f, 1 / 3.f } },
	{ "{compositeKVWeight: 2, compositeQueueWeight: 0, "
	  "compositePrefixWeight: 6}", { NULL }, 2,
	  { { .kv_used = .5f, .matched = 2 }, { Q 9 } },
	  { .5f, .25f } },
	{ "{compositeKVWeight: 0, compositeQueueWeight: 0, "
	  "compositePrefixWeight: 0}", { NULL }, 2,
	  { { .kv_used = .5f, .matched = 2 }, { Q 9 } }, { .5f, 1 } },
};

static void test_latencies_by_hand(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(latencies) / sizeof(*latencies); k++) {
		struct fault why = { 0 };
		struct ask ask;
		struct request r = request_of(latencies[k].headers, &ask);
		float got[N_MAX];

		r.n_blocks = 4;
		struct choice c = choice_of(latencies[k].rows, latencies[k].n,
		    &r);
		const void *p = params_of(scorer_latency.params,
		    latencies[k].params, &why);

		assert_non_null(p);
		scorer_latency.score(&c, p, got);
		for (size_t i = 0; i < latencies[k].n; i++)
			if (!is_near(got[i], latencies[k].want[i]))
				fail_msg("row %zu: %zu is %f, not %f", k, i,
				    (double)got[i],
				    (double)latencies[k].want[i]);
	}
}

/* ---- properties ---- */

/* All of ours; with parameters that let each do its work. */
static const struct {
	const struct scorer *scorer;
	const char *params;
} all[] = {
	{ &scorer_running_requests, "{}" },
	{ &scorer_load_aware, "{threshold: 3}" },
	{ &scorer_active_request, "{idleThreshold: 2, maxBusyScore: 0.9}" },
	{ &scorer_token_load, "{queueThresholdTokens: 1000}" },
	{ &scorer_no_hit_lru, "{}" },
	{ &scorer_session_affinity, "{}" },
	{ &scorer_header_label_affinity, "{headerName: x-tier, labelKey: len}" },
	{ &scorer_context_length, "{label: len}" },
	{ &scorer_latency, "{}" },
	{ &scorer_latency, "{headroomSelectionStrategy: most}" },
	{ &scorer_topology_affinity, "{ownZone: 0-10}" },
};

enum { N_ALL = sizeof(all) / sizeof(*all) };

/* Small ones, so that some are alike, and the largest. */
static uint32_t random_count(struct rng *rng)
{
	switch (rng_below(rng, 4)) {
	case 0:
		return MANY - rng_below(rng, 2);
	case 1:
		return (uint32_t)rng_next(rng);
	default:
		return rng_below(rng, 4);
	}
}

static float random_ms(struct rng *rng)
{
	static const float values[] = { 0, .001f, 1, 100, 100, 3e35f };

	return values[rng_below(rng, 6)];
}

static struct row random_row(struct rng *rng)
{
	static const char *const values[] = { "0-10", "gold", "7-7",
		"0-18446744073709551615" };

	return (struct row){ .queued = random_count(rng),
		.running = random_count(rng), .unsettled = random_count(rng),
		.requests = random_count(rng), .tokens = random_count(rng),
		.kv_used = (float)rng_below(rng, 1001) / 1000.f,
		.ttft_ms = random_ms(rng), .token_ms = random_ms(rng),
		.matched = (uint16_t)(rng_below(rng, 2) * rng_below(rng, 65536)),
		.health = (enum endpoint_health)rng_below(rng, 3),
		.cold = random_count(rng),
		.labels = { { rng_below(rng, 2) ? "len" : ZONE,
			values[rng_below(rng, 4)] } } };
}

static const char *const random_headers[] = { "x-tier", "gold",
	"x-slo-ttft-ms", "100", "x-session-token", "s02", NULL };

static struct request random_request(struct rng *rng, struct ask *ask)
{
	struct request r = request_of(random_headers, ask);

	r.n_blocks = rng_below(rng, 3) * rng_below(rng, 65536);
	r.prompt_bytes = rng_below(rng, 2) * rng_next(rng) >> 4;
	r.unseen_bytes = rng_below(rng, 1 << 30);
	return r;
}

static void test_every_score_is_between_0_and_1(void **state)
{
	struct rng rng = { 1 };
	struct fault why = { 0 };
	const void *params[N_ALL];
	bool is_low[N_ALL] = { 0 }, is_high[N_ALL] = { 0 };

	(void)state;
	for (size_t k = 0; k < N_ALL; k++)
		params[k] = params_of(all[k].scorer->params, all[k].params, &why);
	for (int round = 0; round < 4000; round++) {
		struct row r[N_MAX];
		size_t n = 1 + rng_below(&rng, N_MAX);
		struct ask ask;
		struct request request = random_request(&rng, &ask);
		float got[N_MAX];

		for (size_t i = 0; i < n; i++)
			r[i] = random_row(&rng);
		struct choice c = choice_of(r, n, &request);

		pool.pool_live.n_cold = random_count(&rng);
		for (size_t k = 0; k < N_ALL; k++) {
			all[k].scorer->score(&c, params[k], got);
			for (size_t i = 0; i < n; i++) {
				if (!(got[i] >= 0 && got[i] <= 1))	/* NaN */
					fail_msg("%s: %f", all[k].scorer->name,
					    (double)got[i]);
				is_low[k] |= got[i] < .25f;
				is_high[k] |= got[i] > .45f;
			}
		}
	}
	for (size_t k = 0; k < N_ALL; k++)	/* and it does have opinions */
		if (all[k].scorer != &scorer_topology_affinity)
			assert_true(is_low[k] && is_high[k]);
}

static void turn(struct choice *c, struct rng *rng, uint32_t *t_rows,
    uint32_t *t_unsettled, uint16_t *t_matched)
{
	for (size_t i = 0; i < c->n; i++)
		t_rows[i] = (uint32_t)i;
	for (size_t i = c->n; i > 1; i--) {	/* Fisher-Yates */
		size_t k = rng_below(rng, (uint32_t)i);
		uint32_t row = t_rows[i - 1];

		t_rows[i - 1] = t_rows[k];
		t_rows[k] = row;
	}
	for (size_t i = 0; i < c->n; i++) {
		t_unsettled[i] = unsettled[t_rows[i]];
		t_matched[i] = matched[t_rows[i]];
	}
	c->rows = t_rows;
	c->unsettled = t_unsettled;
	c->matched = t_matched;
}

/* Rows of the view and of the choice are not the same thing then. */
static void test_scores_do_not_depend_on_the_order(void **state)
{
	struct rng rng = { 2 };
	struct fault why = { 0 };

	(void)state;
	for (int round = 0; round < 500; round++) {
		uint32_t t_rows[N_MAX], t_unsettled[N_MAX];
		uint16_t t_matched[N_MAX];
		struct row r[N_MAX];
		struct ask ask;
		struct request request = random_request(&rng, &ask);
		float a[N_MAX], b[N_MAX];

		for (size_t i = 0; i < N_MAX; i++)
			r[i] = random_row(&rng);
		for (size_t k = 0; k < N_ALL; k++) {
			const void *p = params_of(all[k].scorer->params,
			    all[k].params, &why);
			struct choice c = choice_of(r, N_MAX, &request);

			all[k].scorer->score(&c, p, a);
			turn(&c, &rng, t_rows, t_unsettled, t_matched);
			all[k].scorer->score(&c, p, b);
			for (size_t i = 0; i < N_MAX; i++)
				if (a[t_rows[i]] != b[i])
					fail_msg("%s", all[k].scorer->name);
		}
		arena_reset(arena);
	}
}

/* As picking.c does it before it asks the scorers, and membership.c for its labels. */
static struct label_columns *gather(struct choice *c)
{
	struct label_columns *columns = label_columns_new(pool.endpoints, N_MAX);

	assert_non_null(columns);
	assert_true(told_columns_init(&c->told, arena, c->n));
	assert_true(live_columns_init(&c->live, arena, c->n));
	told_columns_fill(&c->told, c);
	live_columns_fill(&c->live, c);
	pool.view.labels = columns;
	return columns;
}

static void test_scores_are_the_same_by_columns(void **state)
{
	struct rng rng = { 3 };
	struct fault why = { 0 };

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct row r[N_MAX];
		struct ask ask;
		struct request request = random_request(&rng, &ask);
		size_t n = 1 + rng_below(&rng, N_MAX);
		float a[N_MAX], b[N_MAX];

		for (size_t i = 0; i < N_MAX; i++)
			r[i] = random_row(&rng);
		for (size_t k = 0; k < N_ALL; k++) {
			const void *p = params_of(all[k].scorer->params,
			    all[k].params, &why);
			struct choice c = choice_of(r, N_MAX, &request);
			struct label_columns *columns;

			c.n = n;
			all[k].scorer->score(&c, p, a);
			columns = gather(&c);
			all[k].scorer->score(&c, p, b);
			pool.view.labels = NULL;
			free(columns);
			for (size_t i = 0; i < n; i++)
				if (a[i] != b[i])
					fail_msg("%s: %f, not %f",
					    all[k].scorer->name, (double)b[i],
					    (double)a[i]);
		}
		arena_reset(arena);
	}
}

/* What is gathered is gone for good: later counts are not seen. */
static void test_scores_are_of_one_instant(void **state)
{
	struct request request = { 0 };
	struct row r[N_MAX] = { { .requests = 1 }, { .requests = 2 } };
	struct choice c = choice_of(r, 2, &request);
	struct fault why = { 0 };
	const void *p = params_of(scorer_active_request.params, "{}", &why);
	float got[2];

	(void)state;
	free(gather(&c));
	pool.view.labels = NULL;
	live_count_add(&pool.live[0].requests, 9);
	scorer_active_request.score(&c, p, got);
	assert_true(got[0] == .5f && got[1] == 0);
	c.live = (struct live_columns){ 0 };
	scorer_active_request.score(&c, p, got);
	assert_true(got[0] == 0 && got[1] == .8f);
}

/* ---- the filter by length ---- */

static const struct {
	const char *params;
	const char *ranges[N_MAX];	/* NULL: no label; of 1000 tokens */
	const char *want;
} lengths[] = {
	{ "{enableFiltering: true}", { "0-2000", "1000-1000", "1001-9", NULL,
		"0-999", "1001-2000" }, "yynynn" },
	{ "{enableFiltering: true}", { "1000-2000", "0-1000", "x", "", "0-",
		"-1000" }, "yynnnn" },
	/* Nobody is left: it does not fail open. */
	{ "{enableFiltering: true}", { "0-1", "0-2", "0-3", "5-6", "7-8", "x" },
	    "nnnnnn" },
	{ "{}", { "0-1", "0-2", "0-3", "5-6", "7-8", "x" }, "yyyyyy" },
	{ "{enableFiltering: true, label: other}", { "0-1", "0-2", "0-3", "5-6",
		"7-8", "x" }, "yyyyyy" },
};

static void test_the_length_filter_keeps_those_made_for_it(void **state)
{
	struct request request = { .prompt_bytes = 4001 };

	(void)state;
	for (size_t k = 0; k < sizeof(lengths) / sizeof(*lengths); k++) {
		bool keep[N_MAX] = { 1, 1, 1, 1, 1, 1 };
		struct row r[N_MAX] = { 0 };
		struct fault why = { 0 };

		for (size_t i = 0; i < N_MAX; i++)
			if (lengths[k].ranges[i] != NULL)
				r[i].labels[0] = (struct label){
					"llm-d.ai/context-length-range",
					lengths[k].ranges[i] };
		struct choice c = choice_of(r, N_MAX, &request);

		filter_context_length.filter(&c, params_of(
		    filter_context_length.params, lengths[k].params, &why),
		    keep);
		for (size_t i = 0; i < N_MAX; i++)
			if (keep[i] != (lengths[k].want[i] == 'y'))
				fail_msg("row %zu, candidate %zu", k, i);
	}
}

/* ---- cold requests over time ---- */

static void pick_best(const struct choice *c, size_t *best)
{
	float got[N_MAX];

	scorer_no_hit_lru.score(c, NULL, got);
	*best = 0;
	for (size_t i = 1; i < c->n; i++)
		if (got[i] > got[*best])
			*best = i;
	scorer_no_hit_lru.picked(c, NULL, (uint32_t)*best);
}

static void test_cold_requests_go_round(void **state)
{
	struct request request = { 0 };
	struct row r[N_MAX] = { { 0 } };
	struct choice c = choice_of(r, N_MAX, &request);

	(void)state;
	pool.pool_live.n_cold = UINT32_MAX - 20;	/* over the end */
	for (size_t round = 0; round < 10; round++) {
		unsigned seen = 0;

		for (size_t i = 0; i < N_MAX; i++) {
			size_t best;

			pick_best(&c, &best);
			seen |= 1u << best;
		}
		assert_int_equal(seen, (1u << N_MAX) - 1);
	}
}

static void test_only_cold_requests_are_remembered(void **state)
{
	struct request request = { .n_blocks = 4 };
	struct row r[2] = { { .matched = 1 }, { 0 } };
	struct choice c = choice_of(r, 2, &request);

	(void)state;
	pool.pool_live.n_cold = 7;
	scorer_no_hit_lru.picked(&c, NULL, 1);
	assert_int_equal(pool.pool_live.n_cold, 7);
	assert_int_equal(cold[1], 0);
	matched[0] = 0;
	scorer_no_hit_lru.picked(&c, NULL, 1);
	assert_int_equal(pool.pool_live.n_cold, 8);
	assert_int_equal((uint32_t)cold[1], 8);
	assert_int_equal(cold[0], 0);
}

/* The slot's next endpoint has had none; what comes from a view is its own. */
static void test_a_new_endpoint_has_had_no_cold_request(void **state)
{
	struct request request = { 0 };
	struct row r[2] = { { 0 } };
	struct choice c = choice_of(r, 2, &request);
	float got[2];

	(void)state;
	scorer_no_hit_lru.picked(&c, NULL, 0);
	scorer_no_hit_lru.picked(&c, NULL, 1);
	scorer_no_hit_lru.score(&c, NULL, got);
	assert_true(got[0] == 1 && got[1] == 0);
	live_renew(&pool.live[1]);
	scorer_no_hit_lru.score(&c, NULL, got);
	assert_true(got[0] == 0 && got[1] == 1);
}

static void test_without_memory_all_are_new(void **state)
{
	struct request request = { 0 };
	struct row r[2] = { { 0 } };
	struct choice c = choice_of(r, 2, &request);
	float got[2];

	(void)state;
	pool.pool_live.cold = NULL;
	scorer_no_hit_lru.picked(&c, NULL, 0);
	scorer_no_hit_lru.score(&c, NULL, got);
	assert_true(got[0] == 1 && got[1] == 1);
	pool.view.pool_live = NULL;
	scorer_no_hit_lru.picked(&c, NULL, 0);
	scorer_no_hit_lru.score(&c, NULL, got);
	assert_true(got[0] == 1 && got[1] == 1);
}

enum { THREADS = 4, ROUNDS = 5000 };

static void *cold_main(void *arg)
{
	const struct choice *c = arg;

	for (int i = 0; i < ROUNDS; i++) {
		size_t best;

		pick_best(c, &best);
	}
	return NULL;
}

static void test_no_cold_request_is_lost_among_threads(void **state)
{
	struct request request = { 0 };
	struct row r[N_MAX] = { { 0 } };
	struct choice c = choice_of(r, N_MAX, &request);
	pthread_t threads[THREADS];

	(void)state;
	pool.pool_live.n_cold = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, cold_main,
			&c), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(pool.pool_live.n_cold, THREADS * ROUNDS);
	for (size_t i = 0; i < N_MAX; i++)
		assert_in_range((uint32_t)cold[i], 1, THREADS * ROUNDS);
}

/* ---- who is told that it was picked ---- */

static struct {
	unsigned n;
	const void *params;
	uint32_t row;
	size_t n_candidates;
} told[2];

static void tell(size_t who, const struct choice *c, const void *params,
    uint32_t winner)
{
	told[who].n++;
	told[who].params = params;
	told[who].row = c->rows[winner];
	told[who].n_candidates = c->n;
}

static void filter_told(const struct choice *c, const void *params,
    uint32_t winner)
{
	tell(0, c, params, winner);
}

static void scorer_told(const struct choice *c, const void *params,
    uint32_t winner)
{
	tell(1, c, params, winner);
}

/* Only s02 and up; the last one of them is best, unless it was told so before. */
static void keep_upper(const struct choice *c, const void *params, bool *keep)
{
	(void)params;
	for (size_t i = 0; i < c->n; i++)
		keep[i] = c->rows[i] >= 2;
}

static void prefer_last(const struct choice *c, const void *params, float *out)
{
	(void)params;
	for (size_t i = 0; i < c->n; i++)
		out[i] = i + 1 == c->n && told[1].n == 0 ? 1.0f : 0.5f;
}

static void test_the_plugins_of_a_pick_are_told_once(void **state)
{
	static const struct filter filter = { .name = "f",
		.filter = keep_upper, .picked = filter_told };
	static const struct scorer scorer = { .name = "s",
		.score = prefer_last, .picked = scorer_told };
	const struct used_filter filters[] = { { &filter, &filter } };
	const struct weighted_scorer scorers[] = { { &scorer, 1, &scorer },
		{ &scorer_queue, 1, NULL } };	/* has no such function */
	const struct profile profile = { .name = "p", .filters = filters,
		.n_filters = 1, .scorers = scorers, .n_scorers = 2,
		.picker = &picker_max_score };
	struct request request = { .has_body = true, .wants_why = true };
	struct rng rng = { 1 };
	struct pick got;

	(void)state;
	memset(told, 0, sizeof(told));
	help_pool_profile(&pool, &profile);
	pick_endpoint(&got, &pool.view, &request, &rng, arena);
	assert_int_equal(got.n, 4);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(told[i].n, 1);
		assert_int_equal(told[i].row, 5);
		assert_int_equal(told[i].n_candidates, 4);
	}
	assert_ptr_equal(told[0].params, &filter);
	assert_ptr_equal(told[1].params, &scorer);
	/* What it remembers by being told is not yet in what is explained. */
	assert_non_null(strstr(got.why, "s=1.000*1"));
	request.has_body = false;		/* not scheduled: nobody is told */
	pick_endpoint(&got, &pool.view, &request, &rng, arena);
	assert_int_equal(told[1].n, 1);
}

static void test_a_pick_is_remembered_as_cold(void **state)
{
	const struct weighted_scorer scorers[] = {
		{ &scorer_no_hit_lru, 1, NULL } };
	const struct profile profile = { .name = "p", .scorers = scorers,
		.n_scorers = 1, .picker = &picker_max_score };
	struct request request = { .has_body = true };
	struct rng rng = { 1 };
	unsigned hits[N_MAX] = { 0 };

	(void)state;
	help_pool_profile(&pool, &profile);
	for (int i = 0; i < 10 * N_MAX; i++) {
		struct pick got;

		arena_reset(arena);
		pick_endpoint(&got, &pool.view, &request, &rng, arena);
		hits[got.choices[0] - pool.endpoints]++;
	}
	for (size_t i = 0; i < N_MAX; i++)
		assert_int_equal(hits[i], 10);
}

/* ---- parameters ---- */

static const struct {
	const char *scorer, *params;
	const char *found, *want;	/* NULL: fine */
} params[] = {
	{ "load-aware-scorer", "{threshold: 1}", NULL, NULL },
	{ "load-aware-scorer", "{threshold: 4294967295}", NULL, NULL },
	{ "load-aware-scorer", "{threshold: 0}", "threshold: 0", "from 1 to" },
	{ "load-aware-scorer", "{threshhold: 3}", "unknown key threshhold",
	  "threshold" },
	{ "active-request-scorer", "{requestTimeout: 2m}", NULL, NULL },
	{ "active-request-scorer", "{maxBusyScore: 1.1}", "maxBusyScore: 1.1",
	  "from 0 to 1" },
	{ "active-request-scorer", "{idleThreshold: -1}", "idleThreshold: -1",
	  "a whole number" },
	{ "active-request-scorer", "{idle: 1}", "unknown key idle", "one of" },
	{ "token-load-scorer", "{queueThresholdTokens: 0}",
	  "queueThresholdTokens: 0", "from 1" },
	{ "token-load-scorer", "{threshold: 5}", "unknown key threshold", "" },
	{ "no-hit-lru-scorer", "{lruSize: 2048, prefixPluginType: t}", NULL,
	  NULL },
	{ "no-hit-lru-scorer", "{lruSize: none}", "lruSize: none",
	  "a whole number" },
	{ "no-hit-lru-scorer", "{lru: 1}", "unknown key lru", "lruSize" },
	{ "header-label-affinity-scorer", "{}", "without headerName", "" },
	{ "header-label-affinity-scorer", "{headerName: h}", "without labelKey",
	  "" },
	{ "header-label-affinity-scorer", "{headerName: '', labelKey: l}",
	  "headerName: ", "a string" },
	{ "header-label-affinity-scorer", "{headerName: h, labelKey: l, x: y}",
	  "unknown key x", "" },
	{ "context-length-aware", "{label: l, enableFiltering: true}", NULL,
	  NULL },
	{ "context-length-aware", "{enableFiltering: 1}", "enableFiltering: 1",
	  "true or false" },
	{ "context-length-aware", "{lable: l}", "unknown key lable", "label" },
	{ "latency-scorer", "{ttftWeight: 3.5, tpotWeight: 0, "
	  "headroomSelectionStrategy: most, compositeKVWeight: 2}", NULL, NULL },
	{ "latency-scorer", "{headroomSelectionStrategy: fewest}",
	  "headroomSelectionStrategy: fewest", "least" },
	{ "latency-scorer", "{ttftWeight: -1}", "ttftWeight: -1", "a number" },
	{ "latency-scorer", "{ttft: 1}", "unknown key ttft", "" },
	{ "topology-affinity-scorer", "{ownZone: a}", NULL, NULL },
	{ "topology-affinity-scorer", "{ownZone: [a]}", "ownZone: a list",
	  "a string" },
	{ "topology-affinity-scorer", "{zone: a}", "unknown key zone",
	  "ownZone" },
};

static void test_parameters_are_checked(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(params) / sizeof(*params); k++) {
		const struct scorer *s = scorer_find(params[k].scorer);
		struct fault why = { 0 };
		bool is_fine = params_of(s->params, params[k].params, &why);

		if (is_fine != (params[k].found == NULL) || (!is_fine &&
			(strstr(why.found, params[k].found) == NULL ||
			strstr(why.want, params[k].want) == NULL)))
			fail_msg("row %zu: %s: want %s", k, why.found, why.want);
	}
}

/* By llm-d's names, and each differs in words or not at all. */
static void test_scorers_are_found_by_the_names_of_llm_d(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_ALL; k++) {
		assert_ptr_equal(scorer_find(all[k].scorer->name),
		    all[k].scorer);
		assert_true(all[k].scorer->differs == NULL ||
		    all[k].scorer->differs[0] != '\0');
	}
	assert_ptr_equal(filter_find("context-length-aware"),
	    &filter_context_length);
	/* One entry of a configuration is both, with the same parameters. */
	assert_ptr_equal(filter_context_length.params,
	    scorer_context_length.params);
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new(64 << 10, 16 << 20);
	memset(labels, 0, sizeof(labels));
	memset((void *)cold, 0, sizeof(cold));
	help_pool_init(&pool, "pool", N_MAX);
	pool.pool_live.cold = cold;
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	arena_free(arena);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_scores_are_what_the_formulas_say),
		unit(test_latencies_by_hand),
		unit(test_every_score_is_between_0_and_1),
		unit(test_scores_do_not_depend_on_the_order),
		unit(test_scores_are_the_same_by_columns),
		unit(test_scores_are_of_one_instant),
		unit(test_the_length_filter_keeps_those_made_for_it),
		unit(test_cold_requests_go_round),
		unit(test_only_cold_requests_are_remembered),
		unit(test_a_new_endpoint_has_had_no_cold_request),
		unit(test_without_memory_all_are_new),
		unit(test_no_cold_request_is_lost_among_threads),
		unit(test_the_plugins_of_a_pick_are_told_once),
		unit(test_a_pick_is_remembered_as_cold),
		unit(test_parameters_are_checked),
		unit(test_scorers_are_found_by_the_names_of_llm_d),
	};

	return cmocka_run_group_tests_name("scorers", tests, NULL, NULL);
}
