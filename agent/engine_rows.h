/* engine_rows.h - the built-in engines; engines.c is the table */
#pragma once

#include "engine.h"

extern const struct engine engine_vllm;
extern const struct engine engine_sglang;
extern const struct engine engine_trtllm_serve;
extern const struct engine engine_triton_tensorrt_llm;
extern const struct engine engine_tgi;
