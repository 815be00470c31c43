/*
 * acceptor.h - listens, and hands each connection to a worker in turn
 *
 * Lives on main's loop. HAProxy keeps its connections for minutes, so spreading them
 * evenly at accept is spreading the work. Out of file descriptors, it rests a moment
 * and says so; nothing that is connected suffers.
 */
#pragma once

#include <stddef.h>

struct ev_loop;
struct fault;
struct acceptor;
struct listen_options;
struct worker;

/* Binds and listens; does not accept yet. NULL with `why` filled. */
struct acceptor *acceptor_open(struct ev_loop *loop,
    const struct listen_options *listens, size_t n_listens,
    struct fault *why);

/* `workers` must outlive the acceptor. */
void acceptor_start(struct acceptor *a, struct worker **workers,
    size_t n_workers);

/* Closes its listeners: listener.h tells what becomes of their files. */
void acceptor_close(struct acceptor *a);
