/*
 * yaml.c - libyaml's events into a tree, with our limits around them
 *
 * libyaml's own document loader would resolve aliases and knows no limits, so
 * the tree is built from events over an explicit stack: depth, nodes and bytes
 * are counted before anything is allocated for them.
 */
#include "yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "arena.h"
#include "fault.h"
#include "must.h"
#include "slurp.h"

const struct yaml_limits yaml_limits_default = {
	.max_bytes = 1 << 20,
	.max_nodes = 100000,
};

struct level {			/* a list or map that is still open */
	struct conf *node;
	struct conf **tail;	/* where the next child is hung */
};

struct builder {
	yaml_parser_t parser;
	const char *file;
	struct span text;
	struct arena *arena;
	struct fault *why;
	size_t n_nodes, max_nodes;
	unsigned n_documents;
	struct conf *root;
	struct level levels[YAML_DEPTH_MAX];
	size_t depth;
	const char *key;	/* read, its value not yet */
	unsigned key_line;
};

static unsigned line_of(yaml_mark_t mark)
{
	return (unsigned)mark.line + 1;
}

static bool refuse(struct builder *b, yaml_mark_t mark, const char *found,
    const char *want)
{
	fault_set(b->why, b->file, line_of(mark), found, want);
	return false;
}

static bool no_memory(struct builder *b)
{
	fault_set(b->why, b->file, 0, "no memory for what this file says",
	    NULL);
	return false;
}

static bool is_plain_node(struct builder *b, const yaml_event_t *e,
    const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		return refuse(b, e->start_mark, "an anchor (&name)",
		    "no anchors; write the value out where it is needed");
	if (tag != NULL)
		return refuse(b, e->start_mark, "a tag (!name)",
		    "no tags; put quotes around what is a string");
	return true;
}

/* A new node, hung below the innermost open one. */
static struct conf *add_node(struct builder *b, const yaml_event_t *e,
    enum conf_type type)
{
	struct level *top = b->depth > 0 ? &b->levels[b->depth - 1] : NULL;
	struct conf *node;

	if (b->n_nodes++ >= b->max_nodes) {
		fault_setf(b->why, b->file, line_of(e->start_mark),
		    "more than %zu values in one file", b->max_nodes);
		return NULL;
	}
	node = arena_zalloc(b->arena, sizeof(*node));
	if (node == NULL) {
		no_memory(b);
		return NULL;
	}
	node->type = type;
	node->line = b->key != NULL ? b->key_line : line_of(e->start_mark);
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

static bool is_key_expected(const struct builder *b)
{
	return b->depth > 0 && b->key == NULL &&
	    b->levels[b->depth - 1].node->type == CONF_MAP;
}

/* YAML 1.2 core schema, section 10.3.2: how "nothing" is spelled. */
static bool is_null_text(const char *text)
{
	static const char *const spellings[] = { "", "~", "null", "Null",
		"NULL" };

	for (size_t i = 0; i < sizeof(spellings) / sizeof(*spellings); i++)
		if (strcmp(text, spellings[i]) == 0)
			return true;
	return false;
}

static bool on_scalar(struct builder *b, const yaml_event_t *e)
{
	const char *value = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	bool quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	struct conf *node;
	char *text;

	if (!is_plain_node(b, e, e->data.scalar.anchor, e->data.scalar.tag))
		return false;
	if (memchr(value, '\0', len) != NULL)
		return refuse(b, e->start_mark, "a NUL byte in a string", NULL);
	text = arena_copy(b->arena, value, len);
	if (text == NULL)
		return no_memory(b);
	if (is_key_expected(b)) {
		b->key = text;
		b->key_line = line_of(e->start_mark);
		return true;
	}
	if (!quoted && is_null_text(text))
		return add_node(b, e, CONF_NULL) != NULL;
	node = add_node(b, e, CONF_SCALAR);
	if (node == NULL)
		return false;
	node->text = text;
	node->quoted = quoted;
	return true;
}

static bool on_open(struct builder *b, const yaml_event_t *e,
    enum conf_type type)
{
	struct conf *node;

	if (is_key_expected(b))
		return refuse(b, e->start_mark, "a list or map as a key",
		    "a word, then a colon");
	if (b->depth == YAML_DEPTH_MAX) {
		fault_setf(b->why, b->file, line_of(e->start_mark),
		    "more than %d levels of lists and maps", YAML_DEPTH_MAX);
		return false;
	}
	node = add_node(b, e, type);
	if (node == NULL)
		return false;
	b->levels[b->depth++] = (struct level){ node, &node->children };
	return true;
}

static int by_key_then_line(const void *left, const void *right)
{
	const struct conf *a = *(const struct conf *const *)left;
	const struct conf *b = *(const struct conf *const *)right;
	int order = strcmp(a->key, b->key);

	return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* By sorting, since a hostile map has as many keys as the limits let pass. */
static bool has_unique_keys(struct builder *b, const struct conf *map)
{
	const struct conf **sorted;
	size_t n = 0;

	if (map->n_children < 2)
		return true;
	sorted = malloc(map->n_children * sizeof(const struct conf *));
	if (sorted == NULL)
		return no_memory(b);
	for (const struct conf *c = map->children; c != NULL; c = c->next)
		sorted[n++] = c;
	qsort(sorted, n, sizeof(*sorted), by_key_then_line);
	for (size_t i = 1; i < n; i++)
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0) {
			fault_setf(b->why, b->file, sorted[i]->line,
			    "%.64s a second time", sorted[i]->key);
			fault_want(b->why, "it once; the first is on line %u",
			    sorted[i - 1]->line);
			break;
		}
	free(sorted);
	return !b->why->is_set;
}

static bool on_close(struct builder *b)
{
	const struct conf *node;

	must(b->depth > 0);
	node = b->levels[--b->depth].node;
	return node->type != CONF_MAP || has_unique_keys(b, node);
}

static bool on_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return b->n_documents++ == 0 ||
		    refuse(b, e->start_mark, "a second document (---)",
			"one document in one file");
	case YAML_SCALAR_EVENT:
		return on_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
		return is_plain_node(b, e, e->data.sequence_start.anchor,
			   e->data.sequence_start.tag) &&
		    on_open(b, e, CONF_LIST);
	case YAML_MAPPING_START_EVENT:
		return is_plain_node(b, e, e->data.mapping_start.anchor,
			   e->data.mapping_start.tag) &&
		    on_open(b, e, CONF_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_close(b);
	case YAML_ALIAS_EVENT:
		return refuse(b, e->start_mark, "an alias (*name)",
		    "no aliases; write the value out where it is needed");
	default:
		return true;
	}
}

/* A reader's error carries a byte offset where others carry a mark. */
static unsigned line_at_offset(struct span text, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset && i < text.len; i++)
		line += text.ptr[i] == '\n';
	return line;
}

static bool is_tab_at(struct span text, yaml_mark_t mark)
{
	const char *at = text.ptr, *end = text.ptr + text.len;

	for (size_t i = 0; i < mark.line && at < end; i++) {
		at = memchr(at, '\n', (size_t)(end - at));
		if (at == NULL)
			return false;
		at++;
	}
	return at < end && mark.column < (size_t)(end - at) &&
	    at[mark.column] == '\t';
}

static bool syntax_fault(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	const char *problem = p->problem != NULL ? p->problem : "syntax error";

	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(b);
	if (p->error == YAML_READER_ERROR) {
		fault_set(b->why, b->file,
		    line_at_offset(b->text, p->problem_offset), problem,
		    "text in UTF-8");
		return false;
	}
	fault_setf(b->why, b->file, line_of(p->problem_mark),
	    "not YAML: %s%s%s", p->context != NULL ? p->context : "",
	    p->context != NULL ? ", " : "", problem);
	if (is_tab_at(b->text, p->problem_mark))
		fault_want(b->why, "spaces, not a tab, to indent");
	return false;
}

static bool build(struct builder *b)
{
	bool done = false;

	while (!done) {
		yaml_event_t event;
		bool ok;

		if (!yaml_parser_parse(&b->parser, &event))
			return syntax_fault(b);
		done = event.type == YAML_STREAM_END_EVENT;
		ok = on_event(b, &event);
		yaml_event_delete(&event);
		if (!ok)
			return false;
	}
	return true;
}

const struct conf *yaml_parse(const char *file, struct span text,
    const struct yaml_limits *limits, struct arena *arena, struct fault *why)
{
	static const struct conf nothing = { .type = CONF_NULL, .line = 1 };
	struct builder b = {
		.file = file, .text = text, .arena = arena, .why = why,
		.max_nodes = limits->max_nodes,
	};
	bool ok;

	must(!why->is_set);
	if (text.len > limits->max_bytes) {
		fault_setf(why, file, 0, "more than %zu bytes",
		    limits->max_bytes);
		return NULL;
	}
	if (!yaml_parser_initialize(&b.parser)) {
		no_memory(&b);
		return NULL;
	}
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser,
	    (const unsigned char *)(text.len > 0 ? text.ptr : ""), text.len);
	ok = build(&b);
	yaml_parser_delete(&b.parser);
	if (!ok)
		return NULL;
	return b.root != NULL ? b.root : &nothing;
}

const struct conf *yaml_load(const char *file,
    const struct yaml_limits *limits, struct arena *arena, struct fault *why)
{
	const struct conf *root;
	char *text;
	ssize_t len = slurp_file(file, limits->max_bytes + 1, &text);

	if (len < 0) {
		fault_set(why, file, 0, len == -EINVAL ? "not a regular file" :
		    strerror((int)-len), "a file that can be read");
		return NULL;
	}
	root = yaml_parse(file, (struct span){ text, (size_t)len }, limits,
	    arena, why);
	free(text);
	return root;
}
