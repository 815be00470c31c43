/*
 * plan_rule.c - rules with everything they refer to
 *
 * A rule whose filters cannot be done keeps its matches and answers 500: were its
 * requests left to a less specific rule, that rule would get what it must not,
 * past an ExternalAuth for one.
 */
#include <stdio.h>
#include <string.h>

#include "plan_state.h"

/* ---- filters ------------------------------------------------------------- */

static const struct plan_header *headers(struct planner *p,
    const struct header *from, size_t n)
{
	struct plan_header *to = plan_alloc(p, n * sizeof(*to));

	for (size_t i = 0; to != NULL && i < n; i++)
		to[i] = (struct plan_header){ from[i].name, from[i].value };
	return to;
}

static const struct plan_header_edits *edits(struct planner *p,
    const struct header_modifier *m)
{
	struct plan_header_edits *e = plan_alloc(p, sizeof(*e));
	struct plan_header *removed = plan_alloc(p, m->n_remove *
	    sizeof(*removed));

	if (e == NULL || removed == NULL)
		return NULL;
	for (size_t i = 0; i < m->n_remove; i++)
		removed[i].name = m->remove[i];
	*e = (struct plan_header_edits){
		.set = headers(p, m->set, m->n_set), .n_set = m->n_set,
		.add = headers(p, m->add, m->n_add), .n_add = m->n_add,
		.remove = removed, .n_remove = m->n_remove,
	};
	return e;
}

static enum plan_path_edit path_edit(const struct path_modifier *m,
    const char **path)
{
	*path = m->type == PATH_REPLACE_FULL ? m->full : m->prefix;
	return m->type == PATH_REPLACE_FULL ? PLAN_PATH_FULL :
	    m->type == PATH_REPLACE_PREFIX_MATCH ? PLAN_PATH_PREFIX_MATCH :
	    PLAN_PATH_KEEP;
}

static const struct plan_redirect *redirect(struct planner *p,
    const struct request_redirect *from)
{
	struct plan_redirect *to = plan_alloc(p, sizeof(*to));

	if (to == NULL)
		return NULL;
	to->scheme = from->scheme;
	to->hostname = from->hostname;
	to->path_edit = path_edit(&from->path, &to->path);
	to->port = from->port;
	to->status = from->status;
	return to;
}

static const struct plan_rewrite *rewrite(struct planner *p,
    const struct url_rewrite *from)
{
	struct plan_rewrite *to = plan_alloc(p, sizeof(*to));

	if (to == NULL)
		return NULL;
	to->hostname = from->hostname;
	to->path_edit = path_edit(&from->path, &to->path);
	return to;
}

static const struct plan_cors *cors(struct planner *p, const struct cors *from)
{
	struct plan_cors *to = plan_alloc(p, sizeof(*to));

	if (to == NULL)
		return NULL;
	*to = (struct plan_cors){
		.origins = from->origins, .n_origins = from->n_origins,
		.methods = from->methods, .n_methods = from->n_methods,
		.headers = from->headers, .n_headers = from->n_headers,
		.expose = from->expose, .n_expose = from->n_expose,
		.allow_credentials = from->allow_credentials,
		.max_age_s = from->max_age_s,
	};
	return to;
}

/* What of the filters plain HAProxy has nothing for; NULL: all can be done. */
static const char *take_filters(struct planner *p, const struct filter *f,
    size_t n, struct plan_filters *out)
{
	for (size_t i = 0; i < n; i++)
		switch (f[i].type) {
		case FILTER_REQUEST_HEADERS:
			out->request = edits(p, f[i].request);
			break;
		case FILTER_RESPONSE_HEADERS:
			out->response = edits(p, f[i].response);
			break;
		case FILTER_REDIRECT:
			out->redirect = redirect(p, f[i].redirect);
			break;
		case FILTER_REWRITE:
			out->rewrite = rewrite(p, f[i].rewrite);
			break;
		case FILTER_CORS:
			out->cors = cors(p, f[i].cors);
			break;
		case FILTER_MIRROR:
			return "RequestMirror";
		case FILTER_EXTERNAL_AUTH:
			return "ExternalAuth";
		case FILTER_EXTENSION:
			return "ExtensionRef";
		}
	return NULL;
}

/* ---- targets ------------------------------------------------------------- */

static void refuse_ref(struct plan_ruling *r, const char *reason,
    const char *message)
{
	if (r->ref_reason != NULL)
		return;
	r->ref_reason = reason;
	r->ref_message = message;
}

/* Mirrors and the like refer too, even where they are not supported. */
static void check_filter_refs(struct planner *p, const struct route *route,
    const struct gw *gw, const struct filter *f, size_t n,
    struct plan_ruling *r)
{
	for (size_t i = 0; i < n; i++) {
		const struct backend_ref *ref = f[i].mirror != NULL ?
		    &f[i].mirror->backend : f[i].auth;
		struct plan_found found;

		if (ref == NULL)
			continue;
		found = plan_backend(p, route, gw, ref);
		if (found.reason != NULL)
			refuse_ref(r, found.reason, found.message);
	}
}

static const char *take_targets(struct planner *p, const struct route *route,
    const struct gw *gw, const struct rule *rule, struct plan_rule *out,
    struct plan_ruling *r)
{
	struct plan_target *t = plan_alloc(p, rule->n_backends * sizeof(*t));
	const char *unsupported = NULL;

	if (t == NULL)
		return NULL;
	for (size_t i = 0; i < rule->n_backends; i++) {
		const struct backend_ref *ref = &rule->backends[i];
		struct plan_found found = plan_backend(p, route, gw, ref);
		const char *bad;

		if (found.reason != NULL)
			refuse_ref(r, found.reason, found.message);
		check_filter_refs(p, route, gw, ref->filters, ref->n_filters,
		    r);
		t[i].backend = found.backend;
		t[i].weight = ref->weight;
		bad = take_filters(p, ref->filters, ref->n_filters,
		    &t[i].filters);
		if (unsupported == NULL)
			unsupported = bad;
	}
	out->targets = t;
	out->n_targets = rule->n_backends;
	return unsupported;
}

/* ---- the rest of a rule -------------------------------------------------- */

static const struct plan_retry *retry(struct planner *p,
    const struct retry *from)
{
	struct plan_retry *to = from != NULL ? plan_alloc(p, sizeof(*to)) :
	    NULL;

	if (to == NULL)
		return NULL;
	to->codes = from->codes;
	to->n_codes = from->n_codes;
	to->attempts = from->attempts != 0 ? from->attempts :
	    PLAN_RETRY_ATTEMPTS;
	to->backoff_ms = from->backoff_ms;
	return to;
}

static const struct plan_session *session(struct planner *p,
    const struct session_persistence *from)
{
	struct plan_session *to = from != NULL ? plan_alloc(p, sizeof(*to)) :
	    NULL;

	if (to == NULL)
		return NULL;
	to->type = from->type == SESSION_COOKIE ? PLAN_SESSION_COOKIE :
	    PLAN_SESSION_HEADER;
	to->name = from->name;
	to->absolute_timeout_ms = from->absolute_ms;
	to->idle_timeout_ms = from->idle_ms;
	to->is_permanent = from->lifetime == SESSION_PERMANENT;
	return to;
}

/* HAProxy's cookies are for the whole site, whatever is asked for. */
static void check_cookie(struct planner *p, struct plan_ruling *r,
    const struct session_persistence *s)
{
	if (s == NULL || s->cookie_path == NULL ||
	    strcmp(s->cookie_path, "/") == 0 || r->partly != NULL)
		return;
	r->partly = plan_textf(p, "sessionPersistence.cookie.path %.200s: "
	    "HAProxy's cookies have path /", s->cookie_path);
}

static void drop(struct planner *p, struct plan_ruling *r, size_t i,
    const char *what, struct plan_rule *out)
{
	r->n_dropped++;
	if (r->dropped == NULL)
		r->dropped = plan_textf(p, "Dropped Rule %zu: filter %s is not "
		    "supported; its requests are answered with 500", i, what);
	out->filters = (struct plan_filters){ 0 };
	out->targets = NULL;
	out->n_targets = 0;
	out->retry = NULL;
	out->session = NULL;
}

static void take_rule(struct planner *p, const struct route *route,
    const struct gw *gw, size_t i, struct plan_rule *out,
    struct plan_ruling *r)
{
	const struct rule *rule = &route->rules[i];
	bool is_http = route->o.kind == KIND_HTTP_ROUTE;
	const char *bad, *bad_target;

	out->ref = plan_ref_of(&route->o);
	out->ref.section = rule->name;
	out->ref.index = (unsigned)i;
	out->request_ms = is_http ? rule->request_ms : PLAN_NOT_GIVEN;
	out->backend_request_ms = is_http ? rule->backend_request_ms :
	    PLAN_NOT_GIVEN;
	check_filter_refs(p, route, gw, rule->filters, rule->n_filters, r);
	bad = take_filters(p, rule->filters, rule->n_filters, &out->filters);
	bad_target = take_targets(p, route, gw, rule, out, r);
	out->retry = retry(p, rule->retry);
	out->session = session(p, rule->session);
	check_cookie(p, r, rule->session);
	if (bad != NULL || bad_target != NULL)
		drop(p, r, i, bad != NULL ? bad : bad_target, out);
}

struct plan_ruling plan_rules(struct planner *p, const struct route *route,
    const struct gw *gw)
{
	struct plan_ruling r = { .n_rules = route->n_rules };
	struct plan_rule *rules = plan_alloc(p, route->n_rules *
	    sizeof(*rules));

	r.rules = rules;
	for (size_t i = 0; rules != NULL && i < route->n_rules; i++)
		take_rule(p, route, gw, i, &rules[i], &r);
	return r;
}

void plan_note_rules(struct planner *p, const struct route *route,
    const struct gw *gw)
{
	for (size_t i = 0; i < route->n_rules; i++)
		for (size_t k = 0; k < route->rules[i].n_backends; k++)
			plan_backend(p, route, gw,
			    &route->rules[i].backends[k]);
}
