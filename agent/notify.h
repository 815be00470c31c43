/*
 * notify.h - the payload of a NOTIFY in, the actions of its ACK out
 *
 * No socket and no thread of its own, so that a test or a fuzzer can ask as HAProxy
 * does. The `pick` message and its arguments are the contract with HAProxy, see
 * the README. Worker's thread.
 */
#pragma once

struct arena;
struct counters;
struct fleet;
struct reader;
struct rng;
struct writer;

/* What answering needs; all of it the caller's. */
struct notify {
	const struct fleet *fleet;
	struct arena *arena;		/* reset before each message */
	struct rng *rng;
	struct counters *counters;
};

/*
 * Answers each message in turn and always appends one action at least: a message that
 * is not ours is skipped, and what cannot be read ends the payload.
 */
void notify_answer(const struct notify *n, struct reader *payload,
    struct writer *out);
