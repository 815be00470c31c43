/*
 * translate.c - load, plan, render
 */
#include "translate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "command.h"
#include "fault.h"
#include "haproxy_version.h"
#include "output.h"
#include "plan_make.h"
#include "store.h"

enum { FIRST_BYTES = 256 << 10 };
static const size_t BYTES_MAX = (size_t)4 << 30;

int translate(struct store *store, const char *controller,
    const struct render_options *options, struct translation *out)
{
	const struct plan_input in = { .store = store,
		.controller = controller, .haproxy = options->haproxy_version };
	int err;

	*out = (struct translation){ .arena = arena_new(FIRST_BYTES,
		BYTES_MAX) };
	if (out->arena == NULL)
		return -ENOMEM;
	err = plan_make(&in, out->arena, &out->plan, &out->statuses);
	if (err == 0)
		err = render(&out->plan, options, out->arena, &out->problems,
		    &out->output);
	if (err == 0)
		err = status_refuse(&out->statuses, &out->problems, out->arena);
	if (err != 0)
		translation_free(out);
	return err;
}

void translation_free(struct translation *t)
{
	if (t->output != NULL)
		output_free(t->output);
	arena_free(t->arena);
	*t = (struct translation){ .arena = NULL };
}

struct store *translate_load(const struct flags *flags)
{
	struct store *s;
	bool changed;

	if (flags->n_paths == 0) {
		fprintf(stderr, "epp-translator: %s needs -f FILE\n",
		    flags->command);
		return NULL;
	}
	s = store_new();
	if (s != NULL && store_sync(s, flags->paths, flags->n_paths,
		&changed) == 0)
		return s;
	fprintf(stderr, "epp-translator: no memory for the manifests\n");
	store_free(s);
	return NULL;
}

unsigned translate_version(const struct flags *flags)
{
	struct fault why = { 0 };
	unsigned version = 0;
	char text[1200];

	if (flags->haproxy_version != NULL) {
		version = haproxy_version_of(flags->haproxy_version);
		if (version < RENDER_OLDEST)
			fprintf(stderr, "epp-translator: --haproxy-version %s; "
			    "want: 2.6 or later\n", flags->haproxy_version);
		return version < RENDER_OLDEST ? 0 : version;
	}
	if (haproxy_version_ask(flags->haproxy, &version, &why) != 0) {
		fprintf(stderr, "epp-translator: %s\n", fault_text(&why, text,
		    sizeof(text)));
		return 0;
	}
	if (version >= RENDER_OLDEST)
		return version;
	fprintf(stderr, "epp-translator: HAProxy %u.%u; want: 2.6 or later\n",
	    version / 100, version % 100);
	return 0;
}
