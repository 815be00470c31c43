/*
 * rendered.h - a plan rendered, and what a test asks of it
 */
#pragma once

#include "output.h"
#include "plan.h"
#include "plans.h"

struct rendered {
	struct output *out;
	struct arena *arena;
	struct plan_problems problems;
};

struct rendered rendered_of(const struct plans *p, unsigned version);
void rendered_drop(struct rendered *r);

/* Through the HAProxy that is installed, in a folder of its own; no warning. */
void rendered_assert_valid(const struct rendered *r);

/* NULL when there is none. */
const char *rendered_value(const struct output *o, enum output_map_name map,
    const char *key);

/* As HAProxy's map_beg: the longest key that `text` begins with. */
const char *rendered_prefix(const struct output *o, const char *text);

/* How often `what` is in haproxy.cfg. */
size_t rendered_count(const struct output *o, const char *what);
