/*
 * rendered.c - a plan rendered, and what a test asks of it
 */
#include "rendered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena.h"
#include "output_files.h"
#include "render.h"

struct rendered rendered_of(const struct plans *p, unsigned version)
{
	struct render_options options = render_defaults;
	struct rendered r = { .arena = arena_new(4096, 16 << 20) };

	options.haproxy_version = version;
	options.spoe_file = "haproxy-cfg/share/spoe-epp.conf";
	options.lua_file = "haproxy-cfg/share/epp-model.lua";
	assert_non_null(r.arena);
	assert_int_equal(render(&p->plan, &options, r.arena, &r.problems,
	    &r.out), 0);
	return r;
}

void rendered_drop(struct rendered *r)
{
	output_free(r->out);
	arena_free(r->arena);
}

static bool has_haproxy(void)
{
	return system("haproxy -v >/dev/null 2>&1") == 0;
}

void rendered_assert_valid(const struct rendered *r)
{
	char dir[] = "/tmp/test_render.XXXXXX", command[64];
	char name[OUTPUT_GENERATION_BYTES];
	struct buf said;
	int result;

	if (!has_haproxy())
		skip();
	assert_non_null(mkdtemp(dir));
	buf_init(&said, 1 << 20);
	assert_int_equal(output_stage(r->out, NULL, dir, name), 0);
	result = output_check(r->out, "haproxy", dir, name, &said);
	buf_put(&said, "", 1);
	if (result != 0)
		fail_msg("%s\n%.*s", said.data, (int)r->out->text.len,
		    r->out->text.data);
	assert_null(strstr(said.data, "WARNING"));
	buf_fini(&said);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static int by_key(const void *left, const void *right)
{
	const struct output_entry *a = left, *b = right;

	return strcmp(a->key, b->key);
}

/* A map is sorted, or this does not find what is there. */
const char *rendered_value(const struct output *o, enum output_map_name map,
    const char *key)
{
	const struct output_map *m = &o->maps[map];
	const struct output_entry want = { .key = key };
	const struct output_entry *e = m->n == 0 ? NULL :
	    bsearch(&want, m->items, m->n, sizeof(*m->items), by_key);

	return e != NULL ? e->value : NULL;
}

const char *rendered_prefix(const struct output *o, const char *text)
{
	const struct output_map *m = &o->maps[MAP_PREFIX];
	const char *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < m->n; i++) {
		size_t len = strlen(m->items[i].key);

		if (len > most && strncmp(text, m->items[i].key, len) == 0) {
			best = m->items[i].value;
			most = len;
		}
	}
	return best;
}

size_t rendered_count(const struct output *o, const char *what)
{
	size_t n = 0, len = strlen(what);

	for (size_t i = 0; i + len <= o->text.len; i++)
		n += memcmp(o->text.data + i, what, len) == 0;
	return n;
}
