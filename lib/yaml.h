/*
 * yaml.h - one YAML document into a tree; JSON is YAML here
 *
 * The only file that knows libyaml. What makes YAML dangerous or surprising is
 * refused with a clear fault: aliases, anchors, tags, a second document, a key
 * twice in one map, keys that are no scalars, NUL bytes, more than
 * YAML_DEPTH_MAX levels. Text is UTF-8. No state between calls: any thread.
 */
#pragma once

#include <stddef.h>

#include "conf_tree.h"
#include "span.h"

struct arena;
struct fault;

enum { YAML_DEPTH_MAX = 32 };

struct yaml_limits {
	size_t max_bytes;	/* of text */
	size_t max_nodes;	/* scalars, lists and maps; keys not counted */
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
