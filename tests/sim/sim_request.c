/*
 * sim_request.c - head, then a body of known length or in chunks
 *
 * Strict where a proxy could be fooled (two lengths, a length beside chunks),
 * plain otherwise.
 */
#include "sim_request.h"

#include <stdlib.h>

enum { LINE_MAX_BYTES = 4096, KEEP_MAX_BYTES = 64 << 10 };

void sim_request_init(struct sim_request *r)
{
	*r = (struct sim_request){ 0 };
	buf_init(&r->head, SIM_HEAD_MAX_BYTES);
	buf_init(&r->body, SIM_BODY_MAX_BYTES);
}

void sim_request_fini(struct sim_request *r)
{
	buf_fini(&r->head);
	buf_fini(&r->body);
}

void sim_request_clear(struct sim_request *r)
{
	struct buf head = r->head, body = r->body;

	if (body.cap > KEEP_MAX_BYTES)
		buf_fini(&body);
	buf_clear(&head);
	buf_clear(&body);
	*r = (struct sim_request){ .head = head, .body = body };
}

bool sim_request_is_begun(const struct sim_request *r, const struct buf *in)
{
	return in->len > 0 || r->step != SIM_ON_HEAD;
}

static enum sim_request_result bad(struct sim_request *r, int status)
{
	r->bad_status = status;
	return SIM_REQUEST_BAD;
}

static struct span trim(struct span s)
{
	while (s.len > 0 && (*s.ptr == ' ' || *s.ptr == '\t'))
		s.ptr++, s.len--;
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' ||
	    s.ptr[s.len - 1] == '\t' || s.ptr[s.len - 1] == '\r'))
		s.len--;
	return s;
}

/* The part of `s` before `c`, which `s` then begins after; false without c. */
static bool cut(struct span *s, char c, struct span *before)
{
	const char *at = s->len > 0 ? memchr(s->ptr, c, s->len) : NULL;

	if (at == NULL)
		return false;
	*before = (struct span){ s->ptr, (size_t)(at - s->ptr) };
	s->len -= before->len + 1;
	s->ptr = at + 1;
	return true;
}

static bool read_number(struct span s, int base, uint64_t *out)
{
	char text[24] = "";
	char *end;

	if (s.len == 0 || s.len > 16)
		return false;
	memcpy(text, s.ptr, s.len);
	*out = strtoull(text, &end, base);
	return *end == '\0' && text[0] != '-' && text[0] != '+';
}

static bool read_field(struct sim_request *r, struct span name,
    struct span value, bool *has_length)
{
	if (span_is_nocase(name, "content-length")) {
		if (*has_length || !read_number(value, 10, &r->n_left))
			return false;
		*has_length = true;
	} else if (span_is_nocase(name, "transfer-encoding")) {
		r->is_chunked = true;
		return span_is_nocase(value, "chunked");
	} else if (span_is_nocase(name, "connection")) {
		if (span_is_nocase(value, "close"))
			r->keep_alive = false;
		else if (span_is_nocase(value, "keep-alive"))
			r->keep_alive = true;
	} else if (span_is_nocase(name, "expect")) {
		r->wants_continue = span_is_nocase(value, "100-continue");
	}
	return true;
}

static bool read_head(struct sim_request *r)
{
	struct span rest = buf_span(&r->head), line, name, version;
	bool has_length = false;

	if (!cut(&rest, '\n', &line))
		return false;
	version = trim(line);
	if (!cut(&version, ' ', &r->method) || !cut(&version, ' ', &r->path))
		return false;
	r->keep_alive = span_is_text(version, "HTTP/1.1");
	if (!r->keep_alive && !span_is_text(version, "HTTP/1.0"))
		return false;
	r->query = r->path;
	if (cut(&r->query, '?', &name))
		r->path = name;
	else
		r->query.len = 0;
	while (cut(&rest, '\n', &line)) {
		line = trim(line);
		if (line.len == 0)
			continue;
		if (!cut(&line, ':', &name) ||
		    !read_field(r, name, trim(line), &has_length))
			return false;
	}
	return !(has_length && r->is_chunked);
}

static enum sim_request_result on_head(struct sim_request *r, struct buf *in)
{
	const char *end;
	size_t len;

	while (in->len > 0 && (in->data[0] == '\r' || in->data[0] == '\n'))
		buf_consume(in, 1);
	end = in->len > 0 ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL;
	len = end != NULL ? (size_t)(end - in->data) + 4 : in->len;
	if (len > SIM_HEAD_MAX_BYTES)
		return bad(r, 431);
	if (end == NULL)
		return SIM_REQUEST_MORE;
	buf_put(&r->head, in->data, len);
	buf_consume(in, len);
	if (buf_failed(&r->head) || !read_head(r))
		return bad(r, 400);
	if (r->n_left > SIM_BODY_MAX_BYTES)
		return bad(r, 413);
	r->step = r->is_chunked ? SIM_ON_CHUNK_SIZE :
	    r->n_left > 0 ? SIM_ON_BODY : SIM_ON_DONE;
	if (r->wants_continue && r->step != SIM_ON_DONE && in->len == 0)
		return SIM_REQUEST_CONTINUE;
	return SIM_REQUEST_DONE;
}

static enum sim_request_result on_bytes(struct sim_request *r, struct buf *in)
{
	size_t len = in->len < r->n_left ? in->len : (size_t)r->n_left;

	buf_put(&r->body, in->data, len);
	if (buf_failed(&r->body))
		return bad(r, 413);
	buf_consume(in, len);
	r->n_left -= len;
	if (r->n_left > 0)
		return SIM_REQUEST_MORE;
	r->step = r->is_chunked ? SIM_ON_CHUNK_END : SIM_ON_DONE;
	return SIM_REQUEST_DONE;
}

/* Chunk sizes, the empty line behind a chunk, and trailers are lines. */
static enum sim_request_result on_line(struct sim_request *r, struct buf *in)
{
	struct span rest = buf_span(in), line, size;

	if (!cut(&rest, '\n', &line))
		return in->len > LINE_MAX_BYTES ? bad(r, 400) :
		    SIM_REQUEST_MORE;
	size = line;
	cut(&line, ';', &size);
	if (r->step == SIM_ON_CHUNK_SIZE) {
		if (!read_number(trim(size), 16, &r->n_left))
			return bad(r, 400);
		if (r->n_left > SIM_BODY_MAX_BYTES)
			return bad(r, 413);
		r->step = r->n_left > 0 ? SIM_ON_CHUNK : SIM_ON_TRAILER;
	} else if (r->step == SIM_ON_CHUNK_END) {
		if (trim(size).len > 0)
			return bad(r, 400);
		r->step = SIM_ON_CHUNK_SIZE;
	} else if (trim(size).len == 0) {
		r->step = SIM_ON_DONE;
	}
	buf_consume(in, in->len - rest.len);
	return SIM_REQUEST_DONE;
}

/* Each part returns DONE when it got further; the step then says where. */
enum sim_request_result sim_request_feed(struct sim_request *r, struct buf *in)
{
	enum sim_request_result rc = SIM_REQUEST_DONE;

	while (rc == SIM_REQUEST_DONE && r->step != SIM_ON_DONE) {
		switch (r->step) {
		case SIM_ON_HEAD:
			rc = on_head(r, in);
			break;
		case SIM_ON_BODY:
		case SIM_ON_CHUNK:
			rc = on_bytes(r, in);
			break;
		default:
			rc = on_line(r, in);
			break;
		}
	}
	return rc;
}
