/*
 * plan_bind.c - programmed listeners gathered by address and port
 */
#include <stdlib.h>
#include <string.h>

#include "hostname.h"
#include "plan_state.h"

static int by_port_and_host(const void *left, const void *right)
{
	const struct lstn *a = *(struct lstn *const *)left;
	const struct lstn *b = *(struct lstn *const *)right;
	int order = (int)a->spec->port - (int)b->spec->port;

	if (order == 0)
		order = hostname_order(a->spec->hostname, b->spec->hostname);
	if (order == 0)
		order = (int)a->protocol - (int)b->protocol;
	return order != 0 ? order : strcmp(a->spec->name, b->spec->name);
}

static void make(struct planner *p, struct lstn *l, struct plan_listener *out)
{
	out->ref = plan_ref_of(l->set != NULL ? &l->set->o->o : &l->gw->o->o);
	out->ref.section = l->spec->name;
	out->protocol = l->protocol;
	out->hostname = l->spec->hostname;
	out->certs = l->certs;
	out->n_certs = l->n_certs;
	plan_matches(p, l, out);
}

struct binds {
	struct plan_bind *items;
	size_t n, cap;
};

static bool has_https(const struct plan_listener *ls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ls[i].protocol == PLAN_LISTENER_HTTPS)
			return true;
	return false;
}

/* The listeners of one port, at each address of the Gateway. */
static void add_binds(struct planner *p, struct binds *to, const struct gw *gw,
    uint16_t port, const struct plan_listener *ls, size_t n)
{
	const struct client_ca *ca = plan_client_ca(gw, port);

	for (size_t i = 0; i < gw->n_addresses; i++) {
		struct plan_bind *items = plan_grow(p, to->items, to->n,
		    &to->cap, sizeof(*items));

		if (items == NULL)
			return;
		to->items = items;
		to->items[to->n++] = (struct plan_bind){
			.ref = plan_ref_of(&gw->o->o),
			.address = gw->addresses[i], .port = port,
			.client = has_https(ls, n) ? ca->made : NULL,
			.listeners = ls, .n_listeners = n,
		};
	}
}

static void take_gateway(struct planner *p, const struct gw *gw,
    struct binds *to)
{
	struct lstn **sorted = plan_alloc(p, gw->n_all * sizeof(*sorted));
	struct plan_listener *made = plan_alloc(p, gw->n_all * sizeof(*made));
	size_t n = 0, first = 0;

	if (sorted == NULL || made == NULL)
		return;
	for (size_t i = 0; i < gw->n_all; i++)
		if (gw->all[i]->is_programmed)
			sorted[n++] = gw->all[i];
	if (n > 1)
		qsort(sorted, n, sizeof(*sorted), by_port_and_host);
	for (size_t i = 0; i < n; i++) {
		uint16_t port = sorted[i]->spec->port;

		make(p, sorted[i], &made[i]);
		if (i + 1 < n && sorted[i + 1]->spec->port == port)
			continue;
		add_binds(p, to, gw, port, made + first, i + 1 - first);
		first = i + 1;
	}
}

static int by_address_and_port(const void *left, const void *right)
{
	const struct plan_bind *a = left, *b = right;
	int order = strcmp(a->address != NULL ? a->address : "",
	    b->address != NULL ? b->address : "");

	return order != 0 ? order : (int)a->port - (int)b->port;
}

void plan_binds(struct planner *p, struct plan *out)
{
	struct binds to = { NULL, 0, 0 };

	for (size_t i = 0; i < p->n_gateways && !p->failed; i++)
		take_gateway(p, p->gateways[i], &to);
	if (to.n > 1)
		qsort(to.items, to.n, sizeof(*to.items), by_address_and_port);
	*out = (struct plan){ .binds = to.items, .n_binds = to.n,
		.pools = p->pool_backends, .n_pools = p->n_pool_backends };
}
