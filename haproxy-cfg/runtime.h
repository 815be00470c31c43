/*
 * runtime.h - HAProxy's command line, over its unix sockets
 *
 * management.txt section 9.3 (a worker's stats socket) and 9.4 (the master's). A
 * connection a command, which HAProxy closes when it has answered: what was said and
 * what was meant can never be out of step. Blocking, each call within a deadline. One
 * thread.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

enum {
	RUNTIME_NAME_BYTES = 64,
	/* A line of commands; HAProxy's default tune.bufsize holds it. */
	RUNTIME_LINE_MAX_BYTES = 15000,
};

struct runtime {
	const char *socket;	/* path of the worker's stats socket */
	const char *master;	/* of the master's; NULL: nobody can reload */
	int timeout_ms;
	struct buf answer;	/* to the last command */
	char said[512];		/* what was unexpected in it */
};

/* Of what the calls below return: nobody is there. */
static inline bool runtime_is_absent(int err)
{
	return err == -ECONNREFUSED || err == -ENOENT;
}

void runtime_init(struct runtime *r, const char *socket, const char *master);
void runtime_fini(struct runtime *r);

/*
 * Sends `command`, which ends in a line feed, and reads to the end into r->answer,
 * NUL-terminated. 0 or -errno: -ETIMEDOUT, -ECONNREFUSED, -ENOENT, ...
 */
int runtime_ask(struct runtime *r, const char *command, size_t len);

/*
 * The same for commands that say nothing, or that it is done, when they worked.
 * -EPROTO, and `said`, when HAProxy says anything else.
 */
int runtime_do(struct runtime *r, const char *command, size_t len);

/* Who answers: process id and `description` of its global section. */
int runtime_identify(struct runtime *r, int *pid,
    char description[RUNTIME_NAME_BYTES]);

/*
 * Has the master start anew; returns once the new worker, described so, answers.
 * -ETIMEDOUT when that did not come; -EPROTO when the master says that it failed; -EBUSY
 * when somebody else's reload is under way, and was for a second.
 */
int runtime_reload(struct runtime *r, const char *description, int wait_ms);
