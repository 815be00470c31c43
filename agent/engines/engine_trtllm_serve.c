/*
 * engine_trtllm_serve.c - TensorRT-LLM's own server, trtllm-serve
 *
 * Source: tensorrt_llm/metrics/collector.py (served at /prometheus/metrics,
 * needs return_perf_metrics: true); the names as llm-d's router takes them,
 * pkg/epp/framework/plugins/datalayer/extractor/metrics/factories.go.
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
