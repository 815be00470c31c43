/*
 * duration.c - number, fraction, unit, until the text is over
 */
#include "duration.h"

#include <stddef.h>

/* Both of Unicode's signs for micro, U+00B5 and U+03BC. */
static const struct {
	const char *name;
	uint64_t ns;
} units[] = {
	{ "ns", 1 }, { "us", 1000 }, { "\xc2\xb5s", 1000 },
	{ "\xce\xbcs", 1000 }, { "ms", 1000000 }, { "s", 1000000000 },
	{ "m", 60ull * 1000000000 }, { "h", 3600ull * 1000000000 },
};

static bool is_digit(struct span s)
{
	return s.len > 0 && *s.ptr >= '0' && *s.ptr <= '9';
}

static void skip(struct span *s, size_t n)
{
	s->ptr += n;
	s->len -= n;
}

/* False when it is too big; no digits are 0. */
static bool take_whole(struct span *s, uint64_t *out)
{
	for (*out = 0; is_digit(*s); skip(s, 1))
		if (__builtin_mul_overflow(*out, 10, out) ||
		    __builtin_add_overflow(*out, (uint64_t)(*s->ptr - '0'), out))
			return false;
	return true;
}

struct fraction {
	uint64_t n;
	double of;		/* 10, 100, ... */
};

/* What is behind the point; digits beyond the 18th are nothing. */
static struct fraction take_fraction(struct span *s)
{
	struct fraction f = { 0, 1 };

	for (; is_digit(*s); skip(s, 1)) {
		if (f.n >= UINT64_MAX / 100)
			continue;
		f.n = f.n * 10 + (uint64_t)(*s->ptr - '0');
		f.of *= 10;
	}
	return f;
}

/* 0: there is no such unit. */
static uint64_t take_unit(struct span *s)
{
	struct span name = { s->ptr, 0 };

	while (s->len > 0 && *s->ptr != '.' && !is_digit(*s)) {
		name.len++;
		skip(s, 1);
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (span_is_text(name, units[i].name))
			return units[i].ns;
	return 0;
}

/* Adds the next of 1h, 30m, 1.5s to the sum. */
static bool add_part(struct span *s, uint64_t *sum)
{
	uint64_t whole, part, unit;
	struct fraction f = { 0, 1 };
	size_t n_digits = s->len;

	if (!take_whole(s, &whole))
		return false;
	n_digits -= s->len;
	if (s->len > 0 && *s->ptr == '.') {
		size_t before;

		skip(s, 1);
		before = s->len;
		f = take_fraction(s);
		n_digits += before - s->len;
	}
	unit = take_unit(s);
	return n_digits > 0 && unit > 0 &&
	    !__builtin_mul_overflow(whole, unit, &part) &&
	    !__builtin_add_overflow(part,
		(uint64_t)((double)f.n * ((double)unit / f.of)), &part) &&
	    !__builtin_add_overflow(*sum, part, sum);
}

bool duration_parse(struct span text, int64_t *ns)
{
	uint64_t sum = 0;

	if (text.len > 0 && *text.ptr == '+')
		skip(&text, 1);
	if (span_is_text(text, "0")) {
		*ns = 0;
		return true;
	}
	if (text.len == 0)
		return false;
	while (text.len > 0)
		if (!add_part(&text, &sum))
			return false;
	if (sum > INT64_MAX)
		return false;
	*ns = (int64_t)sum;
	return true;
}
