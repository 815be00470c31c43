/*
 * adapter_load.h - what loading a LoRA adapter adds to an expected wait
 *
 * Engines list adapters that run, not those that are loaded and idle; so where each
 * was sent last is remembered (live.h, pace_adapter()), as many as the engine says fit.
 * Worker's thread.
 */
#pragma once

#include <stdint.h>

struct choice;

/*
 * Adds to ms[i] of the candidates whose engine tells of adapters, but not that it has
 * the one asked for: `once_ms` where it is not remembered either; twice that where
 * another must go for it, which will be loaded again.
 */
void adapter_load_add(const struct choice *c, float once_ms, float *ms);

/* The request went to candidate `winner`. */
void adapter_load_picked(const struct choice *c, uint32_t winner);
