/*
 * peer_parts.h - a peer from inside, for peer*.c only
 *
 * peer.c opens and ends it; peer_io.c moves its bytes; peer_frames.c says what each
 * frame means; peer_held.c keeps those of its asks that wait.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "list.h"
#include "peer.h"
#include "span.h"
#include "spop.h"
#include "writer.h"

struct endpoint_view;
struct request;

enum peer_state {
	PEER_NEW,	/* waits for HAPROXY-HELLO */
	PEER_OPEN,	/* asks and answers */
	PEER_GOODBYE,	/* all is said; what still comes is thrown away */
};

struct peer {
	struct list link;
	struct worker *worker;
	ev_io readable, writable;
	int64_t deadline_ms;		/* 0: none */
	uint32_t max_frame;
	enum spop_status status;	/* why a step refused to go on */
	enum peer_state state;
	struct buf partial;		/* the front of a frame */
	struct buf unsent;
	struct list held;		/* asks that wait: held.h */
};

/* ---- peer.c ---- */

/* Of a worker that drains: closes it, if nobody waits for an answer on it. */
void peer_end_drained(struct peer *p);

/* ---- peer_io.c ---- */

/* Reads once, answers all that is whole. False: the connection is over. */
bool peer_serve(struct peer *p);

/* One write for all that was answered. False: the connection is lost. */
bool peer_flush(struct peer *p, struct writer *out);

void peer_on_readable(EV_P_ ev_io *io, int revents);
void peer_on_writable(EV_P_ ev_io *io, int revents);

/* Puts them behind what is in `b`, one of the peer's two; buf_failed() tells. */
void peer_keep(struct peer *p, struct buf *b, const void *bytes, size_t len);

/* Gives the memory of an empty one back, if it is much. */
void peer_trim(struct peer *p, struct buf *b);

/* ---- peer_frames.c ---- */

/* Cuts `in` into frames; returns what is left of it. False: connection lost. */
bool peer_take_frames(struct peer *p, struct span *in, struct writer *out);

/* Says why and hears no more; HAProxy closes, or the sweep does. */
void peer_say_goodbye(struct peer *p, struct writer *out,
    enum spop_status status);

/* An ACK over the agreed size would cost HAProxy's connection: say less. */
void peer_fit_ack(struct peer *p, uint64_t stream_id, uint64_t frame_id,
    struct writer *out, size_t begun);

/* ---- peer_held.c ---- */

struct peer_notified {
	struct peer *peer;
	const struct spop_frame *frame;
};

/* notify.h's `hold`; `data` is a struct peer_notified. */
bool peer_hold(void *data, const struct endpoint_view *view,
    const struct request *request);

/* Nobody is there any more to be answered. */
void peer_forget_all_held(struct peer *p);
