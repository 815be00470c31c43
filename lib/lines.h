/*
 * lines.h - a stream cut into lines, however its bytes arrive
 *
 * Both framings of RFC 6587: lines that end with a newline (HAProxy's default), and
 * "LENGTH LINE" (`log-proto octet-count`). A stream that begins with a length is the
 * latter, until no length follows; from then on it is the former. A line that lies in
 * one stretch of input whole is lent where it lies; only what an input's end cuts is
 * copied, until its rest has come. Pure; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "span.h"

enum { LINES_MAX_BYTES = 8192 };	/* of a line; those beyond are thrown away */

struct lines {
	struct buf partial;	/* the front of a line, or of a length */
	uint8_t state;
	bool is_lent;		/* partial is the line that was given out */
	size_t left;		/* of a counted line */
};

enum lines_result {
	LINES_MORE,		/* all is eaten */
	LINES_LINE,		/* `line` is one, without what frames it */
	LINES_TOO_LONG,		/* one is or will be thrown away */
};

void lines_init(struct lines *c);
void lines_fini(struct lines *c);

/*
 * Takes what it can off the front of `in`. Call until LINES_MORE. `line` borrows from
 * `in` or from here, until the next call.
 */
enum lines_result lines_next(struct lines *c, struct span *in,
    struct span *line);
