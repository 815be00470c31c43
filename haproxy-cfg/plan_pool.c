/*
 * plan_pool.c - InferencePools as backends, and which Gateways lead to them
 *
 * Endpoints are every target port of every ready pod that the selector matches;
 * the port of the backendRef is ignored (Inference Extension v1). We pick
 * ourselves, so a pool without endpointPickerRef is as good as any: requests go on
 * when the agent does not answer, since nobody asked for them to fail. One that
 * refers to a Service which is not there is answered with 500.
 */
#include <string.h>

#include "plan_state.h"

struct pod_list {
	const struct pod **items;
	size_t n, cap;
};

struct pool_use {
	const struct inference_pool *pool;
	const struct gw **gws;
	size_t n_gws, cap_gws;
	const struct plan_backend *backend;
	bool is_picker_missing;
};

void plan_pods(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_POD);

	for (size_t i = 0; i < all.n && !p->failed; i++) {
		const struct pod *pod = (const void *)all.items[i];
		struct pod_list *l = plan_held(p, &p->pods, pod->o.namespace,
		    "", 0, sizeof(*l));

		if (l == NULL)
			return;
		l->items = plan_grow(p, l->items, l->n, &l->cap,
		    sizeof(*l->items));
		if (l->items != NULL)
			l->items[l->n++] = pod;
	}
}

static bool is_selected(const struct inference_pool *pool,
    const struct pod *pod)
{
	if (!pod->ready || pod->o.is_deleting || pod->ip == NULL ||
	    !plan_is_address(pod->ip))
		return false;
	for (size_t i = 0; i < pool->selector.n; i++) {
		const char *value = labels_get(&pod->o.labels,
		    pool->selector.items[i].key);

		if (value == NULL ||
		    strcmp(value, pool->selector.items[i].value) != 0)
			return false;
	}
	return true;
}

static void take_endpoints(struct planner *p, const struct inference_pool *pool,
    struct plan_backend *b)
{
	const struct pod_list *l = index_get(&p->pods, pool->o.namespace, "",
	    0);
	struct plan_endpoint *e;
	size_t n = 0;

	for (size_t i = 0; l != NULL && i < l->n; i++)
		n += is_selected(pool, l->items[i]) ? pool->n_ports : 0;
	e = plan_alloc(p, n * sizeof(*e));
	if (e == NULL)
		return;
	n = 0;
	for (size_t i = 0; l != NULL && i < l->n; i++)
		for (size_t k = 0; k < pool->n_ports; k++)
			if (is_selected(pool, l->items[i]))
				e[n++] = (struct plan_endpoint){
					l->items[i]->ip, pool->ports[k] };
	b->endpoints = e;
	b->n_endpoints = plan_sort_endpoints(e, n);
}

/* The Service, or the kind of thing, that picks; NULL: it is there. */
static bool is_picker_missing(const struct planner *p,
    const struct inference_pool *pool)
{
	const struct endpoint_picker *picker = pool->picker;

	if (picker == NULL)
		return false;
	if (picker->group[0] != '\0' || strcmp(picker->kind, "Service") != 0)
		return true;
	return store_find(p->store, KIND_SERVICE, pool->o.namespace,
	    picker->name) == NULL;
}

static bool is_of(const struct object *from, const struct pool_ref *ref,
    const struct object *pool)
{
	return strcmp(ref->kind, "InferencePool") == 0 &&
	    strcmp(ref->name, pool->name) == 0 &&
	    strcmp(from->namespace, pool->namespace) == 0;
}

/* By name, as the store has them. */
static void take_objectives(struct planner *p,
    const struct inference_pool *pool, struct plan_pool *made)
{
	struct objects all = store_all(p->store, KIND_INFERENCE_OBJECTIVE);
	struct plan_objective *items = plan_alloc(p, all.n * sizeof(*items));

	for (size_t i = 0; items != NULL && i < all.n; i++) {
		const struct inference_objective *o = (const void *)all.items[i];

		if (is_of(&o->o, &o->pool, &pool->o))
			items[made->n_objectives++] = (struct plan_objective){
				o->o.name, o->priority };
	}
	made->objectives = items;
}

static const struct plan_backend *backend_of(struct planner *p,
    const struct inference_pool *pool)
{
	struct plan_backend *b = plan_alloc(p, sizeof(*b));
	struct plan_pool *made = plan_alloc(p, sizeof(*made));

	if (b == NULL || made == NULL)
		return NULL;
	made->ref = plan_ref_of(&pool->o);
	made->failure_mode = pool->picker == NULL ||
	    pool->picker->failure_mode == FAIL_OPEN ? PLAN_FAIL_OPEN :
	    PLAN_FAIL_CLOSE;
	b->ref = made->ref;
	b->protocol = pool->protocol == POOL_H2C ? PLAN_H2C : PLAN_HTTP;
	b->pool = made;
	take_endpoints(p, pool, b);
	take_objectives(p, pool, made);
	plan_take_rewrites(p, pool, made);
	return b;
}

static struct pool_use *use_of(struct planner *p, const char *namespace,
    const char *name)
{
	void **at = plan_at(p, &p->pools, namespace, name, 0);
	struct pool_use *u;
	const struct inference_pool *pool;

	if (at == NULL || *at != NULL)
		return at != NULL ? *at : NULL;
	pool = (const void *)store_find(p->store, KIND_INFERENCE_POOL,
	    namespace, name);
	u = pool != NULL ? plan_alloc(p, sizeof(*u)) : NULL;
	if (u == NULL)
		return NULL;
	*at = u;
	u->pool = pool;
	u->is_picker_missing = is_picker_missing(p, pool);
	u->backend = backend_of(p, pool);
	return u;
}

static void note(struct planner *p, struct pool_use *u, const struct gw *gw)
{
	const struct gw **gws;

	for (size_t i = 0; i < u->n_gws; i++)
		if (u->gws[i] == gw)
			return;
	gws = plan_grow(p, u->gws, u->n_gws, &u->cap_gws, sizeof(*gws));
	if (gws == NULL)
		return;
	u->gws = gws;
	u->gws[u->n_gws++] = gw;
}

struct plan_found plan_pool_backend(struct planner *p, const struct gw *gw,
    const char *namespace, const struct backend_ref *ref)
{
	struct pool_use *u = use_of(p, namespace, ref->name);

	if (u == NULL)
		return (struct plan_found){ NULL, "BackendNotFound",
			plan_textf(p, "InferencePool %s/%s: there is none",
			    namespace, ref->name) };
	if (p->is_noted)
		note(p, u, gw);
	return (struct plan_found){ u->is_picker_missing ? NULL : u->backend,
		NULL, NULL };
}

static void set_parent(struct planner *p, const struct pool_use *u,
    struct status_parent *parent, const struct gw *gw)
{
	const struct endpoint_picker *picker = u->pool->picker;

	parent->ref = (struct parent_ref){ .group = GATEWAY_GROUP,
		.kind = "Gateway", .namespace = gw->o->o.namespace,
		.name = gw->o->o.name };
	plan_set(p, &parent->conditions, "Accepted", CONDITION_TRUE,
	    "Accepted", "Routes of the Gateway lead to the pool");
	if (u->is_picker_missing)
		plan_set(p, &parent->conditions, "ResolvedRefs",
		    CONDITION_FALSE, "InvalidExtensionRef", plan_textf(p,
			"endpointPickerRef: there is no %s %s", picker->kind,
			picker->name));
	plan_judge(p, &parent->conditions, "ResolvedRefs", NULL, NULL,
	    "All references are resolved");
}

static void take_backend(struct planner *p, const struct pool_use *u)
{
	const struct plan_backend **all;

	if (u->is_picker_missing)
		return;
	all = plan_grow(p, p->pool_backends, p->n_pool_backends,
	    &p->cap_pool_backends, sizeof(*all));
	if (all == NULL)
		return;
	p->pool_backends = all;
	p->pool_backends[p->n_pool_backends++] = u->backend;
}

/* ---- what points to pools ------------------------------------------------ */

const struct object *plan_pool_of(const struct planner *p,
    const struct object *from, const struct pool_ref *ref)
{
	return strcmp(ref->kind, "InferencePool") != 0 ? NULL :
	    store_find(p->store, KIND_INFERENCE_POOL, from->namespace,
		ref->name);
}

static void tell_objectives(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_INFERENCE_OBJECTIVE);

	for (size_t i = 0; i < all.n && !p->failed; i++) {
		const struct inference_objective *o = (const void *)all.items[i];
		struct status *s = plan_status(p, &o->o);

		if (s == NULL)
			return;
		if (plan_pool_of(p, &o->o, &o->pool) == NULL)
			plan_set(p, &s->conditions, "Accepted",
			    CONDITION_UNKNOWN, "Pending", plan_textf(p,
				"There is no InferencePool %s", o->pool.name));
		plan_judge(p, &s->conditions, "Accepted", NULL, NULL,
		    "Requests that name it have its priority");
	}
}

enum { PARENTS_MAX = 32 };	/* maxItems of InferencePoolStatus.parents */

/* In the order of the pools' names, which is that of the plan. */
void plan_pool_statuses(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_INFERENCE_POOL);

	tell_objectives(p);
	plan_rewrite_statuses(p);
	for (size_t i = 0; i < all.n && !p->failed; i++) {
		struct pool_use *u = index_get(&p->pools,
		    all.items[i]->namespace, all.items[i]->name, 0);
		struct status *s;

		if (u == NULL || u->n_gws == 0)
			continue;
		take_backend(p, u);
		s = plan_status(p, all.items[i]);
		if (s == NULL)
			return;
		plan_sort_gateways(u->gws, u->n_gws);
		s->n_parents = u->n_gws < PARENTS_MAX ? u->n_gws : PARENTS_MAX;
		s->parents = plan_alloc(p, s->n_parents * sizeof(*s->parents));
		for (size_t k = 0; s->parents != NULL && k < s->n_parents; k++)
			set_parent(p, u, &s->parents[k], u->gws[k]);
	}
}
