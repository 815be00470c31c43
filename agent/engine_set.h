/*
 * engine_set.h - the engines a configuration defines, made; the others by name
 *
 * A set outlives its configuration, because a fetch started under it may still be
 * read: sets are chained, and the few there ever are go when the scraper does.
 * Scraper's thread.
 */
#pragma once

#include <stddef.h>

struct arena;
struct engine;
struct options;

struct engine_set {
	struct engine_set *older;
	struct arena *arena;
	size_t n;
	const struct engine *engines[];
};

/* Of options->engines. NULL with the reason logged. */
struct engine_set *engine_set_new(const struct options *options);

/* The set and all that are older. */
void engine_set_free(struct engine_set *set);

/*
 * The set's own, else a built-in one, else the first built-in one with a warning:
 * options_load() checks names, an endpoints file may still surprise.
 */
const struct engine *engine_set_find(const struct engine_set *set,
    const char *name);
