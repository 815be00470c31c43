/*
 * The first byte is a width to cut at. A stream must fall into the same lines in whole
 * as in pieces, each of them no longer than promised.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "hash.h"
#include "lines.h"
#include "must.h"

struct heard {
	uint64_t lines;		/* hashed, in their order */
	size_t n_lines, n_too_long, bytes;
};

static struct heard cut(const char *text, size_t size, size_t step)
{
	struct lines c;
	struct heard heard = { 0 };
	struct span line;

	lines_init(&c);
	for (size_t at = 0; at < size; at += step) {
		size_t len = size - at < step ? size - at : step;
		char *exact = malloc(len);	/* so that ASan sees the edge */
		struct span in = { exact, len };
		enum lines_result result;

		memcpy(exact, text + at, len);
		while ((result = lines_next(&c, &in, &line)) != LINES_MORE) {
			if (result == LINES_TOO_LONG) {
				heard.n_too_long++;
				continue;
			}
			must(line.len <= LINES_MAX_BYTES);
			heard.lines = hash_bytes(line.ptr, line.len,
			    heard.lines + line.len + 1);
			heard.bytes += line.len;
			heard.n_lines++;
		}
		must(in.len == 0);
		free(exact);
	}
	must(c.partial.len <= LINES_MAX_BYTES);
	lines_fini(&c);
	return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct heard whole, pieces;

	if (size == 0)
		return 0;
	size--;
	whole = cut(text, size, size + 1);
	pieces = cut(text, size, 1 + data[0] * (size_t)data[0] / 8);
	must(whole.lines == pieces.lines && whole.n_lines == pieces.n_lines);
	must(whole.n_too_long == pieces.n_too_long);
	must(whole.bytes + whole.n_lines <= size);
	return 0;
}
