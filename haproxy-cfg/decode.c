/*
 * decode.c - which kind is it, and what every object has
 */
#include "decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "conf.h"
#include "decode_rows.h"
#include "fault.h"

enum { ALIASES_MAX = 3, TITLE_MAX = 400 };

/* One row a kind: where else it is found, what it is read into. */
static const struct row {
	const struct conf_table *table;
	bool is_cluster_wide;
	const char *aliases[ALIASES_MAX + 1];	/* group/version, older ones */
} rows[N_KINDS] = {
	[KIND_GATEWAY_CLASS] = { &gateway_class_table, true,
	    { GATEWAY_GROUP "/v1beta1" } },
	[KIND_GATEWAY] = { &gateway_table, false,
	    { GATEWAY_GROUP "/v1beta1" } },
	[KIND_LISTENER_SET] = { &listener_set_table, false, { NULL } },
	[KIND_HTTP_ROUTE] = { &http_route_table, false,
	    { GATEWAY_GROUP "/v1beta1" } },
	[KIND_GRPC_ROUTE] = { &grpc_route_table, false, { NULL } },
	[KIND_TLS_ROUTE] = { &tls_route_table, false,
	    { GATEWAY_GROUP "/v1alpha3", GATEWAY_GROUP "/v1alpha2" } },
	[KIND_TCP_ROUTE] = { &tcp_route_table, false,
	    { GATEWAY_GROUP "/v1alpha2" } },
	[KIND_REFERENCE_GRANT] = { &reference_grant_table, false,
	    { GATEWAY_GROUP "/v1beta1" } },
	[KIND_BACKEND_TLS_POLICY] = { &backend_tls_policy_table, false,
	    { GATEWAY_GROUP "/v1alpha3" } },
	[KIND_INFERENCE_POOL] = { &inference_pool_table, false, { NULL } },
	[KIND_INFERENCE_OBJECTIVE] = { &inference_objective_table, false,
	    { "inference.networking.x-k8s.io/v1alpha2" } },
	[KIND_INFERENCE_MODEL_REWRITE] = { &inference_model_rewrite_table,
	    false, { "inference.networking.x-k8s.io/v1alpha2" } },
	[KIND_SERVICE] = { &service_table, false, { NULL } },
	[KIND_ENDPOINT_SLICE] = { &endpoint_slice_table, false, { NULL } },
	[KIND_POD] = { &pod_table, false, { NULL } },
	[KIND_SECRET] = { &secret_table, false, { NULL } },
	[KIND_CONFIG_MAP] = { &config_map_table, false, { NULL } },
	[KIND_NAMESPACE] = { &namespace_table, true, { NULL } },
};

static const struct conf_row meta_rows[] = {
	{ .key = "name", .decode = kube_section, .required = true,
	  .offset = offsetof(struct object, name), .help = "its name" },
	{ .key = "namespace", .decode = kube_namespace,
	  .offset = offsetof(struct object, namespace),
	  .help = "default when not given" },
	{ .key = "labels", .decode = kube_labels,
	  .offset = offsetof(struct object, labels), .help = "its labels" },
	{ .key = "generation", .decode = conf_u64, .max = INT64_MAX,
	  .offset = offsetof(struct object, generation),
	  .help = "told back as observedGeneration" },
	{ .key = "creationTimestamp", .decode = kube_time,
	  .offset = offsetof(struct object, created_s),
	  .help = "the older wins" },
	{ .key = "deletionTimestamp", .decode = kube_enum_bool,
	  .offset = offsetof(struct object, is_deleting),
	  .help = "it is about to go" },
	{ .key = "annotations", .decode = conf_ignore, .help = "not read" },
	{ .key = "generateName", .decode = conf_ignore, .help = "not read" },
	{ .key = "selfLink", .decode = conf_ignore, .help = "not read" },
	{ .key = "uid", .decode = conf_ignore, .help = "not read" },
	{ .key = "resourceVersion", .decode = conf_ignore, .help = "not read" },
	{ .key = "deletionGracePeriodSeconds", .decode = conf_ignore,
	  .help = "not read" },
	{ .key = "ownerReferences", .decode = conf_ignore, .help = "not read" },
	{ .key = "finalizers", .decode = conf_ignore, .help = "not read" },
	{ .key = "managedFields", .decode = conf_ignore, .help = "not read" },
};

const struct conf_table meta_table = {
	.what = "metadata", ROWS(meta_rows),
};

static const char *text_of(const struct conf *map, const char *key)
{
	const struct conf *c = conf_child(map, key);

	return c != NULL && c->type == CONF_SCALAR ? c->text : NULL;
}

static bool is_group_of(const char *api, const char *group)
{
	size_t len = strlen(group);

	if (len == 0)
		return strchr(api, '/') == NULL;
	return strncmp(api, group, len) == 0 && api[len] == '/';
}

/* Is the kind read in this version? */
static bool is_version_of(const char *api, enum kind kind)
{
	const char *slash = strchr(api, '/');

	if (is_group_of(api, kind_group(kind)) &&
	    strcmp(slash != NULL ? slash + 1 : api, kind_version(kind)) == 0)
		return true;
	for (size_t i = 0; rows[kind].aliases[i] != NULL; i++)
		if (strcmp(rows[kind].aliases[i], api) == 0)
			return true;
	return false;
}

/* The group it belongs to, in any version. */
static bool has_group(const char *api, enum kind kind)
{
	if (is_group_of(api, kind_group(kind)))
		return true;
	for (size_t i = 0; rows[kind].aliases[i] != NULL; i++)
		if (strcspn(rows[kind].aliases[i], "/") == strcspn(api, "/") &&
		    strncmp(rows[kind].aliases[i], api, strcspn(api, "/")) == 0)
			return true;
	return false;
}

/* N_KINDS: none of ours. */
static enum kind find_kind(const char *api, const char *name)
{
	for (int k = 0; k < N_KINDS; k++)
		if (strcmp(kind_name((enum kind)k), name) == 0 &&
		    has_group(api, (enum kind)k))
			return (enum kind)k;
	return N_KINDS;
}

static int no_object(const char *file, const struct conf *root,
    struct fault *why)
{
	fault_setf(why, file, root->line, root->type != CONF_MAP ?
	    "a document that is no map" : text_of(root, "kind") == NULL ?
	    "a document without kind" : "a document without apiVersion");
	fault_want(why, "apiVersion, kind, metadata, ... of an object");
	return -EINVAL;
}

/* Of a namespaced kind in no namespace: default, as kubectl has it. */
static int place(const struct conf_input *in, struct object *o,
    const struct conf *root)
{
	if (!rows[o->kind].is_cluster_wide) {
		if (o->namespace == NULL)
			o->namespace = "default";
		return 0;
	}
	if (o->namespace != NULL)
		return conf_refuse_at(in, conf_child(root, "metadata"),
		    "namespace", NULL, "no namespace: %s belongs to none",
		    kind_name(o->kind));
	o->namespace = "";
	return 0;
}

static void title_of(char title[TITLE_MAX], const struct conf *root,
    const char *kind)
{
	const struct conf *meta = conf_child(root, "metadata");
	const char *namespace = NULL, *name = NULL;

	if (meta != NULL) {
		namespace = text_of(meta, "namespace");
		name = text_of(meta, "name");
	}
	snprintf(title, TITLE_MAX, "%.64s %.63s%s%.253s", kind,
	    namespace != NULL ? namespace : "", namespace != NULL ? "/" : "",
	    name != NULL ? name : "without a name");
	for (char *at = title; *at != '\0'; at++)
		if ((unsigned char)*at < ' ')
			*at = '?';
}

static int decode_as(enum kind kind, const struct conf_input *in,
    unsigned document, const struct conf *root, const struct object **out)
{
	struct object *o = arena_zalloc(in->arena, rows[kind].table->size);
	int err;

	if (o == NULL)
		return conf_no_memory(in);
	o->kind = kind;
	o->created_s = INT64_MAX;
	o->file = in->file;
	o->line = root->line;
	o->document = document;
	err = conf_decode(in, rows[kind].table, root, o);
	if (err == 0)
		err = place(in, o, root);
	if (err == 0)
		*out = o;
	return err;
}

static int wrong_version(const char *file, const struct conf *root,
    const char *api, enum kind kind, struct fault *why)
{
	const char *group = kind_group(kind);

	fault_setf(why, file, root->line, "%s of apiVersion %.253s",
	    kind_name(kind), api);
	fault_want(why, "%s%s%s", group, group[0] != '\0' ? "/" : "",
	    kind_version(kind));
	return -EINVAL;
}

int decode_object(const char *file, unsigned document, const struct conf *root,
    struct arena *arena, const struct object **out, char *name, size_t len,
    struct fault *why)
{
	const struct conf_input in = { file, arena, why };
	const char *api = text_of(root, "apiVersion");
	const char *word = text_of(root, "kind");
	char title[TITLE_MAX];
	struct fault_path path = { NULL, title, 0 };
	enum kind kind;
	int err;

	*out = NULL;
	if (api == NULL || word == NULL)
		return no_object(file, root, why);
	kind = find_kind(api, word);
	if (kind == N_KINDS) {
		snprintf(name, len, "%s %s", api, word);
		return DECODE_UNKNOWN;
	}
	if (!is_version_of(api, kind))
		return wrong_version(file, root, api, kind, why);
	title_of(title, root, word);
	why->path = &path;
	err = decode_as(kind, &in, document, root, out);
	why->path = NULL;
	return err;
}
