/*
 * target.h - fetching one endpoint's numbers, again and again
 *
 * A target is due at a time of its own, an interval apart with 10 % of jitter; one
 * that cannot be reached is asked less and less often, up to once a second. Its stats
 * say when they were read; whether that is too old is for pool_view() to say.
 * Scraper's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "endpoints.h"

struct engine;
struct home;
struct pool;
struct pool_context;
struct rng;

struct target;

/* Takes its own reference to `home`; `context` must outlive it. NULL: no memory. */
struct target *target_new(struct home *home,
    const struct pool_context *context, const struct engine *engine);
void target_free(struct target *t);

/* Blocks of ours that an engine's cache holds: its own are of another size. */
uint32_t target_capacity(uint32_t engine_block_tokens, uint32_t engine_blocks,
    uint32_t block_tokens);

/* Starts a fetch when one is due and none is under way. */
void target_beat(struct target *t, int64_t now_ms, struct rng *rng);

struct home *target_home(const struct target *t);
const struct engine *target_engine(const struct target *t);
void target_set_ready(struct target *t, bool ready);

/* Begins to hear its KV events, unless it has inherited that. */
void target_follow(struct target *t);

/* A tokenizer has told the tokens of a prompt: kv_track_learned(). */
void target_learned(struct target *t, const uint64_t *chain, uint32_t n);

/* Moves what is known from the target that this one replaces. */
void target_inherit(struct target *t, struct target *old);

/* Current numbers, health judged at `now_ms`. */
struct endpoint_stats target_stats(const struct target *t, int64_t now_ms);

/* As of the last page; lent until there is another. */
const struct endpoint_extras *target_extras(const struct target *t);
