/*
 * options_endpoints.c - one row an endpoint, or several: of a list or a file
 *
 * A row with `ports:` becomes one endpoint a port, named row-port; a row without a
 * name is called by its address and port, as epp-translator calls servers. Names
 * are compared after that.
 */
#include "options_rows.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "fault.h"
#include "server_name.h"

enum { ENDPOINT_PORTS_MAX = 1024, ENDPOINT_LABELS_MAX = 64, HOST_MAX = 253 };

struct row {			/* as written; becomes n_ports endpoints */
	const char *name, *host, *engine;
	uint16_t port;
	const uint16_t *ports;
	size_t n_ports;
	const struct label *labels;
	size_t n_labels;
	unsigned line;
};

struct rows {
	struct row *at;
	size_t n;
};

struct named {			/* for finding a name used twice */
	const char *name;
	unsigned line;
};

int decode_identifier(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	const char **name = out;
	int err = conf_string(in, row, value, name);

	if (err != 0)
		return err;
	for (const char *c = *name; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && strchr("-_.:", *c) == NULL)
			return conf_refuse(in, row, value,
			    "a name of letters, digits and -_.: as in HAProxy");
	if (strlen(*name) > POOL_NAME_MAX)
		return conf_refuse(in, row, value, "a name of at most %d bytes",
		    POOL_NAME_MAX);
	return 0;
}

/*
 * RFC 1123 section 2.1, with the underscore that people use. A last part of
 * digits only is a mistyped IPv4 address, which getaddrinfo() would accept.
 */
static bool is_dns_name(const char *name)
{
	const char *last = strrchr(name, '.');
	size_t len = strlen(name);

	last = last != NULL ? last + 1 : name;
	if (len == 0 || len > HOST_MAX || name[0] == '.' || name[0] == '-' ||
	    strstr(name, "..") != NULL ||
	    last[strspn(last, "0123456789")] == '\0')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) &&
		    strchr("-_.", name[i]) == NULL)
			return false;
	return true;
}

static int decode_host(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	char *host;
	size_t len;
	int err = conf_string(in, row, value, &host);

	if (err != 0)
		return err;
	len = strlen(host);
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		host++;
	}
	*(const char **)out = host;
	if (inet_pton(AF_INET6, host, bytes) == 1)
		return 0;
	if (value->text[0] != '[' && (is_dns_name(host) ||
	    inet_pton(AF_INET, host, bytes) == 1))
		return 0;
	return conf_refuse(in, row, value, strchr(host, ':') != NULL ?
	    "an IPv6 address; or a host here and its port under port:" :
	    "an IPv4 or IPv6 address or a DNS name");
}

/* "host", "host:port", "[::1]:port", in place; false: neither. */
static bool split_authority(char *text, char **host, uint16_t *port)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	bool is_v6 = text[0] == '[';
	char *end = is_v6 ? strchr(text, ']') : text + strcspn(text, ":");
	char *rest;
	unsigned long n;

	if (end == NULL)
		return false;
	rest = end + is_v6;
	if (*rest == ':') {
		n = isdigit((unsigned char)rest[1]) ? strtoul(rest + 1, &rest,
		    10) : 0;
		if (n == 0 || n > UINT16_MAX)
			return false;
		*port = (uint16_t)n;
	}
	if (*rest != '\0')
		return false;
	*end = '\0';
	*host = text + is_v6;
	return is_v6 ? inet_pton(AF_INET6, *host, bytes) == 1 :
	    is_dns_name(*host) || inet_pton(AF_INET, *host, bytes) == 1;
}

int decode_service_url(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	struct tokenizer_options *o = (struct tokenizer_options *)(void *)
	    ((char *)out - offsetof(struct tokenizer_options, host));
	static const char *const schemes[] = { "http://", "https://" };
	char *text, *host;
	size_t len;
	int err = conf_string(in, row, value, &text);

	if (err != 0)
		return err;
	for (size_t i = 0; i < 2; i++) {
		if (strncmp(text, schemes[i], strlen(schemes[i])) != 0)
			continue;
		o->https = i == 1;
		o->port = i == 1 ? 443 : 80;
		text += strlen(schemes[i]);
		len = strlen(text);
		if (len > 0 && text[len - 1] == '/')
			text[len - 1] = '\0';
		if (!split_authority(text, &host, &o->port))
			break;
		o->host = host;
		return 0;
	}
	return conf_refuse(in, row, value,
	    "http:// or https://, a host and perhaps a port, and no path");
}

static int decode_labels(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	struct row *r = (struct row *)((char *)out - row->offset);
	struct label *labels;
	size_t n = 0;

	if (value->type != CONF_MAP || value->n_children > ENDPOINT_LABELS_MAX)
		return conf_refuse(in, row, value,
		    "a map of at most %d labels: key: value",
		    ENDPOINT_LABELS_MAX);
	labels = arena_zalloc(in->arena, value->n_children * sizeof(*labels));
	if (labels == NULL)
		return conf_no_memory(in);
	for (const struct conf *c = value->children; c != NULL; c = c->next) {
		struct label *label = &labels[n++];

		if (c->type != CONF_SCALAR)
			return conf_refuse(in, row, c, "label: a string");
		label->key = arena_copy(in->arena, c->key, strlen(c->key));
		label->value = arena_copy(in->arena, c->text, strlen(c->text));
		if (label->key == NULL || label->value == NULL)
			return conf_no_memory(in);
	}
	r->labels = labels;
	r->n_labels = n;
	return 0;
}

static int check_row(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct row *r = out;

	char name[SERVER_NAME_BYTES];

	r->line = map->line;
	if (r->name == NULL && server_name(r->host, 0, name) != 0) {
		fault_setf(in->why, in->file, map->line,
		    "endpoint at %.64s without a name", r->host);
		fault_want(in->why, "name:, HAProxy's server name; only a "
		    "numeric address may go without");
		return -EINVAL;
	}
	if ((r->port == 0) != (r->n_ports == 0))
		return 0;
	fault_setf(in->why, in->file, map->line,
	    "endpoint %.64s with %s port and ports",
	    r->name != NULL ? r->name : r->host,
	    r->port == 0 ? "neither" : "both");
	fault_want(in->why, "port: 8000, or ports: [8000, 8001]");
	return -EINVAL;
}

static const struct conf_row port_row = {
	.key = "ports", .decode = conf_u16, .min = 1,
};

static const struct conf_table port_table = {
	.what = "ports", .size = sizeof(uint16_t), .item = &port_row,
};

static const struct conf_row endpoint_rows[] = {
	{ .key = "name", .decode = decode_identifier,
	  .offset = offsetof(struct row, name),
	  .help = "HAProxy's server name; ADDRESS:PORT if not given" },
	{ .key = "address", .decode = decode_host, .required = true,
	  .offset = offsetof(struct row, host),
	  .help = "IPv4, IPv6 or DNS name" },
	{ .key = "port", .decode = conf_u16, .min = 1,
	  .offset = offsetof(struct row, port),
	  .help = "where the model server listens" },
	{ .key = "ports", .decode = conf_list, .table = &port_table,
	  .min = 1, .max = ENDPOINT_PORTS_MAX,
	  .offset = offsetof(struct row, ports),
	  .offset_n = offsetof(struct row, n_ports),
	  .help = "several, named NAME-PORT or ADDRESS:PORT each" },
	{ .key = "engine", .decode = conf_string,
	  .offset = offsetof(struct row, engine),
	  .help = "if not the pool's" },
	{ .key = "labels", .decode = decode_labels,
	  .offset = offsetof(struct row, labels),
	  .help = "key: value, for filters" },
};

const struct conf_table endpoint_table = {
	.what = "an endpoint",
	.size = sizeof(struct row),
	.rows = endpoint_rows,
	.n_rows = sizeof(endpoint_rows) / sizeof(*endpoint_rows),
	.check = check_row,
};

static int by_name_then_line(const void *left, const void *right)
{
	const struct named *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* Sorts `names`; they may be as many as a pool's endpoints. */
static int refuse_twins(const struct conf_input *in, struct named *names,
    size_t n, const char *what)
{
	qsort(names, n, sizeof(*names), by_name_then_line);
	for (size_t i = 1; i < n; i++)
		if (strcmp(names[i - 1].name, names[i].name) == 0) {
			fault_setf(in->why, in->file, names[i].line,
			    "%s %.64s a second time", what, names[i].name);
			fault_want(in->why, "another name; the first is on "
			    "line %u", names[i - 1].line);
			return -EINVAL;
		}
	return 0;
}

int check_unique_names(const struct conf_input *in, const struct conf *list,
    const char *what)
{
	struct named *names = arena_alloc(in->arena,
	    list->n_children * sizeof(*names));
	size_t n = 0;

	if (names == NULL)
		return conf_no_memory(in);
	for (const struct conf *c = list->children; c != NULL; c = c->next)
		names[n++] = (struct named){ conf_child(c, "name")->text,
			c->line };
	return refuse_twins(in, names, n, what);
}

/* NULL without memory. */
static const char *endpoint_name(struct arena *arena, const struct row *r,
    uint16_t port)
{
	size_t len = r->name == NULL ? SERVER_NAME_BYTES :
	    strlen(r->name) + sizeof("-65535");
	char *out;

	if (r->name != NULL && r->n_ports == 0)
		return r->name;
	out = arena_alloc(arena, len);
	if (out == NULL)
		return NULL;
	if (r->name != NULL)
		snprintf(out, len, "%s-%u", r->name, port);
	else
		server_name(r->host, port, out);
	return out;
}

static bool expand_row(struct arena *arena, const struct row *r,
    struct endpoint_options *out)
{
	size_t n = r->n_ports != 0 ? r->n_ports : 1;

	for (size_t i = 0; i < n; i++) {
		uint16_t port = r->n_ports != 0 ? r->ports[i] : r->port;

		out[i] = (struct endpoint_options){
			.name = endpoint_name(arena, r, port),
			.host = r->host, .port = port, .engine = r->engine,
			.labels = r->labels, .n_labels = r->n_labels,
		};
		if (out[i].name == NULL)
			return false;
	}
	return true;
}

static size_t count_endpoints(const struct rows *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++)
		n += rows->at[i].n_ports != 0 ? rows->at[i].n_ports : 1;
	return n;
}

static int expand_rows(const struct conf_input *in, const struct rows *rows,
    struct endpoint_options *out, size_t n)
{
	struct named *names = arena_alloc(in->arena, n * sizeof(*names));
	size_t at = 0;

	if (names == NULL)
		return conf_no_memory(in);
	for (size_t i = 0; i < rows->n; i++) {
		size_t first = at;

		if (!expand_row(in->arena, &rows->at[i], out + at))
			return conf_no_memory(in);
		at += rows->at[i].n_ports != 0 ? rows->at[i].n_ports : 1;
		for (size_t k = first; k < at; k++)
			names[k] = (struct named){ out[k].name,
				rows->at[i].line };
	}
	return refuse_twins(in, names, n, "endpoint");
}

int decode_endpoints(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	struct conf_row list = *row;
	struct endpoint_options *endpoints;
	struct rows rows;
	size_t n;
	int err;

	list.offset = offsetof(struct rows, at);
	list.offset_n = offsetof(struct rows, n);
	err = conf_list(in, &list, value, &rows);
	if (err != 0)
		return err;
	n = count_endpoints(&rows);
	if (n > POOL_ENDPOINTS_MAX)
		return conf_refuse(in, row, value, "at most %d endpoints",
		    POOL_ENDPOINTS_MAX);
	endpoints = arena_alloc(in->arena, n * sizeof(*endpoints));
	if (endpoints == NULL)
		return conf_no_memory(in);
	*(struct endpoint_options **)out = endpoints;
	*(size_t *)((char *)out - row->offset + row->offset_n) = n;
	return expand_rows(in, &rows, endpoints, n);
}
