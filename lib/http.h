/*
 * http.h - GET the same page from the same place, or POST to it, over and over, cheaply
 *
 * One client per loop; one target per page. A target keeps its connection alive
 * between fetches and opens a new one when it must; a kept connection that turns
 * out to be dead costs one silent retry. http:// is spoken here, directly on the
 * loop: a fetch is one send and as many recv as the page needs. https:// goes
 * through libcurl's multi interface, loaded when the first https target is made.
 * Format: RFC 9112 (status line, headers, Content-Length, chunked, until close).
 *
 * Everything runs on the loop's thread. on_done is never called from inside
 * http_target_get() or http_target_post(); it may start the next fetch, or free the
 * target. on_body may do neither.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

struct ev_loop;
struct fault;
struct http_client;
struct http_target;

enum http_result {
	HTTP_OK = 0,		/* the whole response came; see status */
	HTTP_TIMEOUT,		/* the deadline passed */
	HTTP_CONNECT,		/* refused, unreachable, TLS failed */
	HTTP_CLOSED,		/* the other side closed before the end */
	HTTP_BAD,		/* what came is not an HTTP response */
	HTTP_TOO_BIG,		/* headers over 16 KiB, or the body over max_bytes */
	HTTP_ABORTED,		/* on_body said so */
};

const char *http_result_name(enum http_result result);

struct http_target_options {
	bool https;
	const char *host;	/* for the Host header and TLS; IPv6 unbracketed */
	const char *address;	/* numeric IPv4 or IPv6 to connect to */
	uint16_t port;
	const char *path;	/* starts with '/' */
	size_t max_bytes;	/* of one body */
	bool insecure_skip_verify;	/* https only */
	const char *ca_file;	/* https only; NULL = the system's */

	/* A piece of a 2xx body. Return false to abort the fetch. */
	bool (*on_body)(void *data, const void *bytes, size_t len);
	/* Exactly once per fetch. `status` is 0 when none was read. */
	void (*on_done)(void *data, enum http_result result, int status);
	void *data;
};

/* NULL without memory. */
struct http_client *http_client_new(struct ev_loop *loop);

/* All its targets must be gone. */
void http_client_free(struct http_client *c);

/*
 * Copies the strings. NULL with `why` filled: options that make no request, https
 * without libcurl, or no memory.
 */
struct http_target *http_target_new(struct http_client *c,
    const struct http_target_options *options, struct fault *why);

/* Closes the connection; a fetch under way ends without on_done. */
void http_target_free(struct http_target *t);

/*
 * One fetch at a time per target: must not be called while one is under way.
 * `deadline_ms` is a time of clock_ms(), for the whole fetch. Bodies other than 2xx
 * are read to keep the connection, and thrown away.
 */
void http_target_get(struct http_target *t, int64_t deadline_ms);

/*
 * The same, with a body of JSON that is lent until on_done, or until the target is
 * freed. Only for what may be asked twice: a kept connection may die under it.
 */
void http_target_post(struct http_target *t, struct span body,
    int64_t deadline_ms);
bool http_target_is_busy(const struct http_target *t);
