/*
 * output.c - growing lists in an arena, and hashes of what is in the text
 */
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "hash.h"
#include "must.h"

enum {
	ARENA_FIRST_BYTES = 256 << 10,
	TEXT_MAX_BYTES = 256 << 20,
};

static const size_t ARENA_MAX_BYTES = (size_t)1 << 30;

const char *const output_map_files[OUTPUT_N_MAPS] = {
	[MAP_HOST] = "host.map", [MAP_EXACT] = "exact.map",
	[MAP_PREFIX] = "prefix.map", [MAP_USES] = "uses.map",
	[MAP_CONDITION] = "condition.map", [MAP_PICK] = "pick.map",
	[MAP_RULE] = "rule.map", [MAP_SPLIT] = "split.map",
	[MAP_OWNER] = "owner.map",
};

struct output *output_new(void)
{
	struct output *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->arena = arena_new(ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
	if (o->arena == NULL) {
		free(o);
		return NULL;
	}
	buf_init(&o->text, TEXT_MAX_BYTES);
	buf_init(&o->table, TEXT_MAX_BYTES);
	return o;
}

void output_free(struct output *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; i < OUTPUT_N_MAPS; i++)
		free(o->maps[i].items);
	free(o->sections.items);
	free(o->backends.items);
	free(o->servers.items);
	free(o->cert_lines.items);
	free(o->cert_lists.items);
	free(o->certs.items);
	free(o->cas.items);
	free(o->agent.items);
	buf_fini(&o->text);
	buf_fini(&o->table);
	arena_free(o->arena);
	free(o);
}

void *output_grow(struct output *o, void **items, size_t *n, size_t *cap,
    size_t size)
{
	void *at;

	if (*n == *cap) {
		size_t more = *cap != 0 ? 2 * *cap : 16;
		void *grown = realloc(*items, more * size);

		if (grown == NULL) {
			o->failed = true;
			return NULL;
		}
		*items = grown;
		*cap = more;
	}
	at = (char *)*items + (*n)++ * size;
	return memset(at, 0, size);
}

const char *output_copy(struct output *o, const char *text, size_t len)
{
	const char *copy = arena_copy(o->arena, text, len);

	if (copy == NULL) {
		o->failed = true;
		return "";
	}
	return copy;
}

const char *output_copyf(struct output *o, const char *fmt, ...)
{
	const char *text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vprintf(o->arena, fmt, ap);
	va_end(ap);
	if (text == NULL)
		o->failed = true;
	return text != NULL ? text : "";
}

uint64_t output_front(const char *key)
{
	uint64_t front = 0;

	for (size_t i = 0; i < sizeof(front); i++) {
		front = front << 8 | (unsigned char)*key;
		key += *key != '\0';
	}
	return front;
}

void output_map_add(struct output *o, enum output_map_name map,
    const char *key, const char *value)
{
	struct output_entry *e = output_add(o, &o->maps[map]);
	size_t n_key = strlen(key) + 1, n_value = strlen(value) + 1;
	char *both = arena_alloc(o->arena, n_key + n_value);

	if (e == NULL || both == NULL) {
		o->failed = true;
		return;
	}
	memcpy(both, key, n_key);
	memcpy(both + n_key, value, n_value);
	*e = (struct output_entry){ both, both + n_key, output_front(key),
		hash_bytes(both, n_key + n_value, 0) };
}

/* ---- sections ----------------------------------------------------------- */

/* What was appended since the mark counts for the shape. */
static void fold(struct output *o)
{
	if (o->text.len > o->mark)
		o->section_hash = hash_bytes(o->text.data + o->mark,
		    o->text.len - o->mark, o->section_hash);
	o->mark = o->text.len;
}

void output_section_begin(struct output *o, const char *name,
    const struct plan_ref *ref)
{
	struct output_section *s = output_add(o, &o->sections);

	o->mark = o->text.len;
	o->section_hash = 0;
	if (s == NULL)
		return;
	s->name = name;
	s->start = o->text.len;
	if (ref == NULL)
		return;
	s->ref = *ref;
	s->ref.namespace = output_copy(o, ref->namespace,
	    strlen(ref->namespace));
	s->ref.name = output_copy(o, ref->name, strlen(ref->name));
	s->ref.section = NULL;
}

void output_section_end(struct output *o)
{
	struct output_section *s;

	fold(o);
	if (o->failed)
		return;
	s = &o->sections.items[o->sections.n - 1];
	s->end = o->text.len;
	s->hash = o->section_hash;
}

void output_server_add(struct output *o, const struct output_server *s)
{
	struct output_server *copy = output_add(o, &o->servers);

	fold(o);
	buf_printf(&o->text, "    server %s %s%s%s\n", s->name, s->address,
	    *s->keywords != '\0' ? " " : "", s->keywords);
	o->mark = o->text.len;
	if (copy != NULL)
		*copy = *s;
}

/* ---- the end ------------------------------------------------------------ */

static int by_key(const void *left, const void *right)
{
	const struct output_entry *a = left, *b = right;

	if (a->front != b->front)
		return a->front < b->front ? -1 : 1;
	return strcmp(a->key, b->key);
}

static bool is_sorted(const struct output_map *m)
{
	for (size_t i = 1; i < m->n; i++)
		if (by_key(&m->items[i - 1], &m->items[i]) > 0)
			return false;
	return true;
}

static int by_backend_then_name(const void *left, const void *right)
{
	const struct output_server *a = left, *b = right;
	int order = strcmp(a->backend, b->backend);

	return order != 0 ? order : strcmp(a->name, b->name);
}

static int by_pem_name(const void *left, const void *right)
{
	const struct output_pem *a = left, *b = right;

	return strcmp(a->name, b->name);
}

/* Whoever wants a file names it; wanted twice it is one. */
static size_t unique_pems(struct output_pem *items, size_t n)
{
	size_t kept = 0;

	if (n > 0)
		qsort(items, n, sizeof(*items), by_pem_name);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 ||
		    strcmp(items[kept - 1].name, items[i].name) != 0)
			items[kept++] = items[i];
	return kept;
}

/* It lives on until the next one is there. */
static void trim(struct output_map *m)
{
	struct output_entry *items = m->n > 0 ?
	    realloc(m->items, m->n * sizeof(*items)) : NULL;

	if (items == NULL)
		return;
	m->items = items;
	m->cap = m->n;
}

/* A key twice would be two entries in HAProxy; equal ones are one. */
static void finish_map(struct output_map *m)
{
	size_t kept = 0;

	if (!is_sorted(m))
		qsort(m->items, m->n, sizeof(*m->items), by_key);
	for (size_t i = 0; i < m->n; i++)
		if (kept == 0 || by_key(&m->items[kept - 1], &m->items[i]) != 0)
			m->items[kept++] = m->items[i];
	m->n = kept;
	trim(m);
}

static int by_section_name(const void *left, const void *right)
{
	const struct output_section *const *a = left, *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

static void index_backends(struct output *o)
{
	for (size_t i = 0; i < o->sections.n; i++) {
		const struct output_section **at;

		if (*o->sections.items[i].name == '\0')
			continue;
		at = output_add(o, &o->backends);
		if (at != NULL)
			*at = &o->sections.items[i];
	}
	if (o->backends.n > 0)
		qsort(o->backends.items, o->backends.n,
		    sizeof(*o->backends.items), by_section_name);
}

static uint64_t hash_certs(const struct output *o)
{
	uint64_t h = 0;

	for (size_t i = 0; i < o->cert_lines.n; i++) {
		const struct output_cert_line *l = &o->cert_lines.items[i];

		h = hash_bytes(l->list, strlen(l->list) + 1, h);
		h = hash_bytes(l->cert, strlen(l->cert) + 1, h);
		h = hash_bytes(l->filters, strlen(l->filters) + 1, h);
	}
	return h;
}

void output_finish(struct output *o)
{
	uint64_t shape = 0;

	for (size_t i = 0; i < OUTPUT_N_MAPS; i++)
		finish_map(&o->maps[i]);
	index_backends(o);
	if (o->servers.n > 0)
		qsort(o->servers.items, o->servers.n,
		    sizeof(*o->servers.items), by_backend_then_name);
	o->certs.n = unique_pems(o->certs.items, o->certs.n);
	o->cas.n = unique_pems(o->cas.items, o->cas.n);
	for (size_t i = 0; i < o->sections.n; i++)
		shape = hash_pair(shape, o->sections.items[i].hash);
	o->shape = shape;
	o->certs_hash = hash_certs(o);
	o->failed |= buf_failed(&o->text) || buf_failed(&o->table);
}

const struct output_section *output_backend(const struct output *o,
    const char *name)
{
	const struct output_section want = { .name = name }, *key = &want;
	const struct output_section *const *at = o->backends.n == 0 ? NULL :
	    bsearch(&key, o->backends.items, o->backends.n,
		sizeof(*o->backends.items), by_section_name);

	return at != NULL ? *at : NULL;
}

const struct output_pem *output_find_cert(const struct output *o,
    const char *name)
{
	const struct output_pem want = { .name = name };

	return o->certs.n == 0 ? NULL : bsearch(&want, o->certs.items,
	    o->certs.n, sizeof(want), by_pem_name);
}
