/*
 * sources.h - the configured pools, each with where its endpoints come from
 *
 * A new configuration is planned first, which may fail and changes nothing, and then
 * replaces the old one, which may not. Scraper's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discover.h"

struct endpoint_view;
struct fleet;
struct pool;
struct rng;

struct source {
	void *owner;			/* who asked for discovery */
	struct pool *pool;
	const struct pool_options *options;
	struct discover *discover;
	const struct endpoint_view *view;	/* the one last published */
	struct source *kept;		/* while planned: whose pool this goes on */
	bool renew;			/* the next update renews all fetches */
};

/* Sorted by the pool's name once they have replaced the old ones. */
struct sources {
	struct source *list;
	size_t n;
};

/* 0, or -ENOMEM with nothing made. `options` must outlive the plan. */
int sources_plan(struct sources *next, const struct sources *now,
    const struct options *options);

/* `next` becomes `now`; pools that are in both live on, the others go. */
void sources_replace(struct sources *now, struct sources *next);

/* Starts discovery; `found` gets the struct source, whose owner is `owner`. */
void sources_start(struct sources *s, struct ev_loop *loop,
    discover_found_f *found, void *owner);
void sources_close(struct sources *s);

/* Starts every fetch that is due. */
void sources_beat(struct sources *s, int64_t now_ms, struct rng *rng);

/* Has any pool something to publish? */
bool sources_are_dirty(const struct sources *s);

/*
 * A fleet of now; pools that did not change lend the view they had, unless `all`.
 * NULL without memory.
 */
struct fleet *sources_fleet(struct sources *s, int64_t now_ms, bool all);
