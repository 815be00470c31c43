#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"
#include "conf.h"
#include "fault.h"
#include "fuzz.h"
#include "must.h"
#include "options.h"
#include "picker_config.h"
#include "plugin.h"
#include "prompt.h"

static void check_endpoints(const struct endpoint_options *e, size_t n)
{
	must(n <= POOL_ENDPOINTS_MAX);
	for (size_t i = 0; i < n; i++)
		must(e[i].name != NULL && e[i].host != NULL && e[i].port != 0);
}

static void check_bands(const struct flow_options *o)
{
	for (size_t i = 0; i < o->n_bands; i++)
		for (size_t k = 0; k < i; k++)
			must(o->bands[i].priority != o->bands[k].priority);
}

/* What the request path divides by, waits for and halves a list by. */
static void check_admission(const struct pool_options *p)
{
	must(p->number > 0);
	must(p->saturation.queue_depth > 0 && p->saturation.kv_used > 0);
	must(p->saturation.max_concurrency > 0 &&
	    p->saturation.max_token_concurrency > 0);
	must(!p->scrape.enabled ||
	    p->saturation.stale_ms >= p->scrape.interval_ms);
	must(p->saturation.retry_after_s >= 0 &&
	    p->saturation.retry_after_s <= 24 * 60 * 60);
	must(p->outlier.base_ms > 0 && p->outlier.max_ms >= p->outlier.base_ms);
	must(p->flow.ttl_ms > 0 && p->flow.empty_ttl_ms >= 0);
	check_bands(&p->flow.queue);
	for (size_t i = 1; i < p->n_objectives; i++)
		must(strcmp(p->objectives[i - 1].name,
		    p->objectives[i].name) < 0);
}

static void check_params(const struct conf_table *table, const void *params)
{
	must((table == NULL || table->size == 0) == (params == NULL));
}

/* What a pick calls without asking. */
static void check_profile(const struct profile *p)
{
	must(p->name != NULL && p->picker != NULL);
	for (size_t i = 0; i < p->n_filters; i++)
		check_params(p->filters[i].filter->params,
		    p->filters[i].params);
	for (size_t i = 0; i < p->n_scorers; i++) {
		must(p->scorers[i].weight >= 0 &&
		    p->scorers[i].weight <= 4.3e9f);
		check_params(p->scorers[i].scorer->params,
		    p->scorers[i].params);
	}
	if (p->scorers != profile_default.scorers)
		check_params(p->picker->params, p->picker_params);
}

/* A report goes down its document, and no line of it breaks. */
static void check_report(const struct picker_config *c)
{
	for (size_t i = 0; i < c->n_lines; i++) {
		const struct migration_line *l = &c->lines[i];

		must(i == 0 || c->lines[i - 1].line <= l->line);
		must(l->what != NULL && strpbrk(l->what, "\r\n\033") == NULL);
		must(l->note != NULL || l->verdict == MIGRATION_EXACT);
	}
}

static void check_scheduling(const struct pool_options *p)
{
	must((p->schedule == NULL) == (p->scheduling == NULL));
	must(p->prefix.block_tokens > 0 && p->prefix.block_tokens *
	    PROMPT_TOKEN_BYTES <= PROMPT_BLOCK_BYTES_MAX);
	must(p->scrape.path[0] == '/' &&
	    p->scrape.stale_ms >= p->scrape.interval_ms);
	if (p->schedule == NULL)
		return;
	must(p->schedule->n_profiles > 0);
	for (size_t i = 0; i < p->schedule->n_profiles; i++)
		check_profile(&p->schedule->profiles[i]);
	check_params(p->schedule->handler->params, p->schedule->params);
	check_report(p->scheduling);
}

/* Sorted, each once, with targets to choose from: what bsearch and chance rely on. */
static void check_rewrites(const struct model_rewrite_options *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; i < o->n_names; i++) {
		must(i == 0 || strcmp(o->names[i - 1].name, o->names[i].name) < 0);
		must(o->names[i].rule->n_targets > 0);
	}
	must(o->generic == NULL || (o->generic->n_targets > 0 &&
		o->generic->n_matches == 0));
}

static void as_config(struct span text)
{
	struct fault why = { 0 };
	struct options *o = options_parse("fuzz", text, &why);

	must((o == NULL) == why.is_set);
	if (o == NULL)
		return;
	must(o->n_pools > 0 && o->n_listens > 0);
	for (size_t i = 0; i < o->n_pools; i++) {
		check_endpoints(o->pools[i].endpoints, o->pools[i].n_endpoints);
		check_admission(&o->pools[i]);
		check_scheduling(&o->pools[i]);
		check_rewrites(o->pools[i].rewrites);
	}
	options_free(o);
}

static void as_endpoints_file(struct span text)
{
	const struct pool_options pool = { .name = "p", .engine = "vllm" };
	struct arena *arena = arena_new(4096, 64 << 20);
	const struct endpoint_options *endpoints;
	struct fault why = { 0 };
	size_t n;

	if (options_parse_endpoints("fuzz", text, &pool, arena, &endpoints, &n,
		&why) == 0)
		check_endpoints(endpoints, n);
	else
		must(why.is_set);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span text = { (const char *)data, size };

	as_config(text);
	as_endpoints_file(text);
	return 0;
}
