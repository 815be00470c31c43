/*
 * picker_config_pool.c - what the document says of things that a pool has keys for
 *
 * Metrics, the prefix index, saturation. Where llm-d makes a plugin by itself (parsers,
 * utilization-detector) a reference to its type needs no entry. Source: llm-d-router
 * pkg/epp/config/loader.
 */
#include "picker_config_parts.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "arena.h"
#include "must.h"
#include "plugins/detector.h"

#define DEFAULT_DETECTOR "utilization-detector"

enum {
	BLOCK_TOKENS_MIN = 64, MATCH_TOKENS_MAX = 1 << 27,
	/* As our own presets: llm-d's precise index has no such limits. */
	PRECISE_MATCH_TOKENS = 131072, PRECISE_CAPACITY_TOKENS = 131072,
};

/* ---- gates ---- */

static const char *const gates[] = {
	"flowControl", "haPopulateNonLeaderDatastore",
};

enum { GATE_FLOW, GATE_LEADER, N_GATES };

/* "name", "name=true" or "name=false"; the name's number, or N_GATES. */
static size_t find_gate(const char *text, bool *is_on)
{
	size_t n = strcspn(text, "=");

	*is_on = text[n] == '\0' || strcasecmp(text + n, "=true") == 0;
	if (!*is_on && strcasecmp(text + n, "=false") != 0)
		return N_GATES;
	for (size_t i = 0; i < N_GATES; i++)
		if (strncmp(gates[i], text, n) == 0 && gates[i][n] == '\0')
			return i;
	return N_GATES;
}

static const char waits[] = "requests wait in HAProxy, whose `timeout "
    "processing` must be above the times to live";

static int take_gate(struct decoding *d, const struct reference *r, bool *flow)
{
	bool is_on;

	switch (find_gate(r->name, &is_on)) {
	case GATE_FLOW:
		*flow = is_on;
		picker_config_tell(d, r->line, is_on ? MIGRATION_APPROXIMATE :
		    MIGRATION_EXACT, gates[GATE_FLOW], is_on ? waits : NULL);
		return 0;
	case GATE_LEADER:
		picker_config_tell(d, r->line, MIGRATION_NOT_HONOURED,
		    gates[GATE_LEADER],
		    "there is no leader: every agent serves");
		return 0;
	default:
		picker_config_refuse(d, r->line, "an unknown feature gate",
		    r->name, NULL);
		conf_want_name(d->in->why, r->name, gates, N_GATES);
		return -EINVAL;
	}
}

/* ---- metrics ---- */

static struct entry *first_of(struct decoding *d, enum other_role role)
{
	for (size_t i = 0; i < d->doc.n_entries; i++) {
		struct entry *e = &d->doc.entries[i];

		if (e->other != NULL && e->other->role == role)
			return e;
	}
	return NULL;
}

/* The first source of metrics that is referred to, in `*metrics`. */
static int check_sources(struct decoding *d, struct entry **metrics)
{
	for (size_t i = 0; i < d->doc.data.n_sources; i++) {
		const struct source_entry *s = &d->doc.data.sources[i];
		struct entry *e = picker_config_entry(d, &s->plugin);

		if (e == NULL)
			return -EINVAL;
		if (e->other == NULL || (e->other->role != OTHER_SCRAPE &&
			e->other->role != OTHER_SOURCE))
			return picker_config_refuse(d, s->plugin.line,
			    "a plugin of another kind", s->plugin.name,
			    "a source, as metrics-data-source");
		if (e->other->role == OTHER_SCRAPE && *metrics == NULL)
			*metrics = e;
		for (size_t k = 0; k < s->n_extractors; k++)
			if (picker_config_entry(d, &s->extractors[k]) == NULL)
				return -EINVAL;
	}
	return 0;
}

static void take_engine(struct decoding *d)
{
	struct entry *e = first_of(d, OTHER_EXTRACTOR);
	const struct metrics_extractor *x;

	if (e == NULL)
		return;
	e->is_taken = true;
	x = e->other_params;
	d->config->engine = x->engine;
	d->config->engine_line = x->line;
}

/* Not referred to, it is llm-d's by default, unless defaults are turned off. */
static int take_metrics(struct decoding *d)
{
	struct entry *e = NULL;
	int err = check_sources(d, &e);

	if (err != 0)
		return err;
	if (e == NULL && d->doc.data.injects_defaults)
		e = first_of(d, OTHER_SCRAPE);
	else
		d->config->never_scrapes = e == NULL;
	if (e != NULL) {
		e->is_taken = true;
		d->config->scrape = e->other_params;
	}
	take_engine(d);
	return 0;
}

/* Each has to be there; none has an effect. */
static int check_replicas(struct decoding *d)
{
	const struct {
		const struct reference *r;
		const char *key;
		enum other_role role;
		const char *want;
	} all[] = {
		{ &d->doc.data.peers, "discovery.peers", OTHER_PEERS,
		  "file-peer-discovery or k8s-peer-discovery" },
		{ &d->doc.data.old_peers, "peerDiscovery", OTHER_PEERS,
		  "file-peer-discovery or k8s-peer-discovery" },
		{ &d->doc.data.syncer, "crossReplica.syncerPluginRef",
		  OTHER_SYNCER, "redis-syncer" },
		{ &d->doc.data.old_syncer, "crossReplicaSyncerPluginRef",
		  OTHER_SYNCER, "redis-syncer" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (all[i].r->name == NULL)
			continue;
		if (picker_config_role(d, all[i].r, all[i].role,
			all[i].want) == NULL)
			return -EINVAL;
		picker_config_tell(d, all[i].r->line, MIGRATION_NOT_HONOURED,
		    all[i].key, "agents know nothing of each other");
	}
	return 0;
}

static int take_data(struct decoding *d)
{
	const struct conf *map = conf_child(d->root, "dataLayer");
	const struct reference *discovery = &d->doc.data.discovery;

	if (discovery->name != NULL && picker_config_role(d, discovery,
		OTHER_DISCOVERY, "file-discovery") == NULL)
		return -EINVAL;
	if (check_replicas(d) != 0)
		return -EINVAL;
	if (conf_is_given(map))
		picker_config_tell(d, map->line, MIGRATION_APPROXIMATE,
		    "dataLayer", "endpoints come from the pool's own source");
	return take_metrics(d);
}

/* ---- parsers ---- */

static int check_parser(struct decoding *d, const struct reference *r)
{
	const struct other_type *made = other_type_find(r->name);

	if (made != NULL && made->role == OTHER_PARSER)
		return 0;
	return picker_config_role(d, r, OTHER_PARSER,
	    "a parser, as openai-parser") != NULL ? 0 : -EINVAL;
}

static int check_parsers(struct decoding *d)
{
	const struct conf *map = conf_child(d->root, "requestHandler");
	int err = d->doc.parser.name != NULL ?
	    check_parser(d, &d->doc.parser) : 0;

	for (size_t i = 0; i < d->doc.n_parsers && err == 0; i++)
		err = check_parser(d, &d->doc.parsers[i]);
	if (d->doc.propagates_priority)
		picker_config_tell(d, conf_child(map,
		    "propagatePriority")->line, MIGRATION_NOT_HONOURED,
		    "propagatePriority", "bodies are forwarded as they are");
	return err;
}

/* ---- prefixes ---- */

static uint32_t at_most(uint64_t v, uint32_t max)
{
	return v < max ? (uint32_t)v : max;
}

/* The producer itself counts for more than the scorer that wraps one. */
static struct entry *find_precise(struct decoding *d)
{
	struct entry *first = first_of(d, OTHER_PRECISE);

	for (size_t i = 0; i < d->doc.n_entries; i++) {
		struct entry *e = &d->doc.entries[i];

		if (e->other != NULL && e->other->role == OTHER_PRECISE &&
		    e->scorer == NULL)
			return e;
	}
	return first;
}

/* The first that names a service; an `estimate` beside it changes nothing. */
static void take_tokenizer(struct decoding *d, struct prefix_options *o)
{
	for (size_t i = 0; i < d->doc.n_entries; i++) {
		struct entry *e = &d->doc.entries[i];
		const struct token_producer *p = e->other_params;

		if (e->other == NULL || e->other->role != OTHER_TOKENS ||
		    p == NULL || !p->is_asked)
			continue;
		e->is_taken = true;
		o->tokenizer = p->service;
		return;
	}
}

/* The rest is as the approximate producer has it by default. */
static void take_precise(struct decoding *d, struct entry *e,
    struct prefix_options *o)
{
	const struct precise_producer *from = e->other_params;
	uint32_t tokens = from->block_tokens > 0 ? from->block_tokens :
	    from->old_block_tokens;

	e->is_taken = true;
	*o = (struct prefix_options){ .auto_tune = true,
		.block_tokens = tokens > BLOCK_TOKENS_MIN ? tokens :
		    BLOCK_TOKENS_MIN,
		.max_match_tokens = PRECISE_MATCH_TOKENS,
		.capacity_tokens = PRECISE_CAPACITY_TOKENS,
		.kv = { .enabled = true, .port = from->port,
			.replay_port = from->replay_port, .ranks = 1,
			.topic = from->topic != NULL ? from->topic : "" } };
	take_tokenizer(d, o);
	d->config->prefix = o;
}

/* Source: GetBlockSize() and resolveMaxBlocks() of approximateprefix. */
static int take_prefix(struct decoding *d)
{
	struct entry *e = first_of(d, OTHER_PREFIX);
	struct prefix_options *o = arena_zalloc(d->in->arena, sizeof(*o));
	const struct prefix_producer *from;
	struct entry *precise = find_precise(d);
	uint64_t tokens;

	if (e == NULL && precise == NULL)
		return 0;
	if (o == NULL)
		return conf_no_memory(d->in);
	if (precise != NULL) {
		take_precise(d, precise, o);
		return 0;
	}
	e->is_taken = true;
	from = e->other_params;
	o->auto_tune = from->auto_tune;
	o->block_tokens = from->block_tokens > BLOCK_TOKENS_MIN ?
	    from->block_tokens : BLOCK_TOKENS_MIN;
	tokens = from->max_match_tokens;
	if (tokens == 0)
		tokens = (uint64_t)from->max_match_blocks * o->block_tokens;
	if (tokens == 0)
		tokens = MATCH_TOKENS_MAX;
	o->max_match_tokens = at_most(tokens, MATCH_TOKENS_MAX);
	o->capacity_tokens = at_most((uint64_t)from->capacity_blocks *
	    o->block_tokens, UINT32_MAX);
	o->kv.topic = "";
	d->config->prefix = o;
	return 0;
}

/* ---- saturation ---- */

/* Who is referred to; else the default, wherever it is listed. */
static struct reference detector_of(const struct decoding *d)
{
	const struct entry *e = picker_config_find(d, DEFAULT_DETECTOR);

	if (d->doc.flow.detector.name != NULL)
		return d->doc.flow.detector;
	if (d->doc.detector.name != NULL)
		return d->doc.detector;
	return (struct reference){ DEFAULT_DETECTOR,
		e != NULL ? e->name.line : 0 };
}

static int take_saturation(struct decoding *d)
{
	struct reference r = detector_of(d);
	struct detector_params *params;
	struct entry *e;

	if (strcmp(r.name, DEFAULT_DETECTOR) == 0 &&
	    picker_config_find(d, r.name) == NULL)
		return 0;	/* llm-d makes it, with our presets */
	e = picker_config_role(d, &r, OTHER_SATURATION,
	    "utilization-detector or concurrency-detector");
	if (e == NULL)
		return -EINVAL;
	must(e->filter != NULL && e->filter_params != NULL);
	e->is_taken = true;
	params = e->filter_params;
	d->config->saturation = &params->saturation;
	return 0;
}

/* ---- all of it ---- */

int picker_config_take(struct decoding *d)
{
	bool flow = false;
	int err = 0;

	for (size_t i = 0; i < d->doc.n_gates && err == 0; i++)
		err = take_gate(d, &d->doc.gates[i], &flow);
	if (err == 0)
		err = check_parsers(d);
	if (err == 0)
		err = take_data(d);
	if (err == 0)
		err = take_prefix(d);
	if (err == 0)
		err = take_saturation(d);
	return err == 0 ? picker_config_take_flow(d, flow) : err;
}
