/*
 * decode_match.c - matches of HTTPRoute and GRPCRoute
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "conf.h"
#include "decode_rows.h"

static const char *const path_types[] = {
	[PATH_PREFIX] = "PathPrefix", [PATH_EXACT] = "Exact",
	[PATH_REGEX] = "RegularExpression", NULL,
};

static const char *const match_types[] = {
	[MATCH_EXACT] = "Exact", [MATCH_REGEX] = "RegularExpression", NULL,
};

/* ---- paths --------------------------------------------------------------- */

static bool ends_in(const char *text, const char *tail)
{
	size_t n = strlen(text), n_tail = strlen(tail);

	return n >= n_tail && strcmp(text + n - n_tail, tail) == 0;
}

/* What of the CEL rules on HTTPPathMatch the path breaks; NULL: none. */
static const char *path_breaks(const char *path)
{
	static const char *const inside[] = { "//", "/./", "/../", "%2f",
		"%2F", "#" };

	if (path[0] != '/')
		return "a path that begins with /";
	for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++)
		if (strstr(path, inside[i]) != NULL)
			return "a path without //, /./, /../, %2F and #";
	if (ends_in(path, "/..") || ends_in(path, "/."))
		return "a path that does not end in /. or /..";
	if (!kube_is_url_path(path))
		return "a path of the characters that RFC 3986 allows";
	return NULL;
}

static int check_path(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct http_match *m = out;
	const struct conf *value = conf_child(map, "value");
	const char *want;

	if (m->path.type == PATH_REGEX || !conf_is_given(value))
		return 0;
	want = path_breaks(m->path.value);
	return want == NULL ? 0 :
	    conf_refuse_at(in, map, "value", NULL, "%s", want);
}

static const struct conf_row path_rows[] = {
	{ .key = "type", .decode = conf_enum, .names = path_types,
	  .preset = "PathPrefix", .offset = offsetof(struct http_match,
	  path.type), .help = "PathPrefix, Exact or RegularExpression" },
	{ .key = "value", .decode = kube_text, .max = 1024, .preset = "/",
	  .offset = offsetof(struct http_match, path.value),
	  .help = "as /v1/chat" },
};

static const struct conf_table path_table = {
	.what = "a path match", ROWS(path_rows), .check = check_path,
};

/* ---- headers, query parameters, methods ---------------------------------- */

#define VALUE_ROWS(of_name, of_value, most) \
	{ .key = "type", .decode = conf_enum, .names = match_types, \
	  .preset = "Exact", .offset = offsetof(struct value_match, type), \
	  .help = "Exact or RegularExpression" }, \
	{ .key = "name", .decode = (of_name), .required = true, \
	  .offset = offsetof(struct value_match, name), .help = "its name" }, \
	{ .key = "value", .decode = (of_value), .required = true, \
	  .min = 1, .max = (most), \
	  .offset = offsetof(struct value_match, value), .help = "its value" }

static const struct conf_row header_rows[] = {
	VALUE_ROWS(kube_header_name, kube_header_value, 4096),
};

static const struct conf_table header_table = {
	.what = "a header match", ROWS(header_rows),
	.size = sizeof(struct value_match),
};

static const struct conf_row query_rows[] = {
	VALUE_ROWS(kube_header_name, kube_text, 1024),
};

static const struct conf_table query_table = {
	.what = "a query parameter match", ROWS(query_rows),
	.size = sizeof(struct value_match),
};

static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE",
	"CONNECT", "OPTIONS", "TRACE", "PATCH", NULL };

/* The lists are maps by name to the API server: a name comes once. */
static int check_names(const struct conf_input *in, const struct conf *map,
    const char *key, const struct value_match *matches, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(matches[i].name, matches[k].name) == 0)
				return conf_refuse_at(in, map, key,
				    matches[i].name, "each name once");
	return 0;
}

static int check_http(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct http_match *m = out;
	int err = check_names(in, map, "headers", m->headers, m->n_headers);

	return err != 0 ? err : check_names(in, map, "queryParams", m->queries,
	    m->n_queries);
}

static const struct conf_row http_rows[] = {
	{ .key = "path", .decode = conf_section, .table = &path_table,
	  .preset = "{}", .help = "{type, value}" },
	{ .key = "headers", .decode = conf_list, .table = &header_table,
	  .max = 16, .offset = offsetof(struct http_match, headers),
	  .offset_n = offsetof(struct http_match, n_headers),
	  .help = "[{name, value}, ...]" },
	{ .key = "queryParams", .decode = conf_list, .table = &query_table,
	  .max = 16, .offset = offsetof(struct http_match, queries),
	  .offset_n = offsetof(struct http_match, n_queries),
	  .help = "[{name, value}, ...]" },
	{ .key = "method", .decode = kube_word, .names = methods,
	  .offset = offsetof(struct http_match, method), .help = "GET, ..." },
};

const struct conf_table http_match_table = {
	.what = "a match", ROWS(http_rows), .size = sizeof(struct http_match),
	.check = check_http,
};

/* ---- gRPC ---------------------------------------------------------------- */

/* [a-z_][a-z_0-9]* in any case; returns where it ends */
static const char *identifier_end(const char *at)
{
	if (!isalpha((unsigned char)*at) && *at != '_')
		return NULL;
	while (isalnum((unsigned char)*at) || *at == '_')
		at++;
	return at;
}

/* \.?identifier(\.identifier)* */
static bool is_service(const char *at)
{
	at += *at == '.';
	for (;;) {
		at = identifier_end(at);
		if (at == NULL || *at == '\0')
			return at != NULL;
		if (*at++ != '.')
			return false;
	}
}

static bool is_method(const char *at)
{
	at = identifier_end(at);
	return at != NULL && *at == '\0';
}

static int check_method(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct grpc_match *m = out;

	if (m->method.service == NULL && m->method.method == NULL)
		return conf_refuse_at(in, map, NULL, "neither service nor method",
		    "one of the two, or both");
	if (m->method.type == MATCH_REGEX)
		return 0;
	if (m->method.service != NULL && !is_service(m->method.service))
		return conf_refuse_at(in, map, "service", NULL,
		    "a service's name, as package.Service");
	if (m->method.method != NULL && !is_method(m->method.method))
		return conf_refuse_at(in, map, "method", NULL,
		    "a method's name, as Login");
	return 0;
}

static const struct conf_row method_rows[] = {
	{ .key = "type", .decode = conf_enum, .names = match_types,
	  .preset = "Exact", .offset = offsetof(struct grpc_match, method.type),
	  .help = "Exact or RegularExpression" },
	{ .key = "service", .decode = kube_text, .min = 1, .max = 1024,
	  .offset = offsetof(struct grpc_match, method.service),
	  .help = "as package.Service" },
	{ .key = "method", .decode = kube_text, .min = 1, .max = 1024,
	  .offset = offsetof(struct grpc_match, method.method),
	  .help = "as Login" },
};

static const struct conf_table method_table = {
	.what = "a method match", ROWS(method_rows), .check = check_method,
};

static int check_grpc(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct grpc_match *m = out;

	return check_names(in, map, "headers", m->headers, m->n_headers);
}

static const struct conf_row grpc_rows[] = {
	{ .key = "method", .decode = conf_section, .table = &method_table,
	  .help = "{service, method}" },
	{ .key = "headers", .decode = conf_list, .table = &header_table,
	  .max = 16, .offset = offsetof(struct grpc_match, headers),
	  .offset_n = offsetof(struct grpc_match, n_headers),
	  .help = "[{name, value}, ...]" },
};

const struct conf_table grpc_match_table = {
	.what = "a match", ROWS(grpc_rows), .size = sizeof(struct grpc_match),
	.check = check_grpc,
};
