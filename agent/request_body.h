/*
 * request_body.h - the JSON body of each API we know, in one pass
 *
 * Fills the request's model, flags and limits, and gathers its prompt. Sets
 * r->status and r->message when the body is not what its path calls for. Worker's
 * thread; rows of fields are in the .c file.
 */
#pragma once

struct prompt;
struct request;

void request_read_body(struct request *r, struct prompt *prompt);
