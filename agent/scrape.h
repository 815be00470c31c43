/*
 * scrape.h - the one thread that writes what workers read
 *
 * Its loop discovers endpoints, fetches their metrics, and publishes a new fleet
 * whenever something changed, at most once per beat. Everything in sources.h, pool.h
 * and target.h runs here.
 */
#pragma once

struct epoch;
struct options;
struct scraper;

/*
 * Takes `options` over. Nobody else may publish to `fleet`, whose readers must be
 * gone before the epoch is freed, and that after scraper_stop(). NULL with the reason
 * logged; options are then still the caller's.
 */
struct scraper *scraper_start(struct epoch *fleet, struct options *options);

/* Takes the new options over; the old ones are freed when no longer used. */
void scraper_reload(struct scraper *s, struct options *options);

/* Joins the thread. Views already published stay valid until their epoch goes. */
void scraper_stop(struct scraper *s);
