/*
 * books_parts.h - the books from inside, for books*.c only
 *
 * books.c keeps bookings and counts in step; books_learn.c takes from a first token and
 * an end what they tell of their endpoint; books_untold.c gives up what is never told.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "books.h"
#include "ledger.h"

struct endpoint_view;

struct books {
	struct ledger *ledger;
	int64_t server_timeout_us;
	_Atomic bool firsts_are_told;
};

/* A server by its names, as long as the caller is online in the fleet's epoch. */
struct books_place {
	const struct endpoint_view *view;
	size_t row;
	struct endpoint_live *live;	/* NULL: nobody we know */
};

/* ---- books.c ---- */

/* What the booking has on its endpoint's counts. */
void books_give_back_helper(const struct booking_helper *h);
void books_give_back(const struct booking *k);

/* Does somebody prefill or encode for it? */
bool books_is_helped(const struct booking *k);

/* Its slot may be the same and another endpoint's by now. */
bool books_is_there(const struct booking *k, const struct endpoint_live *live);

/* The row that was picked, if the view still has it. */
struct books_place books_place_of(const struct endpoint_view *view,
    const struct booking *k);

/* ---- books_learn.c ---- */

/*
 * It took so long to compute the prompt, and what was left of those before it: half,
 * on average. If that is much, the sample says little; nothing, if another one
 * prefilled.
 */
void books_note_pace(const struct books_place *at, const struct booking *k,
    uint32_t tokens, int64_t took_us, int64_t now_us);

void books_note_latency(const struct books_place *at, const struct booking *k,
    const struct record *r, int64_t now_us);

/* Its engine has it cached behind the prompt: there it takes its room. */
void books_note_answer(const struct books_place *at, const struct booking *k,
    const struct record *r);

void books_note_outcome(const struct books_place *at, bool is_failure,
    int64_t now_us, struct counters *c);

/* HAProxy turned away from the endpoint that we chose: that is its failure. */
void books_note_move(const struct books_place *served, const struct booking *k,
    const struct record *r, int64_t now_us, struct counters *c);
