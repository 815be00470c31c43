/*
 * entries.c - addresses in order, each rank's looked up among them
 */
#include "entries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoints.h"

enum { ADDR_MAX = 300 };	/* a host name, a colon, a port */

struct place {
	struct span addr;
	uint32_t row;
};

static int by_addr(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int c = span_compare(x->addr, y->addr);

	return c != 0 ? c : x->row < y->row ? -1 : x->row > y->row;
}

/* The same address with that port, or nothing: it was not one of ours. */
static struct span with_port(char out[ADDR_MAX], struct span addr, uint16_t port)
{
	const char *colon = addr.len > 0 ?
	    memrchr(addr.ptr, ':', addr.len) : NULL;
	size_t host = colon != NULL ? (size_t)(colon - addr.ptr) : addr.len;
	int n = snprintf(out, ADDR_MAX, "%.*s:%u", (int)host,
	    host > 0 ? addr.ptr : "", port);

	return (struct span){ out, n > 0 && n < ADDR_MAX ? (size_t)n : 0 };
}

static size_t find(const struct place *places, size_t n, struct span addr)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (span_compare(places[mid].addr, addr) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && span_compare(places[low].addr, addr) == 0 ?
	    places[low].row : n;
}

struct entries *entries_new(const struct endpoint *endpoints, size_t n,
    uint16_t port)
{
	struct entries *e = malloc(sizeof(*e) + n * sizeof(e->rows[0]));
	struct place *places = calloc(n + 1, sizeof(*places));
	char addr[ADDR_MAX];

	if (e == NULL || places == NULL) {
		free(places);
		free(e);
		return NULL;
	}
	e->port = port;
	for (size_t i = 0; i < n; i++)
		places[i] = (struct place){ endpoints[i].addr, (uint32_t)i };
	qsort(places, n, sizeof(*places), by_addr);
	for (size_t i = 0; i < n; i++)
		e->rows[i] = (uint32_t)find(places, n,
		    with_port(addr, endpoints[i].addr, port));
	free(places);
	return e;
}
