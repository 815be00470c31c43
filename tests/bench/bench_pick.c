/*
 * bench_pick.c - what one decision costs, from SPOE arguments to chosen endpoint
 *
 * In one process and thread: request_parse() and pick_endpoint() with the default
 * profile on a view of N endpoints with distinct numbers, over prompts of which the
 * first half is shared by groups, so that the prefix index is full of real chains.
 * Then the same with every scorer there is, on endpoints with eight labels, averages and
 * adapters. Each pick is timed by itself; the clock's own cost is measured and taken off.
 *
 * Two baselines beside it, in the same run: the least that any picker does, a general
 * JSON parser (yajl) over the same body and nothing else; and after each pick as long a
 * sum that touches no memory ("sum"), whose p99.9 is what the machine adds to anything
 * of that length.
 *
 * All picks are made three times over, from the same start and in the same order. Each
 * one's middle time is what it takes by itself: what the machine adds seldom hits the
 * same one twice. Of these is "own p99.9"; all else is of all three.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "arena.h"
#include "clock.h"
#include "endpoints.h"
#include "fault.h"
#include "heat.h"
#include "label_columns.h"
#include "lora.h"
#include "options.h"
#include "pick.h"
#include "plugin.h"
#include "prefix.h"
#include "request.h"
#include "rng.h"

enum {
	BLOCK_BYTES = 256, MAX_BLOCKS = 2048, CAPACITY_BLOCKS = 2048,
	INDEX_BYTES = 16 * 1024 * 1024,
	N_GROUPS = 50, N_BODIES = 400, TIMES = 3,
	/* A real fleet is read anew 20 times a second; we settle as often as */
	PICKS_PER_SCRAPE = 500,
};

static const size_t endpoint_counts[] = { 10, 100, 1000, 10000 };
static const size_t prompt_bytes[] = { 1024, 4096, 16384, 102400 };

static const struct pool_options options = { .name = "llm" };

enum { LABELS = 8 };

struct fixture {
	struct endpoint_view view;
	struct endpoint *endpoints;
	struct endpoint_stats *stats;
	struct endpoint_extras *extras;
	uint64_t (*ids)[LABELS];
	struct label_columns *labels;
	char (*names)[24];
};

static const struct label labels[][LABELS] = {
	{ { "app.kubernetes.io/name", "vllm" }, { "pod-template-hash", "6b8c7d" },
	  { "llm-d.ai/role", "decode" }, { "tier", "gold" },
	  { "llm-d.ai/context-length-range", "0-8192" },
	  { "kubernetes.io/hostname", "node-1" },
	  { "topology.kubernetes.io/zone", "zone-1" },
	  { "topology.kubernetes.io/region", "here" } },
	{ { "app.kubernetes.io/name", "vllm" }, { "pod-template-hash", "6b8c7d" },
	  { "llm-d.ai/role", "decode" }, { "tier", "silver" },
	  { "llm-d.ai/context-length-range", "8192-131072" },
	  { "kubernetes.io/hostname", "node-2" },
	  { "topology.kubernetes.io/zone", "zone-2" },
	  { "topology.kubernetes.io/region", "here" } },
};

static struct {
	struct attribute_set set;
	struct attribute load;
} attributes = { { .n = 1 }, { 0, 0.25 } };

/* As if each had been at work, and its batch were full in one of three. */
static void add_pace(struct endpoint_pace *p, struct rng *rng)
{
	ewma_add(&p->prefill_rate, (float)(4000 + rng_below(rng, 20000)), 1);
	ewma_add(&p->serve_us, (float)(1e6 + rng_below(rng, 9000000)), 1);
	atomic_store(&p->batch, 24);
	atomic_store(&p->busy_until_ms, rng_below(rng, 3000));
}

/* What some scorers look at beside numbers. */
static void add_what_scorers_want(struct fixture *f, struct rng *rng)
{
	struct lora_set *lora = calloc(1, lora_bytes(4));
	size_t n = f->view.n_endpoints;

	f->extras = calloc(n, sizeof(*f->extras));
	f->ids = calloc(n, sizeof(*f->ids));
	attributes.load.key = attribute_key("load");
	lora->max = lora->n = 4;
	for (size_t i = 0; i < n; i++) {
		struct endpoint_live *l = &f->view.live[i];

		f->endpoints[i].labels = labels[i % 2];
		f->endpoints[i].n_labels = LABELS;
		f->endpoints[i].label_ids = f->ids[i];
		for (size_t k = 0; k < LABELS; k++)
			f->ids[i][k] = endpoint_label_id(labels[i % 2][k].key);
		f->extras[i] = (struct endpoint_extras){ lora, &attributes.set };
		ewma_add(&l->ttft_us, (float)(5e4 + rng_below(rng, 500000)), 1);
		ewma_add(&l->token_us, (float)(1e4 + rng_below(rng, 40000)), 1);
		live_count_add(&l->requests, rng_below(rng, 32));
		live_count_add(&l->tokens, rng_below(rng, 100000));
		add_pace(&f->view.pool_live->pace[i], rng);
	}
	f->view.extras = f->extras;
	f->labels = label_columns_new(f->endpoints, n);
	f->view.labels = f->labels;
}

static void drop_extras(struct fixture *f)
{
	if (f->extras != NULL)
		free((void *)f->extras[0].lora);
	free(f->extras);
	free(f->ids);
	free(f->labels);
}

/* Every scorer that plugins.c lists, by a document that asks for it. */
static const struct options *every_scorer(void)
{
	static const char *const params[][2] = {
		{ "header-label-affinity-scorer",
		  "{headerName: x-tier, labelKey: tier}" },
		{ "endpoint-attribute-scorer", "{attributeKey: load, algorithm:"
		  " {type: linear_lower_is_better}}" },
		{ "session-affinity-scorer", "{strategy: session_id}" },
		{ "topology-affinity-scorer",
		  "{ownHostname: node-1, ownZone: zone-1}" },
	};
	static char text[8192];
	size_t n = (size_t)snprintf(text, sizeof(text), "feedback: {listen: "
	    "127.0.0.1:9003}\npools:\n- name: llm\n  file: /f\n  scheduling:\n"
	    "    apiVersion: llm-d.ai/v1alpha1\n    kind: EndpointPickerConfig\n"
	    "    plugins:\n");
	struct fault why = { 0 };
	struct options *o;

	for (size_t i = 0; scorer_at(i) != NULL; i++) {
		const char *with = "{}";

		for (size_t k = 0; k < sizeof(params) / sizeof(*params); k++)
			if (strcmp(params[k][0], scorer_at(i)->name) == 0)
				with = params[k][1];
		n += (size_t)snprintf(text + n, sizeof(text) - n,
		    "    - {type: %s, parameters: %s}\n", scorer_at(i)->name,
		    with);
	}
	o = options_parse("bench", span_of(text), &why);
	if (o == NULL) {
		fprintf(stderr, "bench_pick: %s\n", why.found);
		abort();
	}
	return o;
}

static void fixture_init(struct fixture *f, size_t n, struct rng *rng)
{
	struct endpoint_live *live = live_new();

	memset(pool_live_of(live)->heat, 0, LIVE_HEAT * sizeof(struct heat));
	f->extras = NULL;
	f->ids = NULL;
	f->labels = NULL;
	f->endpoints = calloc(n, sizeof(*f->endpoints));
	f->stats = calloc(n, sizeof(*f->stats));
	f->names = calloc(n, sizeof(*f->names));
	f->view = (struct endpoint_view){
		.pool = "llm", .is_known = true, .n_endpoints = n, .n_slots = n,
		.endpoints = f->endpoints, .stats = f->stats,
		.live = live,
		.pool_live = pool_live_of(live),
		.prefix = prefix_new(INDEX_BYTES, PREFIX_SLOTS_MAX),
		.block_bytes = BLOCK_BYTES, .max_blocks = MAX_BLOCKS,
		.schedule = &schedule_default, .options = &options,
	};
	for (size_t i = 0; i < n; i++) {
		snprintf(f->names[i], sizeof(f->names[i]), "s%06zu", i);
		f->endpoints[i].name = span_of(f->names[i]);
		f->endpoints[i].addr = span_of("10.0.0.1:8000");
		f->endpoints[i].slot = f->stats[i].slot = (uint16_t)i;
		f->stats[i].queued = rng_below(rng, 8);
		f->stats[i].running = rng_below(rng, 64);
		f->stats[i].kv_used = (float)rng_below(rng, 1000) / 1000.0f;
		prefix_join(f->view.prefix, (uint16_t)i, CAPACITY_BLOCKS);
	}
}

static void fixture_fini(struct fixture *f)
{
	drop_extras(f);
	prefix_free(f->view.prefix);
	live_release(f->view.live, f->view.n_endpoints);
	free(f->names);
	free(f->stats);
	free(f->endpoints);
}

/* As a scrape would: what was sent is in the numbers now. */
static void settle(struct fixture *f)
{
	for (size_t i = 0; i < f->view.n_endpoints; i++)
		f->stats[i].settled = atomic_load(&f->view.live[i].picked);
}

static size_t put_words(char *at, size_t len, struct rng *rng)
{
	static const char *const words[] = { "alpha ", "of ", "the \\n", "router ",
		"cache ", "said: \\\"yes\\\" ", "tokens ", "and ", "0x1f " };
	size_t n = 0;

	while (n < len) {
		const char *w = words[rng_below(rng, 9)];
		size_t k = strlen(w);

		memcpy(at + n, w, k);
		n += k;
	}
	return n;
}

/* First half by group, second half its own. */
static char *make_body(size_t bytes, uint32_t group, struct rng *rng,
    size_t *len)
{
	struct rng shared = { .state = group };
	char *b = malloc(bytes + 512);
	size_t n = (size_t)snprintf(b, 256, "{\"model\":\"llama-3.1-70b\","
	    "\"stream\":true,\"max_tokens\":256,\"messages\":[{\"role\":"
	    "\"system\",\"content\":\"");

	n += put_words(b + n, bytes / 2, &shared);
	n += (size_t)snprintf(b + n, 64, "\"},{\"role\":\"user\",\"content\":\"");
	n += put_words(b + n, bytes / 2 - 64, rng);
	n += (size_t)snprintf(b + n, 64, "\"}]}");
	*len = n;
	return b;
}

static int by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int64_t clock_cost(void)
{
	int64_t from = clock_ns();

	for (int i = 0; i < 10000; i++)
		(void)clock_ns();
	return (clock_ns() - from) / 10000;
}

static int64_t yajl_pass(const char *body, size_t len)
{
	int64_t from = clock_ns();
	yajl_handle h = yajl_alloc(NULL, NULL, NULL);

	yajl_parse(h, (const unsigned char *)body, len);
	yajl_complete_parse(h);
	yajl_free(h);
	return clock_ns() - from;
}

/* Not to be foretold, so not to be left out. */
static volatile uint64_t summed = 1;

static int64_t sum_pass(int64_t rounds)
{
	int64_t from = clock_ns();
	uint64_t x = summed;

	while (rounds-- > 0)
		x = x * 6364136223846793005u + 1;
	summed = x;
	return clock_ns() - from;
}

/* So many take as long as that. */
static int64_t sum_rounds(int64_t ns)
{
	enum { TRY = 1000000 };

	return ns * TRY / sum_pass(TRY);
}

struct body {
	char *text;
	size_t len;
};

static const char headers_text[] = "\x06x-tier\x04gold"
    "\x0cx-session-id\x09session-1\x13x-llm-d-slo-ttft-ms\x03""300\0";

/* A function of its own: callgrind's --toggle-collect names it. */
static __attribute__((noinline)) int64_t one_pick(struct fixture *f, const struct body *b,
    struct rng *rng, struct arena *arena)
{
	struct ask ask = { .path = span_of("/v1/chat/completions"),
		.body = { b->text, b->len }, .body_len = b->len };
	struct request request;
	struct pick pick;
	int64_t from;

	if (f->view.schedule != &schedule_default)
		ask.headers = (struct span){ headers_text,
			sizeof(headers_text) };
	from = clock_ns();

	arena_reset(arena);
	request_parse(&request, &ask, f->view.block_bytes, f->view.max_blocks,
	    NULL, arena);
	pick_endpoint(&pick, &f->view, &request, rng, arena);
	if (pick.n == 0)
		abort();
	return clock_ns() - from;
}

/* One row of the table: what is asked, and each pick's time, TIMES of them. */
struct row {
	size_t n_endpoints, bytes, n_picks;
	const struct schedule *schedule;
	int64_t *ns, *idle, *middle;
	int64_t yajl, n_yajl, overhead;
};

static void put_bodies(struct body bodies[N_BODIES], size_t bytes,
    struct rng *rng)
{
	for (size_t i = 0; i < N_BODIES; i++)
		bodies[i].text = make_body(bytes, (uint32_t)(i % N_GROUPS), rng,
		    &bodies[i].len);
}

/* From the same start: time number `time`. */
static void pick_all(struct row *row, struct arena *arena, size_t time)
{
	struct rng rng = { .state = 42 };
	struct body bodies[N_BODIES];
	struct fixture f;
	int64_t warm = 0, rounds;

	fixture_init(&f, row->n_endpoints, &rng);
	f.view.schedule = row->schedule;
	if (row->schedule != &schedule_default)
		add_what_scorers_want(&f, &rng);
	put_bodies(bodies, row->bytes, &rng);
	for (size_t i = 0; i < N_BODIES; i++)	/* warm the index */
		warm += one_pick(&f, &bodies[i], &rng, arena);
	rounds = sum_rounds(warm / N_BODIES - row->overhead);
	for (size_t i = 0; i < row->n_picks; i++) {
		const struct body *b = &bodies[rng_below(&rng, N_BODIES)];
		size_t at = i * TIMES + time;

		if (i % PICKS_PER_SCRAPE == 0)
			settle(&f);
		row->ns[at] = one_pick(&f, b, &rng, arena) - row->overhead;
		row->idle[at] = sum_pass(rounds) - row->overhead;
		if (i % 16 == 0) {
			row->yajl += yajl_pass(b->text, b->len) - row->overhead;
			row->n_yajl++;
		}
	}
	for (size_t i = 0; i < N_BODIES; i++)
		free(bodies[i].text);
	fixture_fini(&f);
}

static void sort(int64_t *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), by_value);
}

static void take_middles(struct row *row)
{
	for (size_t i = 0; i < row->n_picks; i++) {
		int64_t of[TIMES];

		memcpy(of, row->ns + i * TIMES, sizeof(of));
		sort(of, TIMES);
		row->middle[i] = of[TIMES / 2];
	}
}

static double quantile_us(const int64_t *sorted, size_t n, size_t per_mille)
{
	return (double)sorted[n * per_mille / 1000] / 1e3;
}

static void print_row(const struct row *row)
{
	size_t n = row->n_picks * TIMES;
	double sum = 0, yajl = (double)row->yajl / (double)row->n_yajl;

	for (size_t i = 0; i < n; i++)
		sum += (double)row->ns[i];
	printf("%9zu %7zu %10.0f %8.2f %8.2f %8.2f %8.2f %10.2f %8.2f %8.2f "
	    "%8.2f %7.2f\n",
	    row->n_endpoints, row->bytes / 1024, 1e9 * (double)n / sum,
	    sum / (double)n / 1e3, quantile_us(row->ns, n, 500),
	    quantile_us(row->ns, n, 990), quantile_us(row->ns, n, 999),
	    quantile_us(row->middle, row->n_picks, 999),
	    quantile_us(row->idle, n, 500), quantile_us(row->idle, n, 999),
	    yajl / 1e3, sum / (double)n / yajl);
}

static void bench(size_t n_endpoints, size_t bytes, size_t n_picks,
    const struct schedule *schedule)
{
	size_t n = n_picks * TIMES;
	struct arena *arena = arena_new(1 << 20, 16 << 20);
	struct row row = { .n_endpoints = n_endpoints, .bytes = bytes,
		.n_picks = n_picks, .schedule = schedule,
		.ns = calloc(n, sizeof(*row.ns)),
		.idle = calloc(n, sizeof(*row.idle)),
		.middle = calloc(n_picks, sizeof(*row.middle)),
		.overhead = clock_cost() };

	for (size_t time = 0; time < TIMES; time++)
		pick_all(&row, arena, time);
	take_middles(&row);
	sort(row.ns, n);
	sort(row.idle, n);
	sort(row.middle, n_picks);
	print_row(&row);
	arena_free(arena);
	free(row.ns);
	free(row.idle);
	free(row.middle);
}

static const struct schedule *scheduled_by(const char *profile)
{
	return strcmp(profile, "every") == 0 ?
	    every_scorer()->pools[0].schedule : &schedule_default;
}

/* `bench_pick ENDPOINTS KIB PICKS default|every`: one row, to be looked into. */
int main(int argc, char **argv)
{
	if (argc == 5) {
		bench(strtoul(argv[1], NULL, 10),
		    strtoul(argv[2], NULL, 10) * 1024,
		    strtoul(argv[3], NULL, 10), scheduled_by(argv[4]));
		return 0;
	}
	printf("bench_pick: arguments to endpoint, default profile, one core\n");
	printf("%9s %7s %10s %8s %8s %8s %8s %10s %8s %8s %8s %7s\n",
	    "endpoints", "KiB", "picks/s", "mean us", "p50 us", "p99 us",
	    "p99.9 us", "own p99.9", "sum p50", "p99.9", "yajl us", "ratio");
	for (size_t e = 0; e < sizeof(endpoint_counts) / sizeof(size_t); e++)
		for (size_t b = 0; b < sizeof(prompt_bytes) / sizeof(size_t); b++)
			bench(endpoint_counts[e], prompt_bytes[b],
			    endpoint_counts[e] >= 10000 ? 5000 : 20000,
			    &schedule_default);
	printf("every scorer on\n");
	for (size_t e = 0; e < sizeof(endpoint_counts) / sizeof(size_t); e++)
		bench(endpoint_counts[e], 16384,
		    endpoint_counts[e] >= 10000 ? 5000 : 20000,
		    scheduled_by("every"));
	return 0;
}
