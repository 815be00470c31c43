/*
 * picker_config_plugins.c - what each entry of `plugins:` is, by its type
 *
 * A type may be several things at once, as it is for llm-d: a saturation detector is
 * a filter too. Its parameters are decoded by the rows of each. Source of who may be
 * referred to without being listed: llm-d-router pkg/epp/config/loader.
 */
#include "picker_config_parts.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "fault.h"

enum { NAMES_MAX = 256 };

int picker_config_refuse(const struct decoding *d, unsigned line,
    const char *found, const char *name, const char *want)
{
	fault_setf(d->in->why, d->in->file, line, "%s: %.100s", found, name);
	if (want != NULL)
		fault_want(d->in->why, "%s", want);
	return -EINVAL;
}

/* ---- types ---- */

static size_t all_types(const char *names[NAMES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; filter_at(i) != NULL && n < NAMES_MAX; i++)
		names[n++] = filter_at(i)->name;
	for (size_t i = 0; scorer_at(i) != NULL && n < NAMES_MAX; i++)
		names[n++] = scorer_at(i)->name;
	for (size_t i = 0; picker_at(i) != NULL && n < NAMES_MAX; i++)
		names[n++] = picker_at(i)->name;
	for (size_t i = 0; handler_at(i) != NULL && n < NAMES_MAX; i++)
		names[n++] = handler_at(i)->name;
	for (size_t i = 0; decider_at(i) != NULL && n < NAMES_MAX; i++)
		names[n++] = decider_at(i)->name;
	for (size_t i = 0; other_type_at(i) != NULL && n < NAMES_MAX; i++)
		names[n++] = other_type_at(i)->name;
	return n;
}

static int refuse_type(const struct decoding *d, const struct reference *type)
{
	const char *names[NAMES_MAX], *want = refused_type_want(type->name);

	picker_config_refuse(d, type->line, "a plugin of a type that we do not "
	    "have", type->name, want);
	if (want == NULL)
		conf_want_name(d->in->why, type->name, names, all_types(names));
	return -EINVAL;
}

/* True when it is something. */
static bool find_type(struct entry *e, const char *type)
{
	e->filter = filter_find(type);
	e->scorer = scorer_find(type);
	e->picker = picker_find(type);
	e->handler = handler_find(type);
	e->decider = decider_find(type);
	e->other = other_type_find(type);
	return e->filter != NULL || e->scorer != NULL || e->picker != NULL ||
	    e->handler != NULL || e->decider != NULL || e->other != NULL;
}

/* ---- references ---- */

struct entry *picker_config_find(const struct decoding *d, const char *name)
{
	for (size_t i = 0; i < d->doc.n_entries; i++)
		if (strcmp(d->doc.entries[i].name.name, name) == 0)
			return &d->doc.entries[i];
	return NULL;
}

static bool is_type(const char *name)
{
	struct entry e;

	return find_type(&e, name);
}

static int refuse_reference(const struct decoding *d, const struct reference *r)
{
	const char *names[NAMES_MAX];
	size_t n = 0;

	picker_config_refuse(d, r->line, "no such name under plugins", r->name,
	    NULL);
	if (is_type(r->name)) {
		fault_want(d->in->why, "{type: %s} there too", r->name);
		return -EINVAL;
	}
	for (; n < d->doc.n_entries && n < NAMES_MAX; n++)
		names[n] = d->doc.entries[n].name.name;
	if (n > 0)
		conf_want_name(d->in->why, r->name, names, n);
	else
		fault_want(d->in->why, "it there");
	return -EINVAL;
}

struct entry *picker_config_entry(struct decoding *d,
    const struct reference *r)
{
	struct entry *e = picker_config_find(d, r->name);

	if (e != NULL)
		e->is_referred = true;
	else
		refuse_reference(d, r);
	return e;
}

struct entry *picker_config_role(struct decoding *d, const struct reference *r,
    enum other_role role, const char *what)
{
	struct entry *e = picker_config_entry(d, r);

	if (e == NULL || (e->other != NULL && e->other->role == role))
		return e;
	picker_config_refuse(d, r->line, "a plugin of another kind", r->name,
	    what);
	return NULL;
}

/* ---- parameters ---- */

/*
 * Parameters that name which producer to read from. There is one of each kind here,
 * so all that is left to check is the name.
 */
static const struct {
	const char *type, *key;
} producer_names[] = {
	{ "prefix-cache-scorer", "prefixMatchInfoProducerName" },
	{ "precise-prefix-cache-scorer", "prefixMatchInfoProducerName" },
	{ "no-hit-lru-scorer", "prefixMatchInfoProducerName" },
	{ "no-hit-lru-scorer", "prefixPluginName" },
	{ "latency-scorer", "prefixMatchInfoProducerName" },
	{ "latency-scorer", "latencyPredictionInfoProducerName" },
	{ "prefix-cache-affinity-filter", "prefixMatchInfoProducerName" },
	{ "prefix-cache-affinity-filter", "latencyPredictionInfoProducerName" },
	{ "prefix-cache-affinity-filter", "inFlightLoadProducerName" },
	{ "slo-headroom-tier-filter", "latencyPredictionInfoProducerName" },
	{ "utilization-filter", "inFlightLoadProducerName" },
	{ "concurrency-detector", "inFlightLoadProducerName" },
	{ "active-request-scorer", "inFlightLoadProducerName" },
	{ "token-load-scorer", "inFlightLoadProducerName" },
	{ "pd-profile-handler", "prefixMatchInfoProducerName" },
	{ "topology-affinity-filter", "topologyProducerName" },
	{ "topology-affinity-scorer", "topologyProducerName" },
};

const char *picker_config_producer_key(const char *type, size_t i)
{
	size_t n = sizeof(producer_names) / sizeof(*producer_names);

	for (size_t k = 0; k < n; k++)
		if (strcmp(producer_names[k].type, type) == 0 && i-- == 0)
			return producer_names[k].key;
	return NULL;
}

static bool names_producer(const struct entry *e, const char *key)
{
	const char *known;

	for (size_t i = 0; (known = picker_config_producer_key(e->type.name,
		i)) != NULL; i++)
		if (strcmp(known, key) == 0)
			return true;
	return false;
}

/* One that is listed, or the one that llm-d makes by itself and names by its type. */
static int check_producer(const struct decoding *d, const struct conf *value)
{
	static const struct conf_row row = { .key = "a producer" };
	const struct reference r = { value->text, value->line };

	if (value->type != CONF_SCALAR)
		return conf_refuse(d->in, &row, value, "its name");
	if (r.name[0] == '\0' || other_type_find(r.name) != NULL)
		return 0;
	for (size_t i = 0; i < d->doc.n_entries; i++) {
		const struct entry *e = &d->doc.entries[i];
		const char *name = e->name.name != NULL ? e->name.name :
		    e->type.name;

		if (strcmp(name, r.name) == 0)
			return 0;
	}
	return conf_refuse(d->in, &row, value, "a name under plugins");
}

/* The parameters without those names: what the type's own rows know. */
static int strip_producers(const struct decoding *d, struct entry *e,
    struct conf *map)
{
	struct conf *copy, **last = &map->children;
	int err;

	for (const struct conf *c = map->children; c != NULL; c = c->next) {
		if (names_producer(e, c->key)) {
			err = conf_is_given(c) ? check_producer(d, c) : 0;
			if (err != 0)
				return err;
			if (strcmp(c->key, "prefixMatchInfoProducerName") == 0 &&
			    conf_is_given(c))
				e->prefixes = c->text;
			continue;
		}
		copy = arena_alloc(d->in->arena, sizeof(*copy));
		if (copy == NULL)
			return conf_no_memory(d->in);
		*copy = *c;
		*last = copy;
		last = &copy->next;
	}
	*last = NULL;
	return 0;
}

static int decode_by(const struct decoding *d, const struct conf_table *table,
    const struct conf *map, void **out)
{
	if (table == NULL)
		return 0;
	*out = arena_zalloc(d->in->arena, table->size);
	return *out != NULL ? conf_decode(d->in, table, map, *out) :
	    conf_no_memory(d->in);
}

/* What a type's rows decode into, one for each thing that it is. */
struct part {
	const struct conf_table *table;
	void **out;
};

enum { N_PARTS = 6 };

static void parts_of(struct entry *e, struct part parts[N_PARTS])
{
	const struct part all[N_PARTS] = {
		{ e->filter != NULL ? e->filter->params : NULL,
		  &e->filter_params },
		{ e->scorer != NULL ? e->scorer->params : NULL,
		  &e->scorer_params },
		{ e->picker != NULL ? e->picker->params : NULL,
		  &e->picker_params },
		{ e->handler != NULL ? e->handler->params : NULL,
		  &e->handler_params },
		{ e->decider != NULL ? e->decider->params : NULL,
		  &e->decider_params },
		{ e->other != NULL ? e->other->params : NULL,
		  &e->other_params },
	};

	memcpy(parts, all, sizeof(all));
}

/* Of those, what takes no parameters may have an empty map of them. */
static bool takes_none(struct entry *e)
{
	struct part parts[N_PARTS];

	parts_of(e, parts);
	for (size_t i = 0; i < N_PARTS; i++)
		if (parts[i].table != NULL)
			return false;
	return e->other == NULL;
}

static int refuse_moved(const struct decoding *d, const struct entry *e,
    const struct conf *map)
{
	for (const struct conf *c = map->children; c != NULL; c = c->next) {
		const char *want = moved_param_want(e->type.name, c->key);

		if (want != NULL)
			return picker_config_refuse(d, c->line,
			    "a parameter that its plugin has no more", c->key,
			    want);
	}
	return 0;
}

static int decode_params(const struct decoding *d, struct entry *e)
{
	static const struct conf_row row = { .key = "parameters" };
	struct conf map = { .type = CONF_MAP, .line = e->type.line };
	struct part parts[N_PARTS];
	int err;

	if (conf_is_given(e->parameters))
		map = *e->parameters;
	if (map.type != CONF_MAP)
		return conf_refuse(d->in, &row, &map, "a map: key: value");
	err = refuse_moved(d, e, &map);
	if (err == 0)
		err = strip_producers(d, e, &map);
	if (err == 0 && takes_none(e) && map.children != NULL)
		err = picker_config_refuse(d, map.children->line,
		    "a parameter of a plugin that takes none",
		    map.children->key, "no parameters");
	parts_of(e, parts);
	for (size_t i = 0; i < N_PARTS && err == 0; i++)
		err = decode_by(d, parts[i].table, &map, parts[i].out);
	return err;
}

/* ---- entries ---- */

static int resolve_entry(const struct decoding *d, struct entry *e)
{
	if (!find_type(e, e->type.name))
		return refuse_type(d, &e->type);
	return decode_params(d, e);
}

int picker_config_preset(const struct decoding *d, const char *type,
    unsigned line, struct entry *out)
{
	*out = (struct entry){ .type = { type, line }, .name = { type, line } };
	return resolve_entry(d, out);
}

int picker_config_resolve(struct decoding *d)
{
	for (size_t i = 0; i < d->doc.n_entries; i++) {
		struct entry *e = &d->doc.entries[i];
		int err = resolve_entry(d, e);

		if (err != 0)
			return err;
		if (e->name.name == NULL)
			e->name = e->type;
		if (picker_config_find(d, e->name.name) != e)
			return picker_config_refuse(d, e->name.line,
			    "a second plugin of this name", e->name.name,
			    "a name of its own");
	}
	return 0;
}
