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
#include <stdint.h>

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
};

/* Takes a connected, non-blocking socket over. NULL: no memory, fd is closed. */
struct peer *peer_open(struct worker *w, int fd);
void peer_close(struct peer *p);

/* A worker's list of peers runs through their links. */
struct peer *peer_of(struct list *link);

/* Says goodbye: DISCONNECT 0 behind all that was answered, then waits for close. */
void peer_drain(struct peer *p);

/* Ends those that keep us waiting. Called by the worker every second. */
void peer_sweep(struct peer *p, int64_t now_ms);
