/*
 * sim_conn.h - one client's connection: requests in, answers out, in turn
 *
 * Answers are only collected by the calls below; the bytes leave before the loop
 * sleeps again, one write a connection and turn. So these calls never free the
 * connection and may be made from anywhere on the loop's thread. The owner's
 * on_gone() is called at most once, when the connection dies with an answer
 * still owed, and never after sim_conn_end().
 */
#pragma once

#include <ev.h>
#include <sys/queue.h>

#include "buf.h"
#include "sim_request.h"

struct sim_conn;

/* What the server side does for its connections. */
struct sim_conn_owner {
	void (*on_request)(struct sim_conn *c, struct sim_request *r);
	void (*on_gone)(struct sim_conn *c);
	void (*on_drain)(struct sim_conn *c);	/* asked for, all was sent */
};

LIST_HEAD(sim_conn_list, sim_conn);

/* Once per loop, before the first connection. */
void sim_conn_setup(struct ev_loop *loop);

/*
 * Takes `fd` over, in any case; -ENOMEM if it had to be closed. The connection
 * enters `list` and leaves it when it dies. Every answer carries the lines of
 * `headers`, which the caller keeps.
 */
int sim_conn_adopt(int fd, const struct sim_conn_owner *owner,
    struct sim_conn_list *list, void *server, const char *headers);

void *sim_conn_server(const struct sim_conn *c);
void *sim_conn_job(const struct sim_conn *c);
void sim_conn_set_job(struct sim_conn *c, void *job);

/* A whole answer. `headers` are lines with CR LF, or NULL. */
void sim_conn_reply(struct sim_conn *c, int status, const char *type,
    const char *headers, const struct span *parts, size_t n_parts);

/* An answer in chunks: start, any number of chunks, end. */
void sim_conn_start(struct sim_conn *c, int status, const char *type,
    const char *headers);
void sim_conn_chunk(struct sim_conn *c, struct span bytes);
void sim_conn_end(struct sim_conn *c);

/* Calls on_drain() once all that is owed so far was sent. */
void sim_conn_want_drain(struct sim_conn *c);

/* Reset by RST, after what was collected so far. */
void sim_conn_reset(struct sim_conn *c);

/* Answers from now on say that the connection closes; an idle one does now. */
void sim_conn_retire(struct sim_conn *c);

/* The next of the same list, or NULL. */
struct sim_conn *sim_conn_next(const struct sim_conn *c);

void sim_conn_retire_all(struct sim_conn_list *list);
void sim_conn_free_all(struct sim_conn_list *list);
