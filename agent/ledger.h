/*
 * ledger.h - every request under way, by the id that HAProxy gave it
 *
 * A booking says on whose counts a request is, so that they are given back exactly
 * once: whoever removes the booking gives back, and only one can. Fixed size; past it
 * a request is not booked, which its caller must be able to live with.
 *
 * Sharded by id, one short lock a shard, nothing allocated after birth. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

struct endpoint_live;
struct held;
struct ledger;

enum { BOOKING_HELPERS = 2 };

/* On whose counts a request is beside its own endpoint's, until its first token. */
struct booking_helper {
	struct endpoint_live *live;	/* NULL: nobody's */
	uint32_t generation, tokens;
};

struct booking {
	struct endpoint_live *live;	/* NULL: nobody serves it yet */
	struct held *waits;		/* then, who */
	struct endpoint_live *chosen;	/* by the pick: live may have moved since */
	uint32_t generation;		/* of live's slot when it was booked */
	uint32_t chosen_generation;
	uint32_t tokens;		/* on live->tokens */
	uint32_t ahead;			/* of them, when it was picked: pick.h */
	uint32_t max_tokens;		/* of pick.h */
	uint64_t last_block;
	int64_t picked_us, first_us;	/* clock_us(); first token: 0, not yet */
	bool is_stream;
	struct booking_helper helpers[BOOKING_HELPERS];
	struct endpoint_live *entry;	/* forwards to `live`; NULL: nobody does */
	uint32_t entry_generation;
};

/*
 * Has room for so many, whichever they are, and for some more: a fifth of 65536. NULL
 * without memory. `secret`: ids cannot be aimed at one shard.
 */
struct ledger *ledger_new(size_t max_bookings, uint64_t secret);
void ledger_free(struct ledger *l);

/* Of an id, which must not be empty; never 0. Two ids share one by accident only. */
uint64_t ledger_key(const struct ledger *l, struct span id);

enum ledger_result {
	LEDGER_OK,
	LEDGER_REPLACED,	/* one of that id is in `*old` now, to be given back */
	LEDGER_WAITING,		/* one of that id waits; nothing changed */
	LEDGER_FULL,
};

enum ledger_result ledger_put(struct ledger *l, uint64_t key,
    const struct booking *b, struct booking *old);

/* Removes it into `*out`. False: there is none. */
bool ledger_take(struct ledger *l, uint64_t key, struct booking *out);

/* Only one that `is_it` says so of, under its shard's lock. */
bool ledger_take_if(struct ledger *l, uint64_t key,
    bool (*is_it)(const struct booking *b, const void *data), const void *data,
    struct booking *out);

/* Changes it in place, under its shard's lock. False: there is none. */
bool ledger_change(struct ledger *l, uint64_t key,
    void (*change)(struct booking *b, void *data), void *data);

/*
 * Removes those that `is_over` says so of, `max` at most, and shows each to `gone`,
 * both under the shard's lock; returns how many. Looks at every booking: for now
 * and then, not per request.
 */
size_t ledger_sweep(struct ledger *l, size_t max,
    bool (*is_over)(const struct booking *b, void *data),
    void (*gone)(const struct booking *b, void *data), void *data);

/* Shows each to `change`, under its shard's lock. Looks at every booking too. */
void ledger_visit(struct ledger *l,
    void (*change)(struct booking *b, void *data), void *data);

size_t ledger_count(const struct ledger *l);
