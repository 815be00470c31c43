/*
 * resolver.h - DNS names to addresses, on a thread that may wait
 *
 * getaddrinfo() blocks for as long as the system's resolver likes (5 seconds a
 * server by default, see resolv.conf(5)), so one thread asks, one name after
 * the other, and answers come back on the loop. All functions are for the
 * loop's thread.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct addrinfo;
struct ev_loop;
struct resolver;

/* Numeric, without brackets, into `address`; 0, or getaddrinfo()'s EAI_. */
typedef int resolver_lookup_f(const char *host, char address[INET6_ADDRSTRLEN]);

/* `address` is NULL when that failed. Borrowed; must not stop the resolver. */
typedef void resolver_answer_f(void *data, const char *host,
    const char *address);

/* An address is its own: there is nothing to be asked. */
bool resolver_is_numeric(const char *host);

/* Asks the system: getaddrinfo(), then resolver_pick(). */
resolver_lookup_f resolver_getaddrinfo;

/*
 * The least address, IPv4 before IPv6, so that a server that shuffles its
 * answers does not move an endpoint about. False when there is none.
 */
bool resolver_pick(const struct addrinfo *list,
    char address[INET6_ADDRSTRLEN]);

/* Starts the thread. NULL when that cannot be. */
struct resolver *resolver_start(struct ev_loop *loop, resolver_lookup_f *lookup,
    resolver_answer_f *answer, void *data);

/*
 * No answers after this returned. A lookup under way, which may take as long as the
 * system's resolver lets it, is not waited for: its thread ends behind it.
 */
void resolver_stop(struct resolver *r);

/* These, in this order; what was asked before and not begun is forgotten. */
int resolver_ask(struct resolver *r, const char *const *hosts, size_t n);

/* True while something is still to be asked. */
bool resolver_is_busy(struct resolver *r);
