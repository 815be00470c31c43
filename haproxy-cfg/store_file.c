/*
 * store_file.c - which files there are, which changed, and what they declare
 *
 * A sync reads what changed, takes out everything those files declared, and puts
 * in what they declare now, in the order of their paths: an object may move from
 * one file to another in one go, as when a ConfigMap's folder is swapped. Who
 * declares what another file has already keeps what it had.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arena.h"
#include "decode.h"
#include "json_tree.h"
#include "must.h"
#include "slurp.h"
#include "store_table.h"
#include "yaml.h"

enum {
	FIRST_BYTES = 16384, SMALL_BYTES = 1024,
	FILE_BYTES_MAX = 256 << 20,
	NODES_MAX = 1000000,		/* of one object */
	SKIPPED_FIRST = 4, SKIPPED_MAX = 64,
	TRIES = 3,
};

struct manifest {
	struct store_file told;
	char *path;
	bool seen, is_changed, is_fresh, was_bad;
	struct stat sig;
	struct batch *held;	/* what it declares; NULL: nothing yet */
	struct batch *staged;	/* what it is about to declare */
	/* Of few: there are thousands of files. */
	struct fault *why;	/* told.why, if there was memory for it */
	struct store_skipped *skipped;
	size_t cap_skipped;
};

/* ---- what is wrong with a file ------------------------------------------- */

static const struct fault no_memory = { .found = "no memory", .is_set = true };

static void blame(struct manifest *m, const struct fault *why)
{
	if (m->why == NULL)
		m->why = malloc(sizeof(*m->why));
	if (m->why != NULL)
		*m->why = *why;
	m->told.why = m->why != NULL ? m->why : &no_memory;
}

static void blame_memory(struct manifest *m)
{
	struct fault why = { 0 };

	fault_set(&why, m->path, 0, "no memory", NULL);
	blame(m, &why);
}

static void absolve(struct manifest *m)
{
	free(m->why);
	m->why = NULL;
	m->told.why = NULL;
}

/* ---- reading ------------------------------------------------------------- */

struct reading {
	struct manifest *m;
	const char *file;	/* lives as long as the objects */
	struct batch *batch;
	struct fault *why;
};

static void forget_skipped(struct manifest *m)
{
	for (size_t i = 0; i < m->told.n_skipped; i++)
		free((char *)m->skipped[i].kind);
	m->told.n_skipped = 0;
}

static bool reserve_skipped(struct manifest *m)
{
	size_t cap = m->cap_skipped > 0 ? 2 * m->cap_skipped : SKIPPED_FIRST;
	struct store_skipped *grown;

	if (m->told.n_skipped < m->cap_skipped)
		return true;
	grown = cap <= SKIPPED_MAX ?
	    realloc(m->skipped, cap * sizeof(*grown)) : NULL;
	if (grown == NULL)
		return false;
	m->told.skipped = m->skipped = grown;
	m->cap_skipped = cap;
	return true;
}

static void note_skipped(struct manifest *m, const char *kind, unsigned line)
{
	size_t i = 0, n = m->told.n_skipped;
	struct store_skipped *s;

	while (i < n && strcmp(m->skipped[i].kind, kind) != 0)
		i++;
	if (i < n) {
		m->skipped[i].n++;
		return;
	}
	if (!reserve_skipped(m))
		return;
	s = &m->skipped[n];
	*s = (struct store_skipped){ strdup(kind), line, 1 };
	m->told.n_skipped += s->kind != NULL;
}

/* kind: List, or HTTPRouteList; its entries were handed over before it. */
static bool is_list(const struct conf *root)
{
	const struct conf *kind = conf_child(root, "kind");
	size_t len = kind != NULL && kind->type == CONF_SCALAR ?
	    strlen(kind->text) : 0;

	return len >= 4 && strcmp(kind->text + len - 4, "List") == 0 &&
	    conf_child(root, "items") != NULL;
}

static bool on_document(void *data, const struct conf *root,
    struct conf_place place)
{
	struct reading *r = data;
	const struct object *o;
	char kind[128];
	int err;

	if (place.item == 0 && is_list(root))
		return true;
	err = decode_object(r->file, place.document, root, r->batch->arena,
	    &o, kind, sizeof(kind), r->why);
	if (err == DECODE_UNKNOWN) {
		note_skipped(r->m, kind, root->line);
		return true;
	}
	if (err == DECODE_OK && batch_add(r->batch, o))
		return true;
	fault_set(r->why, r->m->path, 0, "no memory for what it declares",
	    NULL);
	return false;
}

static bool is_json(const char *path)
{
	size_t len = strlen(path);

	return len >= 5 && strcmp(path + len - 5, ".json") == 0;
}

/* What the text declares; NULL with the file blamed. */
static struct batch *parse(struct manifest *m, struct span text)
{
	static const struct yaml_limits limits = {
		.max_bytes = FILE_BYTES_MAX, .max_nodes = NODES_MAX,
	};
	struct fault why = { 0 };
	struct reading r = { .m = m, .why = &why };
	int err;

	forget_skipped(m);
	/*
	 * Structs are about as large as their text, rarely three times; and a
	 * file may be one route of thousands.
	 */
	r.batch = batch_new(text.len < FIRST_BYTES ? text.len + SMALL_BYTES :
	    text.len / 4 + FIRST_BYTES,
	    (size_t)16 * FILE_BYTES_MAX);
	if (r.batch == NULL) {
		blame_memory(m);
		return NULL;
	}
	r.batch->is_file = true;
	r.file = arena_copy(r.batch->arena, m->path, strlen(m->path));
	if (r.file == NULL)
		r.file = "";
	err = (is_json(m->path) ? json_each : yaml_each)(m->path, text,
	    &limits, on_document, &r, r.why);
	if (err == 0)
		return r.batch;
	blame(m, &why);
	batch_free(r.batch);
	return NULL;
}

static struct batch *bad(struct manifest *m, const char *found)
{
	struct fault why = { 0 };

	fault_set(&why, m->path, 0, found, "a file that can be read");
	blame(m, &why);
	return NULL;
}

static struct batch *read_file(struct manifest *m)
{
	for (int i = 0; i < TRIES; i++) {
		struct batch *b;
		char *bytes;
		ssize_t n;

		if (stat(m->path, &m->sig) != 0)
			return bad(m, strerror(errno));
		if (m->sig.st_size > FILE_BYTES_MAX)
			return bad(m, "more than 256 MiB");
		n = slurp_file(m->path, (size_t)m->sig.st_size + 1, &bytes);
		if (n < 0)
			return bad(m, n == -EINVAL ? "not a regular file" :
			    strerror((int)-n));
		b = n == m->sig.st_size ?
		    parse(m, (struct span){ bytes, (size_t)n }) : NULL;
		free(bytes);
		if (n == m->sig.st_size)
			return b;
	}
	return bad(m, "it grows while it is read");
}

/* ---- which files --------------------------------------------------------- */

/* Where it is, or would be. */
static size_t place_of(const struct store *s, const char *path)
{
	size_t low = 0, high = s->n_files;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(s->files[mid]->path, path) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct manifest *find_file(const struct store *s, const char *path)
{
	size_t at = place_of(s, path);

	return at < s->n_files && strcmp(s->files[at]->path, path) == 0 ?
	    s->files[at] : NULL;
}

static struct manifest *add_file(struct store *s, const char *path)
{
	struct manifest *m;
	size_t at = place_of(s, path);

	if (s->n_files == s->cap_files) {
		size_t cap = s->cap_files > 0 ? 2 * s->cap_files : 8;
		struct manifest **grown = realloc(s->files,
		    cap * sizeof(*grown));

		if (grown == NULL)
			return NULL;
		s->files = grown;
		s->cap_files = cap;
	}
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->path = strdup(path);
	if (m->path == NULL) {
		free(m);
		return NULL;
	}
	m->told.path = m->path;
	m->is_changed = true;
	memmove(&s->files[at + 1], &s->files[at],
	    (s->n_files - at) * sizeof(*s->files));
	s->files[at] = m;
	s->n_files++;
	return m;
}

static void free_file(struct manifest *m)
{
	forget_skipped(m);
	absolve(m);
	batch_free(m->held);
	batch_free(m->staged);
	free(m->skipped);
	free(m->path);
	free(m);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool see_file(struct store *s, const char *path, const struct stat *now)
{
	struct manifest *m = find_file(s, path);

	if (m == NULL)
		m = add_file(s, path);
	if (m == NULL)
		return false;
	m->seen = true;
	m->is_changed = m->is_changed || !is_same(now, &m->sig);
	return true;
}

static bool is_manifest(const char *name)
{
	static const char *const tails[] = { ".yaml", ".yml", ".json" };
	size_t len = strlen(name);

	for (size_t i = 0; name[0] != '.' && i < 3; i++)
		if (len > strlen(tails[i]) &&
		    strcmp(name + len - strlen(tails[i]), tails[i]) == 0)
			return true;
	return false;
}

/* All zeroes of what is not there. */
static struct stat stat_of(const char *path)
{
	struct stat now;

	if (stat(path, &now) != 0)
		memset(&now, 0, sizeof(now));
	return now;
}

/* A folder that cannot be read now: what is known to be in it stays. */
static void keep_folder(struct store *s, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < s->n_files; i++)
		if (strncmp(s->files[i]->path, path, len) == 0 &&
		    s->files[i]->path[len] == '/')
			s->files[i]->seen = true;
}

static bool see_folder(struct store *s, DIR *dir, const char *path)
{
	const struct dirent *entry;

	while (errno = 0, (entry = readdir(dir)) != NULL) {
		char full[PATH_MAX];
		struct stat st;
		int n = snprintf(full, sizeof(full), "%s/%s", path,
		    entry->d_name);

		if (!is_manifest(entry->d_name) || n >= (int)sizeof(full))
			continue;
		st = stat_of(full);
		if (!S_ISDIR(st.st_mode) && !see_file(s, full, &st))
			return false;
	}
	if (errno != 0)
		keep_folder(s, path);
	return true;
}

static bool see(struct store *s, const char *path)
{
	DIR *dir = opendir(path);
	struct stat st;
	bool ok;

	if (dir == NULL) {
		if (errno != ENOTDIR)
			keep_folder(s, path);
		st = stat_of(path);
		return see_file(s, path, &st);	/* or why it cannot be read */
	}
	ok = see_folder(s, dir, path);
	closedir(dir);
	return ok;
}

/* ---- taking over --------------------------------------------------------- */

static bool is_declared(const struct store *s, const struct object *o)
{
	return store_find(s, o->kind, o->namespace, o->name) == o;
}

static void take_out(struct store *s, const struct batch *b)
{
	for (size_t i = 0; b != NULL && i < b->n; i++)
		if (is_declared(s, b->objects[i]))
			store_remove(s, b->objects[i]);
}

static void twice(struct manifest *m, const struct object *first,
    const struct object *again)
{
	struct fault why = { 0 };
	char title[400];

	snprintf(title, sizeof(title), "%s %s%s%s", kind_name(again->kind),
	    again->namespace, again->namespace[0] != '\0' ? "/" : "",
	    again->name);
	fault_setf(&why, m->path, again->line, "%s is declared a second time",
	    title);
	fault_want(&why, "it once; the first is in %s:%u",
	    first->file != NULL ? first->file : "the cluster", first->line);
	blame(m, &why);
}

/* All of it or nothing; false with the file blamed. */
static bool put_in(struct store *s, struct manifest *m, struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct object *o = b->objects[i];
		const struct object *first = store_find(s, o->kind,
		    o->namespace, o->name);

		if (first == NULL && store_insert(s, o, b))
			continue;
		if (first != NULL)
			twice(m, first, o);
		else
			blame_memory(m);
		for (size_t k = 0; k < i; k++)
			store_remove(s, b->objects[k]);
		return false;
	}
	return true;
}

/* Back to what it declared before, as far as nobody else declares it now. */
static void put_back(struct store *s, const struct manifest *m)
{
	struct batch *b = m->held;

	for (size_t i = 0; b != NULL && i < b->n; i++) {
		const struct object *o = b->objects[i];

		if (store_find(s, o->kind, o->namespace, o->name) == NULL)
			store_insert(s, o, b);
	}
}

static void take_over(struct store *s, struct manifest *m)
{
	if (m->staged != NULL && put_in(s, m, m->staged)) {
		store_retire(s, m->held);
		m->held = m->staged;
		m->told.is_bad = false;
		absolve(m);
	} else {
		/* Lists may have some of it still: it goes with the sweep. */
		store_retire(s, m->staged);
		put_back(s, m);
		m->told.is_bad = true;
	}
	m->staged = NULL;
	/* What was refused for another file's sake is looked at again. */
	m->is_changed = m->told.is_bad;
	m->told.n_objects = 0;
	for (size_t i = 0; m->held != NULL && i < m->held->n; i++)
		m->told.n_objects += is_declared(s, m->held->objects[i]);
}

/* Those that are gone; what they declared is so too. */
static bool drop_unseen(struct store *s)
{
	size_t kept = 0;
	bool any = false;

	for (size_t i = 0; i < s->n_files; i++) {
		struct manifest *m = s->files[i];

		if (m->seen) {
			s->files[kept++] = m;
			continue;
		}
		any = true;
		take_out(s, m->held);
		store_retire(s, m->held);
		m->held = NULL;
		free_file(m);
	}
	s->n_files = kept;
	return any;
}

static bool take_over_changed(struct store *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n_files; i++) {
		struct manifest *m = s->files[i];

		m->is_fresh = m->is_changed;
		if (!m->is_changed)
			continue;
		m->was_bad = m->told.is_bad;
		m->staged = read_file(m);
	}
	for (size_t i = 0; i < s->n_files; i++)
		if (s->files[i]->is_fresh)
			take_out(s, s->files[i]->held);
	for (size_t i = 0; i < s->n_files; i++) {
		struct manifest *m = s->files[i];

		if (!m->is_fresh)
			continue;
		take_over(s, m);
		/* Bad, and it was before: what it declares is as it was. */
		any |= !(m->was_bad && m->told.is_bad);
	}
	return any;
}

int store_sync(struct store *s, const char *const *paths, size_t n,
    bool *changed)
{
	for (size_t i = 0; i < s->n_files; i++)
		s->files[i]->seen = false;
	*changed = false;
	for (size_t i = 0; i < n; i++)
		if (!see(s, paths[i]))
			return -ENOMEM;
	*changed = drop_unseen(s);
	*changed = take_over_changed(s) || *changed;
	return 0;
}

int store_put_text(struct store *s, const char *name, struct span text,
    struct fault *why)
{
	struct manifest *m = find_file(s, name);

	if (m == NULL)
		m = add_file(s, name);
	if (m == NULL)
		return -ENOMEM;
	m->staged = parse(m, text);
	take_out(s, m->held);
	take_over(s, m);
	if (m->told.is_bad)
		*why = *m->told.why;
	return m->told.is_bad ? -EINVAL : 0;
}

size_t store_n_files(const struct store *s)
{
	return s->n_files;
}

const struct store_file *store_file(const struct store *s, size_t i)
{
	must(i < s->n_files);
	return &s->files[i]->told;
}

void store_files_free(struct store *s)
{
	for (size_t i = 0; i < s->n_files; i++) {
		take_out(s, s->files[i]->held);
		free_file(s->files[i]);
	}
	free(s->files);
}
