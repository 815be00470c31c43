/*
 * pool.h - one pool as the scraper's thread keeps it, and the views it gives out
 *
 * discovery -> pool_update() -> targets, one per endpoint -> pool_view() -> fleet.
 * References are counted plainly, because only the scraper's thread builds and retires.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endpoints.h"
#include "options.h"

struct books;
struct counters;
struct discover;
struct endpoint_spec;
struct engine;
struct http_client;
struct ev_loop;
struct kv_client;
struct kv_texts;
struct membership;
struct questions;
struct rng;
struct target;
struct tokenizer;
struct warm;

struct pool {
	unsigned refs;		/* the scraper, and every home and view */
	char *name;
	const struct pool_options *options;	/* NULL once it left the config */
	struct endpoint_live *live;		/* by slot */
	struct prefix_index *prefix;
	struct prefix_options prefix_options;	/* what the index was made with */
	struct warm *warm;	/* of an earlier process, for who joins; or NULL */
	int64_t warm_until_ms;

	/* NULL without a tokenizer; the last only while there are endpoints */
	struct kv_texts *texts;
	struct questions *questions;
	struct tokenizer *tokenizer;

	uint16_t *free_slots;	/* a stack */
	size_t n_free, n_slots;	/* n_slots: high-water mark */

	struct membership *members;	/* as of the last update */
	struct target **targets;	/* in the order of members->endpoints */
	size_t n_targets;
	bool is_known, is_dirty;
	uint64_t n_views;
};

/* NULL without memory. Has no endpoints yet, and options must be set. */
struct pool *pool_new(const struct pool_options *options);
void pool_unref(struct pool *p);

/* What a pool's targets need from their thread. */
struct pool_context {
	struct ev_loop *loop;
	struct http_client *http;
	struct kv_client *kv;		/* NULL: no pool wants it, or no libzmq */
	struct rng *rng;
	const struct engine *(*engine)(void *data, const char *name);
	void *data;
	struct books *books;		/* NULL: there is no feedback */
	int64_t reconcile_after_ms;
	struct counters *counters;	/* of the scraper's thread */
};

/*
 * The set is this now. Endpoints that stay (same name, host, address, port, labels)
 * keep their slot, numbers and prefix memory; `renew` makes their fetches anew, and
 * the tokenizer's connections, for changed options. 0, or -ENOMEM with nothing changed.
 */
int pool_update(struct pool *p, const struct pool_context *context,
    const struct endpoint_spec *specs, size_t n, bool renew);

/* Starts what is due: fetches, questions to the tokenizer. */
void pool_beat(struct pool *p, int64_t now_ms, struct rng *rng);

/* Ends all fetches and forgets all endpoints; views live on. */
void pool_clear(struct pool *p);

/* A view of now, with one reference; NULL without memory. Clears is_dirty. */
const struct endpoint_view *pool_view(struct pool *p, int64_t now_ms);
void pool_view_ref(const struct endpoint_view *view);
void pool_view_unref(const struct endpoint_view *view);
