/*
 * finding.h - what is wrong with manifests, as a list: for `check`
 *
 * Out of the store and of what a translation of it told each object: files that
 * are not taken, conditions that say no, references that lead nowhere. Lent from
 * both. One thread.
 */
#pragma once

#include <stddef.h>

#include "kinds.h"
#include "status.h"

struct store;

enum severity { SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR };

struct finding {
	enum severity severity;
	const char *file;		/* NULL: nowhere in a file */
	unsigned line;			/* 0: the whole file */
	const struct object *object;	/* NULL: the file */
	const char *where;		/* of a parent or listener; NULL: itself */
	const char *type;		/* a condition's; or "File", "Reference" */
	const char *reason, *message;
};

struct findings {
	struct finding *items;
	size_t n, cap;
	struct arena *arena;
	bool failed;			/* there was no memory for one */
};

/* Fills `out`, whose arena is set, in the order of files and lines. */
void findings_take(struct findings *out, struct store *store,
    const struct statuses *statuses);
