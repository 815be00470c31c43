/*
 * options.h - agent.yaml and argv, decoded and checked
 *
 * Everything lives in one arena and is never written after options_load() but for
 * its count of references: any thread may read it while the holder keeps it. Defaults are in the row tables
 * of options.c, which also print `epp-agent -h` and the README's table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flow_queue.h"
#include "log.h"
#include "span.h"

struct arena;
struct engine_options;
struct fault;

enum { THREADS_MAX = 1024, POOL_NAME_MAX = 255, POOL_ENDPOINTS_MAX = 65535 };

struct label {
	const char *key, *value;
};

/* One address the agent accepts SPOP connections on. */
struct listen_options {
	const char *text;	/* as written, for messages */
	const char *host;	/* numeric IPv4 or IPv6; NULL: unix socket */
	uint16_t port;
	const char *path;	/* unix socket; NULL otherwise */
	unsigned mode;		/* unix socket: permission bits, default 0660 */
};

/* One line of a static list or of an endpoints file: one entry per port. */
struct endpoint_options {
	const char *name;	/* HAProxy's server name */
	const char *host;	/* IPv4, IPv6 without brackets, or a DNS name */
	uint16_t port;
	const char *engine;	/* NULL: the pool's */
	const struct label *labels;
	size_t n_labels;
};

enum pool_source { SOURCE_STATIC, SOURCE_FILE, SOURCE_HAPROXY };

/* How a pool's endpoints are asked for their metrics. */
struct scrape_options {
	bool enabled;		/* default true */
	bool https;		/* scheme: http (default) or https */
	const char *path;	/* default "/metrics" */
	uint16_t port;		/* 0: the endpoint's own */
	int64_t interval_ms;	/* default 50 */
	int64_t timeout_ms;	/* whole fetch, default 1000 */
	int64_t stale_ms;	/* older than this is stale, default 2000 */
	size_t max_bytes;	/* of one page, default 4 MiB */
	bool insecure_skip_verify;	/* https: default false */
	const char *ca_file;	/* https: NULL = the system's */
};

/* kv_feed.h. Names: llm-d-router, podDiscoveryConfig of kvEventsConfig. */
struct kv_options {
	bool enabled;			/* `kvEvents` is there */
	uint16_t port;			/* socketPort, 5557 */
	uint16_t replay_port;		/* replaySocketPort; 0: none */
	uint32_t ranks;			/* data parallel, at ports in a row; 1 */
	const char *topic;		/* topicFilter; "": all */
};

/* Where token ids are had from. Names: llm-d-router, parameters of token-producer. */
enum tokenizer_api { TOKENIZER_TOKENIZE, TOKENIZER_RENDER };

struct tokenizer_options {
	bool enabled;			/* `tokenizer` is there */
	const char *host;		/* of url; NULL: the pool's endpoints */
	bool https;
	uint16_t port;
	int api;			/* enum tokenizer_api */
	const char *model;		/* modelName; NULL: as asked for */
	int64_t timeout_ms;		/* of one question, 5 s */
	uint32_t concurrency;		/* 4 */
	size_t max_bytes;		/* of prompts that wait; 4 MiB */
};

/* The prefix index; names follow llm-d's approx-prefix-cache-producer. */
struct prefix_options {
	uint32_t block_tokens;		/* blockSizeTokens, default 64 */
	uint32_t max_match_tokens;	/* maxPrefixTokensToMatch; 131072 */
	uint32_t capacity_tokens;	/* per endpoint, default 131072 */
	bool auto_tune;			/* take the engine's own capacity when
					   it tells one; default true */
	size_t max_bytes;		/* of the pool's index; 16 MiB */
	const char *snapshot;		/* warm.h: file; NULL: none */
	int64_t snapshot_max_age_ms;	/* snapshotMaxAge, 10 m */
	struct kv_options kv;
	struct tokenizer_options tokenizer;
};

/* What becomes of a request that the agent cannot schedule. GIE proposal 004. */
enum failure_mode {
	FAIL_OPEN,	/* HAProxy balances it */
	FAIL_CLOSE,	/* 503 */
};

/* outlier.h. Names and defaults: Envoy, "Outlier detection". */
struct outlier_options {
	uint32_t consecutive_failures;	/* consecutive5xx; 0: off; 5 */
	int64_t base_ms, max_ms;	/* of an ejection; 30 s, 300 s */
	uint32_t max_percent;		/* of the pool, one at least; 10 */
};

/* saturation.h. Names and defaults: llm-d-router, flowcontrol/saturationdetector. */
enum detector { DETECTOR_UTILIZATION, DETECTOR_CONCURRENCY };
enum concurrency_mode {
	CONCURRENCY_REQUESTS, CONCURRENCY_TOKENS, CONCURRENCY_HYBRID,
};

struct saturation_options {
	enum detector detector;
	float queue_depth;		/* queueDepthThreshold, 5 */
	float kv_used;			/* kvCacheUtilThreshold, 0.8 */
	int64_t stale_ms;		/* metricsStalenessThreshold, 200 ms */
	enum concurrency_mode mode;	/* requests */
	uint32_t max_concurrency;	/* of an endpoint, 100 */
	uint64_t max_token_concurrency;	/* of an endpoint, 1,000,000 */
	int64_t retry_after_s;		/* told to those refused, 1 */
};

/* flow_control.h. Names and defaults: llm-d-router, EndpointPickerConfig flowControl. */
struct flow_control_options {
	bool enabled;			/* false */
	int64_t ttl_ms;			/* defaultRequestTTL, 60 s */
	int64_t empty_ttl_ms;		/* noEndpointRequestTTL, 0: does not wait */
	struct flow_options queue;
};

/* InferenceObjective: chosen by header, unknown names are priority 0. */
struct objective_options {
	const char *name;
	int32_t priority;		/* negative: sheddable */
};

/* InferenceModelRewrite: model_rewrite.h. A pool's rules, the oldest first. */
struct model_target_options {
	const char *model;
	uint32_t weight;		/* 0: none of the rule has one */
};

struct model_match_options {
	const char *model;
};

struct model_rule_options {
	const struct model_match_options *matches;	/* none: every model */
	size_t n_matches;
	const struct model_target_options *targets;
	size_t n_targets;
	uint32_t weight;		/* of all targets; 0: they are alike */
};

struct model_name_options {
	const char *name;
	const struct model_rule_options *rule;
};

struct model_rewrite_options {
	const struct model_name_options *names;	/* sorted, each once */
	size_t n_names;
	const struct model_rule_options *generic;	/* NULL: none */
};

struct pool_options {
	const struct options *owner;
	uint64_t number;	/* of the load: no two are alike in a process */
	const char *name;	/* what HAProxy sends as `pool`: its backend */
	const char *engine;	/* default "vllm" */
	enum pool_source source;
	const struct endpoint_options *endpoints;	/* SOURCE_STATIC */
	size_t n_endpoints;
	const char *file;				/* SOURCE_FILE */
	const char *haproxy_socket;	/* SOURCE_HAPROXY: a path, or numeric
					   host:port */
	const char *haproxy_backend;			/* default: `name` */
	int64_t haproxy_interval_ms;			/* default 1000 */
	struct scrape_options scrape;
	struct prefix_options prefix;
	const struct schedule *schedule;	/* NULL: llm-d's default */
	const struct picker_config *scheduling;	/* what it came from, or NULL */
	enum failure_mode failure_mode;
	struct outlier_options outlier;
	struct saturation_options saturation;
	const struct objective_options *objectives;
	size_t n_objectives;
	struct flow_control_options flow;
	const struct model_rule_options *rules;		/* as written */
	size_t n_rules;
	const struct model_rewrite_options *rewrites;	/* NULL: none are made */
	const struct engine_options *engines;	/* the file's, for every pool */
	size_t n_engines;
};

/* A number that plugins may look at. Names: llm-d-router, core-metrics-extractor. */
struct custom_metric_options {
	const char *key;	/* attributeKey */
	const char *spec;	/* metricSpec */
	int fold;		/* enum engine_fold, of several series; mean */
};

/* `engines:` of the file: metric names of an engine we do not know. */
struct engine_options {
	const char *name;
	const char *extends;	/* NULL, or a built-in one: what is not given */
	const char *queued_spec, *running_spec, *kv_spec;	/* NULL: none */
	const char *cache_info_spec;	/* info metric with the two labels: */
	const char *block_size_label, *n_blocks_label;
	const char *lora_spec;		/* with the labels of vLLM's */
	const struct custom_metric_options *custom;
	size_t n_custom;
};

/* HAProxy's end-of-request lines: feedback.h, books.h. */
struct feedback_options {
	const struct listen_options *listens;	/* none: no feedback */
	size_t n_listens;
	size_t max_requests;		/* under way at once, 65536 */
	int64_t server_timeout_ms;	/* HAProxy's `timeout server`, 10 m */
	int64_t reconcile_after_ms;	/* believe the engine after, 10 s */
};

struct options {
	struct arena *arena;
	unsigned refs;		/* scraper's thread only, once it has them */
	const char *file;
	const struct listen_options *listens;
	size_t n_listens;
	unsigned threads;		/* 0: as many as there are cores */
	enum log_level log_level;
	struct feedback_options feedback;
	const struct pool_options *pools;
	size_t n_pools;
	const struct engine_options *engines;
	size_t n_engines;
};

/* NULL with `why` filled. Reads the file, nothing else. */
struct options *options_load(const char *file, struct fault *why);
struct options *options_parse(const char *file, struct span text,
    struct fault *why);
/* Views keep the options that they were built by: one thread counts. */
const struct options *options_ref(const struct options *o);
void options_free(struct options *o);	/* gives one reference back */

/*
 * An endpoints file (SOURCE_FILE): `endpoints:` with the same rows as a pool's
 * static list; none at all is a list too. Strings live in `arena`. 0, or
 * -EINVAL or -ENOMEM with `why` filled.
 */
int options_load_endpoints(const char *file, const struct pool_options *pool,
    struct arena *arena, const struct endpoint_options **out, size_t *n_out,
    struct fault *why);
int options_parse_endpoints(const char *file, struct span text,
    const struct pool_options *pool, struct arena *arena,
    const struct endpoint_options **out, size_t *n_out, struct fault *why);

/* Every key with its default and meaning, one row a line. */
void options_print_help(FILE *out);
