/*
 * writer.c - bounded encoding
 */
#include "writer.h"

#include <string.h>

#include "must.h"

struct writer writer_over(void *bytes, size_t len)
{
	uint8_t *at = bytes;

	must(at != NULL || len == 0);
	return (struct writer){ .start = at, .at = at,
		.end = len != 0 ? at + len : at };
}

static uint8_t *writer_take(struct writer *w, size_t len)
{
	uint8_t *at = w->at;

	if (w->full || len > (size_t)(w->end - w->at)) {
		w->full = true;
		return NULL;
	}
	w->at += len;
	return at;
}

void writer_u8(struct writer *w, uint8_t value)
{
	uint8_t *at = writer_take(w, 1);

	if (at != NULL)
		*at = value;
}

static void put_be32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

void writer_be32(struct writer *w, uint32_t value)
{
	uint8_t *at = writer_take(w, 4);

	if (at != NULL)
		put_be32(at, value);
}

/*
 * Below 240 one byte. Else the first byte carries four bits and those that follow
 * seven each; 240 and 128 are subtracted on the way, which saves a byte now and
 * then and leaves exactly one spelling for each number.
 */
void writer_varint(struct writer *w, uint64_t value)
{
	uint8_t bytes[10];
	size_t n = 0;

	if (value < 240) {
		writer_u8(w, (uint8_t)value);
		return;
	}
	bytes[n++] = (uint8_t)(value | 0xf0);
	value = (value - 240) >> 4;
	while (value >= 128) {
		bytes[n++] = (uint8_t)(value | 0x80);
		value = (value - 128) >> 7;
	}
	bytes[n++] = (uint8_t)value;
	writer_bytes(w, bytes, n);
}

void writer_bytes(struct writer *w, const void *bytes, size_t len)
{
	uint8_t *at;

	if (len == 0)
		return;
	at = writer_take(w, len);
	if (at != NULL)
		memcpy(at, bytes, len);
}

void writer_string(struct writer *w, struct span s)
{
	writer_varint(w, s.len);
	writer_bytes(w, s.ptr, s.len);
}

void writer_patch_be32(struct writer *w, size_t offset, uint32_t value)
{
	must(offset + 4 <= writer_len(w));
	put_be32(w->start + offset, value);
}

void writer_rewind(struct writer *w, size_t len)
{
	must(len <= writer_len(w));
	w->at = w->start + len;
	w->full = false;
}
