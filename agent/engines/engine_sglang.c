/*
 * engine_sglang.c - SGLang (started with --enable-metrics)
 *
 * Source: python/sglang/srt/observability/metrics_collector.py. With priority
 * scheduling the two request gauges carry the total under priority="" and again
 * a breakdown under priority="1", ...: only the total may be counted, and
 * priority="" also matches releases that have no such label. The size of the
 * cache is in two gauges since 0.5.11 and was in labels of an info metric before.
 */
#include "engine_rows.h"

#define TOTAL .matchers = { { "priority", "" } }, .n_matchers = 1

static const struct engine_row rows[] = {
	{ ENGINE_QUEUED, FOLD_SUM, { .name = "sglang:num_queue_reqs", TOTAL } },
	{ ENGINE_RUNNING, FOLD_SUM,
	    { .name = "sglang:num_running_reqs", TOTAL } },
	{ ENGINE_KV_USED, FOLD_MEAN, { .name = "sglang:token_usage" } },
	{ ENGINE_BLOCK_TOKENS, FOLD_MAX, { .name = "sglang:page_size" } },
	{ ENGINE_N_BLOCKS, FOLD_SUM, { .name = "sglang:num_pages" } },
	{ ENGINE_SERVED, FOLD_SUM, { .name = "sglang:prompt_tokens_total" } },
	{ ENGINE_CACHE_INFO, FOLD_SUM, { .name = "sglang:cache_config_info" } },
};

const struct engine engine_sglang = {
	.name = "sglang",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.block_size_label = "page_size",
	.n_blocks_label = "num_pages",
};
