/*
 * peer.h - one HAProxy connection: bytes in, frames answered, bytes out
 *
 * A peer lives on one worker's loop. All that is there is read at once and every
 * complete frame of it answered; the answers of one wakeup leave in one write. A peer
 * keeps memory only for a frame that has not arrived whole and for answers that the
 * socket did not take; an idle one is a few hundred bytes. What a peer does wrong
 * costs it its connection, and nobody else anything.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct held;
struct list;
struct peer;
struct worker;

enum {
	/* Largest frame we take, whatever HAProxy offers (its tune.bufsize - 4). */
	PEER_MAX_FRAME = 1024 * 1024,
	PEER_HELLO_MAX_FRAME = 16384,	/* before the sizes are agreed */
	PEER_HELLO_TIMEOUT_MS = 5000,
	PEER_FRAME_TIMEOUT_MS = 10000,	/* for the rest of a frame begun */
	PEER_CLOSE_TIMEOUT_MS = 2000,	/* for HAProxy to close after our last word */
	/*
	 * A turn of the loop that has lasted so long has more to do than it can: what
	 * is read from then on has waited as long, and HAProxy, whose shipped `timeout
	 * processing` is 50 ms, is better off with an answer than with a good one.
	 */
	PEER_OVERLOAD_US = 20 * 1000,
};

/* Takes a connected, non-blocking socket over. NULL: no memory, fd is closed. */
struct peer *peer_open(struct worker *w, int fd);

/*
 * As peer_open(), of one that another process has answered so far: it has agreed on
 * `max_frame`, or 0 if there was no hello yet, and has read `bytes` of a frame that is
 * not whole. NULL: no memory for it.
 */
struct peer *peer_adopt(struct worker *w, int fd, uint32_t max_frame,
    const void *bytes, size_t len);
void peer_close(struct peer *p);

/* A worker's list of peers runs through their links. */
struct peer *peer_of(struct list *link);

/* Decided at last: its ACK leaves, if its peer is still there. One reference. */
void peer_answer_held(struct held *h);

/*
 * Says goodbye: DISCONNECT 0 behind all that was answered, then waits for close. While
 * there is a worker's handover it goes there instead, closed here, or stays and is
 * served: till it owes no answer and the handover has room. Call again.
 */
void peer_drain(struct peer *p);

/* Ends those that keep us waiting. Called by the worker every second. */
void peer_sweep(struct peer *p, int64_t now_ms);
