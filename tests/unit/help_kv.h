/*
 * help_kv.h - batches of KV events as an engine sends them, written with msgpack-c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

/* As arrays, or as maps: later releases. */
void help_kv_begin(bool as_maps);
void help_kv_stored(const uint64_t *parent, const uint64_t *hashes, uint32_t n,
    uint32_t block_size, const char *medium);
void help_kv_removed(const uint64_t *hashes, uint32_t n, const char *medium);
void help_kv_cleared(void);

/* Valid until the next begin. */
struct span help_kv_end(void);
