/*
 * kv_feed.h - one endpoint's KV events, from its sockets into the prefix index
 *
 * `prefix: {kvEvents: {...}}` of a pool. A publisher a data-parallel rank, at ports in
 * a row. What each breakage means for the index:
 *
 *	begins			the cache was empty: blocks are counted from here on
 *	restarts		so it is again: purged, and counted
 *	joined in the middle	what the index has stays; nothing is counted
 *	lost			what is missing may have been a removal: purged
 *	garbage			said once a second; what is followed is forgotten
 *
 * Without libzmq the pool goes on without events, and says so. Scraper's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct home;
struct kv_feed;
struct pool_context;

/* NULL: the pool wants none, or it cannot be had now (logged, once a second at most). */
struct kv_feed *kv_feed_open(const struct home *home,
    const struct pool_context *context);
void kv_feed_close(struct kv_feed *f);		/* NULL is fine */

/* Is it what the options of the home's pool say now? */
bool kv_feed_is_current(const struct kv_feed *f);

/* Now and then. */
void kv_feed_beat(struct kv_feed *f, int64_t now_ms);

/* Of a prompt that may be there: kv_track_learned(). */
void kv_feed_learned(struct kv_feed *f, const uint64_t *chain, uint32_t n);

/* The engine is another process, or sleeps: scraping found out first. */
void kv_feed_reset(struct kv_feed *f);
