/*
 * json_tree.c - the scanner's events into conf_build, line numbers counted as
 * the scan goes on
 */
#include "json_tree.h"

#include <errno.h>
#include <stdlib.h>

#include "arena.h"
#include "fault.h"
#include "json.h"
#include "must.h"
#include "yaml.h"

enum { FIRST_BYTES = 16384, NODE_BYTES = 256 };

struct reading {
	struct conf_builder tree;
	struct json json;
	const char *counted;	/* so far `line` was counted */
	unsigned line;
	char *text;		/* what a string says, escapes resolved */
	size_t cap;
};

static unsigned line_here(struct reading *r)
{
	while (r->counted < r->json.at) {
		const char *eol = memchr(r->counted, '\n',
		    (size_t)(r->json.at - r->counted));

		r->line += eol != NULL;
		r->counted = eol != NULL ? eol + 1 : r->json.at;
	}
	return r->line;
}

static bool refuse(struct reading *r, const char *found, const char *want)
{
	fault_set(r->tree.why, r->tree.file, line_here(r), found, want);
	return false;
}

/* Resolves the string just scanned into r->text; SIZE_MAX: it cannot be. */
static size_t take_string(struct reading *r)
{
	struct span raw = r->json.value;
	size_t len;

	if (raw.len + 1 > r->cap) {
		char *grown = realloc(r->text, 2 * raw.len + 64);

		if (grown == NULL) {
			conf_build_no_memory(&r->tree);
			return SIZE_MAX;
		}
		r->text = grown;
		r->cap = 2 * raw.len + 64;
	}
	len = json_unescape(raw, r->text, r->cap);
	must(len != SIZE_MAX);
	if (memchr(r->text, '\0', len) == NULL)
		return len;
	refuse(r, "a NUL byte in a string", NULL);
	return SIZE_MAX;
}

static bool on_event(struct reading *r, enum json_event event);

static bool on_text(struct reading *r, enum json_event event)
{
	unsigned line = line_here(r);
	size_t len;

	if (r->json.is_cut)
		return on_event(r, JSON_CUT);
	len = take_string(r);
	if (len == SIZE_MAX)
		return false;
	if (event == JSON_KEY)
		return conf_build_key(&r->tree, line, r->text, len);
	return conf_build_scalar(&r->tree, line, r->text, len, true);
}

static bool on_event(struct reading *r, enum json_event event)
{
	struct conf_builder *b = &r->tree;

	switch (event) {
	case JSON_OBJECT:
		return conf_build_open(b, line_here(r), CONF_MAP);
	case JSON_ARRAY:
		return conf_build_open(b, line_here(r), CONF_LIST);
	case JSON_OBJECT_END:
	case JSON_ARRAY_END:
		return conf_build_close(b);
	case JSON_KEY:
	case JSON_STRING:
		return on_text(r, event);
	case JSON_NUMBER:
		return conf_build_scalar(b, line_here(r), r->json.value.ptr,
		    r->json.value.len, false);
	case JSON_TRUE:
		return conf_build_scalar(b, line_here(r), "true", 4, false);
	case JSON_FALSE:
		return conf_build_scalar(b, line_here(r), "false", 5, false);
	case JSON_NULL:
		return conf_build_null(b, line_here(r));
	case JSON_CUT:
		return refuse(r, "the end in the middle of a JSON text", NULL);
	default:
		return refuse(r, "not JSON", r->json.bad_why);
	}
}

static bool is_blank(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != ' ' && text.ptr[i] != '\t' &&
		    text.ptr[i] != '\r' && text.ptr[i] != '\n')
			return false;
	return true;
}

/* One text; what follows it stays for the next. */
static bool one(struct reading *r)
{
	enum json_event event;

	conf_build_document(&r->tree);
	do {
		event = json_next(&r->json);
		if (event == JSON_DONE || !on_event(r, event))
			return false;
	} while (r->tree.depth > 0);
	return conf_build_document_end(&r->tree);
}

static bool all(struct reading *r, struct span text)
{
	const char *end = text.ptr + text.len;

	r->counted = text.ptr;
	r->line = 1;
	while (text.len > 0 && !is_blank(text)) {
		r->json = json_over(text);
		if (!one(r))
			return false;
		text = (struct span){ r->json.at, (size_t)(end - r->json.at) };
	}
	return true;
}

int json_each(const char *file, struct span text,
    const struct yaml_limits *limits, conf_document_f *on_document,
    void *data, struct fault *why)
{
	size_t room = limits->max_nodes * NODE_BYTES + limits->max_bytes;
	struct reading r = {
		.tree = {
			.file = file, .why = why,
			.max_nodes = limits->max_nodes,
			.max_depth = CONF_BUILD_DEPTH_MAX,
			.on_document = on_document, .data = data,
			.arena = arena_new(FIRST_BYTES, room),
			.items = arena_new(FIRST_BYTES, room),
		},
	};
	bool ok = false;

	must(!why->is_set);
	if (r.tree.arena == NULL || r.tree.items == NULL)
		conf_build_no_memory(&r.tree);
	else if (text.len > limits->max_bytes)
		fault_setf(why, file, 0, "more than %zu bytes",
		    limits->max_bytes);
	else
		ok = all(&r, text);
	arena_free(r.tree.arena);
	arena_free(r.tree.items);
	free(r.text);
	must(ok || why->is_set || r.tree.is_ended);
	return why->is_set ? -EINVAL : 0;
}
