/*
 * prefix_file.h - what endpoints hold, as bytes that outlive the process
 *
 *	head	"EPPPFX\n\0" version:u32 block_bytes:u32 written:i64
 *	section	name_len:u16 addr_len:u16 n_blocks:u32 started:i64 served:u64 name addr
 *		{ hash:u64 parent:u32 } * n_blocks
 *	...	as many sections as there are
 *	tail	xxh64:u64 of all before
 *
 * Numbers are little-endian. Hashes are those of prompts under their model and salt
 * (prefix_chain()), the same in each process; the secret by which an index spreads them
 * over its table is not in here and need not be. Whoever can read the file can test
 * guesses of prompts against it: keep it as private as the agent's memory. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "prefix.h"
#include "reader.h"
#include "span.h"

struct buf;

struct prefix_file_head {
	uint32_t block_bytes;	/* one block of a prompt */
	int64_t written_ms;	/* clock_unix_ms() */
};

struct prefix_file_section {
	struct span name, addr;	/* of the endpoint; 65535 bytes each at most */
	int64_t started_ms;	/* its engine's process, Unix time; 0: not known */
	uint64_t served;	/* a counter of that process; 0: not known */
	uint32_t n_blocks;
	const void *blocks;	/* as they stand: prefix_file_block() */
};

/* Ask buf_failed() at the end. */
void prefix_file_begin(struct buf *out, const struct prefix_file_head *head);
void prefix_file_section(struct buf *out, const struct prefix_file_section *s,
    const struct prefix_block *blocks);
void prefix_file_end(struct buf *out);

/*
 * Is it whole, ours and of this version? Then `*sections` is to be walked with
 * prefix_file_next(). NULL; or what is wrong.
 */
const char *prefix_file_open(struct span bytes, struct prefix_file_head *head,
    struct reader *sections);

/* False at the end. */
bool prefix_file_next(struct reader *sections, struct prefix_file_section *out);
struct prefix_block prefix_file_block(const struct prefix_file_section *s,
    uint32_t i);
