/*
 * sim_json.h - walks a JSON text and takes out what the caller knows
 *
 * A bounded cursor whose first error sticks: `bad` is asked once at the end.
 * Nothing is kept of what is skipped. Not a validator: odd scalars pass.
 *
 *	if (sim_json_open(&j, '{'))
 *		while (sim_json_next(&j, '}')) {
 *			key = sim_json_key(&j);
 *			... take or skip exactly one value ...
 *		}
 */
#pragma once

#include <stdbool.h>

#include "buf.h"
#include "span.h"

struct sim_json {
	const char *at, *end;
	bool bad;
};

/* The first byte of what comes next, blanks skipped; 0 at the end or if bad. */
char sim_json_peek(struct sim_json *j);

/* Enters an object or array; anything else there is bad. */
bool sim_json_open(struct sim_json *j, char bracket);

/* Before each member: true when there is one more; eats the closing bracket. */
bool sim_json_next(struct sim_json *j, char closing);

/* A member's name, escapes left as they stand. */
struct span sim_json_key(struct sim_json *j);

/* A string's text as UTF-8, appended to `out`. */
void sim_json_string(struct sim_json *j, struct buf *out);

/* A number; true and false are 1 and 0, null is 0. */
double sim_json_number(struct sim_json *j);

/* Any value; returns its bytes. */
struct span sim_json_skip(struct sim_json *j);
