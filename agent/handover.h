/*
 * handover.h - open connections go over to the process that takes our place
 *
 * A question that crosses our goodbye gets no answer: HAProxy fails it at once. So in
 * an upgrade (upgrade.h) nobody is told goodbye who can be handed over. The old process
 * makes a pair of sockets and starts the new one with one end of it. When the new one
 * serves it says that it takes; from then on each message is one connection: its
 * descriptor, the agreed frame size, and the front of a frame that was read already.
 * What nobody has read yet stays in the socket, for the new one. The end of the stream
 * is the end of the handover.
 *
 * A message that was sent is final: the old process closes its descriptor. Should the
 * new one die before it takes it, the kernel closes the connection and HAProxy opens
 * another, as when any agent dies. One that says nothing, or says it otherwise, since it
 * is of another version, is handed nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "span.h"

struct ev_loop;
struct handover;

enum {
	/* The front of a frame; with tune.bufsize 65536 each fits. */
	HANDOVER_BYTES_MAX = 65536,
};

/* ---- the old process ---- */

/* Our end; `*theirs` is the caller's to pass on and close. NULL: errno says why. */
struct handover *handover_open(int *theirs);

/* Has the new process said that it takes? Before any handover_give(); one thread. */
bool handover_is_awaited(struct handover *h);

/*
 * 0: it is the other process's, and `fd` has only to be closed. Else nothing has left:
 * -EAGAIN, not now; -EMSGSIZE, not with that many bytes; another, never again. Does not
 * block. Any thread.
 */
int handover_give(struct handover *h, int fd, uint32_t max_frame,
    struct span bytes);

/* ---- the new process ---- */

/* One connection, as it came. */
struct handed {
	int fd;			/* connected, non-blocking; -1: somebody took it */
	uint32_t max_frame;	/* 0: HAProxy has not said hello */
	size_t len;		/* HANDOVER_BYTES_MAX at most */
	uint8_t bytes[];
};

/* Closes `fd` too. */
void handed_free(struct handed *c);

/* Takes `c` over. */
typedef void handover_f(void *data, struct handed *c);

/*
 * The end that process `from` has left us as `fd`. NULL: it is none of its, and is left
 * alone; or no memory.
 */
struct handover *handover_inherit(int fd, pid_t from);

/* Says that we take, and does; until the other end is closed, or handover_close(). */
void handover_take(struct handover *h, struct ev_loop *loop,
    handover_f *on_handed, void *data);

/* ---- both ---- */

/* What is still under way to us is closed. NULL is fine. */
void handover_close(struct handover *h);
