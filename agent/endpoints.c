/*
 * endpoints.c - finding a pool by the name HAProxy sends
 */
#include "endpoints.h"

static int compare(struct span a, const char *b)
{
	size_t n = strlen(b);
	int c = memcmp(a.ptr, b, a.len < n ? a.len : n);

	return c != 0 ? c : (a.len > n) - (a.len < n);
}

const struct endpoint_view *fleet_find(const struct fleet *fleet,
    struct span pool)
{
	size_t low = 0, high = fleet->n_pools;

	if (pool.len == 0)
		return NULL;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = compare(pool, fleet->pools[mid]->pool);

		if (c == 0)
			return fleet->pools[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}
