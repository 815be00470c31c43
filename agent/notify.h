/*
 * notify.h - the payload of a NOTIFY in, the actions of its ACK out
 *
 * No socket and no thread of its own, so that a test or a fuzzer can ask as HAProxy
 * does. The `pick` message and its arguments are the contract with HAProxy, see
 * the README. Worker's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct books;
struct counters;
struct endpoint_view;
struct fleet;
struct reader;
struct request;
struct rng;
struct writer;

/* What answering needs; all of it the caller's. */
struct notify {
	const struct fleet *fleet;
	struct arena *arena;		/* reset before each message */
	struct rng *rng;
	struct counters *counters;
	struct books *books;		/* NULL: there is no feedback */
	int64_t now_us;			/* clock_us() */
	bool is_overloaded;		/* answer at once, without scheduling */
	/* Lets a request wait and copies all of it. False: it cannot. NULL: none may. */
	bool (*hold)(void *data, const struct endpoint_view *view,
	    const struct request *request);
	void *data;
};

enum notify_result {
	NOTIFY_ANSWERED,
	NOTIFY_HELD,	/* what was appended is void: the answer comes later */
};

/*
 * Answers each message in turn and always appends one action at least: a message that
 * is not ours is skipped, and what cannot be read ends the payload. Only a payload of
 * one message may be held.
 */
enum notify_result notify_answer(const struct notify *n, struct reader *payload,
    struct writer *out);
