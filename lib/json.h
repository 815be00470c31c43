/*
 * json.h - walk a JSON text that may be cut anywhere, without copying it
 *
 * A pull scanner (RFC 8259): each json_next() gives the next thing as it stands in
 * the input. Strings are lent raw, escapes unresolved, so a 64 KB prompt costs one
 * pass and no memory. What HAProxy hands over is a prefix of the body when the body
 * outgrew its buffer; therefore an input that ends early is not an error but
 * JSON_CUT, and a string that runs into the end is lent as far as it goes.
 *
 * Bounded: JSON_DEPTH_MAX levels, no recursion, no allocation. UTF-8 is not
 * validated; control characters in strings, bad escapes and bad numbers are. One
 * thread. Why not yajl: it copies each string that has an escape, does not lend one
 * that is cut, and allocates per text; tests/bench/bench_json.c has the figures,
 * and tests/unit/test_json.c uses it as the oracle for what is valid.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

enum { JSON_DEPTH_MAX = 128 };

enum json_event {
	JSON_BAD = 0,		/* not JSON; json.at tells where. Sticks */
	JSON_CUT,		/* the input ended inside the text. Sticks */
	JSON_DONE,		/* the text is complete. Sticks */
	JSON_OBJECT, JSON_OBJECT_END,
	JSON_ARRAY, JSON_ARRAY_END,
	JSON_KEY,		/* json.value: raw key */
	JSON_STRING,		/* json.value: raw text; json.is_cut if unfinished */
	JSON_NUMBER,		/* json.value: its digits */
	JSON_TRUE, JSON_FALSE, JSON_NULL,
};

struct json {
	const char *at, *end;
	const char *start;
	struct span value;
	bool is_cut;		/* the last string ended with the input */
	const char *bad_why;	/* after JSON_BAD: what was expected */
	/* private */
	enum json_event stuck;
	uint8_t expect;
	unsigned depth;
	uint64_t is_object[JSON_DEPTH_MAX / 64];
};

struct json json_over(struct span text);
enum json_event json_next(struct json *j);

/*
 * Passes over the value whose first event was just returned (a scalar: nothing to
 * do). `*raw` (may be NULL) gets its raw text as far as it goes: brackets included,
 * a string's quotes not; untouched for true, false and null. Returns the value's
 * last event, or JSON_BAD or JSON_CUT.
 */
enum json_event json_skip(struct json *j, enum json_event first,
    struct span *raw);

/* How far the scan has come, in bytes from the start. */
static inline size_t json_offset(const struct json *j)
{
	return (size_t)(j->at - j->start);
}

/*
 * Resolves the escapes of a raw string into `out`. Returns the length, or
 * SIZE_MAX when it does not fit. An escape cut by the end is dropped; a lone
 * surrogate becomes U+FFFD.
 */
size_t json_unescape(struct span raw, char *out, size_t len);

/*
 * The number as a whole one >= 0, saturated; false for whatever is not spelled in
 * digits alone: fractions, exponents, negatives.
 */
bool json_uint(struct span digits, uint64_t *out);
