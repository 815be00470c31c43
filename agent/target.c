/*
 * target.c - due, fetch, read, settle, back off
 *
 * Settling: picks made before the fetch before this one began are taken to be in the
 * numbers that this one brings. An engine counts a request at its next step, tens of
 * milliseconds after we sent it there; counting it twice for one interval is cheaper
 * than not at all. A fetch that fails settles too, so that an endpoint without numbers
 * is compared by what it was sent lately and not since ever.
 */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "books.h"
#include "clock.h"
#include "counters.h"
#include "engine.h"
#include "fault.h"
#include "home.h"
#include "http.h"
#include "kv_feed.h"
#include "life.h"
#include "log.h"
#include "pool.h"
#include "prefix.h"
#include "rng.h"

enum {
	DOWN_AFTER_FAILURES = 3,	/* refused this often in a row: down */
	BACKOFF_MAX_MS = 1000,
	JITTER_PERCENT = 10,
	FIRST_WITHIN_MS = 50,
	UNSCRAPED_SETTLE_MS = 1000,	/* scraping off: forget picks at this pace */
	FEED_AGAIN_MS = 5000,		/* descriptors may be there by then */
};

/* More is booked than the engine has: since when, and the least it ever was since. */
struct excess {
	int64_t since_ms;	/* 0: it is not so */
	int64_t seen_ms;	/* last time */
	uint32_t least;
};

struct target {
	struct home *home;
	const struct pool_context *context;
	const struct engine *engine;
	struct http_target *http;	/* NULL: scraping is off, or no address */
	struct engine_scan *scan;
	struct kv_feed *feed;	/* NULL: its pool wants none, or not to be had */
	int64_t feed_due_ms;	/* then it is tried again */
	int64_t due_ms;
	uint32_t marks[2];	/* picked, when the last two fetches began */
	unsigned n_failures;	/* in a row */
	unsigned n_refused;	/* in a row: nobody listens there */
	enum http_result last_result;
	int last_status;
	bool ready;
	bool was_down;		/* it restarted, if it comes back */
	bool has_begun;		/* its first fetch, at least */
	bool is_asleep;
	struct excess excess;
	struct endpoint_stats stats;
	struct endpoint_extras extras;	/* ours: extras_keep() */
};

static const struct scrape_options *options_of(const struct target *t)
{
	return &t->home->pool->options->scrape;
}

static struct endpoint_live *live_of(const struct target *t)
{
	return &t->home->pool->live[t->home->slot];
}

static struct endpoint_pace *pace_of(const struct target *t)
{
	return &pool_live_of(t->home->pool->live)->pace[t->home->slot];
}

static struct engine_life *life_of(const struct target *t)
{
	return &pool_live_of(t->home->pool->live)->lives[t->home->slot];
}

static void settle(struct target *t)
{
	t->stats.settled = t->marks[1];
}

static void mark(struct target *t)
{
	t->marks[1] = t->marks[0];
	t->marks[0] = atomic_load_explicit(&live_of(t)->picked,
	    memory_order_relaxed);
}

uint32_t target_capacity(uint32_t engine_block_tokens, uint32_t engine_blocks,
    uint32_t block_tokens)
{
	uint64_t n = (uint64_t)engine_block_tokens * engine_blocks / block_tokens;

	return n < UINT16_MAX ? (uint32_t)n : UINT16_MAX;
}

/* Tokens the engine says it can keep, as blocks of ours. */
static void tune_prefix(struct target *t, const struct engine_reading *r)
{
	const struct prefix_options *o = &t->home->pool->prefix_options;

	if (!o->auto_tune || r->block_tokens == 0 || r->n_blocks == 0)
		return;
	prefix_set_capacity(t->home->pool->prefix, t->home->slot,
	    target_capacity(r->block_tokens, r->n_blocks, o->block_tokens));
}

/* Nobody listened there for a while, another process does now, or it sleeps. */
static bool lost_its_cache(const struct target *t,
    const struct engine_reading *r)
{
	return t->was_down || r->is_asleep != t->is_asleep ||
	    life_is_another(life_of(t), r);
}

/* Booked, and sent so long ago that this page must have seen it. */
static uint32_t booked(const struct target *t)
{
	const struct endpoint_live *l = live_of(t);
	uint32_t in_flight = live_count_get(&l->requests);
	uint32_t unsettled = atomic_load_explicit(&l->picked,
	    memory_order_relaxed) - t->marks[1];

	return in_flight > unsettled ? in_flight - unsettled : 0;
}

/* Between pages too far apart nobody knows what was. */
static void note_excess(struct target *t, uint32_t more)
{
	struct excess *e = &t->excess;
	int64_t now_ms = t->stats.seen_ms;

	if (e->since_ms == 0 ||
	    now_ms - e->seen_ms > options_of(t)->stale_ms)
		*e = (struct excess){ .since_ms = now_ms, .least = more };
	e->seen_ms = now_ms;
	e->least = more < e->least ? more : e->least;
}

/*
 * Streams whose last bytes HAProxy is still sending make a short excess; one that
 * lasts is made of requests whose end we were not told.
 */
static void reconcile(struct target *t, const struct engine_reading *r)
{
	struct excess *e = &t->excess;
	uint64_t there = (uint64_t)r->queued + r->running;
	uint32_t mine = booked(t), more = mine > there ? mine - (uint32_t)there : 0;
	size_t n;

	live_of(t)->is_witnessed = r->has_queued && r->has_running;
	if (more == 0 || !live_of(t)->is_witnessed || t->context->books == NULL) {
		e->since_ms = 0;
		return;
	}
	note_excess(t, more);
	if (e->seen_ms - e->since_ms < t->context->reconcile_after_ms)
		return;
	n = books_write_off(t->context->books, live_of(t), e->least,
	    e->since_ms * 1000);
	e->since_ms = 0;
	counter_add(t->context->counters->written_off, n);
	if (n > 0)
		log_info("books.written_off", "pool=%s endpoint=%s requests=%zu",
		    t->home->pool->name, t->home->name, n);
}

static void take_reading(struct target *t, const struct engine_reading *r)
{
	bool is_first = t->stats.seen_ms == 0;

	if (lost_its_cache(t, r)) {
		prefix_purge(t->home->pool->prefix, t->home->slot);
		if (t->feed != NULL)
			kv_feed_reset(t->feed);
		log_info("scrape.restarted", "pool=%s endpoint=%s asleep=%d "
		    "prefix=purged", t->home->pool->name, t->home->name,
		    r->is_asleep);
		is_first = true;
	}
	t->was_down = false;
	t->is_asleep = r->is_asleep;
	life_note(life_of(t), r);
	if (r->has_queued)
		t->stats.queued = r->queued;
	if (r->has_running)
		t->stats.running = r->running;
	if (r->has_kv_used)
		t->stats.kv_used = r->kv_used;
	if (r->has_queued && r->has_running)
		pace_page(pace_of(t), r->running, r->queued);
	extras_keep(&t->extras, &r->extras);
	t->stats.seen_ms = clock_ms();
	if (is_first)
		tune_prefix(t, r);
	reconcile(t, r);
}

static void log_change(const struct target *t, enum http_result result,
    int status)
{
	const struct home *h = t->home;

	if (result == HTTP_OK && status / 100 == 2)
		log_info("scrape.ok", "pool=%s endpoint=%s addr=%s engine=%s",
		    h->pool->name, h->name, h->addr_text, t->engine->name);
	else
		log_warn("scrape.failed", "pool=%s endpoint=%s addr=%s "
		    "result=\"%s\" status=%d", h->pool->name, h->name,
		    h->addr_text, http_result_name(result), status);
}

static bool on_body(void *data, const void *bytes, size_t len)
{
	struct target *t = data;

	return engine_scan_feed(t->scan, bytes, len) == PROM_OK;
}

static void on_done(void *data, enum http_result result, int status)
{
	struct target *t = data;
	struct engine_reading reading;

	if (result == HTTP_OK && status / 100 == 2 &&
	    engine_scan_end(t->scan, &reading) == PROM_OK) {
		take_reading(t, &reading);
		t->n_failures = 0;
	} else {
		if (result == HTTP_OK && status / 100 == 2)
			result = HTTP_ABORTED;	/* not this engine's metrics */
		t->n_failures++;
	}
	t->n_refused = result == HTTP_CONNECT ? t->n_refused + 1 : 0;
	if (t->n_refused >= DOWN_AFTER_FAILURES)
		t->was_down = true;
	settle(t);
	if (result != t->last_result || status != t->last_status)
		log_change(t, result, status);
	t->last_result = result;
	t->last_status = status;
	t->home->pool->is_dirty = true;
}

/* An interval, twice as long with each failure; then jitter. The first is any part
 * of one, so that targets made together do not stay together. */
static int64_t next_delay_ms(const struct target *t, struct rng *rng)
{
	int64_t delay = t->http != NULL ? options_of(t)->interval_ms :
	    UNSCRAPED_SETTLE_MS;
	int64_t most = delay > BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS;
	uint32_t spread;

	for (unsigned i = DOWN_AFTER_FAILURES;
	     i < t->n_failures && delay < most; i++)
		delay *= 2;
	delay = delay < most ? delay : most;
	if (!t->has_begun)
		return rng_below(rng, (uint32_t)delay) + 1;
	spread = (uint32_t)(delay * 2 * JITTER_PERCENT / 100) + 1;
	return delay - spread / 2 + rng_below(rng, spread);
}

static void beat_feed(struct target *t, int64_t now_ms)
{
	if (t->feed != NULL) {
		kv_feed_beat(t->feed, now_ms);
	} else if (now_ms >= t->feed_due_ms) {
		t->feed_due_ms = now_ms + FEED_AGAIN_MS;
		target_follow(t);
	}
}

void target_beat(struct target *t, int64_t now_ms, struct rng *rng)
{
	if (now_ms < t->due_ms ||
	    (t->http != NULL && http_target_is_busy(t->http)))
		return;
	t->due_ms = now_ms + next_delay_ms(t, rng);
	t->has_begun = true;
	beat_feed(t, now_ms);
	mark(t);
	if (t->http == NULL) {
		settle(t);
		t->home->pool->is_dirty = true;
		return;
	}
	engine_scan_begin(t->scan);
	http_target_get(t->http, now_ms + options_of(t)->timeout_ms);
}

static int open_http(struct target *t, const struct pool_context *context)
{
	const struct scrape_options *o = options_of(t);
	struct http_target_options h = {
		.https = o->https,
		.host = t->home->host,
		.address = t->home->address,
		.port = o->port != 0 ? o->port : t->home->port,
		.path = o->path,
		.max_bytes = o->max_bytes,
		.insecure_skip_verify = o->insecure_skip_verify,
		.ca_file = o->ca_file,
		.on_body = on_body,
		.on_done = on_done,
		.data = t,
	};
	struct fault why = { 0 };
	char text[512];

	t->scan = engine_scan_new(t->engine);
	if (t->scan == NULL)
		return -1;
	t->http = http_target_new(context->http, &h, &why);
	if (t->http != NULL || !why.is_set)
		return t->http != NULL ? 0 : -1;
	log_error("scrape.open", "pool=%s endpoint=%s err=\"%s\"",
	    t->home->pool->name, t->home->name,
	    fault_text(&why, text, sizeof(text)));
	return 0;	/* an endpoint without numbers is still an endpoint */
}

struct target *target_new(struct home *home,
    const struct pool_context *context, const struct engine *engine)
{
	struct target *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->home = home;
	t->engine = engine;
	t->context = context;
	t->ready = true;
	t->last_result = HTTP_ABORTED;	/* so that the first one is logged */
	home->refs++;
	t->marks[0] = t->marks[1] = t->stats.settled =
	    atomic_load(&live_of(t)->picked);
	t->feed_due_ms = clock_ms() + FEED_AGAIN_MS;
	/* Known soon, however long the interval; the fetch after spreads them. */
	t->due_ms = clock_ms() + rng_below(context->rng, FIRST_WITHIN_MS);
	if (options_of(t)->enabled && home->address != NULL &&
	    open_http(t, context) != 0) {
		target_free(t);
		return NULL;
	}
	return t;
}

void target_follow(struct target *t)
{
	if (t->feed == NULL)
		t->feed = kv_feed_open(t->home, t->context);
}

void target_learned(struct target *t, const uint64_t *chain, uint32_t n)
{
	if (t->feed != NULL)
		kv_feed_learned(t->feed, chain, n);
}

void target_free(struct target *t)
{
	if (t == NULL)
		return;
	kv_feed_close(t->feed);
	http_target_free(t->http);
	engine_scan_free(t->scan);
	extras_fini(&t->extras);
	home_unref(t->home);
	free(t);
}

struct home *target_home(const struct target *t)
{
	return t->home;
}

const struct engine *target_engine(const struct target *t)
{
	return t->engine;
}

void target_set_ready(struct target *t, bool ready)
{
	t->ready = ready;
}

/* One that goes on has missed nothing. */
static void take_feed(struct target *t, struct target *old)
{
	if (old->feed == NULL || !kv_feed_is_current(old->feed))
		return;
	t->feed = old->feed;
	old->feed = NULL;
}

void target_inherit(struct target *t, struct target *old)
{
	t->stats = old->stats;
	extras_keep(&t->extras, &old->extras);
	t->was_down = old->was_down;
	take_feed(t, old);
	memcpy(t->marks, old->marks, sizeof(t->marks));
	if (t->http == NULL || old->http == NULL)
		return;		/* nobody will ask it again: not down for ever */
	t->is_asleep = old->is_asleep;
	t->n_failures = old->n_failures;
	t->n_refused = old->n_refused;
}

static enum endpoint_health health_of(const struct target *t, int64_t now_ms)
{
	bool is_stale = t->stats.seen_ms == 0 ||
	    now_ms - t->stats.seen_ms > options_of(t)->stale_ms;

	if (is_stale)
		live_of(t)->is_witnessed = false;
	if (!t->ready || t->is_asleep || t->n_refused >= DOWN_AFTER_FAILURES)
		return ENDPOINT_DOWN;
	return is_stale ? ENDPOINT_STALE : ENDPOINT_FRESH;
}

struct endpoint_stats target_stats(const struct target *t, int64_t now_ms)
{
	struct endpoint_stats stats = t->stats;

	stats.slot = t->home->slot;
	stats.is_current = stats.seen_ms != 0 && now_ms - stats.seen_ms <=
	    t->home->pool->options->saturation.stale_ms;
	stats.health = (uint8_t)health_of(t, now_ms);
	return stats;
}

const struct endpoint_extras *target_extras(const struct target *t)
{
	return &t->extras;
}
