/*
 * books.h - what is under way where: opened by a pick, closed by HAProxy's log line
 *
 * A request is on its endpoint's counts from the pick on; its tokens until the first
 * token, its place until the end. The line that HAProxy writes when it is over, however
 * it ended, says which server really served it: then or at the first token the
 * booking moves there. Everything is given back once, by whoever removes the booking.
 * Who helps (prefills, encodes) has the request on its counts from the pick to the
 * first token, or to the end if that comes first. A server that forwards to a rank
 * (pick.h) tells of the rank: the booking does not move to it.
 *
 * What is never told to have ended is given up only on evidence:
 * - books_write_off(): an engine that shows fewer requests than are booked there, all
 *   the time for reconcileAfter, is believed: of who helps, its part is over; of who
 *   answers, all, unless somebody still prefills for it;
 * - books_expire(): without a first token, after HAProxy's `timeout server` it has cut
 *   the request by itself. Counts only where first tokens are told at all. Where
 *   nothing tells anything, six times that.
 * A line for a request that is not booked (the agent was restarted, it was given up)
 * changes no count, but is still heard for what it says of its server.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

struct books;
struct counters;
struct endpoint_live;
struct feedback_options;
struct fleet;
struct held;
struct pick;
struct record;

/* NULL without memory. */
struct books *books_new(const struct feedback_options *o, uint64_t secret);
void books_free(struct books *b);

/*
 * Takes what the pick raised over. One that cannot be booked (no id, or one that no
 * line can tell; no room) gives it back at once: then it is on the counts of the next
 * scrape only. `b` may be NULL: no feedback, nothing is booked. Any thread; `c` is the
 * caller's.
 */
void books_open(struct books *b, struct span id, struct pick *pick,
    bool is_stream, int64_t now_us, struct counters *c);

/*
 * It waits, nobody serves it yet. False: it cannot be booked, nor can its client's
 * leaving be noticed then. Any thread.
 */
bool books_hold(struct books *b, struct span id, struct held *held,
    int64_t now_us);

/*
 * A booked one waits no more. `id` is the very copy in `held` (held->ask.id), which
 * tells it from another of the same id. False: books_end() has got it already. Any
 * thread.
 */
bool books_unhold(struct books *b, struct span id);

/* Its first token has come, from that server of that pool. Any thread. */
void books_first(struct books *b, const struct fleet *fleet, struct span id,
    struct span pool, struct span server, int64_t now_us, struct counters *c);

/*
 * It is over. Main's thread. Returns what was given to books_hold() if it was still
 * waiting, else NULL.
 */
struct held *books_end(struct books *b, const struct fleet *fleet,
    const struct record *r, int64_t now_us, struct counters *c);

/* Gives up to `n` bookings of an endpoint up, made before that time. Scraper's
 * thread. Returns how many. */
size_t books_write_off(struct books *b, struct endpoint_live *live, size_t n,
    int64_t before_us);

/* Gives those up that must be long over. Returns how many. Main's thread. */
size_t books_expire(struct books *b, int64_t now_us);

size_t books_count(const struct books *b);
