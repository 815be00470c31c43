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

#include "buf.h"
#include "span.h"

struct ev_loop;
struct fault;
struct feedback;
struct listen_options;
struct record;

enum {
	FEEDBACK_LINE_MAX = 8192,	/* HAProxy's are 1024 unless `len` says more */
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

/* ---- a stream cut into lines; pure ---- */

/*
 * Both framings of RFC 6587: lines that end with a newline (HAProxy's default), and
 * "LENGTH LINE" (`log-proto octet-count`). A stream that begins with a length is the
 * latter, until no length follows; from then on it is the former.
 */
struct feedback_cutter {
	struct buf partial;	/* the front of a line, or of a length */
	uint8_t state;
	bool is_lent;		/* partial is the line that was given out */
	size_t left;		/* of a counted line */
};

enum feedback_cut {
	FEEDBACK_MORE,		/* all is eaten */
	FEEDBACK_LINE,		/* `line` is one, without what frames it */
	FEEDBACK_TOO_LONG,	/* one is or will be thrown away */
};

void feedback_cutter_init(struct feedback_cutter *c);
void feedback_cutter_fini(struct feedback_cutter *c);

/*
 * Takes what it can off the front of `in`. Call until FEEDBACK_MORE. `line` borrows
 * from `in` or from the cutter, until the next call.
 */
enum feedback_cut feedback_cut(struct feedback_cutter *c, struct span *in,
    struct span *line);
