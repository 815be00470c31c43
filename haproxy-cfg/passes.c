/*
 * passes.c - one thing at a time in the background, in this order: a pass translates,
 * then stages; later what people read is written
 */
#include "passes.h"

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
#include "output.h"
#include "setup.h"
#include "status.h"
#include "store.h"

struct passes {
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
	bool holds;		/* nothing may be put ahead of this one */

	int64_t ahead_ms;	/* since when the whole is owed; 0: it is not */
	int64_t whole_ms;	/* how long the last one took */
	ev_timer due, whole;
	/* Statuses wait until traffic has changed; then they are for people. */
	struct translation told;
	bool has_told;
	int64_t untold_ms;	/* since when none were written; 0: they are */
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

static void set_timer(struct passes *p, ev_timer *timer, double seconds)
{
	ev_now_update(p->loop);
	ev_timer_stop(p->loop, timer);
	ev_timer_set(timer, seconds, 0.);
	ev_timer_start(p->loop, timer);
}

static void start_pass(struct passes *p);
static void next(struct passes *p);

/* ---- for people ---------------------------------------------------------- */

static void forget_told(struct passes *p)
{
	if (p->has_told)
		translation_free(&p->told);
	p->has_told = false;
}

static void tell(void *data)
{
	struct passes *p = data;

	apply_tidy(p->apply);
	p->err = setup_write_status(p->setup, &p->told, true);
}

static void on_told(void *data)
{
	struct passes *p = data;

	if (p->err != 0)
		log_error("status", "dir=%s error=\"%s\"", p->setup->dir,
		    strerror(-p->err));
	p->untold_ms = 0;
	forget_told(p);
	/* What came meanwhile can be put ahead only as long as it is remembered. */
	if (p->ahead_ms == 0)
		store_sweep(p->setup->store);
	set_timer(p, &p->trim, TRIM_S);
	next(p);
}

static void start_tell(struct passes *p)
{
	ev_timer_stop(p->loop, &p->tell);
	background_start(p->background, tell, on_told, p);
}

static void on_tell(EV_P_ ev_timer *timer, int revents)
{
	struct passes *p = timer->data;

	(void)loop;
	(void)revents;
	if (p->has_told && !background_is_busy(p->background))
		start_tell(p);
}

/* Plans come and go, and are large; not while one follows the other. */
static void on_trim(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	malloc_trim(0);
}

/* ---- HAProxy ------------------------------------------------------------- */

static void set_due(struct passes *p)
{
	int64_t due = apply_due_ms(p->apply), left = due - clock_ms();

	if (due < 0)
		ev_timer_stop(p->loop, &p->due);
	else
		set_timer(p, &p->due, left > 0 ? (double)left / 1000. :
		    SOON_S);
}

static void tidy(void *data)
{
	struct passes *p = data;

	apply_tidy(p->apply);
}

static void on_tidied(void *data)
{
	next(data);
}

static void on_due(EV_P_ ev_timer *timer, int revents)
{
	struct passes *p = timer->data;
	struct apply_report report;

	(void)loop;
	(void)revents;
	if (background_is_busy(p->background))
		return;		/* next() sets it anew */
	apply_tick(p->apply, clock_ms(), &report);
	if (report.reloaded || report.result == APPLY_REFUSED ||
	    report.result == APPLY_FAILED)
		log_report(&report);
	if (!p->has_told && apply_is_untidy(p->apply))
		background_start(p->background, tidy, on_tidied, p);
	else
		set_due(p);
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

/* ---- a pass -------------------------------------------------------------- */

static int64_t clamp(int64_t ms, int64_t low, int64_t high)
{
	return ms < low ? low : ms > high ? high : ms;
}

static void owe_whole(struct passes *p, int64_t now)
{
	int64_t quiet = clamp(2 * p->whole_ms, QUIET_MIN_MS, QUIET_MAX_MS);
	int64_t within = clamp(10 * p->whole_ms, WITHIN_MIN_MS, WITHIN_MAX_MS);

	if (p->ahead_ms == 0)
		p->ahead_ms = now;
	within = clamp(p->ahead_ms + within - now, 1, quiet);
	set_timer(p, &p->whole, (double)within / 1000.);
}

/* The background is free: what is due now, and when the rest is. */
static void next(struct passes *p)
{
	if (p->again) {
		start_pass(p);
		return;
	}
	set_due(p);
	if (p->has_told)
		set_timer(p, &p->tell, TELL_S);
}

static void stage(void *data)
{
	struct passes *p = data;

	apply_stage(p->apply);
}

static void on_staged(void *data)
{
	struct passes *p = data;
	struct apply_report report;

	/*
	 * What was put ahead meanwhile is not in the files that a reload would read: a
	 * pass that has it all, and is not outrun again.
	 */
	p->holds = !apply_end(p->apply, clock_ms(), &report);
	p->again |= p->holds;
	p->told = p->made;
	p->has_told = true;
	if (p->untold_ms == 0)
		p->untold_ms = clock_ms();
	if (report.result == APPLY_REFUSED)
		refuse(&p->told, &report);
	log_report(&report);
	p->whole_ms = clock_ms() - p->from_ms;
	next(p);
}

static void translate_snapshot(void *data)
{
	struct passes *p = data;
	const struct setup *s = p->setup;

	p->err = translate(p->snapshot, s->flags->controller, &s->options,
	    &p->made);
}

static void on_translated(void *data)
{
	struct passes *p = data;
	struct output *output;

	store_free(p->snapshot);
	if (p->err != 0) {
		log_error("translate", "error=\"no memory\"");
		owe_whole(p, clock_ms());
		next(p);
		return;
	}
	output = p->made.output;
	p->made.output = NULL;
	apply_begin(p->apply, output, clock_ms());
	background_start(p->background, stage, on_staged, p);
}

/* What is declared now is read by it, so that what changes from now on is the rest. */
static void start_pass(struct passes *p)
{
	struct store *store = p->setup->store;
	bool is_busy = background_is_busy(p->background);

	p->again = is_busy || (p->has_told &&
	    clock_ms() > p->untold_ms + TELL_WITHIN_MS);
	if (p->again) {
		if (!is_busy)
			start_tell(p);
		return;
	}
	forget_told(p);
	ev_timer_stop(p->loop, &p->tell);
	ev_timer_stop(p->loop, &p->whole);
	p->ahead_ms = 0;
	p->from_ms = clock_ms();
	store_forget_changes(store);
	store_sweep(store);
	apply_expect(p->apply);
	p->snapshot = store_snapshot(store);
	if (p->snapshot != NULL) {
		background_start(p->background, translate_snapshot,
		    on_translated, p);
		return;
	}
	log_error("translate", "error=\"no memory\"");
	owe_whole(p, p->from_ms);
}

/* ---- ahead of the whole -------------------------------------------------- */

static void on_whole(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	start_pass(timer->data);
}

/* New routes and paths have traffic in a fraction of the time that all of them take. */
static bool get_ahead(struct passes *p)
{
	const struct setup *s = p->setup;
	int64_t now = clock_ms();
	struct apply_report report;
	struct output *part;
	bool done;

	if (p->holds)
		return false;
	part = translate_ahead(s->store, s->flags->controller, &s->options);
	done = part != NULL && apply_ahead(p->apply, part, now, &report);
	output_free(part);
	if (!done)
		return false;
	log_debug("apply.ahead", "maps=%zu", report.map_changes);
	owe_whole(p, now);
	return true;
}

void passes_change(struct passes *p)
{
	const struct flags *flags = p->setup->flags;
	bool changed = false;

	if (store_sync(p->setup->store, flags->paths, flags->n_paths, &changed)
	    != 0) {
		log_error("store", "error=\"no memory\"");
		return;
	}
	setup_tell_bad_files(p->setup);
	if (changed && !get_ahead(p))
		start_pass(p);
}

/* ---- from start to stop -------------------------------------------------- */

/* What ends may start another. */
static void wait_for_all(struct passes *p)
{
	while (background_is_busy(p->background))
		background_wait(p->background);
}

void passes_begin(struct passes *p)
{
	start_pass(p);
	wait_for_all(p);
}

void passes_end(struct passes *p)
{
	wait_for_all(p);
	if (p->ahead_ms != 0)
		start_pass(p);
	wait_for_all(p);
	if (p->has_told)
		start_tell(p);
	wait_for_all(p);
}

struct passes *passes_new(struct ev_loop *loop, struct setup *setup)
{
	struct passes *p = calloc(1, sizeof(*p));
	const struct flags *flags = setup->flags;

	if (p == NULL)
		return NULL;
	p->setup = setup;
	p->loop = loop;
	p->background = background_new(loop);
	p->apply = apply_new(&(struct apply_options){ .dir = setup->dir,
	    .haproxy = flags->haproxy, .socket = flags->socket,
	    .master = flags->master,
	    .reload_interval_ms = APPLY_RELOAD_INTERVAL_MS });
	ev_timer_init(&p->due, on_due, 0., 0.);
	ev_timer_init(&p->whole, on_whole, 0., 0.);
	ev_timer_init(&p->tell, on_tell, 0., 0.);
	ev_timer_init(&p->trim, on_trim, 0., 0.);
	p->due.data = p->whole.data = p->tell.data = p->trim.data = p;
	if (p->background != NULL && p->apply != NULL)
		return p;
	passes_free(p);
	return NULL;
}

void passes_free(struct passes *p)
{
	ev_timer *timers[] = { &p->due, &p->whole, &p->tell, &p->trim };

	for (size_t i = 0; i < sizeof(timers) / sizeof(*timers); i++)
		ev_timer_stop(p->loop, timers[i]);
	background_free(p->background);
	forget_told(p);
	apply_free(p->apply);
	free(p);
}
