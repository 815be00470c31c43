/*
 * plan_make.h - from what is declared to what HAProxy shall do
 *
 * Pure: reads the store and its arguments, nothing else. The same objects in any
 * order give the same plan and the same statuses.
 */
#pragma once

#include "plan.h"
#include "status.h"

struct arena;
struct hostnames;
struct store;

struct plan_input {
	struct store *store;		/* sorted as it is read; not changed */
	const char *controller;		/* controllerName of our GatewayClasses */
	/* Plan no route but HTTPRoutes and GRPCRoutes of these; NULL: all. */
	const struct hostnames *only;
};

/*
 * Both live in `arena`; strings are lent from the store, whose store_sweep() has to
 * wait until they are no longer used. 0, or -ENOMEM.
 */
int plan_make(const struct plan_input *in, struct arena *arena,
    struct plan *plan, struct statuses *statuses);
