/*
 * scorer_header_label_affinity.c - endpoints whose label says what a header asks for
 *
 *	header's value == label's value: 1; else, or without the header: 0
 *
 * Source: llm-d-router, scorer "header-label-affinity-scorer".
 */
#include "plugins/plugins.h"

#include "conf.h"
#include "endpoints.h"
#include "plugins/label.h"
#include "request.h"

struct affinity_params {
	const char *header, *label;
};

static const struct conf_row rows[] = {
	{ .key = "headerName", .decode = conf_string, .required = true,
	  .offset = offsetof(struct affinity_params, header),
	  .help = "of the request; in any case" },
	{ .key = "labelKey", .decode = conf_string, .required = true,
	  .offset = offsetof(struct affinity_params, label),
	  .help = "of the endpoint" },
};

static const struct conf_table table = {
	.what = "header-label-affinity-scorer",
	.size = sizeof(struct affinity_params),
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(*rows),
};

static void affinity_score(const struct choice *choice, const void *params,
    float *out)
{
	const struct affinity_params *p = params;
	const struct choice c = *choice;
	const struct label_key key = label_key(c.view, p->label);
	struct span header;
	bool is_asked = request_header(c.request, p->header, &header) &&
	    header.len > 0;
	uint64_t wanted = is_asked ? endpoint_value_id(header) : 0;

	for (size_t i = 0; i < c.n; i++)
		out[i] = is_asked && label_id_at(&c, i, &key) == wanted ?
		    1.0f : 0.0f;
}

const struct scorer scorer_header_label_affinity = {
	.name = "header-label-affinity-scorer",
	.params = &table,
	.score = affinity_score,
};
