/*
 * live.h - what of an endpoint outlives its views: counts, averages, the breaker
 *
 * One element per slot of a pool, atomics only. Requests and tokens in flight carry
 * the generation of their slot: once the endpoint has left and the slot is another's,
 * what comes back late for the old one changes nothing. So no count is ever negative,
 * whatever vanishes and returns. The memory is never given back to the system while
 * the process lives, because a booking may point into it long after its pool is gone.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ewma.h"

/* See outlier.h for who moves it and when. */
enum breaker_state {
	BREAKER_CLOSED,		/* serves */
	BREAKER_OPEN,		/* ejected */
	BREAKER_HALF_OPEN,	/* one request may try it */
	BREAKER_TRIAL,		/* that request is under way */
};

/* Generation in the upper half, count in the lower. */
struct live_count {
	_Atomic uint64_t word;
};

struct endpoint_live {
	/*
	 * Counts only upward and wraps: what is in flight but not yet in the scraped
	 * numbers is picked - endpoint_stats.settled, in 32-bit arithmetic.
	 */
	_Atomic uint32_t picked;
	_Atomic uint16_t n_failures;	/* in a row, as feedback tells them */
	_Atomic uint16_t n_ejections;	/* lately: each one lasts longer */
	struct live_count requests;	/* booked and not ended */
	struct live_count tokens;	/* uncached prompt tokens not yet prefilled */
	struct ewma ttft_us;		/* pick to first token */
	struct ewma token_us;		/* between tokens, estimated: books.h */
	struct ewma error_rate;		/* 0..1 */
	_Atomic uint16_t breaker;	/* enum breaker_state */
	_Atomic bool is_witnessed;	/* its engine tells what runs there */
	_Atomic uint32_t ejected_s;	/* clock_ms() / 1000 + 1, last time */
	_Atomic int64_t due_ms;		/* of the breaker's next move; 0: none */
};

struct heat;

enum {
	LIVE_SESSIONS = 1 << 17, LIVE_HEAT = 1 << 14,
	PACE_ADAPTERS = 10, PACE_FILL_MS = 60000,
};

/*
 * How fast it has been, for who wants to foretell a wait. Apart from endpoint_live,
 * which every pick walks over; by slot, like it.
 */
struct endpoint_pace {
	/* Prompt tokens a second, of requests that had a place in the batch at once. */
	struct ewma prefill_rate;
	struct ewma base_us;		/* to a first token when next to nothing is computed */
	struct ewma serve_us;		/* from the first token to the end */
	_Atomic uint32_t batch;		/* run at once when others wait; 0: none did */
	_Atomic int64_t busy_until_ms;	/* clock_ms(): then all is computed, by rate */
	_Atomic uint64_t filled;	/* blocks, by minutes: lately.h */
	_Atomic uint64_t adapters[PACE_ADAPTERS];	/* sent there, latest first */
};

/* Which process its engine is: target.h writes, warm.h keeps it beyond ours. */
struct engine_life {
	_Atomic int64_t started_ms;	/* Unix time; 0: not told */
	_Atomic uint64_t served;	/* a counter of it; 0: not told */
};

/* Of a pool. What it points to is touched by those who use it only; may be NULL. */
struct pool_live {
	_Atomic uint32_t n_held;	/* requests that wait: flow.h */
	_Atomic uint32_t n_cold;	/* cold requests: scorer_no_hit_lru.c */
	_Atomic uint64_t *cold;		/* by slot: the last one there */
	_Atomic uint64_t *sessions;	/* LIVE_SESSIONS of them: plugins/session.h */
	struct heat *heat;		/* LIVE_HEAT of them: heat.h */
	struct endpoint_pace *pace;	/* by slot */
	struct engine_life *lives;	/* by slot */
};

/* As many elements as a pool may have slots, zeroed, touched as they are used. NULL
 * without memory. Any thread. */
struct endpoint_live *live_new(void);

struct pool_live *pool_live_of(struct endpoint_live *live);

/* Every slot below `n_slots` gets a new generation; the next live_new() may have it. */
void live_release(struct endpoint_live *live, size_t n_slots);

/* The slot is another endpoint's from now on. Keeps `picked`. */
void live_renew(struct endpoint_live *l);
void pace_renew(struct endpoint_pace *p);

/*
 * A page of its engine's metrics: more than `running` at once do not fit while others
 * are queued.
 */
void pace_page(struct endpoint_pace *p, uint32_t running, uint32_t queued);

/* So many blocks of prompts were sent there that its cache did not hold. */
void pace_fill(struct endpoint_pace *p, uint32_t blocks, int64_t now_ms);

/* How many in the last one to two times PACE_FILL_MS. */
uint32_t pace_filled(const struct endpoint_pace *p, int64_t now_ms);

/* An adapter was sent there: it is the latest now. */
void pace_adapter(struct endpoint_pace *p, uint64_t adapter);

/*
 * For who knows that the slot is still its endpoint's: a view names it. False, and
 * nothing changed, when the count would leave its 32 bits.
 */
bool live_count_add(struct live_count *c, uint32_t n);

/* False, and nothing changed, when the slot is of another generation by now. */
bool live_count_sub(struct live_count *c, uint32_t generation, uint32_t n);

/* Inline, as the next: asked of every endpoint for a pick. */
static inline uint32_t live_generation(const struct endpoint_live *l)
{
	return (uint32_t)(atomic_load_explicit(&l->requests.word,
	    memory_order_relaxed) >> 32);
}

static inline uint32_t live_count_get(const struct live_count *c)
{
	return (uint32_t)atomic_load_explicit(&c->word, memory_order_relaxed);
}
