/*
 * discover.h - where a pool's endpoints come from: static, file, HAProxy
 *
 * One discovery per pool, all on the loop it was given (the scraper's), which
 * is the only thread that calls back. Nothing here blocks that loop: DNS names
 * are resolved by a thread of their own and asked again every 10 seconds (or
 * when a pool's set changes), files are watched (rename over, edit in place,
 * symlink swap), HAProxy's stats socket is spoken to without blocking. What
 * does take the loop's time is parsing a changed endpoints file: 2 ms for 1000
 * rows.
 *
 * A source that fails keeps the last good set and logs why, once per change.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

struct ev_loop;
struct discover;

/* One endpoint as found now. Borrowed: valid during the callback only. */
struct endpoint_spec {
	const char *name;	/* HAProxy's server name; unique in the set */
	const char *host;	/* as written: for the Host header and TLS */
	const char *address;	/* numeric, no brackets; NULL: not resolved */
	uint16_t port;
	const char *engine;	/* never NULL */
	const struct label *labels;
	size_t n_labels;
	bool ready;		/* false: HAProxy says down, maint or drain */
};

/* The whole set, in the source's order, each time that it changes. */
typedef void discover_found_f(void *data, const struct endpoint_spec *specs,
    size_t n);

/*
 * Starts; `found` may be called before this returns. `pool` must outlive it.
 * NULL without memory.
 */
struct discover *discover_start(struct ev_loop *loop,
    const struct pool_options *pool, discover_found_f *found, void *data);

/*
 * After this returns there are no more calls; not from within one. May wait for
 * a DNS lookup under way (resolver.h). free(NULL)-like for NULL.
 */
void discover_stop(struct discover *d);
