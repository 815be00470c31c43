/*
 * plan_status.c - what Gateways and ListenerSets are told, once all is known of
 * their listeners
 */
#include <string.h>

#include "plan_state.h"

struct tally {
	size_t n, n_accepted, n_programmed, n_resolved;
};

static struct tally tally_of(const struct lstn *ls, size_t n)
{
	struct tally t = { .n = n };

	for (size_t i = 0; i < n; i++) {
		const struct conditions *c = &ls[i].status->conditions;

		t.n_accepted += plan_is_true(c, "Accepted");
		t.n_programmed += ls[i].is_programmed;
		t.n_resolved += plan_is_true(c, "ResolvedRefs");
	}
	return t;
}

static void tell_accepted(struct planner *p, struct conditions *c,
    const struct tally *t, const char *what)
{
	if (t->n_accepted < t->n)
		plan_set(p, c, "Accepted", t->n_accepted > 0 ? CONDITION_TRUE :
		    CONDITION_FALSE, "ListenersNotValid", plan_textf(p,
			"%zu of %zu listeners are not accepted",
			t->n - t->n_accepted, t->n));
	plan_judge(p, c, "Accepted", NULL, NULL, what);
}

static void tell_addresses(struct planner *p, struct gw *gw)
{
	struct gateway_address *a = plan_alloc(p, gw->n_addresses *
	    sizeof(*a));

	if (a == NULL)
		return;
	gw->status->addresses = a;
	for (size_t i = 0; i < gw->n_addresses; i++)
		if (gw->addresses[i] != NULL)
			a[gw->status->n_addresses++] = (struct gateway_address){
				"IPAddress", gw->addresses[i] };
}

static void tell_gateway(struct planner *p, struct gw *gw)
{
	struct conditions *c = &gw->status->conditions;
	struct tally t = tally_of(gw->listeners, gw->o->listeners.n);

	tell_accepted(p, c, &t, "The Gateway is served");
	if (t.n_programmed == 0)
		plan_set(p, c, "Programmed", CONDITION_FALSE, "Invalid",
		    "No listener can be served");
	plan_set(p, c, "Programmed", CONDITION_TRUE, "Programmed",
	    "The Gateway is in HAProxy's configuration");
	if (t.n_resolved < t.n)
		plan_set(p, c, "ResolvedRefs", CONDITION_FALSE,
		    "ListenersNotResolved", plan_textf(p, "%zu of %zu listeners "
			"have references that are not resolved",
			t.n - t.n_resolved, t.n));
	plan_set(p, c, "ResolvedRefs", CONDITION_TRUE, "ResolvedRefs",
	    "All references are resolved");
	tell_addresses(p, gw);
}

static void tell_set(struct planner *p, struct lset *set)
{
	struct conditions *c = &set->status->conditions;
	struct tally t = tally_of(set->listeners, set->o->listeners.n);

	tell_accepted(p, c, &t, "The listeners are the Gateway's too");
	if (plan_is_true(c, "Accepted"))
		set->gw->status->attached_sets++;
	if (t.n_accepted == 0)
		plan_set(p, c, "Programmed", CONDITION_FALSE,
		    "ListenersNotValid", "No listener is accepted");
	else if (t.n_programmed == 0)
		plan_set(p, c, "Programmed", CONDITION_FALSE, "Invalid",
		    "No listener can be served");
	plan_set(p, c, "Programmed", CONDITION_TRUE, "Programmed",
	    "The listeners are in HAProxy's configuration");
}

void plan_gateway_statuses(struct planner *p)
{
	for (size_t i = 0; i < p->n_gateways && !p->failed; i++) {
		struct gw *gw = p->gateways[i];

		for (size_t k = 0; k < gw->n_sets; k++)
			tell_set(p, gw->sets[k]);
		tell_gateway(p, gw);
	}
}
