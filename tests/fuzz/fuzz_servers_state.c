#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "discover_source.h"
#include "fault.h"
#include "fuzz.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pool_options pool = {
		.name = "llm", .engine = "vllm", .haproxy_backend = "llm",
	};
	struct arena *arena = arena_new(4096, 64 << 20);
	const struct endpoint_spec *specs;
	struct fault why = { 0 };
	size_t n;
	int err = discover_haproxy_parse(
	    (struct span){ (const char *)data, size }, &pool, arena, &specs,
	    &n, &why);

	must((err != 0) == why.is_set);
	for (size_t i = 0; err == 0 && i < n; i++)
		must(specs[i].name != NULL && specs[i].address != NULL &&
		    specs[i].host != NULL && specs[i].port != 0);
	arena_free(arena);
	return 0;
}
