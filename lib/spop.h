/*
 * spop.h - HAProxy's offload protocol, version 2.0: bytes to frames and back
 *
 * Format: HAProxy doc/SPOE.txt section 3 ("SPOP specification", 3.1 data types to
 * 3.3 frames), the same from 2.6 to 3.4. Pure: no I/O. Every span in a decoded
 * frame borrows from the caller's buffer and dies with it. Encoders write through a
 * bounded writer and never truncate quietly: look at writer.full. Both directions
 * are here, so that tests and benches can play HAProxy. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reader.h"
#include "span.h"
#include "writer.h"

#define SPOP_VERSION "2.0"

enum {
	/* SPOE.txt 3.2.1: "max-frame-size ... minimum 256". */
	SPOP_MIN_FRAME = 256,
	/* type, flags, two one-byte varints: nothing shorter is a frame. */
	SPOP_MIN_LEN = 7,
	SPOP_LEN_BYTES = 4,
};

enum spop_frame_type {
	SPOP_UNSET = 0,			/* continues a fragmented NOTIFY */
	SPOP_HAPROXY_HELLO = 1,
	SPOP_HAPROXY_DISCONNECT = 2,
	SPOP_NOTIFY = 3,
	SPOP_AGENT_HELLO = 101,
	SPOP_AGENT_DISCONNECT = 102,
	SPOP_ACK = 103,
};

enum { SPOP_FLAG_FIN = 1, SPOP_FLAG_ABORT = 2 };

/* SPOE.txt 3.5 "Errors and timeouts": status-code of the DISCONNECT frames. */
enum spop_status {
	SPOP_STATUS_NORMAL = 0,
	SPOP_STATUS_IO = 1,
	SPOP_STATUS_TIMEOUT = 2,
	SPOP_STATUS_TOO_BIG = 3,
	SPOP_STATUS_INVALID = 4,
	SPOP_STATUS_NO_VERSION = 5,
	SPOP_STATUS_NO_FRAME_SIZE = 6,
	SPOP_STATUS_NO_CAPABILITIES = 7,
	SPOP_STATUS_BAD_VERSION = 8,
	SPOP_STATUS_BAD_FRAME_SIZE = 9,
	SPOP_STATUS_NO_FRAGMENTS = 10,
	SPOP_STATUS_INTERLACED = 11,
	SPOP_STATUS_NO_FRAME_ID = 12,
	SPOP_STATUS_RESOURCE = 13,
	SPOP_STATUS_UNKNOWN = 99,
};

const char *spop_status_text(enum spop_status status);

enum spop_data_type {
	SPOP_NULL, SPOP_BOOL, SPOP_INT32, SPOP_UINT32, SPOP_INT64, SPOP_UINT64,
	SPOP_IPV4, SPOP_IPV6, SPOP_STRING, SPOP_BINARY,
};

/* One typed value. `number` holds a bool as 0/1 and a signed value's bits. */
struct spop_data {
	enum spop_data_type type;
	uint64_t number;
	struct span bytes;	/* IPV4 (4), IPV6 (16), STRING, BINARY */
};

enum spop_scope { SPOP_PROC, SPOP_SESS, SPOP_TXN, SPOP_REQ, SPOP_RES };

enum spop_result { SPOP_OK = 0, SPOP_MORE, SPOP_BAD, SPOP_TOO_BIG };

struct spop_frame {
	uint8_t type;		/* may be none of enum spop_frame_type */
	uint32_t flags;
	uint64_t stream_id, frame_id;
	struct reader payload;
};

/*
 * Looks at the front of `in`; on SPOP_OK the frame took `*used` bytes of it.
 * SPOP_TOO_BIG as soon as the length says so, before any of the frame is there.
 */
enum spop_result spop_decode(struct span in, uint32_t max_frame,
    struct spop_frame *frame, size_t *used);

/* Length of the whole frame at the front of `in`, prefix included; 0: too few bytes. */
size_t spop_peek(struct span in);

/* One typed value. A type we do not know sets r->bad. */
struct spop_data spop_read_data(struct reader *r);

/*
 * The next message of a NOTIFY: false at the end and when the payload is bad (ask
 * payload->bad). Its `n_args` arguments must then be read with spop_read_arg().
 */
bool spop_next_message(struct reader *payload, struct span *name,
    unsigned *n_args);
bool spop_read_arg(struct reader *payload, struct span *name,
    struct spop_data *value);

/* HAPROXY-HELLO and AGENT-HELLO have the same keys but for the version's name. */
struct spop_hello {
	struct span versions;		/* "2.0", or a list of them */
	struct span capabilities;
	struct span engine_id;
	uint32_t max_frame_size;
	bool has_versions, has_capabilities, has_frame_size;
	bool healthcheck;
};

/* SPOP_STATUS_NORMAL, or why the hello is not acceptable to a 2.0 agent. */
enum spop_status spop_read_hello(struct reader *payload,
    struct spop_hello *hello);

/* Of either DISCONNECT frame. False when the payload is malformed. */
bool spop_read_disconnect(struct reader *payload, uint32_t *status,
    struct span *message);

/* A frame: begin, payload, end. The token is the frame's offset in the writer. */
size_t spop_begin(struct writer *w, enum spop_frame_type type,
    uint64_t stream_id, uint64_t frame_id);
void spop_end(struct writer *w, size_t begun);

void spop_write_data(struct writer *w, const struct spop_data *value);
void spop_write_arg(struct writer *w, struct span name,
    const struct spop_data *value);
void spop_write_message(struct writer *w, struct span name, unsigned n_args);

/* Actions of an ACK, SPOE.txt 3.4. */
void spop_set_var(struct writer *w, enum spop_scope scope, struct span name,
    const struct spop_data *value);
void spop_unset_var(struct writer *w, enum spop_scope scope, struct span name);

/* Whole frames. */
void spop_write_agent_hello(struct writer *w, uint32_t max_frame_size,
    struct span capabilities);
void spop_write_disconnect(struct writer *w, enum spop_frame_type type,
    enum spop_status status);

/* Short names for the values that answers are made of. */
static inline struct spop_data spop_string(struct span s)
{
	return (struct spop_data){ .type = SPOP_STRING, .bytes = s };
}

static inline struct spop_data spop_binary(struct span s)
{
	return (struct spop_data){ .type = SPOP_BINARY, .bytes = s };
}

static inline struct spop_data spop_int(int64_t v)
{
	return (struct spop_data){ .type = SPOP_INT64, .number = (uint64_t)v };
}

static inline struct spop_data spop_uint32(uint32_t v)
{
	return (struct spop_data){ .type = SPOP_UINT32, .number = v };
}

static inline struct spop_data spop_bool(bool v)
{
	return (struct spop_data){ .type = SPOP_BOOL, .number = v };
}
