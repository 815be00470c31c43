/*
 * msgpack.h - MessagePack, read without a copy and without an allocation
 *
 * Source: github.com/msgpack/msgpack, spec.md. A library that builds objects believes
 * the count in an array's head before it has seen the elements: five bytes ask
 * libmsgpackc for 100 GB. Here a count beyond the bytes that are left is bad at once,
 * and nesting costs no stack. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "reader.h"
#include "span.h"

enum msgpack_type {
	MSGPACK_BAD,		/* the reader's `bad` is set */
	MSGPACK_NIL,
	MSGPACK_BOOL,
	MSGPACK_UINT,		/* zero and above, however written */
	MSGPACK_INT,		/* below zero */
	MSGPACK_FLOAT,
	MSGPACK_TEXT,		/* str; or bin: senders mix them up */
	MSGPACK_ARRAY,		/* `n` values follow */
	MSGPACK_MAP,		/* `n` pairs of values follow */
	MSGPACK_EXT,
};

struct msgpack {
	enum msgpack_type type;
	uint64_t number;	/* BOOL, UINT; INT in two's complement */
	double real;		/* FLOAT */
	struct span bytes;	/* TEXT, EXT; borrowed */
	uint32_t n;		/* ARRAY, MAP */
};

/* The head of the next value; of an array or a map its elements are still to come. */
struct msgpack msgpack_read(struct reader *r);

/* The next value with all that is in it. */
void msgpack_skip(struct reader *r);
