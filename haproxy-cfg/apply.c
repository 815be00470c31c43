/*
 * apply.c - what is done in which order, and what if it fails
 */
#include "apply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply_parts.h"
#include "must.h"
#include "output_files.h"

enum {
	LINE_MAX_BYTES = 64 << 20,
	/* Somebody may have restarted HAProxy: look, now and then. */
	LOOK_EVERY_MS = 5000,
};

struct apply *apply_new(const struct apply_options *options)
{
	struct apply *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->options = *options;
	snprintf(a->socket, sizeof(a->socket), "%s/haproxy.sock", options->dir);
	snprintf(a->master, sizeof(a->master), "%s/master.sock", options->dir);
	runtime_init(&a->runtime,
	    options->socket != NULL ? options->socket : a->socket,
	    options->master != NULL ? options->master : a->master);
	running_init(&a->running);
	buf_init(&a->line, LINE_MAX_BYTES);
	a->last_reload_ms = INT64_MIN / 2;
	return a;
}

void apply_expect(struct apply *a)
{
	a->was_put_ahead = false;
	if (a->wanted != NULL)
		buf_fini(&a->wanted->table);
}

void apply_free(struct apply *a)
{
	if (a == NULL)
		return;
	/* Who comes next finds what is still to go. */
	a->keeps_mark = false;
	a->is_untidy |= a->is_done;
	apply_tidy(a);
	runtime_fini(&a->runtime);
	running_fini(&a->running);
	output_free(a->wanted);
	output_free(a->refused);
	buf_fini(&a->line);
	free(a);
}

void apply_tell(struct apply *a, const char *sign, const char *where,
    const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	if (!a->is_dry)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	a->on_change(a->data, sign, where, text);
}

void apply_say(struct apply *a, enum apply_result result, const char *text)
{
	a->report->result = result;
	if (text != NULL)
		snprintf(a->report->text, sizeof(a->report->text), "%s", text);
}

static void reload_in_time(struct apply *a)
{
	a->needs_reload = true;
	if (a->was_put_ahead)
		apply_say(a, APPLY_LATER, "a reload is due, of more than this");
	else if (a->now_ms < a->last_reload_ms + a->options.reload_interval_ms)
		apply_say(a, APPLY_LATER, "a reload is due");
	else
		apply_reload(a);
}

/*
 * No answer: what is on the disk waits for the next worker. If there is one and it is
 * only slow, an unfinished change of it stays one.
 */
static void leave_files(struct apply *a, int why)
{
	char text[sizeof(a->runtime.said) + 32];
	int err = output_write_agent(a->wanted, a->options.dir);

	snprintf(text, sizeof(text), "HAProxy does not answer: %s",
	    a->runtime.said);
	if (runtime_is_absent(why))
		apply_unmark(a);
	apply_say(a, err == 0 ? APPLY_WRITTEN : APPLY_FAILED,
	    err == 0 ? text : strerror(-err));
}

/* In the reverse order: what leads somewhere goes before where it leads. */
static int remove_entries(struct apply *a)
{
	int err = apply_mark(a);

	for (size_t i = OUTPUT_N_MAPS; i-- > 0 && err == 0;)
		err = apply_map_rest(a, apply_map_order[i]);
	return err;
}

/* Mostly nothing is due, and the disk is left alone; a server goes as a whole or stays. */
static int remove_rest(struct apply *a)
{
	int64_t due = apply_entries_due_ms(a);
	bool is_due = due >= 0 && due <= a->now_ms;
	int err = is_due ? remove_entries(a) : 0;

	if (err == 0)
		err = apply_verify_maps(a);
	if (err == 0 && is_due)
		apply_unmark(a);
	if (err == 0)
		apply_servers_rest(a);
	return err;
}

/* ---- from what is to what is wanted -------------------------------------- */

static void converge(struct apply *a, bool can_change)
{
	int err;

	if (!can_change || a->needs_reload) {
		reload_in_time(a);
		return;
	}
	err = apply_change_and_verify(a);
	/* Where changes come all the time no tick does, between one pass and the next. */
	if (err == 0 && a->was_put_ahead)
		err = remove_rest(a);
	if (err == 0) {
		apply_say(a, APPLY_DONE, NULL);
		return;
	}
	snprintf(a->report->text, sizeof(a->report->text), "reload, since: %s",
	    *a->runtime.said != '\0' ? a->runtime.said : strerror(-err));
	reload_in_time(a);
}

void apply_begin(struct apply *a, struct output *wanted, int64_t now_ms)
{
	char description[RUNTIME_NAME_BYTES] = "";
	bool can_change;

	a->now_ms = now_ms;
	output_free(a->refused);
	a->refused = NULL;
	can_change = apply_look(a, description) == 0 &&
	    apply_learn(a, wanted, description);
	a->staging = (struct staging){ .output = wanted,
		.previous = a->is_staged ? a->wanted : NULL,
		.must_check = !can_change || apply_certs_are_new(a, wanted) };
	buf_init(&a->staging.said, APPLY_SAID_MAX_BYTES);
}

/* A worker that came meanwhile, and cannot be changed, has a shape that was good. */
bool apply_end(struct apply *a, int64_t now_ms, struct apply_report *r)
{
	char description[RUNTIME_NAME_BYTES] = "";
	bool can_change;
	int absent;

	*r = (struct apply_report){ 0 };
	a->report = r;
	a->now_ms = now_ms;
	absent = apply_look(a, description);
	can_change = absent == 0 &&
	    apply_learn(a, a->staging.output, description);
	if (apply_take_staged(a)) {
		if (absent != 0)
			leave_files(a, absent);
		else
			converge(a, can_change && apply_certs_can(a));
	}
	a->is_ahead = a->was_put_ahead;
	return !a->is_ahead || !a->needs_reload;
}

void apply_output(struct apply *a, struct output *wanted, int64_t now_ms,
    struct apply_report *r)
{
	apply_expect(a);
	apply_begin(a, wanted, now_ms);
	apply_stage(a);
	must(apply_end(a, now_ms, r));
}

/* ---- later --------------------------------------------------------------- */

static int64_t rest_due_ms(const struct apply *a)
{
	int64_t due = apply_entries_due_ms(a);

	for (size_t i = 0; i < a->running.servers.n && due < 0; i++)
		if (a->running.servers.items[i].is_away)
			due = a->now_ms + APPLY_GRACE_MS;
	return due;
}

int64_t apply_due_ms(const struct apply *a)
{
	int64_t due, rest;

	if (a->wanted == NULL || a->is_ahead)
		return -1;
	if (a->needs_reload)
		return a->last_reload_ms + a->options.reload_interval_ms;
	due = a->look_ms + LOOK_EVERY_MS;
	rest = a->is_known ? rest_due_ms(a) : -1;
	return rest >= 0 && rest < due ? rest : due;
}

void apply_tick(struct apply *a, int64_t now_ms, struct apply_report *r)
{
	char description[RUNTIME_NAME_BYTES] = "";
	int absent;

	*r = (struct apply_report){ .result = APPLY_DONE };
	a->report = r;
	a->now_ms = now_ms;
	if (a->wanted == NULL || a->is_ahead)
		return;
	absent = apply_look(a, description);
	if (absent != 0) {
		leave_files(a, absent);
	} else if (!a->is_known || a->needs_reload) {
		converge(a, apply_learn(a, a->wanted, description));
	} else if (remove_rest(a) != 0) {
		a->is_known = false;
		reload_in_time(a);
	}
}

/* ---- what if ------------------------------------------------------------- */

/* The first section that the worker has not, or why else not. */
static void say_why(struct apply *a, const struct output *o,
    const char *description)
{
	char want[RUNTIME_NAME_BYTES];

	apply_describe(o, want);
	if (strcmp(want, description) != 0)
		apply_say(a, APPLY_DONE, "the configuration beside maps, servers "
		    "and certificates differs");
	else if (apply_is_marked(a))
		apply_say(a, APPLY_DONE, "an earlier change was not finished");
	else
		apply_say(a, APPLY_DONE, a->runtime.said);
}

void apply_diff(struct apply *a, const struct output *wanted,
    apply_change_f *on_change, void *data, struct apply_report *r)
{
	char description[RUNTIME_NAME_BYTES] = "";
	struct output *kept = a->wanted;

	*r = (struct apply_report){ .result = APPLY_DONE };
	a->report = r;
	if (apply_look(a, description) != 0) {
		apply_say(a, APPLY_WRITTEN, a->runtime.said);
		return;
	}
	r->reloaded = !apply_learn(a, wanted, description);
	if (r->reloaded) {
		say_why(a, wanted, description);
		return;
	}
	a->wanted = (struct output *)(uintptr_t)wanted;
	a->on_change = on_change;
	a->data = data;
	a->is_dry = true;
	if (apply_certs_can(a)) {
		apply_change(a);
	} else {
		r->reloaded = true;
		apply_say(a, APPLY_DONE, "a crt-list has a certificate twice, of "
		    "which one goes");
	}
	a->is_dry = false;
	a->wanted = kept;
}
