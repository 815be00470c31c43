/*
 * conf_value.c - the decoders of single values: numbers, sizes, times, names
 *
 * Numbers are plain decimals. A leading zero is refused, since YAML 1.1 calls
 * it octal and people call it decimal; so are signs, underscores and exponents.
 */
#include "conf.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "arena.h"

/* Reads digits at `*text` and moves behind; false when none, or too big. */
static bool take_number(const char **text, uint64_t *out)
{
	const char *at = *text;
	uint64_t value = 0;

	if (!isdigit((unsigned char)*at) ||
	    (at[0] == '0' && isdigit((unsigned char)at[1])))
		return false;
	for (; isdigit((unsigned char)*at); at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*text = at;
	*out = value;
	return true;
}

static uint64_t most_of(const struct conf_row *row, uint64_t type_max)
{
	return row->max != 0 && row->max < type_max ? row->max : type_max;
}

static int number(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, uint64_t type_max, uint64_t *out)
{
	uint64_t most = most_of(row, type_max);
	const char *text = value->text;

	if (value->type != CONF_SCALAR || value->quoted ||
	    !take_number(&text, out) || *text != '\0' || *out < row->min ||
	    *out > most)
		return conf_refuse(in, row, value,
		    "a whole number from %ju to %ju", (uintmax_t)row->min,
		    (uintmax_t)most);
	return 0;
}

int conf_u16(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	uint64_t n;
	int err = number(in, row, value, UINT16_MAX, &n);

	if (err == 0)
		*(uint16_t *)out = (uint16_t)n;
	return err;
}

int conf_u32(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	uint64_t n;
	int err = number(in, row, value, UINT32_MAX, &n);

	if (err == 0)
		*(uint32_t *)out = (uint32_t)n;
	return err;
}

int conf_u64(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	return number(in, row, value, UINT64_MAX, out);
}

int conf_i32(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	bool is_scalar = value->type == CONF_SCALAR && !value->quoted;
	bool is_negative = is_scalar && value->text[0] == '-';
	const char *text = is_scalar ? value->text + is_negative : "";
	uint64_t n;

	if (!take_number(&text, &n) || *text != '\0' ||
	    n > (uint64_t)INT32_MAX + is_negative)
		return conf_refuse(in, row, value,
		    "a whole number from %d to %d", INT32_MIN, INT32_MAX);
	*(int32_t *)out = (int32_t)(is_negative ? -(int64_t)n : (int64_t)n);
	return 0;
}

/* "0.8", "12": digits with at most six behind the point. */
static bool parse_fraction(const char *text, double *out)
{
	uint64_t whole;
	double scale = 1;

	if (!take_number(&text, &whole) || whole > UINT32_MAX)
		return false;
	*out = (double)whole;
	if (*text == '\0')
		return true;
	if (*text++ != '.' || *text == '\0' || strlen(text) > 6)
		return false;
	for (; isdigit((unsigned char)*text); text++) {
		scale /= 10;
		*out += scale * (*text - '0');
	}
	return *text == '\0';
}

int conf_fraction(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	uint64_t most = most_of(row, UINT32_MAX);
	double n;

	if (value->type != CONF_SCALAR || value->quoted ||
	    !parse_fraction(value->text, &n) || n < (double)row->min ||
	    n > (double)most)
		return conf_refuse(in, row, value,
		    "a number from %ju to %ju, as 0.8", (uintmax_t)row->min,
		    (uintmax_t)most);
	*(float *)out = (float)n;
	return 0;
}

int conf_bool(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	if (value->type != CONF_SCALAR || value->quoted)
		return conf_refuse(in, row, value, "true or false");
	if (strcmp(value->text, "true") == 0)
		*(bool *)out = true;
	else if (strcmp(value->text, "false") == 0)
		*(bool *)out = false;
	else
		return conf_refuse(in, row, value, "true or false");
	return 0;
}

int conf_string(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	char *text;

	if (value->type != CONF_SCALAR || value->text[0] == '\0')
		return conf_refuse(in, row, value, "a string");
	text = arena_copy(in->arena, value->text, strlen(value->text));
	if (text == NULL)
		return conf_no_memory(in);
	*(char **)out = text;
	return 0;
}

int conf_enum(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	size_t n = 0;
	int err;

	if (value->type == CONF_SCALAR)
		for (size_t i = 0; row->names[i] != NULL; i++)
			if (strcmp(row->names[i], value->text) == 0) {
				*(int *)out = (int)i;
				return 0;
			}
	while (row->names[n] != NULL)
		n++;
	err = conf_refuse(in, row, value, "%s", "");
	conf_want_name(in->why,
	    value->type == CONF_SCALAR ? value->text : "", row->names, n);
	return err;
}

struct unit {
	const char *name;
	uint64_t times;
};

static uint64_t times_of(const struct unit *units, size_t n, const char *name,
    size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(units[i].name) == len &&
		    strncasecmp(units[i].name, name, len) == 0)
			return units[i].times;
	return 0;
}

/* HAProxy's k, m, g and Kubernetes' Ki, Mi, Gi: all of 1024. */
static bool parse_size(const char *text, uint64_t *out)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "k", 1 << 10 }, { "ki", 1 << 10 }, { "kib", 1 << 10 },
		{ "m", 1 << 20 }, { "mi", 1 << 20 }, { "mib", 1 << 20 },
		{ "g", 1 << 30 }, { "gi", 1 << 30 }, { "gib", 1 << 30 },
	};
	uint64_t n, times;

	if (!take_number(&text, &n))
		return false;
	times = times_of(units, sizeof(units) / sizeof(*units), text,
	    strlen(text));
	return times != 0 && !__builtin_mul_overflow(n, times, out);
}

int conf_size(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	uint64_t most = most_of(row, SIZE_MAX), n;

	if (value->type != CONF_SCALAR || !parse_size(value->text, &n))
		return conf_refuse(in, row, value,
		    "a size such as 65536, 64k, 16MiB or 1G");
	if (n < row->min || n > most)
		return conf_refuse(in, row, value,
		    "a size from %ju to %ju bytes", (uintmax_t)row->min,
		    (uintmax_t)most);
	*(size_t *)out = (size_t)n;
	return 0;
}

/* Numbers with units, as in 1m30s; a bare 0 needs none. */
static bool parse_duration(const char *text, uint64_t *out)
{
	static const struct unit units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
	};
	uint64_t sum = 0;

	if (strcmp(text, "0") == 0) {
		*out = 0;
		return true;
	}
	do {
		uint64_t n, times;
		size_t len = 0;

		if (!take_number(&text, &n))
			return false;
		while (isalpha((unsigned char)text[len]))
			len++;
		times = times_of(units, sizeof(units) / sizeof(*units), text,
		    len);
		if (times == 0 || __builtin_mul_overflow(n, times, &n) ||
		    __builtin_add_overflow(sum, n, &sum))
			return false;
		text += len;
	} while (*text != '\0');
	*out = sum;
	return true;
}

int conf_duration(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	uint64_t most = most_of(row, INT64_MAX), n;

	if (value->type != CONF_SCALAR || !parse_duration(value->text, &n))
		return conf_refuse(in, row, value,
		    "a duration such as 50ms, 1s, 2m or 1h");
	if (n < row->min || n > most)
		return conf_refuse(in, row, value,
		    "a duration from %jums to %jums", (uintmax_t)row->min,
		    (uintmax_t)most);
	*(int64_t *)out = (int64_t)n;
	return 0;
}
