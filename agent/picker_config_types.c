/*
 * picker_config_types.c - the rows; each note says what a user of llm-d would notice
 */
#include "picker_config_types.h"

#include <string.h>

#include "flow_queue.h"
#include "options_rows.h"
#include "prompt.h"

enum { HOUR_MS = 60 * 60 * 1000 };

/* An empty text is none: llm-d's charts write them. */
static int decode_text(const struct conf_input *in, const struct conf_row *row,
    const struct conf *value, void *out)
{
	return value->type == CONF_SCALAR && value->text[0] == '\0' ? 0 :
	    conf_string(in, row, value, out);
}

/* What stands in agent.yaml with us: `help` says where. */
static int decode_elsewhere(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	(void)out;
	if (value->type == CONF_SCALAR && value->text[0] == '\0')
		return 0;
	return conf_refuse(in, row, value, "%s", row->help);
}

/* ---- metrics ---- */

static const char *const schemes[] = { "http", "https", NULL };

static const struct conf_row scrape_rows[] = {
	{ .key = "scheme", .decode = decode_scheme, .preset = "http",
	  .names = schemes, .offset = offsetof(struct scrape_source, https),
	  .help = "http or https" },
	{ .key = "path", .decode = decode_url_path, .preset = "/metrics",
	  .offset = offsetof(struct scrape_source, path),
	  .help = "of the page" },
	{ .key = "port", .decode = conf_u16, .min = 1,
	  .offset = offsetof(struct scrape_source, port),
	  .help = "if not the endpoint's" },
	{ .key = "interval", .decode = conf_duration, .min = 10, .max = HOUR_MS,
	  .offset = offsetof(struct scrape_source, interval_ms),
	  .help = "between two fetches" },
	{ .key = "insecureSkipVerify", .decode = conf_bool, .preset = "true",
	  .offset = offsetof(struct scrape_source, insecure_skip_verify),
	  .help = "any certificate will do" },
	{ .key = "caCertPath", .decode = decode_text,
	  .offset = offsetof(struct scrape_source, ca_file), .help = "PEM" },
	{ .key = "clientCertPath", .decode = decode_elsewhere,
	  .help = "no client certificate: we have none to show" },
	{ .key = "clientKeyPath", .decode = decode_elsewhere,
	  .help = "no client certificate: we have none to show" },
};

static const struct conf_table scrape_table = {
	.what = "metrics-data-source", .size = sizeof(struct scrape_source),
	.rows = scrape_rows,
	.n_rows = sizeof(scrape_rows) / sizeof(*scrape_rows),
};

static const struct conf_row extractor_rows[] = {
	{ .key = "defaultEngine", .decode = decode_text,
	  .offset = offsetof(struct metrics_extractor, engine),
	  .help = "whose metric names" },
	{ .key = "engineLabelKey", .decode = decode_elsewhere,
	  .help = "`engine:` of each endpoint in agent.yaml" },
	{ .key = "engineConfigs", .decode = decode_elsewhere,
	  .help = "the same under `engines:` of agent.yaml" },
};

static int check_extractor(const struct conf_input *in,
    const struct conf *map, void *out)
{
	struct metrics_extractor *e = out;

	(void)in;
	if (e->engine != NULL)
		e->line = conf_child(map, "defaultEngine")->line;
	return 0;
}

static const struct conf_table extractor_table = {
	.what = "core-metrics-extractor",
	.size = sizeof(struct metrics_extractor),
	.rows = extractor_rows,
	.n_rows = sizeof(extractor_rows) / sizeof(*extractor_rows),
	.check = check_extractor,
};

/* ---- prefixes ---- */

enum {
	BLOCK_TOKENS_PRESET = 16,
	BLOCK_TOKENS_MAX = PROMPT_BLOCK_BYTES_MAX / PROMPT_TOKEN_BYTES,
};

static const struct conf_row prefix_rows[] = {
	{ .key = "autoTune", .decode = conf_bool, .preset = "true",
	  .offset = offsetof(struct prefix_producer, auto_tune),
	  .help = "take what the engine tells" },
	{ .key = "blockSizeTokens", .decode = conf_u32, .preset = "16",
	  .max = BLOCK_TOKENS_MAX,
	  .offset = offsetof(struct prefix_producer, block_tokens),
	  .help = "64 at least, as llm-d has it" },
	{ .key = "blockSize", .decode = conf_u32, .max = BLOCK_TOKENS_MAX,
	  .offset = offsetof(struct prefix_producer, old_block_tokens),
	  .help = "the same, deprecated" },
	{ .key = "maxPrefixTokensToMatch", .decode = conf_u32,
	  .preset = "131072",
	  .offset = offsetof(struct prefix_producer, max_match_tokens),
	  .help = "0: by blocks" },
	{ .key = "maxPrefixBlocksToMatch", .decode = conf_u32,
	  .preset = "2048",
	  .offset = offsetof(struct prefix_producer, max_match_blocks),
	  .help = "when no tokens are given; 0: all" },
	{ .key = "lruCapacityPerServer", .decode = conf_u32,
	  .preset = "31250",
	  .offset = offsetof(struct prefix_producer, capacity_blocks),
	  .help = "blocks of an endpoint" },
};

/* Source: ApproxPrefixCacheFactory() and makeserver() of approximateprefix. */
static int check_prefix(const struct conf_input *in, const struct conf *map,
    void *out)
{
	struct prefix_producer *p = out;

	(void)in;
	(void)map;
	if (p->old_block_tokens > 0 && p->block_tokens == BLOCK_TOKENS_PRESET)
		p->block_tokens = p->old_block_tokens;
	if (p->capacity_blocks == 0)
		p->capacity_blocks = 31250;
	return 0;
}

static const struct conf_table prefix_producer_table = {
	.what = "approx-prefix-cache-producer",
	.size = sizeof(struct prefix_producer), .rows = prefix_rows,
	.n_rows = sizeof(prefix_rows) / sizeof(*prefix_rows),
	.check = check_prefix,
};

/* ---- KV events ---- */

/* Of a part that we do not have; what is in it changes nothing here. */
static int decode_ignored(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	(void)in;
	(void)row;
	(void)value;
	(void)out;
	return 0;
}

/* Empty is the default's. */
static int decode_render_url(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	return value->type == CONF_SCALAR && value->text[0] == '\0' ? 0 :
	    decode_service_url(in, row, value, out);
}

static int decode_tokenizer_model(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	return value->type == CONF_SCALAR && value->text[0] == '\0' ? 0 :
	    decode_model_name(in, row, value, out);
}

#define PRECISE(field) offsetof(struct precise_producer, field)

static const struct conf_row discovery_rows[] = {
	{ .key = "socketPort", .decode = conf_u16, .preset = "5557", .min = 1,
	  .offset = PRECISE(port), .help = "where each endpoint publishes" },
	{ .key = "replaySocketPort", .decode = conf_u16, .preset = "0",
	  .offset = PRECISE(replay_port), .help = "0: nowhere" },
	{ .key = "podLabelSelector", .decode = decode_ignored,
	  .help = "all endpoints of the pool" },
	{ .key = "podNamespace", .decode = decode_ignored,
	  .help = "all endpoints of the pool" },
};

static const struct conf_table discovery_table = {
	.what = "podDiscoveryConfig", .rows = discovery_rows,
	.n_rows = sizeof(discovery_rows) / sizeof(*discovery_rows),
};

/* The same format from both. */
static const char *const event_engines[] = { "vllm", "sglang", NULL };

static const struct conf_row event_rows[] = {
	{ .key = "zmqEndpoint", .decode = decode_elsewhere,
	  .help = "none: engines bind, at podDiscoveryConfig.socketPort, and we "
	    "connect to each" },
	{ .key = "topicFilter", .decode = decode_text,
	  .offset = PRECISE(topic), .help = "beginning of the topics" },
	{ .key = "concurrency", .decode = decode_ignored, .help = "one thread" },
	{ .key = "engineType", .decode = conf_enum, .preset = "vllm",
	  .names = event_engines, .offset = PRECISE(engine),
	  .help = "vllm or sglang" },
	{ .key = "discoverPods", .decode = decode_ignored,
	  .help = "endpoints are the pool's own" },
	{ .key = "podDiscoveryConfig", .decode = conf_section, .preset = "{}",
	  .table = &discovery_table, .help = "ports" },
};

static const struct conf_table event_table = {
	.what = "kvEventsConfig", .rows = event_rows,
	.n_rows = sizeof(event_rows) / sizeof(*event_rows),
};

static const struct conf_row token_rows[] = {
	{ .key = "blockSizeTokens", .decode = conf_u32, .max = BLOCK_TOKENS_MAX,
	  .offset = PRECISE(block_tokens), .help = "64 at least" },
	{ .key = "blockSize", .decode = conf_u32, .max = BLOCK_TOKENS_MAX,
	  .offset = PRECISE(old_block_tokens), .help = "deprecated" },
	{ .key = "hashSeed", .decode = decode_ignored,
	  .help = "the engine's hashes are taken as they are" },
	{ .key = "hashAlgorithm", .decode = decode_ignored,
	  .help = "the engine's hashes are taken as they are" },
};

static const struct conf_table token_table = {
	.what = "tokenProcessorConfig", .rows = token_rows,
	.n_rows = sizeof(token_rows) / sizeof(*token_rows),
};

static const struct conf_row precise_rows[] = {
	{ .key = "tokenProcessorConfig", .decode = conf_section,
	  .preset = "{}", .table = &token_table, .help = "blocks" },
	{ .key = "indexerConfig", .decode = decode_ignored,
	  .help = "`prefix: {maxBytes: ...}` of agent.yaml bounds the index" },
	{ .key = "kvEventsConfig", .decode = conf_section, .preset = "{}",
	  .table = &event_table, .help = "where events come from" },
	{ .key = "speculativeIndexing", .decode = conf_bool, .preset = "false",
	  .offset = PRECISE(is_speculative), .help = "always" },
	{ .key = "speculativeTTL", .decode = decode_ignored,
	  .help = "until the engine says otherwise" },
	{ .key = "fullReportRepair", .decode = decode_ignored,
	  .help = "engines are not asked for reports" },
};

static const struct conf_table precise_table = {
	.what = "precise-prefix-cache-producer",
	.size = sizeof(struct precise_producer), .rows = precise_rows,
	.n_rows = sizeof(precise_rows) / sizeof(*precise_rows),
};

/* ---- tokens ---- */

#define TOKENS(field) offsetof(struct token_producer, service.field)

/* `http` until June 2026, `url` since. */
static const struct conf_row vllm_rows[] = {
	{ .key = "url", .decode = decode_render_url, .offset = TOKENS(host),
	  .help = "of the render service" },
	{ .key = "http", .decode = decode_render_url, .offset = TOKENS(host),
	  .help = "the same, older" },
	{ .key = "timeout", .decode = conf_duration, .preset = "5s", .min = 1,
	  .max = HOUR_MS, .offset = TOKENS(timeout_ms),
	  .help = "of one question" },
	{ .key = "mmTimeout", .decode = decode_ignored,
	  .help = "prompts with images are not asked for" },
};

static const struct conf_table vllm_table = {
	.what = "vllm", .rows = vllm_rows,
	.n_rows = sizeof(vllm_rows) / sizeof(*vllm_rows),
};

static const struct conf_row producer_rows[] = {
	{ .key = "modelName", .decode = decode_tokenizer_model,
	  .offset = TOKENS(model), .help = "as the service knows it" },
	{ .key = "vllm", .decode = conf_section, .table = &vllm_table,
	  .help = "a render service" },
	{ .key = "estimate", .decode = decode_ignored,
	  .help = "4 bytes a token" },
	{ .key = "udsTokenizerConfig", .decode = decode_ignored,
	  .help = "no tokenizer behind a Unix socket is asked" },
};

/* Source: defaultHTTPRenderURL and the like of tokenizer/vllm_http.go. */
static int check_producer(const struct conf_input *in, const struct conf *map,
    void *out)
{
	const struct conf *estimate = conf_child(map, "estimate");
	struct token_producer *p = out;

	(void)in;
	p->is_asked = conf_is_given(conf_child(map, "vllm"));
	p->sizes_media = conf_is_given(estimate) && estimate->children != NULL;
	p->service.enabled = p->is_asked;
	p->service.api = TOKENIZER_RENDER;
	p->service.concurrency = 4;
	p->service.max_bytes = 4 << 20;
	if (p->service.timeout_ms == 0)
		p->service.timeout_ms = 5000;
	if (p->service.host == NULL) {
		p->service.host = "localhost";
		p->service.port = 8000;
	}
	return 0;
}

static const struct conf_table token_producer_table = {
	.what = "token-producer", .size = sizeof(struct token_producer),
	.rows = producer_rows,
	.n_rows = sizeof(producer_rows) / sizeof(*producer_rows),
	.check = check_producer,
};

/* ---- policies ---- */

static const struct conf_row usage_limit_rows[] = {
	{ .key = "threshold", .decode = conf_fraction, .preset = "1",
	  .offset = offsetof(struct usage_limit, threshold),
	  .help = "saturation at which requests wait" },
};

static const struct conf_table usage_limit_table = {
	.what = "static-usage-limit-policy", .size = sizeof(struct usage_limit),
	.rows = usage_limit_rows,
	.n_rows = sizeof(usage_limit_rows) / sizeof(*usage_limit_rows),
};

/* ---- all of them ---- */

#define EXACT MIGRATION_EXACT
#define ALIKE MIGRATION_APPROXIMATE
#define NONE MIGRATION_NOT_HONOURED

static const char estimated[] =
    "tokens are estimated, 4 bytes each, as its `estimate` backend";
static const char follows_text[] =
    "prompts are followed as text, from when they are sent until their engine says that "
    "it dropped them; by token ids too where a tokenizer is asked; tiers have no weights";
static const char no_prompt[] = "its requests are picked without their prompt";
static const char no_models[] =
    "models are not asked for: adapters come from the metrics";
static const char no_images[] =
    "images are not matched: the other scorers of its profile decide";
static const char no_gpus[] =
    "GPUs are not asked: attributes are of the engine's own page, under `engines:`";
static const char own_source[] = "endpoints come from the pool's own source";
static const char alone[] = "agents know nothing of each other";
static const char full_ceiling[] = "the ceiling is 1.0 for every band";
static const char own_headers[] =
    "profile handlers set these headers themselves, whatever their profiles' names";
static const char no_eviction[] =
    "a request that HAProxy has sent is not taken back";

/*
 * llm-d reads no parameters of a parser, a handler, or a policy of fairness or order;
 * of the others without a table none would change what we do.
 */
static const struct other_type types[] = {
	{ "disagg-headers-handler", OTHER_NOTHING, EXACT, own_headers, NULL, 0 },
	{ "prefill-header-handler", OTHER_NOTHING, EXACT, own_headers, NULL, 0 },
	{ "token-producer", OTHER_TOKENS, ALIKE, estimated, &token_producer_table, 0 },
	{ "tokenizer", OTHER_TOKENS, ALIKE, estimated, &token_producer_table, 0 },
	{ "approx-prefix-cache-producer", OTHER_PREFIX, ALIKE,
	  "the same hashes; leaves are evicted before roots, and insertion does not "
	  "lag", &prefix_producer_table, 0 },
	{ "precise-prefix-cache-producer", OTHER_PRECISE, ALIKE, follows_text,
	  &precise_table, 0 },
	{ "precise-prefix-cache-scorer", OTHER_PRECISE, ALIKE, follows_text,
	  &precise_table, 0 },
	{ "burst-prefix-cache-producer", OTHER_NOTHING, ALIKE,
	  "no request waits for others of its burst: each finds the prompt where the one "
	  "before was sent; none is spread by maxPerReplica", NULL, 0 },
	{ "mm-embeddings-cache-producer", OTHER_NOTHING, NONE, no_images, NULL, 0 },
	{ "mm-embeddings-cache-scorer", OTHER_NOTHING, NONE, no_images, NULL, 0 },
	{ "p2p-source-producer", OTHER_NOTHING, NONE,
	  "no server is told which other one has the prompt cached", NULL, 0 },
	{ "session-id-producer", OTHER_NOTHING, NONE,
	  "session affinity reads its headers itself: sessionIdConfig.sources", NULL, 0 },
	{ "inflight-load-producer", OTHER_NOTHING, ALIKE,
	  "counts are raised with the pick and given back by HAProxy's log line; "
	  "output tokens are not estimated", NULL, 0 },
	{ "predicted-latency-producer", OTHER_NOTHING, NONE,
	  "no latency predictor: observed latencies are used instead", NULL, 0 },
	{ "metrics-data-source", OTHER_SCRAPE, EXACT, NULL, &scrape_table, 0 },
	{ "core-metrics-extractor", OTHER_EXTRACTOR, ALIKE,
	  "data-parallel engines are summed; engines of your own go under "
	  "`engines:` of agent.yaml", &extractor_table, 0 },
	{ "models-data-source", OTHER_SOURCE, NONE, no_models, NULL, 0 },
	{ "models-data-extractor", OTHER_NOTHING, NONE, no_models, NULL, 0 },
	{ "dcgm-data-source", OTHER_SOURCE, NONE, no_gpus, NULL, 0 },
	{ "dcgm-extractor", OTHER_NOTHING, NONE, no_gpus, NULL, 0 },
	{ "topology-extractor", OTHER_NOTHING, ALIKE,
	  "labels of the endpoints are read, not of their nodes", NULL, 0 },
	{ "endpoint-notification-source", OTHER_SOURCE, ALIKE, own_source, NULL,
	  0 },
	{ "k8s-notification-source", OTHER_SOURCE, NONE, own_source, NULL, 0 },
	{ "file-discovery", OTHER_DISCOVERY, NONE, own_source, NULL, 0 },
	{ "file-peer-discovery", OTHER_PEERS, NONE, alone, NULL, 0 },
	{ "k8s-peer-discovery", OTHER_PEERS, NONE, alone, NULL, 0 },
	{ "redis-syncer", OTHER_SYNCER, NONE, alone, NULL, 0 },
	{ "redis-state-store", OTHER_SYNCER, NONE, alone, NULL, 0 },
	{ "utilization-detector", OTHER_SATURATION, ALIKE,
	  "requests sent since the last scrape count as waiting", NULL, 0 },
	{ "concurrency-detector", OTHER_SATURATION, EXACT, NULL, NULL, 0 },
	{ "openai-parser", OTHER_PARSER, EXACT, NULL, NULL, 0 },
	{ "anthropic-parser", OTHER_PARSER, EXACT, NULL, NULL, 0 },
	{ "vllmhttp-parser", OTHER_PARSER, EXACT, NULL, NULL, 0 },
	{ "sglanghttp-parser", OTHER_PARSER, EXACT, NULL, NULL, 0 },
	{ "passthrough-parser", OTHER_PARSER, EXACT, NULL, NULL, 0 },
	{ "vllmgrpc-parser", OTHER_PARSER, NONE, no_prompt, NULL, 0 },
	{ "vertexai-parser", OTHER_PARSER, NONE, no_prompt, NULL, 0 },
	{ "global-strict-fairness-policy", OTHER_FAIRNESS, EXACT, NULL, NULL,
	  FLOW_GLOBAL_STRICT },
	{ "round-robin-fairness-policy", OTHER_FAIRNESS, EXACT, NULL, NULL,
	  FLOW_ROUND_ROBIN },
	{ "program-aware-fairness", OTHER_FAIRNESS, ALIKE,
	  "fairness ids take turns, whatever each was served before", NULL,
	  FLOW_ROUND_ROBIN },
	{ "fcfs-ordering-policy", OTHER_ORDERING, EXACT, NULL, NULL, FLOW_FCFS },
	{ "edf-ordering-policy", OTHER_ORDERING, EXACT, NULL, NULL, FLOW_EDF },
	{ "slo-deadline-ordering-policy", OTHER_ORDERING, EXACT, NULL, NULL,
	  FLOW_SLO_DEADLINE },
	{ "static-usage-limit-policy", OTHER_USAGE_LIMIT, NONE, full_ceiling,
	  &usage_limit_table, 0 },
	{ "priority-holdback-policy", OTHER_USAGE_LIMIT, NONE, full_ceiling,
	  NULL, 0 },
	{ "soft-reflective-ceiling-policy", OTHER_USAGE_LIMIT, NONE,
	  full_ceiling, NULL, 0 },
	{ "sheddable-eviction-filter", OTHER_NOTHING, NONE, no_eviction, NULL, 0 },
	{ "priority-then-time-eviction-order-policy", OTHER_NOTHING, NONE,
	  no_eviction, NULL, 0 },
	{ "latency-slo-admitter", OTHER_NOTHING, NONE,
	  "requests that no endpoint is fast enough for are served", NULL, 0 },
	{ "probabilistic-admitter", OTHER_NOTHING, NONE,
	  "negative priorities are refused when the pool is full, not before",
	  NULL, 0 },
	{ "dp-rank-header-handler", OTHER_NOTHING, NONE,
	  "no x-data-parallel-rank: an engine picks among its ranks, unless each is an "
	  "endpoint with a port of its own", NULL, 0 },
	{ "destination-endpoint-served-verifier", OTHER_NOTHING, NONE,
	  "HAProxy does not show us answers", NULL, 0 },
	{ "agent-identity", OTHER_NOTHING, NONE,
	  "the fairness id is x-llm-d-inference-fairness-id alone", NULL, 0 },
	{ "request-attribute-reporter", OTHER_NOTHING, NONE,
	  "no cost headers: HAProxy does not show us answers", NULL, 0 },
};

const struct other_type *other_type_at(size_t i)
{
	return i < sizeof(types) / sizeof(*types) ? &types[i] : NULL;
}

const struct other_type *other_type_find(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}
