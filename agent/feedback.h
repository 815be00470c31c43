/*
 * feedback.h - hears from HAProxy which requests are over: its log lines, by TCP
 *
 * Each HAProxy process keeps one connection open (`ring` with a `server`), whether it
 * has something to say or not, and makes a new one whenever ours is gone. We only ever
 * read. What a peer sends is untrusted: a line costs no memory but that of its last
 * part until the rest has come, one that is too long is thrown away to its end, and a
 * flood gets a few reads a turn of the loop. Lives on the loop it was opened on, and on
 * that one's thread.
 *
 * What never comes: a HAProxy process that is being replaced closes its ring at once,
 * so requests that outlive a reload are not told to have ended (2.6, 3.0 and 3.2; its
 * src/sink.c, "if stopping was requested, close immediately"). Nor are those whose
 * lines were under way when we went; all others of that time come when we are back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct fault;
struct feedback;
struct listen_options;
struct record;

enum {
	FEEDBACK_CONNECTIONS_MAX = 256,	/* those beyond are closed at once */
};

/*
 * What is told, on the loop's thread. Not to be answered with feedback_close().
 * Records borrow from the line: they are gone when `record` returns.
 */
struct feedback_calls {
	void (*begin)(void *data);	/* before the first record of a wakeup */
	void (*record)(const struct record *r, void *data);
	void (*end)(void *data);	/* behind the last; always after `begin` */
};

/* Names are Prometheus-ready. By the loop's thread only. */
#define FEEDBACK_COUNTERS(X)                                            \
	X(connections, "connections accepted")                          \
	X(refused, "connections closed at once: too many")              \
	X(lines, "lines received, whole ones")                          \
	X(records, "ends of requests among them")                       \
	X(no_id, "of these, without the request's id")                  \
	X(early, "of these, before the end: option logasap")            \
	X(bad, "lines that begin as ours and could not be read")        \
	X(other, "lines that are not ours")                             \
	X(too_long, "lines thrown away for their length")

struct feedback_counters {
#define FEEDBACK_FIELD(name, help) uint64_t name;
	FEEDBACK_COUNTERS(FEEDBACK_FIELD)
#undef FEEDBACK_FIELD
};

/* Binds and listens; does not accept yet. NULL with `why` filled. */
struct feedback *feedback_open(struct ev_loop *loop,
    const struct listen_options *listens, size_t n_listens,
    const struct feedback_calls *calls, void *data, struct fault *why);

void feedback_start(struct feedback *f);

/* Closes listeners and connections. A line that has not come whole is lost. */
void feedback_close(struct feedback *f);

const struct feedback_counters *feedback_counters(const struct feedback *f);
size_t feedback_connections(const struct feedback *f);
