/*
 * engine_set.c - own engines first, then the built-in ones
 */
#include "engine_set.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "engine.h"
#include "fault.h"
#include "log.h"
#include "options.h"

enum { ARENA_BYTES = 4096, ARENA_MAX_BYTES = 1024 * 1024 };

void engine_set_free(struct engine_set *set)
{
	while (set != NULL) {
		struct engine_set *older = set->older;

		arena_free(set->arena);
		free(set);
		set = older;
	}
}

struct engine_set *engine_set_new(const struct options *o)
{
	struct engine_set *set = calloc(1, sizeof(*set) +
	    o->n_engines * sizeof(set->engines[0]));
	struct fault why = { 0 };
	char text[512];

	if (set == NULL)
		return NULL;
	if (o->n_engines == 0)
		return set;
	set->arena = arena_new(ARENA_BYTES, ARENA_MAX_BYTES);
	for (; set->arena != NULL && set->n < o->n_engines; set->n++) {
		const struct engine_options *e = &o->engines[set->n];

		set->engines[set->n] = engine_make(e, set->arena, &why);
		if (set->engines[set->n] != NULL)
			continue;
		log_error("scrape.engine", "engine=%s err=\"%s\"", e->name,
		    fault_text(&why, text, sizeof(text)));
		break;
	}
	if (set->n == o->n_engines)
		return set;
	engine_set_free(set);
	return NULL;
}

const struct engine *engine_set_find(const struct engine_set *set,
    const char *name)
{
	const struct engine *engine = engine_find(name);

	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->engines[i]->name, name) == 0)
			engine = set->engines[i];
	if (engine != NULL)
		return engine;
	log_warn("scrape.engine", "engine=%s err=\"no such engine\" using=%s",
	    name, engine_at(0)->name);
	return engine_at(0);
}
