/*
 * zmq_table.h - libzmq's functions, found when they are first needed
 *
 * As curl_table.h, and for the same reason: with what it pulls in (Kerberos, PGM, NORM,
 * sodium) libzmq would cost every agent megabytes that only precise prefix mode needs.
 * The only file that includes its header. Any thread may load; after that the table is
 * only read.
 */
#pragma once

#include <stdbool.h>
#include <zmq.h>

/* A row here is a member of the table and is looked up under its name. */
#define ZMQ_FUNCTIONS(X)  \
	X(ctx_new)        \
	X(ctx_set)        \
	X(ctx_term)       \
	X(socket)         \
	X(close)          \
	X(setsockopt)     \
	X(getsockopt)     \
	X(connect)        \
	X(disconnect)     \
	X(send)           \
	X(msg_init)       \
	X(msg_recv)       \
	X(msg_close)      \
	X(msg_data)       \
	X(msg_size)       \
	X(msg_more)

#define ZMQ_MEMBER(name) __typeof__(&zmq_##name) name;
struct zmq_table {
	ZMQ_FUNCTIONS(ZMQ_MEMBER)
};

extern struct zmq_table zmq_table;

struct fault;

/* Once for all callers; false with `why` filled when there is no libzmq. */
bool zmq_table_load(struct fault *why);
