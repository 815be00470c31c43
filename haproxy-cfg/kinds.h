/*
 * kinds.h - what can be declared: one plain struct a kind
 *
 * The fields of Gateway API v1.6 and main after it, the Inference Extension v1
 * and, of Kubernetes' own kinds, those that routing needs; named as the APIs
 * spell them. Made by decode*.c with the API's defaults filled in, in an arena,
 * and not written after that: any thread. Each begins with a struct object. Strings are
 * NUL-terminated; NULL where an optional one was not given. Durations are in
 * milliseconds, KINDS_NOT_GIVEN where none was.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

#define GATEWAY_GROUP "gateway.networking.k8s.io"
#define INFERENCE_GROUP "inference.networking.k8s.io"

enum { KINDS_NOT_GIVEN = -1 };

enum kind {
	KIND_GATEWAY_CLASS, KIND_GATEWAY, KIND_LISTENER_SET,
	KIND_HTTP_ROUTE, KIND_GRPC_ROUTE, KIND_TLS_ROUTE, KIND_TCP_ROUTE,
	KIND_REFERENCE_GRANT, KIND_BACKEND_TLS_POLICY,
	KIND_INFERENCE_POOL, KIND_INFERENCE_OBJECTIVE,
	KIND_INFERENCE_MODEL_REWRITE,
	KIND_SERVICE, KIND_ENDPOINT_SLICE, KIND_POD, KIND_SECRET,
	KIND_CONFIG_MAP, KIND_NAMESPACE,
	N_KINDS,
};

struct label {
	const char *key, *value;
};

struct labels {			/* sorted by key */
	const struct label *items;
	size_t n;
};

/* NULL: none of that key. */
const char *labels_get(const struct labels *labels, const char *key);

struct object {
	enum kind kind;
	const char *namespace;	/* "" for what has none */
	const char *name;
	int64_t generation;	/* 0 when not given */
	int64_t created_s;	/* Unix time; INT64_MAX when not given */
	struct labels labels;
	bool is_deleting;	/* has a deletionTimestamp */
	/* Where it was declared; file NULL: not in a file. */
	const char *file;
	unsigned line, document;
};

/* Name of a kind as the API spells it; its group, "" for the core's. */
const char *kind_name(enum kind kind);
const char *kind_group(enum kind kind);
/* The latest version we know. */
const char *kind_version(enum kind kind);

struct object_ref {
	const char *group, *kind;
	const char *namespace;	/* NULL: the referrer's */
	const char *name;
};

/* ---- GatewayClass, Gateway, ListenerSet --------------------------------- */

struct gateway_class {
	struct object o;
	const char *controller;
	const struct object_ref *parameters;
};

enum selector_op { SELECTOR_IN, SELECTOR_NOT_IN, SELECTOR_EXISTS,
	SELECTOR_DOES_NOT_EXIST };

struct selector_expression {
	const char *key;
	enum selector_op op;
	const char *const *values;
	size_t n_values;
};

struct selector {		/* all must hold; empty: everything */
	struct labels match;
	const struct selector_expression *expressions;
	size_t n_expressions;
};

enum namespaces_from { FROM_SAME, FROM_ALL, FROM_SELECTOR, FROM_NONE };

struct namespaces {
	enum namespaces_from from;
	const struct selector *selector;
};

struct route_kind {
	const char *group, *kind;
};

enum tls_mode { TLS_TERMINATE, TLS_PASSTHROUGH };

struct listener_tls {
	enum tls_mode mode;
	const struct object_ref *certs;
	size_t n_certs;
	struct labels options;
};

struct listener {
	const char *name;
	const char *hostname;
	uint16_t port;
	const char *protocol;
	const struct listener_tls *tls;
	struct {
		struct namespaces namespaces;
		const struct route_kind *kinds;
		size_t n_kinds;
	} allowed;
};

struct listeners {
	const struct listener *items;
	size_t n;
};

struct gateway_address {
	const char *type, *value;
};

enum client_mode { CLIENT_ALLOW_VALID_ONLY, CLIENT_ALLOW_INSECURE_FALLBACK };

struct client_validation {	/* frontend TLS: whom to let in */
	const struct object_ref *cas;
	size_t n_cas;
	enum client_mode mode;
};

struct port_validation {
	uint16_t port;
	const struct client_validation *validation;
};

struct gateway {
	struct object o;
	const char *class_name;
	struct listeners listeners;
	const struct gateway_address *addresses;
	size_t n_addresses;
	const struct object_ref *parameters;	/* infrastructure's */
	struct namespaces allowed_listeners;
	const struct object_ref *client_cert;	/* tls.backend's */
	const struct client_validation *validation;	/* tls.frontend's default */
	const struct port_validation *ports;
	size_t n_ports;
};

struct listener_set {
	struct object o;
	struct object_ref parent;
	struct listeners listeners;
};

/* ---- routes ------------------------------------------------------------- */

struct parent_ref {
	const char *group, *kind, *namespace, *name;
	const char *section;
	uint16_t port;		/* 0: not given */
};

struct header {
	const char *name, *value;
};

struct header_modifier {
	const struct header *set, *add;
	size_t n_set, n_add;
	const char *const *remove;
	size_t n_remove;
};

enum path_edit { PATH_KEEP, PATH_REPLACE_FULL, PATH_REPLACE_PREFIX_MATCH };

struct path_modifier {
	enum path_edit type;
	const char *full, *prefix;
};

struct request_redirect {
	const char *scheme, *hostname;
	struct path_modifier path;
	uint16_t port;		/* 0: not given */
	uint16_t status;
};

struct url_rewrite {
	const char *hostname;
	struct path_modifier path;
};

struct cors {
	const char *const *origins, *const *methods, *const *headers,
	    *const *expose;
	size_t n_origins, n_methods, n_headers, n_expose;
	bool allow_credentials;
	uint32_t max_age_s;
};

struct backend_ref {
	const char *group, *kind, *namespace, *name;
	uint16_t port;		/* 0: not given */
	uint32_t weight;
	const struct filter *filters;
	size_t n_filters;
};

struct request_mirror {
	struct backend_ref backend;
	int32_t percent;
	struct {
		int32_t numerator, denominator;
	} fraction;
};

enum filter_type {
	FILTER_REQUEST_HEADERS, FILTER_RESPONSE_HEADERS, FILTER_MIRROR,
	FILTER_REDIRECT, FILTER_REWRITE, FILTER_EXTENSION, FILTER_CORS,
	FILTER_EXTERNAL_AUTH,
};

struct filter {
	enum filter_type type;
	/* Of these the one that `type` names; the others are NULL. */
	const struct header_modifier *request, *response;
	const struct request_mirror *mirror;
	const struct request_redirect *redirect;
	const struct url_rewrite *rewrite;
	const struct object_ref *extension;
	const struct cors *cors;
	const struct backend_ref *auth;
};

enum match_type { MATCH_EXACT, MATCH_REGEX };
enum path_type { PATH_PREFIX, PATH_EXACT, PATH_REGEX };

struct value_match {		/* of a header or a query parameter */
	enum match_type type;
	const char *name, *value;
};

struct http_match {
	struct {
		enum path_type type;
		const char *value;
	} path;
	const struct value_match *headers, *queries;
	size_t n_headers, n_queries;
	const char *method;
};

struct grpc_match {
	struct {
		enum match_type type;
		const char *service, *method;
	} method;
	const struct value_match *headers;
	size_t n_headers;
};

struct retry {
	const uint16_t *codes;
	size_t n_codes;
	uint32_t attempts;	/* 0: not given */
	int64_t backoff_ms;
};

enum session_type { SESSION_COOKIE, SESSION_HEADER };
enum session_lifetime { SESSION_OF_BROWSER, SESSION_PERMANENT };

struct session_persistence {
	enum session_type type;
	const char *name, *cookie_path;
	int64_t absolute_ms, idle_ms;
	enum session_lifetime lifetime;
};

struct rule {
	const char *name;
	const struct http_match *http_matches;	/* of an HTTPRoute; one at least */
	const struct grpc_match *grpc_matches;	/* of a GRPCRoute; may be none */
	size_t n_http_matches, n_grpc_matches;
	const struct filter *filters;
	size_t n_filters;
	const struct backend_ref *backends;
	size_t n_backends;
	int64_t request_ms, backend_request_ms;
	const struct retry *retry;
	const struct session_persistence *session;
};

struct route {			/* all four kinds */
	struct object o;
	const struct parent_ref *parents;
	size_t n_parents;
	const char *const *hostnames;
	size_t n_hostnames;
	const struct rule *rules;
	size_t n_rules;
};

/* ---- policies ----------------------------------------------------------- */

struct grant_from {
	const char *group, *kind, *namespace;
};

struct grant_to {
	const char *group, *kind;
	const char *name;	/* NULL: any */
};

struct reference_grant {
	struct object o;
	const struct grant_from *from;
	size_t n_from;
	const struct grant_to *to;
	size_t n_to;
};

struct policy_target {
	const char *group, *kind, *name;
	const char *section;	/* a Service port's name; NULL: all ports */
};

enum san_type { SAN_HOSTNAME, SAN_URI };

struct subject_alt_name {
	enum san_type type;
	const char *hostname, *uri;
};

struct backend_tls_policy {
	struct object o;
	const struct policy_target *targets;
	size_t n_targets;
	const struct object_ref *cas;
	size_t n_cas;
	const char *well_known;		/* "System", or a vendor's own */
	const char *hostname;
	const struct subject_alt_name *sans;
	size_t n_sans;
	struct labels options;
};

/* ---- Inference Extension ------------------------------------------------- */

enum pool_protocol { POOL_HTTP, POOL_H2C };
enum failure_mode { FAIL_CLOSE, FAIL_OPEN };

struct endpoint_picker {
	const char *group, *kind, *name;
	uint16_t port;		/* 0: not given */
	enum failure_mode failure_mode;
};

struct inference_pool {
	struct object o;
	struct labels selector;
	const uint16_t *ports;
	size_t n_ports;
	enum pool_protocol protocol;
	const struct endpoint_picker *picker;
};

struct pool_ref {
	const char *group, *kind, *name;
};

struct inference_objective {
	struct object o;
	int32_t priority;
	struct pool_ref pool;
};

struct model_target {
	const char *model;
	uint32_t weight;	/* 0: not given */
};

struct rewrite_rule {
	const char *const *models;	/* none: every model */
	size_t n_models;
	const struct model_target *targets;
	size_t n_targets;
};

struct inference_model_rewrite {
	struct object o;
	struct pool_ref pool;
	const struct rewrite_rule *rules;
	size_t n_rules;
};

/* ---- Kubernetes' own ----------------------------------------------------- */

struct service_port {
	const char *name;		/* NULL: the only one */
	uint16_t port;
	const char *protocol;		/* TCP, UDP, SCTP */
	const char *app_protocol;
};

struct service {
	struct object o;
	const char *type;		/* ClusterIP, ..., ExternalName */
	const struct service_port *ports;
	size_t n_ports;
};

struct slice_endpoint {
	const char *const *addresses;
	size_t n_addresses;
	bool ready, terminating;
};

struct endpoint_slice {
	struct object o;
	const char *service;		/* by its label; NULL: nobody's */
	const char *address_type;
	const struct slice_endpoint *endpoints;
	size_t n_endpoints;
	const struct service_port *ports;	/* port 0: not given */
	size_t n_ports;
};

struct pod {
	struct object o;
	const char *ip;			/* NULL: none yet */
	bool ready;
};

struct secret {
	struct object o;
	const char *type;
	struct span crt, key, ca;	/* tls.crt, tls.key, ca.crt; decoded */
	const char *why_no_pair;	/* crt and key are no pair; NULL: they are */
};

struct config_map {
	struct object o;
	struct span ca;			/* ca.crt */
	const char *why_no_ca;		/* it holds no certificate; NULL: it does */
};

struct kube_namespace {
	struct object o;
};
