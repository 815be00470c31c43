/*
 * plan.c - the steps in their order, and what they share
 */
#include "plan_make.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_state.h"

/* ---- memory -------------------------------------------------------------- */

void *plan_alloc(struct planner *p, size_t bytes)
{
	static char nothing[1];
	void *at;

	if (bytes == 0)
		return nothing;
	at = arena_zalloc(p->arena, bytes);
	if (at == NULL)
		p->failed = true;
	return at;
}

const char *plan_textf(struct planner *p, const char *fmt, ...)
{
	const char *text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vprintf(p->arena, fmt, ap);
	va_end(ap);
	if (text != NULL)
		return text;
	p->failed = true;
	return "";
}

void *plan_grow(struct planner *p, void *items, size_t n, size_t *cap,
    size_t size)
{
	size_t more = *cap > 0 ? 2 * *cap : 2;
	void *grown;

	if (n < *cap)
		return items;
	grown = plan_alloc(p, more * size);
	if (grown == NULL)
		return NULL;
	if (n > 0)
		memcpy(grown, items, n * size);
	*cap = more;
	return grown;
}

/* ---- small things -------------------------------------------------------- */

struct plan_ref plan_ref_of(const struct object *o)
{
	static const enum plan_kind kinds[N_KINDS] = {
		[KIND_GATEWAY] = PLAN_GATEWAY,
		[KIND_LISTENER_SET] = PLAN_LISTENER_SET,
		[KIND_HTTP_ROUTE] = PLAN_HTTP_ROUTE,
		[KIND_GRPC_ROUTE] = PLAN_GRPC_ROUTE,
		[KIND_TLS_ROUTE] = PLAN_TLS_ROUTE,
		[KIND_TCP_ROUTE] = PLAN_TCP_ROUTE,
		[KIND_SERVICE] = PLAN_SERVICE,
		[KIND_INFERENCE_POOL] = PLAN_INFERENCE_POOL,
		[KIND_BACKEND_TLS_POLICY] = PLAN_BACKEND_TLS_POLICY,
		[KIND_SECRET] = PLAN_SECRET,
		[KIND_CONFIG_MAP] = PLAN_CONFIG_MAP,
	};

	return (struct plan_ref){ kinds[o->kind], o->namespace, o->name, NULL,
		0 };
}

int plan_by_age(const struct object *a, const struct object *b)
{
	int order = (a->created_s > b->created_s) -
	    (a->created_s < b->created_s);

	if (order == 0)
		order = strcmp(a->namespace, b->namespace);
	if (order == 0)
		order = strcmp(a->name, b->name);
	return order != 0 ? order : (int)a->kind - (int)b->kind;
}

bool plan_is_address(const char *text)
{
	struct in6_addr any;

	return inet_pton(AF_INET, text, &any) == 1 ||
	    inet_pton(AF_INET6, text, &any) == 1;
}

/* ---- conditions ---------------------------------------------------------- */

void plan_set(struct planner *p, struct conditions *c, const char *type,
    enum condition_status status, const char *reason, const char *message)
{
	struct condition *items;

	if (conditions_get(c, type) != NULL || c->n == CONDITIONS_MAX)
		return;
	items = plan_grow(p, c->items, c->n, &c->cap, sizeof(*items));
	if (items == NULL)
		return;
	c->items = items;
	c->items[c->n++] = (struct condition){ type, status, reason, message };
}

void plan_judge(struct planner *p, struct conditions *c, const char *type,
    const char *reason, const char *message, const char *good)
{
	if (reason != NULL)
		plan_set(p, c, type, CONDITION_FALSE, reason, message);
	else
		plan_set(p, c, type, CONDITION_TRUE, type, good);
}

bool plan_is_true(const struct conditions *c, const char *type)
{
	const struct condition *at = conditions_get(c, type);

	return at != NULL && at->status == CONDITION_TRUE;
}

struct status *plan_status(struct planner *p, const struct object *o)
{
	void **at = index_at(&p->statuses, o->namespace, o->name, o->kind);
	struct status **all;

	if (at == NULL) {
		p->failed = true;
		return NULL;
	}
	if (*at != NULL)
		return *at;
	all = plan_grow(p, p->all_statuses, p->n_statuses, &p->cap_statuses,
	    sizeof(*all));
	if (all == NULL)
		return NULL;
	p->all_statuses = all;
	*at = plan_alloc(p, sizeof(struct status));
	if (*at == NULL)
		return NULL;
	((struct status *)*at)->object = o;
	p->all_statuses[p->n_statuses++] = *at;
	return *at;
}

static int by_kind_and_name(const void *left, const void *right)
{
	const struct object *a = (*(const struct status *const *)left)->object;
	const struct object *b = (*(const struct status *const *)right)->object;
	int order = (int)a->kind - (int)b->kind;

	if (order == 0)
		order = strcmp(a->namespace, b->namespace);
	return order != 0 ? order : strcmp(a->name, b->name);
}

static void finish_statuses(struct planner *p, struct statuses *out)
{
	out->controller = p->in->controller;
	out->items = plan_alloc(p, p->n_statuses * sizeof(*out->items));
	if (out->items == NULL || p->failed)
		return;
	if (p->n_statuses > 1)
		qsort(p->all_statuses, p->n_statuses, sizeof(*p->all_statuses),
		    by_kind_and_name);
	for (size_t i = 0; i < p->n_statuses; i++)
		out->items[i] = *p->all_statuses[i];
	out->n = p->n_statuses;
}

/* ---- the steps ----------------------------------------------------------- */

typedef void step_f(struct planner *p);

static step_f *const steps[] = {
	plan_grants,		/* who may refer to what */
	plan_slices,		/* endpoints of Services */
	plan_pods,		/* endpoints of InferencePools */
	plan_rewrites,		/* their models under other names */
	plan_policies,		/* BackendTLSPolicies by Service */
	plan_classes,		/* which GatewayClasses are ours */
	plan_gateways,		/* and which Gateways are of them */
	plan_listener_sets,	/* what is added to them */
	plan_listeners,		/* is each listener valid by itself? */
	plan_conflicts,		/* and beside the others of its Gateway? */
	plan_claims,		/* and beside other Gateways' at the address? */
	plan_routes,		/* which routes attach where, and lead to what */
	plan_gateway_statuses,
	plan_policy_statuses,
	plan_pool_statuses,
};

int plan_make(const struct plan_input *in, struct arena *arena,
    struct plan *plan, struct statuses *statuses)
{
	struct planner p = { .in = in, .store = in->store, .arena = arena };
	struct plan_index *const indexes[] = { &p.gateways_by_name,
		&p.sets_by_name, &p.grants, &p.slices, &p.policies, &p.pods,
		&p.pools, &p.backends, &p.pems, &p.claims,
		&p.statuses };

	for (size_t i = 0; i < sizeof(indexes) / sizeof(*indexes); i++)
		indexes[i]->arena = arena;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		steps[i](&p);
		if (p.failed)
			return -ENOMEM;
	}
	plan_binds(&p, plan);
	plan->only = in->only;
	finish_statuses(&p, statuses);
	return p.failed ? -ENOMEM : 0;
}
