/*
 * sim_json.c - the cursor; nothing here recurses, so nesting cannot hurt
 */
#include "sim_json.h"

#include <stdint.h>
#include <stdlib.h>

static char spoil(struct sim_json *j)
{
	j->bad = true;
	j->at = j->end;
	return 0;
}

char sim_json_peek(struct sim_json *j)
{
	while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' ||
	    *j->at == '\r' || *j->at == '\t'))
		j->at++;
	return j->at < j->end ? *j->at : 0;
}

bool sim_json_open(struct sim_json *j, char bracket)
{
	if (sim_json_peek(j) != bracket)
		return spoil(j);
	j->at++;
	return true;
}

bool sim_json_next(struct sim_json *j, char closing)
{
	char c = sim_json_peek(j);

	if (c == 0)
		return spoil(j);
	if (c == closing) {
		j->at++;
		return false;
	}
	if (c != ',')
		return true;
	j->at++;
	c = sim_json_peek(j);
	return c != 0 && c != ',' && c != closing ? true : spoil(j);
}

/* The bytes between the quotes. */
static struct span raw_string(struct sim_json *j)
{
	const char *from;

	if (sim_json_peek(j) != '"') {
		spoil(j);
		return span_of(NULL);
	}
	from = ++j->at;
	for (; j->at < j->end && *j->at != '"'; j->at++)
		if (*j->at == '\\' && j->end - j->at > 1)
			j->at++;
	if (j->at == j->end) {
		spoil(j);
		return span_of(NULL);
	}
	return (struct span){ from, (size_t)(j->at++ - from) };
}

struct span sim_json_key(struct sim_json *j)
{
	struct span key = raw_string(j);

	if (sim_json_peek(j) != ':')
		spoil(j);
	else
		j->at++;
	return key;
}

static void put_utf8(struct buf *out, uint32_t c)
{
	char b[4];
	size_t n = 0;

	if (c < 0x80) {
		b[n++] = (char)c;
	} else if (c < 0x800) {
		b[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		b[n++] = (char)(0xe0 | c >> 12);
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		b[n++] = (char)(0xf0 | c >> 18);
		b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		b[n++] = (char)(0x80 | (c & 0x3f));
	buf_put(out, b, n);
}

static bool read_hex4(struct span s, size_t at, uint32_t *out)
{
	char digits[5] = "";
	char *end;

	if (s.len < 4 || at > s.len - 4)
		return false;
	memcpy(digits, s.ptr + at, 4);
	*out = (uint32_t)strtoul(digits, &end, 16);
	return end == digits + 4;
}

/* One escape, `at` on its letter; returns how many bytes it took. */
static size_t put_escape(struct sim_json *j, struct span s, size_t at,
    struct buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *known = memchr(from, s.ptr[at], sizeof(from) - 1);
	uint32_t c, low;

	if (known != NULL) {
		buf_put(out, &to[known - from], 1);
		return 1;
	}
	if (s.ptr[at] != 'u' || !read_hex4(s, at + 1, &c)) {
		spoil(j);
		return 1;
	}
	if (c >> 10 == 0x36 && at + 6 < s.len && s.ptr[at + 5] == '\\' &&
	    s.ptr[at + 6] == 'u' && read_hex4(s, at + 7, &low) &&
	    low >> 10 == 0x37) {
		put_utf8(out, 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff));
		return 11;
	}
	put_utf8(out, c);
	return 5;
}

void sim_json_string(struct sim_json *j, struct buf *out)
{
	struct span s = raw_string(j);
	size_t from = 0;

	for (size_t at = 0; at < s.len;) {
		if (s.ptr[at] != '\\') {
			at++;
			continue;
		}
		buf_put(out, s.ptr + from, at - from);
		/* raw_string() never ends on a lone backslash. */
		at += 1 + put_escape(j, s, at + 1, out);
		from = at;
	}
	if (from < s.len)
		buf_put(out, s.ptr + from, s.len - from);
}

double sim_json_number(struct sim_json *j)
{
	struct span s;
	char text[40] = "";
	char *end;
	double value;

	sim_json_peek(j);
	s = sim_json_skip(j);
	if (span_is_text(s, "true"))
		return 1;
	if (span_is_text(s, "false") || span_is_text(s, "null"))
		return 0;
	if (s.len == 0 || s.len >= sizeof(text))
		return spoil(j);
	memcpy(text, s.ptr, s.len);
	value = strtod(text, &end);
	return *end == '\0' ? value : spoil(j);
}

static bool is_scalar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.';
}

struct span sim_json_skip(struct sim_json *j)
{
	char c = sim_json_peek(j);
	const char *from = j->at;
	uint64_t kinds = 0;	/* one bit a level: 1 for an object */
	unsigned depth = 0;

	do {
		c = sim_json_peek(j);
		if (c == '"') {
			raw_string(j);
		} else if (c == '{' || c == '[') {
			if (++depth > 63)
				spoil(j);
			kinds = kinds << 1 | (c == '{');
			j->at += j->at < j->end;
		} else if (depth > 0 && (c == '}' || c == ']')) {
			if ((kinds & 1) != (c == '}'))
				spoil(j);
			kinds >>= 1;
			depth--;
			j->at += j->at < j->end;
		} else if (depth > 0 && (c == ',' || c == ':')) {
			j->at++;
		} else if (is_scalar(c)) {
			while (j->at < j->end && is_scalar(*j->at))
				j->at++;
		} else {
			spoil(j);
		}
	} while (depth > 0 && !j->bad);
	return (struct span){ from, j->bad ? 0 : (size_t)(j->at - from) };
}
