/*
 * listener.h - sockets that listen: opened, inherited, or handed on
 *
 * Whoever listens opens and closes here, so that a program that takes over from us
 * (upgrade.h), or systemd's socket activation, can provide the socket: then there is
 * never a moment in which nobody listens. All sockets are known here, by number; a
 * unix socket's file is removed with the last process that has it. Main's thread.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct fault;
struct listen_options;

enum {
	LISTENERS_MAX = 256,	/* of one process */
	LISTENERS_TEXT_MAX = LISTENERS_MAX * 12,
};

/* Texts of the environment, each may be NULL, and nothing in them is believed. */
struct listener_heritage {
	const char *listen_pid, *listen_fds;	/* sd_listen_fds(3) */
	const char *sockets;			/* listener_text() of our parent */
};

/*
 * Takes the listening sockets named there over; to be called before anything is
 * opened. `self` is our pid: systemd says whom its sockets are for.
 */
void listener_inherit(const struct listener_heritage *from, pid_t self);

/*
 * A bound, listening, non-blocking socket: the one inherited for this address, or a
 * new one. -1 with `why` filled.
 */
int listener_open(const struct listen_options *l, struct fault *why);

/* The file of a unix socket goes too, unless it is shared or systemd's. */
void listener_close(int fd);

/* Closes what was inherited and nobody opened, with a line in the log for each. */
void listener_close_unused(void);

/*
 * From share to unshare another process has the same sockets: files stay. Inherited
 * from a parent they are shared from the start.
 */
void listener_share(void);
void listener_unshare(void);

/* The open ones, for a child: their numbers; and a text for its heritage. */
size_t listener_list(int fds[LISTENERS_MAX]);
const char *listener_text(char out[LISTENERS_TEXT_MAX]);
