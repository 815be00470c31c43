/*
 * discover_static.c - endpoints that stand in the configuration itself
 */
#include <stdlib.h>

#include "arena.h"
#include "discover_source.h"

enum { SPECS_MAX_BYTES = 16 << 20 };

struct endpoint_spec *discover_specs(const struct pool_options *pool,
    const struct endpoint_options *endpoints, size_t n, struct arena *arena)
{
	struct endpoint_spec *specs = arena_alloc(arena, n * sizeof(*specs));

	if (specs == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const struct endpoint_options *e = &endpoints[i];

		specs[i] = (struct endpoint_spec){
			.name = e->name, .host = e->host, .port = e->port,
			.engine = e->engine != NULL ? e->engine : pool->engine,
			.labels = e->labels, .n_labels = e->n_labels,
			.ready = true,
		};
	}
	return specs;
}

/* There is nothing to keep, but NULL would say that there is no memory. */
static void *static_start(struct ev_loop *loop, const struct pool_options *pool,
    discover_set_f *set, void *data)
{
	struct arena *arena = arena_new(4096, SPECS_MAX_BYTES);
	struct endpoint_spec *specs = NULL;

	(void)loop;
	if (arena != NULL)
		specs = discover_specs(pool, pool->endpoints, pool->n_endpoints,
		    arena);
	if (specs == NULL) {
		arena_free(arena);
		return NULL;
	}
	set(data, specs, pool->n_endpoints);
	return arena;
}

static void static_stop(void *self)
{
	arena_free(self);
}

const struct discover_source discover_static = {
	.name = "endpoints",
	.start = static_start,
	.stop = static_stop,
};
