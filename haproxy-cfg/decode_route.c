/*
 * decode_route.c - HTTPRoute, GRPCRoute, TLSRoute, TCPRoute
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "conf.h"
#include "decode_rows.h"

enum {
	PARENTS_MAX = 32, HOSTNAMES_MAX = 16, TLS_HOSTNAMES_MAX = 1024,
	RULES_MAX = 16, MATCHES_MAX = 64, ALL_MATCHES_MAX = 128,
	BACKENDS_MAX = 16,
};

/* ---- parentRefs ---------------------------------------------------------- */

static const struct conf_row parent_rows[] = {
	{ .key = "group", .decode = kube_group, .preset = GATEWAY_GROUP,
	  .offset = offsetof(struct parent_ref, group), .help = "its group" },
	{ .key = "kind", .decode = kube_kind, .preset = "Gateway",
	  .offset = offsetof(struct parent_ref, kind),
	  .help = "Gateway or ListenerSet" },
	{ .key = "namespace", .decode = kube_namespace,
	  .offset = offsetof(struct parent_ref, namespace),
	  .help = "when it is another than the route's" },
	{ .key = "name", .decode = kube_name, .required = true,
	  .offset = offsetof(struct parent_ref, name), .help = "its name" },
	{ .key = "sectionName", .decode = kube_section,
	  .offset = offsetof(struct parent_ref, section),
	  .help = "a listener's name" },
	{ .key = "port", .decode = conf_u16, .min = 1,
	  .offset = offsetof(struct parent_ref, port),
	  .help = "a listener's port" },
};

static const struct conf_table parent_table = {
	.what = "a parentRef", ROWS(parent_rows),
	.size = sizeof(struct parent_ref),
};

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The two CEL rules on parentRefs: of one parent, sections or ports differ. */
static int check_parents(const struct conf_input *in, const struct conf *map,
    const struct route *r)
{
	for (size_t i = 1; i < r->n_parents; i++)
		for (size_t k = 0; k < i; k++) {
			const struct parent_ref *a = &r->parents[k];
			const struct parent_ref *b = &r->parents[i];

			if (!is_same(a->group, b->group) ||
			    !is_same(a->kind, b->kind) ||
			    !is_same(a->namespace, b->namespace) ||
			    !is_same(a->name, b->name))
				continue;
			if ((a->section == NULL) != (b->section == NULL) ||
			    (a->port == 0) != (b->port == 0))
				return conf_refuse_at(in, map, "parentRefs",
				    b->name, "sectionName or port in each "
				    "parentRef to the same parent");
			if (is_same(a->section, b->section) &&
			    a->port == b->port)
				return conf_refuse_at(in, map, "parentRefs",
				    b->name, "another sectionName or port in "
				    "each parentRef to the same parent");
		}
	return 0;
}

#define PARENTS_ROW \
	{ .key = "parentRefs", .decode = conf_list, .table = &parent_table, \
	  .max = PARENTS_MAX, .offset = offsetof(struct route, parents), \
	  .offset_n = offsetof(struct route, n_parents), \
	  .help = "[{name: of a Gateway}, ...]" }, \
	{ .key = "useDefaultGateways", .decode = conf_ignore, \
	  .help = "experimental" }

static const struct conf_row hostname_item = {
	.key = "a host name", .decode = kube_hostname,
};

static const struct conf_table hostname_table = {
	.what = "hostnames", .size = sizeof(char *), .item = &hostname_item,
};

#define HOSTNAMES_ROW(least, most) \
	{ .key = "hostnames", .decode = conf_list, .table = &hostname_table, \
	  .min = (least), .max = (most), .required = (least) > 0, \
	  .offset = offsetof(struct route, hostnames), \
	  .offset_n = offsetof(struct route, n_hostnames), \
	  .help = "[example.com, ...]" }

static int check_rule_names(const struct conf_input *in,
    const struct conf *map, const struct route *r)
{
	for (size_t i = 1; i < r->n_rules; i++)
		for (size_t k = 0; k < i; k++)
			if (r->rules[i].name != NULL &&
			    is_same(r->rules[i].name, r->rules[k].name))
				return conf_refuse_at(in, map, "rules",
				    r->rules[i].name, "each rule's name once");
	return 0;
}

static int check_route(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct route *r = out;
	size_t n = 0;

	for (size_t i = 0; i < r->n_rules; i++)
		n += r->rules[i].n_http_matches + r->rules[i].n_grpc_matches;
	if (n > ALL_MATCHES_MAX)
		return conf_refuse_at(in, map, "rules", "too many matches",
		    "at most %d matches in all rules together",
		    ALL_MATCHES_MAX);
	n = check_rule_names(in, map, r) != 0;
	return n != 0 ? -EINVAL : check_parents(in, map, r);
}

/* ---- rules --------------------------------------------------------------- */

static int check_timeouts(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct rule *r = out;

	if (r->request_ms <= 0 || r->backend_request_ms <= r->request_ms)
		return 0;
	return conf_refuse_at(in, map, "backendRequest", NULL,
	    "at most what request has");
}

static const struct conf_row timeouts_rows[] = {
	{ .key = "request", .decode = kube_duration, .preset = "",
	  .offset = offsetof(struct rule, request_ms),
	  .help = "until the answer is there; 0s: no limit" },
	{ .key = "backendRequest", .decode = kube_duration, .preset = "",
	  .offset = offsetof(struct rule, backend_request_ms),
	  .help = "for each try" },
};

static const struct conf_table timeouts_table = {
	.what = "timeouts", ROWS(timeouts_rows), .check = check_timeouts,
};

static const struct conf_row code_item = {
	.key = "a status code", .decode = conf_u16, .min = 400, .max = 599,
};

static const struct conf_table code_table = {
	.what = "status codes", .size = sizeof(uint16_t), .item = &code_item,
};

static int check_retry(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct retry *r = out;

	for (size_t i = 1; i < r->n_codes; i++)
		for (size_t k = 0; k < i; k++)
			if (r->codes[i] == r->codes[k])
				return conf_refuse_at(in, map, "codes",
				    "a code twice", "each code once");
	return 0;
}

static const struct conf_row retry_rows[] = {
	{ .key = "codes", .decode = conf_list, .table = &code_table,
	  .offset = offsetof(struct retry, codes),
	  .offset_n = offsetof(struct retry, n_codes), .help = "400 to 599" },
	{ .key = "attempts", .decode = conf_u32, .min = 1, .max = INT32_MAX,
	  .offset = offsetof(struct retry, attempts),
	  .help = "how often a request is tried again" },
	{ .key = "backoff", .decode = kube_duration, .preset = "0s",
	  .offset = offsetof(struct retry, backoff_ms),
	  .help = "how long to wait before" },
};

static const struct conf_table retry_table = {
	.what = "retry", ROWS(retry_rows), .size = sizeof(struct retry),
	.check = check_retry,
};

static const char *const session_types[] = { "Cookie", "Header", NULL };
static const char *const lifetimes[] = { "Session", "Permanent", NULL };

/* v1.6.1 has sessionName and cookieConfig; cookie and header came after it. */
static const struct conf_row cookie_rows[] = {
	{ .key = "name", .decode = kube_header_name,
	  .offset = offsetof(struct session_persistence, name),
	  .help = "the cookie's" },
	{ .key = "path", .decode = kube_text, .max = 1024,
	  .offset = offsetof(struct session_persistence, cookie_path),
	  .help = "the cookie's" },
	{ .key = "lifetimeType", .decode = conf_enum, .names = lifetimes,
	  .preset = "Session",
	  .offset = offsetof(struct session_persistence, lifetime),
	  .help = "Session or Permanent" },
};

static const struct conf_table cookie_table = {
	.what = "cookie", ROWS(cookie_rows),
};

static const struct conf_row session_header_rows[] = {
	{ .key = "name", .decode = kube_header_name, .required = true,
	  .offset = offsetof(struct session_persistence, name),
	  .help = "the header's" },
};

static const struct conf_table session_header_table = {
	.what = "header", ROWS(session_header_rows),
};

static int check_session(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct session_persistence *s = out;
	const char *const others[] = { "cookie", "cookieConfig", "header" };

	if (s->lifetime == SESSION_PERMANENT && s->absolute_ms < 0)
		return conf_refuse_at(in, map, NULL, "no absoluteTimeout",
		    "absoluteTimeout, for lifetimeType Permanent");
	for (size_t i = 0; i < 3; i++)
		if ((i == 2) != (s->type == SESSION_HEADER) &&
		    conf_is_given(conf_child(map, others[i])))
			return conf_refuse_at(in, map, others[i], NULL,
			    "type: %s beside it", session_types[i == 2]);
	return 0;
}

static const struct conf_row session_rows[] = {
	{ .key = "type", .decode = conf_enum, .names = session_types,
	  .preset = "Cookie", .offset = offsetof(struct session_persistence,
	  type), .help = "Cookie or Header" },
	{ .key = "sessionName", .decode = kube_text, .min = 1, .max = 128,
	  .offset = offsetof(struct session_persistence, name),
	  .help = "of cookie or header" },
	{ .key = "absoluteTimeout", .decode = kube_duration, .preset = "",
	  .offset = offsetof(struct session_persistence, absolute_ms),
	  .help = "how long a session holds at most" },
	{ .key = "idleTimeout", .decode = kube_duration, .preset = "",
	  .offset = offsetof(struct session_persistence, idle_ms),
	  .help = "how long it holds unused" },
	{ .key = "cookieConfig", .decode = conf_section, .table = &cookie_table,
	  .help = "{lifetimeType}" },
	{ .key = "cookie", .decode = conf_section, .table = &cookie_table,
	  .help = "{name, path, lifetimeType}" },
	{ .key = "header", .decode = conf_section, .help = "{name}",
	  .table = &session_header_table },
};

static const struct conf_table session_table = {
	.what = "sessionPersistence", ROWS(session_rows),
	.size = sizeof(struct session_persistence), .check = check_session,
};

/* A prefix is replaced where one prefix is matched, and nothing else. */
static int check_prefix(const struct conf_input *in, const struct conf *map,
    const struct rule *r)
{
	bool replaces = filters_replace_prefix(r->filters, r->n_filters);

	for (size_t i = 0; i < r->n_backends; i++)
		replaces = replaces || filters_replace_prefix(
		    r->backends[i].filters, r->backends[i].n_filters);
	if (!replaces || (r->n_http_matches == 1 &&
		r->http_matches[0].path.type == PATH_PREFIX))
		return 0;
	return conf_refuse_at(in, map, "matches", "ReplacePrefixMatch",
	    "exactly one match, of a path by PathPrefix");
}

static bool redirects(const struct rule *r)
{
	for (size_t i = 0; i < r->n_filters; i++)
		if (r->filters[i].type == FILTER_REDIRECT)
			return true;
	return false;
}

static int check_rule(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct rule *r = out;
	int err = filters_check(in, map, r->filters, r->n_filters);

	if (err != 0)
		return err;
	if (r->n_backends > 0 && redirects(r))
		return conf_refuse_at(in, map, "backendRefs",
		    "backendRefs and a RequestRedirect", "one of the two");
	return check_prefix(in, map, r);
}

/* The one match of a rule that has none. */
static const struct http_match any_path = {
	.path = { PATH_PREFIX, "/" },
};

static int check_http_rule(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct rule *r = out;

	if (r->n_http_matches == 0) {
		r->http_matches = &any_path;
		r->n_http_matches = 1;
	}
	return check_rule(in, map, out);
}

static int check_grpc_rule(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct rule *r = out;

	return filters_check(in, map, r->filters, r->n_filters);
}

#define RULE_NAME_ROW \
	{ .key = "name", .decode = kube_section, \
	  .offset = offsetof(struct rule, name), .help = "its name" }

#define BACKENDS_ROW(of, least) \
	{ .key = "backendRefs", .decode = conf_list, .table = (of), \
	  .min = (least), .max = BACKENDS_MAX, .required = (least) > 0, \
	  .offset = offsetof(struct rule, backends), \
	  .offset_n = offsetof(struct rule, n_backends), \
	  .help = "[{name, port}, ...]" }

#define SESSION_ROW \
	{ .key = "sessionPersistence", .decode = conf_pointer, \
	  .table = &session_table, .offset = offsetof(struct rule, session), \
	  .help = "who came before goes to the same backend" }

#define RULE_FILTERS_ROW(of) \
	{ .key = "filters", .decode = conf_list, .table = (of), .max = 16, \
	  .offset = offsetof(struct rule, filters), \
	  .offset_n = offsetof(struct rule, n_filters), \
	  .help = "what is done to requests and answers" }

static const struct conf_row http_rule_rows[] = {
	RULE_NAME_ROW,
	{ .key = "matches", .decode = conf_list, .table = &http_match_table,
	  .max = MATCHES_MAX, .offset = offsetof(struct rule, http_matches),
	  .offset_n = offsetof(struct rule, n_http_matches),
	  .help = "any of them; everything when not given" },
	RULE_FILTERS_ROW(&filter_table),
	BACKENDS_ROW(&http_backend_table, 0),
	{ .key = "timeouts", .decode = conf_section, .table = &timeouts_table,
	  .preset = "{}", .help = "{request, backendRequest}" },
	{ .key = "retry", .decode = conf_pointer, .table = &retry_table,
	  .offset = offsetof(struct rule, retry), .help = "{attempts, codes}" },
	SESSION_ROW,
};

static const struct conf_table http_rule_table = {
	.what = "a rule", ROWS(http_rule_rows), .size = sizeof(struct rule),
	.check = check_http_rule,
};

static const struct conf_row grpc_rule_rows[] = {
	RULE_NAME_ROW,
	{ .key = "matches", .decode = conf_list, .table = &grpc_match_table,
	  .max = MATCHES_MAX, .offset = offsetof(struct rule, grpc_matches),
	  .offset_n = offsetof(struct rule, n_grpc_matches),
	  .help = "any of them; everything when not given" },
	RULE_FILTERS_ROW(&grpc_filter_table),
	BACKENDS_ROW(&grpc_backend_table, 0),
	SESSION_ROW,
};

static const struct conf_table grpc_rule_table = {
	.what = "a rule", ROWS(grpc_rule_rows), .size = sizeof(struct rule),
	.check = check_grpc_rule,
};

static const struct conf_row plain_rule_rows[] = {
	RULE_NAME_ROW, BACKENDS_ROW(&plain_backend_table, 1),
};

static const struct conf_table plain_rule_table = {
	.what = "a rule", ROWS(plain_rule_rows), .size = sizeof(struct rule),
};

#define RULES_ROW(of, least, most, is_required) \
	{ .key = "rules", .decode = conf_list, .table = (of), .min = (least), \
	  .max = (most), .required = (is_required), \
	  .offset = offsetof(struct route, rules), \
	  .offset_n = offsetof(struct route, n_rules), \
	  .help = "[{matches, backendRefs, ...}, ...]" }

/* ---- the kinds ----------------------------------------------------------- */

/* An HTTPRoute without rules has one that matches everything. */
static int check_http_route(const struct conf_input *in,
    const struct conf *map, void *out)
{
	static const struct rule any = {
		.http_matches = &any_path, .n_http_matches = 1,
		.request_ms = KINDS_NOT_GIVEN,
		.backend_request_ms = KINDS_NOT_GIVEN,
	};
	struct route *r = out;

	if (r->rules == NULL) {
		r->rules = &any;
		r->n_rules = 1;
	}
	return check_route(in, map, out);
}

static bool is_address(const char *text)
{
	struct in6_addr any;

	return inet_pton(AF_INET, text, &any) == 1 ||
	    inet_pton(AF_INET6, text, &any) == 1;
}

static int check_tls_route(const struct conf_input *in,
    const struct conf *map, void *out)
{
	const struct route *r = out;

	for (size_t i = 0; i < r->n_hostnames; i++)
		if (is_address(r->hostnames[i]))
			return conf_refuse_at(in, map, "hostnames",
			    r->hostnames[i], "names: SNI has no addresses");
	return check_route(in, map, out);
}

static const struct conf_row http_spec_rows[] = {
	PARENTS_ROW, HOSTNAMES_ROW(0, HOSTNAMES_MAX),
	RULES_ROW(&http_rule_table, 1, RULES_MAX, false),
};

static const struct conf_table http_spec = {
	.what = "spec", ROWS(http_spec_rows), .check = check_http_route,
};

static const struct conf_row grpc_spec_rows[] = {
	PARENTS_ROW, HOSTNAMES_ROW(0, HOSTNAMES_MAX),
	RULES_ROW(&grpc_rule_table, 0, RULES_MAX, false),
};

static const struct conf_table grpc_spec = {
	.what = "spec", ROWS(grpc_spec_rows), .check = check_route,
};

static const struct conf_row tls_spec_rows[] = {
	PARENTS_ROW, HOSTNAMES_ROW(1, TLS_HOSTNAMES_MAX),
	RULES_ROW(&plain_rule_table, 1, 1, true),
};

static const struct conf_table tls_spec = {
	.what = "spec", ROWS(tls_spec_rows), .check = check_tls_route,
};

static const struct conf_row tcp_spec_rows[] = {
	PARENTS_ROW, RULES_ROW(&plain_rule_table, 1, 1, true),
};

static const struct conf_table tcp_spec = {
	.what = "spec", ROWS(tcp_spec_rows), .check = check_route,
};

#define ROUTE(name, spec_table, words) \
	static const struct conf_row name##_rows[] = { \
		OBJECT_ROWS, \
		{ .key = "spec", .decode = conf_section, \
		  .table = &(spec_table), .required = true, \
		  .help = "{parentRefs, rules, ...}" }, \
	}; \
	const struct conf_table name##_table = { \
		.what = (words), ROWS(name##_rows), \
		.size = sizeof(struct route), \
	}

ROUTE(http_route, http_spec, "an HTTPRoute");
ROUTE(grpc_route, grpc_spec, "a GRPCRoute");
ROUTE(tls_route, tls_spec, "a TLSRoute");
ROUTE(tcp_route, tcp_spec, "a TCPRoute");
