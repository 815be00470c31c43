/*
 * kv_map.c - linear probing; a removal closes the hole behind it
 */
#include "kv_map.h"

#include <stdlib.h>

enum { SIZE_FIRST = 256 };

void kv_map_init(struct kv_map *m, size_t max)
{
	*m = (struct kv_map){ .max = max };
}

void kv_map_fini(struct kv_map *m)
{
	free(m->entries);
}

void kv_map_clear(struct kv_map *m)
{
	free(m->entries);
	kv_map_init(m, m->max);
}

static size_t home_of(const struct kv_map *m, uint64_t key)
{
	return (size_t)(key * 0x9e3779b97f4a7c15u >> 20) & (m->size - 1);
}

/* Where the key is, or would go. */
static size_t place_of(const struct kv_map *m, uint64_t key)
{
	size_t i = home_of(m, key);

	while (m->entries[i].key != 0 && m->entries[i].key != key)
		i = (i + 1) & (m->size - 1);
	return i;
}

struct kv_entry *kv_map_find(const struct kv_map *m, uint64_t key)
{
	size_t i;

	if (m->n == 0 || key == 0)
		return NULL;
	i = place_of(m, key);
	return m->entries[i].key == key ? &m->entries[i] : NULL;
}

static bool grow(struct kv_map *m)
{
	struct kv_map next = { .n = m->n, .max = m->max,
		.size = m->size > 0 ? m->size * 2 : SIZE_FIRST };

	next.entries = calloc(next.size, sizeof(*next.entries));
	if (next.entries == NULL)
		return false;
	for (size_t i = 0; i < m->size; i++)
		if (m->entries[i].key != 0)
			next.entries[place_of(&next, m->entries[i].key)] =
			    m->entries[i];
	free(m->entries);
	*m = next;
	return true;
}

bool kv_map_put(struct kv_map *m, const struct kv_entry *e)
{
	struct kv_entry *old = kv_map_find(m, e->key);

	if (old != NULL) {
		*old = *e;
		return true;
	}
	if (e->key == 0 || m->n == m->max ||
	    ((m->n + 1) * 4 > m->size * 3 && !grow(m)))
		return false;
	m->entries[place_of(m, e->key)] = *e;
	m->n++;
	return true;
}

/* Is `at` within the run from `from` to `to`, round the end perhaps? */
static bool is_between(size_t from, size_t at, size_t to)
{
	return from <= to ? from <= at && at <= to : from <= at || at <= to;
}

void kv_map_remove(struct kv_map *m, uint64_t key)
{
	struct kv_entry *e = kv_map_find(m, key);
	size_t hole, i;

	if (e == NULL)
		return;
	hole = i = (size_t)(e - m->entries);
	for (;;) {
		i = (i + 1) & (m->size - 1);
		if (m->entries[i].key == 0)
			break;
		/* It may not stand before its home. */
		if (is_between((hole + 1) & (m->size - 1),
			home_of(m, m->entries[i].key), i))
			continue;
		m->entries[hole] = m->entries[i];
		hole = i;
	}
	m->entries[hole].key = 0;
	m->n--;
}
