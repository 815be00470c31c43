/*
 * scrape.c - beat: start what is due, publish what changed
 *
 * One timer beats for all targets, so that a thousand of them cost one wakeup, and
 * the loop collects what arrives for a few milliseconds before it looks. Both keep
 * an idle agent idle; the price is that numbers are a beat older.
 */
#include "scrape.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "counters.h"
#include "engine_set.h"
#include "epoch.h"
#include "fleet.h"
#include "flow_control.h"
#include "fault.h"
#include "http.h"
#include "kv_stream.h"
#include "log.h"
#include "mailbox.h"
#include "options.h"
#include "pool.h"
#include "rng.h"
#include "sources.h"

enum {
	MAIL_SLOTS = 64,
	BEATS_PER_INTERVAL = 10,	/* phases that targets spread over */
	BEAT_MIN_MS = 5,
	BEAT_MAX_MS = 100,
	/* Views age even when nothing arrives: stale must become visible. */
	REPUBLISH_MS = 500,
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

	struct pool_context context;	/* what targets need of us */
	struct flow_control *flow;	/* NULL: nobody waits */
	struct counters counters;
	struct kv_client *kv;		/* NULL until a pool wants events */

	struct options *options;
	struct engine_set *engines;
	struct sources sources;
};

/* ---- publishing ---- */

static void publish(struct scraper *s, int64_t now_ms, bool all)
{
	struct fleet *next;

	epoch_reclaim(s->fleet);
	next = sources_fleet(&s->sources, now_ms, all);
	if (next == NULL)
		return;		/* no memory: the old fleet stays */
	if (epoch_publish(s->fleet, next) != 0) {
		fleet_retire(next);
		return;
	}
	s->is_dirty = false;
	if (s->flow != NULL)
		flow_control_poke(s->flow);
}

static void on_beat(EV_P_ ev_timer *timer, int revents)
{
	struct scraper *s = timer->data;
	int64_t now_ms = clock_ms();
	bool is_old = now_ms >= s->republish_ms;

	(void)loop;
	(void)revents;
	sources_beat(&s->sources, now_ms, &s->rng);
	if (is_old)
		s->republish_ms = now_ms + REPUBLISH_MS;
	if (is_old || s->is_dirty || sources_are_dirty(&s->sources))
		publish(s, now_ms, is_old);
}

/* ---- configuration ---- */

static const struct engine *engine_of(void *data, const char *name)
{
	const struct scraper *s = data;

	return engine_set_find(s->engines, name);
}

static void on_found(void *data, const struct endpoint_spec *specs, size_t n)
{
	struct source *source = data;
	struct scraper *s = source->owner;

	if (pool_update(source->pool, &s->context, specs, n, source->renew) == 0)
		source->renew = false;
}

static void set_beat(struct scraper *s)
{
	int64_t beat_ms = BEAT_MAX_MS;

	for (size_t i = 0; i < s->options->n_pools; i++) {
		int64_t ms = s->options->pools[i].scrape.interval_ms /
		    BEATS_PER_INTERVAL;

		beat_ms = ms < beat_ms ? ms : beat_ms;
	}
	beat_ms = beat_ms > BEAT_MIN_MS ? beat_ms : BEAT_MIN_MS;
	s->beat.repeat = (double)beat_ms / 1000.;
	ev_timer_again(s->loop, &s->beat);
	ev_set_io_collect_interval(s->loop, (double)BEAT_MIN_MS / 1000.);
}

/* libzmq is loaded when the first pool asks for it. */
static void prepare_events(struct scraper *s, const struct options *o)
{
	struct fault why = { 0 };
	char text[640];
	bool is_wanted = false;

	for (size_t i = 0; i < o->n_pools; i++)
		is_wanted |= o->pools[i].prefix.kv.enabled;
	if (!is_wanted || s->kv != NULL)
		return;
	s->context.kv = s->kv = kv_client_new(s->loop, &why);
	if (s->kv == NULL)
		log_error("kv.client", "err=\"%s\"", fault_text(&why, text,
		    sizeof(text)));
}

/*
 * Takes `o` and `engines` over, or leaves everything as it was: what can fail comes
 * first. A pool that stays keeps its slots, numbers and prefix memory, and its
 * endpoints until its source has answered anew.
 */
static int configure(struct scraper *s, struct options *o,
    struct engine_set *engines)
{
	struct options *old_options = s->options;
	struct sources next;

	if (sources_plan(&next, &s->sources, o) != 0)
		return -ENOMEM;
	engines->older = s->engines;
	s->engines = engines;
	s->options = o;
	s->context.reconcile_after_ms = o->feedback.reconcile_after_ms;
	prepare_events(s, o);
	sources_replace(&s->sources, &next);
	sources_start(&s->sources, s->loop, on_found, s);
	set_beat(s);
	s->is_dirty = true;
	publish(s, clock_ms(), true);
	options_free(old_options);
	return 0;
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
	engines = engine_set_new(mail);
	if (engines == NULL || configure(s, mail, engines) != 0) {
		log_error("scrape.configure", "kept=\"the last good "
		    "configuration\"");
		engine_set_free(engines);
		options_free(mail);
		return;
	}
	log_info("scrape.configured", "file=%s pools=%zu", s->options->file,
	    s->options->n_pools);
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
	sources_close(&s->sources);
	kv_client_free(s->kv);
	ev_timer_stop(s->loop, &s->beat);
	http_client_free(s->http);
	mailbox_free(s->mailbox);
	if (s->loop != NULL)
		ev_loop_destroy(s->loop);
	engine_set_free(s->engines);
	free(s);
}

struct scraper *scraper_start(struct epoch *fleet, struct options *options,
    struct books *books, struct flow_control *flow)
{
	struct scraper *s = calloc(1, sizeof(*s));
	struct engine_set *engines = engine_set_new(options);
	int err;

	if (s == NULL || engines == NULL)
		goto fail_memory;
	s->fleet = fleet;
	s->flow = flow;
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
	s->context = (struct pool_context){ .loop = s->loop,
		.http = s->http, .rng = &s->rng,
		.engine = engine_of, .data = s, .books = books,
		.counters = &s->counters };
	/* Before the thread is there: whoever asks first finds a fleet. */
	if (configure(s, options, engines) != 0)
		goto fail_loop;
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
	engine_set_free(engines);
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

const struct counters *scraper_counters(const struct scraper *s)
{
	return &s->counters;
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
