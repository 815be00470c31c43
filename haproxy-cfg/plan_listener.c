/*
 * plan_listener.c - is a listener valid by itself?
 */
#include <string.h>

#include "plan_state.h"

static const struct protocol {
	const char *name;
	enum tls_mode mode;
	enum plan_listener_protocol protocol;
	enum kind kinds[2];
	size_t n_kinds;
} protocols[] = {
	{ "HTTP", TLS_TERMINATE, PLAN_LISTENER_HTTP,
	    { KIND_HTTP_ROUTE, KIND_GRPC_ROUTE }, 2 },
	{ "HTTPS", TLS_TERMINATE, PLAN_LISTENER_HTTPS,
	    { KIND_HTTP_ROUTE, KIND_GRPC_ROUTE }, 2 },
	{ "TLS", TLS_TERMINATE, PLAN_LISTENER_TLS_TERMINATE,
	    { KIND_TLS_ROUTE }, 1 },
	{ "TLS", TLS_PASSTHROUGH, PLAN_LISTENER_TLS_PASSTHROUGH,
	    { KIND_TLS_ROUTE }, 1 },
	{ "TCP", TLS_TERMINATE, PLAN_LISTENER_TCP, { KIND_TCP_ROUTE }, 1 },
};

static const struct protocol *protocol_of(const struct listener *l)
{
	enum tls_mode mode = l->tls != NULL ? l->tls->mode : TLS_TERMINATE;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (strcmp(protocols[i].name, l->protocol) == 0 &&
		    protocols[i].mode == mode)
			return &protocols[i];
	return NULL;
}

static const struct object *owner_of(const struct lstn *l)
{
	return l->set != NULL ? &l->set->o->o : &l->gw->o->o;
}

static void set(struct planner *p, struct lstn *l, const char *type,
    enum condition_status status, const char *reason, const char *message)
{
	plan_set(p, &l->status->conditions, type, status, reason, message);
}

/* ---- kinds --------------------------------------------------------------- */

static const enum kind *named(const struct protocol *protocol,
    const struct route_kind *k)
{
	for (size_t i = 0; i < protocol->n_kinds; i++)
		if (strcmp(k->group, kind_group(protocol->kinds[i])) == 0 &&
		    strcmp(k->kind, kind_name(protocol->kinds[i])) == 0)
			return &protocol->kinds[i];
	return NULL;
}

static void add_kind(struct status_listener *s, enum kind kind)
{
	for (size_t i = 0; i < s->n_kinds; i++)
		if (strcmp(s->kinds[i].kind, kind_name(kind)) == 0)
			return;
	s->kinds[s->n_kinds++] = (struct route_kind){ kind_group(kind),
		kind_name(kind) };
}

static void take_kinds(struct planner *p, struct lstn *l,
    const struct protocol *protocol)
{
	const struct listener *spec = l->spec;

	for (size_t i = 0; i < protocol->n_kinds && spec->allowed.n_kinds == 0;
	    i++)
		add_kind(l->status, protocol->kinds[i]);
	for (size_t i = 0; i < spec->allowed.n_kinds; i++) {
		const struct route_kind *k = &spec->allowed.kinds[i];
		const enum kind *kind = named(protocol, k);

		if (kind != NULL)
			add_kind(l->status, *kind);
		else
			set(p, l, "ResolvedRefs", CONDITION_FALSE,
			    "InvalidRouteKinds", plan_textf(p, "Protocol %s "
				"serves no %s%s%s", spec->protocol, k->kind,
				k->group[0] != '\0' ? " of " : "", k->group));
	}
}

bool plan_takes_kind(const struct lstn *l, enum kind kind)
{
	for (size_t i = 0; i < l->status->n_kinds; i++)
		if (strcmp(l->status->kinds[i].kind, kind_name(kind)) == 0)
			return true;
	return false;
}

/* ---- certificates -------------------------------------------------------- */

static void take_certs(struct planner *p, struct lstn *l)
{
	const struct listener_tls *tls = l->spec->tls;
	size_t n = tls != NULL ? tls->n_certs : 0;
	const struct plan_pem **certs = plan_alloc(p, n * sizeof(*certs));

	if (certs == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		struct plan_found_pem f = plan_cert(p, owner_of(l),
		    &tls->certs[i]);

		if (f.pem != NULL)
			certs[l->n_certs++] = f.pem;
		else if (f.reason != NULL)
			set(p, l, "ResolvedRefs", CONDITION_FALSE, f.reason,
			    f.message);
	}
	l->certs = certs;
	if (n == 0)
		set(p, l, "ResolvedRefs", CONDITION_FALSE,
		    "InvalidCertificateRef", "No certificateRefs: the listener "
		    "has nothing to show to clients");
}

/* ---- who may come in ----------------------------------------------------- */

static void resolve_cas(struct planner *p, const struct gw *gw,
    struct client_ca *ca)
{
	const struct client_validation *spec = ca->spec;
	struct plan_client_validation *made = plan_alloc(p, sizeof(*made));
	const struct plan_pem **cas = plan_alloc(p, spec->n_cas * sizeof(*cas));

	if (made == NULL || cas == NULL)
		return;
	for (size_t i = 0; i < spec->n_cas; i++) {
		struct plan_found_pem f = plan_ca(p, &gw->o->o, &spec->cas[i]);

		if (f.pem != NULL) {
			cas[made->n_cas++] = f.pem;
		} else if (ca->reason == NULL) {
			ca->reason = f.reason;
			ca->message = f.message;
		}
	}
	made->cas = cas;
	made->mode = spec->mode == CLIENT_ALLOW_VALID_ONLY ?
	    PLAN_CLIENT_ALLOW_VALID_ONLY : PLAN_CLIENT_ALLOW_INSECURE;
	ca->made = made->n_cas > 0 ? made : NULL;
}

static void take_validations(struct planner *p, struct gw *gw)
{
	gw->cas = plan_alloc(p, (1 + gw->o->n_ports) * sizeof(*gw->cas));
	if (gw->cas == NULL)
		return;
	gw->cas[0].spec = gw->o->validation;
	for (size_t i = 0; i < gw->o->n_ports; i++)
		gw->cas[1 + i].spec = gw->o->ports[i].validation;
	for (size_t i = 0; i <= gw->o->n_ports; i++)
		if (gw->cas[i].spec != NULL)
			resolve_cas(p, gw, &gw->cas[i]);
}

/* The port's own word, or else the default. */
const struct client_ca *plan_client_ca(const struct gw *gw, uint16_t port)
{
	for (size_t i = 0; i < gw->o->n_ports; i++)
		if (gw->o->ports[i].port == port)
			return &gw->cas[1 + i];
	return &gw->cas[0];
}

static void take_validation(struct planner *p, struct lstn *l)
{
	const struct client_ca *ca = plan_client_ca(l->gw, l->spec->port);

	if (ca->spec == NULL)
		return;
	if (ca->reason != NULL)
		set(p, l, "ResolvedRefs", CONDITION_FALSE, ca->reason,
		    ca->message);
	if (ca->made == NULL)
		set(p, l, "Accepted", CONDITION_FALSE, "NoValidCACertificate",
		    "No caCertificateRef is valid: no client could be let in");
	if (ca->spec->mode == CLIENT_ALLOW_INSECURE_FALLBACK)
		plan_set(p, &l->gw->status->conditions,
		    "InsecureFrontendValidationMode", CONDITION_TRUE,
		    "ConfigurationChanged", "Clients without a valid "
		    "certificate are let in: mode is AllowInsecureFallback");
}

/* ---- listeners ----------------------------------------------------------- */

static void check(struct planner *p, struct lstn *l)
{
	const struct protocol *protocol = protocol_of(l->spec);

	if (protocol == NULL) {
		set(p, l, "Accepted", CONDITION_FALSE, "UnsupportedProtocol",
		    plan_textf(p, "Protocol %s is not supported: HTTP, HTTPS, "
			"TLS and TCP are", l->spec->protocol));
		return;
	}
	l->is_supported = true;
	l->protocol = protocol->protocol;
	take_kinds(p, l, protocol);
	if (l->protocol == PLAN_LISTENER_HTTPS ||
	    l->protocol == PLAN_LISTENER_TLS_TERMINATE)
		take_certs(p, l);
	if (l->protocol == PLAN_LISTENER_HTTPS)
		take_validation(p, l);
}

void plan_listeners(struct planner *p)
{
	for (size_t i = 0; i < p->n_gateways && !p->failed; i++) {
		struct gw *gw = p->gateways[i];

		take_validations(p, gw);
		for (size_t k = 0; k < gw->n_all && !p->failed; k++)
			check(p, gw->all[k]);
	}
}
