/*
 * load_client.h - sends one completion request at a time over a kept connection
 *
 * A call is its owner's storage; between load_client_send() and on_end() it is
 * the client's. on_end() never runs inside of load_client_send(). No request is
 * ever sent twice: a kept connection that breaks is an error like any other.
 * Main thread.
 */
#pragma once

#include <ev.h>
#include <sys/queue.h>

#include "buf.h"
#include "load_options.h"

enum load_outcome {
	LOAD_OK, LOAD_CONNECT, LOAD_RESET, LOAD_CLOSED, LOAD_TIMEOUT,
	LOAD_STATUS_429, LOAD_STATUS_503, LOAD_STATUS_5XX, LOAD_STATUS_4XX,
	LOAD_STATUS_OTHER, LOAD_MALFORMED, LOAD_INCOMPLETE, LOAD_STREAM_ERROR,
	LOAD_N_OUTCOMES
};

struct load_conn;
struct load_session;

struct load_call {
	LIST_ENTRY(load_call) link;	/* the owner's */
	void *owner;
	struct load_session *session;
	struct buf body;
	int64_t due_us;			/* times count from here */

	/* What became of it. */
	enum load_outcome outcome;
	int status;
	int64_t first_us, last_us, end_us;	/* 0: never came */
	int64_t gap_max_us;
	uint64_t n_events;		/* with content */
	long long prompt_tokens, completion_tokens, cached_tokens, queue_ms;
	char server[64];
	struct buf answer;		/* as the inside of a JSON string */

	/* The client's. */
	struct load_client *client;
	struct load_conn *conn;
	struct ev_timer timeout;
	bool is_finished;		/* the stream's [DONE] was seen */
};

struct load_client {
	struct ev_loop *loop;
	const struct load_options *options;
	void (*on_end)(struct load_call *call);
	LIST_HEAD(, load_conn) idle;
	LIST_HEAD(, load_conn) busy;
	struct buf head;		/* of all requests, up to the length */
	uint64_t n_connects;
};

void load_client_init(struct load_client *c, struct ev_loop *loop,
    const struct load_options *o, void (*on_end)(struct load_call *call));
void load_client_fini(struct load_client *c);

void load_call_init(struct load_call *call);
void load_call_fini(struct load_call *call);

void load_client_send(struct load_client *c, struct load_call *call);
