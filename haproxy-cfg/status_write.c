/*
 * status_write.c - statuses as a controller would write them: YAML, one document
 * an object, conditions by type
 */
#include <inttypes.h>
#include <string.h>

#include "buf.h"
#include "status.h"
#include "status_since.h"
#include "words.h"

/*
 * What a controller tells the conformance suite that it may ask for; sorted, as
 * GatewayClassStatus wants it. Names: pkg/features of gateway-api v1.6.1.
 */
static const char *const features[] = {
	"BackendTLSPolicy",
	"GRPCRoute",
	"GRPCRouteNamedRouteRule",
	"Gateway",
	"GatewayBackendClientCertificate",
	"GatewayFrontendClientCertificateValidation",
	"GatewayFrontendClientCertificateValidationInsecureFallback",
	"GatewayHTTPListenerIsolation",
	"GatewayHTTPSListenerDetectMisdirectedRequests",
	"GatewayPort8080",
	"HTTPRoute",
	"HTTPRoute303RedirectStatusCode",
	"HTTPRoute307RedirectStatusCode",
	"HTTPRoute308RedirectStatusCode",
	"HTTPRouteBackendProtocolH2C",
	"HTTPRouteBackendProtocolWebSocket",
	"HTTPRouteBackendRequestHeaderModification",
	"HTTPRouteBackendTimeout",
	"HTTPRouteCORS",
	"HTTPRouteDestinationPortMatching",
	"HTTPRouteHostRewrite",
	"HTTPRouteMethodMatching",
	"HTTPRouteNamedRouteRule",
	"HTTPRouteParentRefPort",
	"HTTPRoutePathRedirect",
	"HTTPRoutePathRewrite",
	"HTTPRoutePortRedirect",
	"HTTPRouteQueryParamMatching",
	"HTTPRouteRequestTimeout",
	"HTTPRouteResponseHeaderModification",
	"HTTPRouteRetry",
	"HTTPRouteRetryBackendTimeout",
	"HTTPRouteRetryConnectionError",
	"HTTPRouteSchemeRedirect",
	"ListenerSet",
	"ReferenceGrant",
	"SupportInferencePool",
	"TCPRoute",
	"TLSRoute",
	"TLSRouteModeMixed",
	"TLSRouteModeTerminate",
};

static void line(struct buf *out, const char *indent, const char *key,
    const char *value)
{
	if (value == NULL)
		return;
	buf_printf(out, "%s%s: ", indent, key);
	words_json(out, value);
	buf_puts(out, "\n");
}

/* What is written: of which object, where in it, and since when. */
struct writing {
	struct buf *out;
	struct status_since *since;	/* NULL: no times */
	const char *controller;
	const struct object *object;
	const char *where;
	size_t index;
};

static void condition(const struct writing *w, const char *indent,
    const struct condition *c)
{
	struct buf *out = w->out;

	buf_printf(out, "%s- type: %s\n%s  status: \"%s\"\n%s  "
	    "observedGeneration: %" PRId64 "\n", indent, c->type, indent,
	    condition_status_names[c->status], indent, w->object->generation);
	if (w->since != NULL)
		buf_printf(out, "%s  lastTransitionTime: \"%s\"\n", indent,
		    status_since_get(w->since, w->object, w->where, w->index,
			c));
	buf_printf(out, "%s  reason: %s\n%s  message: ", indent, c->reason,
	    indent);
	words_json(out, c->message);
	buf_puts(out, "\n");
}

static void conditions(const struct writing *w, const char *indent,
    const struct conditions *c)
{
	const struct condition *sorted[CONDITIONS_MAX];

	if (c->n == 0)
		return;
	for (size_t i = 0; i < c->n; i++) {
		size_t at = i;

		for (; at > 0 && strcmp(sorted[at - 1]->type,
			c->items[i].type) > 0; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &c->items[i];
	}
	buf_printf(w->out, "%sconditions:\n", indent);
	for (size_t i = 0; i < c->n; i++)
		condition(w, indent, sorted[i]);
}

static void listener(const struct writing *w, const struct status_listener *l)
{
	struct buf *out = w->out;

	buf_printf(out, "  - name: ");
	words_json(out, l->name);
	buf_printf(out, "\n    attachedRoutes: %zu\n    supportedKinds:%s\n",
	    l->attached_routes, l->n_kinds == 0 ? " []" : "");
	for (size_t i = 0; i < l->n_kinds; i++)
		buf_printf(out, "    - group: %s\n      kind: %s\n",
		    l->kinds[i].group, l->kinds[i].kind);
	conditions(w, "    ", &l->conditions);
}

static void parent(const struct writing *w, const char *key,
    const struct status_parent *p)
{
	struct buf *out = w->out;

	buf_printf(out, "  - %s:\n      group: %s\n      kind: %s\n", key,
	    p->ref.group, p->ref.kind);
	line(out, "      ", "namespace", p->ref.namespace);
	line(out, "      ", "name", p->ref.name);
	line(out, "      ", "sectionName", p->ref.section);
	if (p->ref.port != 0)
		buf_printf(out, "      port: %u\n", p->ref.port);
	buf_printf(out, "    controllerName: %s\n", w->controller);
	conditions(w, "    ", &p->conditions);
}

static void gateway(struct buf *out, const struct status *s)
{
	buf_printf(out, "  addresses:%s\n", s->n_addresses == 0 ? " []" : "");
	for (size_t i = 0; i < s->n_addresses; i++) {
		buf_printf(out, "  - type: %s\n", s->addresses[i].type);
		line(out, "    ", "value", s->addresses[i].value);
	}
	buf_printf(out, "  attachedListenerSets: %zu\n", s->attached_sets);
}

static void class(struct buf *out)
{
	buf_puts(out, "  supportedFeatures:\n");
	for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++)
		buf_printf(out, "  - name: %s\n", features[i]);
}

static void parts(struct writing *w, const struct status *s)
{
	bool is_policy = s->object->kind == KIND_BACKEND_TLS_POLICY;

	if (s->n_listeners > 0)
		buf_puts(w->out, "  listeners:\n");
	for (size_t i = 0; i < s->n_listeners; i++) {
		w->where = s->listeners[i].name;
		listener(w, &s->listeners[i]);
	}
	if (s->n_parents > 0)
		buf_printf(w->out, "  %s:\n", is_policy ? "ancestors" :
		    "parents");
	for (size_t i = 0; i < s->n_parents; i++) {
		/* Which parent it is does not hang on how many come before. */
		w->where = s->parents[i].ref.name;
		w->index = status_parent_key(&s->parents[i].ref);
		parent(w, is_policy ? "ancestorRef" : "parentRef",
		    &s->parents[i]);
	}
}

static void object(struct writing *w, const struct status *s)
{
	const struct object *o = s->object;
	struct buf *out = w->out;

	w->object = o;
	w->where = "";
	w->index = 0;
	buf_printf(out, "---\napiVersion: %s%s%s\nkind: %s\nmetadata:\n",
	    kind_group(o->kind), kind_group(o->kind)[0] != '\0' ? "/" : "",
	    kind_version(o->kind), kind_name(o->kind));
	line(out, "  ", "name", o->name);
	line(out, "  ", "namespace", o->namespace[0] != '\0' ? o->namespace :
	    NULL);
	buf_puts(out, "status:\n");
	if (o->kind == KIND_GATEWAY)
		gateway(out, s);
	conditions(w, "  ", &s->conditions);
	if (o->kind == KIND_GATEWAY_CLASS)
		class(out);
	parts(w, s);
}

void status_write_one(const struct statuses *all, size_t i,
    struct status_since *since, struct buf *out)
{
	struct writing w = { .out = out, .since = since,
		.controller = all->controller };

	object(&w, &all->items[i]);
}

void status_write(const struct statuses *all, struct status_since *since,
    struct buf *out)
{
	for (size_t i = 0; i < all->n; i++)
		status_write_one(all, i, since, out);
}
