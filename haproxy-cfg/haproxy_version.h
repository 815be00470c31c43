/*
 * haproxy_version.h - which HAProxy is it?
 *
 * As 100 * major + minor: 206 is 2.6.
 */
#pragma once

struct fault;

/* "3.2", "3.2.7", "2.6.12-1+deb12u1"; 0 for what is none. */
unsigned haproxy_version_of(const char *text);

/*
 * Runs `program -v`, found by PATH. 0; -errno with `why` filled. Blocks until it
 * ends, which takes some milliseconds.
 */
int haproxy_version_ask(const char *program, unsigned *out, struct fault *why);
