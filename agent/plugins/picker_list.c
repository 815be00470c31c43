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

size_t picker_asked(const void *params)
{
	const struct picker_params *p = params;

	return p != NULL ? p->max_endpoints : 0;
}

size_t picker_limit(const void *params, size_t n_best)
{
	size_t asked = picker_asked(params);

	return asked == 0 || asked > n_best ? n_best : asked;
}
