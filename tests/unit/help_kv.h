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

/* The events from here to the end are of that group of a hybrid cache. */
void help_kv_group(int64_t group, const char *spec_kind);
void help_kv_stored(const uint64_t *parent, const uint64_t *hashes, uint32_t n,
    uint32_t block_size, const char *medium);

/* Of those tokens; `lora` and `extra` (the same for each block) may be NULL. */
struct help_kv_text {
	const uint32_t *ids;
	const char *lora, *extra;
	int64_t lora_id;		/* 0: nil */
};

void help_kv_stored_text(const uint64_t *parent, const uint64_t *hashes,
    uint32_t n, uint32_t block_size, const char *medium,
    const struct help_kv_text *text);
void help_kv_removed(const uint64_t *hashes, uint32_t n, const char *medium);
void help_kv_cleared(void);

/* Valid until the next begin. */
struct span help_kv_end(void);
