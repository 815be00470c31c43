/*
 * engine_triton_tensorrt_llm.c - Triton with the TensorRT-LLM backend
 *
 * Source: NVIDIA/TensorRT-LLM, triton_backend/inflight_batcher_llm/src/
 * custom_metrics_reporter; the counter: triton-inference-server/server,
 * docs/user_guide/metrics.md. All numbers but the counter are series of two families,
 * told apart by a label. Older releases, of triton-inference-server/
 * tensorrtllm_backend, have neither "waiting" nor "fraction": queue and KV cache are
 * untold then. The counter is by model, of those of an ensemble too, and goes with a
 * model that is unloaded: its cache does as well. Metrics have a port of their own, 8002.
 */
#include "engine_rows.h"

#define REQUEST(type) \
	{ .name = "nv_trt_llm_request_metrics", \
	  .matchers = { { "request_type", type } }, .n_matchers = 1 }
#define BLOCK(type) \
	{ .name = "nv_trt_llm_kv_cache_block_metrics", \
	  .matchers = { { "kv_cache_block_type", type } }, .n_matchers = 1 }

static const struct engine_row rows[] = {
	{ ENGINE_QUEUED, FOLD_SUM, REQUEST("waiting") },
	{ ENGINE_RUNNING, FOLD_SUM, REQUEST("scheduled") },
	{ ENGINE_KV_USED, FOLD_MEAN, BLOCK("fraction") },
	{ ENGINE_BLOCK_TOKENS, FOLD_MAX, BLOCK("tokens_per") },
	{ ENGINE_N_BLOCKS, FOLD_SUM, BLOCK("max") },
	{ ENGINE_SERVED, FOLD_SUM, { .name = "nv_inference_request_success" } },
};

const struct engine engine_triton_tensorrt_llm = {
	.name = "triton-tensorrt-llm",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};
