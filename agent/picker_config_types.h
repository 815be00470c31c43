/*
 * picker_config_types.h - plugin types of llm-d that have no opinion on endpoints
 *
 * Producers, parsers, sources, detectors, policies: most of them name what
 * we do anyway. One row each: what becomes of it, and how its parameters decode.
 * For picker_config*.c only.
 */
#pragma once

#include "conf.h"
#include "options.h"
#include "picker_config.h"

/* Parameters of metrics-data-source. */
struct scrape_source {
	bool https;
	const char *path;
	uint16_t port;
	int64_t interval_ms;	/* 0: not given */
	bool insecure_skip_verify;
	const char *ca_file;
};

/* Of approx-prefix-cache-producer. */
struct prefix_producer {
	bool auto_tune;
	uint32_t block_tokens, max_match_tokens, max_match_blocks;
	uint32_t capacity_blocks;
	uint32_t old_block_tokens;	/* blockSize, deprecated */
};

/* Of precise-prefix-cache-producer, and of the scorer that wraps one. */
struct precise_producer {
	uint32_t block_tokens, old_block_tokens;	/* blockSize, deprecated */
	uint16_t port, replay_port;
	const char *topic;
	int engine;
	bool is_speculative;
};

/* Of token-producer. */
struct token_producer {
	bool is_asked;		/* `vllm` is there: a render service */
	bool sizes_media;	/* `estimate` says what images or videos come to */
	struct tokenizer_options service;
};

/* Of core-metrics-extractor. */
struct metrics_extractor {
	const char *engine;	/* NULL: not given */
	unsigned line;
};

/* Of static-usage-limit-policy. */
struct usage_limit {
	float threshold;
};

/* Where it may be referred to, or what of the pool it says. */
enum other_role {
	OTHER_NOTHING, OTHER_PARSER, OTHER_SOURCE, OTHER_DISCOVERY,
	OTHER_PEERS, OTHER_SYNCER,
	OTHER_FAIRNESS, OTHER_ORDERING,	/* its value is the policy's number */
	OTHER_TOKENS,			/* struct token_producer */
	OTHER_USAGE_LIMIT,		/* struct usage_limit, or no parameters */
	OTHER_FIRST_TAKEN,		/* from here on the pool takes one of each */
	OTHER_PREFIX = OTHER_FIRST_TAKEN,	/* struct prefix_producer */
	OTHER_PRECISE,			/* struct precise_producer */
	OTHER_SCRAPE,			/* struct scrape_source */
	OTHER_EXTRACTOR,		/* struct metrics_extractor */
	OTHER_SATURATION,		/* as a filter: plugins/detector.h */
};

struct other_type {
	const char *name;
	enum other_role role;
	enum migration verdict;
	const char *note;
	const struct conf_table *params;	/* NULL: any are taken, none is read */
	int value;
};

/* NULL when there is none of that name; row i, NULL past the end. */
const struct other_type *other_type_find(const char *name);
const struct other_type *other_type_at(size_t i);

/* What to have instead of a type of llm-d that is refused; NULL: it is not one. */
const char *refused_type_want(const char *name);

/* The same, of a parameter that its type had once. */
const char *moved_param_want(const char *type, const char *key);
