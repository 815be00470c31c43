/*
 * help.h - what several unit tests need: HAProxy's side of SPOP, and a pool at rest
 *
 * Not a test; linked into each. Frames are written through lib/spop's encoders, so a
 * test that wants a wrong one patches or makes it by hand.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endpoints.h"
#include "options.h"
#include "plugin.h"
#include "request.h"
#include "spop.h"

/* ---- asks ---- */

/* req.hdrs_bin of "name", "value", ..., NULL into `out`. */
struct span help_headers(const char *const *pairs, void *out, size_t len);

/* A POST of a whole body, with its content-length. `body` is borrowed. */
struct ask help_ask(const char *path, const char *body);

/* The same request, of which HAProxy's buffer held `len` bytes only. */
struct ask help_cut(struct ask ask, size_t len);

/* ---- frames ---- */

void help_hello(struct writer *w, uint32_t max_frame, bool is_healthcheck);

/* The message `pick` with all its arguments, as the payload of a NOTIFY. */
void help_pick(struct writer *w, const struct ask *ask);
void help_notify(struct writer *w, uint64_t stream, uint64_t frame,
    const struct ask *ask);

enum { HELP_VARS_MAX = 16 };

/* Actions of an ACK; an unset variable has SPOP_NULL. */
struct help_actions {
	size_t n;
	struct {
		struct span name;
		struct spop_data value;
	} vars[HELP_VARS_MAX];
};

/* False when the payload is not a list of actions in scope txn. */
bool help_read_actions(struct reader payload, struct help_actions *out);

/* The variable's text; empty when it is not there. */
struct span help_text(const struct help_actions *a, const char *name);
const struct spop_data *help_var(const struct help_actions *a,
    const char *name);

/* ---- a pool without a scraper ---- */

enum { HELP_ENDPOINTS_MAX = 64, HELP_BLOCK_BYTES = 64 };

/* Endpoints "s00", "s01", ... at 10.0.0.x:8000, slot i for row i, idle, fresh. */
struct help_pool {
	struct endpoint_view view;
	struct endpoint endpoints[HELP_ENDPOINTS_MAX];
	struct endpoint_stats stats[HELP_ENDPOINTS_MAX];
	struct endpoint_live live[HELP_ENDPOINTS_MAX];
	struct pool_live pool_live;
	struct pool_options options;	/* fail open, nothing else on; llm-d's limits */
	char names[HELP_ENDPOINTS_MAX][8], addrs[HELP_ENDPOINTS_MAX][24];
	struct schedule schedule;	/* for help_pool_profile() */
	const struct endpoint_view *views[1];
	struct fleet fleet;		/* of this one pool */
};

void help_pool_init(struct help_pool *p, const char *name, size_t n);
void help_pool_fini(struct help_pool *p);

/* Scheduled by that one, which is borrowed, instead of llm-d's default. */
void help_pool_profile(struct help_pool *p, const struct profile *profile);

/* All that was picked in this pool so far. */
uint64_t help_picked(const struct help_pool *p);
