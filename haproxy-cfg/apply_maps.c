/*
 * apply_maps.c - maps, entry by entry or as a whole
 *
 * New entries go in by payload, changed ones by `set map`. On 2.6 each key that is named
 * costs a walk of the whole map, so many changes are made as a new version of the map
 * instead, which becomes visible at once: "prepare map", "add map @", "commit map". That
 * version has what is unwanted too, until its time has come.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply_parts.h"
#include "words.h"

enum { NAMED_MAX = 64, TAIL_BYTES = 8 };

struct merge {			/* of one map */
	size_t n_add, n_set;
	size_t n_old, n_back;	/* newly unwanted; wanted again */
};

/* Nearly all are the same as before, which needs no look at the strings. */
static int compare(const struct running_entry *has,
    const struct output_entry *want)
{
	return has->hash == want->hash ? 0 : strcmp(has->key, want->key);
}

/* Calls for each key of either, in order; any of the two may be NULL. */
typedef int on_pair_f(struct apply *a, enum output_map_name map,
    struct running_entry *has, const struct output_entry *want, void *data);

static int each_pair(struct apply *a, enum output_map_name map,
    on_pair_f *on_pair, void *data)
{
	struct running_map *m = &a->running.maps[map];
	const struct output_map *o = &a->wanted->maps[map];
	size_t i = 0, k = 0;
	int err = 0;

	while (err == 0 && (i < m->n || k < o->n)) {
		int order = i == m->n ? 1 : k == o->n ? -1 :
		    compare(&m->items[i], &o->items[k]);

		err = on_pair(a, map, order <= 0 ? &m->items[i] : NULL,
		    order >= 0 ? &o->items[k] : NULL, data);
		i += order <= 0;
		k += order >= 0;
	}
	return err;
}

static int count_pair(struct apply *a, enum output_map_name map,
    struct running_entry *has, const struct output_entry *want, void *data)
{
	struct merge *n = data;

	if (has == NULL) {
		n->n_add++;
		apply_tell(a, "+", output_map_files[map], "%s %s", want->key,
		    want->value);
	} else if (want == NULL) {
		n->n_old += has->unwanted_ms == 0;
		apply_tell(a, "-", output_map_files[map], "%s %s", has->key,
		    has->value);
	} else if (has->hash != want->hash) {
		n->n_set++;
		apply_tell(a, "~", output_map_files[map], "%s %s -> %s",
		    want->key, has->value, want->value);
	} else {
		n->n_back += has->unwanted_ms != 0;
	}
	return 0;
}

static void put_path(struct apply *a, enum output_map_name map)
{
	buf_printf(&a->line, "%s/current/%s", a->options.dir,
	    output_map_files[map]);
}

/* ---- payloads: an empty line ends them, exactly one, by apply_send() ----- */

static void begin_payload(struct apply *a, enum output_map_name map,
    long version)
{
	buf_clear(&a->line);
	buf_puts(&a->line, "add map ");
	if (version != APPLY_MAP_IN_USE)
		buf_printf(&a->line, "@%ld ", version);
	put_path(a, map);
	buf_puts(&a->line, " <<\n");
}

int apply_map_line(struct apply *a, enum output_map_name map, long version,
    const char *key, const char *value)
{
	size_t more = strlen(key) + strlen(value) + TAIL_BYTES;
	int err = 0;

	if (a->line.len + more > RUNTIME_LINE_MAX_BYTES)
		err = apply_send(a);
	if (err != 0)
		return err;
	if (a->line.len == 0)
		begin_payload(a, map, version);
	buf_printf(&a->line, "%s %s\n", key, value);
	return buf_failed(&a->line) ? -ENOMEM : 0;
}

/* Specific keys first: of a prefix and a longer one the longer is behind. */
static int add_new(struct apply *a, enum output_map_name map)
{
	struct running_map *m = &a->running.maps[map];
	const struct output_map *o = &a->wanted->maps[map];
	size_t i = m->n, k = o->n;
	int err = 0;

	buf_clear(&a->line);
	while (err == 0 && k > 0) {
		int order = i == 0 ? -1 : compare(&m->items[i - 1],
		    &o->items[k - 1]);

		if (order < 0)
			err = apply_map_line(a, map, APPLY_MAP_IN_USE,
			    o->items[k - 1].key, o->items[k - 1].value);
		i -= order >= 0;
		k -= order <= 0;
	}
	if (err == 0 && a->line.len > 0)
		err = apply_send(a);
	return err;
}

static int set_pair(struct apply *a, enum output_map_name map,
    struct running_entry *has, const struct output_entry *want, void *data)
{
	int err;

	(void)data;
	if (has == NULL || want == NULL || has->hash == want->hash)
		return 0;
	err = apply_make_room(a, strlen(want->key) * 2 + strlen(want->value) +
	    strlen(a->options.dir) + 64);
	if (err != 0)
		return err;
	buf_puts(&a->line, a->line.len > 0 ? ";set map " : "set map ");
	put_path(a, map);
	buf_puts(&a->line, " ");
	words_cli(&a->line, want->key);
	buf_puts(&a->line, " ");
	words_cli(&a->line, want->value);
	return 0;
}

/* ---- versions ------------------------------------------------------------ */

static int prepare(struct apply *a, enum output_map_name map, long *version)
{
	const char *colon;
	int err;

	buf_clear(&a->line);
	buf_puts(&a->line, "prepare map ");
	put_path(a, map);
	buf_puts(&a->line, "\n");
	err = runtime_ask(&a->runtime, a->line.data, a->line.len);
	buf_clear(&a->line);
	if (err != 0)
		return err;
	colon = strchr(a->runtime.answer.data, ':');
	if (strncmp(a->runtime.answer.data, "New version created", 19) != 0 ||
	    colon == NULL) {
		snprintf(a->runtime.said, sizeof(a->runtime.said), "%.200s",
		    a->runtime.answer.data);
		return -EPROTO;
	}
	*version = strtol(colon + 1, NULL, 10);
	return 0;
}

static int put_pair(struct apply *a, enum output_map_name map,
    struct running_entry *has, const struct output_entry *want, void *data)
{
	const long *version = data;

	if (want != NULL)
		return apply_map_line(a, map, *version, want->key, want->value);
	return has->unwanted_ms < 0 ? 0 :
	    apply_map_line(a, map, *version, has->key, has->value);
}

/* All that is wanted, and what is not but stays (unwanted_ms not below 0). */
static int replace(struct apply *a, enum output_map_name map)
{
	long version;
	int err = prepare(a, map, &version);

	if (err == 0)
		err = each_pair(a, map, put_pair, &version);
	if (err == 0 && a->line.len > 0)
		err = apply_send(a);
	if (err != 0)
		return err;
	buf_clear(&a->line);
	buf_printf(&a->line, "commit map @%ld ", version);
	put_path(a, map);
	return apply_send(a);
}

/* ---- the model follows --------------------------------------------------- */

struct follow {
	struct running_map next;
	bool failed;
};

static int follow_pair(struct apply *a, enum output_map_name map,
    struct running_entry *has, const struct output_entry *want, void *data)
{
	struct follow *f = data;
	struct running_entry *e = &f->next.items[f->next.n];
	struct running_entry new;

	(void)map;
	if (has == NULL) {
		f->failed |= !running_entry_make(e, want->key, want->value);
		f->next.n += e->key != NULL;
		return 0;
	}
	if (want == NULL) {
		if (has->unwanted_ms == 0)
			has->unwanted_ms = a->now_ms;
	} else if (has->hash != want->hash) {
		if (running_entry_make(&new, want->key, want->value)) {
			free(has->key);
			*has = new;
		} else {
			f->failed = true;
		}
	} else {
		has->unwanted_ms = 0;
	}
	*e = *has;
	f->next.n++;
	return 0;
}

static int follow(struct apply *a, enum output_map_name map, size_t n_add)
{
	struct running_map *m = &a->running.maps[map];
	struct follow f = { .next.cap = m->n + n_add + 1 };

	f.next.items = calloc(f.next.cap, sizeof(*f.next.items));
	if (f.next.items == NULL)
		return -ENOMEM;
	each_pair(a, map, follow_pair, &f);
	free(m->items);
	*m = f.next;
	a->running.failed |= f.failed;
	return f.failed ? -ENOMEM : 0;
}

int apply_map(struct apply *a, enum output_map_name map)
{
	struct merge n = { 0 };
	int err = 0;

	each_pair(a, map, count_pair, &n);
	a->report->map_changes += n.n_add + n.n_set + n.n_old;
	if (a->is_dry || n.n_add + n.n_set + n.n_old + n.n_back == 0)
		return 0;
	if (n.n_set > NAMED_MAX) {
		err = replace(a, map);
	} else if (n.n_add + n.n_set > 0) {
		err = add_new(a, map);
		buf_clear(&a->line);
		if (err == 0)
			err = each_pair(a, map, set_pair, NULL);
		if (err == 0)
			err = apply_send(a);
	}
	return err == 0 ? follow(a, map, n.n_add) : err;
}

/* ---- what is left -------------------------------------------------------- */

static bool is_over(const struct apply *a, const struct running_entry *e)
{
	return e->unwanted_ms > 0 &&
	    e->unwanted_ms + APPLY_GRACE_MS <= a->now_ms;
}

static int delete_named(struct apply *a, enum output_map_name map)
{
	struct running_map *m = &a->running.maps[map];
	int err = 0;

	buf_clear(&a->line);
	for (size_t i = 0; i < m->n && err == 0; i++) {
		if (!is_over(a, &m->items[i]))
			continue;
		err = apply_make_room(a, strlen(m->items[i].key) * 2 +
		    strlen(a->options.dir) + 64);
		buf_puts(&a->line, a->line.len > 0 ? ";del map " : "del map ");
		put_path(a, map);
		buf_puts(&a->line, " ");
		words_cli(&a->line, m->items[i].key);
	}
	return err == 0 ? apply_send(a) : err;
}

int apply_map_rest(struct apply *a, enum output_map_name map)
{
	struct running_map *m = &a->running.maps[map];
	size_t n = 0, kept = 0;
	int err;

	for (size_t i = 0; i < m->n; i++)
		n += is_over(a, &m->items[i]);
	if (n == 0)
		return 0;
	if (n > NAMED_MAX) {
		for (size_t i = 0; i < m->n; i++)
			if (is_over(a, &m->items[i]))
				m->items[i].unwanted_ms = -1;
		err = replace(a, map);
	} else {
		err = delete_named(a, map);
	}
	for (size_t i = 0; i < m->n; i++) {
		if (m->items[i].unwanted_ms < 0 || is_over(a, &m->items[i]))
			free(m->items[i].key);
		else
			m->items[kept++] = m->items[i];
	}
	m->n = kept;
	return err;
}

/* ---- is it so? ----------------------------------------------------------- */

static bool has_count(const struct apply *a, enum output_map_name map)
{
	char name[4200];
	const char *at, *count;

	snprintf(name, sizeof(name), "(%s/current/%s)", a->options.dir,
	    output_map_files[map]);
	at = strstr(a->runtime.answer.data, name);
	count = at != NULL ? strstr(at, "entry_cnt=") : NULL;
	/* A map that no line of the configuration uses is not there. */
	if (at == NULL)
		return a->running.maps[map].n == 0;
	return count != NULL && strtoul(count + 10, NULL, 10) ==
	    a->running.maps[map].n;
}

/* The worker's maps have as many entries as the model's. 0, -EPROTO or -errno. */
int apply_verify_maps(struct apply *a)
{
	static const char ask[] = "show map\n";
	int err = runtime_ask(&a->runtime, ask, sizeof(ask) - 1);

	for (size_t m = 0; m < OUTPUT_N_MAPS && err == 0; m++)
		if (!has_count(a, m)) {
			snprintf(a->runtime.said, sizeof(a->runtime.said),
			    "%s has not the %zu entries that it should",
			    output_map_files[m], a->running.maps[m].n);
			err = -EPROTO;
		}
	return err;
}
