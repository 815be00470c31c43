/*
 * render_conditions.c - methods, headers, parameters, regular expressions: by maps
 *
 * What a request is looked at for is an attribute: the value of a header, or whether a
 * regular expression fits. Attributes that some match wants together are a schema. The
 * frontend has a line for each attribute and each schema, of which there are few
 * however many routes there are; the values are keys of a map:
 *
 *	C|S|value|value → rank of the candidate in its group C
 *
 * All schemas of a group are looked up and the lowest rank wins, so candidates may be
 * in any order of precedence. Values are in hex: no value can be taken for two, and
 * none needs quoting. An absent header is an empty value, which no match has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "render_parts.h"
#include "words.h"

enum {
	ATTRIBUTES_MAX = 34,	/* 16 headers, 16 parameters, method, path */
	/* What a group looks at, at most: a value of a map fits a line of commands. */
	NAMES_MAX = 14000 / WORDS_ID_BYTES,
};

struct valued {			/* one attribute and the value wanted */
	struct attribute *attribute;
	const char *value;
};

struct wanted {			/* by one match */
	struct valued items[ATTRIBUTES_MAX];
	size_t n;
};

bool render_is_conditional(const struct plan_match *m)
{
	return m->method != NULL || m->n_tests > 0 ||
	    m->path_type == PLAN_PATH_REGEX;
}

/* ---- attributes --------------------------------------------------------- */

static struct attribute *get_attribute(struct render *r, int type,
    const char *of, const char *regex)
{
	struct attribute *a, **at;
	struct id *id;

	buf_printf(&r->content, "%d|%s|%s%s", type, of,
	    regex != NULL ? "~" : "", regex != NULL ? regex : "");
	id = render_id(r, 'A');
	if (id->data != NULL || r->failed)
		return id->data;
	a = render_alloc(r, sizeof(*a));
	at = render_add(r, &r->attributes);
	if (a == NULL || at == NULL)
		return NULL;
	*a = (struct attribute){ .name = id->name, .type = type, .of = of,
		.regex = regex };
	*at = a;
	id->data = a;
	return a;
}

static bool want(struct render *r, struct wanted *w, int type, const char *of,
    const char *value, bool is_regex)
{
	struct attribute *a;

	if (w->n == ATTRIBUTES_MAX)
		return false;
	a = get_attribute(r, type, of, is_regex ? value : NULL);
	w->items[w->n++] = (struct valued){ a, is_regex ? "1" : value };
	return a != NULL;
}

static bool refuse(struct render *r, const struct plan_match *m,
    const char *what, const char *value, const char *why)
{
	render_problem(r, &m->rule->ref, "UnsupportedValue",
	    "Dropped Rule: %s \"%.200s\" %s", what, value, why);
	return false;
}

static bool want_test(struct render *r, struct wanted *w,
    const struct plan_match *m, const struct plan_test *t)
{
	bool is_header = t->type == PLAN_TEST_HEADER;

	if (!words_is_name(t->name))
		return refuse(r, m, is_header ? "header name" :
		    "query parameter", t->name,
		    "has a character that HAProxy takes for its own");
	if (t->is_regex && !words_is_regex(t->value))
		return refuse(r, m, "regular expression", t->value,
		    "is none to PCRE2");
	return want(r, w, is_header ? ATTRIBUTE_HEADER : ATTRIBUTE_QUERY,
	    t->name, t->value, t->is_regex);
}

static int by_attribute_name(const void *left, const void *right)
{
	const struct valued *a = left, *b = right;

	return strcmp(a->attribute->name, b->attribute->name);
}

/* False where one of them cannot be looked at: then the match is left out. */
static bool find_wanted(struct render *r, const struct plan_match *m,
    struct wanted *w)
{
	w->n = 0;
	if (m->path_type == PLAN_PATH_REGEX && !words_is_regex(m->path))
		return refuse(r, m, "regular expression", m->path,
		    "is none to PCRE2");
	if (m->path_type == PLAN_PATH_REGEX &&
	    !want(r, w, ATTRIBUTE_PATH, "", m->path, true))
		return false;
	if (m->method != NULL &&
	    !want(r, w, ATTRIBUTE_METHOD, "", m->method, false))
		return false;
	for (size_t i = 0; i < m->n_tests; i++)
		if (!want_test(r, w, m, &m->tests[i]))
			return false;
	if (!r->failed)
		qsort(w->items, w->n, sizeof(*w->items), by_attribute_name);
	return !r->failed;
}

/* ---- schemas ------------------------------------------------------------ */

static struct schema *get_schema(struct render *r, const struct wanted *w)
{
	struct schema *s, **at;
	struct id *id;

	for (size_t i = 0; i < w->n; i++)
		buf_puts(&r->content, w->items[i].attribute->name);
	id = render_id(r, 'S');
	if (id->data != NULL || r->failed)
		return id->data;
	s = render_alloc(r, sizeof(*s));
	at = render_add(r, &r->schemas);
	if (s == NULL || at == NULL)
		return NULL;
	s->attributes = render_alloc(r, w->n * sizeof(*s->attributes));
	if (s->attributes == NULL)
		return NULL;
	for (size_t i = 0; i < w->n; i++)
		s->attributes[i] = w->items[i].attribute;
	s->n = w->n;
	s->name = id->name;
	*at = s;
	id->data = s;
	return s;
}

/* ---- groups ------------------------------------------------------------- */

struct candidate {
	struct schema *schema;	/* NULL: always fits */
	const char *key;	/* "S|value|value" */
	const char *rule;
	bool is_shadowed;	/* out of reach: an earlier one wants the same */
};

static const char *copy_line(struct render *r)
{
	size_t len = r->line.len;
	char *copy = render_alloc(r, len + 1);

	if (copy != NULL && !buf_failed(&r->line))
		memcpy(copy, r->line.data, len);
	return copy != NULL ? copy : "";
}

static bool make_candidate(struct render *r, const struct plan_match *m,
    struct candidate *c)
{
	struct wanted w;

	*c = (struct candidate){ .key = "" };
	if (render_is_conditional(m)) {
		if (!find_wanted(r, m, &w))
			return false;
		c->schema = get_schema(r, &w);
		if (c->schema == NULL)
			return false;
		buf_clear(&r->line);
		buf_puts(&r->line, c->schema->name);
		for (size_t i = 0; i < w.n; i++) {
			const struct valued *v = &w.items[i];

			buf_puts(&r->line, "|");
			if (v->attribute->regex != NULL)
				buf_puts(&r->line, v->value);
			else
				words_hex(&r->line, v->value, strlen(v->value));
		}
		c->key = copy_line(r);
	}
	c->rule = render_rule(r, m->rule, m, BACKEND_HTTP);
	return !r->failed;
}

static const char *key_of(struct render *r, const char *group,
    const char *tail)
{
	buf_clear(&r->line);
	buf_printf(&r->line, "%s|%s", group, tail);
	buf_put(&r->line, "", 1);
	return buf_failed(&r->line) ? "" : r->line.data;
}

static bool is_new(const struct render *r, size_t round)
{
	return round != r->round;
}

/* Appends a name, with a comma behind it, that was not yet in this round. */
static void use_name(struct render *r, const char *name, size_t *round)
{
	if (is_new(r, *round))
		buf_printf(&r->uses, "%s,", name);
	*round = r->round;
}

/* What the group looks at, each once, into r->uses. False: it is too much. */
static bool use(struct render *r, struct schema *s)
{
	size_t n = r->uses.len / WORDS_ID_BYTES + 1;

	if (s == NULL || !is_new(r, s->round))
		return true;
	for (size_t i = 0; i < s->n; i++)
		n += is_new(r, s->attributes[i]->round);
	if (n > NAMES_MAX)
		return false;
	use_name(r, s->name, &s->round);
	for (size_t i = 0; i < s->n; i++)
		use_name(r, s->attributes[i]->name, &s->attributes[i]->round);
	return true;
}

static bool take_candidate(struct render *r, const struct plan_match *m,
    struct candidate *c)
{
	if (!make_candidate(r, m, c))
		return false;
	if (use(r, c->schema))
		return true;
	render_problem(r, &m->rule->ref, "UnsupportedValue",
	    "Dropped Rule: matches of one hostname and path look at more than "
	    "%d headers, parameters and regular expressions", NAMES_MAX);
	return false;
}

static int by_key_then_place(const void *left, const void *right)
{
	const struct candidate *const *a = left, *const *b = right;
	int order = strcmp((*a)->key, (*b)->key);

	return order != 0 ? order : (*a > *b) - (*a < *b);
}

/* The earlier of two that want the same is the one. */
static void find_shadowed(struct render *r, struct candidate *c, size_t n)
{
	struct candidate **sorted = render_alloc(r, n * sizeof(*sorted));

	if (sorted == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &c[i];
	qsort(sorted, n, sizeof(*sorted), by_key_then_place);
	for (size_t i = 1; i < n; i++)
		sorted[i]->is_shadowed = strcmp(sorted[i - 1]->key,
		    sorted[i]->key) == 0;
}

static void put_group(struct render *r, const char *group,
    struct candidate *c, size_t n)
{
	char rank[24];

	buf_put(&r->uses, "", 1);
	if (!buf_failed(&r->uses))
		output_map_add(r->out, MAP_USES, group, r->uses.data);
	find_shadowed(r, c, n);
	for (size_t i = 0; i < n; i++) {
		snprintf(rank, sizeof(rank), "%zu", c[i].schema != NULL ? i :
		    (size_t)RENDER_NO_RANK);
		if (c[i].is_shadowed)
			continue;
		if (c[i].schema != NULL)
			output_map_add(r->out, MAP_CONDITION,
			    key_of(r, group, c[i].key), rank);
		output_map_add(r->out, MAP_PICK, key_of(r, group, rank),
		    c[i].rule);
	}
}

const char *render_candidates(struct render *r,
    const struct plan_match *const *matches, size_t n)
{
	struct candidate *c = render_alloc(r, (n + 1) * sizeof(*c));
	struct id *id;
	size_t kept = 0;

	r->round++;
	buf_clear(&r->uses);
	buf_puts(&r->uses, ",");
	for (size_t i = 0; c != NULL && i < n; i++)
		kept += take_candidate(r, matches[i], &c[kept]);
	if (kept == 0 || r->failed)
		return "";
	if (c[0].schema == NULL)
		return c[0].rule;
	for (size_t i = 0; i < kept; i++)
		buf_printf(&r->content, "%s=%s\n", c[i].key, c[i].rule);
	id = render_id(r, 'C');
	if (id->data == NULL)
		put_group(r, id->name, c, kept);
	id->data = c;
	return id->name;
}

/* ---- lines -------------------------------------------------------------- */

static int by_attribute(const void *left, const void *right)
{
	const struct attribute *const *a = left, *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

static int by_schema(const void *left, const void *right)
{
	const struct schema *const *a = left, *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

void render_sort_conditions(struct render *r)
{
	if (r->attributes.n > 0)
		qsort(r->attributes.items, r->attributes.n,
		    sizeof(struct attribute *), by_attribute);
	if (r->schemas.n > 0)
		qsort(r->schemas.items, r->schemas.n, sizeof(struct schema *),
		    by_schema);
}

static void put_fetch(struct buf *b, const struct attribute *a)
{
	switch (a->type) {
	case ATTRIBUTE_METHOD:
		buf_puts(b, "method");
		break;
	case ATTRIBUTE_HEADER:
		buf_printf(b, "req.fhdr(%s)", a->of);
		break;
	case ATTRIBUTE_QUERY:
		buf_printf(b, "urlp(%s),url_dec", a->of);
		break;
	case ATTRIBUTE_PATH:
		buf_puts(b, "path");
		break;
	}
}

static void put_attribute(struct buf *b, const struct attribute *a)
{
	buf_printf(b, "    http-request set-var(txn.%s) ", a->name);
	if (a->regex == NULL) {
		put_fetch(b, a);
		buf_printf(b, ",hex if { var(txn.use) -m sub ,%s, }\n",
		    a->name);
		return;
	}
	buf_printf(b, "str(1) if { var(txn.use) -m sub ,%s, } { ", a->name);
	put_fetch(b, a);
	buf_puts(b, " -m reg -- ");
	words_regex(b, a->regex);
	buf_puts(b, " }\n");
}

static void put_schema(struct buf *b, const struct schema *s)
{
	buf_puts(b, "    http-request set-var(txn.k) var(txn.r)");
	for (size_t i = 0; i < s->n; i++)
		buf_printf(b, ",concat(|%s%s,txn.%s)", i == 0 ? s->name : "",
		    i == 0 ? "|" : "", s->attributes[i]->name);
	buf_printf(b, ",map_str_int(" OUTPUT_GENERATION "%s,%d) if "
	    "{ var(txn.use) -m sub ,%s, }\n", output_map_files[MAP_CONDITION],
	    RENDER_NO_RANK, s->name);
	buf_printf(b, "    http-request set-var(txn.rank) var(txn.k) if "
	    "{ var(txn.use) -m sub ,%s, } { var(txn.k),sub(txn.rank) lt 0 }\n",
	    s->name);
}

void render_condition_lines(struct render *r)
{
	struct buf *b = &r->out->text;

	if (r->schemas.n == 0)
		return;
	buf_printf(b, "    http-request set-var(txn.use) var(txn.r),map_str("
	    OUTPUT_GENERATION "%s) if { var(txn.r) -m beg C }\n",
	    output_map_files[MAP_USES]);
	buf_printf(b, "    http-request set-var(txn.rank) int(%d)\n",
	    RENDER_NO_RANK);
	for (size_t i = 0; i < r->attributes.n; i++)
		put_attribute(b, r->attributes.items[i]);
	for (size_t i = 0; i < r->schemas.n; i++)
		put_schema(b, r->schemas.items[i]);
	buf_printf(b, "    http-request set-var(txn.r) var(txn.r),concat(|,"
	    "txn.rank),map_str(" OUTPUT_GENERATION "%s) if "
	    "{ var(txn.r) -m beg C }\n", output_map_files[MAP_PICK]);
}
