/*
 * json.c - the scanner, a step at a time
 *
 * `expect` says what the grammar allows next; the kinds of the open brackets are
 * one bit each. The only loop over many bytes is json_string_stop().
 */
#include "json.h"

#include "json_string.h"

enum expect {
	WANT_VALUE,		/* a value, nothing else */
	WANT_FIRST_VALUE,	/* a value or ']' */
	WANT_FIRST_KEY,		/* a key or '}' */
	WANT_KEY,		/* a key, after a comma */
	WANT_COMMA,		/* a comma or the closing bracket */
	WANT_NOTHING,		/* white space only */
};

struct json json_over(struct span text)
{
	return (struct json){ .at = text.ptr, .start = text.ptr,
		.end = text.len != 0 ? text.ptr + text.len : text.ptr,
		.stuck = JSON_NULL, .expect = WANT_VALUE };
}

static enum json_event stick(struct json *j, enum json_event event,
    const char *why)
{
	j->stuck = event;
	j->bad_why = why;
	return event;
}

static enum json_event bad(struct json *j, const char *why)
{
	return stick(j, JSON_BAD, why);
}

static enum json_event cut(struct json *j)
{
	j->at = j->end;
	return stick(j, JSON_CUT, "more of the text");
}

static bool in_object(const struct json *j)
{
	unsigned level = j->depth - 1;

	return (j->is_object[level / 64] >> (level % 64)) & 1;
}

static void after_value(struct json *j)
{
	j->expect = j->depth == 0 ? WANT_NOTHING : WANT_COMMA;
}

static enum json_event open_bracket(struct json *j, bool object)
{
	uint64_t bit;

	if (j->depth == JSON_DEPTH_MAX)
		return bad(j, "at most 128 levels of nesting");
	bit = (uint64_t)1 << (j->depth % 64);
	if (object)
		j->is_object[j->depth / 64] |= bit;
	else
		j->is_object[j->depth / 64] &= ~bit;
	j->depth++;
	j->at++;
	j->expect = object ? WANT_FIRST_KEY : WANT_FIRST_VALUE;
	return object ? JSON_OBJECT : JSON_ARRAY;
}

static enum json_event close_bracket(struct json *j)
{
	bool object = in_object(j);

	j->at++;
	j->depth--;
	after_value(j);
	return object ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	    (c >= 'A' && c <= 'F');
}

/* Passes one escape; NULL when it is bad, `end` when it is cut. */
static const char *escape_end(const char *at, const char *end)
{
	if (end - at < 2)
		return end;
	switch (at[1]) {
	case 'n': case '"': case '\\': case '/':
	case 't': case 'r': case 'b': case 'f':
		return at + 2;
	case 'u':
		break;
	default:
		return NULL;
	}
	for (int i = 2; i < 6; i++) {
		if (at + i == end)
			return end;
		if (!is_hex(at[i]))
			return NULL;
	}
	return at + 6;
}

/* Reads a string whose opening quote is at j->at into j->value. */
static enum json_event read_string(struct json *j, enum json_event event)
{
	const char *from = ++j->at;
	const char *at = from;

	for (;;) {
		at = json_string_stop(at, j->end);
		if (at == j->end)
			break;
		if (*at == '"') {
			j->value = (struct span){ from, (size_t)(at - from) };
			j->at = at + 1;
			return event;
		}
		if (*at != '\\') {
			j->at = at;
			return bad(j, "control characters in strings escaped");
		}
		const char *next = escape_end(at, j->end);

		if (next == NULL) {
			j->at = at;
			return bad(j, "one of the escapes \\\" \\\\ \\/ \\b "
			    "\\f \\n \\r \\t \\uXXXX");
		}
		at = next;
	}
	j->value = (struct span){ from, (size_t)(j->end - from) };
	j->is_cut = true;
	(void)cut(j);
	return event;
}

static const char *digits_end(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? ; NULL bad, end maybe cut. */
static const char *number_end(const char *at, const char *end)
{
	const char *from;

	if (*at == '-' && ++at == end)
		return end;
	from = at;
	at = digits_end(at, end);
	if ((at == from && at < end) || (at - from > 1 && *from == '0'))
		return NULL;
	if (at < end && *at == '.') {
		from = ++at;
		at = digits_end(at, end);
		if (at == from && at < end)
			return NULL;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		from = at;
		at = digits_end(at, end);
		if (at == from && at < end)
			return NULL;
	}
	return at;
}

/* A number that touches the end is whole only if it can be: "12" at depth 0. */
static enum json_event read_number(struct json *j)
{
	const char *from = j->at;
	const char *at = number_end(from, j->end);

	if (at == NULL)
		return bad(j, "a number");
	if (at == j->end &&
	    (j->depth > 0 || at[-1] < '0' || at[-1] > '9'))
		return cut(j);
	j->value = (struct span){ from, (size_t)(at - from) };
	j->at = at;
	after_value(j);
	return JSON_NUMBER;
}

static enum json_event read_word(struct json *j, const char *word,
    enum json_event event)
{
	size_t len = strlen(word);
	size_t left = (size_t)(j->end - j->at);

	if (memcmp(j->at, word, left < len ? left : len) != 0)
		return bad(j, "true, false or null");
	if (left < len)
		return cut(j);
	j->at += len;
	after_value(j);
	return event;
}

static enum json_event read_value(struct json *j)
{
	enum json_event event;

	switch (*j->at) {
	case '{':
		return open_bracket(j, true);
	case '[':
		return open_bracket(j, false);
	case '"':
		event = read_string(j, JSON_STRING);
		after_value(j);
		return event;
	case 't':
		return read_word(j, "true", JSON_TRUE);
	case 'f':
		return read_word(j, "false", JSON_FALSE);
	case 'n':
		return read_word(j, "null", JSON_NULL);
	default:
		return *j->at == '-' || (*j->at >= '0' && *j->at <= '9') ?
		    read_number(j) : bad(j, "a value");
	}
}

static void skip_space(struct json *j)
{
	while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' ||
	    *j->at == '\t' || *j->at == '\r'))
		j->at++;
}

/* A key and its colon. A key that is cut tells nothing: JSON_CUT. */
static enum json_event read_key(struct json *j)
{
	enum json_event event;
	struct span key;

	if (*j->at != '"')
		return bad(j, "a key in double quotes");
	event = read_string(j, JSON_KEY);
	if (event != JSON_KEY || j->is_cut)
		return event == JSON_KEY ? JSON_CUT : event;
	key = j->value;
	skip_space(j);
	if (j->at == j->end)
		return cut(j);
	if (*j->at != ':')
		return bad(j, "a colon after the key");
	j->at++;
	j->value = key;
	j->expect = WANT_VALUE;
	return JSON_KEY;
}

static enum json_event after_comma(struct json *j)
{
	char close = in_object(j) ? '}' : ']';

	if (*j->at == close)
		return close_bracket(j);
	if (*j->at != ',')
		return bad(j, close == '}' ? "a comma or }" : "a comma or ]");
	j->at++;
	j->expect = close == '}' ? WANT_KEY : WANT_VALUE;
	return json_next(j);	/* once: expect is no longer WANT_COMMA */
}

enum json_event json_next(struct json *j)
{
	if (j->stuck <= JSON_DONE)
		return j->stuck;
	skip_space(j);
	if (j->at == j->end)
		return j->expect == WANT_NOTHING ?
		    stick(j, JSON_DONE, NULL) : cut(j);

	switch ((enum expect)j->expect) {
	case WANT_VALUE:
		return read_value(j);
	case WANT_FIRST_VALUE:
		return *j->at == ']' ? close_bracket(j) : read_value(j);
	case WANT_FIRST_KEY:
		return *j->at == '}' ? close_bracket(j) : read_key(j);
	case WANT_KEY:
		return read_key(j);
	case WANT_COMMA:
		return after_comma(j);
	case WANT_NOTHING:
		break;
	}
	return bad(j, "nothing after the end of the text");
}

enum json_event json_skip(struct json *j, enum json_event first,
    struct span *raw)
{
	enum json_event event = first;

	if (first == JSON_OBJECT || first == JSON_ARRAY) {
		const char *from = j->at - 1;	/* the bracket */
		unsigned outside = j->depth - 1;

		do
			event = json_next(j);
		while (event > JSON_DONE && j->depth > outside);
		if (raw != NULL)
			*raw = (struct span){ from, (size_t)(j->at - from) };
	} else if (raw != NULL && (first == JSON_STRING || first == JSON_NUMBER)) {
		*raw = j->value;
	}
	return event;
}
