/*
 * sim_events.h - KV events as vLLM publishes them: PUB, a replay ROUTER, msgpack
 *
 * Numbers from 0, the last batches kept for replay, block hashes of 8 bytes and token
 * ids, four bytes of text each. Whoever tests a subscriber may have batches withheld,
 * spoiled, or the publisher begin anew. Main thread's loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

struct ev_loop;
struct sim_events;

struct sim_events_options {
	const char *address;	/* numeric, IPv6 without brackets */
	uint16_t port, replay_port;	/* replay_port 0: none */
	const char *model;	/* of the topic, kv@ADDR:PORT@MODEL */
	uint16_t server_port;
	uint32_t block_tokens;
	bool as_maps;		/* later releases: events are maps */
};

/* NULL, said in the log. */
struct sim_events *sim_events_open(struct ev_loop *loop,
    const struct sim_events_options *o);
void sim_events_close(struct sim_events *e);

/* `n` blocks in a row; `text` is theirs; `parent` NULL at a prompt's beginning. */
void sim_events_stored(struct sim_events *e, const uint64_t *parent,
    const uint64_t *names, uint32_t n, struct span text);
void sim_events_removed(struct sim_events *e, uint64_t name);
void sim_events_cleared(struct sim_events *e);

/* Publishes what has come together, as one batch. */
void sim_events_flush(struct sim_events *e);

/* The next `n` batches are kept for replay but not sent. */
void sim_events_withhold(struct sim_events *e, uint32_t n);

/* One message that is no batch, and one that has too many frames. */
void sim_events_garbage(struct sim_events *e);

/* As another process: numbers from 0, nothing to replay. */
void sim_events_restart(struct sim_events *e);
