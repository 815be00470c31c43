/*
 * status.c - finding conditions, adding to them
 */
#include "status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "hash.h"
#include "plan.h"

const struct condition *conditions_get(const struct conditions *c,
    const char *type)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->items[i].type, type) == 0)
			return &c->items[i];
	return NULL;
}

const char *const condition_status_names[] = {
	[CONDITION_FALSE] = "False", [CONDITION_TRUE] = "True",
	[CONDITION_UNKNOWN] = "Unknown",
};

static uint64_t add_text(uint64_t key, const char *text)
{
	return text != NULL ? hash_bytes(text, strlen(text), key) :
	    hash_pair(key, 0);
}

size_t status_parent_key(const struct parent_ref *ref)
{
	uint64_t key = add_text(ref->port, ref->kind);

	key = add_text(key, ref->namespace);
	return (size_t)add_text(key, ref->section);
}

static int compare(const struct object *o, enum kind kind,
    const char *namespace, const char *name)
{
	int order = (int)o->kind - (int)kind;

	if (order == 0)
		order = strcmp(o->namespace, namespace);
	return order != 0 ? order : strcmp(o->name, name);
}

struct status *statuses_find(const struct statuses *all, enum kind kind,
    const char *namespace, const char *name)
{
	size_t low = 0, high = all->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = compare(all->items[mid].object, kind, namespace,
		    name);

		if (order == 0)
			return &all->items[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* ---- what could not be done ---------------------------------------------- */

static const enum kind kinds[PLAN_N_KINDS] = {
	[PLAN_GATEWAY] = KIND_GATEWAY,
	[PLAN_LISTENER_SET] = KIND_LISTENER_SET,
	[PLAN_HTTP_ROUTE] = KIND_HTTP_ROUTE,
	[PLAN_GRPC_ROUTE] = KIND_GRPC_ROUTE,
	[PLAN_TLS_ROUTE] = KIND_TLS_ROUTE,
	[PLAN_TCP_ROUTE] = KIND_TCP_ROUTE,
	[PLAN_SERVICE] = KIND_SERVICE,
	[PLAN_INFERENCE_POOL] = KIND_INFERENCE_POOL,
	[PLAN_BACKEND_TLS_POLICY] = KIND_BACKEND_TLS_POLICY,
	[PLAN_SECRET] = KIND_SECRET,
	[PLAN_CONFIG_MAP] = KIND_CONFIG_MAP,
};

static struct condition *add(struct conditions *c, const char *type,
    struct arena *arena)
{
	struct condition *items;

	if (c->n == CONDITIONS_MAX)
		return NULL;
	if (c->n == c->cap) {
		items = arena_zalloc(arena, CONDITIONS_MAX * sizeof(*items));
		if (items == NULL)
			return NULL;
		if (c->n > 0)
			memcpy(items, c->items, c->n * sizeof(*items));
		c->items = items;
		c->cap = CONDITIONS_MAX;
	}
	c->items[c->n].type = type;
	return &c->items[c->n++];
}

/* Several may be wrong: their words are told one after the other, once each. */
static int set(struct conditions *c, const char *type,
    enum condition_status status, const struct plan_problem *problem,
    struct arena *arena)
{
	struct condition *at = (struct condition *)conditions_get(c, type);
	bool is_same = at != NULL && at->status == status;
	char text[1024];

	if (is_same && strstr(at->message, problem->message) != NULL)
		return 0;
	if (at == NULL)
		at = add(c, type, arena);
	if (at == NULL)
		return c->n == CONDITIONS_MAX ? 0 : -ENOMEM;
	snprintf(text, sizeof(text), "%s%s%s", is_same ? at->message : "",
	    is_same ? "; " : "", problem->message);
	at->status = status;
	if (!is_same)
		at->reason = problem->reason;
	at->message = arena_copy(arena, text, strlen(text));
	return at->message != NULL ? 0 : -ENOMEM;
}

static int refuse_route(struct status *s, const struct plan_problem *problem,
    struct arena *arena)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < s->n_parents; i++) {
		struct conditions *c = &s->parents[i].conditions;
		const struct condition *accepted = conditions_get(c,
		    "Accepted");

		if (accepted == NULL || accepted->status != CONDITION_TRUE)
			continue;
		err = set(c, "PartiallyInvalid", CONDITION_TRUE, problem,
		    arena);
	}
	return err;
}

static int refuse_listener(struct status *s, const struct plan_problem *problem,
    struct arena *arena)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		if (strcmp(s->listeners[i].name, problem->ref.section) == 0)
			return set(&s->listeners[i].conditions, "Programmed",
			    CONDITION_FALSE, problem, arena);
	return 0;
}

static int refuse_ancestors(struct status *s,
    const struct plan_problem *problem, struct arena *arena)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < s->n_parents; i++)
		err = set(&s->parents[i].conditions, "Accepted",
		    CONDITION_FALSE, problem, arena);
	return err;
}

static int refuse(struct status *s, const struct plan_problem *problem,
    struct arena *arena)
{
	switch (s->object->kind) {
	case KIND_GATEWAY:
	case KIND_LISTENER_SET:
		if (problem->ref.section != NULL)
			return refuse_listener(s, problem, arena);
		return set(&s->conditions, "Programmed", CONDITION_FALSE,
		    problem, arena);
	case KIND_HTTP_ROUTE:
	case KIND_GRPC_ROUTE:
	case KIND_TLS_ROUTE:
	case KIND_TCP_ROUTE:
		return refuse_route(s, problem, arena);
	case KIND_BACKEND_TLS_POLICY:
		return refuse_ancestors(s, problem, arena);
	default:
		return 0;
	}
}

int status_refuse(struct statuses *all, const struct plan_problems *problems,
    struct arena *arena)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < problems->n; i++) {
		const struct plan_ref *ref = &problems->items[i].ref;
		struct status *s = statuses_find(all, kinds[ref->kind],
		    ref->namespace, ref->name);

		if (s != NULL)
			err = refuse(s, &problems->items[i], arena);
	}
	return err;
}
