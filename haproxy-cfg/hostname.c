/*
 * hostname.c - suffixes, compared byte by byte
 */
#include "hostname.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static bool is_wildcard(const char *name)
{
	return name[0] == '*';
}

bool hostname_covers(const char *pattern, const char *name)
{
	size_t len, tail;

	if (pattern == NULL)
		return true;
	if (name == NULL)
		return false;
	if (strcmp(pattern, name) == 0)
		return true;
	if (!is_wildcard(pattern))
		return false;
	/* "*.a.b" covers "x.a.b" and "*.x.a.b": what ends in ".a.b". */
	len = strlen(name);
	tail = strlen(pattern + 1);
	return len > tail && strcmp(name + len - tail, pattern + 1) == 0;
}

bool hostname_intersect(const char *a, const char *b, const char **out)
{
	if (hostname_covers(a, b)) {
		*out = b;
		return true;
	}
	if (hostname_covers(b, a)) {
		*out = a;
		return true;
	}
	return false;
}

static int class_of(const char *name)
{
	return name == NULL ? 2 : is_wildcard(name);
}

int hostname_order(const char *a, const char *b)
{
	int class = class_of(a), order = class - class_of(b);

	if (order != 0 || class == 2)
		return order;
	if (class == 1) {
		size_t n_a = strlen(a), n_b = strlen(b);

		if (n_a != n_b)
			return n_a > n_b ? -1 : 1;
	}
	return strcmp(a, b);
}

static int by_name(const void *name, const void *item)
{
	return strcmp(name, *(const char *const *)item);
}

bool hostnames_has(const struct hostnames *h, const char *name)
{
	return h->n > 0 && bsearch(name, h->items, h->n, sizeof(*h->items),
	    by_name) != NULL;
}

bool hostnames_any(const struct hostnames *h, const char *pattern)
{
	if (pattern != NULL && !is_wildcard(pattern))
		return hostnames_has(h, pattern);
	for (size_t i = 0; i < h->n; i++)
		if (hostname_covers(pattern, h->items[i]))
			return true;
	return false;
}
