/*
 * engine_vllm.c - vLLM
 *
 * Source: vllm/v1/metrics/loggers.py; docs/usage/metrics.md. The KV gauge is
 * vllm:kv_cache_usage_perc since 0.10 and was vllm:gpu_cache_usage_perc before;
 * releases in between show both. With internal data parallelism each engine has
 * its own series, engine="0", engine="1", ..., and so has each model name.
 * num_gpu_blocks is "None" until the cache has been profiled. Of the series of
 * vllm:engine_sleep_state, awake is 0 in both levels of sleep, and both discard the
 * KV cache (docs/features/sleep_mode.md). process_start_time_seconds is the Python
 * client's own (prometheus_client, ProcessCollector).
 */
#include "engine_rows.h"

static const struct engine_row rows[] = {
	{ ENGINE_QUEUED, FOLD_SUM, { .name = "vllm:num_requests_waiting" } },
	{ ENGINE_RUNNING, FOLD_SUM, { .name = "vllm:num_requests_running" } },
	{ ENGINE_KV_USED, FOLD_MEAN, { .name = "vllm:kv_cache_usage_perc" } },
	{ ENGINE_KV_USED, FOLD_MEAN, { .name = "vllm:gpu_cache_usage_perc" } },
	{ ENGINE_CACHE_INFO, FOLD_SUM, { .name = "vllm:cache_config_info" } },
	{ ENGINE_AWAKE, FOLD_MAX, { .name = "vllm:engine_sleep_state",
	    .matchers = { { "sleep_state", "awake" } }, .n_matchers = 1 } },
	{ ENGINE_START_TIME, FOLD_MAX,
	    { .name = "process_start_time_seconds" } },
};

const struct engine engine_vllm = {
	.name = "vllm",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.block_size_label = "block_size",
	.n_blocks_label = "num_gpu_blocks",
};
