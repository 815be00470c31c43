/*
 * filter_header_based_testing.c - only the endpoints that a test asks for
 *
 * The request header test-epp-endpoint-selection names them: addresses with or without
 * a port, separated by commas. Without the header, or with an empty one, nobody is
 * left, and that is a 429. Source: llm-d-router, filter "header-based-testing-filter";
 * the conformance suite of the Gateway API Inference Extension steers by it. There, of
 * several ports of one address only one is kept; here all that were named. For tests
 * only: with it, any client chooses its endpoint.
 */
#include "plugins/plugins.h"

#include "plugins/address_list.h"
#include "request.h"

static void testing_filter(const struct choice *c, const void *params,
    bool *keep)
{
	struct span list = { 0 };

	(void)params;
	if (!request_header(c->request, "test-epp-endpoint-selection", &list))
		list = (struct span){ 0 };
	address_list_keep(c, list, keep);
}

const struct filter filter_header_based_testing = {
	.name = "header-based-testing-filter",
	.differs = "keeps each port of an address that is named",
	.filter = testing_filter,
};
