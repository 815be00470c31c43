/* What reads as typed data or as a varint, written again, reads the same. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "must.h"
#include "spop.h"

/* A varint has one spelling: the very bytes come back. */
static void round_trip_varint(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);
	uint64_t value = reader_varint(&r);
	uint8_t out[10];
	struct writer w = writer_over(out, sizeof(out));

	if (r.bad)
		return;
	writer_varint(&w, value);
	must(!w.full && writer_len(&w) == size - reader_left(&r));
	must(memcmp(out, data, writer_len(&w)) == 0);
}

static void same(const struct spop_data *a, const struct spop_data *b)
{
	must(a->type == b->type && a->number == b->number);
	must(span_is(a->bytes, b->bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size), again;
	uint8_t *out = malloc(size + 1);
	struct writer w = writer_over(out, size);

	round_trip_varint(data, size);
	while (reader_left(&r) > 0) {
		const uint8_t *from = r.at;
		size_t begun = writer_len(&w);
		struct spop_data d = spop_read_data(&r), e;

		if (r.bad)
			break;
		spop_write_data(&w, &d);	/* as long as what was read */
		must(!w.full);
		must(writer_len(&w) - begun == (size_t)(r.at - from));
		must(memcmp(out + begun + 1, from + 1,
			writer_len(&w) - begun - 1) == 0);
		again = reader_over(out + begun, writer_len(&w) - begun);
		e = spop_read_data(&again);
		must(!again.bad && reader_left(&again) == 0);
		same(&d, &e);
	}
	free(out);
	return 0;
}
