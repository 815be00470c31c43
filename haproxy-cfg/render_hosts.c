/*
 * render_hosts.c - hostnames of a bind → groups of paths (HTTP), or rules (TLS)
 *
 * A request belongs to the most specific listener for its host and to no other
 * (listener isolation), so each hostname is a key once, of its owner's. What less
 * specific hostnames of the same listener have is inherited into a group here, so
 * that one lookup by host is all there is at run time. spec: Gateway API, listeners
 * and "hostname intersection".
 */
#include <stdlib.h>
#include <string.h>

#include "hostname.h"
#include "render_parts.h"
#include "words.h"

struct host_match {		/* one match of a listener, by its hostname */
	const char *host;
	uint64_t front;		/* its first bytes, to sort by */
	size_t index;
};

struct scope {
	struct render *r;
	const char *id;		/* prefix of the keys */
	const struct plan_listener **listeners;	/* sorted by hostname */
	size_t n_listeners;
	/* of the listener that is looked at */
	const struct plan_listener *listener;
	struct host_match *hosts;		/* sorted: wildcards first */
	size_t n_wild;
	const struct plan_match **found;	/* room for all its matches */
	size_t n_found;
};

/* How a hostname is spelled in a key. */
static const char *host_key(const char *hostname)
{
	return hostname != NULL ? hostname : "*";
}

/*
 * The next less specific hostname: "a.b.c", "*.b.c", "*.c", "*", NULL. Made in
 * `room`, which may be where `host` is.
 */
static const char *less_specific(const char *host, char room[256])
{
	const char *rest = host;

	if (strcmp(host, "*") == 0)
		return NULL;
	if (rest[0] == '*')
		rest += 2;
	rest = strchr(rest, '.');
	if (rest == NULL)
		return "*";
	memmove(room + 1, rest, strlen(rest) + 1);
	room[0] = '*';
	return room;
}

static int by_listener_host(const void *left, const void *right)
{
	const struct plan_listener *const *a = left, *const *b = right;

	return strcmp(host_key((*a)->hostname), host_key((*b)->hostname));
}

static int by_host_then_index(const void *left, const void *right)
{
	const struct host_match *a = left, *b = right;
	int order;

	if (a->front != b->front)
		return a->front < b->front ? -1 : 1;
	order = strcmp(a->host, b->host);

	return order != 0 ? order : (a->index > b->index) -
	    (a->index < b->index);
}

static const struct plan_listener *find_listener(const struct scope *s,
    const char *host)
{
	const struct plan_listener key = {
		.hostname = strcmp(host, "*") == 0 ? NULL : host,
	}, *at = &key, **found;

	found = bsearch(&at, s->listeners, s->n_listeners,
	    sizeof(struct plan_listener *), by_listener_host);
	return found != NULL ? *found : NULL;
}

/* The most specific listener for that host. */
static const struct plan_listener *find_owner(const struct scope *s,
    const char *host)
{
	char room[256];

	if (s->n_listeners == 1)
		return s->listeners[0];
	while (host != NULL) {
		const struct plan_listener *l = find_listener(s, host);

		if (l != NULL)
			return l;
		host = less_specific(host, room);
	}
	return NULL;
}

/* Index of the first host_match of that wildcard, or of where it would be. */
static size_t first_of(const struct scope *s, const char *host)
{
	size_t low = 0, high = s->n_wild;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(s->hosts[middle].host, host) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool takes_all(const struct plan_match *m)
{
	return m->path_type == PLAN_PATH_PREFIX && strcmp(m->path, "/") == 0 &&
	    !render_is_conditional(m);
}

/* Adds those of that very host, from i on. True when one takes all. */
static bool add_matches(struct scope *s, const char *host, size_t i)
{
	const struct plan_listener *l = s->listener;
	bool is_done = false;

	for (; i < l->n_matches && strcmp(s->hosts[i].host, host) == 0; i++) {
		const struct plan_match *m = &l->matches[s->hosts[i].index];

		s->found[s->n_found++] = m;
		is_done |= m->path != NULL && takes_all(m);
	}
	return is_done;
}

/* Matches that cover `host`, most specific first, until one takes all. */
static void find_matches(struct scope *s, const char *host, size_t first)
{
	char room[256];

	s->n_found = 0;
	while (!add_matches(s, host, first)) {
		if (s->n_wild == 0)
			return;
		host = less_specific(host, room);
		if (host == NULL)
			return;
		first = first_of(s, host);
	}
}

static void note_labels(struct render *r, const char *host)
{
	size_t n = 1;

	if (host[0] != '*' || host[1] != '.')
		return;
	for (const char *c = host + 2; *c != '\0'; c++)
		n += *c == '.';
	r->has_labels[n] = true;
}

static const char *make_key(struct scope *s, const char *host)
{
	struct buf *b = &s->r->line;

	buf_clear(b);
	buf_puts(b, s->id);
	buf_puts(b, "|");
	buf_puts(b, host);
	buf_put(b, "", 1);
	return buf_failed(b) ? "" : b->data;
}

static bool is_asked_for(const struct scope *s, const char *host)
{
	const struct hostnames *only = s->r->plan->only;

	return only == NULL || hostnames_has(only, host);
}

static bool is_speakable(struct scope *s, const char *host)
{
	if (strcmp(host, "*") == 0 || words_is_host(host))
		return true;
	render_problem(s->r, &s->listener->ref, "UnsupportedValue",
	    "hostname \"%.260s\" is not a DNS name", host);
	return false;
}

/*
 * Each hostname of a listener that is the listener's to serve, and where the matches
 * of that very name begin.
 */
typedef void on_host_f(struct scope *s, const char *host, size_t first,
    const void *how);

static void each_host(struct scope *s, on_host_f *on_host, const void *how)
{
	const struct plan_listener *l = s->listener;
	const char *own = host_key(l->hostname), *last = NULL;
	bool has_own = false;

	for (size_t i = 0; i < l->n_matches; i++) {
		const char *host = s->hosts[i].host;

		if (last != NULL && strcmp(host, last) == 0)
			continue;
		last = host;
		has_own |= strcmp(host, own) == 0;
		if (is_asked_for(s, host) && is_speakable(s, host) &&
		    find_owner(s, host) == l)
			on_host(s, host, i, how);
	}
	if (!has_own && is_asked_for(s, own) && is_speakable(s, own))
		on_host(s, own, l->n_matches, how);
}

static void walk_listener(struct scope *s, const struct plan_listener *l,
    on_host_f *on_host, const void *how)
{
	s->listener = l;
	s->hosts = render_alloc(s->r, (l->n_matches + 1) * sizeof(*s->hosts));
	s->found = render_alloc(s->r, (l->n_matches + 1) *
	    sizeof(struct plan_match *));
	if (s->hosts == NULL || s->found == NULL)
		return;
	s->n_wild = 0;
	for (size_t i = 0; i < l->n_matches; i++) {
		const char *host = host_key(l->matches[i].hostname);

		s->hosts[i] = (struct host_match){ host, output_front(host), i };
		s->n_wild += host[0] == '*';
	}
	qsort(s->hosts, l->n_matches, sizeof(*s->hosts), by_host_then_index);
	each_host(s, on_host, how);
}

/* All listeners of `protocols` (a mask) together are one space of hostnames. */
static void walk(struct render *r, const struct plan_bind *bind,
    const char *id, unsigned protocols, on_host_f *on_host, const void *how)
{
	struct scope s = { .r = r, .id = id };

	s.listeners = render_alloc(r, (bind->n_listeners + 1) *
	    sizeof(struct plan_listener *));
	if (s.listeners == NULL)
		return;
	for (size_t i = 0; i < bind->n_listeners; i++)
		if (protocols & 1u << bind->listeners[i].protocol)
			s.listeners[s.n_listeners++] = &bind->listeners[i];
	qsort(s.listeners, s.n_listeners, sizeof(struct plan_listener *),
	    by_listener_host);
	for (size_t i = 0; i < s.n_listeners && !r->failed; i++)
		walk_listener(&s, s.listeners[i], on_host, how);
}

/* ---- HTTP --------------------------------------------------------------- */

static void on_http_host(struct scope *s, const char *host, size_t first,
    const void *how)
{
	struct render *r = s->r;
	const char *group, *owner;

	(void)how;
	note_labels(r, host);
	buf_puts(&r->content, s->id);
	buf_puts(&r->content, "|");
	buf_puts(&r->content, host);
	group = render_id(r, 'G')->name;
	output_map_add(r->out, MAP_HOST, make_key(s, host), group);
	if (s->n_listeners > 1 &&
	    s->listener->protocol == PLAN_LISTENER_HTTPS) {
		buf_printf(&r->content, "%s|%s", s->id,
		    host_key(s->listener->hostname));
		owner = render_id(r, 'L')->name;
		output_map_add(r->out, MAP_OWNER, group, owner);
	}
	find_matches(s, host, first);
	render_paths(r, group, s->found, s->n_found);
}

void render_http_hosts(struct render *r, const struct plan_bind *bind,
    const char *bind_id)
{
	walk(r, bind, bind_id, 1u << PLAN_LISTENER_HTTP |
	    1u << PLAN_LISTENER_HTTPS, on_http_host, NULL);
}

/* ---- TLS and TCP -------------------------------------------------------- */

/* A listener without a route for a name still keeps it from the others. */
static void on_tls_host(struct scope *s, const char *host, size_t first,
    const void *how)
{
	const char *const *hops = how;
	const char *value = hops[s->listener->protocol];

	note_labels(s->r, host);
	if (value == NULL) {
		find_matches(s, host, first);
		value = s->n_found > 0 ? render_rule(s->r, s->found[0]->rule,
		    s->found[0], s->listener->protocol ==
		    PLAN_LISTENER_TLS_PASSTHROUGH ? BACKEND_PASSTHROUGH :
		    BACKEND_TCP) : "-";
	}
	output_map_add(s->r->out, MAP_HOST, make_key(s, host), value);
}

void render_tls_hosts(struct render *r, const struct plan_bind *bind,
    const char *bind_id, unsigned protocols, const char *const *hops)
{
	if (r->plan->only != NULL)
		return;
	walk(r, bind, bind_id, protocols, on_tls_host, hops);
}

const char *render_bind_id(struct render *r, const struct plan_bind *bind,
    const char *suffix)
{
	buf_printf(&r->content, "%s|%u|%s",
	    bind->address != NULL ? bind->address : "*", bind->port, suffix);
	return render_id(r, 'P')->name;
}
