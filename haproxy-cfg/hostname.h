/*
 * hostname.h - host names of listeners and routes: wildcards, intersection,
 * precedence
 *
 * A name is in lower case, "*.a.b" for every name of whatever depth below a.b
 * (not a.b itself), or NULL for any. Gateway API v1.6.1, Listener.hostname and
 * HTTPRouteSpec.hostnames. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Does every host that `name` stands for fall under `pattern`? */
bool hostname_covers(const char *pattern, const char *name);

/* The hosts that both stand for: the narrower of the two; false: none. */
bool hostname_intersect(const char *a, const char *b, const char **out);

/*
 * The more specific first: names before wildcards before any, longer wildcards
 * before shorter ones; what is as specific in the order of strcmp().
 */
int hostname_order(const char *a, const char *b);

/* Names without wildcards, sorted by strcmp(), each once. */
struct hostnames {
	const char *const *items;
	size_t n;
};

bool hostnames_has(const struct hostnames *h, const char *name);

/* Is one of them under `pattern`? */
bool hostnames_any(const struct hostnames *h, const char *pattern);
