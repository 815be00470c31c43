/*
 * running.c - sorted arrays of strings of our own
 */
#include "running.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

void running_init(struct running *r)
{
	*r = (struct running){ 0 };
}

static void free_cert(const struct running_cert *c)
{
	free(c->list);
	free(c->cert);
	free(c->filters);
}

void running_fini(struct running *r)
{
	for (size_t m = 0; m < OUTPUT_N_MAPS; m++) {
		for (size_t i = 0; i < r->maps[m].n; i++)
			free(r->maps[m].items[i].key);
		free(r->maps[m].items);
	}
	for (size_t i = 0; i < r->servers.n; i++) {
		free(r->servers.items[i].backend);
		free(r->servers.items[i].name);
	}
	for (size_t i = 0; i < r->sections.n; i++)
		free(r->sections.items[i].name);
	for (size_t i = 0; i < r->certs.n; i++)
		free_cert(&r->certs.items[i]);
	free(r->servers.items);
	free(r->sections.items);
	free(r->certs.items);
	*r = (struct running){ 0 };
}

static void *grow(void **items, size_t *n, size_t *cap, size_t size)
{
	if (*n == *cap) {
		size_t more = *cap != 0 ? 2 * *cap : 64;
		void *grown = realloc(*items, more * size);

		if (grown == NULL)
			return NULL;
		*items = grown;
		*cap = more;
	}
	return memset((char *)*items + (*n)++ * size, 0, size);
}

#define ADD(list) ((__typeof__((list)->items))grow((void **)&(list)->items, \
	&(list)->n, &(list)->cap, sizeof(*(list)->items)))

/* ---- servers ------------------------------------------------------------- */

size_t running_find_server(const struct running *r, const char *backend,
    const char *name, bool *is_there)
{
	size_t low = 0, high = r->servers.n;

	*is_there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct running_server *s = &r->servers.items[middle];
		int order = strcmp(s->backend, backend);

		if (order == 0)
			order = strcmp(s->name, name);
		if (order == 0)
			*is_there = true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool running_put_server(struct running *r, size_t at, const char *backend,
    const char *name)
{
	struct running_server s = { strdup(backend), strdup(name), false };
	struct running_server *last = ADD(&r->servers);

	if (last == NULL || s.backend == NULL || s.name == NULL) {
		if (last != NULL)
			r->servers.n--;
		free(s.backend);
		free(s.name);
		r->failed = true;
		return false;
	}
	memmove(&r->servers.items[at + 1], &r->servers.items[at],
	    (r->servers.n - 1 - at) * sizeof(s));
	r->servers.items[at] = s;
	return true;
}

void running_remove_server(struct running *r, size_t at)
{
	free(r->servers.items[at].backend);
	free(r->servers.items[at].name);
	r->servers.n--;
	memmove(&r->servers.items[at], &r->servers.items[at + 1],
	    (r->servers.n - at) * sizeof(*r->servers.items));
}

/* ---- certificates -------------------------------------------------------- */

bool running_add_cert(struct running *r, struct span list, struct span cert,
    struct span filters)
{
	struct running_cert *c = ADD(&r->certs);

	if (c != NULL)
		*c = (struct running_cert){ strndup(list.ptr, list.len),
			strndup(cert.ptr, cert.len),
			strndup(filters.ptr, filters.len) };
	if (c == NULL || c->list == NULL || c->cert == NULL ||
	    c->filters == NULL)
		r->failed = true;
	return !r->failed;
}

void running_remove_cert(struct running *r, size_t at)
{
	free_cert(&r->certs.items[at]);
	r->certs.n--;
	memmove(&r->certs.items[at], &r->certs.items[at + 1],
	    (r->certs.n - at) * sizeof(*r->certs.items));
}

/* ---- entries of maps ----------------------------------------------------- */

bool running_entry_make(struct running_entry *e, const char *key,
    const char *value)
{
	size_t n_key = strlen(key) + 1, n_value = strlen(value) + 1;

	*e = (struct running_entry){ .key = malloc(n_key + n_value) };
	if (e->key == NULL)
		return false;
	memcpy(e->key, key, n_key);
	e->value = e->key + n_key;
	memcpy(e->value, value, n_value);
	e->hash = hash_bytes(e->key, n_key + n_value, 0);
	return true;
}

size_t running_find_entry(const struct running_map *m, const char *key,
    bool *is_there)
{
	size_t low = 0, high = m->n;

	*is_there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(m->items[middle].key, key);

		if (order == 0)
			*is_there = true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int running_put_entry(struct running *r, size_t map, size_t at, const char *key,
    const char *value)
{
	struct running_map *m = &r->maps[map];
	struct running_entry e;

	if (!running_entry_make(&e, key, value))
		return -ENOMEM;
	if (ADD(m) == NULL) {
		free(e.key);
		return -ENOMEM;
	}
	memmove(&m->items[at + 1], &m->items[at],
	    (m->n - 1 - at) * sizeof(e));
	m->items[at] = e;
	return 0;
}

/* ---- what an output says ------------------------------------------------- */

static void load_map(struct running *r, size_t m, const struct output_map *from)
{
	for (size_t i = 0; i < from->n; i++) {
		struct running_entry *e = ADD(&r->maps[m]);

		if (e == NULL) {
			r->failed = true;
			return;
		}
		r->failed |= !running_entry_make(e, from->items[i].key,
		    from->items[i].value);
	}
}

static int by_section(const void *left, const void *right)
{
	const struct running_section *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order != 0 ? order : (a->hash > b->hash) - (a->hash < b->hash);
}

static void load_sections(struct running *r, const struct output *o)
{
	for (size_t i = 0; i < o->sections.n; i++) {
		struct running_section *s = ADD(&r->sections);

		if (s == NULL) {
			r->failed = true;
			return;
		}
		s->name = strdup(o->sections.items[i].name);
		s->hash = o->sections.items[i].hash;
		r->failed |= s->name == NULL;
	}
	if (!r->failed)
		qsort(r->sections.items, r->sections.n,
		    sizeof(*r->sections.items), by_section);
	r->shape = o->shape;
}

static void load_servers(struct running *r, const struct output *o)
{
	for (size_t i = 0; i < o->servers.n && !r->failed; i++)
		running_put_server(r, r->servers.n, o->servers.items[i].backend,
		    o->servers.items[i].name);
}

static void load_certs(struct running *r, const struct output *o)
{
	r->certs_hash = o->certs_hash;
	for (size_t i = 0; i < o->cert_lines.n && !r->failed; i++) {
		const struct output_cert_line *l = &o->cert_lines.items[i];

		running_add_cert(r, span_of(l->list), span_of(l->cert),
		    span_of(l->filters));
	}
}

static int settle(struct running *r)
{
	if (!r->failed)
		return 0;
	running_fini(r);
	return -ENOMEM;
}

int running_load(struct running *r, const struct output *o)
{
	running_fini(r);
	for (size_t m = 0; m < OUTPUT_N_MAPS; m++)
		load_map(r, m, &o->maps[m]);
	load_sections(r, o);
	load_servers(r, o);
	load_certs(r, o);
	return settle(r);
}

/* ---- shapes -------------------------------------------------------------- */

static int by_name_then_hash(const void *wanted, const void *there)
{
	const struct output_section *want = wanted;
	const struct running_section *s = there;
	int order = strcmp(want->name, s->name);

	return order != 0 ? order :
	    (want->hash > s->hash) - (want->hash < s->hash);
}

static bool has_section(const struct running *r,
    const struct output_section *want)
{
	return r->sections.n > 0 && bsearch(want, r->sections.items,
	    r->sections.n, sizeof(*r->sections.items), by_name_then_hash) != NULL;
}

/*
 * A backend too many does no harm: nothing leads there. A frontend too many would
 * go on listening.
 */
bool running_has_shape(const struct running *r, const struct output *o)
{
	size_t unnamed = 0, wanted = 0;

	if (r->shape == o->shape)
		return true;
	while (unnamed < r->sections.n &&
	    *r->sections.items[unnamed].name == '\0')
		unnamed++;
	for (size_t i = 0; i < o->sections.n; i++) {
		if (!has_section(r, &o->sections.items[i]))
			return false;
		wanted += *o->sections.items[i].name == '\0';
	}
	return wanted == unnamed;
}
