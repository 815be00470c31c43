/*
 * fleet.c - a box of references
 */
#include "fleet.h"

#include <stdlib.h>

#include "pool.h"

struct fleet_box {
	struct fleet fleet;		/* first: a fleet is a box */
	const struct endpoint_view *pools[];
};

static struct fleet_box *fleet_box_new(size_t n)
{
	struct fleet_box *b = calloc(1, sizeof(*b) + n * sizeof(b->pools[0]));

	if (b == NULL)
		return NULL;
	b->fleet.pools = b->pools;
	b->fleet.n_pools = n;
	return b;
}

struct fleet *fleet_empty(void)
{
	return fleet_new(NULL, 0);
}

struct fleet *fleet_new(const struct endpoint_view *const *views, size_t n)
{
	struct fleet_box *b = fleet_box_new(n);

	if (b == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		b->pools[i] = views[i];
		pool_view_ref(views[i]);
	}
	return &b->fleet;
}

void fleet_retire(void *fleet)
{
	struct fleet_box *b = fleet;

	for (size_t i = 0; i < b->fleet.n_pools; i++)
		pool_view_unref(b->pools[i]);
	free(b);
}
