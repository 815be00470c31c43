/*
 * pool_view.c - the numbers of all endpoints as of now, and whom they are of
 */
#include "pool.h"

#include <stdlib.h>

#include "entries.h"
#include "extras.h"
#include "membership.h"
#include "outlier.h"
#include "plugin.h"
#include "prompt.h"
#include "target.h"
#include "warm.h"

struct pool_view {
	struct endpoint_view view;	/* first: a view is a pool_view */
	unsigned refs;
	struct pool *pool;
	struct membership *members;
	const struct options *options;	/* a reference: the view's are in there */
	struct endpoint_extras *extras;	/* with all they point to; NULL: none */
	struct endpoint_stats stats[];
};

/* Depths are counted in 16 bits: prefix.h. */
static uint32_t max_blocks(const struct pool *p)
{
	uint32_t n = p->prefix_options.max_match_tokens /
	    p->prefix_options.block_tokens;

	return n < UINT16_MAX ? n : UINT16_MAX;
}

static struct pool_view *box(const struct endpoint_view *view)
{
	return (struct pool_view *)(void *)view;
}

/* What the targets keep, in one block; false without memory. */
static bool copy_extras(const struct pool *p, struct endpoint_extras **out)
{
	struct endpoint_extras *copies;
	size_t bytes = 0;
	char *at;

	*out = NULL;
	for (size_t i = 0; i < p->n_targets; i++)
		bytes += extras_bytes(target_extras(p->targets[i]));
	if (bytes == 0)
		return true;
	copies = malloc(p->n_targets * sizeof(*copies) + bytes);
	if (copies == NULL)
		return false;
	at = (char *)(copies + p->n_targets);
	for (size_t i = 0; i < p->n_targets; i++)
		copies[i] = extras_pack(target_extras(p->targets[i]), &at);
	*out = copies;
	return true;
}

/* Its memory is worth having back. */
static void cool_down(struct pool *p, int64_t now_ms)
{
	if (p->warm == NULL ||
	    (now_ms < p->warm_until_ms && !warm_is_spent(p->warm)))
		return;
	warm_free(p->warm);
	p->warm = NULL;
}

/* By options that came after the set did. False without memory. */
static bool renew_entries(struct pool *p)
{
	uint16_t port = membership_entry_port(p->options->schedule);
	struct membership *m = p->members;

	if (m == NULL || port == (m->entries != NULL ? m->entries->port : 0))
		return true;
	m = membership_new(p->targets, p->n_targets, port);
	if (m == NULL)
		return false;
	membership_unref(p->members);
	p->members = m;
	return true;
}

const struct endpoint_view *pool_view(struct pool *p, int64_t now_ms)
{
	size_t n = p->n_targets;
	struct pool_view *v = calloc(1, sizeof(*v) + n * sizeof(v->stats[0]));

	if (v == NULL)
		return NULL;
	cool_down(p, now_ms);
	if (!renew_entries(p) || !copy_extras(p, &v->extras)) {
		free(v);
		return NULL;
	}
	v->refs = 1;
	v->pool = p;
	p->refs++;
	v->members = p->members;
	if (v->members != NULL)
		v->members->refs++;
	v->options = options_ref(p->options->owner);
	for (size_t i = 0; i < n; i++) {
		v->stats[i] = target_stats(p->targets[i], now_ms);
		outlier_tick(&p->live[v->stats[i].slot], &p->options->outlier,
		    now_ms);
	}
	v->view = (struct endpoint_view){
		.number = ++p->n_views,
		.pool = p->name,
		.is_known = p->is_known,
		.n_endpoints = n,
		.endpoints = n > 0 ? p->members->endpoints : NULL,
		.stats = v->stats,
		.labels = n > 0 ? p->members->labels : NULL,
		.entries = n > 0 ? p->members->entries : NULL,
		.extras = v->extras,
		.n_slots = p->n_slots,
		.live = p->live,
		.prefix = p->prefix,
		.questions = p->questions,
		.block_bytes = p->prefix_options.block_tokens *
		    PROMPT_TOKEN_BYTES,
		.max_blocks = max_blocks(p),
		.schedule = p->options->schedule != NULL ?
		    p->options->schedule : &schedule_default,
		.options = p->options,
		.pool_live = pool_live_of(p->live),
	};
	p->is_dirty = false;
	return &v->view;
}

void pool_view_ref(const struct endpoint_view *view)
{
	box(view)->refs++;
}

void pool_view_unref(const struct endpoint_view *view)
{
	struct pool_view *v = box(view);

	if (view == NULL || --v->refs > 0)
		return;
	membership_unref(v->members);
	pool_unref(v->pool);
	options_free((struct options *)v->options);
	free(v->extras);
	free(v);
}
