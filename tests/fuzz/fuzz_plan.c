#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buf.h"
#include "fault.h"
#include "fuzz.h"
#include "hostname.h"
#include "must.h"
#include "plan_make.h"
#include "store.h"

static void check_rule(const struct plan_rule *r)
{
	must(r->ref.name != NULL && r->ref.namespace != NULL);
	for (size_t i = 0; i < r->n_targets; i++) {
		const struct plan_backend *b = r->targets[i].backend;

		for (size_t k = 1; b != NULL && k < b->n_endpoints; k++)
			must(strcmp(b->endpoints[k - 1].address,
			    b->endpoints[k].address) <= 0);
	}
}

/* What plan.h promises to render. */
static void check_listener(const struct plan_listener *l)
{
	for (size_t i = 0; i < l->n_matches; i++) {
		const struct plan_match *m = &l->matches[i];

		must(m->rule != NULL && hostname_covers(l->hostname,
		    m->hostname));
		must(i == 0 || hostname_order(l->matches[i - 1].hostname,
		    m->hostname) <= 0);
		must(l->protocol > PLAN_LISTENER_HTTPS || m->path != NULL);
		check_rule(m->rule);
	}
	must(l->protocol != PLAN_LISTENER_TCP || l->n_matches <= 1);
	must(l->n_certs > 0 || (l->protocol != PLAN_LISTENER_HTTPS &&
		l->protocol != PLAN_LISTENER_TLS_TERMINATE));
}

static void check_plan(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_binds; i++) {
		const struct plan_bind *b = &plan->binds[i];

		must(b->port != 0 && b->n_listeners > 0);
		for (size_t k = 0; k < b->n_listeners; k++) {
			check_listener(&b->listeners[k]);
			must(k == 0 || hostname_order(
			    b->listeners[k - 1].hostname,
			    b->listeners[k].hostname) < 0);
		}
	}
}

static void check_statuses(const struct statuses *all)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct status *s = &all->items[i];

		must(s->conditions.n <= CONDITIONS_MAX);
		must(s->object->kind != KIND_GATEWAY || s->conditions.n >= 3);
		for (size_t k = 0; k < s->n_parents; k++)
			must(conditions_get(&s->parents[k].conditions,
			    "Accepted") != NULL);
		must(statuses_find(all, s->object->kind, s->object->namespace,
		    s->object->name) == s);
	}
}

static struct buf plan_of(struct store *store)
{
	struct plan_input in = { .store = store,
		.controller = "haproxy-epp.io/gateway-controller" };
	struct arena *arena = arena_new(4096, 1 << 28);
	struct statuses statuses;
	struct plan plan;
	struct buf out;

	must(plan_make(&in, arena, &plan, &statuses) == 0);
	check_plan(&plan);
	check_statuses(&statuses);
	buf_init(&out, 64 << 20);
	status_write(&statuses, NULL, &out);
	arena_free(arena);
	return out;
}

/* Whatever is declared has a plan that keeps its promises, each time the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char class[] =
	    "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
	    "metadata: {name: epp-fuzz}\n"
	    "spec: {controllerName: haproxy-epp.io/gateway-controller}\n";
	struct store *store = store_new();
	struct fault why = { 0 };
	struct buf first, again;

	must(store_put_text(store, "0.yaml", span_of(class), &why) == 0);
	store_put_text(store, "fuzz.yaml", (struct span){ (const char *)data,
		size }, &why);
	first = plan_of(store);
	again = plan_of(store);
	must(first.len == again.len && (first.len == 0 ||
		memcmp(first.data, again.data, first.len) == 0));
	buf_fini(&first);
	buf_fini(&again);
	store_free(store);
	return 0;
}
