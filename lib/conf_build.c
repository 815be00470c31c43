/*
 * conf_build.c - an explicit stack: depth, values and bytes are counted before
 * anything is allocated for them
 */
#include "conf_build.h"

#include <stdint.h>
#include <stdlib.h>

#include "arena.h"
#include "fault.h"
#include "must.h"

enum { FEW_KEYS = 16 };

bool conf_build_no_memory(struct conf_builder *b)
{
	fault_set(b->why, b->file, 0, "no memory for what this file says",
	    NULL);
	return false;
}

static struct arena *arena_of(const struct conf_builder *b)
{
	return b->in_items ? b->items : b->arena;
}

/* A new node, hung below the innermost open one. */
static struct conf *add_node(struct conf_builder *b, unsigned line,
    enum conf_type type)
{
	struct conf_level *top = b->depth > 0 ? &b->levels[b->depth - 1] : NULL;
	struct conf *node;

	if (b->n_nodes++ >= b->max_nodes) {
		fault_setf(b->why, b->file, line, "more than %zu values in one "
		    "%s", b->max_nodes, b->on_document ? "object" : "file");
		return NULL;
	}
	node = arena_zalloc(arena_of(b), sizeof(*node));
	if (node == NULL) {
		conf_build_no_memory(b);
		return NULL;
	}
	node->type = type;
	node->line = b->key != NULL ? b->key_line : line;
	node->key = b->key;
	b->key = NULL;
	if (top == NULL) {
		b->root = node;
		return node;
	}
	*top->tail = node;
	top->tail = &node->next;
	top->node->n_children++;
	return node;
}

/* An entry of "items" is complete: hand it over and take it off the list. */
static bool end_item(struct conf_builder *b)
{
	struct conf_level *list = &b->levels[1];
	bool goes_on;

	if (!b->in_items || b->depth != 2)
		return true;
	b->place.item++;
	goes_on = b->on_document(b->data, list->node->children, b->place);
	list->node->children = NULL;
	list->node->n_children = 0;
	list->tail = &list->node->children;
	b->n_nodes = 0;
	arena_reset(b->items);
	b->is_ended = !goes_on;
	return goes_on;
}

bool conf_build_wants_key(const struct conf_builder *b)
{
	return b->depth > 0 && b->key == NULL &&
	    b->levels[b->depth - 1].node->type == CONF_MAP;
}

bool conf_build_key(struct conf_builder *b, unsigned line, const char *text,
    size_t len)
{
	b->key = arena_copy(arena_of(b), text, len);
	b->key_line = line;
	return b->key != NULL || conf_build_no_memory(b);
}

bool conf_build_scalar(struct conf_builder *b, unsigned line, const char *text,
    size_t len, bool quoted)
{
	struct conf *node = add_node(b, line, CONF_SCALAR);

	if (node == NULL)
		return false;
	node->text = arena_copy(arena_of(b), text, len);
	node->quoted = quoted;
	return node->text != NULL ? end_item(b) : conf_build_no_memory(b);
}

bool conf_build_null(struct conf_builder *b, unsigned line)
{
	return add_node(b, line, CONF_NULL) != NULL && end_item(b);
}

static bool is_items(const struct conf_builder *b, enum conf_type type)
{
	return b->on_document != NULL && b->depth == 1 && type == CONF_LIST &&
	    b->key != NULL && strcmp(b->key, "items") == 0;
}

bool conf_build_open(struct conf_builder *b, unsigned line,
    enum conf_type type)
{
	bool opens_items = is_items(b, type);
	struct conf *node;

	must(b->max_depth <= CONF_BUILD_DEPTH_MAX);
	if (b->depth == b->max_depth) {
		fault_setf(b->why, b->file, line,
		    "more than %zu levels of lists and maps", b->max_depth);
		return false;
	}
	node = add_node(b, line, type);
	if (node == NULL)
		return false;
	b->levels[b->depth++] = (struct conf_level){ node, &node->children };
	if (opens_items) {
		b->in_items = true;
		b->n_nodes = 0;
	}
	return true;
}

static bool twice(struct conf_builder *b, const struct conf *first,
    const struct conf *again)
{
	fault_setf(b->why, b->file, again->line, "%.64s a second time",
	    again->key);
	fault_want(b->why, "it once; the first is on line %u", first->line);
	return false;
}

static int by_key_then_line(const void *left, const void *right)
{
	const struct conf *a = *(const struct conf *const *)left;
	const struct conf *b = *(const struct conf *const *)right;
	int order = strcmp(a->key, b->key);

	return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* By sorting, since a hostile map has as many keys as the limits let pass. */
static bool has_unique_keys_of_many(struct conf_builder *b,
    const struct conf *map)
{
	const struct conf **sorted =
	    malloc(map->n_children * sizeof(const struct conf *));
	size_t n = 0;
	bool ok = true;

	if (sorted == NULL)
		return conf_build_no_memory(b);
	for (const struct conf *c = map->children; c != NULL; c = c->next)
		sorted[n++] = c;
	qsort(sorted, n, sizeof(*sorted), by_key_then_line);
	for (size_t i = 1; ok && i < n; i++)
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			ok = twice(b, sorted[i - 1], sorted[i]);
	free(sorted);
	return ok;
}

static bool has_unique_keys(struct conf_builder *b, const struct conf *map)
{
	if (map->n_children > FEW_KEYS)
		return has_unique_keys_of_many(b, map);
	for (const struct conf *c = map->children; c != NULL; c = c->next)
		for (const struct conf *d = map->children; d != c; d = d->next)
			if (strcmp(c->key, d->key) == 0)
				return twice(b, d, c);
	return true;
}

bool conf_build_close(struct conf_builder *b)
{
	const struct conf *node;

	must(b->depth > 0);
	node = b->levels[--b->depth].node;
	if (node->type == CONF_MAP && !has_unique_keys(b, node))
		return false;
	if (b->depth == 1)
		b->in_items = false;
	return end_item(b);
}

void conf_build_document(struct conf_builder *b)
{
	b->root = NULL;
	b->key = NULL;
	b->depth = 0;
	b->in_items = false;
	b->n_nodes = 0;
	b->place = (struct conf_place){ b->place.document + 1, 0 };
}

bool conf_build_document_end(struct conf_builder *b)
{
	bool goes_on = true;

	must(b->depth == 0);
	if (b->on_document == NULL)
		return true;
	b->place.item = 0;
	if (b->root != NULL && b->root->type != CONF_NULL)
		goes_on = b->on_document(b->data, b->root, b->place);
	b->root = NULL;
	arena_reset(b->arena);
	b->is_ended = !goes_on;
	return goes_on;
}
