/*
 * prom_line.c - labels, escapes and numbers
 *
 * Only wanted lines come here, a dozen a page, so this is written for clarity;
 * the number path alone avoids strtod() because most values are small counts.
 */
#include "prom_line.h"

#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum {
	NUMBER_TEXT_MAX = 511,	/* DBL_MAX printed with %f has 316 characters */
	EXACT_DIGITS = 15,	/* so many always fit a double's mantissa */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_key_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	    is_digit(c);
}

static void drop(struct span *s, size_t n)
{
	s->ptr += n;
	s->len -= n;
}

static void drop_blanks(struct span *s)
{
	while (s->len != 0 && is_blank(*s->ptr))
		drop(s, 1);
}

static bool take_byte(struct span *s, char c)
{
	if (s->len == 0 || *s->ptr != c)
		return false;
	drop(s, 1);
	return true;
}

struct span prom_trim(struct span s)
{
	drop_blanks(&s);
	while (s.len != 0 &&
	    (is_blank(s.ptr[s.len - 1]) || s.ptr[s.len - 1] == '\r'))
		s.len--;
	return s;
}

/* Up to the closing quote, which is taken off as well. */
static bool take_quoted(struct span *rest, struct span *raw)
{
	size_t i = 0;

	if (!take_byte(rest, '"'))
		return false;
	while (i < rest->len && rest->ptr[i] != '"')
		i += rest->ptr[i] == '\\' ? 2 : 1;
	if (i >= rest->len)
		return false;
	*raw = (struct span){ rest->ptr, i };
	drop(rest, i + 1);
	return true;
}

static bool take_key(struct span *rest, struct span *key)
{
	size_t i = 0;

	while (i < rest->len && is_key_byte(rest->ptr[i]))
		i++;
	*key = (struct span){ rest->ptr, i };
	drop(rest, i);
	return i != 0 && !is_digit(*key->ptr);
}

enum prom_next prom_pair_next(struct span *rest, struct prom_pair *pair)
{
	drop_blanks(rest);
	if (rest->len == 0 || *rest->ptr == '}')
		return PROM_NEXT_END;
	if (!take_key(rest, &pair->key))
		return PROM_NEXT_BAD;
	drop_blanks(rest);
	if (!take_byte(rest, '='))
		return PROM_NEXT_BAD;
	drop_blanks(rest);
	if (!take_quoted(rest, &pair->value))
		return PROM_NEXT_BAD;
	drop_blanks(rest);
	if (!take_byte(rest, ',') && rest->len != 0 && *rest->ptr != '}')
		return PROM_NEXT_BAD;
	return PROM_NEXT_PAIR;
}

/*
 * One character off the front of a raw value. The format knows \\ \" and \n;
 * any other escape stands for itself, backslash included.
 */
static char take_char(struct span *raw)
{
	char c = *raw->ptr;

	if (c == '\\' && raw->len > 1) {
		char escaped = raw->ptr[1];

		if (escaped == '\\' || escaped == '"' || escaped == 'n') {
			drop(raw, 2);
			return escaped == 'n' ? '\n' : escaped;
		}
	}
	drop(raw, 1);
	return c;
}

bool prom_value_is(struct span raw, const char *text)
{
	while (raw.len != 0) {
		char c = take_char(&raw);

		if (*text == '\0' || c != *text++)
			return false;
	}
	return *text == '\0';
}

void prom_value_copy(struct span raw, char *out, size_t len)
{
	size_t i = 0;

	while (raw.len != 0 && i + 1 < len)
		out[i++] = take_char(&raw);
	out[i] = '\0';
}

/* Digits and a point that need no rounding: what nearly every line carries. */
static bool exact_decimal(struct span text, double *out)
{
	static const double power[EXACT_DIGITS + 1] = { 1e0, 1e1, 1e2, 1e3,
		1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
		1e15 };
	uint64_t mantissa = 0;
	size_t digits = 0, behind_point = 0;
	bool point = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '.' && !point) {
			point = true;
			continue;
		}
		if (!is_digit(c) || ++digits > EXACT_DIGITS)
			return false;
		mantissa = mantissa * 10 + (uint64_t)(c - '0');
		behind_point += point;
	}
	if (digits == 0)
		return false;
	*out = (double)mantissa / power[behind_point];
	return true;
}

/* Inf and NaN, in any case, as Go's and C++'s clients spell them. */
static bool number_word(struct span text, double *out)
{
	bool minus = text.len != 0 && *text.ptr == '-';

	if (text.len != 0 && (minus || *text.ptr == '+'))
		drop(&text, 1);
	if (span_is_nocase(text, "inf") || span_is_nocase(text, "infinity"))
		*out = minus ? -INFINITY : INFINITY;
	else if (span_is_nocase(text, "nan"))
		*out = NAN;
	else
		return false;
	return true;
}

/* strtod() under the C locale, whatever the program's is. */
static double c_strtod(const char *text, char **end)
{
	/* For "C" libc hands out its own static object; there is no leak. */
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);

	return c != (locale_t)0 ? strtod_l(text, end, c) : strtod(text, end);
}

bool prom_number(struct span text, double *out)
{
	char copy[NUMBER_TEXT_MAX + 1], *end;

	if (exact_decimal(text, out) || number_word(text, out))
		return true;
	if (text.len == 0 || text.len > NUMBER_TEXT_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!is_digit(text.ptr[i]) &&
		    memchr("+-.eE", text.ptr[i], 5) == NULL)
			return false;	/* strtod() would take more: hex */
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*out = c_strtod(copy, &end);
	return end == copy + text.len;
}

static struct span take_word(struct span *rest)
{
	struct span word = *rest;
	size_t i = 0;

	while (i < rest->len && !is_blank(rest->ptr[i]))
		i++;
	word.len = i;
	drop(rest, i);
	drop_blanks(rest);
	return word;
}

static bool take_labels(struct span *rest, struct span *labels)
{
	struct prom_pair pair;
	enum prom_next next;

	*labels = (struct span){ rest->ptr, 0 };
	if (!take_byte(rest, '{'))
		return true;
	labels->ptr = rest->ptr;
	do {
		next = prom_pair_next(rest, &pair);
	} while (next == PROM_NEXT_PAIR);
	labels->len = (size_t)(rest->ptr - labels->ptr);
	return next == PROM_NEXT_END && take_byte(rest, '}');
}

bool prom_line_parse(struct span rest, struct span *labels, double *value)
{
	double timestamp;

	drop_blanks(&rest);
	if (!take_labels(&rest, labels))
		return false;
	drop_blanks(&rest);
	if (!prom_number(take_word(&rest), value))
		return false;
	if (rest.len != 0 && *rest.ptr != '#')
		if (!prom_number(take_word(&rest), &timestamp))
			return false;
	return rest.len == 0 || *rest.ptr == '#';	/* an exemplar */
}
