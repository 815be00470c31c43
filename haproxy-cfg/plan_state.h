/*
 * plan_state.h - what plan*.c share while a plan is made
 *
 * The steps run in the order of this header: classes, Gateways and their
 * listeners, what backendRefs lead to, routes, matches, statuses. Each fills its part and
 * reads those before it. Whoever is out of memory sets failed and goes on
 * harmlessly; plan_make() asks once, at the end.
 */
#pragma once

#include "arena.h"
#include "kinds.h"
#include "plan.h"
#include "plan_index.h"
#include "plan_make.h"
#include "status.h"
#include "store.h"

/* ---- memory -------------------------------------------------------------- */

struct planner;

/* Zeroed; NULL with p->failed set. Of no bytes: a place that is not NULL. */
void *plan_alloc(struct planner *p, size_t bytes);
const char *plan_textf(struct planner *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* As index_at(); NULL with p->failed set. */
void **plan_at(struct planner *p, struct plan_index *x, const char *a,
    const char *b, uint64_t number);
/* What is there, of so many bytes and zeroed when it is new; NULL as above. */
void *plan_held(struct planner *p, struct plan_index *x, const char *a,
    const char *b, uint64_t number, size_t bytes);

/* An array that grows: room for one more, or NULL with p->failed set. */
void *plan_grow(struct planner *p, void *items, size_t n, size_t *cap,
    size_t size);

/* ---- conditions ---------------------------------------------------------- */

/* The first word about it stays: what is wrong is said before what is not. */
void plan_set(struct planner *p, struct conditions *c, const char *type,
    enum condition_status status, const char *reason, const char *message);
/* False by `reason`; without one true, by the type's own name. */
void plan_judge(struct planner *p, struct conditions *c, const char *type,
    const char *reason, const char *message, const char *good);
bool plan_is_true(const struct conditions *c, const char *type);

/* ---- Gateways and listeners ---------------------------------------------- */

struct attached {		/* a route at a listener */
	const struct route *route;
	const char *const *hostnames;	/* of the intersection; none: any */
	size_t n_hostnames;
	const struct plan_rule *rules;
	size_t n_rules;
	uint32_t age;			/* place among all routes, oldest first */
};

struct lstn {
	struct gw *gw;
	struct lset *set;		/* NULL: the Gateway's own */
	const struct listener *spec;
	struct status_listener *status;
	enum plan_listener_protocol protocol;
	bool is_supported;		/* of a protocol that is ours */
	bool is_conflicted;
	bool is_programmed;
	const struct plan_pem *const *certs;
	size_t n_certs;
	struct attached *attached;
	size_t n_attached, cap_attached;
	const struct plan_listener *made;
};

struct lset {			/* a ListenerSet of one of our Gateways */
	const struct listener_set *o;
	struct gw *gw;
	struct lstn *listeners;
	struct status *status;
	bool is_allowed;
};

struct client_ca {		/* who may come in by a port; resolved once */
	const struct client_validation *spec;
	const struct plan_client_validation *made;	/* NULL: none is valid */
	const char *reason, *message;	/* what is wrong with a reference */
};

struct gw {
	const struct gateway *o;
	struct status *status;
	bool is_accepted;
	struct lstn *listeners;		/* its own */
	struct lset **sets;		/* allowed, in their precedence */
	size_t n_sets, cap_sets;
	struct lstn **all;		/* its own, then the sets' */
	size_t n_all, cap_all;
	const struct plan_pem *client_cert;
	struct client_ca *cas;		/* the default, then per port */
	const char **addresses;		/* NULL: any */
	size_t n_addresses;
};

/* ---- the planner --------------------------------------------------------- */

struct planner {
	const struct plan_input *in;
	struct store *store;
	struct arena *arena;
	bool failed;

	struct gw **gateways;		/* the oldest first */
	size_t n_gateways, cap_gateways;
	struct plan_index gateways_by_name, sets_by_name;	/* gw, lset */

	struct plan_index grants;	/* namespace -> struct grants */
	struct plan_index slices;	/* namespace, service -> struct slice_list */
	struct plan_index policies;	/* namespace, service -> struct policy_use */
	struct plan_index pods;		/* namespace -> struct pod_list */
	struct plan_index pools;	/* namespace, name -> struct pool_use */
	struct plan_index backends;	/* -> struct plan_backend */
	struct plan_index pems;		/* -> struct plan_pem */
	struct plan_index claims;	/* address, port -> gw */
	const struct plan_backend **pool_backends;
	size_t n_pool_backends, cap_pool_backends;

	struct rewrite *rewrites;	/* the oldest first */
	size_t n_rewrites;

	void **all_policies;		/* struct policy, the oldest first */
	size_t n_policies;
	bool is_noted;			/* does what is found count as used? */

	struct plan_index statuses;	/* namespace, name, kind -> struct status */
	struct status **all_statuses;
	size_t n_statuses, cap_statuses;
};

/* The status of an object, made when there is none yet. */
struct status *plan_status(struct planner *p, const struct object *o);

/* ---- plan_grant.c: who may refer to what --------------------------------- */

void plan_grants(struct planner *p);
bool plan_is_granted(const struct planner *p, const char *from_group,
    const char *from_kind, const char *from_namespace, const char *to_group,
    const char *to_kind, const char *to_namespace, const char *to_name);

/* Is a namespace one of those? `home` is what Same means. */
bool plan_in_namespaces(const struct planner *p, const struct namespaces *which,
    const char *home, const char *namespace);

/* ---- plan_pem.c: certificates -------------------------------------------- */

struct plan_found_pem {
	const struct plan_pem *pem;	/* NULL: `reason` says why */
	const char *reason, *message;
};

/* A certificate and its key, of a Secret. `owner` refers to it. */
struct plan_found_pem plan_cert(struct planner *p, const struct object *owner,
    const struct object_ref *ref);
/* CA certificates, of a ConfigMap. */
struct plan_found_pem plan_ca(struct planner *p, const struct object *owner,
    const struct object_ref *ref);

/* ---- plan_gateway.c, plan_listener.c, plan_conflict.c -------------------- */

void plan_classes(struct planner *p);
void plan_gateways(struct planner *p);
void plan_listener_sets(struct planner *p);
void plan_listeners(struct planner *p);
void plan_conflicts(struct planner *p);

void plan_sort_gateways(const struct gw **gws, size_t n);	/* by name */

/* Who may come in by that port; spec NULL: anyone. */
const struct client_ca *plan_client_ca(const struct gw *gw, uint16_t port);

/* May that kind of route attach? */
bool plan_takes_kind(const struct lstn *l, enum kind kind);

/* ---- plan_backend.c, plan_pool.c, plan_policy.c -------------------------- */

void plan_slices(struct planner *p);
void plan_pods(struct planner *p);
void plan_policies(struct planner *p);

struct plan_found {
	const struct plan_backend *backend;	/* NULL: answered with 500 */
	const char *reason, *message;		/* NULL: all is well */
};

/* What a backendRef of that route at that Gateway leads to. */
struct plan_found plan_backend(struct planner *p, const struct route *route,
    const struct gw *gw, const struct backend_ref *ref);

/* Sorted by address, then port, each once; how many that are. */
size_t plan_sort_endpoints(struct plan_endpoint *e, size_t n);

struct plan_found plan_pool_backend(struct planner *p, const struct gw *gw,
    const char *namespace, const struct backend_ref *ref);

/*
 * TLS towards a port of a Service. False: there is a policy, and it does not do:
 * nothing may be sent there. Notes that the Gateway uses it.
 */
bool plan_backend_tls(struct planner *p, const struct gw *gw,
    const struct service *service, const struct service_port *port,
    const struct plan_backend_tls **out);

/* ---- plan_rewrite.c: models under other names ---------------------------- */

void plan_rewrites(struct planner *p);
/* Those of the pool, into `made`. */
void plan_take_rewrites(struct planner *p, const struct inference_pool *pool,
    struct plan_pool *made);
void plan_rewrite_statuses(struct planner *p);

/* What poolRef of `from` refers to; NULL: nothing. */
const struct object *plan_pool_of(const struct planner *p,
    const struct object *from, const struct pool_ref *ref);

/* ---- plan_route.c, plan_rule.c, plan_match.c ----------------------------- */

void plan_routes(struct planner *p);

struct plan_ruling {		/* what came of a route's rules */
	const struct plan_rule *rules;
	size_t n_rules;
	const char *ref_reason, *ref_message;	/* ResolvedRefs; NULL: true */
	size_t n_dropped;
	const char *dropped;			/* "Dropped Rule ..." */
	const char *partly;	/* a value that cannot be honoured; NULL: none */
};

struct plan_ruling plan_rules(struct planner *p, const struct route *route,
    const struct gw *gw);

/* Only tells those who are referred to that this Gateway leads there too. */
void plan_note_rules(struct planner *p, const struct route *route,
    const struct gw *gw);

/* The listener with its routes' matches in order. */
void plan_matches(struct planner *p, struct lstn *l,
    struct plan_listener *out);

/* ---- plan_bind.c, plan_status.c ------------------------------------------ */

void plan_claims(struct planner *p);
void plan_binds(struct planner *p, struct plan *out);
void plan_gateway_statuses(struct planner *p);
void plan_policy_statuses(struct planner *p);
void plan_pool_statuses(struct planner *p);

/* ---- small things -------------------------------------------------------- */

struct plan_ref plan_ref_of(const struct object *o);
/* Older first, then by namespace and name: who wins where two want the same. */
int plan_by_age(const struct object *a, const struct object *b);
bool plan_is_address(const char *text);
