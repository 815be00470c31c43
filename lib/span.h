/*
 * span.h - bytes someone else owns; not NUL-terminated
 *
 * A span borrows: it dies with the buffer it points into. The empty span may
 * have a null pointer. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *ptr;
	size_t len;
};

/* A string literal or a NUL-terminated string as a span. */
static inline struct span span_of(const char *s)
{
	return (struct span){ s, s != NULL ? strlen(s) : 0 };
}

static inline bool span_is(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_is_text(struct span a, const char *text)
{
	return span_is(a, span_of(text));
}

/* ASCII letters compare without case, as HTTP header names do. */
static inline bool span_is_nocase(struct span a, const char *text)
{
	return a.len == strlen(text) &&
	    (a.len == 0 || strncasecmp(a.ptr, text, a.len) == 0);
}

static inline bool span_has_suffix(struct span a, struct span tail)
{
	return a.len >= tail.len &&
	    (tail.len == 0 ||
		memcmp(a.ptr + a.len - tail.len, tail.ptr, tail.len) == 0);
}

/* As memcmp(), and what is a beginning of the other comes first. */
static inline int span_compare(struct span a, struct span b)
{
	size_t both = a.len < b.len ? a.len : b.len;
	int c = both > 0 ? memcmp(a.ptr, b.ptr, both) : 0;

	return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

/* Without spaces and tabs at both ends: optional whitespace, RFC 9110, 5.6.3. */
static inline struct span span_trim(struct span s)
{
	while (s.len > 0 && (*s.ptr == ' ' || *s.ptr == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' ||
		s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}
