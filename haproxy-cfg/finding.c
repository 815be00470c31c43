/*
 * finding.c - the ways in which something can be wrong, one function each
 */
#include "finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "store.h"

static struct finding *add(struct findings *f)
{
	if (f->n == f->cap) {
		size_t cap = f->cap > 0 ? 2 * f->cap : 16;
		struct finding *items = arena_zalloc(f->arena,
		    cap * sizeof(*items));

		if (items == NULL) {
			f->failed = true;
			return NULL;
		}
		if (f->n > 0)
			memcpy(items, f->items, f->n * sizeof(*items));
		f->items = items;
		f->cap = cap;
	}
	return &f->items[f->n++];
}

static const char *textf(struct findings *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static const char *textf(struct findings *f, const char *fmt, ...)
{
	const char *text;
	va_list ap;

	va_start(ap, fmt);
	text = arena_vprintf(f->arena, fmt, ap);
	va_end(ap);
	if (text == NULL)
		f->failed = true;
	return text != NULL ? text : "";
}

/* ---- files --------------------------------------------------------------- */

static void take_file(struct findings *f, const struct store_file *file)
{
	struct finding *at;

	if (file->is_bad) {
		at = add(f);
		if (at == NULL)
			return;
		*at = (struct finding){ SEVERITY_ERROR, file->path,
			file->why->line, NULL, NULL, "File", "Invalid",
			textf(f, "%s%s%s", file->why->found,
			    file->why->want[0] != '\0' ? "; want: " : "",
			    file->why->want) };
	}
	for (size_t i = 0; i < file->n_skipped; i++) {
		const struct store_skipped *s = &file->skipped[i];

		at = add(f);
		if (at == NULL)
			return;
		*at = (struct finding){ SEVERITY_NOTE, file->path, s->line,
			NULL, NULL, "File", "Skipped", s->n == 1 ?
			textf(f, "%s is none of our kinds", s->kind) :
			textf(f, "%u objects of %s, which is none of our kinds",
			    s->n, s->kind) };
	}
}

/* ---- conditions ---------------------------------------------------------- */

/* Of which conditions True is not what one hopes for. */
static bool is_bad_news(const struct condition *c, enum severity *severity)
{
	static const char *const negative[] = { "Conflicted",
		"OverlappingTLSConfig", "PartiallyInvalid",
		"InsecureFrontendValidationMode" };

	for (size_t i = 0; i < sizeof(negative) / sizeof(*negative); i++)
		if (strcmp(c->type, negative[i]) == 0) {
			/* Hosts may overlap on purpose, as *.a.b and c.a.b do. */
			*severity = i == 1 ? SEVERITY_NOTE : SEVERITY_WARNING;
			/* Conflicted: Accepted says it already. */
			return c->status == CONDITION_TRUE && i != 0;
		}
	*severity = SEVERITY_ERROR;
	return c->status != CONDITION_TRUE;
}

static void take_conditions(struct findings *f, const struct object *o,
    const char *where, const struct conditions *c)
{
	for (size_t i = 0; i < c->n; i++) {
		enum severity severity;
		struct finding *at;

		if (!is_bad_news(&c->items[i], &severity))
			continue;
		at = add(f);
		if (at == NULL)
			return;
		*at = (struct finding){ severity, o->file, o->line, o, where,
			c->items[i].type, c->items[i].reason,
			c->items[i].message };
	}
}

static void take_status(struct findings *f, const struct status *s)
{
	take_conditions(f, s->object, NULL, &s->conditions);
	for (size_t i = 0; i < s->n_listeners; i++)
		take_conditions(f, s->object, textf(f, "listener %s",
		    s->listeners[i].name), &s->listeners[i].conditions);
	for (size_t i = 0; i < s->n_parents; i++) {
		const struct parent_ref *ref = &s->parents[i].ref;

		take_conditions(f, s->object, textf(f, "%s %s%s%s", ref->kind,
		    ref->name, ref->section != NULL ? "/" : "",
		    ref->section != NULL ? ref->section : ""),
		    &s->parents[i].conditions);
	}
}

/* ---- references that lead nowhere ---------------------------------------- */

static void dangling(struct findings *f, const struct object *o,
    const char *message)
{
	struct finding *at = add(f);

	if (at != NULL)
		*at = (struct finding){ SEVERITY_ERROR, o->file, o->line, o,
			NULL, "Reference", "NotFound", message };
}

static bool is_there(const struct store *s, const struct object *from,
    const char *kind, const char *namespace, const char *name)
{
	static const enum kind kinds[] = { KIND_GATEWAY, KIND_LISTENER_SET,
		KIND_SERVICE, KIND_INFERENCE_POOL };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kind, kind_name(kinds[i])) == 0)
			return store_find(s, kinds[i], namespace != NULL ?
			    namespace : from->namespace, name) != NULL;
	return true;		/* not ours to know */
}

static void check_ref(struct findings *f, const struct store *s,
    const struct object *from, const char *field, const char *kind,
    const char *namespace, const char *name)
{
	if (!is_there(s, from, kind, namespace, name))
		dangling(f, from, textf(f, "%s: there is no %s %s/%s", field,
		    kind, namespace != NULL ? namespace : from->namespace,
		    name));
}

/* Nobody else looks where a route leads that is attached to nothing. */
static void check_backends(struct findings *f, const struct store *s,
    const struct route *r)
{
	for (size_t i = 0; i < r->n_rules; i++)
		for (size_t k = 0; k < r->rules[i].n_backends; k++) {
			const struct backend_ref *b = &r->rules[i].backends[k];

			check_ref(f, s, &r->o, "backendRefs", b->kind,
			    b->namespace, b->name);
		}
}

static void check_routes(struct findings *f, struct store *s,
    const struct statuses *statuses, enum kind kind)
{
	struct objects all = store_all(s, kind);

	for (size_t i = 0; i < all.n; i++) {
		const struct route *r = (const void *)all.items[i];

		if (r->n_parents == 0)
			dangling(f, &r->o, "no parentRefs: it is attached to "
			    "nothing");
		for (size_t k = 0; k < r->n_parents; k++)
			if (strcmp(r->parents[k].group, GATEWAY_GROUP) == 0)
				check_ref(f, s, &r->o, "parentRefs",
				    r->parents[k].kind,
				    r->parents[k].namespace,
				    r->parents[k].name);
		if (statuses_find(statuses, kind, r->o.namespace,
			r->o.name) == NULL)
			check_backends(f, s, r);
	}
}

static void check_gateways(struct findings *f, struct store *s)
{
	struct objects all = store_all(s, KIND_GATEWAY);

	for (size_t i = 0; i < all.n; i++) {
		const struct gateway *g = (const void *)all.items[i];

		if (store_find(s, KIND_GATEWAY_CLASS, "", g->class_name) ==
		    NULL)
			dangling(f, &g->o, textf(f, "gatewayClassName: there "
			    "is no GatewayClass %s", g->class_name));
	}
}

static void check_sets(struct findings *f, struct store *s)
{
	struct objects all = store_all(s, KIND_LISTENER_SET);

	for (size_t i = 0; i < all.n; i++) {
		const struct listener_set *l = (const void *)all.items[i];

		check_ref(f, s, &l->o, "parentRef", l->parent.kind,
		    l->parent.namespace, l->parent.name);
	}
}

static void check_policies(struct findings *f, struct store *s)
{
	struct objects all = store_all(s, KIND_BACKEND_TLS_POLICY);

	for (size_t i = 0; i < all.n; i++) {
		const struct backend_tls_policy *p = (const void *)all.items[i];

		for (size_t k = 0; k < p->n_targets; k++)
			check_ref(f, s, &p->o, "targetRefs",
			    p->targets[k].kind, NULL, p->targets[k].name);
	}
}

/* Objectives are told by their condition. */
static void check_pool_refs(struct findings *f, struct store *s)
{
	struct objects all = store_all(s, KIND_INFERENCE_MODEL_REWRITE);

	for (size_t i = 0; i < all.n; i++) {
		const struct inference_model_rewrite *r =
		    (const void *)all.items[i];

		check_ref(f, s, &r->o, "poolRef", r->pool.kind, NULL,
		    r->pool.name);
	}
}

/* Without a class of ours, nothing is served whatever else is declared. */
static void check_classes(struct findings *f, struct store *s,
    const char *controller)
{
	struct objects all = store_all(s, KIND_GATEWAY_CLASS);
	struct finding *at;

	for (size_t i = 0; i < all.n; i++)
		if (strcmp(((const struct gateway_class *)(const void *)
			all.items[i])->controller, controller) == 0)
			return;
	at = add(f);
	if (at != NULL)
		*at = (struct finding){ SEVERITY_WARNING, NULL, 0, NULL, NULL,
			"Reference", "NoGatewayClass", textf(f,
			    "no GatewayClass has controllerName %s: nothing "
			    "is served", controller) };
}

/* ---- all of them --------------------------------------------------------- */

static int compare_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

static int by_place(const void *left, const void *right)
{
	const struct finding *a = left, *b = right;
	int order = compare_text(a->file, b->file);

	if (order == 0)
		order = (a->line > b->line) - (a->line < b->line);
	if (order == 0)
		order = compare_text(a->where, b->where);
	if (order == 0)
		order = strcmp(a->type, b->type);
	return order != 0 ? order : strcmp(a->message, b->message);
}

void findings_take(struct findings *out, struct store *store,
    const struct statuses *statuses)
{
	bool any_bad = false;

	for (size_t i = 0; i < store_n_files(store); i++) {
		take_file(out, store_file(store, i));
		any_bad = any_bad || store_file(store, i)->is_bad;
	}
	if (!any_bad)
		check_classes(out, store, statuses->controller);
	check_gateways(out, store);
	check_sets(out, store);
	check_routes(out, store, statuses, KIND_HTTP_ROUTE);
	check_routes(out, store, statuses, KIND_GRPC_ROUTE);
	check_routes(out, store, statuses, KIND_TLS_ROUTE);
	check_routes(out, store, statuses, KIND_TCP_ROUTE);
	check_policies(out, store);
	check_pool_refs(out, store);
	for (size_t i = 0; i < statuses->n; i++)
		take_status(out, &statuses->items[i]);
	if (out->n > 1)
		qsort(out->items, out->n, sizeof(*out->items), by_place);
}
