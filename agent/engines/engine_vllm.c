/*
 * engine_vllm.c - vLLM
 *
 * Source: vllm/v1/metrics/loggers.py; docs/usage/metrics.md. The KV gauge is
 * vllm:kv_cache_usage_perc since 0.10 and was vllm:gpu_cache_usage_perc before;
 * releases in between show both. With internal data parallelism each engine has
 * its own series, engine="0", engine="1", ..., and so has each model name.
 * num_gpu_blocks is "None" until the cache has been profiled.
 */
#include "engine_rows.h"

static const struct engine_row rows[] = {
	{ ENGINE_QUEUED, FOLD_SUM, { .name = "vllm:num_requests_waiting" } },
	{ ENGINE_RUNNING, FOLD_SUM, { .name = "vllm:num_requests_running" } },
	{ ENGINE_KV_USED, FOLD_MEAN, { .name = "vllm:kv_cache_usage_perc" } },
	{ ENGINE_KV_USED, FOLD_MEAN, { .name = "vllm:gpu_cache_usage_perc" } },
	{ ENGINE_CACHE_INFO, FOLD_SUM, { .name = "vllm:cache_config_info" } },
};

const struct engine engine_vllm = {
	.name = "vllm",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.block_size_label = "block_size",
	.n_blocks_label = "num_gpu_blocks",
};
