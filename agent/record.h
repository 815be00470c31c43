/*
 * record.h - what HAProxy's log line says of a request that is over
 *
 *	epp1 pool=%b srv=%s st=%ST ts=%tsc rc=%rc Tw=%Tw Tc=%Tc Tr=%Tr Ta=%Ta B=%B
 *	     ttft=%[var(txn.epp.ttft)] id=%ID | what follows is for humans
 *
 * in one line. The first word tells the version; then key=value, one blank between,
 * up to the word `|` or the line's end. Keys may come in any order, unknown ones are
 * skipped. A key that comes twice is refused, and `id` had better be the last: where
 * `unique-id-format` takes the id from a request header, a client writes whatever it
 * likes behind it, blanks and `|` included, and must find all other keys taken.
 *
 * Fields: HAProxy's configuration.txt, section 8.2.6 (custom log format), 8.2.3 (what
 * they mean), 8.4 (times), 8.5 (termination state). What is said of versions below was
 * measured on 2.6.12, 3.0.11 and 3.2.26; their lines are in tests/fuzz/corpus/record.
 *
 * Pure functions; spans borrow from the line; nothing allocates. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

enum { RECORD_ID_MAX = 128, RECORD_NAME_MAX = 255 };

struct record {
	struct span id;		/* %ID; empty: it had none */
	struct span pool;	/* %b; the frontend's name where none was chosen */
	struct span server;	/* %s, the last that was tried; empty: none was */
	uint16_t status;	/* %ST, whoever made it; 0: none was sent */
	char ts[2];		/* %ts or %tsc, the first two letters: who, and when */
	uint16_t n_retries;	/* %rc */
	bool is_redispatched;	/* "+" of %rc: another server than the first choice */
	bool is_early;		/* "+" of %Ta or %B, `option logasap`: not over yet */
	int64_t tw_ms, tc_ms;	/* %Tw in queues, %Tc to connect; -1: not reached */
	int64_t tr_ms, ta_ms;	/* %Tr to the response's headers, %Ta in all */
	uint64_t bytes;		/* %B to the client, headers too */
	int64_t ttft_us;	/* to the first byte; -1: none. See record_has_ttft() */
};

enum record_result {
	RECORD_OK = 0,
	RECORD_NO_ID,		/* as OK, but nobody can tell whose end this is */
	RECORD_NONE,		/* some other line */
	RECORD_BAD,		/* begins as ours does, and then not */
};

/* The word at fault, borrowed; and what would be right. */
struct record_fault {
	struct span found;
	const char *want;
};

/*
 * `line` is without its newline; a <priority> before it is skipped. `out` is filled
 * at OK and NO_ID, `why` at BAD.
 */
enum record_result record_parse(struct span line, struct record *out,
    struct record_fault *why);

enum record_blame {
	RECORD_SERVED,		/* the server did its work, whatever it answered */
	RECORD_FAILED,		/* the server is to blame */
	RECORD_NEUTRAL,		/* says nothing about the server */
};

/*
 * Says it of `server` only. Those that refused before a retry are not named in the
 * line: who knows the first choice can tell by n_retries and is_redispatched.
 */
enum record_blame record_blame(const struct record *r);

/*
 * Is ttft_us the time of an answer's first byte? A client that leaves also ends the
 * waiting for it, with a number; and a refusal's first byte is no token.
 */
bool record_has_ttft(const struct record *r);
