/*
 * plan_backend.c - backendRefs to Services, and what their endpoints are
 */
#include <stdlib.h>
#include <string.h>

#include "plan_state.h"

struct slice_list {
	const struct endpoint_slice **items;
	size_t n, cap;
};

void plan_slices(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_ENDPOINT_SLICE);

	for (size_t i = 0; i < all.n && !p->failed; i++) {
		const struct endpoint_slice *s = (const void *)all.items[i];
		struct slice_list *l;

		if (s->service == NULL)
			continue;
		l = plan_held(p, &p->slices, s->o.namespace, s->service, 0,
		    sizeof(*l));
		if (l == NULL)
			return;
		l->items = plan_grow(p, l->items, l->n, &l->cap,
		    sizeof(*l->items));
		if (l->items != NULL)
			l->items[l->n++] = s;
	}
}

/* ---- endpoints ----------------------------------------------------------- */

struct endpoints {
	struct plan_endpoint *items;
	size_t n, cap;
};

static void add(struct planner *p, struct endpoints *e, const char *address,
    uint16_t port)
{
	struct plan_endpoint *items;

	if (!plan_is_address(address))
		return;
	items = plan_grow(p, e->items, e->n, &e->cap, sizeof(*items));
	if (items == NULL)
		return;
	e->items = items;
	e->items[e->n++] = (struct plan_endpoint){ address, port };
}

static int by_address(const void *left, const void *right)
{
	const struct plan_endpoint *a = left, *b = right;
	int order = strcmp(a->address, b->address);

	return order != 0 ? order : (int)a->port - (int)b->port;
}

/* Several slices may have the same endpoint while one replaces the other. */
size_t plan_sort_endpoints(struct plan_endpoint *e, size_t n)
{
	size_t kept = 0;

	if (n > 1)
		qsort(e, n, sizeof(*e), by_address);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || by_address(&e[kept - 1], &e[i]) != 0)
			e[kept++] = e[i];
	return kept;
}

static bool is_same_name(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* The slice's port of that name; 0: it has none. */
static uint16_t port_of(const struct endpoint_slice *s, const char *name)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (is_same_name(s->ports[i].name, name))
			return s->ports[i].port;
	return 0;
}

static void add_slice(struct planner *p, struct endpoints *e,
    const struct endpoint_slice *s, const char *port_name)
{
	uint16_t port = port_of(s, port_name);

	if (port == 0)
		return;
	for (size_t i = 0; i < s->n_endpoints; i++) {
		const struct slice_endpoint *one = &s->endpoints[i];

		/* The first address stands for all: discovery/v1 Endpoint. */
		if (one->ready && !one->terminating)
			add(p, e, one->addresses[0], port);
	}
}

static struct endpoints endpoints_of(struct planner *p,
    const struct service *service, const struct service_port *port)
{
	const struct slice_list *l = index_get(&p->slices,
	    service->o.namespace, service->o.name, 0);
	struct endpoints e = { NULL, 0, 0 };

	for (size_t i = 0; l != NULL && i < l->n; i++)
		add_slice(p, &e, l->items[i], port->name);
	e.n = plan_sort_endpoints(e.items, e.n);
	return e;
}

/* ---- protocols ----------------------------------------------------------- */

static const struct {
	const char *name;
	enum plan_protocol protocol;
} app_protocols[] = {
	{ "kubernetes.io/h2c", PLAN_H2C }, { "kubernetes.io/ws", PLAN_WS },
	{ "kubernetes.io/wss", PLAN_WSS }, { "http", PLAN_HTTP },
	{ "h2c", PLAN_H2C }, { "grpc", PLAN_H2C }, { "ws", PLAN_WS },
	{ "wss", PLAN_WSS },
};

/* KEP-3726; what has no domain in front is IANA's, and mostly no matter. */
static bool protocol_of(const struct service_port *port,
    enum plan_protocol *out)
{
	const char *name = port->app_protocol;

	*out = PLAN_HTTP;
	if (name == NULL)
		return true;
	for (size_t i = 0; i < sizeof(app_protocols) / sizeof(*app_protocols);
	    i++)
		if (strcmp(app_protocols[i].name, name) == 0) {
			*out = app_protocols[i].protocol;
			return true;
		}
	return strncmp(name, "kubernetes.io/", 14) != 0;
}

/* ---- references ---------------------------------------------------------- */

static struct plan_found wrong(struct planner *p, const char *reason,
    const struct backend_ref *ref, const char *namespace, const char *what)
{
	return (struct plan_found){ NULL, reason, plan_textf(p,
	    "%s %s/%s: %s", ref->kind, namespace, ref->name, what) };
}

static const struct service_port *find_port(const struct service *s,
    uint16_t port)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].port == port &&
		    strcmp(s->ports[i].protocol, "UDP") != 0)
			return &s->ports[i];
	return NULL;
}

/* One struct for each port, protocol and client certificate. */
static struct plan_backend *backend_of(struct planner *p,
    const struct service *s, const struct service_port *port,
    enum plan_protocol protocol, const struct plan_pem *client_cert)
{
	uint64_t number = (uint64_t)(uintptr_t)client_cert << 20 ^
	    (uint64_t)port->port << 4 ^ (uint64_t)protocol;
	void **at = plan_at(p, &p->backends, s->o.namespace, s->o.name, number);
	struct plan_backend *b;
	struct endpoints e;

	if (at == NULL || *at != NULL)
		return at != NULL ? *at : NULL;
	b = *at = plan_alloc(p, sizeof(*b));
	if (b == NULL)
		return NULL;
	e = endpoints_of(p, s, port);
	*b = (struct plan_backend){
		.ref = plan_ref_of(&s->o), .port = port->port,
		.protocol = protocol, .client_cert = client_cert,
		.endpoints = e.items, .n_endpoints = e.n,
	};
	return b;
}

static struct plan_found to_service(struct planner *p,
    const struct route *route, const struct gw *gw, const char *namespace,
    const struct backend_ref *ref)
{
	const struct service *s = (const void *)store_find(p->store,
	    KIND_SERVICE, namespace, ref->name);
	const struct service_port *port;
	const struct plan_backend_tls *tls = NULL;
	enum plan_protocol protocol;
	struct plan_backend *b;

	if (s == NULL)
		return wrong(p, "BackendNotFound", ref, namespace,
		    "there is none");
	if (strcmp(s->type, "ExternalName") == 0)
		return wrong(p, "BackendNotFound", ref, namespace,
		    "Services of type ExternalName are not followed "
		    "(CVE-2021-25740)");
	port = find_port(s, ref->port);
	if (port == NULL)
		return wrong(p, "BackendNotFound", ref, namespace, plan_textf(p,
		    "it has no TCP port %u", ref->port));
	if (!protocol_of(port, &protocol))
		return wrong(p, "UnsupportedProtocol", ref, namespace,
		    plan_textf(p, "appProtocol %s is not known",
			port->app_protocol));
	if (route->o.kind == KIND_GRPC_ROUTE)
		protocol = PLAN_H2C;
	else if (route->o.kind != KIND_HTTP_ROUTE)
		protocol = PLAN_TCP;
	if (!plan_backend_tls(p, gw, s, port, &tls))
		return (struct plan_found){ NULL, NULL, NULL };
	if (protocol == PLAN_WSS && tls == NULL)
		return wrong(p, "UnsupportedProtocol", ref, namespace,
		    "kubernetes.io/wss without a BackendTLSPolicy: whom to "
		    "trust is not said");
	b = backend_of(p, s, port, protocol, tls != NULL ? gw->client_cert :
	    NULL);
	if (b != NULL)
		b->tls = tls;
	return (struct plan_found){ b, NULL, NULL };
}

static bool is_pool(const struct backend_ref *ref)
{
	return strcmp(ref->group, INFERENCE_GROUP) == 0 &&
	    strcmp(ref->kind, "InferencePool") == 0;
}

struct plan_found plan_backend(struct planner *p, const struct route *route,
    const struct gw *gw, const struct backend_ref *ref)
{
	const char *namespace = ref->namespace != NULL ? ref->namespace :
	    route->o.namespace;
	bool is_service = ref->group[0] == '\0' &&
	    strcmp(ref->kind, "Service") == 0;
	bool takes_pools = route->o.kind == KIND_HTTP_ROUTE ||
	    route->o.kind == KIND_GRPC_ROUTE;

	if (!is_service && !(is_pool(ref) && takes_pools))
		return wrong(p, "InvalidKind", ref, namespace, takes_pools ?
		    "a backend is a Service or an InferencePool" :
		    "a backend is a Service");
	if (!plan_is_granted(p, kind_group(route->o.kind),
		kind_name(route->o.kind), route->o.namespace, ref->group,
		ref->kind, namespace, ref->name))
		return wrong(p, "RefNotPermitted", ref, namespace,
		    "no ReferenceGrant there permits it");
	return is_service ? to_service(p, route, gw, namespace, ref) :
	    plan_pool_backend(p, gw, namespace, ref);
}
