/*
 * token_ids.h - the token ids out of a tokenizer's answer
 *
 *	{"count": 3, "max_model_len": 8192, "tokens": [1, 2, 3]}	vLLM, /tokenize
 *	{"token_ids": [1, 2, 3], ...}		vLLM, /v1/chat/completions/render
 *	[{"token_ids": [1, 2, 3], ...}]		vLLM, /v1/completions/render
 *
 * The first member of either name counts. Source: vllm/entrypoints/serve/tokenize,
 * .../serve/render; llm-d-router, tokenizer/vllm_http.go. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "span.h"

/* Into `out`, `max` at most; how many, 0: there are none, or it is no such answer. */
uint32_t token_ids_read(struct span answer, uint32_t *out, uint32_t max);
