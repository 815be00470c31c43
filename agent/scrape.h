/*
 * scrape.h - the one thread that writes what workers read
 *
 * Its loop discovers endpoints, fetches their metrics, and publishes a new fleet
 * whenever something changed, at most once per beat. Everything in sources.h, pool.h
 * and target.h runs here.
 */
#pragma once

struct books;
struct counters;
struct epoch;
struct flow_control;
struct options;
struct scraper;

/*
 * Takes `options` over. Nobody else may publish to `fleet`, whose readers must be
 * gone before the epoch is freed, and that after scraper_stop(). NULL with the reason
 * logged; options are then still the caller's. `books` (NULL: no feedback) are put right
 * by what engines tell; `flow` (NULL: nobody waits) is poked with each publication.
 */
struct scraper *scraper_start(struct epoch *fleet, struct options *options,
    struct books *books, struct flow_control *flow);

/* Live; readable from any thread until scraper_stop(). */
const struct counters *scraper_counters(const struct scraper *s);

/* Takes the new options over; the old ones are freed when no longer used. */
void scraper_reload(struct scraper *s, struct options *options);

/* Joins the thread. Views already published stay valid until their epoch goes. */
void scraper_stop(struct scraper *s);
