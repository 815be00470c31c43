/*
 * apply_worker.c - the worker that runs: who it is; changed by its command line, or by a
 * reload
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apply_parts.h"
#include "clock.h"
#include "output_files.h"

int apply_send(struct apply *a)
{
	int err = 0;

	if (buf_failed(&a->line)) {
		err = -ENOMEM;
	} else if (a->line.len > 0) {
		buf_puts(&a->line, "\n");
		err = runtime_do(&a->runtime, a->line.data, a->line.len);
	}
	buf_clear(&a->line);
	return err;
}

int apply_make_room(struct apply *a, size_t bytes)
{
	if (a->line.len + bytes <= RUNTIME_LINE_MAX_BYTES)
		return 0;
	return apply_send(a);
}

void apply_describe(const struct output *o, char text[RUNTIME_NAME_BYTES])
{
	snprintf(text, RUNTIME_NAME_BYTES, "epp-translator-%016" PRIx64,
	    o->shape);
}

int apply_look(struct apply *a, char description[RUNTIME_NAME_BYTES])
{
	int pid, err = runtime_identify(&a->runtime, &pid, description);

	a->look_ms = a->now_ms;
	if (err == 0 && pid != a->pid)
		a->is_known = false;
	if (err == 0)
		a->pid = pid;
	else
		a->is_known = false;
	return err;
}

bool apply_learn(struct apply *a, const struct output *o,
    const char *description)
{
	char want[RUNTIME_NAME_BYTES];

	apply_describe(o, want);
	if (!a->is_known && strcmp(want, description) == 0 &&
	    !apply_is_marked(a))
		a->is_known = running_read(&a->running, o, &a->runtime,
		    a->options.dir) == 0;
	return a->is_known && running_has_shape(&a->running, o);
}

const enum output_map_name apply_map_order[OUTPUT_N_MAPS] = {
	MAP_SPLIT, MAP_RULE, MAP_PICK, MAP_CONDITION, MAP_USES, MAP_OWNER,
	MAP_PREFIX, MAP_EXACT, MAP_HOST,
};

int apply_change(struct apply *a)
{
	int err = apply_certs_add(a);

	if (err == 0)
		err = apply_servers_add(a);
	if (err == 0 && !a->is_dry)
		err = output_write_agent(a->wanted, a->options.dir);
	for (size_t i = 0; i < OUTPUT_N_MAPS && err == 0; i++)
		err = apply_map(a, apply_map_order[i]);
	if (err == 0)
		err = apply_servers_remove(a);
	if (err == 0)
		err = apply_certs_remove(a);
	return err;
}

int apply_change_and_verify(struct apply *a)
{
	int err = apply_mark(a);

	if (err == 0)
		err = apply_change(a);
	if (err == 0 && (a->report->map_changes > 0 || a->is_ahead))
		err = apply_verify_maps(a);
	if (err == 0)
		apply_unmark(a);
	else
		a->is_known = false;
	return err;
}

void apply_reload(struct apply *a)
{
	char want[RUNTIME_NAME_BYTES];
	int64_t began_ms = clock_ms();
	int err = apply_mark(a);

	apply_describe(a->wanted, want);
	if (err == 0)
		err = runtime_reload(&a->runtime, want, APPLY_RELOAD_WAIT_MS);
	/* Of its end: a slow one does not follow upon the other. */
	a->last_reload_ms = a->now_ms + clock_ms() - began_ms;
	if (err == 0)
		err = output_write_agent(a->wanted, a->options.dir);
	if (err == 0)
		err = running_load(&a->running, a->wanted);
	if (err != 0) {
		a->is_known = false;
		apply_say(a, err == -EPROTO ? APPLY_REFUSED :
		    err == -EBUSY ? APPLY_LATER : APPLY_FAILED,
		    *a->runtime.said != '\0' ? a->runtime.said :
		    strerror(-err));
		return;
	}
	a->report->reloaded = true;
	a->needs_reload = false;
	apply_look(a, want);
	a->is_known = true;
	apply_unmark(a);
	apply_say(a, APPLY_DONE, NULL);
}
