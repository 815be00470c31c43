/*
 * kv_stream.h - one publisher's KV events, in order and without holes, or told so
 *
 * A SUB socket for what comes, a DEALER for what was missed (vLLM's replay endpoint, a
 * ROUTER: [delimiter, number] asks, [delimiter, number, payload] answers, number -1 ends
 * it). Reconnecting is libzmq's own work, in its own thread, as long as it does it; here
 * messages are taken as the loop comes round, so many at a time. Frames are [topic,
 * number:8, payload]. Thread of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

struct ev_loop;
struct fault;
struct kv_client;
struct kv_stream;

/*
 * What all streams of a loop share: some 16,000 of them at most, a replay under way
 * counted too. NULL with `why` filled: no libzmq, no memory.
 */
struct kv_client *kv_client_new(struct ev_loop *loop, struct fault *why);
void kv_client_free(struct kv_client *c);	/* NULL is fine */

enum kv_break {
	KV_BEGINS,	/* with number 0: its cache was empty before it */
	KV_JOINED,	/* in the middle: what was before, nobody tells */
	KV_RESTARTS,	/* another process, with an empty cache */
	KV_LOST,	/* batches are missing, and are not to be had */
};

struct kv_stream_calls {
	/* In order; what a break says holds before the next batch. */
	void (*batch)(void *data, struct span payload, bool is_replayed);
	void (*broken)(void *data, enum kv_break what);
	void (*garbage)(void *data);	/* frames that are none of ours */
};

struct kv_stream_options {
	const char *address;	/* numeric, IPv6 without brackets; not copied */
	uint16_t port, replay_port;	/* replay_port 0: there is none */
	double replay_s;	/* one may last so long; 0: ten seconds */
	double silent_s;	/* then it is connected anew; 0: a minute */
	const char *topic;	/* prefix of the topics wanted; "": all */
	const struct kv_stream_calls *calls;
	void *data;
};

/* Connects when it can, again and again. NULL with `why` filled. */
struct kv_stream *kv_stream_open(struct kv_client *c,
    const struct kv_stream_options *o, struct fault *why);
void kv_stream_close(struct kv_stream *s);	/* NULL is fine */
