/*
 * held.h - one request that waits, with all that is needed to pick for it later
 *
 * The ask and what was understood of it, copied into one piece of memory; never the
 * body, of which only the block hashes stay (HAProxy keeps the body). Three may hold a
 * reference: its peer's worker until it is answered, the flow thread until it is
 * decided, and the books while it is booked: whoever takes it out of the books gets
 * that one.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "flow_queue.h"
#include "list.h"
#include "request.h"

struct peer;
struct pool_live;
struct worker;

enum held_state { HELD_NEW, HELD_WAITING, HELD_DONE };

struct held {
	_Atomic unsigned refs;

	/* Written before it is handed over, read by both. */
	struct ask ask;
	struct request request;
	struct worker *worker;
	struct pool_live *pool_live;
	bool is_booked;

	/* The flow thread's, once it is handed over. */
	struct waiter waiter;
	enum held_state state;
	bool is_gone;			/* its client has left */
	uint8_t *actions;		/* of the ACK; NULL: none of them */
	size_t n_actions;

	/* The worker's. */
	struct list in_peer;
	struct peer *peer;		/* NULL: it is gone */
	uint64_t stream_id, frame_id;
};

/*
 * Copies what it keeps; one reference. NULL without memory, or when HELD_MAX of them
 * wait in this process.
 */
struct held *held_new(const struct request *request);
void held_ref(struct held *h);
void held_unref(struct held *h);

/* Two at once: of the mail that answers it, and the worker's own. */
void held_drop(struct held *h);

/*
 * 2.6 and 3.0 open a connection for each request that waits, so this bounds file
 * descriptors too. Mailboxes are made so that each may be in them as often as it can.
 */
enum { HELD_MAX = 32768 };
