/*
 * plan_match.c - the matches of all routes of a listener, first that fits first
 *
 * HTTPRouteRule.matches: host name; exact path, then regular expression (ours to
 * place), then prefix, the longer first; a method; the most headers, then query
 * parameters; the oldest route; its first rule. GRPCRouteRule.matches: host name; the
 * longest service, then method; the most headers; route and rule likewise. So what a
 * gRPC match has of a service stands as a prefix of that length would, whatever it is.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <ctype.h>

#include "hostname.h"
#include "plan_state.h"

struct entry {
	struct plan_match match;
	uint32_t age, rule, index;
	unsigned path_rank;
	/* A method of HTTP is there or is not, whatever its length. */
	uint16_t path_len, method_len, n_headers, n_queries;
};

struct entries {
	struct entry *items;
	size_t n;
};

/* ---- what a match tests -------------------------------------------------- */

static const char *lower(struct planner *p, const char *name)
{
	size_t len = strlen(name);
	char *copy;
	size_t i = 0;

	while (i < len && !isupper((unsigned char)name[i]))
		i++;
	if (i == len)
		return name;
	copy = plan_alloc(p, len + 1);
	for (i = 0; copy != NULL && i < len; i++)
		copy[i] = (char)tolower((unsigned char)name[i]);
	return copy != NULL ? copy : name;
}

/* Of one header name, in whatever case, only the first counts. */
static bool is_again(const struct value_match *v, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcasecmp(v[k].name, v[i].name) == 0)
			return true;
	return false;
}

static void take_tests(struct planner *p, struct entry *e,
    const struct value_match *headers, size_t n_headers,
    const struct value_match *queries, size_t n_queries)
{
	struct plan_test *t;

	if (n_headers + n_queries == 0)
		return;
	t = plan_alloc(p, (n_headers + n_queries) * sizeof(*t));
	if (t == NULL)
		return;
	e->match.tests = t;
	for (size_t i = 0; i < n_headers; i++) {
		if (is_again(headers, i))
			continue;
		*t++ = (struct plan_test){ PLAN_TEST_HEADER,
			headers[i].type == MATCH_REGEX,
			lower(p, headers[i].name), headers[i].value };
		e->n_headers++;
	}
	for (size_t i = 0; i < n_queries; i++)
		*t++ = (struct plan_test){ PLAN_TEST_QUERY,
			queries[i].type == MATCH_REGEX, queries[i].name,
			queries[i].value };
	e->n_queries = (uint16_t)n_queries;
	e->match.n_tests = e->n_headers + n_queries;
}

/* ---- paths --------------------------------------------------------------- */

/* "/a/" is the prefix "/a". */
static const char *without_slash(struct planner *p, const char *path)
{
	size_t len = strlen(path);
	char *copy;

	if (len <= 1 || path[len - 1] != '/')
		return path;
	copy = plan_alloc(p, len);
	if (copy == NULL)
		return path;
	memcpy(copy, path, len - 1);
	return copy;
}

static size_t length_of(const char *text)
{
	return text != NULL ? strlen(text) : 0;
}

static void http_entry(struct planner *p, const struct http_match *m,
    struct entry *e)
{
	static const enum plan_path_type types[] = {
		[PATH_PREFIX] = PLAN_PATH_PREFIX,
		[PATH_EXACT] = PLAN_PATH_EXACT, [PATH_REGEX] = PLAN_PATH_REGEX,
	};
	static const unsigned ranks[] = {
		[PATH_EXACT] = 0, [PATH_REGEX] = 1, [PATH_PREFIX] = 2,
	};

	e->match.path_type = types[m->path.type];
	e->match.path = m->path.type == PATH_PREFIX ?
	    without_slash(p, m->path.value) : m->path.value;
	e->match.method = m->method;
	e->path_rank = ranks[m->path.type];
	e->path_len = (uint16_t)length_of(e->match.path);
	e->method_len = m->method != NULL;
	take_tests(p, e, m->headers, m->n_headers, m->queries, m->n_queries);
}

static void grpc_path(struct planner *p, const struct grpc_match *m,
    struct plan_match *out)
{
	const char *service = m->method.service, *method = m->method.method;
	bool is_regex = m->method.type == MATCH_REGEX;

	if (service == NULL && method == NULL) {
		out->path_type = PLAN_PATH_PREFIX;
		out->path = "/";
	} else if (service != NULL && method != NULL && !is_regex) {
		out->path_type = PLAN_PATH_EXACT;
		out->path = plan_textf(p, "/%s/%s", service, method);
	} else if (service != NULL && !is_regex) {
		out->path_type = PLAN_PATH_PREFIX;
		out->path = plan_textf(p, "/%s", service);
	} else {
		out->path_type = PLAN_PATH_REGEX;
		out->path = plan_textf(p, "/(?:%s)/(?:%s)", service != NULL ?
		    service : "[^/]+", method != NULL ? method : "[^/]+");
	}
}

static void grpc_entry(struct planner *p, const struct grpc_match *m,
    struct entry *e)
{
	grpc_path(p, m, &e->match);
	if (e->match.path_type == PLAN_PATH_REGEX) {
		e->path_len = (uint16_t)(1 + length_of(m->method.service));
		e->method_len = (uint16_t)length_of(m->method.method);
	} else {
		e->path_len = (uint16_t)length_of(e->match.path);
	}
	e->path_rank = e->match.path_type == PLAN_PATH_EXACT ? 0 : 2;
	take_tests(p, e, m->headers, m->n_headers, NULL, 0);
}

/* ---- precedence ---------------------------------------------------------- */

static int more_first(size_t a, size_t b)
{
	return (a < b) - (a > b);
}

static int by_precedence(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = a->match.hostname == b->match.hostname ? 0 :
	    hostname_order(a->match.hostname, b->match.hostname);

	if (order == 0)
		order = (int)a->path_rank - (int)b->path_rank;
	if (order == 0)
		order = more_first(a->path_len, b->path_len);
	if (order == 0)
		order = more_first(a->method_len, b->method_len);
	if (order == 0)
		order = more_first(a->n_headers, b->n_headers);
	if (order == 0)
		order = more_first(a->n_queries, b->n_queries);
	if (order == 0)
		order = (a->age > b->age) - (a->age < b->age);
	if (order == 0)
		order = (a->rule > b->rule) - (a->rule < b->rule);
	return order != 0 ? order : (a->index > b->index) -
	    (a->index < b->index);
}

/* ---- a listener ---------------------------------------------------------- */

static size_t hosts_of(const struct attached *a)
{
	return a->n_hostnames > 0 ? a->n_hostnames : 1;
}

/* One entry comes once for each host. */
static void put(struct entries *to, const struct attached *a,
    struct entry *e)
{
	for (size_t i = 0; i < hosts_of(a); i++) {
		e->match.hostname = a->n_hostnames > 0 ? a->hostnames[i] :
		    NULL;
		to->items[to->n++] = *e;
	}
}

static size_t n_matches(const struct rule *r)
{
	size_t n = r->n_http_matches + r->n_grpc_matches;

	return n > 0 ? n : 1;
}

static void put_rule(struct planner *p, struct entries *to,
    const struct attached *a, size_t i)
{
	static const struct grpc_match any;
	const struct rule *rule = &a->route->rules[i];

	for (size_t k = 0; k < n_matches(rule); k++) {
		struct entry e = { .match.rule = &a->rules[i], .age = a->age,
			.rule = (uint32_t)i, .index = (uint32_t)k };

		if (a->route->o.kind == KIND_HTTP_ROUTE)
			http_entry(p, &rule->http_matches[k], &e);
		else if (a->route->o.kind == KIND_GRPC_ROUTE)
			grpc_entry(p, rule->n_grpc_matches > 0 ?
			    &rule->grpc_matches[k] : &any, &e);
		put(to, a, &e);
	}
}

static size_t count(const struct lstn *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n_attached; i++)
		for (size_t k = 0; k < l->attached[i].n_rules; k++)
			n += n_matches(&l->attached[i].route->rules[k]) *
			    hosts_of(&l->attached[i]);
	return n;
}

/* TLS: of routes with one hostname the oldest; TCP: the oldest. */
static size_t drop_younger(struct entry *e, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (kept == 0 || hostname_order(e[kept - 1].match.hostname,
			e[i].match.hostname) != 0)
			e[kept++] = e[i];
	return kept;
}

void plan_matches(struct planner *p, struct lstn *l,
    struct plan_listener *out)
{
	size_t n = count(l);
	struct entries to = { malloc((n > 0 ? n : 1) * sizeof(struct entry)),
		0 };
	struct plan_match *matches = plan_alloc(p, n * sizeof(*matches));

	if (to.items == NULL || matches == NULL) {
		p->failed = true;
		free(to.items);
		return;
	}
	for (size_t i = 0; i < l->n_attached; i++)
		for (size_t k = 0; k < l->attached[i].n_rules; k++)
			put_rule(p, &to, &l->attached[i], k);
	qsort(to.items, to.n, sizeof(*to.items), by_precedence);
	if (l->protocol != PLAN_LISTENER_HTTP &&
	    l->protocol != PLAN_LISTENER_HTTPS)
		to.n = drop_younger(to.items, to.n);
	for (size_t i = 0; i < to.n; i++)
		matches[i] = to.items[i].match;
	out->matches = matches;
	out->n_matches = to.n;
	free(to.items);
}
