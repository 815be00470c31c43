/*
 * plan_grant.c - ReferenceGrants and namespace selectors: who may do what where
 */
#include <string.h>

#include "plan_state.h"

struct grants {			/* of one namespace */
	const struct reference_grant **items;
	size_t n, cap;
};

void plan_grants(struct planner *p)
{
	struct objects all = store_all(p->store, KIND_REFERENCE_GRANT);

	for (size_t i = 0; i < all.n; i++) {
		const struct object *o = all.items[i];
		struct grants *g = plan_held(p, &p->grants, o->namespace, "",
		    0, sizeof(*g));

		if (g == NULL)
			return;
		g->items = plan_grow(p, g->items, g->n, &g->cap,
		    sizeof(*g->items));
		if (g->items == NULL)
			return;
		g->items[g->n++] = (const struct reference_grant *)o;
	}
}

static bool is_from(const struct reference_grant *g, const char *group,
    const char *kind, const char *namespace)
{
	for (size_t i = 0; i < g->n_from; i++)
		if (strcmp(g->from[i].namespace, namespace) == 0 &&
		    strcmp(g->from[i].kind, kind) == 0 &&
		    strcmp(g->from[i].group, group) == 0)
			return true;
	return false;
}

static bool is_to(const struct reference_grant *g, const char *group,
    const char *kind, const char *name)
{
	for (size_t i = 0; i < g->n_to; i++)
		if (strcmp(g->to[i].kind, kind) == 0 &&
		    strcmp(g->to[i].group, group) == 0 &&
		    (g->to[i].name == NULL || strcmp(g->to[i].name, name) == 0))
			return true;
	return false;
}

bool plan_is_granted(const struct planner *p, const char *from_group,
    const char *from_kind, const char *from_namespace, const char *to_group,
    const char *to_kind, const char *to_namespace, const char *to_name)
{
	const struct grants *g;

	if (strcmp(from_namespace, to_namespace) == 0)
		return true;
	g = index_get(&p->grants, to_namespace, "", 0);
	for (size_t i = 0; g != NULL && i < g->n; i++)
		if (is_from(g->items[i], from_group, from_kind,
			from_namespace) &&
		    is_to(g->items[i], to_group, to_kind, to_name))
			return true;
	return false;
}

/* ---- selectors ----------------------------------------------------------- */

/* The API server gives each namespace its name as a label; files need not. */
static const char name_label[] = "kubernetes.io/metadata.name";

static bool has_value(const struct selector_expression *e, const char *value)
{
	for (size_t i = 0; i < e->n_values; i++)
		if (strcmp(e->values[i], value) == 0)
			return true;
	return false;
}

/* As apimachinery's labels.Requirement: NotIn holds where there is no such key. */
static bool holds(const struct selector_expression *e,
    const struct labels *labels, const char *name)
{
	const char *value = labels_get(labels, e->key);

	if (value == NULL && strcmp(e->key, name_label) == 0)
		value = name;

	switch (e->op) {
	case SELECTOR_IN:
		return value != NULL && has_value(e, value);
	case SELECTOR_NOT_IN:
		return value == NULL || !has_value(e, value);
	case SELECTOR_EXISTS:
		return value != NULL;
	default:
		return value == NULL;
	}
}

static bool selects(const struct selector *s, const struct labels *labels,
    const char *name)
{
	for (size_t i = 0; i < s->match.n; i++) {
		const char *key = s->match.items[i].key;
		const char *value = labels_get(labels, key);

		if (value == NULL && strcmp(key, name_label) == 0)
			value = name;
		if (value == NULL || strcmp(value, s->match.items[i].value) != 0)
			return false;
	}
	for (size_t i = 0; i < s->n_expressions; i++)
		if (!holds(&s->expressions[i], labels, name))
			return false;
	return true;
}

static bool selects_namespace(const struct planner *p, const struct selector *s,
    const char *namespace)
{
	static const struct labels none;
	const struct object *o = store_find(p->store, KIND_NAMESPACE, "",
	    namespace);

	return selects(s, o != NULL ? &o->labels : &none, namespace);
}

bool plan_in_namespaces(const struct planner *p, const struct namespaces *which,
    const char *home, const char *namespace)
{
	switch (which->from) {
	case FROM_ALL:
		return true;
	case FROM_SAME:
		return strcmp(home, namespace) == 0;
	case FROM_SELECTOR:
		return which->selector != NULL &&
		    selects_namespace(p, which->selector, namespace);
	default:
		return false;
	}
}
