/*
 * yaml.h - YAML documents into trees; JSON is YAML here
 *
 * The only file that knows libyaml. What makes YAML dangerous or surprising is
 * refused with a clear fault: aliases, anchors, tags, a key twice in one map,
 * keys that are no scalars, NUL bytes, levels upon levels; by yaml_parse() a
 * second document too. Text is UTF-8. No state between calls: any thread.
 */
#pragma once

#include <stddef.h>

#include "conf_build.h"
#include "conf_tree.h"
#include "span.h"

struct arena;
struct fault;

enum { YAML_DEPTH_MAX = 32 };

struct yaml_limits {
	size_t max_bytes;	/* of text */
	size_t max_nodes;	/* of a document, and of each entry of a List:
				   scalars, lists and maps; not keys */
};

/* What a file that a person writes never reaches: 1 MiB, 100000 nodes. */
extern const struct yaml_limits yaml_limits_default;

/*
 * The root of the tree, in `arena`; text without any node is CONF_NULL. `file`
 * is for messages. NULL with `why` filled, also when the arena has no room.
 */
const struct conf *yaml_parse(const char *file, struct span text,
    const struct yaml_limits *limits, struct arena *arena, struct fault *why);

/* Reads `file`, which must be a regular one, and parses what is in it. */
const struct conf *yaml_load(const char *file,
    const struct yaml_limits *limits, struct arena *arena, struct fault *why);

/*
 * Hands over each document of `text`, and each entry of a document's "items",
 * as conf_build.h says; what is empty is passed over. Up to
 * CONF_BUILD_DEPTH_MAX levels. 0; -EINVAL or -ENOMEM with `why` filled. What
 * comes before an error was handed over by then.
 */
int yaml_each(const char *file, struct span text,
    const struct yaml_limits *limits, conf_document_f *on_document,
    void *data, struct fault *why);
