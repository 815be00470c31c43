/* A buffer of frames as a peer may send it: every walk ends, inside the frame. */
#include "fuzz.h"
#include "must.h"
#include "spop.h"

enum { MAX_FRAME = 65532 };

static void within(struct span s, const uint8_t *data, size_t size)
{
	const uint8_t *at = (const uint8_t *)s.ptr;

	must(s.len == 0 || (at >= data && at + s.len <= data + size));
}

static void walk_messages(struct reader r, const uint8_t *data, size_t size)
{
	struct spop_data value;
	struct span name;
	unsigned n_args;

	while (spop_next_message(&r, &name, &n_args)) {
		within(name, data, size);
		while (n_args-- > 0 && spop_read_arg(&r, &name, &value)) {
			within(name, data, size);
			within(value.bytes, data, size);
		}
	}
	must(r.bad || reader_left(&r) == 0);
}

static void walk_hello(struct reader r, const uint8_t *data, size_t size)
{
	struct spop_hello h;
	enum spop_status status = spop_read_hello(&r, &h);

	must(r.bad == (status == SPOP_STATUS_INVALID));
	if (status == SPOP_STATUS_NORMAL)
		must(h.max_frame_size >= SPOP_MIN_FRAME && h.versions.len >= 3);
	within(h.versions, data, size);
	within(h.capabilities, data, size);
	within(h.engine_id, data, size);
}

static void walk_disconnect(struct reader r, const uint8_t *data, size_t size)
{
	struct span message;
	uint32_t status;

	must(spop_read_disconnect(&r, &status, &message) == !r.bad);
	within(message, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0, used = 0;
	struct spop_frame f;

	for (; at < size; at += used) {
		struct span in = { (const char *)data + at, size - at };
		struct span cut = in;
		enum spop_result result = spop_decode(in, MAX_FRAME, &f, &used);

		if (result != SPOP_OK)
			break;
		must(used == spop_peek(in) && used <= in.len);
		must(f.payload.end == data + at + used);
		walk_messages(f.payload, data + at, used);
		walk_hello(f.payload, data + at, used);
		walk_disconnect(f.payload, data + at, used);
		cut.len = used - 1;
		must(spop_decode(cut, MAX_FRAME, &f, &used) == SPOP_MORE);
		must(spop_decode(in, MAX_FRAME, &f, &used) == SPOP_OK);
	}
	return 0;
}
