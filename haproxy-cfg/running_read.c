/*
 * running_read.c - the model, from the worker's own words
 *
 * "show map", "show servers state" and "show ssl crt-list" of management.txt section
 * 9.3. Only what the translator writes is looked at: its maps, servers whose name has a
 * colon (lib/server_name), its lists.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "running.h"
#include "runtime.h"
#include "span.h"

enum { COMMAND_BYTES = 4200, WORDS_MAX = 32 };

static bool take_line(struct span *rest, struct span *line)
{
	const char *end;

	if (rest->len == 0)
		return false;
	end = memchr(rest->ptr, '\n', rest->len);
	line->ptr = rest->ptr;
	line->len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
	rest->ptr += line->len + (end != NULL);
	rest->len -= line->len + (end != NULL);
	return true;
}

static bool take_word(struct span *rest, struct span *word)
{
	while (rest->len > 0 && *rest->ptr == ' ') {
		rest->ptr++;
		rest->len--;
	}
	word->ptr = rest->ptr;
	word->len = 0;
	while (rest->len > 0 && *rest->ptr != ' ') {
		rest->ptr++;
		rest->len--;
		word->len++;
	}
	return word->len > 0;
}

static char *copy(struct running *r, struct span s)
{
	char *text = strndup(s.ptr, s.len);

	if (text == NULL)
		r->failed = true;
	return text;
}

static struct span answer_of(struct runtime *runtime)
{
	return (struct span){ runtime->answer.data, runtime->answer.len - 1 };
}

/* ---- maps ---------------------------------------------------------------- */

static int by_key(const void *left, const void *right)
{
	const struct running_entry *a = left, *b = right;

	return strcmp(a->key, b->key);
}

static void add_entry(struct running *r, struct running_map *m,
    struct span line)
{
	struct span address, key, value;
	char *k, *v;

	if (!take_word(&line, &address) || !take_word(&line, &key) ||
	    !take_word(&line, &value))
		return;
	if (m->n == m->cap) {
		size_t cap = m->cap != 0 ? 2 * m->cap : 64;
		struct running_entry *items = realloc(m->items,
		    cap * sizeof(*items));

		if (items == NULL) {
			r->failed = true;
			return;
		}
		m->items = items;
		m->cap = cap;
	}
	k = copy(r, key);
	v = copy(r, value);
	if (k != NULL && v != NULL)
		r->failed |= !running_entry_make(&m->items[m->n++], k, v);
	free(k);
	free(v);
}

int running_parse_map(struct running *r, size_t map, struct span text)
{
	struct running_map *m = &r->maps[map];
	struct span line;

	while (take_line(&text, &line) && !r->failed)
		if (line.len > 2 && memcmp(line.ptr, "0x", 2) == 0)
			add_entry(r, m, line);
	if (!r->failed && m->n > 0)
		qsort(m->items, m->n, sizeof(*m->items), by_key);
	return r->failed ? -ENOMEM : 0;
}

static int read_map(struct running *r, size_t m, struct runtime *runtime,
    const char *dir)
{
	char command[COMMAND_BYTES];
	int n = snprintf(command, sizeof(command), "show map %s/current/%s\n",
	    dir, output_map_files[m]);
	int err = runtime_ask(runtime, command, (size_t)n);

	return err != 0 ? err :
	    running_parse_map(r, m, answer_of(runtime));
}

/* ---- servers ------------------------------------------------------------- */

/* be_name, srv_name and srv_admin_state are words 1, 3 and 6 since version 1. */
static void add_server(struct running *r, struct span line)
{
	struct span words[WORDS_MAX];
	char *backend, *name;
	size_t n = 0, at;
	bool is_there;

	while (n < WORDS_MAX && take_word(&line, &words[n]))
		n++;
	if (n < 7 || words[1].ptr[0] != 'B' ||
	    memchr(words[1].ptr, '\0', words[1].len) != NULL ||
	    memchr(words[3].ptr, '\0', words[3].len) != NULL ||
	    memchr(words[3].ptr, ':', words[3].len) == NULL)
		return;
	backend = copy(r, words[1]);
	name = copy(r, words[3]);
	if (backend != NULL && name != NULL) {
		at = running_find_server(r, backend, name, &is_there);
		if (!is_there && running_put_server(r, at, backend, name))
			r->servers.items[at].is_away =
			    strtoul(words[6].ptr, NULL, 10) & 1;
	}
	free(backend);
	free(name);
}

int running_parse_servers(struct running *r, struct span text)
{
	struct span line;

	while (take_line(&text, &line) && !r->failed)
		if (line.len > 0 && line.ptr[0] != '#')
			add_server(r, line);
	return r->failed ? -ENOMEM : 0;
}

static int read_servers(struct running *r, struct runtime *runtime)
{
	static const char ask[] = "show servers state\n";
	int err = runtime_ask(runtime, ask, sizeof(ask) - 1);

	return err != 0 ? err : running_parse_servers(r, answer_of(runtime));
}

/* ---- certificates -------------------------------------------------------- */

static void add_cert(struct running *r, const char *list, struct span line)
{
	struct span path, rest = line;
	const char *slash;

	if (!take_word(&rest, &path))
		return;
	while (rest.len > 0 && *rest.ptr == ' ') {
		rest.ptr++;
		rest.len--;
	}
	slash = memrchr(path.ptr, '/', path.len);
	if (slash != NULL) {
		path.len -= (size_t)(slash + 1 - path.ptr);
		path.ptr = slash + 1;
	}
	running_add_cert(r, span_of(list), path, rest);
}

int running_parse_list(struct running *r, const char *list, struct span text)
{
	struct span line;

	while (take_line(&text, &line) && !r->failed)
		if (line.len > 0 && line.ptr[0] == '/')
			add_cert(r, list, line);
	return r->failed ? -ENOMEM : 0;
}

static int read_list(struct running *r, const char *list,
    struct runtime *runtime, const char *dir)
{
	char command[COMMAND_BYTES];
	int n = snprintf(command, sizeof(command),
	    "show ssl crt-list %s/current/%s\n", dir, list);
	int err = runtime_ask(runtime, command, (size_t)n);

	return err != 0 ? err :
	    running_parse_list(r, list, answer_of(runtime));
}

static int read_all(struct running *r, const struct output *o,
    struct runtime *runtime, const char *dir)
{
	int err = 0;

	for (size_t m = 0; m < OUTPUT_N_MAPS && err == 0; m++)
		err = read_map(r, m, runtime, dir);
	if (err == 0)
		err = read_servers(r, runtime);
	for (size_t i = 0; i < o->cert_lists.n && err == 0; i++)
		err = read_list(r, o->cert_lists.items[i], runtime, dir);
	return err;
}

int running_read(struct running *r, const struct output *o,
    struct runtime *runtime, const char *dir)
{
	struct output like = { .sections = { o->sections.items,
		o->sections.n, o->sections.cap }, .shape = o->shape };
	int err;

	like.certs_hash = ~o->certs_hash;	/* not yet known to be those */
	err = running_load(r, &like);
	if (err == 0)
		err = read_all(r, o, runtime, dir);
	/* Whole maps were in it; what is said later is short. */
	buf_fini(&runtime->answer);
	if (err != 0)
		running_fini(r);
	return err;
}
