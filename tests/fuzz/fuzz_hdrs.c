/* A header block: every walk ends inside it, and no cut of a good one is good. */
#include "fuzz.h"
#include "hdrs.h"
#include "must.h"

/* Bytes walked to a good end; 0 when the block is bad. */
static size_t walk(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);
	struct span name, value;

	while (hdrs_next(&r, &name, &value)) {
		must(name.len + value.len > 0);
		must(name.len + value.len <= size);
		must((const uint8_t *)name.ptr >= data);
		must((const uint8_t *)value.ptr + value.len <= data + size);
	}
	return r.bad ? 0 : size - reader_left(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t good = walk(data, size);

	if (good != 0)
		must(walk(data, good) == good && walk(data, good - 1) == 0 &&
		    walk(data, good / 2) == 0);
	return 0;
}
