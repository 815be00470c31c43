/*
 * kv_socket.h - libzmq's sockets and messages, as kv_stream.c needs them
 *
 * Connecting is libzmq's own work, in its own thread. Messages are the three frames
 * [something, number:8, payload]; others are told from them and dropped whole. A frame is
 * of 8 MiB at most, or its connection ends, and 64 messages wait; of how many frames one
 * message may be libzmq knows no bound. Thread of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "span.h"
#include "zmq_table.h"

/* NULL: no descriptors left, or an address that is none. Close by zmq_table.close(). */
void *kv_socket_open(void *context, int type, const char *address, uint16_t port,
    const char *topic);

/*
 * Another connection to the same place. libzmq makes that itself after most errors, but
 * not after a peer broke the protocol or sent a frame that is too large: then the socket
 * is silent for good, and nothing tells (session_base_t::engine_error, 4.3.4).
 */
void kv_socket_renew(void *socket, const char *address, uint16_t port);

/* Readable when something has changed, once: then read until there is no more. */
int kv_socket_fd(void *socket);

/* [delimiter, number] to a ROUTER. */
void kv_socket_ask(void *socket, uint64_t number);

enum { KV_FRAMES = 3 };

struct kv_message {
	zmq_msg_t frames[KV_FRAMES];
	int n;			/* of them all, which may be more */
};

/* False: none is there. Else to be freed. */
bool kv_message_take(struct kv_message *m, void *socket);
void kv_message_free(struct kv_message *m);

/* False: it is none of ours. `payload` lives as long as the message. */
bool kv_message_read(struct kv_message *m, uint64_t *number,
    struct span *payload);
