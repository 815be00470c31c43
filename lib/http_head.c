/*
 * http_head.c - status line, the four headers that matter, and chunks
 *
 * The end of the head is searched first and the lines are read only when it is
 * there, so a head that drips in costs a search per drip. Of the headers only
 * those that tell where the body ends are understood; of the others we check
 * that they are headers at all.
 */
#include "http_head.h"

#include <string.h>

enum {
	CHUNK_LINE_MAX = 1024,	/* size and extensions */
	TRAILERS_MAX = 8192,
	CHUNK_DIGITS_MAX = 15,	/* so that no size overflows */
};

struct fields {			/* what the lines said */
	bool has_length, chunked, close, keep_alive;
	uint64_t length;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_token_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    is_digit(c) ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next line off the front, without its CRLF or LF; false at no LF. */
static bool take_line(struct span *rest, struct span *line)
{
	const char *lf = memchr(rest->ptr, '\n', rest->len);

	if (lf == NULL)
		return false;
	line->ptr = rest->ptr;
	line->len = (size_t)(lf - rest->ptr);
	if (line->len != 0 && lf[-1] == '\r')
		line->len--;
	rest->len -= (size_t)(lf + 1 - rest->ptr);
	rest->ptr = lf + 1;
	return true;
}

/* The next element of a comma-separated list. */
static bool take_element(struct span *list, struct span *element)
{
	const char *comma;

	if (list->len == 0)
		return false;
	comma = memchr(list->ptr, ',', list->len);
	*element = *list;
	if (comma == NULL) {
		list->len = 0;
	} else {
		element->len = (size_t)(comma - list->ptr);
		list->len -= element->len + 1;
		list->ptr = comma + 1;
	}
	*element = span_trim(*element);
	return true;
}

/* "HTTP/1." as far as there are bytes: garbage need not be waited for. */
static bool starts_well(struct span s)
{
	static const char start[] = "HTTP/1.";
	size_t n = s.len < sizeof(start) - 1 ? s.len : sizeof(start) - 1;

	return memcmp(s.ptr, start, n) == 0;
}

/* "HTTP/1.1 200 OK"; the reason may be missing, with its blank or without. */
static bool parse_status(struct span line, int *status, bool *is_1_0)
{
	const char *p = line.ptr;

	if (line.len < 12 || !starts_well(line) || !is_digit(p[7]) ||
	    p[8] != ' ' || !is_digit(p[9]) || !is_digit(p[10]) ||
	    !is_digit(p[11]) || (line.len > 12 && p[12] != ' '))
		return false;
	*is_1_0 = p[7] == '0';
	*status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
	return *status >= 100;
}

/* Also "5, 5": a proxy may have joined two equal headers (RFC 9110, 8.6). */
static bool parse_length(struct span value, struct fields *f)
{
	struct span number;

	if (value.len == 0)
		return false;
	while (take_element(&value, &number)) {
		uint64_t length = 0;

		if (number.len == 0 || number.len > 18)
			return false;
		for (size_t i = 0; i < number.len; i++) {
			if (!is_digit(number.ptr[i]))
				return false;
			length = length * 10 + (uint64_t)(number.ptr[i] - '0');
		}
		if (f->has_length && f->length != length)
			return false;
		f->has_length = true;
		f->length = length;
	}
	return true;
}

/* We ask for no coding, so chunked, once, is all that may come. */
static bool parse_coding(struct span value, struct fields *f)
{
	if (f->chunked || !span_is_nocase(value, "chunked"))
		return false;
	f->chunked = true;
	return true;
}

static void parse_connection(struct span value, struct fields *f)
{
	struct span option;

	while (take_element(&value, &option)) {
		if (span_is_nocase(option, "close"))
			f->close = true;
		if (span_is_nocase(option, "keep-alive"))
			f->keep_alive = true;
	}
}

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\t') ||
		    s.ptr[i] == 0x7f)
			return true;
	return false;
}

/* A blank before the colon or a folded line fails at is_token_byte(). */
static bool parse_field(struct span line, struct fields *f)
{
	struct span name = { line.ptr, 0 }, value;

	while (name.len < line.len && is_token_byte(line.ptr[name.len]))
		name.len++;
	if (name.len == 0 || name.len == line.len || line.ptr[name.len] != ':')
		return false;
	value = span_trim((struct span){ line.ptr + name.len + 1,
	    line.len - name.len - 1 });
	if (has_control(value))
		return false;
	if (span_is_nocase(name, "content-length"))
		return parse_length(value, f);
	if (span_is_nocase(name, "transfer-encoding"))
		return parse_coding(value, f);
	if (span_is_nocase(name, "connection"))
		parse_connection(value, f);
	return true;
}

/* RFC 9112, 6.3; that a length beside chunked is wrong is left to us there. */
static bool conclude(struct http_head *out, const struct fields *f, bool is_1_0)
{
	if (f->chunked && (f->has_length || is_1_0))
		return false;
	out->body_bytes = 0;
	out->framing = HTTP_FRAMING_LENGTH;
	if (out->status == 204 || out->status == 304 || out->status < 200)
		;	/* never a body, whatever the headers say */
	else if (f->chunked)
		out->framing = HTTP_FRAMING_CHUNKED;
	else if (f->has_length)
		out->body_bytes = f->length;
	else
		out->framing = HTTP_FRAMING_CLOSE;
	out->keep_alive = !f->close && (!is_1_0 || f->keep_alive) &&
	    out->framing != HTTP_FRAMING_CLOSE;
	return true;
}

/* Up to and with the empty line; 0 when it has not come. */
static size_t head_length(struct span s)
{
	const char *at = s.ptr, *end = s.ptr + s.len;

	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		at++;
		if (at < end && *at == '\n')
			return (size_t)(at + 1 - s.ptr);
		if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
			return (size_t)(at + 2 - s.ptr);
	}
	return 0;
}

/* One whole head, the empty line included. */
static bool parse_whole(struct http_head *out, struct span head)
{
	struct fields f = { .has_length = false };
	struct span line;
	bool is_1_0;

	if (!take_line(&head, &line) || has_control(line) ||
	    !parse_status(line, &out->status, &is_1_0))
		return false;
	while (take_line(&head, &line) && line.len != 0)
		if (!parse_field(line, &f))
			return false;
	return conclude(out, &f, is_1_0);
}

enum http_head_result http_head_parse(struct http_head *out,
    const char *bytes, size_t len)
{
	size_t limit = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX, skipped = 0;
	struct http_head head;

	for (;;) {
		struct span rest = { bytes + skipped, limit - skipped };
		size_t n;

		if (rest.len != 0 && !starts_well(rest))
			return HTTP_HEAD_BAD;
		n = rest.len != 0 ? head_length(rest) : 0;
		if (n == 0)
			return len >= HTTP_HEAD_MAX ? HTTP_HEAD_TOO_BIG
						    : HTTP_HEAD_MORE;
		if (!parse_whole(&head, (struct span){ rest.ptr, n }) ||
		    head.status == 101)	/* we asked for no other protocol */
			return HTTP_HEAD_BAD;
		skipped += n;
		if (head.status >= 200)
			break;
	}
	*out = head;
	out->head_bytes = skipped;
	return HTTP_HEAD_OK;
}

enum chunk_state {
	CHUNK_SIZE = 0,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER_START,	/* of a trailer line, or the empty one */
	CHUNK_TRAILER,
	CHUNK_LAST_LF,
	CHUNK_END,
};

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool line_ended(struct http_chunked *c)
{
	if (c->digits == 0)
		return false;
	c->line_bytes = 0;
	c->digits = 0;
	c->state = c->left != 0 ? CHUNK_DATA : CHUNK_TRAILER_START;
	return true;
}

static bool step_size(struct http_chunked *c, char byte)
{
	int digit = hex_value(byte);

	if (digit >= 0) {
		c->left = c->left << 4 | (uint64_t)digit;
		return ++c->digits <= CHUNK_DIGITS_MAX;
	}
	if (byte == '\n')
		return line_ended(c);
	if (byte == '\r')
		c->state = CHUNK_SIZE_LF;
	else if (byte == ';' || is_blank(byte))
		c->state = CHUNK_EXTENSION;
	else
		return false;
	return c->digits != 0;
}

/* One byte that is not data; false when it may not stand there. */
static bool step(struct http_chunked *c, char byte)
{
	bool trailers = c->state >= CHUNK_TRAILER_START;

	if (c->state != CHUNK_DATA_CR && c->state != CHUNK_DATA_LF &&
	    ++c->line_bytes > (trailers ? TRAILERS_MAX : CHUNK_LINE_MAX))
		return false;
	switch ((enum chunk_state)c->state) {
	case CHUNK_SIZE:
		return step_size(c, byte);
	case CHUNK_EXTENSION:
		if (byte == '\r')
			c->state = CHUNK_SIZE_LF;
		return byte != '\n' || line_ended(c);
	case CHUNK_SIZE_LF:
		return byte == '\n' && line_ended(c);
	case CHUNK_DATA_CR:
		c->state = byte == '\r' ? CHUNK_DATA_LF : CHUNK_SIZE;
		return byte == '\r' || byte == '\n';
	case CHUNK_DATA_LF:
		c->state = CHUNK_SIZE;
		return byte == '\n';
	case CHUNK_TRAILER_START:
		c->state = byte == '\r' ? CHUNK_LAST_LF :
		    byte == '\n' ? CHUNK_END : CHUNK_TRAILER;
		return true;
	case CHUNK_TRAILER:
		if (byte == '\n')
			c->state = CHUNK_TRAILER_START;
		return true;
	case CHUNK_LAST_LF:
		c->state = CHUNK_END;
		return byte == '\n';
	case CHUNK_DATA:
	case CHUNK_END:
		break;
	}
	return false;
}

static void drop(struct span *s, size_t n)
{
	s->ptr += n;
	s->len -= n;
}

enum http_chunked_result http_chunked_next(struct http_chunked *c,
    struct span *bytes, struct span *data)
{
	while (c->state != CHUNK_END && bytes->len != 0) {
		if (c->state == CHUNK_DATA) {
			size_t n = c->left < bytes->len ? (size_t)c->left
							: bytes->len;

			*data = (struct span){ bytes->ptr, n };
			drop(bytes, n);
			c->left -= n;
			if (c->left == 0)
				c->state = CHUNK_DATA_CR;
			return HTTP_CHUNKED_DATA;
		}
		if (!step(c, *bytes->ptr))
			return HTTP_CHUNKED_BAD;
		drop(bytes, 1);
	}
	return c->state == CHUNK_END ? HTTP_CHUNKED_END : HTTP_CHUNKED_MORE;
}
