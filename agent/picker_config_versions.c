/*
 * picker_config_versions.c - keys that llm-d has in some apiVersions and not in others
 *
 * The rows know the keys of all of them; llm-d decodes a document by the types of its
 * own version, strictly. Source: llm-d-router apix/config/v1, and v1alpha1 of all
 * releases: `parser` and `saturationDetector` are deprecated there, and gone from the
 * latest; pkg/epp/config/loader, convertV1alpha1ToV1(), for what became of the others.
 */
#include "picker_config_parts.h"

#include <errno.h>
#include <stdio.h>

#include "fault.h"

enum { DEPTH = 3, KEY_TEXT_MAX = 64 };

struct version_key {
	const char *path[DEPTH];	/* from the top; NULL behind the last */
	enum picker_api api;
	const char *others;	/* what there is in the other versions */
};

static const struct version_key keys[] = {
	{ { "parser" }, PICKER_V1ALPHA1, "requestHandler.parsers" },
	{ { "saturationDetector" }, PICKER_V1ALPHA1,
	  "flowControl.saturationDetector" },
	{ { "dataLayer", "discovery", "pluginRef" }, PICKER_V1ALPHA1,
	  "dataLayer.discovery.endpoints.pluginRef" },
	{ { "dataLayer", "peerDiscovery" }, PICKER_V1ALPHA1,
	  "dataLayer.discovery.peers" },
	{ { "dataLayer", "crossReplicaSyncerPluginRef" }, PICKER_V1ALPHA1,
	  "dataLayer.crossReplica.syncerPluginRef" },
	{ { "dataLayer", "crossReplicaSyncInterval" }, PICKER_V1ALPHA1,
	  "dataLayer.crossReplica.syncInterval" },
	{ { "dataLayer", "crossReplicaPublishTimeout" }, PICKER_V1ALPHA1,
	  "dataLayer.crossReplica.publishTimeout" },
	{ { "dataLayer", "crossReplica" }, PICKER_V1,
	  "dataLayer.crossReplicaSyncerPluginRef and its like" },
	{ { "flowControl", "endpointGatePluginRef" }, PICKER_V1, "no gate" },
};

/* A key with nothing behind it is one too: llm-d does not know it. */
static const struct conf *find(const struct conf *map, const char *const *path)
{
	for (size_t i = 0; i < DEPTH && path[i] != NULL && map != NULL; i++)
		map = conf_child(map, path[i]);
	return map;
}

static int refuse(const struct conf_input *in, const struct version_key *k,
    const char *version, unsigned line)
{
	const char *const *p = k->path, *has = k->api == PICKER_V1 ?
	    "llm-d.ai/v1" : "llm-d.ai/v1alpha1";
	char key[KEY_TEXT_MAX];

	snprintf(key, sizeof(key), "%s%s%s%s%s", p[0], p[1] != NULL ? "." : "",
	    p[1] != NULL ? p[1] : "", p[2] != NULL ? "." : "",
	    p[2] != NULL ? p[2] : "");
	fault_setf(in->why, in->file, line, "%s: a key of %s, in a document of "
	    "%s", key, has, version);
	fault_want(in->why, "%s", k->others);
	return -EINVAL;
}

int picker_config_check_version(const struct conf_input *in,
    const struct conf *map, void *out)
{
	const struct document *doc = out;
	enum picker_api api = doc->api_version == PICKER_LEGACY ?
	    PICKER_V1ALPHA1 : (enum picker_api)doc->api_version;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const struct conf *at = find(map, keys[i].path);

		if (at != NULL && keys[i].api != api)
			return refuse(in, &keys[i],
			    conf_child(map, "apiVersion")->text, at->line);
	}
	return 0;
}
