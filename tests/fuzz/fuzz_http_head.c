/*
 * The first byte is a width to cut at. A head must read the same in whole and in
 * growing prefixes, and what follows it the same in any cut when chunked.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "http_head.h"
#include "must.h"

/* In a copy of that very size, so that ASan sees the edge. */
static enum http_head_result parse(struct http_head *h, const char *text,
    size_t len)
{
	char *exact = malloc(len + 1);
	enum http_head_result result;

	memcpy(exact + 1, text, len);
	result = http_head_parse(h, exact + 1, len);
	free(exact);
	return result;
}

static enum http_head_result parse_growing(struct http_head *h,
    const char *text, size_t len, size_t step)
{
	enum http_head_result result = HTTP_HEAD_MORE;

	for (size_t n = 0; n < len && result == HTTP_HEAD_MORE;) {
		n += len - n < step ? len - n : step;
		result = parse(h, text, n);
	}
	return result;
}

/* The body's hash does not depend on the cut: bytes go in one by one. */
static enum http_chunked_result decode(const char *text, size_t len,
    size_t step, uint64_t *body, size_t *rest)
{
	struct http_chunked c = { .state = 0 };
	enum http_chunked_result result = HTTP_CHUNKED_MORE;

	*body = *rest = 0;
	for (size_t at = 0; at < len && result == HTTP_CHUNKED_MORE; at += step) {
		struct span data, piece = { text + at,
			len - at < step ? len - at : step };

		while ((result = http_chunked_next(&c, &piece, &data)) ==
		    HTTP_CHUNKED_DATA)
			for (size_t i = 0; i < data.len; i++)
				*body = *body * 31 + (uint8_t)data.ptr[i];
		*rest = (size_t)(piece.ptr - text);
	}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct http_head whole = { .status = 0 }, grown = whole;
	uint64_t bodies[2];
	size_t rests[2], step;

	if (size == 0)
		return 0;
	size--;
	step = 1 + data[0];
	must(parse(&whole, text, size) == parse_growing(&grown, text, size, step));
	must(memcmp(&whole, &grown, sizeof(whole)) == 0);
	must(whole.head_bytes <= size);
	text += whole.head_bytes;
	size -= whole.head_bytes;
	must(decode(text, size, size + 1, &bodies[0], &rests[0]) ==
	    decode(text, size, step, &bodies[1], &rests[1]));
	must(bodies[0] == bodies[1] && rests[0] == rests[1]);
	return 0;
}
