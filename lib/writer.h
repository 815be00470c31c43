/*
 * writer.h - put bytes into memory of a fixed size, never past its end
 *
 * The mirror of reader.h: the first write that does not fit sets `full`, writes
 * nothing, and every later write does nothing. Ask once, at the end. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

struct writer {
	uint8_t *start, *at, *end;
	bool full;
};

struct writer writer_over(void *bytes, size_t len);

/* Bytes written so far. */
static inline size_t writer_len(const struct writer *w)
{
	return (size_t)(w->at - w->start);
}

void writer_u8(struct writer *w, uint8_t value);
void writer_be32(struct writer *w, uint32_t value);

/* HAProxy's variable-length integer: doc/SPOE.txt section 3.1 (spec of 2.6). */
void writer_varint(struct writer *w, uint64_t value);
void writer_bytes(struct writer *w, const void *bytes, size_t len);

/* A varint length, then the bytes. */
void writer_string(struct writer *w, struct span s);

/* Overwrites four bytes written before, at `offset` from the start. */
void writer_patch_be32(struct writer *w, size_t offset, uint32_t value);

/* Forgets what was written from `len` on, and that it did not fit. */
void writer_rewind(struct writer *w, size_t len);
