/*
 * cmd_watch.c - follow the manifests for as long as we run
 *
 * One loop, one thread: a change is read, planned, rendered and applied in one go; what
 * comes meanwhile is there for the next. What HAProxy refuses is in the statuses beside
 * the configuration, and the last good one stays.
 */
#include "command.h"

#include <errno.h>
#include <ev.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "arena.h"
#include "clock.h"
#include "log.h"
#include "output.h"
#include "sd_notify.h"
#include "setup.h"
#include "status.h"
#include "store.h"
#include "watch.h"

enum { WATCHES_MAX = 64 };

struct watcher {
	struct setup setup;
	struct ev_loop *loop;
	struct apply *apply;
	struct watch *watches[WATCHES_MAX];
	size_t n_watches;
	ev_timer due, whole;
	int64_t ahead_ms;	/* since when the whole is owed; 0: it is not */
	int64_t whole_ms;	/* how long the last one took */
	ev_signal stop[2], again;
	/* Statuses wait until traffic has changed; then they are for people. */
	struct translation told;
	bool has_told;
	ev_timer tell, trim;
};

static const double TELL_S = 0.5, TRIM_S = 5.0, SOON_S = 0.001;
/*
 * The whole follows what was put ahead of it when nothing more came for twice the time
 * that it takes; while changes go on and on, a tenth of the time is given to it.
 */
enum { QUIET_MIN_MS = 50, QUIET_MAX_MS = 1000, WITHIN_MIN_MS = 500,
	WITHIN_MAX_MS = 5000 };

static const char *const result_names[] = {
	[APPLY_DONE] = "done", [APPLY_LATER] = "later",
	[APPLY_WRITTEN] = "written", [APPLY_REFUSED] = "refused",
	[APPLY_FAILED] = "failed",
};

static void log_report(const struct apply_report *r)
{
	if (r->result == APPLY_REFUSED || r->result == APPLY_FAILED)
		log_error("apply", "result=%s why=\"%s\"",
		    result_names[r->result], r->text);
	else
		log_info("apply", "result=%s reloaded=%d maps=%zu servers=%zu "
		    "certs=%zu%s%s%s", result_names[r->result], r->reloaded,
		    r->map_changes, r->server_changes, r->cert_changes,
		    r->text[0] != '\0' ? " why=\"" : "", r->text,
		    r->text[0] != '\0' ? "\"" : "");
}

/* ---- statuses ------------------------------------------------------------------- */

/* Nobody's lines: then it is every Gateway's trouble. */
static void refuse(struct translation *t, const struct apply_report *r)
{
	struct plan_problem items[64];
	struct plan_problems refused = { .items = items };
	const char *text = arena_copy(t->arena, r->text, strlen(r->text));

	if (text == NULL)
		return;
	if (r->blamed.name != NULL)
		items[refused.n++] = (struct plan_problem){ r->blamed,
			PLAN_REFUSED, "Invalid", text };
	for (size_t i = 0; i < t->plan.n_binds && refused.n < 64 &&
	    r->blamed.name == NULL; i++)
		items[refused.n++] = (struct plan_problem){
			t->plan.binds[i].ref, PLAN_REFUSED, "Invalid", text };
	status_refuse(&t->statuses, &refused, t->arena);
}

static void forget_told(struct watcher *w)
{
	if (w->has_told)
		translation_free(&w->told);
	w->has_told = false;
}

static void on_tell(EV_P_ ev_timer *timer, int revents)
{
	struct watcher *w = timer->data;
	int err;

	(void)loop;
	(void)revents;
	if (!w->has_told)
		return;
	err = setup_write_status(&w->setup, &w->told, true);
	if (err != 0)
		log_error("status", "dir=%s error=\"%s\"", w->setup.dir,
		    strerror(-err));
	forget_told(w);
	store_sweep(w->setup.store);
	ev_timer_stop(w->loop, &w->trim);
	ev_timer_set(&w->trim, TRIM_S, 0.);
	ev_timer_start(w->loop, &w->trim);
}

/* Plans come and go, and are large; not while one follows the other. */
static void on_trim(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	malloc_trim(0);
}

/* ---- applying --------------------------------------------------------------------- */

static void set_due(struct watcher *w)
{
	int64_t due = apply_due_ms(w->apply), left = due - clock_ms();

	ev_timer_stop(w->loop, &w->due);
	if (due < 0)
		return;
	ev_timer_set(&w->due, left > 0 ? (double)left / 1000. : SOON_S, 0.);
	ev_timer_start(w->loop, &w->due);
}

static void on_due(EV_P_ ev_timer *timer, int revents)
{
	struct watcher *w = timer->data;
	struct apply_report report;

	(void)loop;
	(void)revents;
	apply_tick(w->apply, clock_ms(), &report);
	if (report.reloaded || report.result == APPLY_REFUSED ||
	    report.result == APPLY_FAILED)
		log_report(&report);
	set_due(w);
}

static void translate_and_apply(struct watcher *w)
{
	struct setup *s = &w->setup;
	int64_t from = clock_ms();
	struct apply_report report;
	struct output *output;

	forget_told(w);
	ev_timer_stop(w->loop, &w->whole);
	w->ahead_ms = 0;
	/* All of the store is read now; changes may never stop for long. */
	store_forget_changes(s->store);
	store_sweep(s->store);
	apply_expect(w->apply);
	if (translate(s->store, s->flags->controller, &s->options, &w->told)
	    != 0) {
		log_error("translate", "error=\"no memory\"");
		return;
	}
	w->has_told = true;
	output = w->told.output;
	w->told.output = NULL;
	apply_output(w->apply, output, clock_ms(), &report);
	if (report.result == APPLY_REFUSED)
		refuse(&w->told, &report);
	log_report(&report);
	w->whole_ms = clock_ms() - from;
	ev_now_update(w->loop);
	ev_timer_stop(w->loop, &w->tell);
	ev_timer_set(&w->tell, TELL_S, 0.);
	ev_timer_start(w->loop, &w->tell);
	set_due(w);
}

/* ---- ahead of the whole --------------------------------------------------------- */

static void on_whole(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	translate_and_apply(timer->data);
}

static int64_t clamp(int64_t ms, int64_t low, int64_t high)
{
	return ms < low ? low : ms > high ? high : ms;
}

static void owe_whole(struct watcher *w, int64_t now)
{
	int64_t quiet = clamp(2 * w->whole_ms, QUIET_MIN_MS, QUIET_MAX_MS);
	int64_t within = clamp(10 * w->whole_ms, WITHIN_MIN_MS, WITHIN_MAX_MS);

	if (w->ahead_ms == 0)
		w->ahead_ms = now;
	within = clamp(w->ahead_ms + within - now, 1, quiet);
	ev_now_update(w->loop);
	ev_timer_stop(w->loop, &w->due);
	ev_timer_stop(w->loop, &w->whole);
	ev_timer_set(&w->whole, (double)within / 1000., 0.);
	ev_timer_start(w->loop, &w->whole);
}

/* New routes and paths have traffic in a fraction of the time that all of them take. */
static bool get_ahead(struct watcher *w)
{
	struct setup *s = &w->setup;
	int64_t now = clock_ms();
	struct apply_report report;
	struct output *part;
	bool done;

	part = translate_ahead(s->store, s->flags->controller, &s->options);
	done = part != NULL && apply_ahead(w->apply, part, now, &report);
	output_free(part);
	if (!done)
		return false;
	log_debug("apply.ahead", "maps=%zu", report.map_changes);
	owe_whole(w, now);
	return true;
}

static void on_change(void *data)
{
	struct watcher *w = data;
	const struct flags *f = w->setup.flags;
	bool changed = false;

	if (store_sync(w->setup.store, f->paths, f->n_paths, &changed) != 0) {
		log_error("store", "error=\"no memory\"");
		return;
	}
	setup_tell_bad_files(&w->setup);
	if (!changed)
		return;		/* what is to be told yet is true still */
	forget_told(w);
	if (!get_ahead(w))
		translate_and_apply(w);
}

/*
 * Each pass takes and frees megabytes, in blocks. Left to itself malloc learns to keep
 * such blocks in its heap, where what lives on between them holds all of it.
 */
static void set_malloc(void)
{
	enum { BLOCK_BYTES = 128 << 10 };

	mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES);
	mallopt(M_TRIM_THRESHOLD, BLOCK_BYTES);
}

/* ---- from start to stop -------------------------------------------------------------- */

static void on_stop(EV_P_ ev_signal *signal, int revents)
{
	(void)signal;
	(void)revents;
	ev_break(EV_A_ EVBREAK_ALL);
}

static void on_again(EV_P_ ev_signal *signal, int revents)
{
	(void)loop;
	(void)revents;
	on_change(signal->data);
}

static void start_signals(struct watcher *w)
{
	static const int stops[] = { SIGTERM, SIGINT };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 2; i++) {
		ev_signal_init(&w->stop[i], on_stop, stops[i]);
		ev_signal_start(w->loop, &w->stop[i]);
	}
	ev_signal_init(&w->again, on_again, SIGHUP);
	w->again.data = w;
	ev_signal_start(w->loop, &w->again);
}

static bool start_watches(struct watcher *w)
{
	const struct flags *f = w->setup.flags;

	for (size_t i = 0; i < f->n_paths && i < WATCHES_MAX; i++) {
		w->watches[i] = watch_start(w->loop, f->paths[i], on_change, w);
		if (w->watches[i] == NULL)
			return false;
		w->n_watches++;
	}
	return true;
}

static int run(struct watcher *w)
{
	const struct flags *f = w->setup.flags;

	w->loop = ev_default_loop(0);
	w->apply = apply_new(&(struct apply_options){ .dir = w->setup.dir,
	    .haproxy = f->haproxy, .socket = f->socket, .master = f->master,
	    .reload_interval_ms = APPLY_RELOAD_INTERVAL_MS });
	if (w->loop == NULL || w->apply == NULL)
		return COMMAND_FAILED;
	ev_timer_init(&w->due, on_due, 0., 0.);
	ev_timer_init(&w->whole, on_whole, 0., 0.);
	ev_timer_init(&w->tell, on_tell, 0., 0.);
	ev_timer_init(&w->trim, on_trim, 0., 0.);
	w->due.data = w->whole.data = w->tell.data = w;
	start_signals(w);
	if (!start_watches(w))
		return COMMAND_FAILED;
	/* What changed between loading and watching is not missed. */
	on_change(w);
	if (!w->has_told)
		translate_and_apply(w);
	sd_notify_send(getenv("NOTIFY_SOCKET"), "READY=1");
	ev_run(w->loop, 0);
	if (w->ahead_ms != 0)
		translate_and_apply(w);
	if (w->has_told)
		setup_write_status(&w->setup, &w->told, true);
	return COMMAND_OK;
}

int cmd_watch(const struct flags *flags)
{
	struct watcher w = { .n_watches = 0 };
	int code;

	set_malloc();
	if (!setup_open(&w.setup, flags, true))
		return COMMAND_FAILED;
	if (flags->verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	code = run(&w);
	for (size_t i = 0; i < w.n_watches; i++)
		watch_stop(w.watches[i]);
	forget_told(&w);
	apply_free(w.apply);
	setup_close(&w.setup);
	return code;
}
