/*
 * discover_source.h - what a source of endpoints is: one table of functions
 *
 * For discover*.c only. A source hands up every set it believes in, whether or
 * not it differs from the last; discover.c compares, resolves names and calls
 * back. Everything runs on the loop's thread.
 */
#pragma once

#include "discover.h"
#include "span.h"

struct arena;
struct fault;

/*
 * `address` NULL: to be resolved, unless `host` is numeric. Everything is
 * borrowed for the call. Source and its stop() must not be called from within.
 */
typedef void discover_set_f(void *data, const struct endpoint_spec *specs,
    size_t n);

struct discover_source {
	const char *name;	/* as spelled in the configuration */
	/* NULL without memory; may call `set` before it returns. */
	void *(*start)(struct ev_loop *loop, const struct pool_options *pool,
	    discover_set_f *set, void *data);
	void (*stop)(void *self);
};

extern const struct discover_source discover_static, discover_file,
    discover_haproxy;

/* Rows of the configuration as specs, in `arena`; NULL without memory. */
struct endpoint_spec *discover_specs(const struct pool_options *pool,
    const struct endpoint_options *endpoints, size_t n, struct arena *arena);

/* What is wrong with a source now; zero-initialised. Logged when it changes. */
struct discover_trouble {
	char text[640];
};

void discover_trouble_set(struct discover_trouble *t,
    const struct pool_options *pool, const char *source, const char *text);
void discover_trouble_clear(struct discover_trouble *t,
    const struct pool_options *pool, const char *source);

/*
 * HAProxy's answer to "show servers state", format version 1: management.txt
 * section 9.3. Servers of `pool`'s backend that have an address and a port, in
 * `arena`. 0; -EINVAL or -ENOMEM with `why` filled (found and want only).
 */
int discover_haproxy_parse(struct span text, const struct pool_options *pool,
    struct arena *arena, const struct endpoint_spec **out, size_t *n_out,
    struct fault *why);
