/*
 * plan_conflict.c - listeners beside each other: one Gateway's, then several's
 *
 * Within a Gateway, and within a ListenerSet, all that want the same lose. A
 * Gateway's own listeners go before ListenerSets', older sets before younger
 * (GEP-1713). HTTP, TLS (HTTPS beside it) and TCP do not share a port; listeners
 * of one family share it by hostname, but TCP has none.
 */
#include <stdlib.h>
#include <string.h>

#include "hostname.h"
#include "plan_state.h"

enum family { FAMILY_NONE, FAMILY_HTTP, FAMILY_TLS, FAMILY_TCP };

static enum family family_of(const struct lstn *l)
{
	switch (l->protocol) {
	case PLAN_LISTENER_HTTP:
		return FAMILY_HTTP;
	case PLAN_LISTENER_TCP:
		return FAMILY_TCP;
	default:
		return FAMILY_TLS;
	}
}

static const char *name_of(const struct lstn *l)
{
	return l->spec->hostname != NULL ? l->spec->hostname : "";
}

struct ports {			/* of one Gateway */
	struct plan_index families;	/* port -> a listener of its family */
	struct plan_index names;	/* hostname, port -> listener */
};

/* NULL: none. */
static const char *conflict(const struct lstn *a, const struct lstn *b)
{
	if (a->spec->port != b->spec->port)
		return NULL;
	if (family_of(a) != family_of(b))
		return "ProtocolConflict";
	return strcmp(name_of(a), name_of(b)) == 0 ? "HostnameConflict" : NULL;
}

static void refuse(struct planner *p, struct lstn *l, const char *reason,
    const struct lstn *other)
{
	struct conditions *c = &l->status->conditions;
	const char *message;

	if (l->is_conflicted)
		return;
	l->is_conflicted = true;
	message = plan_textf(p, "Listener %s%s%s has port %u%s",
	    other->set != NULL ? other->set->o->o.name : "",
	    other->set != NULL ? "/" : "", other->spec->name,
	    other->spec->port, strcmp(reason, "HostnameConflict") == 0 ?
	    " and hostname too" : " too, with another protocol");
	plan_set(p, c, "Accepted", CONDITION_FALSE, reason, message);
	plan_set(p, c, "Programmed", CONDITION_FALSE, reason, message);
	plan_set(p, c, "Conflicted", CONDITION_TRUE, reason, message);
}

static void check_within(struct planner *p, struct lstn *ls, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++) {
			const char *reason;

			if (!ls[i].is_supported || !ls[k].is_supported)
				continue;
			reason = conflict(&ls[i], &ls[k]);
			if (reason == NULL)
				continue;
			refuse(p, &ls[i], reason, &ls[k]);
			refuse(p, &ls[k], reason, &ls[i]);
		}
}

static void check_beside(struct planner *p, struct ports *ports,
    struct lstn *l)
{
	const struct lstn *same = index_get(&ports->names, name_of(l), "",
	    l->spec->port);
	const struct lstn *there = index_get(&ports->families, "", "",
	    l->spec->port);

	if (there != NULL && family_of(there) != family_of(l))
		refuse(p, l, "ProtocolConflict", there);
	else if (same != NULL)
		refuse(p, l, "HostnameConflict", same);
}

static void settle(struct planner *p, struct ports *ports, struct lstn *l)
{
	void **name = plan_at(p, &ports->names, name_of(l), "", l->spec->port);
	void **family = plan_at(p, &ports->families, "", "", l->spec->port);

	if (name != NULL)
		*name = l;
	if (family != NULL && *family == NULL)
		*family = l;
}

static void check_group(struct planner *p, struct ports *ports,
    struct lstn *ls, size_t n)
{
	check_within(p, ls, n);
	for (size_t i = 0; i < n; i++)
		if (ls[i].is_supported && !ls[i].is_conflicted)
			check_beside(p, ports, &ls[i]);
	for (size_t i = 0; i < n; i++)
		if (ls[i].is_supported && !ls[i].is_conflicted)
			settle(p, ports, &ls[i]);
}

/* ---- one certificate's hosts among another's ----------------------------- */

static void overlap(struct planner *p, struct lstn *l,
    const struct lstn *other)
{
	plan_set(p, &l->status->conditions, "OverlappingTLSConfig",
	    CONDITION_TRUE, "OverlappingHostnames", plan_textf(p,
		"Hosts of listener %s are hosts of this one: a client that "
		"uses one connection for both gets 421", other->spec->name));
}

/* Looks up every wildcard that covers the name, from the longest. */
static void check_overlap(struct planner *p, const struct ports *ports,
    struct lstn *l)
{
	const char *at = l->spec->hostname;
	char wild[260] = "*";

	if (at == NULL || strlen(at) > 255)
		return;
	if (at[0] == '*')
		at += 2;
	for (;;) {
		struct lstn *other;

		at = strchr(at, '.');
		if (at == NULL)
			wild[0] = '\0';
		else
			memcpy(wild + 1, at, strlen(at) + 1);
		other = index_get(&ports->names, wild, "", l->spec->port);
		if (other != NULL && other != l) {
			overlap(p, l, other);
			overlap(p, other, l);
		}
		if (at == NULL)
			return;
		at++;
	}
}

void plan_conflicts(struct planner *p)
{
	for (size_t i = 0; i < p->n_gateways && !p->failed; i++) {
		struct gw *gw = p->gateways[i];
		struct ports ports = { { .arena = p->arena },
			{ .arena = p->arena } };

		check_group(p, &ports, gw->listeners, gw->o->listeners.n);
		for (size_t k = 0; k < gw->n_sets; k++)
			check_group(p, &ports, gw->sets[k]->listeners,
			    gw->sets[k]->o->listeners.n);
		for (size_t k = 0; k < gw->n_all; k++) {
			struct lstn *l = gw->all[k];

			if (l->is_supported && !l->is_conflicted &&
			    family_of(l) == FAMILY_TLS)
				check_overlap(p, &ports, l);
		}
	}
}

/* ---- Gateways beside each other ------------------------------------------ */

/* The Gateway that was there before; NULL: it is ours now. */
static const struct gw *claim(struct planner *p, struct gw *gw,
    const char *address, uint16_t port)
{
	void **at = plan_at(p, &p->claims, address != NULL ? address : "", "",
	    port);

	if (at != NULL && *at == NULL)
		*at = gw;
	return at != NULL && *at != gw ? *at : NULL;
}

static void claim_all(struct planner *p, struct lstn *l)
{
	struct gw *gw = l->gw;

	for (size_t i = 0; i < gw->n_addresses; i++) {
		const struct gw *other = claim(p, gw, gw->addresses[i],
		    l->spec->port);

		if (other == NULL)
			continue;
		plan_set(p, &l->status->conditions, "Accepted",
		    CONDITION_FALSE, "PortUnavailable", plan_textf(p,
			"Gateway %s/%s has port %u of %s: give each its own "
			"address", other->o->o.namespace, other->o->o.name,
			l->spec->port, gw->addresses[i] != NULL ?
			gw->addresses[i] : "all addresses"));
	}
}

static void judge(struct planner *p, struct lstn *l)
{
	struct conditions *c = &l->status->conditions;
	bool needs_cert = l->protocol == PLAN_LISTENER_HTTPS ||
	    l->protocol == PLAN_LISTENER_TLS_TERMINATE;

	if (!l->gw->is_accepted)
		plan_set(p, c, "Programmed", CONDITION_FALSE, "Invalid",
		    "The Gateway is not accepted");
	if (l->is_supported && needs_cert && l->n_certs == 0)
		plan_set(p, c, "Programmed", CONDITION_FALSE, "Invalid",
		    "There is no valid certificate");
	plan_set(p, c, "Accepted", CONDITION_TRUE, "Accepted",
	    "The listener is valid");
	if (!plan_is_true(c, "Accepted"))
		plan_set(p, c, "Programmed", CONDITION_FALSE, "Invalid",
		    "The listener is not accepted");
	plan_set(p, c, "ResolvedRefs", CONDITION_TRUE, "ResolvedRefs",
	    "All references are resolved");
	plan_set(p, c, "Programmed", CONDITION_TRUE, "Programmed",
	    "The listener is in HAProxy's configuration");
	plan_set(p, c, "Conflicted", CONDITION_FALSE, "NoConflicts",
	    "No other listener wants the same");
	l->is_programmed = plan_is_true(c, "Programmed");
}

void plan_claims(struct planner *p)
{
	for (size_t i = 0; i < p->n_gateways && !p->failed; i++) {
		struct gw *gw = p->gateways[i];

		for (size_t k = 0; k < gw->n_all; k++) {
			struct lstn *l = gw->all[k];

			if (gw->is_accepted && l->is_supported &&
			    !l->is_conflicted)
				claim_all(p, l);
			judge(p, l);
		}
	}
}
