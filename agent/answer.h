/*
 * answer.h - a pick, as the variables HAProxy's rules read
 *
 * The contract with HAProxy: names, types and meaning of each variable are the rows
 * of answer.c. All in scope txn; HAProxy adds the prefix ("epp"). Always at least one
 * action, because HAProxy 3.1.0 to 3.1.3 hung on an empty ACK. Worker's thread.
 */
#pragma once

struct pick;
struct writer;

/* An ACK needs no more than this: actions of all variables at their longest. */
enum { ANSWER_MAX_BYTES = 8192 };

/* Appends the actions; text that would not fit the bound is cut. */
void answer_write(struct writer *w, const struct pick *pick);
