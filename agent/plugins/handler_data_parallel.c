/*
 * handler_data_parallel.c - one profile, which picks a rank of a data-parallel server
 *
 * The ranks are endpoints with a port each, scraped and picked one by one; the request
 * goes to the port of their pod that forwards to all of them (primaryPort), with the
 * rank's ip:port in the header x-data-parallel-host-port. Source: llm-d-router, profile
 * handler "data-parallel-profile-handler", deprecated there since proxies reach a rank
 * themselves. HAProxy sends a request to servers of the pool only: where that port is
 * not among them the rank is sent to itself, without the header, as is done nowadays.
 */
#include "plugins/plugins.h"

#include "conf.h"

struct parallel_params {
	uint16_t primary_port;
};

static const struct conf_row rows[] = {
	{ .key = "primaryPort", .decode = conf_u16, .preset = "8000",
	  .min = 1, .offset = offsetof(struct parallel_params, primary_port),
	  .help = "of the server that forwards to the ranks" },
};

static const struct conf_table table = {
	.what = "data-parallel-profile-handler",
	.size = sizeof(struct parallel_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static const struct profile *parallel_next(const struct stages *s,
    const void *params, enum stage *stage)
{
	return handler_single.next(s, params, stage);
}

static uint16_t parallel_port(const void *params)
{
	return ((const struct parallel_params *)params)->primary_port;
}

const struct handler handler_data_parallel = {
	.name = "data-parallel-profile-handler",
	.differs = "a rank whose primaryPort is no endpoint of the pool is sent to "
	    "itself, without the header",
	.params = &table,
	.next = parallel_next,
	.entry_port = parallel_port,
};
