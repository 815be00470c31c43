/*
 * plan_policy.c - BackendTLSPolicies: which one rules a Service's port
 *
 * A policy that names the port goes before one that does not; of those that want
 * the same, the oldest (GEP-713, BackendTLSPolicy's documentation).
 */
#include <stdlib.h>
#include <string.h>

#include "plan_state.h"

struct policy {
	const struct backend_tls_policy *o;
	const struct plan_backend_tls *tls;	/* NULL: it does not do */
	const char *accepted_reason, *accepted_message;
	const char *refs_reason, *refs_message;
	size_t n_won;			/* targets where it rules */
	const struct policy *winner;	/* where it does not */
	const struct gw **gws;		/* that lead there */
	size_t n_gws, cap_gws;
};

struct target {
	struct policy *policy;
	const char *section;
};

struct targets {		/* of one Service, the winner first */
	struct target *items;
	size_t n, cap;
};

/* ---- what a policy asks for ---------------------------------------------- */

static void refuse(struct policy *b, const char *reason, const char *message)
{
	if (b->accepted_reason != NULL)
		return;
	b->accepted_reason = reason;
	b->accepted_message = message;
}

static void take_cas(struct planner *p, struct policy *b,
    struct plan_backend_tls *tls)
{
	const struct plan_pem **cas = plan_alloc(p, b->o->n_cas * sizeof(*cas));

	if (cas == NULL)
		return;
	for (size_t i = 0; i < b->o->n_cas; i++) {
		struct plan_found_pem f = plan_ca(p, &b->o->o, &b->o->cas[i]);

		if (f.pem != NULL) {
			cas[tls->n_cas++] = f.pem;
		} else if (b->refs_reason == NULL && f.reason != NULL) {
			b->refs_reason = strcmp(f.reason,
			    "InvalidCACertificateKind") == 0 ? "InvalidKind" :
			    f.reason;
			b->refs_message = f.message;
		}
	}
	tls->cas = cas;
	if (b->o->n_cas > 0 && tls->n_cas == 0)
		refuse(b, "NoValidCACertificate", "No caCertificateRef is "
		    "valid: no certificate of a backend could be trusted");
}

static void take_sans(struct planner *p, const struct policy *b,
    struct plan_backend_tls *tls)
{
	size_t n = b->o->n_sans;
	const char **names = plan_alloc(p, n * sizeof(*names));
	const char **uris = plan_alloc(p, n * sizeof(*uris));

	if (names == NULL || uris == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		if (b->o->sans[i].type == SAN_HOSTNAME)
			names[tls->n_sans_hostname++] = b->o->sans[i].hostname;
		else
			uris[tls->n_sans_uri++] = b->o->sans[i].uri;
	tls->sans_hostname = names;
	tls->sans_uri = uris;
}

static struct policy *take_policy(struct planner *p,
    const struct backend_tls_policy *o)
{
	struct plan_backend_tls *tls = plan_alloc(p, sizeof(*tls));
	struct policy *b = plan_alloc(p, sizeof(*b));

	if (b == NULL || tls == NULL)
		return NULL;
	b->o = o;
	tls->ref = plan_ref_of(&o->o);
	tls->hostname = o->hostname;
	take_cas(p, b, tls);
	take_sans(p, b, tls);
	if (o->well_known != NULL && strcmp(o->well_known, "System") != 0)
		refuse(b, "Invalid", plan_textf(p, "wellKnownCACertificates %s "
		    "is not supported: System is", o->well_known));
	b->tls = b->accepted_reason == NULL ? tls : NULL;
	return b;
}

/* ---- which Services they are for ----------------------------------------- */

static void add_target(struct planner *p, struct policy *b,
    const struct policy_target *t)
{
	struct target *items;
	struct targets *l;

	if (t->group[0] != '\0' || strcmp(t->kind, "Service") != 0)
		return;
	l = plan_held(p, &p->policies, b->o->o.namespace, t->name, 0,
	    sizeof(*l));
	items = l != NULL ? plan_grow(p, l->items, l->n, &l->cap,
	    sizeof(*items)) : NULL;
	if (items == NULL)
		return;
	l->items = items;
	l->items[l->n++] = (struct target){ b, t->section };
}

static bool is_same_section(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static int by_age(const void *left, const void *right)
{
	return plan_by_age(&(*(struct policy *const *)left)->o->o,
	    &(*(struct policy *const *)right)->o->o);
}

/* They come the oldest first, so the first of a section is its winner. */
static void settle(struct targets *l)
{
	struct target *last = &l->items[l->n - 1];

	for (size_t i = 0; i + 1 < l->n; i++)
		if (is_same_section(l->items[i].section, last->section)) {
			last->policy->winner = l->items[i].policy;
			l->n--;
			return;
		}
	last->policy->n_won++;
}

void plan_policies(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_BACKEND_TLS_POLICY);
	struct policy **sorted = plan_alloc(p, all.n * sizeof(*sorted));

	for (size_t i = 0; i < all.n && !p->failed; i++)
		sorted[i] = take_policy(p, (const void *)all.items[i]);
	if (p->failed)
		return;
	if (all.n > 1)
		qsort(sorted, all.n, sizeof(*sorted), by_age);
	p->all_policies = (void *)sorted;
	p->n_policies = all.n;
	for (size_t i = 0; i < all.n && !p->failed; i++) {
		const struct backend_tls_policy *o = sorted[i]->o;

		for (size_t k = 0; k < o->n_targets && !p->failed; k++) {
			struct targets *l;

			add_target(p, sorted[i], &o->targets[k]);
			l = index_get(&p->policies, o->o.namespace,
			    o->targets[k].name, 0);
			if (l != NULL && !p->failed)
				settle(l);
		}
	}
}

/* ---- whom they rule ------------------------------------------------------ */

static void note(struct planner *p, struct policy *b, const struct gw *gw)
{
	const struct gw **gws;

	for (size_t i = 0; i < b->n_gws; i++)
		if (b->gws[i] == gw)
			return;
	gws = plan_grow(p, b->gws, b->n_gws, &b->cap_gws, sizeof(*gws));
	if (gws == NULL)
		return;
	b->gws = gws;
	b->gws[b->n_gws++] = gw;
}

/* Losers hear of it too: their condition is about this Gateway as well. */
static void note_all(struct planner *p, const struct gw *gw,
    const struct service *s, const char *port)
{
	for (size_t i = 0; i < p->n_policies; i++) {
		struct policy *b = p->all_policies[i];

		if (strcmp(b->o->o.namespace, s->o.namespace) != 0)
			continue;
		for (size_t k = 0; k < b->o->n_targets; k++) {
			const struct policy_target *t = &b->o->targets[k];

			if (strcmp(t->name, s->o.name) == 0 &&
			    strcmp(t->kind, "Service") == 0 &&
			    (t->section == NULL || (port != NULL &&
				strcmp(t->section, port) == 0)))
				note(p, b, gw);
		}
	}
}

bool plan_backend_tls(struct planner *p, const struct gw *gw,
    const struct service *service, const struct service_port *port,
    const struct plan_backend_tls **out)
{
	const struct targets *l = index_get(&p->policies,
	    service->o.namespace, service->o.name, 0);
	const struct policy *any = NULL, *own = NULL;

	if (l == NULL)
		return true;
	for (size_t i = 0; i < l->n; i++) {
		const struct target *t = &l->items[i];

		if (t->section == NULL)
			any = t->policy;
		else if (port->name != NULL &&
		    strcmp(t->section, port->name) == 0)
			own = t->policy;
	}
	if (p->is_noted)
		note_all(p, gw, service, port->name);
	if (own == NULL)
		own = any;
	if (own == NULL)
		return true;
	*out = own->tls;
	return own->tls != NULL;
}

/* ---- statuses ------------------------------------------------------------ */

static void set_ancestor(struct planner *p, const struct policy *b,
    struct status_parent *parent, const struct gw *gw)
{
	struct conditions *c = &parent->conditions;

	parent->ref = (struct parent_ref){ .group = GATEWAY_GROUP,
		.kind = "Gateway", .namespace = gw->o->o.namespace,
		.name = gw->o->o.name };
	if (b->accepted_reason == NULL && b->n_won == 0 && b->winner != NULL)
		plan_set(p, c, "Accepted", CONDITION_FALSE, "Conflicted",
		    plan_textf(p, "BackendTLSPolicy %s has the same target, "
			"and comes first", b->winner->o->o.name));
	plan_judge(p, c, "Accepted", b->accepted_reason, b->accepted_message,
	    "Connections to the target are made by this policy");
	plan_judge(p, c, "ResolvedRefs", b->refs_reason, b->refs_message,
	    "All references are resolved");
}

enum { ANCESTORS_MAX = 16 };	/* maxItems of PolicyStatus.ancestors */

void plan_policy_statuses(struct planner *p)
{
	for (size_t i = 0; i < p->n_policies && !p->failed; i++) {
		struct policy *b = p->all_policies[i];
		struct status *s = b->n_gws > 0 ? plan_status(p, &b->o->o) :
		    NULL;

		if (s == NULL)
			continue;
		plan_sort_gateways(b->gws, b->n_gws);
		s->n_parents = b->n_gws < ANCESTORS_MAX ? b->n_gws :
		    ANCESTORS_MAX;
		s->parents = plan_alloc(p, s->n_parents * sizeof(*s->parents));
		for (size_t k = 0; s->parents != NULL && k < s->n_parents; k++)
			set_ancestor(p, b, &s->parents[k], b->gws[k]);
	}
}
