/*
 * engine_tgi.c - Hugging Face's Text Generation Inference
 *
 * Source: huggingface.co/docs/text-generation-inference, reference/metrics. TGI
 * tells nothing about its KV cache.
 */
#include "engine_rows.h"

static const struct engine_row rows[] = {
	{ ENGINE_QUEUED, FOLD_SUM, { .name = "tgi_queue_size" } },
	{ ENGINE_RUNNING, FOLD_SUM, { .name = "tgi_batch_current_size" } },
	{ ENGINE_SERVED, FOLD_SUM, { .name = "tgi_request_count" } },
};

const struct engine engine_tgi = {
	.name = "tgi",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};
