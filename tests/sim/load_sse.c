/*
 * load_sse.c - lines out of bytes, and members found by their quoted name
 *
 * A name inside of a string has its quotes escaped, so it is never taken for a
 * member; that is all the JSON this client needs.
 */
#include "load_sse.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_BYTES = 8 << 20 };

void load_sse_init(struct load_sse *s,
    void (*on_data)(void *user, struct span data), void *user)
{
	*s = (struct load_sse){ .on_data = on_data, .user = user };
	buf_init(&s->line, LINE_MAX_BYTES);
}

void load_sse_fini(struct load_sse *s)
{
	buf_fini(&s->line);
}

static void end_line(struct load_sse *s)
{
	struct span line = buf_span(&s->line);

	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (line.len > 5 && memcmp(line.ptr, "data:", 5) == 0) {
		line.ptr += 5;
		line.len -= 5;
		if (*line.ptr == ' ')
			line.ptr++, line.len--;
		s->on_data(s->user, line);
	}
	buf_clear(&s->line);
}

bool load_sse_feed(struct load_sse *s, struct span bytes)
{
	while (bytes.len > 0) {
		const char *end = memchr(bytes.ptr, '\n', bytes.len);
		size_t len = end != NULL ? (size_t)(end - bytes.ptr) :
		    bytes.len;

		buf_put(&s->line, bytes.ptr, len);
		if (buf_failed(&s->line))
			return false;
		if (end == NULL)
			break;
		end_line(s);
		bytes.ptr += len + 1;
		bytes.len -= len + 1;
	}
	return true;
}

/* What follows "name":, blanks skipped. */
static struct span find_value(struct span json, const char *name)
{
	char quoted[64];
	const char *at, *end = json.ptr + json.len;

	snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	at = json.len > 0 ?
	    memmem(json.ptr, json.len, quoted, strlen(quoted)) : NULL;
	if (at == NULL)
		return span_of(NULL);
	for (at += strlen(quoted); at < end && *at == ' ';)
		at++;
	return (struct span){ at, (size_t)(end - at) };
}

struct span load_json_string(struct span json, const char *name)
{
	struct span v = find_value(json, name);

	if (v.len == 0 || *v.ptr != '"')
		return span_of(NULL);
	v.ptr++, v.len--;
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '"')
			return (struct span){ v.ptr, i };
		if (v.ptr[i] == '\\')
			i++;
	}
	return span_of(NULL);
}

long long load_json_number(struct span json, const char *name)
{
	struct span v = find_value(json, name);
	char text[24] = "", *end;
	long long n;

	if (v.len == 0)
		return -1;
	memcpy(text, v.ptr, v.len < 23 ? v.len : 23);
	n = strtoll(text, &end, 10);
	return end == text ? -1 : n;
}
