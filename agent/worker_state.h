/*
 * worker_state.h - the insides of a worker, for worker.c and peer*.c only
 *
 * One thread owns it all: peers are its list, and the buffers below are shared by
 * them because only one peer is served at a time.
 */
#pragma once

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "counters.h"
#include "list.h"
#include "peer.h"
#include "rng.h"

struct arena;
struct books;
struct epoch;
struct flow_control;
struct handover;
struct mailbox;

enum {
	WORKER_READ_BYTES = 256 * 1024,		/* one read, at most */
	WORKER_OUT_BYTES = 64 * 1024,		/* answers of one write */
	/* A frame begun in one wakeup is put before the bytes of the next. */
	WORKER_IN_BYTES = PEER_MAX_FRAME + 4 + WORKER_READ_BYTES,
};

struct worker {
	size_t index;
	struct epoch *fleet;
	struct books *books;		/* NULL: there is no feedback */
	struct flow_control *flow;	/* NULL: nobody may wait */
	struct ev_loop *loop;
	struct mailbox *mailbox;
	ev_check wake;
	ev_prepare nap;
	ev_timer sweep;
	pthread_t thread;

	struct list peers;
	struct arena *arena;		/* reset before each message */
	struct rng rng;
	struct counters counters;
	int64_t woke_us;		/* when this turn of the loop began */
	bool is_draining;
	struct handover *handover;	/* while draining, where peers may go; or NULL */
	bool handover_is_full;		/* until we look again */
	int64_t handover_until_ms;
	ev_timer handover_look;
	uint8_t *in, *out;
	struct buf spare;		/* memory for a peer's part of a frame */

	bool was_drained;	/* only for the thread that calls worker_stop() */
};

/* The last peer of a draining worker ends its loop. */
void worker_forget(struct worker *w, struct peer *p);
