/*
 * conf_tree.h - what a configuration file says, before anyone asks what it
 * means
 *
 * A tree of scalars, lists and maps in file order, made by yaml.c and read by
 * conf.c and by whoever walks a manifest. It lives in the arena it was made in
 * and is not written after that: any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum conf_type { CONF_NULL, CONF_SCALAR, CONF_LIST, CONF_MAP };

struct conf {
	enum conf_type type;
	bool quoted;		/* SCALAR: quoted or a block: surely a string */
	unsigned line;		/* from 1; in a map, where the key stands */
	const char *key;	/* child of a map; NULL elsewhere */
	const char *text;	/* SCALAR: no NUL within; NULL elsewhere */
	size_t n_children;
	struct conf *children;	/* LIST, MAP: the first one */
	struct conf *next;	/* the next child of the same parent */
};

/* The child of that key; NULL when there is none, or `map` is no map. */
static inline const struct conf *conf_child(const struct conf *map,
    const char *key)
{
	if (map->type != CONF_MAP)
		return NULL;
	for (const struct conf *c = map->children; c != NULL; c = c->next)
		if (strcmp(c->key, key) == 0)
			return c;
	return NULL;
}

/* A key with nothing behind it says as little as no key at all. */
static inline bool conf_is_given(const struct conf *value)
{
	return value != NULL && value->type != CONF_NULL;
}
