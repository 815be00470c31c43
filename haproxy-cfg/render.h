/*
 * render.h - a plan as HAProxy's configuration
 *
 * Same plan and options, same bytes. Routing is lookups in maps (Gateway API's
 * precedence is resolved here, not at run time); filters, timeouts and the like are
 * in backends, one for each distinct (Service port or InferencePool, policy). What a
 * version of HAProxy cannot do is reported for a condition of its owner, and left
 * out so that nothing is served which was meant to be refused. Pure; any thread.
 */
#pragma once

#include <stdint.h>

#include "plan.h"

struct arena;
struct output;

enum { RENDER_OLDEST = 206 };	/* 100 * major + minor */

struct render_options {
	unsigned haproxy_version;	/* 206, 300, 302, ... */
	const char *stats_socket;	/* NULL: haproxy.sock in the folder */
	const char *agent;		/* host:port of epp-agent's SPOP listener */
	const char *feedback;		/* host:port where it hears HAProxy's log */
	const char *spoe_file;		/* spoe-epp.conf as shipped */
	const char *lua_file;		/* epp-model.lua as shipped */
	const char *health_path;	/* of a pool's servers; NULL: TCP check */
	int64_t hard_stop_after_ms;
};

/* What epp-translator has without flags. */
extern const struct render_options render_defaults;

/*
 * `*out` is finished and the caller's. Problems are added to `problems`, in `arena`.
 * 0 or -ENOMEM.
 */
int render(const struct plan *plan, const struct render_options *options,
    struct arena *arena, struct plan_problems *problems, struct output **out);
