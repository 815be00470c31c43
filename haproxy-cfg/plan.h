/*
 * plan.h - what HAProxy shall do, with everything resolved
 *
 * Made by plan.c out of the store, read by render*.c. A plan is plain structs
 * that live in one arena and are not written after plan_make() returned: any
 * thread. Render looks nothing up: attachment, hostname intersection, grants,
 * precedence and references are decided here. Equal resources in any order
 * give equal plans, except that pointers differ.
 *
 * Strings are NUL-terminated and lend from the arena. They come from manifests
 * and are believed in nothing: words.c alone decides how one is written. Times
 * are in milliseconds, with PLAN_NOT_GIVEN where none was said and 0 for "no
 * limit" (GEP-2257's "0s").
 *
 * Terms are those of the Gateway API v1.6.1 and of the Inference Extension v1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

struct hostnames;

enum { PLAN_NOT_GIVEN = -1 };

enum plan_kind {
	PLAN_GATEWAY, PLAN_LISTENER_SET, PLAN_HTTP_ROUTE, PLAN_GRPC_ROUTE,
	PLAN_TLS_ROUTE, PLAN_TCP_ROUTE, PLAN_SERVICE, PLAN_INFERENCE_POOL,
	PLAN_BACKEND_TLS_POLICY, PLAN_SECRET, PLAN_CONFIG_MAP,
	PLAN_N_KINDS,
};

/* Where something comes from: for ids, the side table and status. */
struct plan_ref {
	enum plan_kind kind;
	const char *namespace, *name;
	const char *section;	/* listener or rule by name; NULL: none */
	unsigned index;		/* rule of a route; 0 elsewhere */
};

/* PEM text: for a certificate its chain, then its key; or CA certificates. */
struct plan_pem {
	struct plan_ref ref;
	struct span text;
};

/* ---- backends ---------------------------------------------------------- */

/* Service port's or InferencePool's appProtocol */
enum plan_protocol {
	PLAN_HTTP,		/* none given, or kubernetes.io/http */
	PLAN_H2C,		/* kubernetes.io/h2c; and every GRPCRoute's */
	PLAN_WS, PLAN_WSS,	/* kubernetes.io/ws, kubernetes.io/wss */
	PLAN_TCP,		/* of a TCPRoute or TLSRoute */
};

struct plan_endpoint {
	const char *address;	/* numeric, IPv4 or IPv6 without brackets */
	uint16_t port;
};

/* BackendTLSPolicy of a Service port, valid. */
struct plan_backend_tls {
	struct plan_ref ref;
	const struct plan_pem *const *cas;	/* none: the system's */
	size_t n_cas;
	const char *hostname;			/* SNI; authenticated unless SANs */
	const char *const *sans_hostname, *const *sans_uri;
	size_t n_sans_hostname, n_sans_uri;
};

enum plan_failure_mode { PLAN_FAIL_CLOSE, PLAN_FAIL_OPEN };

struct plan_objective {		/* InferenceObjective, by its name */
	const char *name;
	int32_t priority;	/* the higher is served first; below 0: may be shed */
};

struct plan_model_target {
	const char *model;
	uint32_t weight;	/* 0: none of the rule has one */
};

struct plan_model_rule {	/* of an InferenceModelRewrite */
	const char *const *models;	/* none: every model */
	size_t n_models;
	const struct plan_model_target *targets;
	size_t n_targets;
};

/* InferencePool: who picks, and what becomes of requests without a pick. */
struct plan_pool {
	struct plan_ref ref;
	enum plan_failure_mode failure_mode;
	const struct plan_objective *objectives;	/* sorted by name */
	size_t n_objectives;
	const struct plan_model_rule *rewrites;		/* the oldest first */
	size_t n_rewrites;
};

/*
 * A Service port, or an InferencePool. One struct for each distinct (ref, port,
 * protocol, client_cert): render takes the pointer for the identity. Endpoints
 * are ready ones, sorted by address then port, without twins; all ports of a
 * pool's pods. None: HAProxy answers 503.
 */
struct plan_backend {
	struct plan_ref ref;
	uint16_t port;				/* Service port; pool: 0 */
	enum plan_protocol protocol;
	const struct plan_backend_tls *tls;	/* NULL: clear text */
	const struct plan_pem *client_cert;	/* Gateway's; NULL: none */
	const struct plan_pool *pool;		/* NULL: not an InferencePool */
	const struct plan_endpoint *endpoints;
	size_t n_endpoints;
};

/* ---- filters ----------------------------------------------------------- */

struct plan_header {
	const char *name, *value;	/* value NULL where removed */
};

struct plan_header_edits {
	const struct plan_header *set, *add, *remove;
	size_t n_set, n_add, n_remove;
};

enum plan_path_edit { PLAN_PATH_KEEP, PLAN_PATH_FULL, PLAN_PATH_PREFIX_MATCH };

struct plan_redirect {
	const char *scheme;		/* NULL: the request's */
	const char *hostname;		/* NULL: the request's */
	enum plan_path_edit path_edit;
	const char *path;		/* replaceFullPath, replacePrefixMatch */
	uint16_t port;			/* 0: not given; see spec 4.5 */
	uint16_t status;		/* 301 302 303 307 308 */
};

struct plan_rewrite {
	const char *hostname;		/* NULL: kept */
	enum plan_path_edit path_edit;
	const char *path;
};

struct plan_cors {
	const char *const *origins, *const *methods, *const *headers, *const *expose;
	size_t n_origins, n_methods, n_headers, n_expose;
	bool allow_credentials;
	uint32_t max_age_s;
};

/*
 * All of a rule or of a backendRef. NULL: no such filter. What HAProxy has nothing for
 * (RequestMirror, ExternalAuth, ExtensionRef) never comes here: such a rule has no
 * targets.
 */
struct plan_filters {
	const struct plan_header_edits *request, *response;
	const struct plan_redirect *redirect;
	const struct plan_rewrite *rewrite;
	const struct plan_cors *cors;
};

/* ---- rules ------------------------------------------------------------- */

/* A backendRef. What does not resolve keeps its weight and answers 500. */
struct plan_target {
	const struct plan_backend *backend;	/* NULL: 500 */
	uint32_t weight;			/* 0 is left out by render */
	struct plan_filters filters;
};

struct plan_retry {
	const uint16_t *codes;
	size_t n_codes;
	uint32_t attempts;		/* PLAN_RETRY_ATTEMPTS if not given */
	int64_t backoff_ms;
};

enum { PLAN_RETRY_ATTEMPTS = 1 };

enum plan_session_type { PLAN_SESSION_COOKIE, PLAN_SESSION_HEADER };

struct plan_session {
	enum plan_session_type type;
	const char *name;		/* NULL: ours to choose */
	int64_t absolute_timeout_ms, idle_timeout_ms;
	bool is_permanent;		/* cookieConfig.lifetimeType */
};

/*
 * A rule of a route. No target and no redirect: 500. The same rule is one
 * struct, however many matches and listeners lead to it.
 */
struct plan_rule {
	struct plan_ref ref;
	struct plan_filters filters;
	int64_t request_ms, backend_request_ms;	/* timeouts */
	const struct plan_retry *retry;		/* NULL: none */
	const struct plan_session *session;	/* NULL: none */
	const struct plan_target *targets;
	size_t n_targets;
};

enum plan_path_type { PLAN_PATH_PREFIX, PLAN_PATH_EXACT, PLAN_PATH_REGEX };
enum plan_test_type { PLAN_TEST_HEADER, PLAN_TEST_QUERY };

/* headers[] and queryParams[] of a match; of one name only the first is here. */
struct plan_test {
	enum plan_test_type type;
	bool is_regex;
	const char *name;		/* header: lower case */
	const char *value;
};

/*
 * One way into a rule. A route's match comes once for each hostname that is
 * left after intersection with the listener's.
 *
 * A GRPCRoute's method match is a path here: service and method, exact
 * "/svc/method"; service alone, prefix "/svc"; anything else, a regular
 * expression over "/svc/method"; no method match, prefix "/".
 */
struct plan_match {
	const char *hostname;		/* lower case; "*.a.b"; NULL: any */
	enum plan_path_type path_type;
	const char *path;		/* prefix: no "/" at its end but "/" */
	const char *method;		/* NULL: any */
	const struct plan_test *tests;
	size_t n_tests;
	const struct plan_rule *rule;
};

/* ---- listeners --------------------------------------------------------- */

enum plan_listener_protocol {
	PLAN_LISTENER_HTTP,
	PLAN_LISTENER_HTTPS,
	PLAN_LISTENER_TLS_TERMINATE,
	PLAN_LISTENER_TLS_PASSTHROUGH,
	PLAN_LISTENER_TCP,
};

/*
 * A listener that is to be programmed: valid and without conflicts. `ref` is the
 * Gateway or ListenerSet with the listener's name as section.
 */
struct plan_listener {
	struct plan_ref ref;
	enum plan_listener_protocol protocol;
	const char *hostname;		/* lower case; "*.a.b"; NULL: any */
	const struct plan_pem *const *certs;	/* HTTPS, TLS_TERMINATE */
	size_t n_certs;
	/*
	 * HTTP, HTTPS: the matches of all routes in the order of spec 4.5, the
	 * first that fits wins; unspecific hostnames come behind specific
	 * ones. TLS: by hostname (path, method, tests unused), specific first.
	 * TCP: one at most, without hostname.
	 */
	const struct plan_match *matches;
	size_t n_matches;
};

enum plan_client_mode { PLAN_CLIENT_ALLOW_VALID_ONLY, PLAN_CLIENT_ALLOW_INSECURE };

/* spec.tls.frontend of the Gateway, for the port: HTTPS listeners only. */
struct plan_client_validation {
	const struct plan_pem *const *cas;
	size_t n_cas;
	enum plan_client_mode mode;
};

/*
 * What listens at one address and port. Listeners are distinct by hostname, or
 * there is one TCP listener; HTTP is alone; HTTPS, TLS_TERMINATE and
 * TLS_PASSTHROUGH may be together.
 */
struct plan_bind {
	struct plan_ref ref;		/* Gateway */
	const char *address;		/* numeric; NULL: all of the machine's */
	uint16_t port;
	const struct plan_client_validation *client;	/* NULL: none asked for */
	const struct plan_listener *listeners;
	size_t n_listeners;
};

/*
 * Sorted: binds by address and port, listeners by hostname then ref, pools by
 * namespace and name. `pools` has those that a rule leads to, once each, as
 * backends: the agent must know them all.
 */
struct plan {
	const struct hostnames *only;	/* of these HTTP hosts; NULL: all there is */
	const struct plan_bind *binds;
	size_t n_binds;
	const struct plan_backend *const *pools;
	size_t n_pools;
};

/* ---- the way back ------------------------------------------------------ */

enum plan_verdict {
	/* The value is dropped, the rest of the object works: PartiallyInvalid
	   for a route, Accepted=False of a policy. */
	PLAN_UNSUPPORTED,
	/* HAProxy refused the whole; the last good configuration stays. */
	PLAN_REFUSED,
};

/* What render or apply could not do. For a condition of `ref`. */
struct plan_problem {
	struct plan_ref ref;
	enum plan_verdict verdict;
	const char *reason;		/* UnsupportedValue, Invalid, ... */
	const char *message;
};

/* Grows in the arena of the plan it is about; zero-initialised. */
struct plan_problems {
	struct plan_problem *items;
	size_t n, cap;
};
