/*
 * spop.c - frames, typed values and actions
 */
#include "spop.h"

#include "must.h"

enum {
	FLAG_BOOL_TRUE = 0x10,	/* high nibble of a BOOL's type byte */
	ACTION_SET_VAR = 1,
	ACTION_UNSET_VAR = 2,
	SET_VAR_ARGS = 3,
	UNSET_VAR_ARGS = 2,
};

static const struct {
	enum spop_status status;
	const char *text;
} status_texts[] = {	/* SPOE.txt 3.5 */
	{ SPOP_STATUS_NORMAL, "normal" },
	{ SPOP_STATUS_IO, "I/O error" },
	{ SPOP_STATUS_TIMEOUT, "a timeout occurred" },
	{ SPOP_STATUS_TOO_BIG, "frame is too big" },
	{ SPOP_STATUS_INVALID, "invalid frame received" },
	{ SPOP_STATUS_NO_VERSION, "version value not found" },
	{ SPOP_STATUS_NO_FRAME_SIZE, "max-frame-size value not found" },
	{ SPOP_STATUS_NO_CAPABILITIES, "capabilities value not found" },
	{ SPOP_STATUS_BAD_VERSION, "unsupported version" },
	{ SPOP_STATUS_BAD_FRAME_SIZE, "max-frame-size too big or too small" },
	{ SPOP_STATUS_NO_FRAGMENTS, "payload fragmentation is not supported" },
	{ SPOP_STATUS_INTERLACED, "invalid interlaced frames" },
	{ SPOP_STATUS_NO_FRAME_ID, "frame-id not found" },
	{ SPOP_STATUS_RESOURCE, "resource allocation error" },
	{ SPOP_STATUS_UNKNOWN, "an unknown error occurred" },
};

const char *spop_status_text(enum spop_status status)
{
	for (size_t i = 0; i < sizeof(status_texts) / sizeof(*status_texts); i++)
		if (status_texts[i].status == status)
			return status_texts[i].text;
	return "unknown status code";
}

size_t spop_peek(struct span in)
{
	struct reader r = reader_over(in.ptr, in.len);
	uint32_t len = reader_be32(&r);

	return r.bad ? 0 : (size_t)len + SPOP_LEN_BYTES;
}

enum spop_result spop_decode(struct span in, uint32_t max_frame,
    struct spop_frame *frame, size_t *used)
{
	struct reader r = reader_over(in.ptr, in.len);
	uint32_t len = reader_be32(&r);

	if (r.bad)
		return SPOP_MORE;
	if (len > max_frame)
		return SPOP_TOO_BIG;
	if (len < SPOP_MIN_LEN)
		return SPOP_BAD;
	if (reader_left(&r) < len)
		return SPOP_MORE;

	r.end = r.at + len;
	frame->type = reader_u8(&r);
	frame->flags = reader_be32(&r);
	frame->stream_id = reader_varint(&r);
	frame->frame_id = reader_varint(&r);
	frame->payload = r;
	*used = (size_t)len + SPOP_LEN_BYTES;
	return r.bad ? SPOP_BAD : SPOP_OK;
}

struct spop_data spop_read_data(struct reader *r)
{
	uint8_t head = reader_u8(r);
	struct spop_data d = { .type = head & 0x0f };

	switch (d.type) {
	case SPOP_NULL:
		break;
	case SPOP_BOOL:
		d.number = (head & FLAG_BOOL_TRUE) != 0;
		break;
	case SPOP_INT32:
	case SPOP_UINT32:
	case SPOP_INT64:
	case SPOP_UINT64:
		d.number = reader_varint(r);
		break;
	case SPOP_IPV4:
		d.bytes = reader_bytes(r, 4);
		break;
	case SPOP_IPV6:
		d.bytes = reader_bytes(r, 16);
		break;
	case SPOP_STRING:
	case SPOP_BINARY:
		d.bytes = reader_string(r);
		break;
	default:
		r->bad = true;	/* its length cannot be known */
	}
	return d;
}

bool spop_next_message(struct reader *payload, struct span *name,
    unsigned *n_args)
{
	if (reader_left(payload) == 0)
		return false;
	*name = reader_string(payload);
	*n_args = reader_u8(payload);
	return !payload->bad;
}

bool spop_read_arg(struct reader *payload, struct span *name,
    struct spop_data *value)
{
	*name = reader_string(payload);
	*value = spop_read_data(payload);
	return !payload->bad;
}

/* "2.0", or one of a list: SPOE.txt 3.2.4 says "a list separated by commas". */
static bool has_our_version(struct span list)
{
	const char *at = list.ptr, *end = at + list.len;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma != NULL ? comma : end;
		const char *next = comma != NULL ? comma + 1 : end;

		while (at < stop && *at == ' ')
			at++;
		while (stop > at && stop[-1] == ' ')
			stop--;
		if (span_is_text((struct span){ at, (size_t)(stop - at) },
			SPOP_VERSION))
			return true;
		at = next;
	}
	return false;
}

static bool is_number(const struct spop_data *value)
{
	return value->type >= SPOP_INT32 && value->type <= SPOP_UINT64;
}

static uint32_t saturated(uint64_t number)
{
	return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

static void hello_key(struct spop_hello *h, struct span key,
    const struct spop_data *value)
{
	if (span_is_text(key, "supported-versions") ||
	    span_is_text(key, "version")) {
		h->has_versions = value->type == SPOP_STRING;
		h->versions = value->bytes;
	} else if (span_is_text(key, "max-frame-size")) {
		h->has_frame_size = is_number(value);
		h->max_frame_size = saturated(value->number);
	} else if (span_is_text(key, "capabilities")) {
		h->has_capabilities = value->type == SPOP_STRING;
		h->capabilities = value->bytes;
	} else if (span_is_text(key, "engine-id")) {
		h->engine_id = value->bytes;
	} else if (span_is_text(key, "healthcheck")) {
		h->healthcheck = value->type == SPOP_BOOL && value->number != 0;
	}
}

enum spop_status spop_read_hello(struct reader *payload,
    struct spop_hello *hello)
{
	struct span key;
	struct spop_data value;

	*hello = (struct spop_hello){ 0 };
	while (reader_left(payload) > 0 && spop_read_arg(payload, &key, &value))
		hello_key(hello, key, &value);
	if (payload->bad)
		return SPOP_STATUS_INVALID;
	if (!hello->has_versions)
		return SPOP_STATUS_NO_VERSION;
	if (!has_our_version(hello->versions))
		return SPOP_STATUS_BAD_VERSION;
	if (!hello->has_frame_size)
		return SPOP_STATUS_NO_FRAME_SIZE;
	if (hello->max_frame_size < SPOP_MIN_FRAME)
		return SPOP_STATUS_BAD_FRAME_SIZE;
	if (!hello->has_capabilities)
		return SPOP_STATUS_NO_CAPABILITIES;
	return SPOP_STATUS_NORMAL;
}

bool spop_read_disconnect(struct reader *payload, uint32_t *status,
    struct span *message)
{
	struct span key;
	struct spop_data value;

	*status = SPOP_STATUS_UNKNOWN;
	*message = (struct span){ 0 };
	while (reader_left(payload) > 0 && spop_read_arg(payload, &key, &value)) {
		if (span_is_text(key, "status-code") && is_number(&value))
			*status = saturated(value.number);
		else if (span_is_text(key, "message"))
			*message = value.bytes;
	}
	return !payload->bad;
}

size_t spop_begin(struct writer *w, enum spop_frame_type type,
    uint64_t stream_id, uint64_t frame_id)
{
	size_t begun = writer_len(w);

	writer_be32(w, 0);
	writer_u8(w, (uint8_t)type);
	writer_be32(w, SPOP_FLAG_FIN);
	writer_varint(w, stream_id);
	writer_varint(w, frame_id);
	return begun;
}

void spop_end(struct writer *w, size_t begun)
{
	if (!w->full)
		writer_patch_be32(w, begun,
		    (uint32_t)(writer_len(w) - begun - SPOP_LEN_BYTES));
}

void spop_write_data(struct writer *w, const struct spop_data *value)
{
	switch (value->type) {
	case SPOP_NULL:
		writer_u8(w, SPOP_NULL);
		break;
	case SPOP_BOOL:
		writer_u8(w, value->number != 0 ?
		    SPOP_BOOL | FLAG_BOOL_TRUE : SPOP_BOOL);
		break;
	case SPOP_INT32:
	case SPOP_UINT32:
	case SPOP_INT64:
	case SPOP_UINT64:
		writer_u8(w, (uint8_t)value->type);
		writer_varint(w, value->number);
		break;
	case SPOP_IPV4:
	case SPOP_IPV6:
		writer_u8(w, (uint8_t)value->type);
		writer_bytes(w, value->bytes.ptr, value->bytes.len);
		break;
	case SPOP_STRING:
	case SPOP_BINARY:
		writer_u8(w, (uint8_t)value->type);
		writer_string(w, value->bytes);
		break;
	}
}

void spop_write_arg(struct writer *w, struct span name,
    const struct spop_data *value)
{
	writer_string(w, name);
	spop_write_data(w, value);
}

void spop_write_message(struct writer *w, struct span name, unsigned n_args)
{
	must(n_args <= UINT8_MAX);
	writer_string(w, name);
	writer_u8(w, (uint8_t)n_args);
}

void spop_set_var(struct writer *w, enum spop_scope scope, struct span name,
    const struct spop_data *value)
{
	writer_u8(w, ACTION_SET_VAR);
	writer_u8(w, SET_VAR_ARGS);
	writer_u8(w, (uint8_t)scope);
	spop_write_arg(w, name, value);
}

void spop_unset_var(struct writer *w, enum spop_scope scope, struct span name)
{
	writer_u8(w, ACTION_UNSET_VAR);
	writer_u8(w, UNSET_VAR_ARGS);
	writer_u8(w, (uint8_t)scope);
	writer_string(w, name);
}

static void write_string_arg(struct writer *w, const char *key, struct span s)
{
	struct spop_data value = spop_string(s);

	spop_write_arg(w, span_of(key), &value);
}

static void write_uint_arg(struct writer *w, const char *key, uint32_t n)
{
	struct spop_data value = spop_uint32(n);

	spop_write_arg(w, span_of(key), &value);
}

void spop_write_agent_hello(struct writer *w, uint32_t max_frame_size,
    struct span capabilities)
{
	size_t begun = spop_begin(w, SPOP_AGENT_HELLO, 0, 0);

	write_string_arg(w, "version", span_of(SPOP_VERSION));
	write_uint_arg(w, "max-frame-size", max_frame_size);
	write_string_arg(w, "capabilities", capabilities);
	spop_end(w, begun);
}

void spop_write_disconnect(struct writer *w, enum spop_frame_type type,
    enum spop_status status)
{
	size_t begun = spop_begin(w, type, 0, 0);

	write_uint_arg(w, "status-code", (uint32_t)status);
	write_string_arg(w, "message", span_of(spop_status_text(status)));
	spop_end(w, begun);
}
