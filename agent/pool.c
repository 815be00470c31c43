/*
 * pool.c - its endpoints: targets and homes, as the set changes
 */
#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "discover.h"
#include "home.h"
#include "kv_texts.h"
#include "log.h"
#include "membership.h"
#include "must.h"
#include "picker_config.h"
#include "prefix.h"
#include "prompt.h"
#include "questions.h"
#include "target.h"
#include "tokenizer.h"
#include "warm.h"

/* Whose endpoints have not come by then has none that come back. */
enum { WARM_MS = 10 * 60 * 1000 };

/* What the tokenizer tells, and what it is to be asked. */
static bool make_texts(struct pool *p, const struct prefix_options *o)
{
	if (!o->tokenizer.enabled)
		return true;
	p->texts = kv_texts_new(o->block_tokens * PROMPT_TOKEN_BYTES,
	    KV_TEXTS_MAX);
	p->questions = questions_new(o->tokenizer.max_bytes);
	return p->texts != NULL && p->questions != NULL;
}

struct pool *pool_new(const struct pool_options *options)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->refs = 1;
	p->options = options;
	p->prefix_options = options->prefix;
	p->name = strdup(options->name);
	p->live = live_new();
	/* Fresh pages, touched as slots are given out. */
	p->free_slots = calloc(PREFIX_SLOTS_MAX, sizeof(*p->free_slots));
	p->prefix = prefix_new(options->prefix.max_bytes, PREFIX_SLOTS_MAX);
	if (p->name == NULL || p->live == NULL || p->free_slots == NULL ||
	    p->prefix == NULL || (options->prefix.kv.enabled &&
		prefix_track(p->prefix) != 0) ||
	    !make_texts(p, &options->prefix)) {
		pool_unref(p);
		return NULL;
	}
	p->warm = warm_load(options, clock_unix_ms());
	p->warm_until_ms = clock_ms() + WARM_MS;
	if (options->scheduling != NULL)
		picker_config_warn(options->scheduling, p->name);
	log_info("pool.new", "pool=%s prefix_bytes=%zu prefix_blocks=%u "
	    "block_tokens=%u capacity_tokens=%u", p->name,
	    prefix_bytes(p->prefix), prefix_capacity(p->prefix),
	    options->prefix.block_tokens, options->prefix.capacity_tokens);
	return p;
}

void pool_unref(struct pool *p)
{
	if (--p->refs > 0)
		return;
	must(p->n_targets == 0 && p->members == NULL);
	warm_free(p->warm);
	kv_texts_free(p->texts);
	questions_free(p->questions);
	prefix_free(p->prefix);
	free(p->free_slots);
	if (p->live != NULL)
		live_release(p->live, p->n_slots);
	free(p->name);
	free(p);
}

static int by_name(const void *a, const void *b)
{
	const struct endpoint_spec *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static struct target *find_target(const struct pool *p, const char *name)
{
	size_t low = 0, high = p->n_targets;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, target_home(p->targets[mid])->name);

		if (c == 0)
			return p->targets[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* The old target again, or a new one in the old or in a new home. */
static struct target *target_for(struct pool *p,
    const struct pool_context *context, const struct endpoint_spec *s,
    bool renew)
{
	const struct engine *engine = context->engine(context->data, s->engine);
	struct target *old = find_target(p, s->name), *t;
	struct home *home;

	if (old != NULL && !home_is(target_home(old), s))
		old = NULL;
	if (old != NULL && !renew && target_engine(old) == engine)
		return old;
	home = old != NULL ? target_home(old) : home_new(p, s);
	if (home == NULL)
		return NULL;
	t = target_new(home, context, engine);
	if (old == NULL)
		home_unref(home);	/* the target has its own reference */
	return t;
}

static bool contains(struct target *const *sorted, size_t n,
    const struct target *t)
{
	const char *name = target_home(t)->name;
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, target_home(sorted[mid])->name);

		if (c == 0)
			return sorted[mid] == t;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

/* Frees those of `from` that are not in `keep`. */
static void free_others(struct target **from, size_t n_from,
    struct target **keep, size_t n_keep)
{
	for (size_t i = 0; i < n_from; i++)
		if (!contains(keep, n_keep, from[i]))
			target_free(from[i]);
}

static size_t make_targets(struct pool *p, const struct pool_context *context,
    const struct endpoint_spec **sorted, size_t n, bool renew,
    struct target **targets)
{
	size_t done = 0;

	while (done < n) {
		targets[done] = target_for(p, context, sorted[done], renew);
		if (targets[done] == NULL)
			break;
		done++;
	}
	return done;
}

/* From those before them in the same homes, which may not be used after it. */
static void inherit(const struct pool *p, struct target *const *targets,
    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct home *home = target_home(targets[i]);
		struct target *old = find_target(p, home->name);

		if (old != NULL && old != targets[i] &&
		    target_home(old) == home)
			target_inherit(targets[i], old);
	}
}

int pool_update(struct pool *p, const struct pool_context *context,
    const struct endpoint_spec *specs, size_t n, bool renew)
{
	const struct endpoint_spec **sorted = calloc(n + 1,
	    sizeof(const struct endpoint_spec *));
	struct target **targets = calloc(n + 1, sizeof(struct target *));
	struct membership *members = NULL;
	size_t done = 0;

	if (sorted == NULL || targets == NULL)
		goto fail;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &specs[i];
	qsort(sorted, n, sizeof(*sorted), by_name);
	done = make_targets(p, context, sorted, n, renew, targets);
	if (done < n)
		goto fail;
	members = membership_new(targets, n,
	    membership_entry_port(p->options->schedule));
	if (members == NULL)
		goto fail;

	inherit(p, targets, n);
	for (size_t i = 0; i < n; i++)
		target_set_ready(targets[i], sorted[i]->ready);
	free_others(p->targets, p->n_targets, targets, n);
	for (size_t i = 0; i < n; i++)	/* behind those who held their ports */
		target_follow(targets[i]);
	free(p->targets);
	membership_unref(p->members);
	p->targets = targets;
	p->n_targets = n;
	p->members = members;
	p->is_known = p->is_dirty = true;
	if (p->questions != NULL && p->tokenizer == NULL)
		p->tokenizer = tokenizer_new(p, context);
	else if (p->tokenizer != NULL && renew)
		tokenizer_renew(p->tokenizer);
	free(sorted);
	log_info("pool.endpoints", "pool=%s endpoints=%zu", p->name, n);
	return 0;
fail:
	free_others(targets, done, p->targets, p->n_targets);
	free(targets);
	free(sorted);
	log_error("pool.endpoints", "pool=%s endpoints=%zu err=\"no memory, or "
	    "over %d endpoints\"", p->name, n, PREFIX_SLOTS_MAX);
	return -ENOMEM;
}

void pool_beat(struct pool *p, int64_t now_ms, struct rng *rng)
{
	for (size_t i = 0; i < p->n_targets; i++)
		target_beat(p->targets[i], now_ms, rng);
	if (p->tokenizer != NULL)
		tokenizer_beat(p->tokenizer, now_ms);
}

void pool_clear(struct pool *p)
{
	tokenizer_free(p->tokenizer);
	p->tokenizer = NULL;
	for (size_t i = 0; i < p->n_targets; i++)
		target_free(p->targets[i]);
	free(p->targets);
	p->targets = NULL;
	p->n_targets = 0;
	membership_unref(p->members);
	p->members = NULL;
}
