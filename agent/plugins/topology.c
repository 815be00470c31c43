/*
 * topology.c - four labels an endpoint, compared from the tightest on
 */
#include "plugins/topology.h"

#include <stdbool.h>
#include <string.h>

#include "endpoints.h"
#include "options.h"
#include "plugin.h"
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

/* Three keys begin alike, and differ in the next letter or the one after. */
static enum topology_level level_of(const char *key)
{
	enum { AT = sizeof(DOMAIN) - 1 };
	enum topology_level level;

	if (key[0] == 'k')
		level = TOPOLOGY_HOST;
	else if (key[0] != 't' || strncmp(key, DOMAIN, AT) != 0 ||
	    key[AT] == '\0')
		return TOPOLOGY_NONE;
	else
		level = key[AT] == 'z' ? TOPOLOGY_ZONE : key[AT + 1] == 'a' ?
		    TOPOLOGY_RACK : TOPOLOGY_REGION;
	return strcmp(key, keys[level]) == 0 ? level : TOPOLOGY_NONE;
}

enum topology_level topology_near(const struct topology *a,
    const struct endpoint *e)
{
	enum topology_level nearest = TOPOLOGY_NONE, level;
	bool is_seen[TOPOLOGY_NONE + 1] = { false };

	for (size_t i = 0; i < e->n_labels; i++) {
		level = level_of(e->labels[i].key);
		if (level >= nearest || is_seen[level] || a->at[level] == NULL)
			continue;
		is_seen[level] = true;	/* of two the first counts */
		if (strcmp(a->at[level], e->labels[i].value) == 0)
			nearest = level;
	}
	return nearest;
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
