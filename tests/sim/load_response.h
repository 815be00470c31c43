/*
 * load_response.h - one HTTP/1.1 response, read as it arrives
 *
 * Any cut of the stream gives the same calls of on_body(), up to how the body's
 * bytes are grouped. No I/O. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "span.h"

enum load_response_result {
	LOAD_RESPONSE_MORE, LOAD_RESPONSE_DONE, LOAD_RESPONSE_BAD
};

struct load_response {
	enum { LOAD_ON_HEAD, LOAD_ON_LENGTH, LOAD_ON_UNTIL_CLOSE,
		LOAD_ON_CHUNK_SIZE, LOAD_ON_CHUNK, LOAD_ON_CHUNK_END,
		LOAD_ON_TRAILER, LOAD_ON_DONE } step;
	struct buf in;
	uint64_t n_left;
	int status;
	bool keep_alive, is_event_stream;
	int64_t cached_tokens, queue_ms;	/* -1: no such header */
	char server[64];			/* x-sim-server, or empty */
	void (*on_body)(void *user, struct span bytes);
	void *user;
};

void load_response_init(struct load_response *r,
    void (*on_body)(void *user, struct span bytes), void *user);
void load_response_fini(struct load_response *r);

enum load_response_result load_response_feed(struct load_response *r,
    struct span bytes);

/* The peer has closed: DONE where that ends the body, else BAD. */
enum load_response_result load_response_eof(struct load_response *r);
