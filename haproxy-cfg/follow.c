/*
 * follow.c - one thing at a time in the background, in this order: a pass translates,
 * then stages; later what people read is written
 */
#include "follow.h"

#include <ev.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "arena.h"
#include "background.h"
#include "clock.h"
#include "command.h"
#include "log.h"
#include "must.h"
#include "output.h"
#include "setup.h"
#include "status.h"
#include "store.h"

struct follow {
	struct setup *setup;
	struct ev_loop *loop;
	struct apply *apply;
	struct background *background;
	/* Of what is at work. */
	struct store *snapshot;
	struct translation made;
	int err;
	int64_t from_ms;
	bool again;		/* another pass is due when it ends */
	bool holds;		/* and nothing may be put ahead of it */

	int64_t ahead_ms;	/* since when the whole is owed; 0: it is not */
	int64_t whole_ms;	/* how long the last one took */
	ev_timer due, whole;
	/* Statuses wait until traffic has changed; then they are for people. */
	struct translation told;
	bool has_told;
	int64_t told_ms;	/* when some were written */
	ev_timer tell, trim;
};

static const double TELL_S = 0.5, TRIM_S = 5.0, SOON_S = 0.001;
enum {
	/* Statuses are never older, however fast pass follows pass. */
	TELL_WITHIN_MS = 5000,
	/*
	 * The whole follows what was put ahead of it when nothing more came for twice
	 * the time that it takes; while changes go on and on, it takes a tenth of a
	 * core.
	 */
	QUIET_MIN_MS = 50, QUIET_MAX_MS = 1000,
	WITHIN_MIN_MS = 500, WITHIN_MAX_MS = 5000,
};

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

static void set_timer(struct follow *f, ev_timer *timer, double seconds)
{
	ev_now_update(f->loop);
	ev_timer_stop(f->loop, timer);
	ev_timer_set(timer, seconds, 0.);
	ev_timer_start(f->loop, timer);
}

static void start_pass(struct follow *f);
static void next(struct follow *f);

/* ---- for people ------------------------------------------------------------------- */

static void forget_told(struct follow *f)
{
	if (f->has_told)
		translation_free(&f->told);
	f->has_told = false;
}

static void tell(void *data)
{
	struct follow *f = data;

	apply_tidy(f->apply);
	f->err = setup_write_status(f->setup, &f->told, true);
}

static void on_told(void *data)
{
	struct follow *f = data;

	if (f->err != 0)
		log_error("status", "dir=%s error=\"%s\"", f->setup->dir,
		    strerror(-f->err));
	f->told_ms = clock_ms();
	forget_told(f);
	/* What came meanwhile can be put ahead only as long as it is remembered. */
	if (f->ahead_ms == 0)
		store_sweep(f->setup->store);
	set_timer(f, &f->trim, TRIM_S);
	next(f);
}

static void start_tell(struct follow *f)
{
	ev_timer_stop(f->loop, &f->tell);
	background_start(f->background, tell, on_told, f);
}

static void on_tell(EV_P_ ev_timer *timer, int revents)
{
	struct follow *f = timer->data;

	(void)loop;
	(void)revents;
	if (f->has_told && !background_is_busy(f->background))
		start_tell(f);
}

/* Plans come and go, and are large; not while one follows the other. */
static void on_trim(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	malloc_trim(0);
}

/* ---- HAProxy ---------------------------------------------------------------------- */

static void set_due(struct follow *f)
{
	int64_t due = apply_due_ms(f->apply), left = due - clock_ms();

	if (due < 0)
		ev_timer_stop(f->loop, &f->due);
	else
		set_timer(f, &f->due, left > 0 ? (double)left / 1000. :
		    SOON_S);
}

static void on_due(EV_P_ ev_timer *timer, int revents)
{
	struct follow *f = timer->data;
	struct apply_report report;

	(void)loop;
	(void)revents;
	if (background_is_busy(f->background))
		return;		/* next() sets it anew */
	apply_tick(f->apply, clock_ms(), &report);
	if (report.reloaded || report.result == APPLY_REFUSED ||
	    report.result == APPLY_FAILED)
		log_report(&report);
	set_due(f);
}

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

/* ---- a pass ----------------------------------------------------------------------- */

static int64_t clamp(int64_t ms, int64_t low, int64_t high)
{
	return ms < low ? low : ms > high ? high : ms;
}

static void owe_whole(struct follow *f, int64_t now)
{
	int64_t quiet = clamp(2 * f->whole_ms, QUIET_MIN_MS, QUIET_MAX_MS);
	int64_t within = clamp(10 * f->whole_ms, WITHIN_MIN_MS, WITHIN_MAX_MS);

	if (f->ahead_ms == 0)
		f->ahead_ms = now;
	within = clamp(f->ahead_ms + within - now, 1, quiet);
	set_timer(f, &f->whole, (double)within / 1000.);
}

/* The background is free: what is due now, and when the rest is. */
static void next(struct follow *f)
{
	bool is_late = f->has_told && clock_ms() > f->told_ms + TELL_WITHIN_MS;

	if (f->again && is_late) {
		start_tell(f);
	} else if (f->again) {
		start_pass(f);
	} else {
		set_due(f);
		if (f->has_told)
			set_timer(f, &f->tell, TELL_S);
	}
}

static void stage(void *data)
{
	struct follow *f = data;

	apply_stage(f->apply);
}

static void on_staged(void *data)
{
	struct follow *f = data;
	struct apply_report report;

	/* What was put ahead meanwhile is not in the files of a reload. */
	if (!apply_end(f->apply, clock_ms(), &report))
		f->again = f->holds = true;
	f->told = f->made;
	f->has_told = true;
	if (report.result == APPLY_REFUSED)
		refuse(&f->told, &report);
	log_report(&report);
	f->whole_ms = clock_ms() - f->from_ms;
	next(f);
}

static void translate_snapshot(void *data)
{
	struct follow *f = data;
	const struct setup *s = f->setup;

	f->err = translate(f->snapshot, s->flags->controller, &s->options,
	    &f->made);
}

static void on_translated(void *data)
{
	struct follow *f = data;
	struct output *output;

	store_free(f->snapshot);
	if (f->err != 0) {
		log_error("translate", "error=\"no memory\"");
		owe_whole(f, clock_ms());
		next(f);
		return;
	}
	output = f->made.output;
	f->made.output = NULL;
	apply_begin(f->apply, output, clock_ms());
	background_start(f->background, stage, on_staged, f);
}

/* What is declared now is read by it, so that what changes from now on is the rest. */
static void start_pass(struct follow *f)
{
	struct store *store = f->setup->store;

	f->again = background_is_busy(f->background);
	if (f->again)
		return;
	f->holds = false;
	forget_told(f);
	ev_timer_stop(f->loop, &f->tell);
	ev_timer_stop(f->loop, &f->whole);
	f->ahead_ms = 0;
	f->from_ms = clock_ms();
	store_forget_changes(store);
	store_sweep(store);
	apply_expect(f->apply);
	f->snapshot = store_snapshot(store);
	if (f->snapshot != NULL) {
		background_start(f->background, translate_snapshot,
		    on_translated, f);
		return;
	}
	log_error("translate", "error=\"no memory\"");
	owe_whole(f, f->from_ms);
}

/* ---- ahead of the whole ----------------------------------------------------------- */

static void on_whole(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	start_pass(timer->data);
}

/* New routes and paths have traffic in a fraction of the time that all of them take. */
static bool get_ahead(struct follow *f)
{
	const struct setup *s = f->setup;
	int64_t now = clock_ms();
	struct apply_report report;
	struct output *part;
	bool done;

	if (f->holds)
		return false;
	part = translate_ahead(s->store, s->flags->controller, &s->options);
	done = part != NULL && apply_ahead(f->apply, part, now, &report);
	output_free(part);
	if (!done)
		return false;
	log_debug("apply.ahead", "maps=%zu", report.map_changes);
	owe_whole(f, now);
	return true;
}

void follow_change(struct follow *f)
{
	const struct flags *flags = f->setup->flags;
	bool changed = false;

	if (store_sync(f->setup->store, flags->paths, flags->n_paths, &changed)
	    != 0) {
		log_error("store", "error=\"no memory\"");
		return;
	}
	setup_tell_bad_files(f->setup);
	if (changed && !get_ahead(f))
		start_pass(f);
}

/* ---- from start to stop ------------------------------------------------------------- */

/* What ends may start another. */
static void wait_for_all(struct follow *f)
{
	while (background_is_busy(f->background))
		background_wait(f->background);
}

void follow_begin(struct follow *f)
{
	start_pass(f);
	wait_for_all(f);
}

void follow_end(struct follow *f)
{
	wait_for_all(f);
	if (f->ahead_ms != 0)
		start_pass(f);
	wait_for_all(f);
	if (f->has_told)
		start_tell(f);
	wait_for_all(f);
}

struct follow *follow_new(struct ev_loop *loop, struct setup *setup)
{
	struct follow *f = calloc(1, sizeof(*f));
	const struct flags *flags = setup->flags;

	if (f == NULL)
		return NULL;
	f->setup = setup;
	f->loop = loop;
	f->told_ms = clock_ms();
	f->background = background_new(loop);
	f->apply = apply_new(&(struct apply_options){ .dir = setup->dir,
	    .haproxy = flags->haproxy, .socket = flags->socket,
	    .master = flags->master,
	    .reload_interval_ms = APPLY_RELOAD_INTERVAL_MS });
	ev_timer_init(&f->due, on_due, 0., 0.);
	ev_timer_init(&f->whole, on_whole, 0., 0.);
	ev_timer_init(&f->tell, on_tell, 0., 0.);
	ev_timer_init(&f->trim, on_trim, 0., 0.);
	f->due.data = f->whole.data = f->tell.data = f->trim.data = f;
	if (f->background != NULL && f->apply != NULL)
		return f;
	follow_free(f);
	return NULL;
}

void follow_free(struct follow *f)
{
	ev_timer *timers[] = { &f->due, &f->whole, &f->tell, &f->trim };

	for (size_t i = 0; i < sizeof(timers) / sizeof(*timers); i++)
		ev_timer_stop(f->loop, timers[i]);
	background_free(f->background);
	forget_told(f);
	apply_free(f->apply);
	free(f);
}
