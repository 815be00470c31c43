/*
 * apply.h - bring the HAProxy that runs to an output, by the least that does it
 *
 * New routes may be served by apply_ahead() before all else. Then first the files, so
 * that a HAProxy that starts at any instant has the new answer; then the worker: by its
 * command line where that can do it, else by a reload, of which there is at most one an
 * interval. On the way a request sees the old answer or the new one: what is new comes
 * before what leads to it, what is old goes a while after. If a worker is not what it
 * should be (it died, somebody else changed it, a command failed) it is read again, then
 * reloaded. What HAProxy refuses changes nothing.
 *
 * Blocks while HAProxy answers; one thread, but for apply_stage() and apply_tidy().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"

struct output;

struct apply_options {
	const char *dir;	/* absolute; see output_files.h */
	const char *haproxy;	/* program, to check by */
	const char *socket;	/* NULL: haproxy.sock in the folder */
	const char *master;	/* NULL: master.sock in the folder */
	int64_t reload_interval_ms;	/* at least that between two */
};

enum {
	APPLY_RELOAD_INTERVAL_MS = 1000,
	APPLY_GRACE_MS = 1000,	/* what is unwanted stays so long */
	APPLY_RELOAD_WAIT_MS = 30000,
};

enum apply_result {
	APPLY_DONE,		/* HAProxy is there */
	APPLY_LATER,		/* it will be: a reload is due, see apply_due_ms() */
	APPLY_WRITTEN,		/* no HAProxy answers; the files are for the next */
	APPLY_REFUSED,		/* HAProxy refuses it: the last good one stays */
	APPLY_FAILED,		/* the world: disk, memory, a HAProxy that is stuck */
};

/* What was done, or would have to be. */
struct apply_report {
	enum apply_result result;
	bool reloaded;
	size_t map_changes, server_changes, cert_changes;
	/* APPLY_REFUSED: whose lines; name NULL: nobody's. Lent until the next call. */
	struct plan_ref blamed;
	char text[1024];	/* why not; or why a reload */
};

struct apply;

/* NULL without memory. Options are copied, strings are not. */
struct apply *apply_new(const struct apply_options *options);
void apply_free(struct apply *a);

/* Takes `wanted` over. `now_ms`: clock_ms(). */
void apply_output(struct apply *a, struct output *wanted, int64_t now_ms,
    struct apply_report *report);

/*
 * The same in three steps, for a loop that goes on during the second, which is but files
 * and `haproxy -c` and may run on any thread. From the first to the last, and during
 * apply_tidy(), only apply_ahead() may be called. apply_end() is false when a reload
 * would take away what was put ahead since apply_expect(): nothing was done then, and
 * an output that has it must follow.
 */
void apply_begin(struct apply *a, struct output *wanted, int64_t now_ms);
void apply_stage(struct apply *a);
bool apply_end(struct apply *a, int64_t now_ms, struct apply_report *report);

/*
 * Adds what translate_ahead() made to the maps of the worker, which soon gets the whole by
 * apply_output(): until then nothing is written and apply_tick() has nothing to do.
 * False: it cannot be done by adding alone, and nothing was; or it failed half way, which
 * apply_output() puts right. `part` stays the caller's.
 */
bool apply_ahead(struct apply *a, const struct output *part, int64_t now_ms,
    struct apply_report *report);

/*
 * Another output is about to be made: what is put ahead from now on may not be in it.
 * Drops what of the last one was only for people.
 */
void apply_expect(struct apply *a);

/* Is there anything for apply_tidy()? */
bool apply_is_untidy(const struct apply *a);

/*
 * Writes what is only for people and removes old files. On any thread: to make a file or
 * to remove one waits for the disk where somebody else syncs.
 */
void apply_tidy(struct apply *a);

/* When apply_tick() has something to do; -1: not by itself. */
int64_t apply_due_ms(const struct apply *a);

/* Does what is due: a reload, old entries and servers, a look at the worker. */
void apply_tick(struct apply *a, int64_t now_ms, struct apply_report *report);

/* "+", "-" or "~"; a map, "server" or "certificate"; which. */
typedef void apply_change_f(void *data, const char *sign, const char *where,
    const char *what);

/*
 * What apply_output() would do, told one by one; nothing is changed, on the disk
 * neither. A report of `reloaded` means that it would be, and says why.
 */
void apply_diff(struct apply *a, const struct output *wanted,
    apply_change_f *on_change, void *data, struct apply_report *report);
