/*
 * sim_page.c - rows of metrics, one series for each data-parallel engine
 */
#include "sim_page.h"

#include <math.h>

enum { PAGE_MAX_BYTES = 4 << 20 };

static const struct {
	const char *name, *type, *help;
} gauges[] = {
	{ "num_requests_running", "gauge",
	  "Number of requests in model execution batches." },
	{ "num_requests_waiting", "gauge",
	  "Number of requests waiting to be processed." },
	{ "kv_cache_usage_perc", "gauge",
	  "KV-cache usage. 1 means 100 percent usage." },
};

static const struct {
	enum sim_counter id;
	const char *name, *labels, *help;
} counters[] = {
	{ SIM_CACHE_QUERIES, "prefix_cache_queries_total", "",
	  "Prefix cache queries, in terms of number of queried tokens." },
	{ SIM_CACHE_HITS, "prefix_cache_hits_total", "",
	  "Prefix cache hits, in terms of number of cached tokens." },
	{ SIM_PROMPT_TOKENS, "prompt_tokens_total", "",
	  "Number of prefill tokens processed." },
	{ SIM_GENERATION_TOKENS, "generation_tokens_total", "",
	  "Number of generation tokens processed." },
	{ SIM_FINISHED, "request_success_total", ",finished_reason=\"length\"",
	  "Count of successfully processed requests." },
	{ SIM_ABORTED, "request_success_total", ",finished_reason=\"abort\"",
	  NULL },
};

static const struct {
	const char *name, *help;
} histograms[SIM_N_HISTOGRAMS] = {
	[SIM_TTFT] = { "time_to_first_token_seconds",
	    "Histogram of time to first token in seconds." },
	[SIM_ITL] = { "inter_token_latency_seconds",
	    "Histogram of inter-token latency in seconds." },
	[SIM_E2E] = { "e2e_request_latency_seconds",
	    "Histogram of e2e request latency in seconds." },
	[SIM_QUEUE_TIME] = { "request_queue_time_seconds",
	    "Histogram of time spent in WAITING phase for request." },
	[SIM_PREFILL_TIME] = { "request_prefill_time_seconds",
	    "Histogram of time spent in PREFILL phase for request." },
	[SIM_DECODE_TIME] = { "request_decode_time_seconds",
	    "Histogram of time spent in DECODE phase for request." },
	[SIM_PROMPT_LEN] = { "request_prompt_tokens",
	    "Number of prefill tokens processed." },
	[SIM_GENERATION_LEN] = { "request_generation_tokens",
	    "Number of generation tokens processed." },
};

enum {
	N_GAUGES = sizeof(gauges) / sizeof(gauges[0]),
	N_COUNTERS = sizeof(counters) / sizeof(counters[0]),
};

static struct buf pad = { .max_bytes = PAGE_MAX_BYTES };

void sim_page_init(struct sim_page *p)
{
	*p = (struct sim_page){ 0 };
	buf_init(&p->gauges, PAGE_MAX_BYTES);
	buf_init(&p->histograms, PAGE_MAX_BYTES);
}

void sim_page_fini(struct sim_page *p)
{
	buf_fini(&p->gauges);
	buf_fini(&p->histograms);
}

void sim_page_shutdown(void)
{
	buf_fini(&pad);
}

/* Engine i's part of a whole number: parts add up, and stay in order. */
static uint64_t share(uint64_t value, uint64_t i, uint64_t n)
{
	return value / n + (i < value % n);
}

static void put_about(struct buf *b, const char *name, const char *type,
    const char *help)
{
	buf_printf(b, "# HELP vllm:%s %s\n# TYPE vllm:%s %s\n", name, help,
	    name, type);
}

static double gauge_value(const struct sim_engine *e, size_t row, uint64_t i,
    uint64_t dp)
{
	struct sim_load load = sim_engine_load(e);

	if (row == 0)
		return (double)share(load.running, i, dp);
	if (row == 1)
		return (double)share(load.waiting, i, dp);
	return load.kv_usage;
}

static void put_gauges(struct buf *b, const struct sim_engine *e,
    const struct sim_options *o)
{
	for (size_t row = 0; row < N_GAUGES; row++) {
		put_about(b, gauges[row].name, gauges[row].type,
		    gauges[row].help);
		for (uint64_t i = 0; i < o->dp; i++) {
			double v = gauge_value(e, row, i, o->dp);

			buf_printf(b, "vllm:%s{engine=\"%llu\","
			    "model_name=\"%s\"} %.*g%s\n", gauges[row].name,
			    (unsigned long long)i, o->model, 16, v,
			    v == floor(v) ? ".0" : "");
		}
	}
}

static void put_counters(struct buf *b, const struct sim_stats *s,
    const struct sim_options *o)
{
	for (size_t row = 0; row < N_COUNTERS; row++) {
		uint64_t total = s->counters[counters[row].id];

		if (counters[row].help != NULL)
			put_about(b, counters[row].name, "counter",
			    counters[row].help);
		for (uint64_t i = 0; i < o->dp; i++)
			buf_printf(b, "vllm:%s{engine=\"%llu\"%s,"
			    "model_name=\"%s\"} %.1f\n", counters[row].name,
			    (unsigned long long)i, counters[row].labels,
			    o->model, (double)share(total, i, o->dp));
	}
}

static void put_cache_config(struct buf *b, const struct sim_options *o)
{
	put_about(b, "cache_config_info", "gauge",
	    "Information of the LLMEngine CacheConfig");
	for (uint64_t i = 0; i < o->dp; i++)
		buf_printf(b, "vllm:cache_config_info{block_size=\"%llu\","
		    "cache_dtype=\"auto\",enable_prefix_caching=\"True\","
		    "engine=\"%llu\",gpu_memory_utilization=\"0.9\","
		    "num_cpu_blocks=\"None\",num_gpu_blocks=\"%llu\","
		    "sliding_window=\"None\",swap_space=\"4\"} 1.0\n",
		    (unsigned long long)o->block_tokens, (unsigned long long)i,
		    (unsigned long long)(o->kv_blocks / o->dp));
}

static void put_adapters(struct buf *b, const struct sim_lora *l,
    const struct sim_options *o, bool running)
{
	const char *comma = "";

	for (size_t i = 0; i < o->n_loras; i++) {
		const struct sim_adapter *a = &l->adapters[i];

		if ((running ? a->n_running : a->n_waiting) == 0)
			continue;
		buf_printf(b, "%s%s", comma, o->loras[i]);
		comma = ",";
	}
}

/* The value is a time; who reads it takes the latest series. */
static void put_lora(struct buf *b, const struct sim_lora *l,
    const struct sim_options *o, double unix_time)
{
	if (o->n_loras == 0)
		return;
	put_about(b, "lora_requests_info", "gauge",
	    "Running stats on lora requests.");
	buf_printf(b, "vllm:lora_requests_info{max_lora=\"%llu\","
	    "running_lora_adapters=\"", (unsigned long long)o->max_loras);
	put_adapters(b, l, o, true);
	buf_puts(b, "\",waiting_lora_adapters=\"");
	put_adapters(b, l, o, false);
	buf_printf(b, "\"} %.15e\n", unix_time);
}

static void put_histogram(struct buf *b, const struct sim_stats *s,
    const struct sim_options *o, enum sim_histogram_id id, uint64_t engine)
{
	const struct sim_histogram *h = &s->histograms[id];
	const char *name = histograms[id].name;
	unsigned long long at = engine;
	uint64_t sum = 0;
	size_t n;
	const double *bounds = sim_stats_bounds(id, &n);

	for (size_t i = 0; i < n; i++) {
		sum += h->counts[i];
		buf_printf(b, "vllm:%s_bucket{engine=\"%llu\",le=\"%g\","
		    "model_name=\"%s\"} %.1f\n", name, at, bounds[i], o->model,
		    (double)share(sum, engine, o->dp));
	}
	buf_printf(b, "vllm:%s_bucket{engine=\"%llu\",le=\"+Inf\","
	    "model_name=\"%s\"} %.1f\n", name, at, o->model,
	    (double)share(h->n, engine, o->dp));
	buf_printf(b, "vllm:%s_count{engine=\"%llu\",model_name=\"%s\"} %.1f\n",
	    name, at, o->model, (double)share(h->n, engine, o->dp));
	buf_printf(b, "vllm:%s_sum{engine=\"%llu\",model_name=\"%s\"} %.9g\n",
	    name, at, o->model, h->sum / (double)o->dp);
}

static void render_gauges(struct sim_page *p, struct sim_engine *e,
    const struct sim_options *o, double unix_time)
{
	struct sim_stats *s = sim_engine_stats(e);
	struct buf *b = &p->gauges;

	buf_clear(b);
	buf_printf(b, "# HELP process_start_time_seconds Start time of the "
	    "process since unix epoch in seconds.\n"
	    "# TYPE process_start_time_seconds gauge\n"
	    "process_start_time_seconds %.12e\n", s->start_time);
	put_gauges(b, e, o);
	put_cache_config(b, o);
	put_lora(b, sim_engine_lora(e), o, unix_time);
	put_counters(b, s, o);
}

static void render_histograms(struct sim_page *p, const struct sim_stats *s,
    const struct sim_options *o)
{
	buf_clear(&p->histograms);
	for (int id = 0; id < SIM_N_HISTOGRAMS; id++) {
		put_about(&p->histograms, histograms[id].name, "histogram",
		    histograms[id].help);
		for (uint64_t i = 0; i < o->dp; i++)
			put_histogram(&p->histograms, s, o,
			    (enum sim_histogram_id)id, i);
	}
}

/* Bucket lines of a metric that no one knows, as a real page has many. */
static void render_pad(const struct sim_options *o, size_t page_bytes)
{
	unsigned i = 0;

	if (pad.len > 0 || page_bytes >= o->metrics_pad)
		return;
	put_about(&pad, "sim_padding", "histogram", "Of no meaning.");
	while (pad.len + page_bytes < o->metrics_pad)
		buf_printf(&pad, "vllm:sim_padding_bucket{engine=\"0\","
		    "le=\"%u.0\",model_name=\"%s\"} 0.0\n", ++i, o->model);
}

void sim_page_render(struct sim_page *p, struct sim_engine *e,
    const struct sim_options *o, double unix_time,
    struct span parts[SIM_PAGE_PARTS])
{
	const struct sim_stats *s = sim_engine_stats(e);

	if (!p->is_rendered || p->gauges_version != s->version)
		render_gauges(p, e, o, unix_time);
	if (!p->is_rendered || p->n_observed != s->n_observed)
		render_histograms(p, s, o);
	p->is_rendered = true;
	p->gauges_version = s->version;
	p->n_observed = s->n_observed;
	render_pad(o, p->gauges.len + p->histograms.len);
	parts[0] = buf_span(&p->gauges);
	parts[1] = buf_span(&p->histograms);
	parts[2] = buf_span(&pad);
}
