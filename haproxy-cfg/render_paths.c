/*
 * render_paths.c - paths of a group: exact keys and prefix keys, each with all that
 * may apply there
 *
 * HAProxy finds one key: the exact one, else the longest prefix. If what is found
 * does not fit for its method or headers, the specification wants the next match in
 * order to be tried, from shorter prefixes too. So each key gets the matches of all
 * prefixes that contain it, in order, up to the first that always fits.
 *
 * Keys of prefixes end in "/", and so does what is looked for: "/foo" is no prefix of
 * "/foobar" then. A group's name ends at the first "/".
 */
#include <stdlib.h>
#include <string.h>

#include "render_parts.h"
#include "words.h"

struct place {
	const struct plan_match *match;
	size_t index;		/* in order of precedence */
};

struct paths {
	struct render *r;
	const char *group;
	struct place *sorted;	/* by type, path, index */
	size_t n;
	size_t n_prefix, n_exact, n_regex;	/* in this order */
	struct place *found;
	size_t n_found;
};

static int by_path(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int order = (int)a->match->path_type - (int)b->match->path_type;

	if (order == 0 && a->match->path_type != PLAN_PATH_REGEX)
		order = strcmp(a->match->path, b->match->path);
	return order != 0 ? order : (a->index > b->index) -
	    (a->index < b->index);
}

static int by_index(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	return (a->index > b->index) - (a->index < b->index);
}

/* -1, 0, 1: `path` before, at, behind the first `len` bytes of `to`. */
static int compare_front(const char *path, const char *to, size_t len)
{
	int order = strncmp(path, to, len);

	if (order == 0)
		order = path[len] != '\0';
	return order;
}

/* Adds the prefix matches of exactly the first `len` bytes of `path`. */
static void take_prefix(struct paths *p, const char *path, size_t len)
{
	size_t low = 0, high = p->n_prefix;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_front(p->sorted[middle].match->path, path, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < p->n_prefix && compare_front(
	    p->sorted[low].match->path, path, len) == 0; low++)
		p->found[p->n_found++] = p->sorted[low];
}

/* Prefixes that contain `path`, itself included. */
static void take_prefixes(struct paths *p, const char *path)
{
	size_t len = strlen(path);

	take_prefix(p, "/", 1);
	for (size_t i = 1; i < len; i++)
		if (path[i] == '/')
			take_prefix(p, path, i);
	if (len > 1)
		take_prefix(p, path, len);
}

/* What all those found mean, together: R, C or "". */
static const char *settle(struct paths *p)
{
	const struct plan_match **list;
	size_t n = 0;

	for (size_t i = p->n_prefix + p->n_exact; i < p->n; i++)
		p->found[p->n_found++] = p->sorted[i];	/* regexes: anywhere */
	if (p->n_found > 1)
		qsort(p->found, p->n_found, sizeof(*p->found), by_index);
	list = render_alloc(p->r, (p->n_found + 1) *
	    sizeof(struct plan_match *));
	if (list == NULL)
		return "";
	while (n < p->n_found) {
		list[n] = p->found[n].match;
		if (!render_is_conditional(list[n++]))
			break;
	}
	return render_candidates(p->r, list, n);
}

static void put_key(struct paths *p, enum output_map_name map,
    const char *path, const char *tail)
{
	struct buf *b = &p->r->line;
	const char *value = settle(p);

	if (*value == '\0')
		return;
	buf_clear(b);
	buf_puts(b, p->group);
	buf_puts(b, path);
	buf_puts(b, tail);
	buf_put(b, "", 1);
	if (!buf_failed(b))
		output_map_add(p->r->out, map, b->data, value);
}

static void put_prefix(struct paths *p, const char *path)
{
	p->n_found = 0;
	take_prefixes(p, path);
	put_key(p, MAP_PREFIX, path, strcmp(path, "/") == 0 ? "" : "/");
}

static bool is_same_path(const struct paths *p, size_t i, size_t first)
{
	return i > first && strcmp(p->sorted[i].match->path,
	    p->sorted[i - 1].match->path) == 0;
}

/* All matches of that exact path stand together, from i on. */
static void put_exact(struct paths *p, size_t i)
{
	const char *path = p->sorted[i].match->path;

	p->n_found = 0;
	for (; i < p->n_prefix + p->n_exact &&
	    strcmp(p->sorted[i].match->path, path) == 0; i++)
		p->found[p->n_found++] = p->sorted[i];
	take_prefixes(p, path);
	put_key(p, MAP_EXACT, path, "");
}

static bool is_speakable(struct render *r, const struct plan_match *m)
{
	if (m->path_type == PLAN_PATH_REGEX ||
	    (m->path[0] == '/' && words_is_key(m->path)))
		return true;
	render_problem(r, &m->rule->ref, "UnsupportedValue",
	    "Dropped Rule: path \"%.200s\" is not one that a client can send",
	    m->path);
	return false;
}

static void sort(struct paths *p, const struct plan_match *const *matches,
    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_speakable(p->r, matches[i]))
			continue;
		p->sorted[p->n++] = (struct place){ matches[i], i };
		p->n_prefix += matches[i]->path_type == PLAN_PATH_PREFIX;
		p->n_exact += matches[i]->path_type == PLAN_PATH_EXACT;
		p->n_regex += matches[i]->path_type == PLAN_PATH_REGEX;
	}
	if (p->n > 1)
		qsort(p->sorted, p->n, sizeof(*p->sorted), by_path);
}

void render_paths(struct render *r, const char *group,
    const struct plan_match *const *matches, size_t n)
{
	struct paths p = { .r = r, .group = group };

	p.sorted = render_alloc(r, 2 * (n + 1) * sizeof(*p.sorted));
	if (p.sorted == NULL)
		return;
	p.found = p.sorted + n + 1;
	sort(&p, matches, n);
	for (size_t i = 0; i < p.n_prefix; i++)
		if (!is_same_path(&p, i, 0))
			put_prefix(&p, p.sorted[i].match->path);
	if (p.n_regex > 0 && (p.n_prefix == 0 ||
	    strcmp(p.sorted[0].match->path, "/") != 0))
		put_prefix(&p, "/");
	for (size_t i = p.n_prefix; i < p.n_prefix + p.n_exact; i++)
		if (!is_same_path(&p, i, p.n_prefix))
			put_exact(&p, i);
}
