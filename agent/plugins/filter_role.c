/*
 * filter_role.c - only endpoints that do one stage of disaggregated serving
 *
 *	label llm-d.ai/role	encode	prefill	decode
 *	encode			  x
 *	prefill				  x
 *	decode					  x
 *	encode-prefill		  x	  x
 *	prefill-decode, both		  x	  x
 *	encode-prefill-decode	  x	  x	  x
 *	none at all				  x
 *
 * Nobody left: 429. Source: llm-d-router, filters "encode-filter", "prefill-filter" and
 * "decode-filter".
 */
#include "plugins/plugins.h"

#include "plugins/label.h"

#define ROLE "llm-d.ai/role"
#define ALL_STAGES "encode-prefill-decode"

static const char *const encode_roles[] = {
	"encode", "encode-prefill", ALL_STAGES,
};

static const char *const prefill_roles[] = {
	"prefill", "encode-prefill", "prefill-decode", "both", ALL_STAGES,
};

static const char *const decode_roles[] = {
	"decode", "prefill-decode", "both", ALL_STAGES,
};

static const struct label_rule encode = {
	ROLE, encode_roles, sizeof(encode_roles) / sizeof(*encode_roles), false,
};

static const struct label_rule prefill = {
	ROLE, prefill_roles, sizeof(prefill_roles) / sizeof(*prefill_roles),
	false,
};

static const struct label_rule decode = {
	ROLE, decode_roles, sizeof(decode_roles) / sizeof(*decode_roles), true,
};

static void encode_filter(const struct choice *c, const void *params,
    bool *keep)
{
	(void)params;
	label_keep(c, &encode, keep);
}

static void prefill_filter(const struct choice *c, const void *params,
    bool *keep)
{
	(void)params;
	label_keep(c, &prefill, keep);
}

static void decode_filter(const struct choice *c, const void *params,
    bool *keep)
{
	(void)params;
	label_keep(c, &decode, keep);
}

const struct filter filter_encode = {
	.name = "encode-filter",
	.filter = encode_filter,
};

const struct filter filter_prefill = {
	.name = "prefill-filter",
	.filter = prefill_filter,
};

const struct filter filter_decode = {
	.name = "decode-filter",
	.filter = decode_filter,
};
