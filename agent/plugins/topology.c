/*
 * topology.c - four labels an endpoint, compared from the tightest on
 */
#include "plugins/topology.h"

#include <string.h>

#include "label_columns.h"
#include "options.h"
#include "plugins/address_list.h"
#include "plugins/label.h"
#include "request.h"

const char *const topology_names[] = {
	[TOPOLOGY_HOST] = "host", [TOPOLOGY_RACK] = "rack",
	[TOPOLOGY_ZONE] = "zone", [TOPOLOGY_REGION] = "region", NULL,
};

#define DOMAIN "topology.kubernetes.io/"

static const char *const keys[] = {
	[TOPOLOGY_HOST] = "kubernetes.io/hostname",
	[TOPOLOGY_RACK] = DOMAIN "rack", [TOPOLOGY_ZONE] = DOMAIN "zone",
	[TOPOLOGY_REGION] = DOMAIN "region",
};

struct topology_near topology_near(const struct topology *place)
{
	struct topology_near near = { .place = *place };

	for (size_t i = 0; i < TOPOLOGY_NONE; i++)
		if (place->at[i] != NULL)
			near.ids[i] = endpoint_label_id(keys[i]);
	return near;
}

static size_t level_of(const struct topology_near *near,
    const struct endpoint *e, size_t label, size_t below)
{
	uint64_t id = e->label_ids != NULL ? e->label_ids[label] :
	    endpoint_label_id(e->labels[label].key);
	size_t level = 0;

	while (level < below && near->ids[level] != id)
		level++;
	return level;
}

enum topology_level topology_level(const struct topology_near *near,
    const struct endpoint *e)
{
	size_t nearest = TOPOLOGY_NONE;

	for (size_t i = 0; i < e->n_labels; i++) {
		size_t level = level_of(near, e, i, nearest);

		if (level < nearest && strcmp(near->place.at[level],
			e->labels[i].value) == 0)
			nearest = level;
	}
	return (enum topology_level)nearest;
}

/* What the place does not say is a value that nobody has. */
struct topology_rows topology_rows(const struct endpoint_view *view,
    const struct topology *place)
{
	struct topology_rows t = { .near = topology_near(place),
		.is_quick = view->labels != NULL };

	for (size_t k = 0; t.is_quick && k < TOPOLOGY_NONE; k++) {
		bool is_said = place->at[k] != NULL;

		t.columns[k] = is_said ?
		    label_column(view->labels, t.near.ids[k]) :
		    view->labels->none;
		t.values[k] = is_said ?
		    endpoint_value_id(span_of(place->at[k])) : 1;
		t.is_quick = t.columns[k] != NULL;
	}
	return t;
}

struct topology topology_of(const struct endpoint *e)
{
	struct topology t;

	for (size_t i = 0; i < TOPOLOGY_NONE; i++) {
		t.at[i] = label_value(e, keys[i]);
		if (t.at[i] != NULL && t.at[i][0] == '\0')
			t.at[i] = NULL;
	}
	return t;
}

const struct endpoint *topology_peer(const struct choice *c)
{
	const struct endpoint_view *view = c->view;
	struct address peer;
	struct span value;

	if (c->peer != NULL)
		return c->peer;
	if (!request_header(c->request, "x-epp-peer", &value) ||
	    !address_parse(&peer, value))
		return NULL;
	for (size_t i = 0; i < view->n_endpoints; i++)
		if (address_names(&peer, view->endpoints[i].addr))
			return &view->endpoints[i];
	return NULL;
}
