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
 * client's own (prometheus_client, ProcessCollector); with several API server processes
 * it is not there, hence a counter too. vllm:lora_requests_info appears
 * with the first adapter; its value is the time, and old sets of labels stay. Both its
 * lists are the keys of one dictionary, so that adapters with requests that only wait
 * stand among the running ones (vllm/v1/metrics/stats.py, LoRARequestStates).
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
	{ ENGINE_SERVED, FOLD_SUM, { .name = "vllm:prompt_tokens_total" } },
	{ ENGINE_LORA, FOLD_MAX, { .name = "vllm:lora_requests_info" } },
};

const struct engine engine_vllm = {
	.name = "vllm",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
	.block_size_label = "block_size",
	.n_blocks_label = "num_gpu_blocks",
	.lora = { "max_lora", "running_lora_adapters", "waiting_lora_adapters" },
};
