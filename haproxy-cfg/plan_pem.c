/*
 * plan_pem.c - certificateRefs and caCertificateRefs
 *
 * The grant is asked for before the object is looked for, so that nobody learns
 * what exists where he may not refer to (ReferenceGrant's documentation).
 */
#include <string.h>

#include "plan_state.h"

static struct plan_found_pem wrong(struct planner *p, const char *reason,
    const struct object_ref *ref, const char *namespace, const char *what)
{
	return (struct plan_found_pem){ NULL, reason, plan_textf(p,
	    "%s %s/%s: %s", ref->kind, namespace, ref->name, what) };
}

static struct plan_found_pem found(struct planner *p, const struct object *o,
    struct span first, struct span second)
{
	void **at = plan_at(p, &p->pems, o->namespace, o->name, o->kind);
	struct plan_pem *pem;
	char *text;

	if (at == NULL || *at != NULL)
		return (struct plan_found_pem){ at != NULL ? *at : NULL, NULL,
			NULL };
	pem = plan_alloc(p, sizeof(*pem));
	text = plan_alloc(p, first.len + 1 + second.len + 1);
	if (pem == NULL || text == NULL)
		return (struct plan_found_pem){ NULL, NULL, NULL };
	memcpy(text, first.ptr, first.len);
	text[first.len] = '\n';
	if (second.len > 0)
		memcpy(text + first.len + 1, second.ptr, second.len);
	pem->ref = plan_ref_of(o);
	pem->text = (struct span){ text, first.len + 1 + second.len };
	*at = pem;
	return (struct plan_found_pem){ pem, NULL, NULL };
}

static bool is_granted(const struct planner *p, const struct object *owner,
    const struct object_ref *ref, const char *namespace)
{
	return plan_is_granted(p, kind_group(owner->kind),
	    kind_name(owner->kind), owner->namespace, ref->group, ref->kind,
	    namespace, ref->name);
}

static const char *namespace_of(const struct object *owner,
    const struct object_ref *ref)
{
	return ref->namespace != NULL ? ref->namespace : owner->namespace;
}

struct plan_found_pem plan_cert(struct planner *p, const struct object *owner,
    const struct object_ref *ref)
{
	static const char invalid[] = "InvalidCertificateRef";
	const char *namespace = namespace_of(owner, ref);
	const struct secret *s;

	if (ref->group[0] != '\0' || strcmp(ref->kind, "Secret") != 0)
		return wrong(p, invalid, ref, namespace,
		    "a certificate is in a Secret");
	if (!is_granted(p, owner, ref, namespace))
		return wrong(p, "RefNotPermitted", ref, namespace,
		    "no ReferenceGrant there permits it");
	s = (const void *)store_find(p->store, KIND_SECRET, namespace,
	    ref->name);
	if (s == NULL)
		return wrong(p, invalid, ref, namespace, "there is none");
	if (s->why_no_pair != NULL)
		return wrong(p, invalid, ref, namespace, s->why_no_pair);
	return found(p, &s->o, s->crt, s->key);
}

struct plan_found_pem plan_ca(struct planner *p, const struct object *owner,
    const struct object_ref *ref)
{
	static const char invalid[] = "InvalidCACertificateRef";
	const char *namespace = namespace_of(owner, ref);
	const struct config_map *m;

	if (ref->group[0] != '\0' || strcmp(ref->kind, "ConfigMap") != 0)
		return wrong(p, "InvalidCACertificateKind", ref, namespace,
		    "CA certificates are in a ConfigMap");
	if (!is_granted(p, owner, ref, namespace))
		return wrong(p, "RefNotPermitted", ref, namespace,
		    "no ReferenceGrant there permits it");
	m = (const void *)store_find(p->store, KIND_CONFIG_MAP, namespace,
	    ref->name);
	if (m == NULL)
		return wrong(p, invalid, ref, namespace, "there is none");
	if (m->why_no_ca != NULL)
		return wrong(p, invalid, ref, namespace, m->why_no_ca);
	return found(p, &m->o, m->ca, (struct span){ NULL, 0 });
}
