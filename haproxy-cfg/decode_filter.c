/*
 * decode_filter.c - filters of routes, and the backendRefs that may carry some
 */
#include <string.h>
#include <strings.h>

#include "conf.h"
#include "decode_rows.h"

/* ---- headers ------------------------------------------------------------- */

static const struct conf_row header_rows[] = {
	{ .key = "name", .decode = kube_header_name, .required = true,
	  .offset = offsetof(struct header, name), .help = "its name" },
	{ .key = "value", .decode = kube_header_value, .required = true,
	  .offset = offsetof(struct header, value), .help = "its value" },
};

static const struct conf_table header_table = {
	.what = "a header", ROWS(header_rows), .size = sizeof(struct header),
};

static const struct conf_row name_item = {
	.key = "a header name", .decode = kube_text, .min = 1, .max = 256,
};

static const struct conf_table name_table = {
	.what = "header names", .size = sizeof(char *), .item = &name_item,
};

static int check_unique(const struct conf_input *in, const struct conf *map,
    const char *key, const struct header *headers, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(headers[i].name, headers[k].name) == 0)
				return conf_refuse_at(in, map, key,
				    headers[i].name, "each header once");
	return 0;
}

static int check_modifier(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct header_modifier *m = out;
	int err = check_unique(in, map, "set", m->set, m->n_set);

	for (size_t i = 1; err == 0 && i < m->n_remove; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(m->remove[i], m->remove[k]) == 0)
				return conf_refuse_at(in, map, "remove",
				    m->remove[i], "each header once");
	return err != 0 ? err : check_unique(in, map, "add", m->add, m->n_add);
}

static const struct conf_row modifier_rows[] = {
	{ .key = "set", .decode = conf_list, .table = &header_table, .max = 16,
	  .offset = offsetof(struct header_modifier, set),
	  .offset_n = offsetof(struct header_modifier, n_set),
	  .help = "whatever was there before" },
	{ .key = "add", .decode = conf_list, .table = &header_table, .max = 16,
	  .offset = offsetof(struct header_modifier, add),
	  .offset_n = offsetof(struct header_modifier, n_add),
	  .help = "beside what was there before" },
	{ .key = "remove", .decode = conf_list, .table = &name_table, .max = 16,
	  .offset = offsetof(struct header_modifier, remove),
	  .offset_n = offsetof(struct header_modifier, n_remove),
	  .help = "names" },
};

static const struct conf_table modifier_table = {
	.what = "a header modifier", ROWS(modifier_rows),
	.size = sizeof(struct header_modifier), .check = check_modifier,
};

/* ---- redirects, rewrites ------------------------------------------------- */

static const char *const edit_names[] = { "", "ReplaceFullPath",
	"ReplacePrefixMatch", NULL };

static int path_edit(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	struct conf_row named = *row;

	named.names = edit_names + 1;
	if (conf_enum(in, &named, value, out) != 0)
		return -22;
	++*(int *)out;
	return 0;
}

/* What the type calls for must be there, and nothing else. */
static int check_path(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct path_modifier *p = out;
	bool is_full = p->type == PATH_REPLACE_FULL;

	if ((is_full ? p->full : p->prefix) == NULL)
		return conf_refuse_at(in, map, "type", NULL, is_full ?
		    "replaceFullPath beside it" : "replacePrefixMatch beside it");
	if ((is_full ? p->prefix : p->full) == NULL)
		return 0;
	return conf_refuse_at(in, map, is_full ? "replacePrefixMatch" :
	    "replaceFullPath", NULL, "only what the type names");
}

static const struct conf_row path_rows[] = {
	{ .key = "type", .decode = path_edit, .required = true,
	  .offset = offsetof(struct path_modifier, type),
	  .help = "ReplaceFullPath or ReplacePrefixMatch" },
	{ .key = "replaceFullPath", .decode = kube_text, .max = 1024,
	  .offset = offsetof(struct path_modifier, full), .help = "the path" },
	{ .key = "replacePrefixMatch", .decode = kube_text, .max = 1024,
	  .offset = offsetof(struct path_modifier, prefix),
	  .help = "instead of what matched" },
};

static const struct conf_table path_table = {
	.what = "a path modifier", ROWS(path_rows), .check = check_path,
};

static int redirect_code(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	static const uint16_t codes[] = { 301, 302, 303, 307, 308 };
	struct conf_row wide = *row;
	int err;

	wide.max = 0;
	err = conf_u16(in, &wide, value, out);
	if (err != 0)
		return err;
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (codes[i] == *(uint16_t *)out)
			return 0;
	return conf_refuse(in, row, value, "301, 302, 303, 307 or 308");
}

static const char *const schemes[] = { "http", "https", NULL };

static const struct conf_row redirect_rows[] = {
	{ .key = "scheme", .decode = kube_word, .names = schemes,
	  .offset = offsetof(struct request_redirect, scheme),
	  .help = "http or https" },
	{ .key = "hostname", .decode = kube_precise_hostname,
	  .offset = offsetof(struct request_redirect, hostname),
	  .help = "the host to go to" },
	{ .key = "path", .decode = conf_section, .table = &path_table,
	  .offset = offsetof(struct request_redirect, path),
	  .help = "{type, ...}" },
	{ .key = "port", .decode = conf_u16, .min = 1,
	  .offset = offsetof(struct request_redirect, port),
	  .help = "the port to go to" },
	{ .key = "statusCode", .decode = redirect_code, .preset = "302",
	  .offset = offsetof(struct request_redirect, status),
	  .help = "301, 302, 303, 307 or 308" },
};

static const struct conf_table redirect_table = {
	.what = "a requestRedirect", ROWS(redirect_rows),
	.size = sizeof(struct request_redirect),
};

static const struct conf_row rewrite_rows[] = {
	{ .key = "hostname", .decode = kube_precise_hostname,
	  .offset = offsetof(struct url_rewrite, hostname),
	  .help = "the Host to send" },
	{ .key = "path", .decode = conf_section, .table = &path_table,
	  .offset = offsetof(struct url_rewrite, path),
	  .help = "{type, ...}" },
};

static const struct conf_table rewrite_table = {
	.what = "a urlRewrite", ROWS(rewrite_rows),
	.size = sizeof(struct url_rewrite),
};

/* ---- CORS ---------------------------------------------------------------- */

static const struct conf_row origin_item = {
	.key = "an origin", .decode = kube_origin,
};

static const struct conf_table origin_table = {
	.what = "origins", .size = sizeof(char *), .item = &origin_item,
};

static const struct conf_row field_item = {
	.key = "a header name", .decode = kube_header_name,
};

static const struct conf_table field_table = {
	.what = "header names", .size = sizeof(char *), .item = &field_item,
};

static const char *const cors_methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE",
	"CONNECT", "OPTIONS", "TRACE", "PATCH", "*", NULL };

static const struct conf_row method_item = {
	.key = "a method", .decode = kube_word, .names = cors_methods,
};

static const struct conf_table method_table = {
	.what = "methods", .size = sizeof(char *), .item = &method_item,
};

/* A set, with "*" alone or not at all. */
static int check_set(const struct conf_input *in, const struct conf *map,
    const char *key, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (n > 1 && strcmp(words[i], "*") == 0 &&
		    strcmp(key, "exposeHeaders") != 0)
			return conf_refuse_at(in, map, key, "*",
			    "* alone, or others without it");
		for (size_t k = 0; k < i; k++)
			if (strcmp(words[i], words[k]) == 0)
				return conf_refuse_at(in, map, key, words[i],
				    "each of them once");
	}
	return 0;
}

static int check_cors(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct cors *c = out;
	int err = check_set(in, map, "allowOrigins", c->origins, c->n_origins);

	if (err == 0)
		err = check_set(in, map, "allowMethods", c->methods,
		    c->n_methods);
	if (err == 0)
		err = check_set(in, map, "allowHeaders", c->headers,
		    c->n_headers);
	if (err == 0)
		err = check_set(in, map, "exposeHeaders", c->expose,
		    c->n_expose);
	return err;
}

static const struct conf_row cors_rows[] = {
	{ .key = "allowOrigins", .decode = conf_list, .table = &origin_table,
	  .max = 64, .offset = offsetof(struct cors, origins),
	  .offset_n = offsetof(struct cors, n_origins), .help = "who may ask" },
	{ .key = "allowMethods", .decode = conf_list, .table = &method_table,
	  .max = 9, .offset = offsetof(struct cors, methods),
	  .offset_n = offsetof(struct cors, n_methods), .help = "by what" },
	{ .key = "allowHeaders", .decode = conf_list, .table = &field_table,
	  .max = 64, .offset = offsetof(struct cors, headers),
	  .offset_n = offsetof(struct cors, n_headers), .help = "with what" },
	{ .key = "exposeHeaders", .decode = conf_list, .table = &field_table,
	  .max = 64, .offset = offsetof(struct cors, expose),
	  .offset_n = offsetof(struct cors, n_expose),
	  .help = "what scripts may see" },
	{ .key = "allowCredentials", .decode = conf_bool,
	  .offset = offsetof(struct cors, allow_credentials),
	  .help = "true or false" },
	{ .key = "maxAge", .decode = conf_u32, .min = 1, .max = INT32_MAX,
	  .preset = "5", .offset = offsetof(struct cors, max_age_s),
	  .help = "how many seconds a preflight's answer holds" },
};

static const struct conf_table cors_table = {
	.what = "cors", ROWS(cors_rows), .size = sizeof(struct cors),
	.check = check_cors,
};

/* ---- backendRefs --------------------------------------------------------- */

static int check_backend(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct backend_ref *b = out;

	if (b->group[0] == '\0' && strcmp(b->kind, "Service") == 0 &&
	    b->port == 0)
		return conf_refuse_at(in, map, "name", b->name,
		    "a port beside it: a Service is referred to by port");
	return filters_check(in, map, b->filters, b->n_filters);
}

#define TARGET_ROWS \
	{ .key = "group", .decode = kube_group, .preset = "", \
	  .offset = offsetof(struct backend_ref, group), \
	  .help = "its API group" }, \
	{ .key = "kind", .decode = kube_kind, .preset = "Service", \
	  .offset = offsetof(struct backend_ref, kind), \
	  .help = "Service or InferencePool" }, \
	{ .key = "name", .decode = kube_name, .required = true, \
	  .offset = offsetof(struct backend_ref, name), .help = "its name" }, \
	{ .key = "namespace", .decode = kube_namespace, \
	  .offset = offsetof(struct backend_ref, namespace), \
	  .help = "when it is another than the route's" }, \
	{ .key = "port", .decode = conf_u16, .min = 1, \
	  .offset = offsetof(struct backend_ref, port), \
	  .help = "the Service's port" }

#define WEIGHT_ROW \
	{ .key = "weight", .decode = conf_u32, .max = 1000000, .preset = "1", \
	  .offset = offsetof(struct backend_ref, weight), \
	  .help = "its share of requests" }

#define FILTERS_ROW(of) \
	{ .key = "filters", .decode = conf_list, .table = (of), .max = 16, \
	  .offset = offsetof(struct backend_ref, filters), \
	  .offset_n = offsetof(struct backend_ref, n_filters), \
	  .help = "for requests that go there" }

static const struct conf_row target_rows[] = { TARGET_ROWS };

static const struct conf_table target_table = {
	.what = "a backendRef", ROWS(target_rows),
	.size = sizeof(struct backend_ref), .check = check_backend,
};

static const struct conf_row http_backend_rows[] = {
	TARGET_ROWS, WEIGHT_ROW, FILTERS_ROW(&filter_table),
};

const struct conf_table http_backend_table = {
	.what = "a backendRef", ROWS(http_backend_rows),
	.size = sizeof(struct backend_ref), .check = check_backend,
};

static const struct conf_row grpc_backend_rows[] = {
	TARGET_ROWS, WEIGHT_ROW, FILTERS_ROW(&grpc_filter_table),
};

const struct conf_table grpc_backend_table = {
	.what = "a backendRef", ROWS(grpc_backend_rows),
	.size = sizeof(struct backend_ref), .check = check_backend,
};

static const struct conf_row plain_backend_rows[] = {
	TARGET_ROWS, WEIGHT_ROW,
};

const struct conf_table plain_backend_table = {
	.what = "a backendRef", ROWS(plain_backend_rows),
	.size = sizeof(struct backend_ref), .check = check_backend,
};

/* ---- mirrors, extensions ------------------------------------------------- */

static int check_fraction(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct request_mirror *m = out;

	if (m->fraction.numerator <= m->fraction.denominator)
		return 0;
	return conf_refuse_at(in, map, "numerator", NULL,
	    "at most the denominator");
}

static const struct conf_row fraction_rows[] = {
	{ .key = "numerator", .decode = conf_u32, .max = INT32_MAX,
	  .required = true,
	  .offset = offsetof(struct request_mirror, fraction.numerator),
	  .help = "so many" },
	{ .key = "denominator", .decode = conf_u32, .min = 1, .max = INT32_MAX,
	  .preset = "100",
	  .offset = offsetof(struct request_mirror, fraction.denominator),
	  .help = "of so many" },
};

static const struct conf_table fraction_table = {
	.what = "a fraction", ROWS(fraction_rows), .check = check_fraction,
};

static int check_mirror(const struct conf_input *in, const struct conf *map,
    void *out)
{
	(void)out;
	if (conf_is_given(conf_child(map, "percent")) &&
	    conf_is_given(conf_child(map, "fraction")))
		return conf_refuse_at(in, map, "fraction", NULL,
		    "percent or fraction, not both");
	return 0;
}

static const struct conf_row mirror_rows[] = {
	{ .key = "backendRef", .decode = conf_section, .table = &target_table,
	  .offset = offsetof(struct request_mirror, backend), .required = true,
	  .help = "{name, port}" },
	{ .key = "percent", .decode = conf_u32, .max = 100, .preset = "100",
	  .offset = offsetof(struct request_mirror, percent),
	  .help = "how many of a hundred requests" },
	{ .key = "fraction", .decode = conf_section, .table = &fraction_table,
	  .help = "{numerator, denominator}" },
};

static const struct conf_table mirror_table = {
	.what = "a requestMirror", ROWS(mirror_rows),
	.size = sizeof(struct request_mirror), .check = check_mirror,
};

static const struct conf_row extension_rows[] = {
	{ .key = "group", .decode = kube_group, .required = true,
	  .offset = offsetof(struct object_ref, group), .help = "its group" },
	{ .key = "kind", .decode = kube_kind, .required = true,
	  .offset = offsetof(struct object_ref, kind), .help = "its kind" },
	{ .key = "name", .decode = kube_name, .required = true,
	  .offset = offsetof(struct object_ref, name), .help = "its name" },
};

static const struct conf_table extension_table = {
	.what = "an extensionRef", ROWS(extension_rows),
	.size = sizeof(struct object_ref),
};

/* Experimental, and nothing HAProxy does: it is looked at, and who is asked kept. */
static const char *const auth_protocols[] = { "HTTP", "GRPC", NULL };

struct external_auth {
	struct backend_ref backend;
	int protocol;
	const char *path;
};

static int check_auth(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct external_auth *a = out;
	bool is_http = a->protocol == 0;

	if (!conf_is_given(conf_child(map, is_http ? "http" : "grpc")))
		return conf_refuse_at(in, map, "protocol", NULL, "%s beside it",
		    is_http ? "http" : "grpc");
	if (conf_is_given(conf_child(map, is_http ? "grpc" : "http")))
		return conf_refuse_at(in, map, is_http ? "grpc" : "http", NULL,
		    "only %s, as the protocol says", is_http ? "http" : "grpc");
	if (a->path != NULL && !kube_is_url_path(a->path))
		return conf_refuse_at(in, map, "http", a->path,
		    "a path of the characters that RFC 3986 allows");
	return 0;
}

static const struct conf_row auth_http_rows[] = {
	{ .key = "path", .decode = kube_text, .max = 1024, .min = 1,
	  .offset = offsetof(struct external_auth, path),
	  .help = "before the request's own" },
	{ .key = "allowedHeaders", .decode = conf_ignore, .help = "of requests" },
	{ .key = "allowedResponseHeaders", .decode = conf_ignore,
	  .help = "of its answers" },
};

static const struct conf_table auth_http_table = {
	.what = "http", ROWS(auth_http_rows),
};

static const struct conf_row auth_rows[] = {
	{ .key = "protocol", .decode = conf_enum, .names = auth_protocols,
	  .offset = offsetof(struct external_auth, protocol), .required = true,
	  .help = "HTTP or GRPC" },
	{ .key = "backendRef", .decode = conf_section, .table = &target_table,
	  .offset = offsetof(struct external_auth, backend), .required = true,
	  .help = "{name, port}" },
	{ .key = "http", .decode = conf_section, .table = &auth_http_table,
	  .help = "{path, ...}" },
	{ .key = "grpc", .decode = conf_ignore, .help = "{allowedHeaders}" },
	{ .key = "forwardBody", .decode = conf_ignore, .help = "{maxSize}" },
};

static const struct conf_table auth_table = {
	.what = "an externalAuth", ROWS(auth_rows), .check = check_auth,
	.size = sizeof(struct external_auth),
};

/* ---- filters ------------------------------------------------------------- */

static const char *const filter_types[] = {
	[FILTER_REQUEST_HEADERS] = "RequestHeaderModifier",
	[FILTER_RESPONSE_HEADERS] = "ResponseHeaderModifier",
	[FILTER_MIRROR] = "RequestMirror",
	[FILTER_REDIRECT] = "RequestRedirect",
	[FILTER_REWRITE] = "URLRewrite",
	[FILTER_EXTENSION] = "ExtensionRef",
	[FILTER_CORS] = "CORS",
	[FILTER_EXTERNAL_AUTH] = "ExternalAuth", NULL,
};

/* GRPCRoute's; the first three and ExtensionRef, by value. */
static const char *const grpc_filter_types[] = {
	"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror",
	"ExtensionRef", NULL,
};

static const char *const filter_keys[] = {
	[FILTER_REQUEST_HEADERS] = "requestHeaderModifier",
	[FILTER_RESPONSE_HEADERS] = "responseHeaderModifier",
	[FILTER_MIRROR] = "requestMirror",
	[FILTER_REDIRECT] = "requestRedirect",
	[FILTER_REWRITE] = "urlRewrite",
	[FILTER_EXTENSION] = "extensionRef",
	[FILTER_CORS] = "cors",
	[FILTER_EXTERNAL_AUTH] = "externalAuth",
};

enum { N_FILTER_KEYS = sizeof(filter_keys) / sizeof(*filter_keys) };

/* What the type names must be there, and nothing else. */
static int check_filter(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct filter *f = out;

	if (!conf_is_given(conf_child(map, filter_keys[f->type])))
		return conf_refuse_at(in, map, "type", NULL, "%s beside it",
		    filter_keys[f->type]);
	for (size_t i = 0; i < N_FILTER_KEYS; i++)
		if (i != f->type &&
		    conf_is_given(conf_child(map, filter_keys[i])))
			return conf_refuse_at(in, map, filter_keys[i], NULL,
			    "only %s, as the type says",
			    filter_keys[f->type]);
	return 0;
}

static int grpc_filter_type(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	struct conf_row named = *row;
	int err;

	named.names = grpc_filter_types;
	err = conf_enum(in, &named, value, out);
	if (err == 0 && *(int *)out == FILTER_MIRROR + 1)
		*(int *)out = FILTER_EXTENSION;
	return err;
}

#define GRPC_FILTER_ROWS \
	{ .key = "requestHeaderModifier", .decode = conf_pointer, \
	  .table = &modifier_table, .offset = offsetof(struct filter, request), \
	  .help = "{set, add, remove}" }, \
	{ .key = "responseHeaderModifier", .decode = conf_pointer, \
	  .table = &modifier_table, \
	  .offset = offsetof(struct filter, response), \
	  .help = "{set, add, remove}" }, \
	{ .key = "requestMirror", .decode = conf_pointer, \
	  .table = &mirror_table, .offset = offsetof(struct filter, mirror), \
	  .help = "{backendRef, ...}" }, \
	{ .key = "extensionRef", .decode = conf_pointer, \
	  .table = &extension_table, \
	  .offset = offsetof(struct filter, extension), \
	  .help = "an implementation's own" }

static const struct conf_row filter_rows[] = {
	{ .key = "type", .decode = conf_enum, .names = filter_types,
	  .offset = offsetof(struct filter, type), .required = true,
	  .help = "RequestHeaderModifier, ..." },
	GRPC_FILTER_ROWS,
	{ .key = "requestRedirect", .decode = conf_pointer,
	  .table = &redirect_table, .offset = offsetof(struct filter, redirect),
	  .help = "{scheme, hostname, ...}" },
	{ .key = "urlRewrite", .decode = conf_pointer,
	  .table = &rewrite_table, .offset = offsetof(struct filter, rewrite),
	  .help = "{hostname, path}" },
	{ .key = "cors", .decode = conf_pointer, .table = &cors_table,
	  .offset = offsetof(struct filter, cors), .help = "{allowOrigins, ...}" },
	{ .key = "externalAuth", .decode = conf_pointer, .table = &auth_table,
	  .offset = offsetof(struct filter, auth), .help = "experimental" },
};

const struct conf_table filter_table = {
	.what = "a filter", ROWS(filter_rows), .size = sizeof(struct filter),
	.check = check_filter,
};

static const struct conf_row grpc_filter_rows[] = {
	{ .key = "type", .decode = grpc_filter_type,
	  .offset = offsetof(struct filter, type), .required = true,
	  .help = "RequestHeaderModifier, ..." },
	GRPC_FILTER_ROWS,
};

const struct conf_table grpc_filter_table = {
	.what = "a filter", ROWS(grpc_filter_rows),
	.size = sizeof(struct filter), .check = check_filter,
};

static size_t count_of(const struct filter *filters, size_t n,
    enum filter_type type)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += filters[i].type == type;
	return count;
}

int filters_check(const struct conf_input *in, const struct conf *map,
    const struct filter *filters, size_t n)
{
	static const enum filter_type once[] = { FILTER_CORS,
		FILTER_REQUEST_HEADERS, FILTER_RESPONSE_HEADERS,
		FILTER_REDIRECT, FILTER_REWRITE };

	if (count_of(filters, n, FILTER_REDIRECT) > 0 &&
	    count_of(filters, n, FILTER_REWRITE) > 0)
		return conf_refuse_at(in, map, "filters",
		    "RequestRedirect and URLRewrite", "one of the two");
	for (size_t i = 0; i < sizeof(once) / sizeof(*once); i++)
		if (count_of(filters, n, once[i]) > 1)
			return conf_refuse_at(in, map, "filters",
			    filter_types[once[i]], "that filter once");
	return 0;
}

bool filters_replace_prefix(const struct filter *filters, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((filters[i].redirect != NULL && filters[i].redirect->path.type
			== PATH_REPLACE_PREFIX_MATCH) ||
		    (filters[i].rewrite != NULL && filters[i].rewrite->path.type
			== PATH_REPLACE_PREFIX_MATCH))
			return true;
	return false;
}
