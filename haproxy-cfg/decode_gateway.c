/*
 * decode_gateway.c - GatewayClass, Gateway, ListenerSet
 */
#include <arpa/inet.h>
#include <string.h>

#include "conf.h"
#include "decode_rows.h"

enum { LISTENERS_MAX = 64 };

/* ---- references ---------------------------------------------------------- */

#define REF_ROWS(group_preset, kind_preset, is_required) \
	{ .key = "group", .decode = kube_group, .preset = (group_preset), \
	  .offset = offsetof(struct object_ref, group), \
	  .required = (is_required), .help = "its API group" }, \
	{ .key = "kind", .decode = kube_kind, .preset = (kind_preset), \
	  .offset = offsetof(struct object_ref, kind), \
	  .required = (is_required), .help = "its kind" }, \
	{ .key = "name", .decode = kube_name, .required = true, \
	  .offset = offsetof(struct object_ref, name), .help = "its name" }

#define NAMESPACE_ROW \
	{ .key = "namespace", .decode = kube_namespace, \
	  .offset = offsetof(struct object_ref, namespace), \
	  .help = "when it is another than this object's" }

static const struct conf_row parameters_rows[] = {
	REF_ROWS(NULL, NULL, true), NAMESPACE_ROW,
};

static const struct conf_table parameters_table = {
	.what = "a parametersRef", ROWS(parameters_rows),
	.size = sizeof(struct object_ref),
};

static const struct conf_row local_parameters_rows[] = {
	REF_ROWS(NULL, NULL, true),
};

static const struct conf_table local_parameters_table = {
	.what = "a parametersRef", ROWS(local_parameters_rows),
	.size = sizeof(struct object_ref),
};

static const struct conf_row secret_ref_rows[] = {
	REF_ROWS("", "Secret", false), NAMESPACE_ROW,
};

static const struct conf_table secret_ref_table = {
	.what = "a certificateRef", ROWS(secret_ref_rows),
	.size = sizeof(struct object_ref),
};

static const struct conf_row ca_ref_rows[] = {
	REF_ROWS(NULL, NULL, true), NAMESPACE_ROW,
};

static const struct conf_table ca_ref_table = {
	.what = "a caCertificateRef", ROWS(ca_ref_rows),
	.size = sizeof(struct object_ref),
};

/* ---- listeners ----------------------------------------------------------- */

static const char *const from_names[] = { "Same", "All", "Selector", "None",
	NULL };
static const char *const route_from_names[] = { "Same", "All", "Selector",
	NULL };

static const struct conf_row route_namespaces_rows[] = {
	{ .key = "from", .decode = conf_enum, .names = route_from_names,
	  .preset = "Same", .offset = offsetof(struct namespaces, from),
	  .help = "Same, All or Selector" },
	{ .key = "selector", .decode = conf_pointer, .table = &selector_table,
	  .offset = offsetof(struct namespaces, selector),
	  .help = "for Selector: which namespaces" },
};

static const struct conf_table route_namespaces_table = {
	.what = "namespaces", ROWS(route_namespaces_rows),
};

static const struct conf_row kind_rows[] = {
	{ .key = "group", .decode = kube_group, .preset = GATEWAY_GROUP,
	  .offset = offsetof(struct route_kind, group), .help = "its group" },
	{ .key = "kind", .decode = kube_kind, .required = true,
	  .offset = offsetof(struct route_kind, kind), .help = "HTTPRoute, ..." },
};

static const struct conf_table kind_table = {
	.what = "a route kind", ROWS(kind_rows),
	.size = sizeof(struct route_kind),
};

static const struct conf_row allowed_rows[] = {
	{ .key = "namespaces", .decode = conf_section, .preset = "{}",
	  .table = &route_namespaces_table,
	  .offset = offsetof(struct listener, allowed.namespaces),
	  .help = "whose routes are let in" },
	{ .key = "kinds", .decode = conf_list, .table = &kind_table, .max = 8,
	  .offset = offsetof(struct listener, allowed.kinds),
	  .offset_n = offsetof(struct listener, allowed.n_kinds),
	  .help = "which kinds of routes" },
};

static const struct conf_table allowed_table = {
	.what = "allowedRoutes", ROWS(allowed_rows),
};

static const char *const mode_names[] = { "Terminate", "Passthrough", NULL };

static int check_tls(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct listener_tls *tls = out;

	if (tls->mode != TLS_TERMINATE || tls->n_certs > 0 ||
	    tls->options.n > 0)
		return 0;
	return conf_refuse_at(in, map, "certificateRefs", NULL,
	    "certificateRefs or options for mode Terminate");
}

static const struct conf_row tls_rows[] = {
	{ .key = "mode", .decode = conf_enum, .names = mode_names,
	  .preset = "Terminate", .offset = offsetof(struct listener_tls, mode),
	  .help = "Terminate or Passthrough" },
	{ .key = "certificateRefs", .decode = conf_list,
	  .table = &secret_ref_table, .max = 64,
	  .offset = offsetof(struct listener_tls, certs),
	  .offset_n = offsetof(struct listener_tls, n_certs),
	  .help = "Secrets with tls.crt and tls.key" },
	{ .key = "options", .decode = kube_labels, .max = 16,
	  .offset = offsetof(struct listener_tls, options),
	  .help = "an implementation's own" },
};

static const struct conf_table tls_table = {
	.what = "tls", ROWS(tls_rows), .size = sizeof(struct listener_tls),
	.check = check_tls,
};

static bool is_one_of(const char *word, const char *a, const char *b,
    const char *c)
{
	return strcmp(word, a) == 0 || strcmp(word, b) == 0 ||
	    (c != NULL && strcmp(word, c) == 0);
}

/* The CEL rules on Gateway.spec.listeners that look at one listener. */
static int check_listener(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct listener *l = out;
	const struct conf *tls = conf_child(map, "tls");

	if (l->tls != NULL && is_one_of(l->protocol, "HTTP", "TCP", "UDP"))
		return conf_refuse_at(in, map, "tls", NULL,
		    "no tls for protocol %s", l->protocol);
	if (l->tls != NULL && l->tls->mode != TLS_TERMINATE &&
	    strcmp(l->protocol, "HTTPS") == 0)
		return conf_refuse_at(in, map, "tls", "mode: Passthrough",
		    "mode: Terminate, for protocol HTTPS");
	if (strcmp(l->protocol, "TLS") == 0 && (l->tls == NULL ||
		!conf_is_given(conf_child(tls, "mode"))))
		return conf_refuse_at(in, map, "tls", "no tls.mode",
		    "tls.mode: Terminate or Passthrough, for protocol TLS");
	if (l->hostname != NULL && is_one_of(l->protocol, "TCP", "UDP", NULL))
		return conf_refuse_at(in, map, "hostname", NULL,
		    "no hostname for protocol %s", l->protocol);
	return 0;
}

static const struct conf_row listener_rows[] = {
	{ .key = "name", .decode = kube_section, .required = true,
	  .offset = offsetof(struct listener, name), .help = "its name" },
	{ .key = "hostname", .decode = kube_hostname,
	  .offset = offsetof(struct listener, hostname),
	  .help = "for which hosts; all when not given" },
	{ .key = "port", .decode = conf_u16, .min = 1, .required = true,
	  .offset = offsetof(struct listener, port), .help = "1 to 65535" },
	{ .key = "protocol", .decode = kube_protocol, .required = true,
	  .offset = offsetof(struct listener, protocol),
	  .help = "HTTP, HTTPS, TLS or TCP" },
	{ .key = "tls", .decode = conf_pointer, .table = &tls_table,
	  .offset = offsetof(struct listener, tls), .help = "for HTTPS, TLS" },
	{ .key = "allowedRoutes", .decode = conf_section, .preset = "{}",
	  .table = &allowed_table, .help = "which routes may attach" },
};

static const struct conf_table listener_table = {
	.what = "a listener", ROWS(listener_rows),
	.size = sizeof(struct listener), .check = check_listener,
};

static bool is_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_same_place(const struct listener *a, const struct listener *b)
{
	return a->port == b->port && strcmp(a->protocol, b->protocol) == 0 &&
	    is_same_text(a->hostname, b->hostname);
}

/* The CEL rules on Gateway.spec.listeners that look at two. */
static int check_listeners(const struct conf_input *in, const struct conf *map,
    const struct listeners *listeners)
{
	for (size_t i = 1; i < listeners->n; i++)
		for (size_t k = 0; k < i; k++) {
			const struct listener *a = &listeners->items[k];
			const struct listener *b = &listeners->items[i];

			if (strcmp(a->name, b->name) == 0)
				return conf_refuse_at(in, map, "listeners",
				    b->name, "each listener's name once");
			if (is_same_place(a, b))
				return conf_refuse_at(in, map, "listeners",
				    b->name, "another port, protocol or "
				    "hostname than listener %s has", a->name);
		}
	return 0;
}

#define LISTENERS_ROW(type) \
	{ .key = "listeners", .decode = conf_list, .table = &listener_table, \
	  .min = 1, .max = LISTENERS_MAX, .required = true, \
	  .offset = offsetof(type, listeners.items), \
	  .offset_n = offsetof(type, listeners.n), \
	  .help = "[{name, port, protocol}, ...]" }

/* ---- Gateway ------------------------------------------------------------- */

static const char *const address_types[] = { "IPAddress", "Hostname",
	"NamedAddress", NULL };

/* One of those, or example.com/type. */
static int address_type(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	if (value->type == CONF_SCALAR && strchr(value->text, '/') != NULL)
		return kube_controller(in, row, value, out);
	for (size_t i = 0; value->type == CONF_SCALAR &&
	    address_types[i] != NULL; i++)
		if (strcmp(value->text, address_types[i]) == 0) {
			*(const char **)out = address_types[i];
			return 0;
		}
	return conf_refuse(in, row, value,
	    "IPAddress, Hostname, NamedAddress or example.com/type");
}

static bool is_address(const char *text)
{
	struct in6_addr any;

	return inet_pton(AF_INET, text, &any) == 1 ||
	    inet_pton(AF_INET6, text, &any) == 1;
}

static int check_address(const struct conf_input *in, const struct conf *map,
    void *out)
{
	static const struct conf_row row = { .key = "value" };
	const struct gateway_address *a = out;
	const struct conf *value = conf_child(map, "value");
	const char *ignored;

	if (a->value == NULL || a->value[0] == '\0')
		return 0;
	if (strcmp(a->type, "IPAddress") == 0 && !is_address(a->value))
		return conf_refuse_at(in, map, "value", NULL,
		    "an IPv4 or IPv6 address, without brackets");
	if (strcmp(a->type, "Hostname") == 0)
		return kube_hostname(in, &row, value, &ignored);
	return 0;
}

static const struct conf_row address_rows[] = {
	{ .key = "type", .decode = address_type, .preset = "IPAddress",
	  .offset = offsetof(struct gateway_address, type),
	  .help = "IPAddress, Hostname, NamedAddress or example.com/type" },
	{ .key = "value", .decode = kube_text, .max = 253,
	  .offset = offsetof(struct gateway_address, value),
	  .help = "the address; any when not given" },
};

static const struct conf_table address_table = {
	.what = "an address", ROWS(address_rows),
	.size = sizeof(struct gateway_address), .check = check_address,
};

static const struct conf_row set_namespaces_rows[] = {
	{ .key = "from", .decode = conf_enum, .names = from_names,
	  .preset = "None", .offset = offsetof(struct namespaces, from),
	  .help = "None, Same, All or Selector" },
	{ .key = "selector", .decode = conf_pointer, .table = &selector_table,
	  .offset = offsetof(struct namespaces, selector),
	  .help = "for Selector: which namespaces" },
};

static const struct conf_table set_namespaces_table = {
	.what = "namespaces", ROWS(set_namespaces_rows),
};

static const struct conf_row allowed_listeners_rows[] = {
	{ .key = "namespaces", .decode = conf_section, .preset = "{}",
	  .table = &set_namespaces_table, .help = "whose ListenerSets" },
};

static const struct conf_table allowed_listeners_table = {
	.what = "allowedListeners", ROWS(allowed_listeners_rows),
};

static const struct conf_row infrastructure_rows[] = {
	{ .key = "labels", .decode = conf_ignore, .help = "for what is created" },
	{ .key = "annotations", .decode = conf_ignore,
	  .help = "for what is created" },
	{ .key = "parametersRef", .decode = conf_pointer,
	  .table = &local_parameters_table,
	  .offset = offsetof(struct gateway, parameters),
	  .help = "an implementation's own" },
};

static const struct conf_table infrastructure_table = {
	.what = "infrastructure", ROWS(infrastructure_rows),
};

static const char *const client_modes[] = { "AllowValidOnly",
	"AllowInsecureFallback", NULL };

static const struct conf_row validation_rows[] = {
	{ .key = "caCertificateRefs", .decode = conf_list, .min = 1, .max = 16,
	  .table = &ca_ref_table, .required = true,
	  .offset = offsetof(struct client_validation, cas),
	  .offset_n = offsetof(struct client_validation, n_cas),
	  .help = "ConfigMaps with ca.crt" },
	{ .key = "mode", .decode = conf_enum, .names = client_modes,
	  .preset = "AllowValidOnly",
	  .offset = offsetof(struct client_validation, mode),
	  .help = "AllowValidOnly or AllowInsecureFallback" },
};

static const struct conf_table validation_table = {
	.what = "validation", ROWS(validation_rows),
	.size = sizeof(struct client_validation),
};

static const struct conf_row default_tls_rows[] = {
	{ .key = "validation", .decode = conf_pointer,
	  .table = &validation_table,
	  .offset = offsetof(struct gateway, validation),
	  .help = "whose certificates are asked of clients" },
};

static const struct conf_table default_tls_table = {
	.what = "default", ROWS(default_tls_rows),
};

static const struct conf_row port_tls_rows[] = {
	{ .key = "validation", .decode = conf_pointer,
	  .table = &validation_table,
	  .offset = offsetof(struct port_validation, validation),
	  .help = "whose certificates are asked of clients" },
};

static const struct conf_table port_tls_table = {
	.what = "tls", ROWS(port_tls_rows),
};

static const struct conf_row per_port_rows[] = {
	{ .key = "port", .decode = conf_u16, .min = 1, .required = true,
	  .offset = offsetof(struct port_validation, port), .help = "a port" },
	{ .key = "tls", .decode = conf_section, .table = &port_tls_table,
	  .required = true, .help = "{validation: ...}" },
};

static const struct conf_table per_port_table = {
	.what = "a port's tls", ROWS(per_port_rows),
	.size = sizeof(struct port_validation),
};

static const struct conf_row frontend_rows[] = {
	{ .key = "default", .decode = conf_section, .required = true,
	  .table = &default_tls_table, .help = "{validation: ...}" },
	{ .key = "perPort", .decode = conf_list, .table = &per_port_table,
	  .max = 64, .offset = offsetof(struct gateway, ports),
	  .offset_n = offsetof(struct gateway, n_ports),
	  .help = "[{port, tls}, ...]" },
};

static const struct conf_table frontend_table = {
	.what = "frontend", ROWS(frontend_rows),
};

static const struct conf_row backend_rows[] = {
	{ .key = "clientCertificateRef", .decode = conf_pointer,
	  .table = &secret_ref_table,
	  .offset = offsetof(struct gateway, client_cert),
	  .help = "shown to backends that are spoken TLS to" },
};

static const struct conf_table backend_tls_table = {
	.what = "backend", ROWS(backend_rows),
};

static const struct conf_row gateway_tls_rows[] = {
	{ .key = "backend", .decode = conf_section, .table = &backend_tls_table,
	  .help = "towards backends" },
	{ .key = "frontend", .decode = conf_section, .table = &frontend_table,
	  .help = "towards clients" },
};

static const struct conf_table gateway_tls_table = {
	.what = "tls", ROWS(gateway_tls_rows),
};

static bool is_address_twice(const struct gateway *g, size_t i)
{
	const struct gateway_address *a = g->addresses;

	if (a[i].value == NULL || is_one_of(a[i].type, "NamedAddress", "",
		NULL) || strchr(a[i].type, '/') != NULL)
		return false;
	for (size_t k = 0; k < i; k++)
		if (strcmp(a[k].type, a[i].type) == 0 &&
		    is_same_text(a[k].value, a[i].value))
			return true;
	return false;
}

static int check_gateway(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct gateway *g = out;

	for (size_t i = 0; i < g->n_addresses; i++)
		if (is_address_twice(g, i))
			return conf_refuse_at(in, map, "addresses",
			    g->addresses[i].value, "each address once");
	for (size_t i = 1; i < g->n_ports; i++)
		for (size_t k = 0; k < i; k++)
			if (g->ports[i].port == g->ports[k].port)
				return conf_refuse_at(in, map, "tls",
				    "a port twice in frontend.perPort",
				    "each port once");
	return check_listeners(in, map, &g->listeners);
}

static const struct conf_row gateway_spec_rows[] = {
	{ .key = "gatewayClassName", .decode = kube_name, .required = true,
	  .offset = offsetof(struct gateway, class_name),
	  .help = "the GatewayClass whose controller is meant" },
	LISTENERS_ROW(struct gateway),
	{ .key = "addresses", .decode = conf_list, .table = &address_table,
	  .max = 16, .offset = offsetof(struct gateway, addresses),
	  .offset_n = offsetof(struct gateway, n_addresses),
	  .help = "where to listen" },
	{ .key = "infrastructure", .decode = conf_section,
	  .table = &infrastructure_table, .help = "for what is created" },
	{ .key = "allowedListeners", .decode = conf_section, .preset = "{}",
	  .table = &allowed_listeners_table,
	  .offset = offsetof(struct gateway, allowed_listeners),
	  .help = "whose ListenerSets may add listeners" },
	{ .key = "tls", .decode = conf_section, .table = &gateway_tls_table,
	  .help = "client certificates, both ways" },
	{ .key = "defaultScope", .decode = conf_ignore, .help = "experimental" },
};

static const struct conf_table gateway_spec = {
	.what = "spec", ROWS(gateway_spec_rows), .check = check_gateway,
};

static const struct conf_row gateway_rows[] = {
	OBJECT_ROWS,
	{ .key = "spec", .decode = conf_section, .table = &gateway_spec,
	  .required = true, .help = "{gatewayClassName, listeners}" },
};

const struct conf_table gateway_table = {
	.what = "a Gateway", ROWS(gateway_rows),
	.size = sizeof(struct gateway),
};

/* ---- GatewayClass -------------------------------------------------------- */

static const struct conf_row class_spec_rows[] = {
	{ .key = "controllerName", .decode = kube_controller, .required = true,
	  .offset = offsetof(struct gateway_class, controller),
	  .help = "whose class it is" },
	{ .key = "parametersRef", .decode = conf_pointer,
	  .table = &parameters_table,
	  .offset = offsetof(struct gateway_class, parameters),
	  .help = "an implementation's own" },
	{ .key = "description", .decode = conf_ignore, .help = "for people" },
};

static const struct conf_table class_spec = {
	.what = "spec", ROWS(class_spec_rows),
};

static const struct conf_row class_rows[] = {
	OBJECT_ROWS,
	{ .key = "spec", .decode = conf_section, .table = &class_spec,
	  .required = true, .help = "{controllerName: ...}" },
};

const struct conf_table gateway_class_table = {
	.what = "a GatewayClass", ROWS(class_rows),
	.size = sizeof(struct gateway_class),
};

/* ---- ListenerSet --------------------------------------------------------- */

static const struct conf_row set_parent_rows[] = {
	REF_ROWS(GATEWAY_GROUP, "Gateway", false), NAMESPACE_ROW,
};

static const struct conf_table set_parent_table = {
	.what = "a parentRef", ROWS(set_parent_rows),
};

static int check_set(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct listener_set *set = out;

	return check_listeners(in, map, &set->listeners);
}

static const struct conf_row set_spec_rows[] = {
	{ .key = "parentRef", .decode = conf_section, .required = true,
	  .table = &set_parent_table,
	  .offset = offsetof(struct listener_set, parent),
	  .help = "{name: of a Gateway}" },
	LISTENERS_ROW(struct listener_set),
};

static const struct conf_table set_spec = {
	.what = "spec", ROWS(set_spec_rows), .check = check_set,
};

static const struct conf_row set_rows[] = {
	OBJECT_ROWS,
	{ .key = "spec", .decode = conf_section, .table = &set_spec,
	  .required = true, .help = "{parentRef, listeners}" },
};

const struct conf_table listener_set_table = {
	.what = "a ListenerSet", ROWS(set_rows),
	.size = sizeof(struct listener_set),
};
