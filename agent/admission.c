/*
 * admission.c - priorities, and the two ways to admit
 */
#include "admission.h"

#include <stdlib.h>

#include "endpoints.h"
#include "options.h"
#include "pick.h"
#include "request.h"
#include "saturation.h"

static int by_name(const void *key, const void *entry)
{
	const struct objective_options *o = entry;

	return span_compare(*(const struct span *)key, span_of(o->name));
}

int32_t admission_priority(const struct endpoint_view *view,
    const struct request *request)
{
	const struct pool_options *o = view->options;
	const struct objective_options *found;

	if (request->objective.len == 0 || o->n_objectives == 0)
		return 0;
	found = bsearch(&request->objective, o->objectives, o->n_objectives,
	    sizeof(*o->objectives), by_name);
	return found != NULL ? found->priority : 0;
}

static enum admission admit_waiting(const struct endpoint_view *view)
{
	if (view->n_endpoints == 0)
		return view->is_known && view->options->flow.empty_ttl_ms > 0 ?
		    ADMIT_WAIT : ADMIT_PICK;
	if (atomic_load_explicit(&view->pool_live->n_held,
		memory_order_relaxed) > 0)
		return ADMIT_WAIT;	/* not past those who came before */
	return saturation_of(view) >= 1.0f ? ADMIT_WAIT : ADMIT_PICK;
}

enum admission admission_of(const struct endpoint_view *view,
    const struct request *request)
{
	if (request->status != 0 || !request->has_body)
		return ADMIT_PICK;
	if (view->options->flow.enabled)
		return admit_waiting(view);
	if (admission_priority(view, request) < 0 && view->n_endpoints > 0 &&
	    saturation_of(view) >= 1.0f)
		return ADMIT_REFUSE;
	return ADMIT_PICK;
}

void admission_refuse(const struct endpoint_view *view, struct pick *out)
{
	static const struct pick full = { .status = 429,
		.reason = "rejected-saturated",
		.message = "the pool is saturated, try again later" };
	static const struct pick empty = { .status = 503,
		.reason = "rejected-no-endpoints",
		.message = "the pool has no endpoints" };

	*out = view->n_endpoints > 0 ? full : empty;
	out->retry_after_s = (uint32_t)view->options->saturation.retry_after_s;
}
