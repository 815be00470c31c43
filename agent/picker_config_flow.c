/*
 * picker_config_flow.c - what the document says of who waits
 *
 * The policies that llm-d always makes need no entry. Source: llm-d-router
 * pkg/epp/config/loader.
 */
#include "picker_config_parts.h"

#include <errno.h>
#include <string.h>

#include "arena.h"
#include "fault.h"

/* llm-d always makes `made`; any other must be listed. */
static int find_policy(struct decoding *d, const struct reference *r,
    enum other_role role, const char *made, int *value)
{
	const struct entry *e;

	*value = other_type_find(made)->value;
	if (r->name == NULL || (strcmp(r->name, made) == 0 &&
		picker_config_find(d, made) == NULL))
		return 0;
	e = picker_config_role(d, r, role, role == OTHER_FAIRNESS ?
	    "a fairness policy" : "an ordering policy");
	if (e == NULL)
		return -EINVAL;
	*value = e->other->value;
	return 0;
}

/* llm-d reads a band's zero as the default. */
static int take_band(struct decoding *d, const struct band_document *from,
    struct flow_band_options *to)
{
	int fairness, ordering;
	int err = find_policy(d, &from->fairness, OTHER_FAIRNESS,
	    "global-strict-fairness-policy", &fairness);

	if (err == 0)
		err = find_policy(d, &from->ordering, OTHER_ORDERING,
		    "fcfs-ordering-policy", &ordering);
	if (err != 0)
		return err;
	*to = (struct flow_band_options){ .priority = from->priority,
		.max_requests = from->max_requests > 0 ? from->max_requests :
		    FLOW_BAND_MAX_REQUESTS,
		.max_bytes = from->max_bytes > 0 ? from->max_bytes :
		    FLOW_BAND_MAX_BYTES,
		.fairness = (enum flow_fairness)fairness,
		.ordering = (enum flow_ordering)ordering,
		.ttl_ms = from->ttl_ms };
	return 0;
}

static int take_bands(struct decoding *d, struct flow_options *to)
{
	const struct flow_document *from = &d->doc.flow;
	struct flow_band_options *bands = arena_zalloc(d->in->arena,
	    (from->n_bands + 1) * sizeof(*bands));
	int err = bands != NULL ? 0 : conf_no_memory(d->in);

	for (size_t i = 0; i < from->n_bands && err == 0; i++) {
		err = take_band(d, &from->bands[i], &bands[i]);
		for (size_t k = 0; k < i && err == 0; k++) {
			if (bands[k].priority != bands[i].priority)
				continue;
			fault_set(d->in->why, d->in->file, from->bands[i].line,
			    "a second band of this priority", "one each");
			return -EINVAL;
		}
	}
	to->bands = bands;
	to->n_bands = from->n_bands;
	if (err == 0)
		err = take_band(d, &from->default_band, &to->default_band);
	if (err == 0)
		err = take_band(d, &from->default_negative_band,
		    &to->default_negative_band);
	return err;
}

static int check_usage_limit(struct decoding *d)
{
	const struct reference *r = &d->doc.flow.usage_limit;

	if (r->name == NULL || (strcmp(r->name, "static-usage-limit-policy") ==
		0 && picker_config_find(d, r->name) == NULL))
		return 0;
	return picker_config_role(d, r, OTHER_USAGE_LIMIT,
	    "a usage limit policy") != NULL ? 0 : -EINVAL;
}

static void tell_flow(struct decoding *d, bool enabled)
{
	const struct conf *map = conf_child(d->root, "flowControl");

	if (!conf_is_given(map) || !d->doc.flow.has_settings)
		return;
	if (!enabled)
		picker_config_tell(d, map->line, MIGRATION_NOT_HONOURED,
		    "flowControl", "the feature gate is off");
	else if (d->doc.flow.is_capped)
		picker_config_tell(d, map->line, MIGRATION_APPROXIMATE,
		    "flowControl", "0s, or more than an hour, is an hour");
	else
		picker_config_tell(d, map->line, MIGRATION_EXACT, "flowControl",
		    NULL);
}

int picker_config_take_flow(struct decoding *d, bool enabled)
{
	const struct flow_document *from = &d->doc.flow;
	struct flow_control_options *o = arena_zalloc(d->in->arena, sizeof(*o));
	int err;

	if (o == NULL)
		return conf_no_memory(d->in);
	*o = (struct flow_control_options){ .enabled = true,
		.ttl_ms = from->ttl_ms, .empty_ttl_ms = from->empty_ttl_ms,
		.queue.max_requests = from->max_requests,
		.queue.max_bytes = from->max_bytes };
	err = take_bands(d, &o->queue);
	if (err == 0)
		err = check_usage_limit(d);
	if (err != 0)
		return err;
	if (enabled)
		d->config->flow = o;
	tell_flow(d, enabled);
	return 0;
}
