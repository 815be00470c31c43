/*
 * picker_list.c - one row
 */
#include "plugins/picker_list.h"

#include <stdint.h>

#include "conf.h"

struct picker_params {
	uint32_t max_endpoints;		/* 0: not given */
};

static const struct conf_row rows[] = {
	{ .key = "maxNumOfEndpoints", .decode = conf_u32,
	  .offset = offsetof(struct picker_params, max_endpoints),
	  .help = "named in an answer at most; all that HAProxy can use" },
};

const struct conf_table picker_table = {
	.what = "a picker",
	.size = sizeof(struct picker_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

size_t picker_limit(const void *params, size_t n_best)
{
	const struct picker_params *p = params;

	if (p == NULL || p->max_endpoints == 0 || p->max_endpoints > n_best)
		return n_best;
	return p->max_endpoints;
}
