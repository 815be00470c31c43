/*
 * store.h - what is declared now, by (kind, namespace, name)
 *
 * Filled from files and folders of manifests, file by file; or object by object,
 * as a watch of the Kubernetes API will. A file that cannot be read keeps what it
 * declared when it last could. Nothing is declared twice: who comes second is
 * refused, both places named.
 *
 * Objects and their strings stay until store_sweep() after they were replaced, so
 * a plan made of them may be used until then. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conf_tree.h"
#include "fault.h"
#include "kinds.h"
#include "span.h"

struct store;

struct store *store_new(void);	/* NULL without memory */
void store_free(struct store *s);

/* Frees what was replaced since the last sweep. */
void store_sweep(struct store *s);

/* ---- files --------------------------------------------------------------- */

struct store_skipped {		/* a kind that is none of ours */
	const char *kind;	/* "apps/v1 Deployment" */
	unsigned line;		/* of the first */
	unsigned n;
};

struct store_file {
	const char *path;
	bool is_bad;		/* what it declared before holds */
	const struct fault *why;	/* of a bad one; else NULL */
	size_t n_objects;	/* that hold now */
	const struct store_skipped *skipped;
	size_t n_skipped;
};

/*
 * Brings the store up to date with these files and folders: of a folder its
 * *.yaml, *.yml and *.json that do not begin with a dot, in the order of their
 * names, not below it. Files whose stat() did not change are not read again.
 * 0; -ENOMEM with nothing changed. What is wrong with a file is kept beside it.
 * `*changed` tells whether anything is declared otherwise than before.
 */
int store_sync(struct store *s, const char *const *paths, size_t n,
    bool *changed);

/* Files as of the last sync, sorted by path. */
size_t store_n_files(const struct store *s);
const struct store_file *store_file(const struct store *s, size_t i);

/* Text as if it were a file of that name; for tests, and for standard input. */
int store_put_text(struct store *s, const char *name, struct span text,
    struct fault *why);

/* ---- objects ------------------------------------------------------------- */

/*
 * Decodes and takes over the place of what had this kind and name. 0, also for
 * kinds that are none of ours; -EINVAL or -ENOMEM with `why` filled and nothing
 * changed. Not for what files declare.
 */
int store_upsert(struct store *s, const struct conf *root, struct fault *why);

/* False: there was none. */
bool store_delete(struct store *s, enum kind kind, const char *namespace,
    const char *name);

/* ---- what is declared ---------------------------------------------------- */

/* NULL: there is none. */
const struct object *store_find(const struct store *s, enum kind kind,
    const char *namespace, const char *name);

struct objects {		/* sorted by namespace, then name */
	const struct object *const *items;
	size_t n;
};

enum { STORE_CHANGES_MAX = 512 };

/*
 * What came or went since store_forget_changes(), in no order; what was replaced by
 * its like too, twice. False: more than that. Lent until the store changes.
 */
bool store_changes(const struct store *s, struct objects *out);
void store_forget_changes(struct store *s);

/* Lent until the store changes. */
struct objects store_all(struct store *s, enum kind kind);

/*
 * What is declared now, for store_find() and store_all() on another thread while `s`
 * goes on; no files, no changes. The objects are those of `s`, which must not be swept
 * before the last of what is made of them is gone. By store_free(); NULL without memory.
 */
struct store *store_snapshot(struct store *s);
