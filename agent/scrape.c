/*
 * scrape.c - beat: start what is due, publish what changed
 *
 * One timer beats for all targets, so that a thousand of them cost one wakeup, and
 * the loop collects what arrives for a few milliseconds before it looks. Both keep
 * an idle agent idle; the price is that numbers are a beat older.
 */
#include "scrape.h"

#include <ev.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "arena.h"
#include "clock.h"
#include "discover.h"
#include "engine.h"
#include "epoch.h"
#include "fault.h"
#include "http.h"
#include "log.h"
#include "mailbox.h"
#include "must.h"
#include "options.h"
#include "pool.h"
#include "prefix.h"
#include "rng.h"
#include "target.h"

enum {
	MAIL_SLOTS = 64,
	BEATS_PER_INTERVAL = 10,	/* phases that targets spread over */
	BEAT_MIN_MS = 5,
	BEAT_MAX_MS = 100,
	/* Views age even when nothing arrives: stale must become visible. */
	REPUBLISH_MS = 500,
	ENGINES_ARENA_BYTES = 4096,
	ENGINES_ARENA_MAX = 1024 * 1024,
};

struct source {			/* a pool and where its endpoints come from */
	struct scraper *scraper;
	struct pool *pool;
	struct discover *discover;
	const struct endpoint_view *view;	/* the one last published */
	bool renew;			/* the next update renews all fetches */
};

/*
 * options->engines, made. A set outlives its configuration, because a fetch started
 * under it may still be read: the few there ever are go when the scraper does.
 */
struct engine_set {
	struct engine_set *older;
	struct arena *arena;
	size_t n;
	const struct engine *engines[];
};

struct scraper {
	pthread_t thread;
	struct ev_loop *loop;
	struct mailbox *mailbox;
	struct epoch *fleet;
	struct http_client *http;
	ev_timer beat;
	struct rng rng;
	int64_t republish_ms;
	bool is_dirty;			/* a pool came or went */

	struct options *options;
	struct engine_set *engines;
	struct source *sources;		/* sorted by name */
	size_t n_sources;
};

/* ---- fleets ---- */

struct fleet_box {
	struct fleet fleet;		/* first: a fleet is a box */
	const struct endpoint_view *pools[];
};

static struct fleet_box *fleet_box_new(size_t n)
{
	struct fleet_box *b = calloc(1, sizeof(*b) + n * sizeof(b->pools[0]));

	if (b == NULL)
		return NULL;
	b->fleet.pools = b->pools;
	b->fleet.n_pools = n;
	return b;
}

struct fleet *fleet_empty(void)
{
	struct fleet_box *b = fleet_box_new(0);

	return b != NULL ? &b->fleet : NULL;
}

void fleet_retire(void *fleet)
{
	struct fleet_box *b = fleet;

	for (size_t i = 0; i < b->fleet.n_pools; i++)
		pool_view_unref(b->pools[i]);
	free(b);
}

/* Pools that did not change lend their view to the new fleet. */
static bool refresh_view(struct source *s, int64_t now_ms, bool all)
{
	const struct endpoint_view *next;

	if (s->view != NULL && !s->pool->is_dirty && !all)
		return true;
	next = pool_view(s->pool, now_ms);
	if (next == NULL)
		return s->view != NULL;
	pool_view_unref(s->view);
	s->view = next;
	return true;
}

static void publish(struct scraper *s, int64_t now_ms, bool all)
{
	struct fleet_box *b;

	epoch_reclaim(s->fleet);
	for (size_t i = 0; i < s->n_sources; i++)
		if (!refresh_view(&s->sources[i], now_ms, all))
			return;		/* no memory: the old fleet stays */
	b = fleet_box_new(s->n_sources);
	if (b == NULL)
		return;
	for (size_t i = 0; i < s->n_sources; i++) {
		b->pools[i] = s->sources[i].view;
		pool_view_ref(b->pools[i]);
	}
	if (epoch_publish(s->fleet, &b->fleet) != 0) {
		fleet_retire(&b->fleet);
		return;
	}
	s->is_dirty = false;
}

static bool has_news(const struct scraper *s)
{
	for (size_t i = 0; i < s->n_sources; i++)
		if (s->sources[i].pool->is_dirty)
			return true;
	return s->is_dirty;
}

static void on_beat(EV_P_ ev_timer *timer, int revents)
{
	struct scraper *s = timer->data;
	int64_t now_ms = clock_ms();
	bool is_old = now_ms >= s->republish_ms;

	(void)loop;
	(void)revents;
	for (size_t i = 0; i < s->n_sources; i++) {
		struct pool *p = s->sources[i].pool;

		for (size_t k = 0; k < p->n_targets; k++)
			target_beat(p->targets[k], now_ms, &s->rng);
	}
	if (is_old)
		s->republish_ms = now_ms + REPUBLISH_MS;
	if (is_old || has_news(s))
		publish(s, now_ms, is_old);
}

/* ---- configuration ---- */

static const struct engine *engine_of(void *data, const char *name)
{
	const struct scraper *s = data;
	const struct engine *engine = engine_find(name);

	for (size_t i = 0; i < s->engines->n; i++)
		if (strcmp(s->engines->engines[i]->name, name) == 0)
			engine = s->engines->engines[i];
	if (engine != NULL)
		return engine;
	/* An endpoints file may name what options_load() never saw. */
	log_warn("scrape.engine", "engine=%s err=\"no such engine\" using=%s",
	    name, engine_at(0)->name);
	return engine_at(0);
}

static void on_found(void *data, const struct endpoint_spec *specs, size_t n)
{
	struct source *source = data;
	struct scraper *s = source->scraper;
	struct pool_context context = {
		.http = s->http, .rng = &s->rng, .engine = engine_of, .data = s,
	};

	if (pool_update(source->pool, &context, specs, n, source->renew) == 0)
		source->renew = false;
}

static void source_stop(struct source *s)
{
	discover_stop(s->discover);
	s->discover = NULL;
}

static void source_close(struct source *s)
{
	source_stop(s);
	pool_clear(s->pool);
	s->pool->options = NULL;
	pool_view_unref(s->view);
	pool_unref(s->pool);
}

static bool same_prefix(const struct prefix_options *a,
    const struct prefix_options *b)
{
	return a->block_tokens == b->block_tokens &&
	    a->max_match_tokens == b->max_match_tokens &&
	    a->capacity_tokens == b->capacity_tokens &&
	    a->auto_tune == b->auto_tune && a->max_bytes == b->max_bytes;
}

/* The source of that name is moved out of the old array, if it can be kept. */
static bool take_source(struct source *old, size_t n_old,
    const struct pool_options *o, struct source *out)
{
	for (size_t i = 0; i < n_old; i++)
		if (old[i].pool != NULL &&
		    strcmp(old[i].pool->name, o->name) == 0 &&
		    same_prefix(&old[i].pool->prefix_options, &o->prefix)) {
			*out = old[i];
			old[i].pool = NULL;
			out->pool->options = o;
			out->renew = true;
			return true;
		}
	return false;
}

static int by_pool_name(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	return strcmp(x->pool->name, y->pool->name);
}

/* Early in boot there may be no randomness yet; then the clock must do. */
static uint64_t random_secret(void)
{
	uint64_t secret;

	if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(secret))
		secret = (uint64_t)clock_ns();
	return secret;
}

static struct source *make_sources(struct scraper *s,
    const struct options *o)
{
	struct source *sources = calloc(o->n_pools + 1, sizeof(*sources));

	if (sources == NULL)
		return NULL;
	for (size_t i = 0; i < o->n_pools; i++) {
		struct source *source = &sources[i];

		if (take_source(s->sources, s->n_sources, &o->pools[i], source))
			continue;
		source->pool = pool_new(&o->pools[i]);
		must(source->pool != NULL);	/* at start and reload only */
		prefix_key(source->pool->prefix, random_secret());
	}
	qsort(sources, o->n_pools, sizeof(*sources), by_pool_name);
	return sources;
}

static void engine_sets_free(struct engine_set *set)
{
	while (set != NULL) {
		struct engine_set *older = set->older;

		arena_free(set->arena);
		free(set);
		set = older;
	}
}

/* NULL with the reason logged. */
static struct engine_set *make_engines(const struct options *o)
{
	struct engine_set *set = calloc(1, sizeof(*set) +
	    o->n_engines * sizeof(set->engines[0]));
	struct fault why = { 0 };
	char text[512];

	if (set == NULL)
		return NULL;
	if (o->n_engines == 0)
		return set;
	set->arena = arena_new(ENGINES_ARENA_BYTES, ENGINES_ARENA_MAX);
	for (; set->arena != NULL && set->n < o->n_engines; set->n++) {
		const struct engine_options *e = &o->engines[set->n];

		set->engines[set->n] = engine_make(e, set->arena, &why);
		if (set->engines[set->n] != NULL)
			continue;
		log_error("scrape.engine", "engine=%s err=\"%s\"", e->name,
		    fault_text(&why, text, sizeof(text)));
		break;
	}
	if (set->n == o->n_engines)
		return set;
	engine_sets_free(set);
	return NULL;
}

static void set_beat(struct scraper *s)
{
	int64_t beat_ms = BEAT_MAX_MS;

	for (size_t i = 0; i < s->n_sources; i++) {
		int64_t ms = s->sources[i].pool->options->scrape.interval_ms /
		    BEATS_PER_INTERVAL;

		beat_ms = ms < beat_ms ? ms : beat_ms;
	}
	beat_ms = beat_ms > BEAT_MIN_MS ? beat_ms : BEAT_MIN_MS;
	s->beat.repeat = (double)beat_ms / 1000.;
	ev_timer_again(s->loop, &s->beat);
	ev_set_io_collect_interval(s->loop, (double)BEAT_MIN_MS / 1000.);
}

/*
 * Stops discovery, puts the new pools where the old were, and starts it again. A pool
 * that stays keeps its slots, numbers and prefix memory, and its endpoints until its
 * source has answered anew.
 */
static void configure(struct scraper *s, struct options *o,
    struct engine_set *engines)
{
	struct options *old_options = s->options;
	struct source *old = s->sources, *next;
	size_t n_old = s->n_sources;

	for (size_t i = 0; i < n_old; i++)
		source_stop(&old[i]);
	engines->older = s->engines;
	s->engines = engines;
	next = make_sources(s, o);
	must(next != NULL);
	s->options = o;
	s->sources = next;
	s->n_sources = o->n_pools;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].pool != NULL)
			source_close(&old[i]);
	free(old);
	for (size_t i = 0; i < s->n_sources; i++) {
		struct source *source = &s->sources[i];

		source->scraper = s;
		source->discover = discover_start(s->loop,
		    source->pool->options, on_found, source);
		must(source->discover != NULL);
	}
	set_beat(s);
	s->is_dirty = true;
	publish(s, clock_ms(), true);
	options_free(old_options);
}

/* ---- the thread ---- */

/* Mail is a set of options to run by, or NULL: stop. */
static void on_mail(void *data, void *mail)
{
	struct scraper *s = data;
	struct engine_set *engines;

	if (mail == NULL) {
		ev_break(s->loop, EVBREAK_ALL);
		return;
	}
	engines = make_engines(mail);
	if (engines == NULL) {
		options_free(mail);	/* the last good ones stay */
		return;
	}
	configure(s, mail, engines);
	log_info("scrape.configured", "file=%s pools=%zu", s->options->file,
	    s->n_sources);
}

static void on_drop(void *data, void *mail)
{
	(void)data;
	options_free(mail);
}

static void *scraper_main(void *arg)
{
	struct scraper *s = arg;

	ev_run(s->loop, 0);
	return NULL;
}

static void scraper_free(struct scraper *s)
{
	for (size_t i = 0; i < s->n_sources; i++)
		source_close(&s->sources[i]);
	free(s->sources);
	ev_timer_stop(s->loop, &s->beat);
	http_client_free(s->http);
	mailbox_free(s->mailbox);
	if (s->loop != NULL)
		ev_loop_destroy(s->loop);
	engine_sets_free(s->engines);
	free(s);
}

struct scraper *scraper_start(struct epoch *fleet, struct options *options)
{
	struct scraper *s = calloc(1, sizeof(*s));
	struct engine_set *engines = make_engines(options);
	int err;

	if (s == NULL || engines == NULL)
		goto fail_memory;
	s->fleet = fleet;
	s->rng.state = (uint64_t)clock_ns();
	ev_timer_init(&s->beat, on_beat, 0., 0.);
	s->beat.data = s;
	s->loop = ev_loop_new(EVFLAG_AUTO);
	if (s->loop == NULL)
		goto fail_memory;
	s->http = http_client_new(s->loop);
	s->mailbox = mailbox_new(s->loop, MAIL_SLOTS, on_mail, on_drop, s);
	if (s->http == NULL || s->mailbox == NULL)
		goto fail_loop;
	/* Before the thread is there: whoever asks first finds a fleet. */
	configure(s, options, engines);
	err = pthread_create(&s->thread, NULL, scraper_main, s);
	if (err == 0)
		return s;
	log_error("scrape.thread", "err=\"%s\"", strerror(err));
	scraper_free(s);	/* options stay the caller's: see the header */
	return NULL;

fail_loop:
	if (s->mailbox != NULL)
		mailbox_free(s->mailbox);
	if (s->http != NULL)
		http_client_free(s->http);
	ev_loop_destroy(s->loop);
fail_memory:
	engine_sets_free(engines);
	free(s);
	return NULL;
}

void scraper_reload(struct scraper *s, struct options *options)
{
	if (mailbox_post(s->mailbox, options) == 0)
		return;
	log_error("scrape.reload", "err=\"too many reloads at once\"");
	options_free(options);
}

void scraper_stop(struct scraper *s)
{
	struct options *options;

	if (s == NULL)
		return;
	while (mailbox_post(s->mailbox, NULL) != 0)
		sched_yield();
	pthread_join(s->thread, NULL);
	options = s->options;
	scraper_free(s);
	options_free(options);
}
