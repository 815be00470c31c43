#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "fault.h"
#include "fuzz.h"
#include "must.h"
#include "options.h"

static void check_endpoints(const struct endpoint_options *e, size_t n)
{
	must(n <= POOL_ENDPOINTS_MAX);
	for (size_t i = 0; i < n; i++)
		must(e[i].name != NULL && e[i].host != NULL && e[i].port != 0);
}

static void as_config(struct span text)
{
	struct fault why = { 0 };
	struct options *o = options_parse("fuzz", text, &why);

	must((o == NULL) == why.is_set);
	if (o == NULL)
		return;
	must(o->n_pools > 0 && o->n_listens > 0);
	for (size_t i = 0; i < o->n_pools; i++)
		check_endpoints(o->pools[i].endpoints, o->pools[i].n_endpoints);
	options_free(o);
}

static void as_endpoints_file(struct span text)
{
	const struct pool_options pool = { .name = "p", .engine = "vllm" };
	struct arena *arena = arena_new(4096, 64 << 20);
	const struct endpoint_options *endpoints;
	struct fault why = { 0 };
	size_t n;

	if (options_parse_endpoints("fuzz", text, &pool, arena, &endpoints, &n,
		&why) == 0)
		check_endpoints(endpoints, n);
	else
		must(why.is_set);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span text = { (const char *)data, size };

	as_config(text);
	as_endpoints_file(text);
	return 0;
}
