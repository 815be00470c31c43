/*
 * yaml.c - libyaml's events into a tree, with our limits around them
 *
 * libyaml's own document loader would resolve aliases and knows no limits, so
 * the tree is built from events, by conf_build.
 */
#include "yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "arena.h"
#include "conf_build.h"
#include "fault.h"
#include "must.h"
#include "slurp.h"

enum {
	EACH_FIRST_BYTES = 16384,
	EACH_NODE_BYTES = 256,	/* a node, its key and alignment, generously */
};

const struct yaml_limits yaml_limits_default = {
	.max_bytes = 1 << 20,
	.max_nodes = 100000,
};

struct builder {
	yaml_parser_t parser;
	struct span text;
	unsigned n_documents;
	struct conf_builder tree;
};

static unsigned line_of(yaml_mark_t mark)
{
	return (unsigned)mark.line + 1;
}

static bool refuse(struct builder *b, yaml_mark_t mark, const char *found,
    const char *want)
{
	fault_set(b->tree.why, b->tree.file, line_of(mark), found, want);
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
	unsigned line = line_of(e->start_mark);

	if (!is_plain_node(b, e, e->data.scalar.anchor, e->data.scalar.tag))
		return false;
	if (memchr(value, '\0', len) != NULL)
		return refuse(b, e->start_mark, "a NUL byte in a string", NULL);
	if (conf_build_wants_key(&b->tree))
		return conf_build_key(&b->tree, line, value, len);
	if (!quoted && is_null_text(value))
		return conf_build_null(&b->tree, line);
	return conf_build_scalar(&b->tree, line, value, len, quoted);
}

static bool on_open(struct builder *b, const yaml_event_t *e,
    enum conf_type type)
{
	if (conf_build_wants_key(&b->tree))
		return refuse(b, e->start_mark, "a list or map as a key",
		    "a word, then a colon");
	return conf_build_open(&b->tree, line_of(e->start_mark), type);
}

static bool on_start(struct builder *b, const yaml_event_t *e)
{
	if (b->n_documents++ > 0 && b->tree.on_document == NULL)
		return refuse(b, e->start_mark, "a second document (---)",
		    "one document in one file");
	conf_build_document(&b->tree);
	return true;
}

static bool on_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return on_start(b, e);
	case YAML_DOCUMENT_END_EVENT:
		return conf_build_document_end(&b->tree);
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
		return conf_build_close(&b->tree);
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
		return conf_build_no_memory(&b->tree);
	if (p->error == YAML_READER_ERROR) {
		fault_set(b->tree.why, b->tree.file,
		    line_at_offset(b->text, p->problem_offset), problem,
		    "text in UTF-8");
		return false;
	}
	fault_setf(b->tree.why, b->tree.file, line_of(p->problem_mark),
	    "not YAML: %s%s%s", p->context != NULL ? p->context : "",
	    p->context != NULL ? ", " : "", problem);
	if (is_tab_at(b->text, p->problem_mark))
		fault_want(b->tree.why, "spaces, not a tab, to indent");
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

/* False with `why` filled, or when whoever gets the documents has enough. */
static bool run(struct builder *b, const struct yaml_limits *limits)
{
	bool ok;

	must(!b->tree.why->is_set);
	b->tree.max_nodes = limits->max_nodes;
	if (b->text.len > limits->max_bytes) {
		fault_setf(b->tree.why, b->tree.file, 0, "more than %zu bytes",
		    limits->max_bytes);
		return false;
	}
	if (!yaml_parser_initialize(&b->parser))
		return conf_build_no_memory(&b->tree);
	yaml_parser_set_encoding(&b->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b->parser, (const unsigned char *)
	    (b->text.len > 0 ? b->text.ptr : ""), b->text.len);
	ok = build(b);
	yaml_parser_delete(&b->parser);
	return ok;
}

const struct conf *yaml_parse(const char *file, struct span text,
    const struct yaml_limits *limits, struct arena *arena, struct fault *why)
{
	static const struct conf nothing = { .type = CONF_NULL, .line = 1 };
	struct builder b = {
		.text = text,
		.tree = {
			.file = file, .arena = arena, .why = why,
			.max_depth = YAML_DEPTH_MAX,
		},
	};

	if (!run(&b, limits))
		return NULL;
	return b.tree.root != NULL ? b.tree.root : &nothing;
}

int yaml_each(const char *file, struct span text,
    const struct yaml_limits *limits, conf_document_f *on_document,
    void *data, struct fault *why)
{
	struct builder b = {
		.text = text,
		.tree = {
			.file = file, .why = why,
			.max_depth = CONF_BUILD_DEPTH_MAX,
			.on_document = on_document, .data = data,
		},
	};
	int err = 0;

	b.tree.arena = arena_new(EACH_FIRST_BYTES, limits->max_nodes *
	    EACH_NODE_BYTES + limits->max_bytes);
	b.tree.items = arena_new(EACH_FIRST_BYTES, limits->max_nodes *
	    EACH_NODE_BYTES + limits->max_bytes);
	if (b.tree.arena == NULL || b.tree.items == NULL) {
		conf_build_no_memory(&b.tree);
		err = -ENOMEM;
	} else if (!run(&b, limits) && !b.tree.is_ended) {
		err = -EINVAL;
	}
	arena_free(b.tree.arena);
	arena_free(b.tree.items);
	return why->is_set ? -EINVAL : err;
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
