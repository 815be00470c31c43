/*
 * sim_engine.h - one simulated engine: queue, batch, prefill, decode, KV cache
 *
 * A discrete-event model. Time is an argument; sim_engine_advance() works off
 * every event up to `now` at the moment it was due, so rates hold however late
 * the caller wakes. sim_engine_next() tells when to wake. No loop, no I/O, no
 * randomness. The sequences are the caller's and outlive their stay here. Heap;
 * one thread.
 */
#pragma once

#include "sim_kv.h"
#include "sim_lora.h"
#include "sim_seq.h"
#include "sim_stats.h"

struct sim_engine;

/* Called from sim_engine_advance(); must not call back into the engine. */
struct sim_engine_events {
	void (*on_token)(struct sim_seq *s, const char text[SIM_TOKEN_BYTES]);
	void (*on_done)(struct sim_seq *s);	/* the engine forgot it */
};

struct span;

/* What the cache does, for KV events. Called as the events above. */
struct sim_engine_watch {
	/* `n` blocks in a row, of that text; `parent` NULL at a prompt's beginning. */
	void (*stored)(void *data, const uint64_t *parent, const uint64_t *names,
	    uint32_t n, struct span text);
	sim_kv_removed_f *removed;
	void *data;
};

struct sim_engine *sim_engine_new(const struct sim_options *o,
    const struct sim_engine_events *events);
void sim_engine_free(struct sim_engine *e);

/* Could this sequence ever run here, were the engine empty? */
bool sim_engine_can_hold(const struct sim_engine *e, const struct sim_seq *s);

/* 0, or -ENOMEM with nothing changed. Call sim_engine_advance() after. */
int sim_engine_submit(struct sim_engine *e, struct sim_seq *s, int64_t now_ns);

/* Its client went away. Nothing happens to one that is done or was never in. */
void sim_engine_cancel(struct sim_engine *e, struct sim_seq *s);

void sim_engine_advance(struct sim_engine *e, int64_t now_ns);

/* When the next event is due; INT64_MAX when idle. */
int64_t sim_engine_next(const struct sim_engine *e);

/*
 * Nanoseconds from now to its first token, were it submitted now: exact but for
 * blocks that run out, and for who is already waiting behind a full batch, whose
 * places are taken to be free as soon as those that run have ended.
 */
int64_t sim_engine_forecast(const struct sim_engine *e, const struct sim_seq *s,
    int64_t now_ns);

/* From birth on; NULL is nobody. */
void sim_engine_watch(struct sim_engine *e, const struct sim_engine_watch *w);

/* Forgets all that nobody holds; vLLM's reset_prefix_cache. */
void sim_engine_clear(struct sim_engine *e);

/* As if restarted, but for what is running: cache and counters are empty. */
void sim_engine_reset(struct sim_engine *e);

/* What a picker looks at. A share of the blocks: those that are held. */
struct sim_load {
	uint32_t running, waiting;
	double kv_usage;
};

struct sim_load sim_engine_load(const struct sim_engine *e);
struct sim_stats *sim_engine_stats(struct sim_engine *e);
const struct sim_lora *sim_engine_lora(const struct sim_engine *e);
