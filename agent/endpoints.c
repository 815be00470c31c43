/*
 * endpoints.c - finding pools and endpoints by the names HAProxy sends
 */
#include "endpoints.h"

#include "hash.h"

uint64_t endpoint_value_id(struct span value)
{
	uint64_t id = hash_bytes(value.ptr, value.len, 0);

	return id != 0 ? id : 1;
}

uint64_t endpoint_label_id(const char *key)
{
	return endpoint_value_id(span_of(key));
}

const struct endpoint_view *fleet_find(const struct fleet *fleet,
    struct span pool)
{
	size_t low = 0, high = fleet->n_pools;

	if (pool.len == 0)
		return NULL;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = span_compare(pool, span_of(fleet->pools[mid]->pool));

		if (c == 0)
			return fleet->pools[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

size_t endpoint_find(const struct endpoint_view *view, struct span name)
{
	size_t low = 0, high = view->n_endpoints;

	if (name.len == 0)
		return view->n_endpoints;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = span_compare(name, view->endpoints[mid].name);

		if (c == 0)
			return mid;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return view->n_endpoints;
}
