/*
 * flow_control_lines.c - a line for each pool, and what of its view it goes by
 */
#include <stdlib.h>
#include <string.h>

#include "endpoints.h"
#include "flow_control_parts.h"
#include "options.h"

enum { TABLE_MAX_BYTES = 16 << 20 };	/* bands and flows of one pool */

struct flow_line *flow_control_find_line(struct flow_control *f,
    struct span pool)
{
	for (struct flow_line *l = f->lines; l != NULL; l = l->next)
		if (span_is_text(pool, l->pool))
			return l;
	return NULL;
}

/* One piece of memory, bands and all. */
static struct flow_control_options *copy_options(
    const struct flow_control_options *o)
{
	size_t bytes = o->queue.n_bands * sizeof(*o->queue.bands);
	struct flow_control_options *copy = malloc(sizeof(*copy) + bytes);

	if (copy == NULL)
		return NULL;
	*copy = *o;
	copy->queue.bands = memcpy(copy + 1, o->queue.bands != NULL ?
	    (const void *)o->queue.bands : "", bytes);
	return copy;
}

void flow_control_free_line(struct flow_line *l)
{
	flow_queue_free(l->queue);
	free(l->options);
	free(l->pool);
	free(l);
}

struct flow_line *flow_control_new_line(struct flow_control *f,
    struct span pool)
{
	const struct flow_control_options none = {
		.queue = flow_options_default };
	struct flow_line *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->pool = strndup(pool.ptr, pool.len);
	l->options = copy_options(&none);
	if (l->options != NULL)
		l->queue = flow_queue_new(&l->options->queue, rng_next(&f->rng),
		    TABLE_MAX_BYTES);
	if (l->pool == NULL || l->queue == NULL) {
		flow_control_free_line(l);
		return NULL;
	}
	l->next = f->lines;
	f->lines = l;
	return l;
}

/*
 * True when they are others than before. The queue looks at the old ones to see what is
 * new. Without memory they stay.
 */
static bool follow_options(struct flow_line *l, const struct pool_options *o)
{
	struct flow_control_options *next;

	if (l->options_number == o->number)
		return false;
	next = copy_options(&o->flow);
	if (next == NULL)
		return false;
	flow_queue_set_options(l->queue, &next->queue);
	free(l->options);
	l->options = next;
	l->options_number = o->number;
	l->retry_after_s = o->saturation.retry_after_s;
	return true;
}

int64_t flow_control_ttl_ms(const struct flow_line *l, const struct waiter *w)
{
	const struct flow_band_options *band = flow_options_band(
	    &l->options->queue, w->priority);
	int64_t most_ms = band->ttl_ms > 0 ? band->ttl_ms : l->options->ttl_ms;

	if (l->is_empty)
		return l->options->empty_ttl_ms;
	return w->ttl_ms > 0 && w->ttl_ms < most_ms ? w->ttl_ms : most_ms;
}

static int64_t new_expiry(const struct waiter *w, void *data)
{
	return w->arrived_ms + flow_control_ttl_ms(data, w);
}

static bool is_empty(const struct endpoint_view *view)
{
	return view != NULL && view->is_known && view->n_endpoints == 0;
}

void flow_control_follow_view(struct flow_line *l,
    const struct endpoint_view *view)
{
	bool has_others = view != NULL && follow_options(l, view->options);

	if (!has_others && l->is_empty == is_empty(view))
		return;
	l->is_empty = is_empty(view);
	flow_queue_renew(l->queue, new_expiry, l);
}
