/*
 * load_response.c - head, then a body by length, in chunks, or until the close
 */
#include "load_response.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEAD_MAX_BYTES = 64 << 10, IN_MAX_BYTES = 256 << 10 };

void load_response_init(struct load_response *r,
    void (*on_body)(void *user, struct span bytes), void *user)
{
	*r = (struct load_response){ .on_body = on_body, .user = user,
		.cached_tokens = -1, .queue_ms = -1 };
	buf_init(&r->in, IN_MAX_BYTES);
}

void load_response_fini(struct load_response *r)
{
	buf_fini(&r->in);
}

/* The next line of `rest` without its end; false when there is none. */
static bool cut_line(struct span *rest, struct span *line)
{
	const char *end = rest->len > 0 ?
	    memchr(rest->ptr, '\n', rest->len) : NULL;

	if (end == NULL)
		return false;
	*line = (struct span){ rest->ptr, (size_t)(end - rest->ptr) };
	rest->len -= line->len + 1;
	rest->ptr = end + 1;
	if (line->len > 0 && line->ptr[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* Digits at the start of `s`; -1 when there are none. */
static int64_t read_number(struct span s, int base)
{
	char text[20] = "", *end;
	long long n;

	memcpy(text, s.ptr, s.len < sizeof(text) - 1 ? s.len :
	    sizeof(text) - 1);
	n = strtoll(text, &end, base);
	return end == text || n < 0 ? -1 : (int64_t)n;
}

static bool read_field(struct load_response *r, struct span name,
    struct span value)
{
	int64_t n;

	if (span_is_nocase(name, "content-length")) {
		n = read_number(value, 10);
		r->n_left = (uint64_t)n;
		r->step = LOAD_ON_LENGTH;
		return n >= 0;
	}
	if (span_is_nocase(name, "transfer-encoding"))
		r->step = LOAD_ON_CHUNK_SIZE;
	else if (span_is_nocase(name, "connection"))
		r->keep_alive = !span_is_nocase(value, "close");
	else if (span_is_nocase(name, "content-type"))
		r->is_event_stream = value.len >= 17 &&
		    memcmp(value.ptr, "text/event-stream", 17) == 0;
	else if (span_is_nocase(name, "x-sim-server"))
		snprintf(r->server, sizeof(r->server), "%.*s", (int)value.len,
		    value.ptr);
	else if (span_is_nocase(name, "x-sim-cached-tokens"))
		r->cached_tokens = read_number(value, 10);
	else if (span_is_nocase(name, "x-sim-queue-ms"))
		r->queue_ms = read_number(value, 10);
	return true;
}

static bool read_head(struct load_response *r, struct span head)
{
	struct span line, name, value;
	const char *colon;

	if (!cut_line(&head, &line) || line.len < 12 ||
	    memcmp(line.ptr, "HTTP/1.", 7) != 0)
		return false;
	r->keep_alive = line.ptr[7] == '1';
	r->status = (int)read_number((struct span){ line.ptr + 9, 3 }, 10);
	r->step = LOAD_ON_UNTIL_CLOSE;
	while (cut_line(&head, &line) && line.len > 0) {
		colon = memchr(line.ptr, ':', line.len);
		if (colon == NULL)
			return false;
		name = (struct span){ line.ptr, (size_t)(colon - line.ptr) };
		value = (struct span){ colon + 1, line.len - name.len - 1 };
		while (value.len > 0 && *value.ptr == ' ')
			value.ptr++, value.len--;
		if (!read_field(r, name, value))
			return false;
	}
	return true;
}

static enum load_response_result on_head(struct load_response *r)
{
	const char *end = r->in.len > 0 ?
	    memmem(r->in.data, r->in.len, "\r\n\r\n", 4) : NULL;
	size_t len;

	if (end == NULL)
		return r->in.len > HEAD_MAX_BYTES ? LOAD_RESPONSE_BAD :
		    LOAD_RESPONSE_MORE;
	len = (size_t)(end - r->in.data) + 4;
	if (!read_head(r, (struct span){ r->in.data, len }))
		return LOAD_RESPONSE_BAD;
	buf_consume(&r->in, len);
	if (r->status >= 100 && r->status < 200)
		r->step = LOAD_ON_HEAD;		/* 100-continue: another comes */
	else if (r->status == 204 || r->status == 304 ||
	    (r->step == LOAD_ON_LENGTH && r->n_left == 0))
		r->step = LOAD_ON_DONE;
	return LOAD_RESPONSE_DONE;
}

static enum load_response_result on_bytes(struct load_response *r)
{
	size_t len = r->in.len;

	if (r->step != LOAD_ON_UNTIL_CLOSE && r->n_left < len)
		len = (size_t)r->n_left;
	if (len > 0)
		r->on_body(r->user, (struct span){ r->in.data, len });
	buf_consume(&r->in, len);
	if (r->step == LOAD_ON_UNTIL_CLOSE)
		return LOAD_RESPONSE_MORE;
	r->n_left -= len;
	if (r->n_left > 0)
		return LOAD_RESPONSE_MORE;
	r->step = r->step == LOAD_ON_CHUNK ? LOAD_ON_CHUNK_END : LOAD_ON_DONE;
	return LOAD_RESPONSE_DONE;
}

/* A chunk's size, the empty line behind it, or a trailer. */
static enum load_response_result on_line(struct load_response *r)
{
	struct span rest = buf_span(&r->in), line;
	int64_t n;

	if (!cut_line(&rest, &line))
		return r->in.len > HEAD_MAX_BYTES ? LOAD_RESPONSE_BAD :
		    LOAD_RESPONSE_MORE;
	if (r->step == LOAD_ON_CHUNK_SIZE) {
		n = read_number(line, 16);
		if (n < 0)
			return LOAD_RESPONSE_BAD;
		r->n_left = (uint64_t)n;
		r->step = n > 0 ? LOAD_ON_CHUNK : LOAD_ON_TRAILER;
	} else if (r->step == LOAD_ON_CHUNK_END) {
		if (line.len > 0)
			return LOAD_RESPONSE_BAD;
		r->step = LOAD_ON_CHUNK_SIZE;
	} else if (line.len == 0) {
		r->step = LOAD_ON_DONE;
	}
	buf_consume(&r->in, r->in.len - rest.len);
	return LOAD_RESPONSE_DONE;
}

/* Each part returns DONE when it got further; the step then says where. */
enum load_response_result load_response_feed(struct load_response *r,
    struct span bytes)
{
	enum load_response_result rc = LOAD_RESPONSE_DONE;

	buf_put(&r->in, bytes.ptr, bytes.len);
	if (buf_failed(&r->in))
		return LOAD_RESPONSE_BAD;
	while (rc == LOAD_RESPONSE_DONE && r->step != LOAD_ON_DONE) {
		switch (r->step) {
		case LOAD_ON_HEAD:
			rc = on_head(r);
			break;
		case LOAD_ON_LENGTH:
		case LOAD_ON_UNTIL_CLOSE:
		case LOAD_ON_CHUNK:
			rc = on_bytes(r);
			break;
		default:
			rc = on_line(r);
			break;
		}
	}
	return rc;
}

enum load_response_result load_response_eof(struct load_response *r)
{
	r->keep_alive = false;
	return r->step == LOAD_ON_UNTIL_CLOSE ? LOAD_RESPONSE_DONE :
	    LOAD_RESPONSE_BAD;
}
