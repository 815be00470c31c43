/*
 * conf.c - walking a table over a map, and saying what does not fit
 *
 * Rows that were not given are decoded too, from their preset's text, so a
 * default passes through the same code and the same bounds as what an operator
 * writes.
 */
#include "conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "arena.h"
#include "fault.h"
#include "must.h"

enum { SHOWN_MAX = 64, WORD_MAX = 64, PATH_TEXT_MAX = 512 };

/* What an operator wrote, fit for one line of a log. */
static void show(char out[SHOWN_MAX], const struct conf *value)
{
	static const char *const kinds[] = {
		[CONF_NULL] = "nothing", [CONF_LIST] = "a list",
		[CONF_MAP] = "a map",
	};
	size_t len;

	if (value->type != CONF_SCALAR) {
		snprintf(out, SHOWN_MAX, "%s", kinds[value->type]);
		return;
	}
	snprintf(out, SHOWN_MAX, value->quoted ? "\"%s\"" : "%s", value->text);
	len = strlen(out);
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)out[i]))
			out[i] = '?';
}

/* What stands before a found thing's own words. */
static void path_to(char out[PATH_TEXT_MAX], const struct conf_input *in,
    const char *key)
{
	const struct fault_path here = { in->why->path, key, 0 };

	if (in->why->path == NULL)
		snprintf(out, PATH_TEXT_MAX, "%s", key != NULL ? key : "");
	else
		fault_path_text(key != NULL ? &here : here.up, out,
		    PATH_TEXT_MAX);
}

static void refuse(const struct conf_input *in, unsigned line,
    const char *key, const char *found, const char *want, va_list ap)
{
	char wanted[sizeof(in->why->want)], path[PATH_TEXT_MAX];

	path_to(path, in, key);
	vsnprintf(wanted, sizeof(wanted), want, ap);
	fault_setf(in->why, in->file, line, "%s%s%s", path,
	    path[0] != '\0' ? ": " : "", found);
	fault_want(in->why, "%s", wanted);
}

int conf_refuse(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, const char *want, ...)
{
	bool is_entry = in->why->path != NULL && value->key == NULL;
	char shown[SHOWN_MAX];
	va_list ap;

	show(shown, value);
	va_start(ap, want);
	refuse(in, value->line, is_entry ? NULL : row->key, shown, want, ap);
	va_end(ap);
	return -EINVAL;
}

int conf_refuse_at(const struct conf_input *in, const struct conf *map,
    const char *key, const char *found, const char *want, ...)
{
	const struct conf *value = key != NULL ? conf_child(map, key) : NULL;
	char shown[SHOWN_MAX];
	va_list ap;

	if (value == NULL)
		value = map;
	show(shown, value);
	va_start(ap, want);
	refuse(in, value->line, value == map ? NULL : key,
	    found != NULL ? found : shown, want, ap);
	va_end(ap);
	return -EINVAL;
}

int conf_no_memory(const struct conf_input *in)
{
	fault_set(in->why, in->file, 0, "no memory for what this file says",
	    NULL);
	return -ENOMEM;
}

static size_t least3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/*
 * Edit distance with neighbours swapped counted as one (optimal string
 * alignment): the three latest rows of the usual matrix are all it needs.
 */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *now = rows[2];
	size_t n_a = strlen(a), n_b = strlen(b);

	if (n_a > WORD_MAX || n_b > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= n_b; j++)
		above[j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			bool same = tolower((unsigned char)a[i - 1]) ==
			    tolower((unsigned char)b[j - 1]);

			now[j] = least3(above[j] + 1, now[j - 1] + 1,
			    above[j - 1] + !same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = above;
		above = now;
		now = spare;
	}
	return above[n_b];
}

/* As many as there is room for, none of them cut. */
static void want_any(struct fault *why, const char *const *names, size_t n)
{
	static const char more[] = ", ...";
	char all[sizeof(why->want)] = "one of:";
	size_t len = strlen(all);

	for (size_t i = 0; i < n; i++) {
		size_t room = sizeof(all) - len - (i + 1 < n ? strlen(more) : 0);

		if (strlen(names[i]) + strlen(", ") >= room) {
			snprintf(all + len, sizeof(all) - len, "%s", more);
			break;
		}
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s %s",
		    i > 0 ? "," : "", names[i]);
	}
	fault_want(why, "%s", all);
}

void conf_want_name(struct fault *why, const char *word,
    const char *const *names, size_t n)
{
	size_t best = SIZE_MAX, at = 0;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, names[i]);

		if (d < best) {
			best = d;
			at = i;
		}
	}
	if (n > 0 && best <= 1 + strlen(names[at]) / 3)
		fault_want(why, "%s", names[at]);
	else
		want_any(why, names, n);
}

static const struct conf_row *find_row(const struct conf_table *table,
    const char *key)
{
	for (size_t i = 0; i < table->n_rows; i++)
		if (strcmp(table->rows[i].key, key) == 0)
			return &table->rows[i];
	return NULL;
}

static int unknown_key(const struct conf_input *in,
    const struct conf_table *table, const struct conf *child)
{
	const struct conf word = {
		.type = CONF_SCALAR, .text = child->key, .line = child->line,
	};
	const char *names[CONF_ROWS_MAX];
	char shown[SHOWN_MAX], path[PATH_TEXT_MAX];

	must(table->n_rows <= CONF_ROWS_MAX);
	for (size_t i = 0; i < table->n_rows; i++)
		names[i] = table->rows[i].key;
	show(shown, &word);
	path_to(path, in, NULL);
	fault_setf(in->why, in->file, child->line, "%s%s%s with unknown key %s",
	    path, path[0] != '\0' ? ": " : "", table->what, shown);
	conf_want_name(in->why, child->key, names, table->n_rows);
	return -EINVAL;
}

static int decode_preset(const struct conf_input *in,
    const struct conf_row *row, const struct conf *map, void *out)
{
	const struct conf value = {
		.type = strcmp(row->preset, "{}") == 0 ? CONF_MAP : CONF_SCALAR,
		.text = row->preset, .line = map->line, .key = row->key,
	};

	return row->decode(in, row, &value, out);
}

static int missing(const struct conf_input *in, const struct conf_table *table,
    const struct conf_row *row, const struct conf *where)
{
	char path[PATH_TEXT_MAX];

	path_to(path, in, NULL);
	fault_setf(in->why, in->file, where->line, "%s%s%s without %s", path,
	    path[0] != '\0' ? ": " : "", table->what, row->key);
	fault_want(in->why, "%s: %s", row->key, row->help);
	return -EINVAL;
}

static int decode_row(const struct conf_input *in,
    const struct conf_table *table, const struct conf_row *row,
    const struct conf *map, void *out)
{
	const struct conf *value = conf_child(map, row->key);
	void *at = (char *)out + row->offset;

	if (conf_is_given(value))
		return row->decode(in, row, value, at);
	if (row->required)
		return missing(in, table, row, value != NULL ? value : map);
	return row->preset != NULL ? decode_preset(in, row, map, at) : 0;
}

int conf_decode(const struct conf_input *in, const struct conf_table *table,
    const struct conf *map, void *out)
{
	int err;

	if (map->type != CONF_MAP) {
		const struct conf_row row = { .key = table->what };

		return conf_refuse(in, &row, map, "a map: key: value");
	}
	for (const struct conf *c = map->children;
	    c != NULL && !table->is_open; c = c->next)
		if (find_row(table, c->key) == NULL)
			return unknown_key(in, table, c);
	for (size_t i = 0; i < table->n_rows; i++) {
		err = decode_row(in, table, &table->rows[i], map, out);
		if (err != 0)
			return err;
	}
	return table->check != NULL ? table->check(in, map, out) : 0;
}

/* Decodes one step further in, with the path kept for what goes wrong. */
static int descend(const struct conf_input *in, const struct conf_table *table,
    struct fault_path step, const struct conf *value, void *out)
{
	int err;

	step.up = in->why->path;
	if (step.up != NULL)
		in->why->path = &step;
	err = table->item != NULL ?
	    table->item->decode(in, table->item, value, out) :
	    conf_decode(in, table, value, out);
	in->why->path = step.up;
	return err;
}

int conf_section(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	if (value->type != CONF_MAP)
		return conf_refuse(in, row, value, "a map: key: value");
	return descend(in, row->table, (struct fault_path){ .key = row->key },
	    value, out);
}

int conf_pointer(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	void *thing = arena_zalloc(in->arena, row->table->size);

	if (thing == NULL)
		return conf_no_memory(in);
	*(void **)out = thing;
	return conf_section(in, row, value, thing);
}

int conf_ignore(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	(void)in;
	(void)row;
	(void)value;
	(void)out;
	return 0;
}

static int decode_entries(const struct conf_input *in,
    const struct conf_row *row, const struct conf *first, size_t n,
    char *array)
{
	const struct fault_path list = { in->why->path, row->key, 0 };
	const struct fault_path *up = in->why->path;
	int err = 0;

	if (up != NULL)
		in->why->path = &list;
	for (size_t i = 0; err == 0 && i < n; i++, first = first->next)
		err = descend(in, row->table, (struct fault_path){ .index = i },
		    first, array + i * row->table->size);
	in->why->path = up;
	return err;
}

int conf_list(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	const struct conf_table *table = row->table;
	bool is_one = table->item != NULL && value->type == CONF_SCALAR &&
	    in->why->path == NULL;
	const struct conf *c = is_one ? value : value->children;
	size_t n = is_one ? 1 : value->n_children;
	char *array;

	if (!is_one && value->type != CONF_LIST)
		return conf_refuse(in, row, value, "a list");
	if (n < row->min || (row->max != 0 && n > row->max))
		return conf_refuse(in, row, value, n < row->min ?
		    "a list of %ju or more" : "a list of at most %ju",
		    (uintmax_t)(n < row->min ? row->min : row->max));
	array = arena_zalloc(in->arena, n * table->size);
	if (array == NULL)
		return conf_no_memory(in);
	*(char **)out = array;
	*(size_t *)((char *)out - row->offset + row->offset_n) = n;
	return decode_entries(in, row, c, n, array);
}

static void print_rows(FILE *out, const struct conf_table *table,
    const char *prefix)
{
	for (size_t i = 0; i < table->n_rows; i++) {
		const struct conf_row *row = &table->rows[i];
		bool is_list = row->decode == conf_list || row->offset_n != 0;
		bool is_section = row->table != NULL && row->table->n_rows > 0;
		const char *preset = row->required ? "(required)" :
		    row->preset != NULL && !is_section ? row->preset : "";
		char name[256];

		snprintf(name, sizeof(name), "%s%s%s", prefix, row->key,
		    is_list ? "[]" : "");
		fprintf(out, "  %-40s %-16s %s\n", name, preset,
		    row->help != NULL ? row->help : "");
		if (!is_section)
			continue;
		snprintf(name, sizeof(name), "%s%s%s.", prefix, row->key,
		    is_list ? "[]" : "");
		print_rows(out, row->table, name);
	}
}

void conf_print_help(FILE *out, const struct conf_table *table)
{
	print_rows(out, table, "");
}
