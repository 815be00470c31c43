/*
 * cmd_diff.c - what these manifests would change in the HAProxy that runs
 *
 * Exit codes as diff(1): 0 nothing, 1 something, 2 HAProxy cannot be asked.
 */
#include "command.h"

#include <stdio.h>

#include "apply.h"
#include "setup.h"

static void print_change(void *data, const char *sign, const char *where,
    const char *what)
{
	(void)data;
	printf("%s %s %s\n", sign, where, what);
}

static int print(const struct apply_report *r)
{
	size_t n = r->map_changes + r->server_changes + r->cert_changes;

	if (r->result == APPLY_WRITTEN || r->result == APPLY_FAILED) {
		fprintf(stderr, "epp-translator: HAProxy does not answer: %s\n",
		    r->text);
		return COMMAND_FAILED;
	}
	if (r->reloaded)
		printf("reload: %s\n", r->text);
	else
		printf("no reload; maps %zu, servers %zu, certificates %zu\n",
		    r->map_changes, r->server_changes, r->cert_changes);
	return r->reloaded || n > 0 ? COMMAND_FINDINGS : COMMAND_OK;
}

static int diff(struct setup *s, struct translation *t)
{
	const struct flags *f = s->flags;
	struct apply_report report;
	struct apply *a = apply_new(&(struct apply_options){ .dir = s->dir,
	    .haproxy = f->haproxy, .socket = f->socket, .master = f->master });
	int code;

	if (a == NULL)
		return COMMAND_FAILED;
	apply_diff(a, t->output, print_change, NULL, &report);
	code = print(&report);
	apply_free(a);
	return code;
}

int cmd_diff(const struct flags *flags)
{
	struct setup s;
	struct translation t;
	int code = COMMAND_FAILED;

	if (!setup_open(&s, flags, true))
		return COMMAND_FAILED;
	if (translate(s.store, flags->controller, &s.options, &t) == 0) {
		setup_tell(&t.problems);
		code = diff(&s, &t);
		translation_free(&t);
	}
	if (setup_tell_bad_files(&s) && code == COMMAND_OK)
		code = COMMAND_FINDINGS;
	setup_close(&s);
	return code;
}
