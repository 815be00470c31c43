/*
 * buf.h - a byte buffer that grows, up to the ceiling it was born with
 *
 * The first failure (ceiling passed, or no memory) sticks: later appends do
 * nothing and buf_failed() tells. So a caller appends straight down the page and
 * asks once. Owned by its holder; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "span.h"

struct buf {
	char *data;
	size_t len, cap, max_bytes;
	bool failed;
};

/* No allocation happens before the first byte. */
void buf_init(struct buf *b, size_t max_bytes);
void buf_fini(struct buf *b);

/* For what does not fit the memory there is: buf_put() is all a caller needs. */
void buf_put_slow(struct buf *b, const void *bytes, size_t len);

static inline void buf_put(struct buf *b, const void *bytes, size_t len)
{
	if (b->failed || len > b->cap - b->len) {
		buf_put_slow(b, bytes, len);
	} else if (len > 0) {
		memcpy(b->data + b->len, bytes, len);
		b->len += len;
	}
}

static inline void buf_puts(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops the first `len` bytes; keeps the memory. */
void buf_consume(struct buf *b, size_t len);

/* Empties it and forgets a failure; keeps the memory. */
void buf_clear(struct buf *b);

static inline bool buf_failed(const struct buf *b)
{
	return b->failed;
}

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){ b->data, b->len };
}
