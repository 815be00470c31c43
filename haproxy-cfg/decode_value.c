/*
 * decode_value.c - durations, times, label maps, selectors
 */
#include "decode.h"
#include "decode_rows.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "fault.h"

/* GEP-2257: ([0-9]{1,5}(h|m|s|ms)){1,4} */
static bool parse_duration(const char *text, int64_t *out)
{
	int64_t sum = 0;

	for (size_t parts = 0; *text != '\0'; parts++) {
		int64_t n = 0;
		size_t digits = 0;

		for (; isdigit((unsigned char)*text); text++, digits++)
			if (digits < 5)
				n = n * 10 + (*text - '0');
		if (digits == 0 || digits > 5 || parts == 4)
			return false;
		if (text[0] == 'm' && text[1] == 's')
			text++;
		else if (text[0] == 'h')
			n *= 3600 * 1000;
		else if (text[0] == 'm')
			n *= 60 * 1000;
		else if (text[0] == 's')
			n *= 1000;
		else
			return false;
		text++;
		sum += n;
	}
	*out = sum;
	return true;
}

int kube_duration(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	/* A preset's way to say that none was given; nobody can write it. */
	if (value->type == CONF_SCALAR && !value->quoted &&
	    value->text[0] == '\0') {
		*(int64_t *)out = KINDS_NOT_GIVEN;
		return 0;
	}
	if (value->type != CONF_SCALAR || value->text[0] == '\0' ||
	    !parse_duration(value->text, out))
		return conf_refuse(in, row, value,
		    "a duration as 500ms, 10s, 1m30s or 1h");
	return 0;
}

/* `n` digits at `*at`, then `end`; -1: something else stands there. */
static int digits(const char **at, int n, char end)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (!isdigit((unsigned char)**at))
			return -1;
		value = value * 10 + (*(*at)++ - '0');
	}
	if (end != '\0' && *(*at)++ != end)
		return -1;
	return value;
}

/* Days from 1970-01-01; the proleptic Gregorian calendar, in eras of 400 years. */
static int64_t days_of(int64_t year, int month, int day)
{
	int64_t era, of_era, of_year;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	of_era = (year - era * 400) * 365 + (year - era * 400) / 4 -
	    (year - era * 400) / 100 + of_year;
	return era * 146097 + of_era - 719468;
}

/* RFC 3339 in UTC, as the API server writes it: 2026-01-31T23:59:59Z */
static bool parse_time(const char *at, int64_t *out)
{
	int year = digits(&at, 4, '-'), month = digits(&at, 2, '-');
	int day = digits(&at, 2, 'T'), hour = digits(&at, 2, ':');
	int minute = digits(&at, 2, ':'), second = digits(&at, 2, '\0');

	if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31 ||
	    hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
	    second < 0 || second > 60)
		return false;
	if (*at == '.')
		at += 1 + strspn(at + 1, "0123456789");
	if (strcmp(at, "Z") != 0)
		return false;
	*out = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 +
	    second;
	return true;
}

bool decode_time(const char *text, int64_t *out)
{
	/* What is shorter would be read past its end by digits(). */
	return strlen(text) >= sizeof("2026-01-31T23:59:59Z") - 1 &&
	    parse_time(text, out);
}

int kube_time(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	if (value->type != CONF_SCALAR || !decode_time(value->text, out))
		return conf_refuse(in, row, value,
		    "a time in UTC, as 2026-01-31T23:59:59Z");
	return 0;
}

int kube_word(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	int which, err = conf_enum(in, row, value, &which);

	if (err == 0)
		*(const char **)out = row->names[which];
	return err;
}

int kube_enum_bool(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	(void)in;
	(void)row;
	(void)value;
	*(bool *)out = true;
	return 0;
}

static int by_key(const void *left, const void *right)
{
	const struct label *a = left, *b = right;

	return strcmp(a->key, b->key);
}

int kube_labels(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	static const struct conf_row item = { .key = "a value",
		.max = 256 << 10 };
	struct labels *labels = out;
	const struct conf *c = value->children;
	struct label *items;

	if (value->type != CONF_MAP)
		return conf_refuse(in, row, value, "a map: key: value");
	if (value->n_children < row->min ||
	    (row->max != 0 && value->n_children > row->max))
		return conf_refuse(in, row, value, "%ju to %ju entries",
		    (uintmax_t)row->min, (uintmax_t)row->max);
	items = arena_zalloc(in->arena, value->n_children * sizeof(*items));
	if (items == NULL)
		return conf_no_memory(in);
	for (size_t i = 0; c != NULL; c = c->next, i++) {
		struct conf_row one = item;
		int err;

		one.key = c->key;
		if (!conf_is_given(c)) {
			items[i].value = "";
		} else {
			err = kube_text(in, &one, c, &items[i].value);
			if (err != 0)
				return err;
		}
		items[i].key = arena_copy(in->arena, c->key, strlen(c->key));
		if (items[i].key == NULL)
			return conf_no_memory(in);
	}
	qsort(items, value->n_children, sizeof(*items), by_key);
	labels->items = items;
	labels->n = value->n_children;
	return 0;
}

static const char *const operators[] = { "In", "NotIn", "Exists",
	"DoesNotExist", NULL };

static int check_expression(const struct conf_input *in,
    const struct conf *map, void *out)
{
	const struct selector_expression *e = out;
	bool takes_values = e->op == SELECTOR_IN || e->op == SELECTOR_NOT_IN;

	if (takes_values == (e->n_values > 0))
		return 0;
	return conf_refuse_at(in, map, "values", NULL, takes_values ?
	    "one value or more for this operator" :
	    "no values for this operator");
}

static const struct conf_row word = { .key = "a word", .decode = kube_text };

static const struct conf_table word_table = {
	.what = "a word", .size = sizeof(char *), .item = &word,
};

static const struct conf_row expression_rows[] = {
	{ .key = "key", .decode = kube_text, .min = 1, .required = true,
	  .offset = offsetof(struct selector_expression, key),
	  .help = "a label's name" },
	{ .key = "operator", .decode = conf_enum, .names = operators,
	  .offset = offsetof(struct selector_expression, op), .required = true,
	  .help = "In, NotIn, Exists or DoesNotExist" },
	{ .key = "values", .decode = conf_list, .table = &word_table,
	  .offset = offsetof(struct selector_expression, values),
	  .offset_n = offsetof(struct selector_expression, n_values),
	  .help = "of which the label has one, or none" },
};

static const struct conf_table expression_table = {
	.what = "a selector's expression", ROWS(expression_rows),
	.size = sizeof(struct selector_expression), .check = check_expression,
};

static const struct conf_row selector_rows[] = {
	{ .key = "matchLabels", .decode = kube_labels,
	  .offset = offsetof(struct selector, match),
	  .help = "labels that must be there" },
	{ .key = "matchExpressions", .decode = conf_list,
	  .table = &expression_table,
	  .offset = offsetof(struct selector, expressions),
	  .offset_n = offsetof(struct selector, n_expressions),
	  .help = "what must hold of labels" },
};

const struct conf_table selector_table = {
	.what = "a selector", ROWS(selector_rows),
	.size = sizeof(struct selector),
};
