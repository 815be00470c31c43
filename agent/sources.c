/*
 * sources.c - plan, replace, start, close
 */
#include "sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "fleet.h"
#include "log.h"
#include "picker_config.h"
#include "pool.h"
#include "prefix.h"
#include "target.h"

/* Early in boot there may be no randomness yet; then the clock must do. */
static uint64_t random_secret(void)
{
	uint64_t secret;

	if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(secret))
		secret = (uint64_t)clock_ns();
	return secret;
}

static bool same_prefix(const struct prefix_options *a,
    const struct prefix_options *b)
{
	return a->block_tokens == b->block_tokens &&
	    a->max_match_tokens == b->max_match_tokens &&
	    a->capacity_tokens == b->capacity_tokens &&
	    a->auto_tune == b->auto_tune && a->max_bytes == b->max_bytes &&
	    a->kv.enabled == b->kv.enabled &&
	    a->tokenizer.enabled == b->tokenizer.enabled &&
	    a->tokenizer.max_bytes == b->tokenizer.max_bytes;
}

/* The pool of that name, if its index is what the new options want. */
static struct source *find_kept(const struct sources *now,
    const struct pool_options *o)
{
	for (size_t i = 0; i < now->n; i++)
		if (strcmp(now->list[i].pool->name, o->name) == 0 &&
		    same_prefix(&now->list[i].pool->prefix_options, &o->prefix))
			return &now->list[i];
	return NULL;
}

static int plan_one(struct source *s, const struct sources *now,
    const struct pool_options *o)
{
	s->options = o;
	s->kept = find_kept(now, o);
	if (s->kept != NULL)
		return 0;
	s->pool = pool_new(o);
	if (s->pool == NULL)
		return -ENOMEM;
	prefix_key(s->pool->prefix, random_secret());
	return 0;
}

int sources_plan(struct sources *next, const struct sources *now,
    const struct options *options)
{
	next->list = calloc(options->n_pools + 1, sizeof(*next->list));
	if (next->list == NULL)
		return -ENOMEM;
	for (next->n = 0; next->n < options->n_pools; next->n++)
		if (plan_one(&next->list[next->n], now,
			&options->pools[next->n]) != 0)
			goto fail;
	return 0;
fail:
	for (size_t i = 0; i < next->n; i++)
		if (next->list[i].pool != NULL)
			pool_unref(next->list[i].pool);
	free(next->list);
	return -ENOMEM;
}

/* What the old source had is the new one's, and the old one is an empty shell. */
static void take_over(struct source *s)
{
	struct source *old = s->kept;

	if (old == NULL)
		return;
	s->pool = old->pool;
	s->view = old->view;
	s->pool->options = s->options;
	if (s->options->scheduling != NULL)
		picker_config_warn(s->options->scheduling, s->pool->name);
	s->renew = true;
	s->kept = NULL;
	old->pool = NULL;
	old->view = NULL;
}

static void source_close(struct source *s)
{
	discover_stop(s->discover);
	if (s->pool == NULL)
		return;
	pool_clear(s->pool);
	s->pool->options = NULL;
	pool_view_unref(s->view);
	pool_unref(s->pool);
}

void sources_close(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		source_close(&s->list[i]);
	free(s->list);
	*s = (struct sources){ .list = NULL };
}

static int by_pool_name(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	return strcmp(x->pool->name, y->pool->name);
}

void sources_replace(struct sources *now, struct sources *next)
{
	for (size_t i = 0; i < next->n; i++)
		take_over(&next->list[i]);
	qsort(next->list, next->n, sizeof(*next->list), by_pool_name);
	sources_close(now);
	*now = *next;
}

void sources_start(struct sources *s, struct ev_loop *loop,
    discover_found_f *found, void *owner)
{
	for (size_t i = 0; i < s->n; i++) {
		struct source *source = &s->list[i];

		source->owner = owner;
		source->discover = discover_start(loop, source->options, found,
		    source);
		if (source->discover == NULL)	/* its endpoints stay as they are */
			log_error("scrape.discover", "pool=%s err=\"no memory\"",
			    source->pool->name);
	}
}

void sources_beat(struct sources *s, int64_t now_ms, struct rng *rng)
{
	for (size_t i = 0; i < s->n; i++)
		pool_beat(s->list[i].pool, now_ms, rng);
}

bool sources_are_dirty(const struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].pool->is_dirty)
			return true;
	return false;
}

static bool refresh_view(struct source *s, int64_t now_ms, bool all)
{
	const struct endpoint_view *next;

	if (s->view != NULL && !s->pool->is_dirty && !all)
		return true;
	next = pool_view(s->pool, now_ms);
	if (next == NULL)
		return s->view != NULL;
	pool_view_unref(s->view);
	s->view = next;
	return true;
}

struct fleet *sources_fleet(struct sources *s, int64_t now_ms, bool all)
{
	const struct endpoint_view **views = calloc(s->n + 1, sizeof(void *));
	struct fleet *fleet = NULL;
	size_t n = 0;

	if (views == NULL)
		return NULL;
	while (n < s->n && refresh_view(&s->list[n], now_ms, all)) {
		views[n] = s->list[n].view;
		n++;
	}
	if (n == s->n)
		fleet = fleet_new(views, n);
	free(views);
	return fleet;
}
