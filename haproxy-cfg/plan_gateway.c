/*
 * plan_gateway.c - our GatewayClasses, their Gateways, the ListenerSets of those
 */
#include <stdlib.h>
#include <string.h>

#include "plan_state.h"

/* ---- GatewayClasses ------------------------------------------------------ */

/* No parameters are known, so whoever asks for some cannot be served. */
void plan_classes(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_GATEWAY_CLASS);

	for (size_t i = 0; i < all.n; i++) {
		const struct gateway_class *class = (const void *)all.items[i];
		struct status *s;

		if (strcmp(class->controller, p->in->controller) != 0)
			continue;
		s = plan_status(p, &class->o);
		if (s == NULL)
			return;
		if (class->parameters != NULL)
			plan_set(p, &s->conditions, "Accepted", CONDITION_FALSE,
			    "InvalidParameters", plan_textf(p,
				"parametersRef %s %s: no kind of parameters "
				"is supported", class->parameters->kind,
				class->parameters->name));
		plan_judge(p, &s->conditions, "Accepted", NULL, NULL,
		    "Its Gateways are served by this controller");
	}
}

static bool is_ours(const struct planner *p, const struct gateway *g)
{
	const struct gateway_class *class = (const void *)store_find(p->store,
	    KIND_GATEWAY_CLASS, "", g->class_name);

	return class != NULL && strcmp(class->controller,
	    p->in->controller) == 0 && class->parameters == NULL;
}

/* ---- addresses ----------------------------------------------------------- */

/* False: nothing is served, and the Gateway's conditions say why. */
static bool take_address(struct planner *p, struct gw *gw,
    const struct gateway_address *a)
{
	if (strcmp(a->type, "IPAddress") != 0) {
		plan_set(p, &gw->status->conditions, "Accepted",
		    CONDITION_FALSE, "UnsupportedAddress", plan_textf(p,
			"Address type %s is not supported: IPAddress is",
			a->type));
		return false;
	}
	gw->addresses[gw->n_addresses++] = a->value != NULL &&
	    a->value[0] != '\0' ? a->value : NULL;
	return true;
}

static bool take_addresses(struct planner *p, struct gw *gw)
{
	const struct gateway *g = gw->o;

	gw->addresses = plan_alloc(p, (g->n_addresses + 1) *
	    sizeof(*gw->addresses));
	if (gw->addresses == NULL)
		return false;
	for (size_t i = 0; i < g->n_addresses; i++)
		if (!take_address(p, gw, &g->addresses[i]))
			return false;
	if (g->n_addresses == 0)
		gw->n_addresses = 1;
	return true;
}

/* ---- Gateways ------------------------------------------------------------ */

static bool add_listeners(struct planner *p, struct gw *gw, struct lset *set,
    const struct listeners *specs, struct status *status,
    struct lstn **out)
{
	struct lstn *made = plan_alloc(p, specs->n * sizeof(*made));

	status->listeners = plan_alloc(p, specs->n *
	    sizeof(*status->listeners));
	if (made == NULL || status->listeners == NULL)
		return false;
	status->n_listeners = specs->n;
	*out = made;
	for (size_t i = 0; i < specs->n; i++) {
		struct lstn **all = plan_grow(p, gw->all, gw->n_all,
		    &gw->cap_all, sizeof(*all));

		if (all == NULL)
			return false;
		gw->all = all;
		gw->all[gw->n_all++] = &made[i];
		made[i] = (struct lstn){ .gw = gw, .set = set,
			.spec = &specs->items[i],
			.status = &status->listeners[i] };
		made[i].status->name = specs->items[i].name;
	}
	return true;
}

static void take_client_cert(struct planner *p, struct gw *gw)
{
	struct conditions *c = &gw->status->conditions;
	struct plan_found_pem f;

	if (gw->o->client_cert == NULL)
		return;
	f = plan_cert(p, &gw->o->o, gw->o->client_cert);
	gw->client_cert = f.pem;
	if (f.pem == NULL && f.reason != NULL)
		plan_set(p, c, "ResolvedRefs", CONDITION_FALSE,
		    strcmp(f.reason, "RefNotPermitted") == 0 ? f.reason :
		    "InvalidClientCertificateRef", f.message);
}

static void add_gateway(struct planner *p, const struct gateway *g)
{
	struct gw **all = plan_grow(p, p->gateways, p->n_gateways,
	    &p->cap_gateways, sizeof(*all));
	struct gw *gw = plan_alloc(p, sizeof(*gw));
	void **at = plan_at(p, &p->gateways_by_name, g->o.namespace,
	    g->o.name, 0);

	if (all == NULL || gw == NULL || at == NULL)
		return;
	p->gateways = all;
	p->gateways[p->n_gateways++] = gw;
	*at = gw;
	gw->o = g;
	gw->status = plan_status(p, &g->o);
	if (gw->status == NULL || !add_listeners(p, gw, NULL, &g->listeners,
		gw->status, &gw->listeners))
		return;
	gw->is_accepted = g->parameters == NULL;
	if (g->parameters != NULL)
		plan_set(p, &gw->status->conditions, "Accepted",
		    CONDITION_FALSE, "InvalidParameters", plan_textf(p,
			"infrastructure.parametersRef %s %s: no kind of "
			"parameters is supported", g->parameters->kind,
			g->parameters->name));
	if (gw->is_accepted)
		gw->is_accepted = take_addresses(p, gw);
	take_client_cert(p, gw);
}

static int gateways_by_name(const void *left, const void *right)
{
	const struct object *a = &(*(const struct gw *const *)left)->o->o;
	const struct object *b = &(*(const struct gw *const *)right)->o->o;
	int order = strcmp(a->namespace, b->namespace);

	return order != 0 ? order : strcmp(a->name, b->name);
}

void plan_sort_gateways(const struct gw **gws, size_t n)
{
	if (n > 1)
		qsort(gws, n, sizeof(*gws), gateways_by_name);
}

static int gateways_by_age(const void *left, const void *right)
{
	return plan_by_age(&(*(struct gw *const *)left)->o->o,
	    &(*(struct gw *const *)right)->o->o);
}

void plan_gateways(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_GATEWAY);

	for (size_t i = 0; i < all.n && !p->failed; i++)
		if (is_ours(p, (const void *)all.items[i]))
			add_gateway(p, (const void *)all.items[i]);
	if (p->n_gateways > 1)
		qsort(p->gateways, p->n_gateways, sizeof(*p->gateways),
		    gateways_by_age);
}

/* ---- ListenerSets -------------------------------------------------------- */

static struct gw *parent_of(const struct planner *p,
    const struct listener_set *o)
{
	const struct object_ref *ref = &o->parent;

	if (strcmp(ref->group, GATEWAY_GROUP) != 0 ||
	    strcmp(ref->kind, "Gateway") != 0)
		return NULL;
	return index_get(&p->gateways_by_name, ref->namespace != NULL ?
	    ref->namespace : o->o.namespace, ref->name, 0);
}

static void refuse_set(struct planner *p, struct lset *set, const char *reason,
    const char *message)
{
	plan_set(p, &set->status->conditions, "Accepted", CONDITION_FALSE,
	    reason, message);
	plan_set(p, &set->status->conditions, "Programmed", CONDITION_FALSE,
	    strcmp(reason, "NotAllowed") == 0 ? reason : "ParentNotProgrammed",
	    message);
}

static void add_set(struct planner *p, struct gw *gw,
    const struct listener_set *o)
{
	struct lset *set = plan_alloc(p, sizeof(*set));
	void **at = plan_at(p, &p->sets_by_name, o->o.namespace, o->o.name, 0);
	struct lset **sets;

	if (set == NULL || at == NULL)
		return;
	*at = set;
	set->o = o;
	set->gw = gw;
	set->status = plan_status(p, &o->o);
	if (set->status == NULL)
		return;
	if (!plan_in_namespaces(p, &gw->o->allowed_listeners,
		gw->o->o.namespace, o->o.namespace)) {
		refuse_set(p, set, "NotAllowed", "allowedListeners of the "
		    "Gateway lets no ListenerSet of this namespace in");
		return;
	}
	if (!gw->is_accepted) {
		refuse_set(p, set, "ParentNotAccepted",
		    "The Gateway is not accepted");
		return;
	}
	set->is_allowed = true;
	sets = plan_grow(p, gw->sets, gw->n_sets, &gw->cap_sets, sizeof(*sets));
	if (sets == NULL)
		return;
	gw->sets = sets;
	gw->sets[gw->n_sets++] = set;
}

static int sets_by_age(const void *left, const void *right)
{
	return plan_by_age(&(*(struct lset *const *)left)->o->o,
	    &(*(struct lset *const *)right)->o->o);
}

void plan_listener_sets(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_LISTENER_SET);

	for (size_t i = 0; i < all.n && !p->failed; i++) {
		const struct listener_set *o = (const void *)all.items[i];
		struct gw *gw = parent_of(p, o);

		if (gw != NULL)
			add_set(p, gw, o);
	}
	for (size_t i = 0; i < p->n_gateways && !p->failed; i++) {
		struct gw *gw = p->gateways[i];

		if (gw->n_sets > 1)
			qsort(gw->sets, gw->n_sets, sizeof(*gw->sets),
			    sets_by_age);
		for (size_t k = 0; k < gw->n_sets && !p->failed; k++)
			add_listeners(p, gw, gw->sets[k],
			    &gw->sets[k]->o->listeners, gw->sets[k]->status,
			    &gw->sets[k]->listeners);
	}
}
