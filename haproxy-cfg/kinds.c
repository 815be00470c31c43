/*
 * kinds.c - how kinds are called
 */
#include "kinds.h"

#include <string.h>

static const struct {
	const char *name, *group, *version;
} names[N_KINDS] = {
	[KIND_GATEWAY_CLASS] = { "GatewayClass", GATEWAY_GROUP, "v1" },
	[KIND_GATEWAY] = { "Gateway", GATEWAY_GROUP, "v1" },
	[KIND_LISTENER_SET] = { "ListenerSet", GATEWAY_GROUP, "v1" },
	[KIND_HTTP_ROUTE] = { "HTTPRoute", GATEWAY_GROUP, "v1" },
	[KIND_GRPC_ROUTE] = { "GRPCRoute", GATEWAY_GROUP, "v1" },
	[KIND_TLS_ROUTE] = { "TLSRoute", GATEWAY_GROUP, "v1" },
	[KIND_TCP_ROUTE] = { "TCPRoute", GATEWAY_GROUP, "v1" },
	[KIND_REFERENCE_GRANT] = { "ReferenceGrant", GATEWAY_GROUP, "v1" },
	[KIND_BACKEND_TLS_POLICY] = { "BackendTLSPolicy", GATEWAY_GROUP, "v1" },
	[KIND_INFERENCE_POOL] = { "InferencePool", INFERENCE_GROUP, "v1" },
	[KIND_INFERENCE_OBJECTIVE] = { "InferenceObjective", "llm-d.ai",
	    "v1alpha2" },
	[KIND_INFERENCE_MODEL_REWRITE] = { "InferenceModelRewrite", "llm-d.ai",
	    "v1alpha2" },
	[KIND_SERVICE] = { "Service", "", "v1" },
	[KIND_ENDPOINT_SLICE] = { "EndpointSlice", "discovery.k8s.io", "v1" },
	[KIND_POD] = { "Pod", "", "v1" },
	[KIND_SECRET] = { "Secret", "", "v1" },
	[KIND_CONFIG_MAP] = { "ConfigMap", "", "v1" },
	[KIND_NAMESPACE] = { "Namespace", "", "v1" },
};

const char *kind_name(enum kind kind)
{
	return names[kind].name;
}

const char *kind_group(enum kind kind)
{
	return names[kind].group;
}

const char *kind_version(enum kind kind)
{
	return names[kind].version;
}

const char *labels_get(const struct labels *labels, const char *key)
{
	size_t low = 0, high = labels->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(labels->items[mid].key, key);

		if (order == 0)
			return labels->items[mid].value;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
