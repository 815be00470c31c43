/*
 * decode_rows.h - what decode*.c share: formats of strings, small structs,
 * the tables of the kinds
 */
#pragma once

#include "conf.h"
#include "kinds.h"

#define ROWS(array) .rows = (array), .n_rows = sizeof(array) / sizeof(*(array))

/* ---- strings; all refuse what YAML takes for a number or a truth --------- */
conf_decode_f kube_text;		/* row->min to row->max bytes */
conf_decode_f kube_group;		/* "" or a DNS subdomain */
conf_decode_f kube_kind;
conf_decode_f kube_namespace;		/* a DNS label */
conf_decode_f kube_name;		/* 1 to 253 bytes */
conf_decode_f kube_section;		/* a DNS subdomain */
conf_decode_f kube_hostname;		/* with *. in front or without */
conf_decode_f kube_precise_hostname;
conf_decode_f kube_header_name;
conf_decode_f kube_header_value;
conf_decode_f kube_controller;		/* example.com/name */
conf_decode_f kube_protocol;
conf_decode_f kube_origin;		/* of CORS */
conf_decode_f kube_well_known;		/* System, or example.com/name */
conf_decode_f kube_uri;
conf_decode_f kube_any;			/* a scalar of any kind, as text */

/* Only what RFC 3986 allows in a path, as HTTPPathMatch has it. */
bool kube_is_url_path(const char *text);

/* ---- other values ------------------------------------------------------- */
conf_decode_f kube_duration;		/* int64_t, ms; GEP-2257; preset "":
					   KINDS_NOT_GIVEN */
conf_decode_f kube_time;		/* int64_t, Unix seconds; RFC 3339 */
conf_decode_f kube_labels;		/* struct labels; values of any text */
conf_decode_f kube_word;		/* const char *, one of row->names */
conf_decode_f kube_enum_bool;		/* bool, true when present */

/* ---- small structs ------------------------------------------------------ */
extern const struct conf_table selector_table;
extern const struct conf_table filter_table;		/* struct filter */
extern const struct conf_table grpc_filter_table;
extern const struct conf_table http_backend_table,	/* struct backend_ref */
    grpc_backend_table, plain_backend_table;
extern const struct conf_table http_match_table, grpc_match_table;

/* Rules across filters, and between them and what they stand in. */
int filters_check(const struct conf_input *in, const struct conf *map,
    const struct filter *filters, size_t n);
/* Does a filter replace the matched prefix? */
bool filters_replace_prefix(const struct filter *filters, size_t n);

/* ---- kinds: what stands beside apiVersion and kind ---------------------- */
extern const struct conf_table gateway_class_table, gateway_table,
    listener_set_table, http_route_table, grpc_route_table, tls_route_table,
    tcp_route_table, reference_grant_table, backend_tls_policy_table,
    inference_pool_table, inference_objective_table,
    inference_model_rewrite_table, service_table, endpoint_slice_table,
    pod_table, secret_table, config_map_table, namespace_table;

/* metadata, and status that somebody else's controller wrote */
#define OBJECT_ROWS \
	{ .key = "apiVersion", .decode = conf_ignore, .help = "group/version" }, \
	{ .key = "kind", .decode = conf_ignore, .help = "the kind" }, \
	{ .key = "metadata", .decode = conf_section, .table = &meta_table, \
	  .required = true, .help = "{name: ...}" }, \
	{ .key = "status", .decode = conf_ignore, .help = "not read" }
extern const struct conf_table meta_table;
