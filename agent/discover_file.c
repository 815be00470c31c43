/*
 * discover_file.c - endpoints in a file of their own, read again when it
 * changes
 *
 * A file that is gone or wrong changes nothing but the log: whoever writes it
 * may be half done. Reading is synchronous: some milliseconds for a thousand
 * endpoints.
 */
#include <stdlib.h>

#include "arena.h"
#include "discover_source.h"
#include "fault.h"
#include "watch.h"

enum { ARENA_FIRST_BYTES = 16 << 10, ARENA_MAX_BYTES = 256 << 20 };

struct file_source {
	const struct pool_options *pool;
	discover_set_f *set;
	void *data;
	struct watch *watch;
	struct discover_trouble trouble;
};

static void read_into(struct file_source *f, struct arena *arena,
    struct fault *why)
{
	const struct endpoint_options *endpoints;
	const struct endpoint_spec *specs;
	size_t n;

	if (options_load_endpoints(f->pool->file, f->pool, arena, &endpoints,
		&n, why) != 0)
		return;
	specs = discover_specs(f->pool, endpoints, n, arena);
	if (specs != NULL)
		f->set(f->data, specs, n);
	else
		fault_set(why, f->pool->file, 0, "no memory", NULL);
}

static void on_change(void *data)
{
	struct file_source *f = data;
	struct arena *arena = arena_new(ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
	struct fault why = { 0 };
	char text[sizeof(f->trouble.text)];

	if (arena != NULL)
		read_into(f, arena, &why);
	else
		fault_set(&why, f->pool->file, 0, "no memory", NULL);
	arena_free(arena);
	if (why.is_set)
		discover_trouble_set(&f->trouble, f->pool, "file",
		    fault_text(&why, text, sizeof(text)));
	else
		discover_trouble_clear(&f->trouble, f->pool, "file");
}

static void *file_start(struct ev_loop *loop, const struct pool_options *pool,
    discover_set_f *set, void *data)
{
	struct file_source *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->pool = pool;
	f->set = set;
	f->data = data;
	f->watch = watch_start(loop, pool->file, on_change, f);
	if (f->watch == NULL) {
		free(f);
		return NULL;
	}
	on_change(f);
	return f;
}

static void file_stop(void *self)
{
	struct file_source *f = self;

	watch_stop(f->watch);
	free(f);
}

const struct discover_source discover_file = {
	.name = "file",
	.start = file_start,
	.stop = file_stop,
};
