/*
 * filter_endpoint_subset.c - only the endpoints that the proxy says may serve this
 *
 * The request header x-gateway-destination-endpoint-subset names them: addresses with
 * or without a port, separated by commas. Without the header everybody passes; one
 * that names nobody of the pool, or is empty, leaves nobody. HAProxy must set the
 * header or delete it (`http-request set-header`, `del-header`): the first of several
 * counts, and it may be the client's.
 *
 * Source: GIE proposal 004, "subset hint", which is Envoy's filter metadata
 * envoy.lb.subset_hint; HAProxy has none, hence a header of the same name. llm-d-router
 * honours it without being configured (unless --disable-endpoint-subset-filter) and
 * compares addresses without their ports; here a port that is given counts.
 */
#include "plugins/plugins.h"

#include "plugins/address_list.h"
#include "request.h"

static void subset_filter(const struct choice *c, const void *params,
    bool *keep)
{
	struct span list;

	(void)params;
	if (request_header(c->request, "x-gateway-destination-endpoint-subset",
		&list))
		address_list_keep(c, list, keep);
}

const struct filter filter_endpoint_subset = {
	.name = "endpoint-subset-filter",
	.differs = "llm-d does this without a plugin, and compares no ports",
	.filter = subset_filter,
};
