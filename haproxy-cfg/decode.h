/*
 * decode.h - a document of a manifest into the struct of its kind
 *
 * Stands in for the API server: what the CRDs' schemas and CEL rules refuse is
 * refused here, with file, line, the path of the field, what stands there and
 * what would be right. Kubernetes' own kinds are read leniently: exports carry
 * dozens of fields that are nobody's business here. No state, no I/O: any thread.
 *
 * Facts: config/crd of kubernetes-sigs/gateway-api (v1.6.1, and main of August
 * 2026) and of gateway-api-inference-extension v1.6.0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf_tree.h"
#include "kinds.h"

struct arena;
struct fault;

enum decode_result {
	DECODE_OK = 0,
	DECODE_UNKNOWN,		/* a kind that is none of ours: passed over */
};

/*
 * The object, in `arena`; strings are copied. DECODE_ value, or -EINVAL or
 * -ENOMEM with `why` filled. `file` must outlive the object. On DECODE_UNKNOWN
 * what it is called is in `kind` (cut to fit), as apiVersion, a blank, kind.
 */
int decode_object(const char *file, unsigned document, const struct conf *root,
    struct arena *arena, const struct object **out, char *kind, size_t len,
    struct fault *why);

/* RFC 3339 in UTC, as 2026-01-31T23:59:59Z; Unix seconds. False: something else. */
bool decode_time(const char *text, int64_t *out);
