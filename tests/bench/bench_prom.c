/*
 * bench_prom.c - what reading one metrics page costs
 *
 * Three readings of the same page in one run, so that the ratios hold on any
 * machine: finding the newlines alone (the floor), what a first attempt would do
 * (getline, strncmp, strtod), and ours through an engine's whole table of rows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "engine.h"
#include "must.h"

enum { PAGE_MAX = 1 << 20, WORK_BYTES = 256 << 20 };

static const char *const histograms[] = {
	"time_to_first_token_seconds", "inter_token_latency_seconds",
	"e2e_request_latency_seconds", "request_queue_time_seconds",
	"request_prefill_time_seconds", "request_prompt_tokens",
	"request_generation_tokens", "iteration_tokens_total",
};

static void put_gauge(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "# HELP vllm:%s Number of what it says.\n", name);
	buf_printf(b, "# TYPE vllm:%s gauge\n", name);
	buf_printf(b, "vllm:%s{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B"
	    "-Instruct\"} %s\n", name, value);
}

static void put_histogram(struct buf *b, const char *name, int round)
{
	buf_printf(b, "# HELP vllm:%s Histogram of it.\n", name);
	buf_printf(b, "# TYPE vllm:%s histogram\n", name);
	for (int i = 0; i < 20; i++)
		buf_printf(b, "vllm:%s_bucket{engine=\"%d\",le=\"%g\",model_name="
		    "\"meta-llama/Llama-3.1-8B-Instruct\"} %d.0\n", name, round,
		    0.001 * (1 << i), 17 * i);
}

/* As vLLM writes it: the gauges first, then histograms up to the size. */
static struct buf make_page(size_t bytes)
{
	struct buf b;

	buf_init(&b, PAGE_MAX);
	put_gauge(&b, "num_requests_running", "12.0");
	put_gauge(&b, "num_requests_waiting", "3.0");
	put_gauge(&b, "kv_cache_usage_perc", "0.37254901960784315");
	buf_puts(&b, "# TYPE vllm:cache_config_info gauge\n"
	    "vllm:cache_config_info{block_size=\"16\",engine=\"0\","
	    "num_gpu_blocks=\"27000\"} 1.0\n");
	for (int i = 0; b.len < bytes; i++)
		put_histogram(&b, histograms[i % 8], i / 8);
	must(!buf_failed(&b));
	b.len = bytes;
	return b;
}

static size_t read_newlines(void *with, const struct buf *page)
{
	const char *at = page->data, *end = at + page->len;
	size_t n = 0;

	(void)with;
	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		at++;
		n++;
	}
	return n;
}

static size_t read_naively(void *with, const struct buf *page)
{
	static const char *const names[] = { "vllm:num_requests_running{",
		"vllm:num_requests_waiting{", "vllm:kv_cache_usage_perc{",
		"vllm:gpu_cache_usage_perc{", "vllm:cache_config_info{" };
	FILE *f = fmemopen(page->data, page->len, "r");
	char *line = NULL;
	size_t cap = 0, n = 0;
	double sum = 0;

	(void)with;
	while (getline(&line, &cap, f) > 0)
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0) {
				sum += strtod(strrchr(line, ' '), NULL);
				n++;
			}
	free(line);
	fclose(f);
	return n + (sum < 0);
}

static size_t read_ours(void *with, const struct buf *page)
{
	struct engine_reading reading;

	engine_scan_begin(with);
	engine_scan_feed(with, page->data, page->len);
	must(engine_scan_end(with, &reading) == PROM_OK && reading.queued == 3);
	return reading.queued;
}

/* As a socket would bring it, 1448 bytes at a time. */
static size_t read_ours_cut(void *with, const struct buf *page)
{
	struct engine_reading reading;

	engine_scan_begin(with);
	for (size_t at = 0; at < page->len; at += 1448)
		engine_scan_feed(with, page->data + at,
		    page->len - at < 1448 ? page->len - at : 1448);
	must(engine_scan_end(with, &reading) == PROM_OK && reading.queued == 3);
	return reading.queued;
}

static const struct {
	const char *name;
	size_t (*read)(void *with, const struct buf *page);
} ways[] = {
	{ "newlines only", read_newlines },
	{ "getline+strncmp", read_naively },
	{ "engine_scan", read_ours },
	{ "engine_scan, cut", read_ours_cut },
};

/* The best of five, in ns per page: the others were disturbed. */
static double measure(size_t way, void *with, const struct buf *page)
{
	size_t rounds = WORK_BYTES / 5 / page->len, n = 0;
	int64_t best = INT64_MAX;

	for (int i = 0; i < 5; i++) {
		int64_t start = clock_ns(), spent;

		for (size_t k = 0; k < rounds; k++)
			n += ways[way].read(with, page);
		spent = clock_ns() - start;
		if (spent < best)
			best = spent;
	}
	must(n > 0);
	return (double)best / (double)rounds;
}

int main(void)
{
	static const size_t sizes[] = { 8 << 10, 64 << 10 };
	struct engine_scan *scan = engine_scan_new(engine_find("vllm"));

	must(scan != NULL);
	printf("%-18s %9s %12s %9s %9s\n", "reading", "page", "ns/page", "MB/s",
	    "x floor");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct buf page = make_page(sizes[i]);
		double floor_ns = 0;

		for (size_t k = 0; k < sizeof(ways) / sizeof(*ways); k++) {
			double ns = measure(k, scan, &page);

			if (k == 0)
				floor_ns = ns;
			printf("%-18s %6zu KiB %12.0f %9.0f %9.2f\n",
			    ways[k].name, sizes[i] >> 10, ns,
			    (double)page.len * 1e3 / ns, ns / floor_ns);
		}
		buf_fini(&page);
	}
	engine_scan_free(scan);
	return 0;
}
