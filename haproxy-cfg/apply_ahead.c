/*
 * apply_ahead.c - new routes get traffic before the whole is planned and written
 *
 * Only adds: entries of hostnames that changed, and of rules that lead to backends which
 * the worker has as they are wanted. All that is so is found out before the first
 * command. Whatever else there is to do (a changed entry, what has to go, the files)
 * comes with the whole, from apply_output(), which finds these entries in the model as
 * if they had always been there. Whoever comes after us reads the worker's maps, and
 * finds them too.
 */
#include <stdio.h>
#include <string.h>

#include "apply_parts.h"

static bool has_backends(const struct apply *a, const struct output *part)
{
	for (size_t i = 0; i < part->sections.n; i++) {
		const struct output_section *s = &part->sections.items[i], *has;

		if (*s->name == '\0')
			continue;
		has = output_backend(a->wanted, s->name);
		if (has == NULL || has->hash != s->hash)
			return false;
	}
	return true;
}

/*
 * Has the worker keys of this group already? A new hostname's must have none: ids that
 * collide are told apart by the whole only.
 */
static bool is_group(const struct running_map *m, const char *group)
{
	char front[64];
	int len = snprintf(front, sizeof(front), "%s/", group);
	bool is_there;
	size_t at = running_find_entry(m, front, &is_there);

	return at < m->n && strncmp(m->items[at].key, front, (size_t)len) == 0;
}

static bool fits(const struct apply *a, enum output_map_name map,
    const struct output_entry *e)
{
	const struct running *r = &a->running;
	bool is_there;
	size_t at = running_find_entry(&r->maps[map], e->key, &is_there);

	if (is_there)
		return r->maps[map].items[at].hash == e->hash;
	return map != MAP_HOST || (!is_group(&r->maps[MAP_EXACT], e->value) &&
	    !is_group(&r->maps[MAP_PREFIX], e->value));
}

static bool all_fit(const struct apply *a, const struct output *part)
{
	for (size_t m = 0; m < OUTPUT_N_MAPS; m++)
		for (size_t i = 0; i < part->maps[m].n; i++)
			if (!fits(a, m, &part->maps[m].items[i]))
				return false;
	return true;
}

/* From behind: of a prefix and a longer one the longer comes first. */
static int add(struct apply *a, const struct output *part,
    enum output_map_name map)
{
	struct running_map *m = &a->running.maps[map];
	int err = 0;

	buf_clear(&a->line);
	for (size_t i = part->maps[map].n; i-- > 0 && err == 0;) {
		const struct output_entry *e = &part->maps[map].items[i];
		bool is_there;
		size_t at = running_find_entry(m, e->key, &is_there);

		if (is_there) {
			m->items[at].unwanted_ms = 0;
			continue;
		}
		err = apply_map_line(a, map, APPLY_MAP_IN_USE, e->key,
		    e->value);
		if (err == 0)
			err = running_put_entry(&a->running, map, at, e->key,
			    e->value);
		a->report->map_changes++;
	}
	return err == 0 && a->line.len > 0 ? apply_send(a) : err;
}

bool apply_ahead(struct apply *a, const struct output *part, int64_t now_ms,
    struct apply_report *r)
{
	int err = 0;

	*r = (struct apply_report){ .result = APPLY_DONE };
	a->report = r;
	a->now_ms = now_ms;
	if (!a->is_known || !a->is_staged || a->needs_reload ||
	    a->refused != NULL || !has_backends(a, part) || !all_fit(a, part))
		return false;
	a->is_ahead = a->was_put_ahead = true;
	for (size_t i = 0; i < OUTPUT_N_MAPS && err == 0; i++)
		err = add(a, part, apply_map_order[i]);
	if (err != 0)
		a->is_known = false;
	return err == 0;
}
