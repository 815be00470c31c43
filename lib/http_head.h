/*
 * http_head.h - the bytes of an HTTP/1.1 response, without a socket
 *
 * Format: RFC 9112. Strict where leniency would let two readers see two
 * different messages: a length that is not certain is HTTP_HEAD_BAD. Pure
 * functions over borrowed bytes; nothing allocates. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

enum { HTTP_HEAD_MAX = 16384 };

enum http_head_result {
	HTTP_HEAD_OK = 0,
	HTTP_HEAD_MORE,		/* the head does not end within these bytes */
	HTTP_HEAD_BAD,		/* not the start of an HTTP/1.x response */
	HTTP_HEAD_TOO_BIG,	/* no end within HTTP_HEAD_MAX */
};

/* How the end of the body is known. */
enum http_framing {
	HTTP_FRAMING_LENGTH,	/* body_bytes, which may be 0 */
	HTTP_FRAMING_CHUNKED,
	HTTP_FRAMING_CLOSE,	/* by the connection's end */
};

struct http_head {
	int status;		/* 200..999: 1xx are skipped */
	bool keep_alive;	/* the connection may be used again */
	enum http_framing framing;
	uint64_t body_bytes;
	size_t head_bytes;	/* where the body starts */
};

/*
 * Parses the response to a GET from its first byte on. To be called again with
 * all bytes when more have come; `out` is filled at HTTP_HEAD_OK only.
 */
enum http_head_result http_head_parse(struct http_head *out,
    const char *bytes, size_t len);

enum http_chunked_result {
	HTTP_CHUNKED_DATA,	/* `data` is a piece of the body */
	HTTP_CHUNKED_MORE,	/* all bytes are eaten */
	HTTP_CHUNKED_END,	/* the body and its trailers are over */
	HTTP_CHUNKED_BAD,
};

/* Zero-initialised before a body's first byte. */
struct http_chunked {
	uint64_t left;		/* of the chunk */
	uint16_t line_bytes;	/* of the size line or of the trailers so far */
	uint8_t state, digits;
};

/*
 * Takes what it can off the front of `bytes`. Call until MORE, END or BAD;
 * after END, `bytes` is what follows the body. `data` borrows from `bytes`.
 */
enum http_chunked_result http_chunked_next(struct http_chunked *c,
    struct span *bytes, struct span *data);
