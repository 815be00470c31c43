/*
 * translate.c - load, plan, render
 */
#include "translate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "command.h"
#include "fault.h"
#include "haproxy_version.h"
#include "hostname.h"
#include "output.h"
#include "plan_make.h"
#include "store.h"

enum { FIRST_BYTES = 256 << 10 };
static const size_t BYTES_MAX = (size_t)4 << 30;

int translate(struct store *store, const char *controller,
    const struct render_options *options, struct translation *out)
{
	const struct plan_input in = { .store = store,
		.controller = controller };
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

/* ---- ahead of the whole -------------------------------------------------- */

static int by_name(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static size_t count_names(const struct objects *changed)
{
	size_t n = 0;

	for (size_t i = 0; i < changed->n; i++) {
		const struct route *r = (const void *)changed->items[i];

		if ((r->o.kind != KIND_HTTP_ROUTE &&
			r->o.kind != KIND_GRPC_ROUTE) || r->n_hostnames == 0)
			return 0;
		for (size_t k = 0; k < r->n_hostnames; k++)
			if (r->hostnames[k][0] == '*')
				return 0;
		n += r->n_hostnames;
	}
	return n;
}

/* Hostnames of all that changed; false: they have others than plain ones. */
static bool changed_hosts(const struct store *store, struct arena *arena,
    struct hostnames *out)
{
	struct objects changed;
	const char **names;
	size_t n, kept = 0;

	if (!store_changes(store, &changed))
		return false;
	n = count_names(&changed);
	names = n > 0 ? arena_alloc(arena, n * sizeof(*names)) : NULL;
	if (names == NULL)
		return false;
	n = 0;
	for (size_t i = 0; i < changed.n; i++) {
		const struct route *r = (const void *)changed.items[i];

		for (size_t k = 0; k < r->n_hostnames; k++)
			names[n++] = r->hostnames[k];
	}
	qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	*out = (struct hostnames){ names, kept };
	return true;
}

struct output *translate_ahead(struct store *store, const char *controller,
    const struct render_options *options)
{
	struct arena *arena = arena_new(FIRST_BYTES, BYTES_MAX);
	struct hostnames hosts;
	const struct plan_input in = { .store = store,
		.controller = controller, .only = &hosts };
	struct plan_problems problems = { .items = NULL };
	struct output *out = NULL;
	struct statuses statuses;
	struct plan plan;

	if (arena == NULL)
		return NULL;
	if (changed_hosts(store, arena, &hosts) &&
	    plan_make(&in, arena, &plan, &statuses) == 0 &&
	    render(&plan, options, arena, &problems, &out) == 0 &&
	    out->maps[MAP_USES].n > 0) {
		output_free(out);
		out = NULL;
	}
	arena_free(arena);
	return out;
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
