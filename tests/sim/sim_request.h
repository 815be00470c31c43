/*
 * sim_request.h - one HTTP/1.1 request, taken out of a stream as it arrives
 *
 * sim_request_feed() eats from `in` what belongs to the request and no more, so
 * the next request may follow in the same buffer. No I/O. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "span.h"

enum {
	SIM_HEAD_MAX_BYTES = 64 << 10,
	SIM_BODY_MAX_BYTES = 16 << 20,
};

enum sim_request_result {
	SIM_REQUEST_MORE,	/* feed again when there is more */
	SIM_REQUEST_CONTINUE,	/* as MORE, and the client waits for a 100 */
	SIM_REQUEST_DONE,
	SIM_REQUEST_BAD,	/* answer `bad_status` and close */
};

struct sim_request {
	enum { SIM_ON_HEAD, SIM_ON_BODY, SIM_ON_CHUNK_SIZE, SIM_ON_CHUNK,
		SIM_ON_CHUNK_END, SIM_ON_TRAILER, SIM_ON_DONE } step;
	struct buf head;	/* the spans below point into it */
	struct buf body;
	struct span method, path, query;
	uint64_t n_left;	/* of the body or of its chunk */
	bool is_chunked, keep_alive, wants_continue;
	int bad_status;
};

void sim_request_init(struct sim_request *r);
void sim_request_fini(struct sim_request *r);

/* Ready for the next one; keeps some memory. */
void sim_request_clear(struct sim_request *r);

/* Has any byte of it arrived? */
bool sim_request_is_begun(const struct sim_request *r, const struct buf *in);

enum sim_request_result sim_request_feed(struct sim_request *r,
    struct buf *in);
