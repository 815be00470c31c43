/*
 * load_sse.h - server-sent events, and the few members we want of their JSON
 *
 * One thread; no I/O.
 */
#pragma once

#include "buf.h"
#include "span.h"

struct load_sse {
	struct buf line;
	void (*on_data)(void *user, struct span data);
	void *user;
};

void load_sse_init(struct load_sse *s,
    void (*on_data)(void *user, struct span data), void *user);
void load_sse_fini(struct load_sse *s);

/* Each "data:" line is one call, however the bytes were cut. False: too long. */
bool load_sse_feed(struct load_sse *s, struct span bytes);

/*
 * The string behind "name":, escapes left as they stand; so it may be put into
 * another JSON text as it is. A null pointer when there is none.
 */
struct span load_json_string(struct span json, const char *name);

/* The whole number behind "name":, or -1. */
long long load_json_number(struct span json, const char *name);
