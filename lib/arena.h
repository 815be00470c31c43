/*
 * arena.h - many allocations, one free; a ceiling from birth
 *
 * Memory comes in blocks and goes back all at once. arena_reset() keeps one block
 * as large as all that was needed, so a request path that resets between requests
 * does not call malloc once it is warm. One thread at a time.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct arena;

/* `first_bytes` is allocated now; NULL when there is no memory. */
struct arena *arena_new(size_t first_bytes, size_t max_bytes);
void arena_free(struct arena *a);

/* Everything that was allocated is gone; the memory stays, as one block. */
void arena_reset(struct arena *a);

/* 16-byte aligned, not zeroed. NULL past the ceiling or without memory. */
void *arena_alloc(struct arena *a, size_t bytes);

/* The same, zeroed. */
void *arena_zalloc(struct arena *a, size_t bytes);

/* A NUL-terminated copy. */
char *arena_copy(struct arena *a, const char *bytes, size_t len);

/* A text of any length, as vprintf writes it. */
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* Bytes held, used or not; block headers (32 bytes each) are not counted. */
size_t arena_bytes(const struct arena *a);
