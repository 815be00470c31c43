/*
 * engine.h - a model server's metric names, and how its numbers are read
 *
 * One file of rows per engine under engines/; engines.c is the one table. Engines
 * made from configuration (struct engine_options) look the same. Names and their
 * sources: each engine's own file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "extras.h"
#include "lora.h"
#include "prom.h"

struct arena;
struct engine_options;
struct fault;

/* What a row's number means. */
enum engine_role {
	ENGINE_QUEUED,		/* requests waiting */
	ENGINE_RUNNING,		/* requests running */
	ENGINE_KV_USED,		/* share of KV cache in use, 0..1 */
	ENGINE_BLOCK_TOKENS,	/* tokens in one KV block */
	ENGINE_N_BLOCKS,	/* KV blocks of the engine */
	ENGINE_CACHE_INFO,	/* labels carry the two numbers above */
	ENGINE_START_TIME,	/* of the process, Unix seconds */
	ENGINE_SERVED,		/* any counter of it: falls when it restarts */
	ENGINE_AWAKE,		/* 0: asleep, its cache is gone; else awake */
	ENGINE_LORA,		/* labels carry adapters; the latest time counts */
	ENGINE_ATTRIBUTE,	/* of that name, for plugins; any finite number */
	ENGINE_ROLES,
};

/* How several series of one row become one number. */
enum engine_fold { FOLD_SUM, FOLD_MEAN, FOLD_MAX };

/*
 * Rows of the same role (and attribute) are alternatives, the names of other releases:
 * the first that the page has is taken, the others are not added to it.
 */
struct engine_row {
	enum engine_role role;
	enum engine_fold fold;
	struct prom_selector selector;
};

enum { ENGINE_ROWS_MAX = 24 };

/* ENGINE_CACHE_INFO is folded by max (block size) and sum (number of blocks). */
struct engine {
	const char *name;		/* as spelled in the configuration */
	const struct engine_row *rows;
	size_t n_rows;
	const char *block_size_label, *n_blocks_label;	/* ENGINE_CACHE_INFO */
	struct lora_labels lora;			/* ENGINE_LORA */
	const uint64_t *attributes;	/* by row: ENGINE_ATTRIBUTE's key */
};

/* What one page said. A role that no series carried has its has_ false. */
struct engine_reading {
	bool has_queued, has_running, has_kv_used;
	uint32_t queued, running;
	float kv_used;			/* clamped to 0..1 */
	uint32_t block_tokens, n_blocks;	/* 0: not told; n_blocks summed over
					   data-parallel engines */
	double start_time;		/* 0: not told */
	double served;			/* below 0: not told */
	bool is_asleep;
	struct endpoint_extras extras;	/* the scan's, until its next page */
};

/* NULL when there is none of that name. Built-in engines only. */
const struct engine *engine_find(const char *name);

/* Row i of the table of built-in engines; NULL past the end. */
const struct engine *engine_at(size_t i);

/* Made from the configuration; lives in `arena`. NULL with `why` filled. */
const struct engine *engine_make(const struct engine_options *options,
    struct arena *arena, struct fault *why);

/* One page being read. Reused from fetch to fetch; one thread. */
struct engine_scan;

struct engine_scan *engine_scan_new(const struct engine *engine);
void engine_scan_free(struct engine_scan *s);

void engine_scan_begin(struct engine_scan *s);
enum prom_result engine_scan_feed(struct engine_scan *s, const void *bytes,
    size_t len);

/*
 * PROM_OK with `out` filled when the page was well-formed; a page on which none of
 * the engine's rows for queue, running or KV was found is PROM_BAD: it is not a
 * metrics page of this engine.
 */
enum prom_result engine_scan_end(struct engine_scan *s,
    struct engine_reading *out);
