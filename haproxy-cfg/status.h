/*
 * status.h - what becomes of what was declared, object by object
 *
 * Filled by plan*.c beside the plan, in the same arena; written as Kubernetes
 * objects with a status, as a controller would write them to the API server.
 * Conditions and reasons are those of Gateway API v1.6.1 and of the Inference
 * Extension v1. Not written after plan_make() but by status_refuse(): any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "kinds.h"

struct arena;
struct buf;
struct span;
struct plan_problems;
struct status_since;

enum { CONDITIONS_MAX = 8 };	/* maxItems of every conditions list */

enum condition_status { CONDITION_FALSE, CONDITION_TRUE, CONDITION_UNKNOWN };

/* As the API spells them. */
extern const char *const condition_status_names[];
enum { N_CONDITION_STATUSES = CONDITION_UNKNOWN + 1 };

struct condition {
	const char *type;
	enum condition_status status;
	const char *reason, *message;
};

struct conditions {		/* in the order they were set */
	struct condition *items;
	size_t n, cap;
};

struct status_listener {
	const char *name;
	struct route_kind kinds[2];
	size_t n_kinds;
	size_t attached_routes;
	struct conditions conditions;
};

/* Of a route: a parentRef, as written. Of a policy, a pool: a Gateway. */
struct status_parent {
	struct parent_ref ref;
	struct conditions conditions;
};

struct status {
	const struct object *object;
	struct conditions conditions;	/* GatewayClass, Gateway, ListenerSet */
	struct status_listener *listeners;	/* Gateway, ListenerSet */
	size_t n_listeners;
	size_t attached_sets;		/* Gateway */
	const struct gateway_address *addresses;
	size_t n_addresses;
	struct status_parent *parents;	/* routes, pools; policies' ancestors */
	size_t n_parents;
};

/* Sorted by kind, namespace and name. Objects nobody asked us about have none. */
struct statuses {
	struct status *items;
	size_t n;
	const char *controller;
};

/* NULL: not set. */
const struct condition *conditions_get(const struct conditions *c,
    const char *type);

/* Of one object's parents, which one: by all that it is referred to by but its name. */
size_t status_parent_key(const struct parent_ref *ref);

/* NULL: it has none. */
struct status *statuses_find(const struct statuses *all, enum kind kind,
    const char *namespace, const char *name);

/*
 * What render or apply could not do becomes conditions of whose it is. 0, or
 * -ENOMEM. `arena` is the plan's.
 */
int status_refuse(struct statuses *all, const struct plan_problems *problems,
    struct arena *arena);

/*
 * YAML documents, one an object. `since` knows the lastTransitionTime of each
 * condition; NULL leaves it out, so that equal states give equal bytes.
 */
void status_write(const struct statuses *all, struct status_since *since,
    struct buf *out);
/* The i'th document of these. */
void status_write_one(const struct statuses *all, size_t i,
    struct status_since *since, struct buf *out);

/*
 * What was written is read again, so that a time outlives the process: `since` gets the
 * times of conditions of what is in `all`, for its next status_since_begin(). What is
 * no status, or later than `now_s`, is passed over. False: some of it is no YAML, and
 * what follows in `text` was not read.
 */
bool status_read_text(const struct statuses *all, struct span text,
    int64_t now_s, struct status_since *since);
/*
 * A whole file, in pieces of some documents each. 0; -errno; -EINVAL: not a regular
 * file, a document of more than 1 MiB, or some of it is no YAML.
 */
int status_read(const struct statuses *all, const char *file, int64_t now_s,
    struct status_since *since);
