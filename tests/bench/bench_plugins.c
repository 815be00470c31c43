/*
 * bench_plugins.c - what each filter, scorer and picker costs per candidate
 *
 * Every row of the tables in plugins.c, called as pick.c calls it, on views of 100 and
 * 1,000 endpoints with distinct numbers, eight labels each, for a request with a dozen
 * headers and a prompt of which each holds another part. Numbers are
 * gathered once, as for a pick. Beside it, in the same run: queue-scorer, the first
 * opinion there was. "told" is one call of `picked`, where a
 * plugin has one. The median of several rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "columns.h"
#include "conf.h"
#include "endpoints.h"
#include "extras.h"
#include "fault.h"
#include "label_columns.h"
#include "lora.h"
#include "options.h"
#include "plugin.h"
#include "prefix.h"
#include "request.h"
#include "rng.h"
#include "span.h"
#include "writer.h"
#include "yaml.h"

enum {
	N_MAX = 1000, LABELS = 8, ROUNDS = 9,
	ROUND_NS = 4 * 1000 * 1000, CHOICES = 4, BLOCKS = 64,
};

static const size_t counts[] = { 100, 1000 };

/* Where a type does little, or is refused, without them. */
static const struct {
	const char *name, *yaml;
} settings[] = {
	{ "by-label", "{label: tier, validValues: [gold, silver]}" },
	{ "label-selector-filter", "{matchLabels: {tier: gold}}" },
	{ "by-label-selector", "{matchLabels: {tier: gold}}" },
	{ "utilization-filter",
	  "{conditions: [{metric: active-requests, maxValue: 20}]}" },
	{ "endpoint-attribute-filter", "{attribute: load, algorithm: {type: "
	  "threshold, threshold: {operator: LessThan, value: 0.5}}}" },
	{ "endpoint-attribute-scorer", "{attributeKey: load, algorithm: {type: "
	  "linear_lower_is_better}}" },
	{ "header-label-affinity-scorer",
	  "{headerName: x-tier, labelKey: tier}" },
	{ "context-length-aware", "{enableFiltering: true}" },
	{ "session-affinity-scorer", "{strategy: session_id}" },
	{ "session-affinity-filter", "{strategy: session_id}" },
	{ "topology-affinity-scorer", "{ownZone: zone-1, ownRegion: here}" },
};

static const char *const headers[] = { "host", "llm.example.com",
	"user-agent", "python-requests/2.31", "accept", "*/*",
	"accept-encoding", "gzip, deflate", "authorization", "Bearer sk-0123",
	"content-type", "application/json", "content-length", "4711",
	"x-request-id", "5d1f6a34-2a60-4a5e-8f43-6f8f8f9d2a10",
	"x-tier", "gold", "x-session-id", "session-1",
	"x-llm-d-slo-ttft-ms", "300", "x-llm-d-slo-tpot-ms", "30" };

static const struct pool_options options = { .name = "llm",
	.saturation = { .queue_depth = 5, .kv_used = .8f, .stale_ms = 200,
		.max_concurrency = 100, .max_token_concurrency = 1000000 } };

struct fixture {
	struct endpoint_view view;
	struct endpoint endpoints[N_MAX];
	struct endpoint_stats stats[N_MAX];
	struct endpoint_extras extras[N_MAX];
	char names[N_MAX][24], addrs[N_MAX][24];
	struct label labels[N_MAX][LABELS];
	uint64_t ids[N_MAX][LABELS];
	struct label_columns *columns;
	uint32_t rows[N_MAX], unsettled[N_MAX];
	uint16_t matched[N_MAX];
	char header_block[2048];
	uint64_t blocks[BLOCKS];
	struct ask ask;
	struct request request;
	struct choice choice;
};

static void put_labels(struct fixture *f, size_t i)
{
	static const char *const zones[] = { "zone-1", "zone-2", "zone-3" };
	static const char *const ranges[] = { "0-2048", "2048-8192",
		"8192-131072" };
	const struct label labels[LABELS] = {
		{ "app.kubernetes.io/name", "vllm" },
		{ "app.kubernetes.io/instance", "llama" },
		{ "pod-template-hash", "6b8c7d9f5" },
		{ "llm-d.ai/role", "decode" },
		{ "llm-d.ai/context-length-range", ranges[i % 3] },
		{ "topology.kubernetes.io/zone", zones[i % 3] },
		{ "topology.kubernetes.io/region", "here" },
		{ "tier", i % 2 ? "gold" : "silver" },
	};

	memcpy(f->labels[i], labels, sizeof(labels));
	f->endpoints[i].labels = f->labels[i];
	f->endpoints[i].n_labels = LABELS;
	f->endpoints[i].label_ids = f->ids[i];
	for (size_t k = 0; k < LABELS; k++)
		f->ids[i][k] = endpoint_label_id(labels[k].key);
}

static void put_live(struct endpoint_live *l, struct rng *rng)
{
	live_count_add(&l->requests, rng_below(rng, 32));
	live_count_add(&l->tokens, rng_below(rng, 100000));
	ewma_add(&l->ttft_us, (float)(50000 + rng_below(rng, 500000)), 1);
	ewma_add(&l->token_us, (float)(10000 + rng_below(rng, 40000)), 1);
}

/* What some engines tell beside: the same for all. */
static struct endpoint_extras some_extras(void)
{
	struct lora_set *lora = calloc(1, lora_bytes(4));
	struct attribute_set *set = calloc(1,
	    sizeof(*set) + sizeof(*set->items));

	if (lora == NULL || set == NULL)
		abort();
	lora->max = 4;
	lora->n = lora->n_running = 3;
	for (size_t i = 0; i < 3; i++)
		lora->names[i] = i;
	set->n = 1;
	set->items[0] = (struct attribute){ attribute_key("load"), 0.25 };
	return (struct endpoint_extras){ lora, set };
}

static void put_endpoint(struct fixture *f, size_t i,
    struct endpoint_extras extras, struct rng *rng)
{
	snprintf(f->names[i], sizeof(f->names[i]), "s%06zu", i);
	snprintf(f->addrs[i], sizeof(f->addrs[i]), "10.0.%zu.%zu:8000",
	    i / 250, i % 250 + 1);
	f->endpoints[i].name = span_of(f->names[i]);
	f->endpoints[i].addr = span_of(f->addrs[i]);
	f->endpoints[i].slot = (uint16_t)i;
	f->extras[i] = extras;
	f->stats[i] = (struct endpoint_stats){ .slot = (uint16_t)i,
		.queued = rng_below(rng, 8), .running = rng_below(rng, 64),
		.kv_used = (float)rng_below(rng, 1000) / 1000.0f,
		.seen_ms = 1, .is_current = true };
	f->rows[i] = (uint32_t)i;
	f->unsettled[i] = rng_below(rng, 3);
	f->matched[i] = (uint16_t)rng_below(rng, BLOCKS);
	put_labels(f, i);
	put_live(&f->view.live[i], rng);
}

static void put_request(struct fixture *f)
{
	struct writer w = writer_over(f->header_block,
	    sizeof(f->header_block));

	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
		writer_string(&w, span_of(headers[i]));
	writer_string(&w, span_of(""));
	writer_string(&w, span_of(""));
	f->ask = (struct ask){ .headers = { f->header_block, writer_len(&w) } };
	f->request = (struct request){ .ask = &f->ask, .has_body = true,
		.model = span_of("llama-3.1-70b"),
		.blocks = f->blocks, .n_blocks = BLOCKS,
		.prompt_bytes = BLOCKS * 256, .slo_ttft_ms = 300 };
}

static void put_pace(struct endpoint_pace *p, struct rng *rng)
{
	ewma_add(&p->prefill_rate, (float)(4000 + rng_below(rng, 20000)), 1);
	ewma_add(&p->serve_us, (float)(1e6 + rng_below(rng, 9000000)), 1);
	atomic_store(&p->batch, 24);
	atomic_store(&p->busy_until_ms, rng_below(rng, 3000));
}

/* As picking.c does it for the scorers. */
static void gather(struct choice *c, struct arena *arena)
{
	c->n = N_MAX;
	if (!told_columns_init(&c->told, arena, c->n) ||
	    !live_columns_init(&c->live, arena, c->n) ||
	    !pace_columns_init(&c->pace, arena, c->n))
		abort();
	told_columns_fill(&c->told, c);
	live_columns_fill(&c->live, c);
	pace_columns_fill(&c->pace, c);
}

static struct fixture *fixture_new(struct arena *arena)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct endpoint_live *live = live_new();
	struct endpoint_extras extras = some_extras();
	struct rng rng = { 42 };

	if (f == NULL || live == NULL)
		abort();
	f->view = (struct endpoint_view){ .pool = "llm", .is_known = true,
		.endpoints = f->endpoints, .stats = f->stats,
		.extras = f->extras, .live = live,
		.pool_live = pool_live_of(live), .block_bytes = 256,
		.max_blocks = 2048, .schedule = &schedule_default,
		.options = &options };
	for (size_t i = 0; i < N_MAX; i++)
		put_endpoint(f, i, extras, &rng);
	for (size_t i = 0; i < N_MAX; i++)
		put_pace(&f->view.pool_live->pace[i], &rng);
	f->columns = label_columns_new(f->endpoints, N_MAX);
	f->view.labels = f->columns;
	put_request(f);
	f->choice = (struct choice){ .view = &f->view,
		.request = &f->request, .rows = f->rows,
		.unsettled = f->unsettled, .matched = f->matched };
	gather(&f->choice, arena);
	return f;
}

static void fixture_free(struct fixture *f)
{
	free((void *)f->extras[0].lora);
	free((void *)f->extras[0].attributes);
	free(f->columns);
	live_release(f->view.live, N_MAX);
	free(f);
}

static void fixture_size(struct fixture *f, size_t n)
{
	f->view.n_endpoints = f->view.n_slots = f->choice.n = n;
}

/* ---- one call of each kind ---- */

struct plugin {
	const char *kind, *name;
	const struct conf_table *table;
	const struct filter *filter;
	const struct scorer *scorer;
	const struct picker *picker;
	const void *params;
};

static float scores[N_MAX];
static bool keep[N_MAX];

static void call(const struct plugin *p, const struct choice *c,
    struct rng *rng)
{
	uint32_t best[CHOICES];

	if (p->filter != NULL) {
		memset(keep, true, c->n);
		p->filter->filter(c, p->params, keep);
	} else if (p->scorer != NULL) {
		p->scorer->score(c, p->params, scores);
	} else if (p->picker->pick(c, p->params, scores, rng, best,
		CHOICES) == 0) {
		abort();
	}
}

typedef void told_f(const struct choice *c, const void *params,
    uint32_t winner);

static told_f *told_of(const struct plugin *p)
{
	return p->filter != NULL ? p->filter->picked :
	    p->scorer != NULL ? p->scorer->picked : NULL;
}

/* ---- the clock ---- */

static double round_ns(const struct plugin *p, const struct choice *c,
    told_f *told)
{
	struct rng rng = { 1 };
	int64_t from = clock_ns(), spent;
	size_t n = 0;

	do {
		for (int i = 0; i < 16; i++, n++)
			if (told != NULL)
				told(c, p->params, (uint32_t)(n % c->n));
			else
				call(p, c, &rng);
		spent = clock_ns() - from;
	} while (spent < ROUND_NS);
	return (double)spent / (double)n;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *rounds)
{
	qsort(rounds, ROUNDS, sizeof(*rounds), by_value);
	return rounds[ROUNDS / 2];
}

/* In turn with the baseline, so that both have the same weather. */
struct figures {
	double ns, ratio, told_ns;
};

static struct figures measure(const struct plugin *p, const struct choice *c)
{
	const struct plugin queue = { .scorer = scorer_find("queue-scorer") };
	double ns[ROUNDS], ratios[ROUNDS], told_ns[ROUNDS];

	for (size_t r = 0; r < ROUNDS; r++) {
		ns[r] = round_ns(p, c, NULL);
		ratios[r] = ns[r] / round_ns(&queue, c, NULL);
		told_ns[r] = told_of(p) != NULL ? round_ns(p, c, told_of(p)) : 0;
	}
	return (struct figures){ median(ns) / (double)c->n, median(ratios),
		median(told_ns) };
}

/* ---- all of them ---- */

static const char *yaml_of(const char *name)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (strcmp(settings[i].name, name) == 0)
			return settings[i].yaml;
	return "{}";
}

static bool decode(struct plugin *p, struct arena *arena)
{
	struct fault why = { 0 };
	struct conf_input in = { p->name, arena, &why };
	const struct conf *root = yaml_parse(p->name,
	    span_of(yaml_of(p->name)), &yaml_limits_default, arena, &why);
	void *out;

	if (p->table == NULL)
		return true;
	out = arena_zalloc(arena, p->table->size);
	if (root == NULL || out == NULL ||
	    conf_decode(&in, p->table, root, out) != 0) {
		printf("%-7s %-32s not measured: %s\n", p->kind, p->name,
		    why.found);
		return false;
	}
	p->params = out;
	return true;
}

static void report(struct plugin *p, struct fixture *f, struct arena *arena)
{
	static const uint16_t none_held[N_MAX];
	/* This one does nothing where somebody holds some of the prompt. */
	bool is_for_cold = strcmp(p->name, "no-hit-lru-scorer") == 0;
	struct figures got = { 0 };

	if (!decode(p, arena))
		return;
	f->choice.matched = is_for_cold ? none_held : f->matched;
	printf("%-7s %-32s", p->kind, p->name);
	for (size_t k = 0; k < sizeof(counts) / sizeof(*counts); k++) {
		fixture_size(f, counts[k]);
		got = measure(p, &f->choice);
		printf(" %8.2f %8.2f", got.ns, got.ratio);
	}
	if (told_of(p) != NULL)
		printf(" %8.0f", got.told_ns);
	printf("\n");
}

static bool plugin_at(size_t kind, size_t i, struct plugin *p)
{
	const struct filter *filter = kind == 0 ? filter_at(i) : NULL;
	const struct scorer *scorer = kind == 1 ? scorer_at(i) : NULL;
	const struct picker *picker = kind == 2 ? picker_at(i) : NULL;

	if (filter != NULL)
		*p = (struct plugin){ "filter", filter->name, filter->params,
			filter, NULL, NULL, NULL };
	else if (scorer != NULL)
		*p = (struct plugin){ "scorer", scorer->name, scorer->params,
			NULL, scorer, NULL, NULL };
	else if (picker != NULL)
		*p = (struct plugin){ "picker", picker->name, picker->params,
			NULL, NULL, picker, NULL };
	return filter != NULL || scorer != NULL || picker != NULL;
}

int main(void)
{
	struct arena *arena = arena_new(1 << 16, 1 << 24);
	struct fixture *f = arena != NULL ? fixture_new(arena) : NULL;
	struct plugin p;

	if (f == NULL)
		abort();
	printf("bench_plugins: ns a candidate, and times queue-scorer's\n");
	printf("%-40s %8s %8s %8s %8s %8s\n", "endpoints", "100", "x queue",
	    "1000", "x queue", "told ns");
	for (size_t kind = 0; kind < 3; kind++)
		for (size_t i = 0; plugin_at(kind, i, &p); i++)
			report(&p, f, arena);
	arena_free(arena);
	fixture_free(f);
	return 0;
}
