/*
 * engine_trtllm_serve.c - TensorRT-LLM's own server, trtllm-serve
 *
 * Source: NVIDIA/TensorRT-LLM, tensorrt_llm/metrics/collector.py, served at
 * /prometheus/metrics (/metrics is JSON). It needs return_perf_metrics: true, which
 * counts requests, and enable_iter_perf_stats: true: without it there are no gauges, and
 * the page is not taken for an engine's. Gauges came with 1.3 (pull request 12545). The
 * counter has a series for each finished_reason, from its first request on.
 */
#include "engine_rows.h"

static const struct engine_row rows[] = {
	{ ENGINE_QUEUED, FOLD_SUM, { .name = "trtllm_num_requests_waiting" } },
	{ ENGINE_RUNNING, FOLD_SUM, { .name = "trtllm_num_requests_running" } },
	{ ENGINE_KV_USED, FOLD_MEAN,
	    { .name = "trtllm_kv_cache_utilization" } },
	{ ENGINE_BLOCK_TOKENS, FOLD_MAX,
	    { .name = "trtllm_kv_cache_tokens_per_block" } },
	{ ENGINE_N_BLOCKS, FOLD_SUM, { .name = "trtllm_kv_cache_max_blocks" } },
	{ ENGINE_SERVED, FOLD_SUM, { .name = "trtllm_request_success_total" } },
};

const struct engine engine_trtllm_serve = {
	.name = "trtllm-serve",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};
