/*
 * plan_route.c - which routes attach to which listeners, and what their parents
 * are told
 *
 * Routes are taken the oldest first, so that each listener has them in the order
 * of their precedence.
 */
#include <stdlib.h>
#include <string.h>

#include "hostname.h"
#include "plan_state.h"

static const enum kind route_kinds[] = { KIND_HTTP_ROUTE, KIND_GRPC_ROUTE,
	KIND_TLS_ROUTE, KIND_TCP_ROUTE };

/* ---- one listener -------------------------------------------------------- */

static bool is_meant(const struct parent_ref *ref, const struct lstn *l)
{
	return (ref->section == NULL ||
		   strcmp(ref->section, l->spec->name) == 0) &&
	    (ref->port == 0 || ref->port == l->spec->port);
}

static bool is_allowed(const struct planner *p, const struct route *route,
    const struct lstn *l)
{
	const char *home = l->set != NULL ? l->set->o->o.namespace :
	    l->gw->o->o.namespace;

	return plan_takes_kind(l, route->o.kind) &&
	    plan_in_namespaces(p, &l->spec->allowed.namespaces, home,
		route->o.namespace);
}

static bool is_among(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* The hosts that both serve; false: none. */
static bool intersect(struct planner *p, const struct route *route,
    const struct lstn *l, struct attached *out)
{
	const char *host = l->spec->hostname;
	const char **names;

	if (route->o.kind == KIND_TCP_ROUTE)
		return true;
	if (host == NULL) {
		out->hostnames = route->hostnames;
		out->n_hostnames = route->n_hostnames;
		return true;
	}
	names = plan_alloc(p, (route->n_hostnames + 1) * sizeof(*names));
	if (names == NULL)
		return false;
	out->hostnames = names;
	if (route->n_hostnames == 0)
		names[out->n_hostnames++] = host;
	for (size_t i = 0; i < route->n_hostnames; i++) {
		const char *both;

		if (hostname_intersect(host, route->hostnames[i], &both) &&
		    !is_among(names, out->n_hostnames, both))
			names[out->n_hostnames++] = both;
	}
	return out->n_hostnames > 0;
}

static void attach(struct planner *p, struct lstn *l, struct attached *a)
{
	struct attached *all = plan_grow(p, l->attached, l->n_attached,
	    &l->cap_attached, sizeof(*all));

	if (all == NULL)
		return;
	l->attached = all;
	l->attached[l->n_attached++] = *a;
	l->status->attached_routes++;
}

/* ---- one parentRef ------------------------------------------------------- */

struct parent {
	const struct route *route;
	const struct parent_ref *ref;
	struct gw *gw;
	struct lstn *listeners;
	size_t n;
	bool *serves;			/* by listener */
	struct attached *hosts;		/* by listener */
	const char *reason, *message;	/* why it is not accepted; NULL: it is */
};

static bool find_parent(const struct planner *p, const struct route *route,
    const struct parent_ref *ref, struct parent *out)
{
	const char *namespace = ref->namespace != NULL ? ref->namespace :
	    route->o.namespace;
	const struct lset *set;

	*out = (struct parent){ .route = route, .ref = ref };
	if (strcmp(ref->group, GATEWAY_GROUP) != 0)
		return false;
	if (strcmp(ref->kind, "Gateway") == 0) {
		out->gw = index_get(&p->gateways_by_name, namespace, ref->name,
		    0);
		if (out->gw == NULL)
			return false;
		out->listeners = out->gw->listeners;
		out->n = out->gw->o->listeners.n;
		return true;
	}
	set = strcmp(ref->kind, "ListenerSet") == 0 ?
	    index_get(&p->sets_by_name, namespace, ref->name, 0) : NULL;
	if (set == NULL)
		return false;
	out->gw = set->gw;
	out->listeners = set->listeners;
	out->n = set->is_allowed ? set->o->listeners.n : 0;
	return true;
}

/* The listeners that serve the route; or why there are none. */
static void choose(struct planner *p, struct parent *at)
{
	bool is_any_meant = false, is_any_allowed = false, is_any = false;

	for (size_t i = 0; i < at->n; i++) {
		const struct lstn *l = &at->listeners[i];

		at->serves[i] = false;
		if (!is_meant(at->ref, l))
			continue;
		is_any_meant = true;
		if (!is_allowed(p, at->route, l))
			continue;
		is_any_allowed = true;
		at->hosts[i] = (struct attached){ .route = at->route };
		at->serves[i] = intersect(p, at->route, l, &at->hosts[i]);
		is_any = is_any || at->serves[i];
	}
	if (is_any)
		return;
	at->reason = !is_any_meant ? "NoMatchingParent" : !is_any_allowed ?
	    "NotAllowedByListeners" : "NoMatchingListenerHostname";
	at->message = !is_any_meant ?
	    "The parent has no listener of that sectionName and port" :
	    !is_any_allowed ?
	    "No listener lets routes of this kind and namespace in" :
	    "No listener serves a hostname of the route";
}

static void tell(struct planner *p, const struct parent *at,
    const struct plan_ruling *r, struct conditions *c)
{
	plan_judge(p, c, "Accepted", at->reason, at->message,
	    "The route is attached");
	plan_judge(p, c, "ResolvedRefs", r->ref_reason, r->ref_message,
	    "All references are resolved");
	if (at->reason == NULL && (r->dropped != NULL || r->partly != NULL))
		plan_set(p, c, "PartiallyInvalid", CONDITION_TRUE,
		    "UnsupportedValue", r->dropped != NULL ? r->dropped :
		    r->partly);
}

/* ---- one route ----------------------------------------------------------- */

struct rulings {		/* of one route: by client certificate */
	struct plan_ruling made;
	const struct plan_pem *client_cert;
	bool is_made;
};

static const struct plan_ruling *rule(struct planner *p,
    const struct parent *at, struct rulings *r)
{
	p->is_noted = at->reason == NULL;
	if (!r->is_made || r->client_cert != at->gw->client_cert) {
		r->made = plan_rules(p, at->route, at->gw);
		r->client_cert = at->gw->client_cert;
		r->is_made = true;
	} else if (p->is_noted) {
		plan_note_rules(p, at->route, at->gw);
	}
	return &r->made;
}

static void attach_all(struct planner *p, const struct parent *at,
    const struct plan_ruling *r, uint32_t age)
{
	for (size_t i = 0; i < at->n; i++) {
		struct attached *a = &at->hosts[i];

		if (!at->serves[i])
			continue;
		a->rules = r->rules;
		a->n_rules = r->n_rules;
		a->age = age;
		attach(p, &at->listeners[i], a);
	}
}

static void take_parent(struct planner *p, struct parent *at, uint32_t age,
    struct rulings *rulings, struct conditions *c)
{
	bool serves[64];		/* listeners: maxItems 64 */
	struct attached hosts[64];
	const struct plan_ruling *r;

	at->serves = serves;
	at->hosts = hosts;
	choose(p, at);
	r = rule(p, at, rulings);
	if (at->reason == NULL && r->n_rules > 0 && r->n_dropped == r->n_rules) {
		at->reason = "UnsupportedValue";
		at->message = r->dropped;
	}
	if (at->reason == NULL)
		attach_all(p, at, r, age);
	tell(p, at, r, c);
}

static void take_route(struct planner *p, const struct route *route,
    uint32_t age)
{
	struct status_parent *parents = NULL;
	struct rulings rulings = { .is_made = false };
	struct status *s;
	size_t n = 0;

	for (size_t i = 0; i < route->n_parents && !p->failed; i++) {
		struct parent at;

		if (!find_parent(p, route, &route->parents[i], &at))
			continue;
		if (parents == NULL)
			parents = plan_alloc(p, (route->n_parents - i) *
			    sizeof(*parents));
		if (parents == NULL)
			return;
		parents[n].ref = route->parents[i];
		take_parent(p, &at, age, &rulings, &parents[n++].conditions);
	}
	s = n > 0 ? plan_status(p, &route->o) : NULL;
	if (s == NULL)
		return;
	s->parents = parents;
	s->n_parents = n;
}

static int by_age(const void *left, const void *right)
{
	return plan_by_age(*(const struct object *const *)left,
	    *(const struct object *const *)right);
}

/* Hostnames of listeners do not widen those of a route. */
static bool is_asked_for(const struct planner *p, const struct object *o)
{
	const struct hostnames *only = p->in->only;
	const struct route *route = (const void *)o;

	if (only == NULL)
		return true;
	if (o->kind != KIND_HTTP_ROUTE && o->kind != KIND_GRPC_ROUTE)
		return false;
	for (size_t i = 0; i < route->n_hostnames; i++)
		if (hostnames_any(only, route->hostnames[i]))
			return true;
	return route->n_hostnames == 0;
}

void plan_routes(struct planner *p)
{
	const struct object **all;
	size_t n = 0;

	for (size_t i = 0; i < 4; i++)
		n += store_all(p->store, route_kinds[i]).n;
	all = plan_alloc(p, n * sizeof(*all));
	if (all == NULL)
		return;
	n = 0;
	for (size_t i = 0; i < 4; i++) {
		struct objects of = store_all(p->store, route_kinds[i]);

		for (size_t k = 0; k < of.n; k++)
			if (is_asked_for(p, of.items[k]))
				all[n++] = of.items[k];
	}
	if (n > 1)
		qsort(all, n, sizeof(*all), by_age);
	for (size_t i = 0; i < n && !p->failed; i++)
		take_route(p, (const void *)all[i], (uint32_t)i);
}
