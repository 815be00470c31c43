/*
 * http_target.h - what http.c and http_io.c share; nobody else includes it
 *
 * http.c owns targets, deadlines and the list of fetches under way; http_io.c
 * moves one fetch along its connection. One loop's thread.
 */
#pragma once

#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "buf.h"
#include "http.h"
#include "http_head.h"

enum { HTTP_READ_BYTES = 65536 };

/* Beside enum http_result: the fetch goes on. */
enum { HTTP_GOING = -1 };

enum http_state {
	HTTP_STATE_IDLE,	/* no fetch; a kept connection may be open */
	HTTP_STATE_CONNECTING,
	HTTP_STATE_SENDING,
	HTTP_STATE_HEAD,
	HTTP_STATE_BODY,
	HTTP_STATE_FAILED,	/* the next sweep calls on_done */
};

TAILQ_HEAD(http_targets, http_target);

struct https_client;
struct https_target;

struct http_client {
	struct ev_loop *loop;
	struct http_targets busy;
	size_t n_busy, n_targets;
	ev_timer sweep;			/* at armed_ms, or inactive */
	int64_t armed_ms;
	struct https_client *https;	/* made with the first https target */
	char bytes[HTTP_READ_BYTES];	/* what recv() just brought */
};

struct http_target {
	struct http_client *client;
	struct https_target *https;	/* then nothing below is used */
	bool (*on_body)(void *data, const void *bytes, size_t len);
	void (*on_done)(void *data, enum http_result result, int status);
	void *data;

	TAILQ_ENTRY(http_target) busy;
	int64_t deadline_ms;
	ev_io io;			/* active as long as `fd` is open */
	int fd;
	enum http_state state;
	enum http_result failed;	/* of HTTP_STATE_FAILED */
	bool is_reused;			/* `fd` carried a fetch before */
	bool has_answered;		/* a byte came for this fetch */

	struct buf cut_head;		/* a head that recv() cut */
	struct http_head head;
	struct http_chunked chunked;
	uint64_t body_bytes;		/* had so far */

	size_t max_bytes, sent;
	struct span head_out, body_out;	/* of the request under way */
	struct buf post_head;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
	size_t request_len;
	char request[];
};

/* http_io.c: sends the request, connecting first where needed. */
void http_io_start(struct http_target *t);

/* Closes the connection, if there is one. */
void http_io_close(struct http_target *t);

/* The watcher's callback. */
void http_io_ready(EV_P_ ev_io *io, int revents);

/* http.c: the target's deadline was moved forward. */
void http_target_hurry(struct http_target *t);

/* http.c: the fetch is over. The caller may not touch `t` after it. */
void http_target_finish(struct http_target *t, enum http_result result);
