/*
 * discover.c - from a source's set to what the scraper is told
 *
 * A set is copied into an arena of its own when it differs from the one before.
 * Names are resolved behind it: the first call tells them without an address,
 * and another follows when answers came in, however many, a moment later. An
 * address once found stays with its name until a better one is known.
 */
#include "discover.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "discover_source.h"
#include "log.h"
#include "resolver.h"

enum { SET_FIRST_BYTES = 4096, SET_MAX_BYTES = 256 << 20 };

static const double SETTLE_S = 0.02, AGAIN_S = 10.0;

struct host {			/* a DNS name; each once, sorted */
	const char *name;
	char address[INET6_ADDRSTRLEN];	/* empty: never resolved */
	bool is_failing;
};

struct set {
	struct arena *arena;	/* holds this struct, too */
	struct endpoint_spec *specs;
	size_t n;
	struct host *hosts;
	size_t n_hosts;
};

struct discover {
	struct ev_loop *loop;
	const struct pool_options *pool;
	discover_found_f *found;
	void *data;
	const struct discover_source *source;
	void *self;		/* the source's */
	struct set *set;	/* NULL: nothing known yet */
	struct resolver *resolver;	/* NULL until a name needs it */
	ev_timer settle, again;
};

static const struct discover_source *const sources[] = {
	[SOURCE_STATIC] = &discover_static,
	[SOURCE_FILE] = &discover_file,
	[SOURCE_HAPROXY] = &discover_haproxy,
};

/* ---- trouble of a source ---- */

void discover_trouble_set(struct discover_trouble *t,
    const struct pool_options *pool, const char *source, const char *text)
{
	if (strncmp(t->text, text, sizeof(t->text) - 1) == 0)
		return;
	snprintf(t->text, sizeof(t->text), "%s", text);
	log_warn("discover.failed", "pool=%s source=%s why=\"%s\"", pool->name,
	    source, t->text);
}

void discover_trouble_clear(struct discover_trouble *t,
    const struct pool_options *pool, const char *source)
{
	if (t->text[0] == '\0')
		return;
	t->text[0] = '\0';
	log_info("discover.recovered", "pool=%s source=%s", pool->name, source);
}

/* ---- comparing ---- */

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same_labels(const struct endpoint_spec *a,
    const struct endpoint_spec *b)
{
	if (a->n_labels != b->n_labels)
		return false;
	for (size_t i = 0; i < a->n_labels; i++)
		if (strcmp(a->labels[i].key, b->labels[i].key) != 0 ||
		    strcmp(a->labels[i].value, b->labels[i].value) != 0)
			return false;
	return true;
}

static bool is_same_spec(const struct endpoint_spec *a,
    const struct endpoint_spec *b)
{
	return a->port == b->port && a->ready == b->ready &&
	    strcmp(a->name, b->name) == 0 && strcmp(a->host, b->host) == 0 &&
	    strcmp(a->engine, b->engine) == 0 &&
	    is_same_text(a->address, b->address) && is_same_labels(a, b);
}

static bool is_same_set(const struct set *a, const struct set *b)
{
	if (a == NULL || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!is_same_spec(&a->specs[i], &b->specs[i]))
			return false;
	return true;
}

/* ---- names within a set ---- */

static int by_host_name(const void *left, const void *right)
{
	const struct host *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static struct host *find_host(const struct set *s, const char *name)
{
	const struct host key = { .name = name };

	if (s == NULL || s->n_hosts == 0)
		return NULL;
	return bsearch(&key, s->hosts, s->n_hosts, sizeof(*s->hosts),
	    by_host_name);
}

/* Numeric hosts are their own address; what is left without is a name. */
static bool collect_hosts(struct set *s)
{
	size_t n = 0, kept = 0;

	s->hosts = arena_zalloc(s->arena, s->n * sizeof(*s->hosts));
	if (s->hosts == NULL)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		struct endpoint_spec *spec = &s->specs[i];

		if (spec->address == NULL && resolver_is_numeric(spec->host))
			spec->address = spec->host;
		if (spec->address == NULL)
			s->hosts[n++].name = spec->host;
	}
	qsort(s->hosts, n, sizeof(*s->hosts), by_host_name);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 ||
		    strcmp(s->hosts[i].name, s->hosts[kept - 1].name) != 0)
			s->hosts[kept++] = s->hosts[i];
	s->n_hosts = kept;
	return true;
}

static void inherit_addresses(struct set *s, const struct set *before)
{
	for (size_t i = 0; i < s->n_hosts; i++) {
		const struct host *old = find_host(before, s->hosts[i].name);

		if (old == NULL)
			continue;
		memcpy(s->hosts[i].address, old->address, sizeof(old->address));
		s->hosts[i].is_failing = old->is_failing;
	}
}

static void point_specs(struct set *s)
{
	for (size_t i = 0; i < s->n && s->n_hosts > 0; i++) {
		const struct host *h = find_host(s, s->specs[i].host);

		if (h != NULL)
			s->specs[i].address = h->address[0] != '\0' ?
			    h->address : NULL;
	}
}

/* ---- a set of one's own ---- */

static const char *copy_text(struct arena *arena, const char *text, bool *ok)
{
	char *copy;

	if (text == NULL)
		return NULL;
	copy = arena_copy(arena, text, strlen(text));
	*ok = *ok && copy != NULL;
	return copy;
}

static bool copy_spec(struct arena *arena, const struct endpoint_spec *from,
    struct endpoint_spec *to)
{
	struct label *labels = arena_alloc(arena,
	    from->n_labels * sizeof(*labels));
	bool ok = labels != NULL;

	*to = *from;
	to->name = copy_text(arena, from->name, &ok);
	to->host = copy_text(arena, from->host, &ok);
	to->address = copy_text(arena, from->address, &ok);
	to->engine = copy_text(arena, from->engine, &ok);
	to->labels = labels;
	for (size_t i = 0; i < from->n_labels && ok; i++) {
		labels[i].key = copy_text(arena, from->labels[i].key, &ok);
		labels[i].value = copy_text(arena, from->labels[i].value, &ok);
	}
	return ok;
}

static void set_free(struct set *s)
{
	if (s != NULL)
		arena_free(s->arena);
}

static struct set *set_new(const struct endpoint_spec *specs, size_t n,
    const struct set *before)
{
	struct arena *arena = arena_new(SET_FIRST_BYTES, SET_MAX_BYTES);
	struct set *s = arena != NULL ? arena_zalloc(arena, sizeof(*s)) : NULL;

	if (s == NULL)
		goto fail;
	s->arena = arena;
	s->n = n;
	s->specs = arena_alloc(arena, n * sizeof(*specs));
	if (s->specs == NULL)
		goto fail;
	for (size_t i = 0; i < n; i++)
		if (!copy_spec(arena, &specs[i], &s->specs[i]))
			goto fail;
	if (!collect_hosts(s))
		goto fail;
	inherit_addresses(s, before);
	point_specs(s);
	return s;
fail:
	arena_free(arena);
	return NULL;
}

/* ---- names that need an answer ---- */

static void on_answer(void *data, const char *host, const char *address)
{
	struct discover *d = data;
	struct host *h = find_host(d->set, host);

	if (h == NULL)
		return;		/* gone since it was asked */
	if (!h->is_failing && address == NULL)
		log_warn("discover.unresolved", "pool=%s host=%s kept=%s",
		    d->pool->name, host, h->address);
	else if (h->is_failing && address != NULL)
		log_info("discover.resolved", "pool=%s host=%s address=%s",
		    d->pool->name, host, address);
	h->is_failing = address == NULL;
	if (address == NULL || strcmp(address, h->address) == 0)
		return;
	snprintf(h->address, sizeof(h->address), "%s", address);
	if (!ev_is_active(&d->settle)) {
		ev_timer_set(&d->settle, SETTLE_S, 0.);
		ev_timer_start(d->loop, &d->settle);
	}
}

static void ask(struct discover *d)
{
	const char **names;

	if (d->set == NULL || d->set->n_hosts == 0)
		return;
	if (d->resolver == NULL)
		d->resolver = resolver_start(d->loop, resolver_getaddrinfo,
		    on_answer, d);
	names = malloc(d->set->n_hosts * sizeof(*names));
	for (size_t i = 0; i < d->set->n_hosts && names != NULL; i++)
		names[i] = d->set->hosts[i].name;
	if (names == NULL || d->resolver == NULL ||
	    resolver_ask(d->resolver, names, d->set->n_hosts) != 0)
		log_error("discover.ask", "pool=%s hosts=%zu", d->pool->name,
		    d->set->n_hosts);	/* and again in ten seconds */
	free(names);
}

static void on_again(EV_P_ ev_timer *timer, int revents)
{
	struct discover *d = timer->data;

	(void)loop;
	(void)revents;
	if (d->resolver == NULL || !resolver_is_busy(d->resolver))
		ask(d);
}

/* ---- telling ---- */

static void tell(struct discover *d)
{
	size_t n_ready = 0;

	for (size_t i = 0; i < d->set->n; i++)
		n_ready += d->set->specs[i].ready &&
		    d->set->specs[i].address != NULL;
	log_info("discover.found", "pool=%s source=%s endpoints=%zu ready=%zu",
	    d->pool->name, d->source->name, d->set->n, n_ready);
	d->found(d->data, d->set->specs, d->set->n);
}

static void on_settle(EV_P_ ev_timer *timer, int revents)
{
	struct discover *d = timer->data;

	(void)loop;
	(void)revents;
	point_specs(d->set);
	tell(d);
}

/* From the source. */
static void on_set(void *data, const struct endpoint_spec *specs, size_t n)
{
	struct discover *d = data;
	struct set *fresh = set_new(specs, n, d->set);

	if (fresh == NULL) {
		log_error("discover.memory", "pool=%s endpoints=%zu",
		    d->pool->name, n);
		return;
	}
	if (is_same_set(d->set, fresh)) {
		set_free(fresh);
		return;
	}
	set_free(d->set);
	d->set = fresh;
	ev_timer_stop(d->loop, &d->settle);
	tell(d);
	ask(d);
}

struct discover *discover_start(struct ev_loop *loop,
    const struct pool_options *pool, discover_found_f *found, void *data)
{
	struct discover *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->loop = loop;
	d->pool = pool;
	d->found = found;
	d->data = data;
	d->source = sources[pool->source];
	ev_timer_init(&d->settle, on_settle, SETTLE_S, 0.);
	ev_timer_init(&d->again, on_again, AGAIN_S, AGAIN_S);
	d->settle.data = d->again.data = d;
	ev_timer_start(loop, &d->again);

	d->self = d->source->start(loop, pool, on_set, d);
	if (d->self == NULL) {
		discover_stop(d);
		return NULL;
	}
	return d;
}

void discover_stop(struct discover *d)
{
	if (d == NULL)
		return;
	if (d->self != NULL)
		d->source->stop(d->self);
	resolver_stop(d->resolver);
	ev_timer_stop(d->loop, &d->again);
	ev_timer_stop(d->loop, &d->settle);
	set_free(d->set);
	free(d);
}
