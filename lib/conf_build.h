/*
 * conf_build.h - a conf_tree put together from the pieces a parser finds
 *
 * What yaml.c and json_tree.c share: the stack of open lists and maps, the limits on
 * depth and number of values, the refusal of a key that comes twice. Every
 * function is false with `why` filled when what it was given cannot be; the
 * builder is of no use after that. One thread.
 *
 * With `on_document` set, documents are handed over as they are completed and
 * their memory is used again; so are, one by one, the entries of a list named
 * "items" in a document's outermost map, as Kubernetes lists are spelled
 * (kubectl get -o yaml). The tree handed over is gone after the call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conf_tree.h"

struct arena;
struct fault;

enum { CONF_BUILD_DEPTH_MAX = 128 };

/* Which one it is, each counted from 1; no entry of a list: item 0. */
struct conf_place {
	unsigned document, item;
};

/* False ends the walk: with `why` filled an error, else just the end of it. */
typedef bool conf_document_f(void *data, const struct conf *root,
    struct conf_place place);

struct conf_level {		/* a list or map that is still open */
	struct conf *node;
	struct conf **tail;	/* where the next child is hung */
};

struct conf_builder {
	const char *file;
	struct arena *arena;
	struct fault *why;
	size_t max_nodes, max_depth;
	/* With on_document: where entries of "items" go. Reset for each. */
	struct arena *items;
	conf_document_f *on_document;
	void *data;
	/* The rest is the builder's own; zeroed. */
	size_t n_nodes;
	struct conf_place place;
	bool in_items, is_ended;
	struct conf *root;
	struct conf_level levels[CONF_BUILD_DEPTH_MAX];
	size_t depth;
	const char *key;	/* read, its value not yet */
	unsigned key_line;
};

/* Is what comes next a key? */
bool conf_build_wants_key(const struct conf_builder *b);
bool conf_build_key(struct conf_builder *b, unsigned line, const char *text,
    size_t len);
/* `text` holds no NUL; it is copied. */
bool conf_build_scalar(struct conf_builder *b, unsigned line, const char *text,
    size_t len, bool quoted);
bool conf_build_null(struct conf_builder *b, unsigned line);
bool conf_build_open(struct conf_builder *b, unsigned line,
    enum conf_type type);
bool conf_build_close(struct conf_builder *b);

/* Between documents; the end hands it over. */
void conf_build_document(struct conf_builder *b);
bool conf_build_document_end(struct conf_builder *b);

/* The fault that there is no memory; false. */
bool conf_build_no_memory(struct conf_builder *b);
