/*
 * picker_config_parts.h - an EndpointPickerConfig as decoded, for picker_config*.c only
 *
 * picker_config_rows.c decodes it into struct document, picker_config_versions.c knows
 * which keys its apiVersion has; picker_config_plugins.c finds out what each entry of
 * `plugins:` is; picker_config_profile.c puts profiles and their
 * handler together; picker_config_pool.c takes what a pool has keys for, and
 * picker_config_flow.c who waits. Each tells the report what it found,
 * picker_config_tell.c of every entry. Names come with their lines, since rows know none.
 */
#pragma once

#include "conf.h"
#include "options.h"
#include "picker_config.h"
#include "picker_config_types.h"
#include "plugin.h"

/* A name that stands in the document, and where; NULL: not given, or empty. */
struct reference {
	const char *name;
	unsigned line;
};

/* One entry of `plugins:`, and what its type turned out to be: one of these or more. */
struct entry {
	struct reference type, name;
	const struct conf *parameters;	/* in the tree: soon gone */
	const char *prefixes;		/* prefixMatchInfoProducerName; NULL: any */
	const struct filter *filter;
	const struct scorer *scorer;
	const struct picker *picker;
	const struct handler *handler;
	const struct decider *decider;
	const struct other_type *other;
	void *filter_params, *scorer_params, *picker_params, *handler_params,
	    *decider_params, *other_params;
	bool is_in_profile, is_referred;	/* by its name, elsewhere */
	bool is_taken;			/* by the pool, for its role */
};

struct profile_ref {
	struct reference plugin;
	float weight;
};

struct profile_entry {
	struct reference name;
	const struct profile_ref *refs;
	size_t n_refs;
};

struct source_entry {
	struct reference plugin;
	const struct reference *extractors;
	size_t n_extractors;
};

struct band_document {
	int32_t priority;
	unsigned line;
	int64_t ttl_ms;		/* 0: the whole's */
	bool is_capped;	/* a time to live of 0s, or of more than an hour */
	uint64_t max_requests, max_bytes;
	struct reference fairness, ordering;
};

struct flow_document {
	int64_t ttl_ms, empty_ttl_ms;
	bool is_capped;	/* a time to live of 0s, or of more than an hour */
	uint64_t max_requests, max_bytes;
	const struct band_document *bands;
	size_t n_bands;
	struct band_document default_band, default_negative_band;
	struct reference usage_limit, detector;
	bool has_settings;	/* beyond the detector */
};

enum picker_api { PICKER_V1ALPHA1, PICKER_V1, PICKER_LEGACY };

struct document {
	int api_version;	/* enum picker_api */
	int kind;
	const struct reference *gates;
	size_t n_gates;
	struct entry *entries;
	size_t n_entries;
	const struct profile_entry *profiles;
	size_t n_profiles;
	const struct reference *parsers;
	size_t n_parsers;
	bool propagates_priority;
	struct reference parser;	/* both deprecated by llm-d: top level */
	struct reference detector;
	struct {
		bool injects_defaults;
		const struct source_entry *sources;
		size_t n_sources;
		struct reference discovery, peers, syncer;
		struct reference old_peers, old_syncer;	/* v1alpha1's keys */
	} data;
	struct flow_document flow;
};

struct decoding {
	const struct conf_input *in;
	const struct conf *root;
	struct document doc;
	struct picker_config *config;
};

extern const struct conf_table document_table;	/* picker_config_rows.c */

/* No key but of the document's apiVersion: picker_config_versions.c. */
conf_check_f picker_config_check_version;

/* A line of the report; the arena's strings, or static ones. */
void picker_config_tell(struct decoding *d, unsigned line,
    enum migration verdict, const char *what, const char *note);

/* The fault "found: name"; `want` may be NULL. Returns -EINVAL. */
int picker_config_refuse(const struct decoding *d, unsigned line,
    const char *found, const char *name, const char *want);

/* ---- picker_config_plugins.c ---- */

/* Finds each entry's type and decodes its parameters. */
int picker_config_resolve(struct decoding *d);

/* The i-th parameter of a type that names a producer to read from; NULL: no more. */
const char *picker_config_producer_key(const char *type, size_t i);

/* NULL when there is none of that name. */
struct entry *picker_config_find(const struct decoding *d, const char *name);

/* What `r` names, from now on referred to; NULL with the fault filled. */
struct entry *picker_config_entry(struct decoding *d,
    const struct reference *r);

/* The same; its role must be `role`: else a fault that wants `what`. */
struct entry *picker_config_role(struct decoding *d, const struct reference *r,
    enum other_role role, const char *what);

/* An entry that is not in the document, with the presets of its type. */
int picker_config_preset(const struct decoding *d, const char *type,
    unsigned line, struct entry *out);

/* ---- picker_config_profile.c, _pool.c, _flow.c, _tell.c ---- */

int picker_config_build_schedule(struct decoding *d);
int picker_config_take(struct decoding *d);

/* Decoded and told whether its gate is on or not; taken only where it is `enabled`. */
int picker_config_take_flow(struct decoding *d, bool enabled);

/* A line of the report of each entry, once it is known which of them are used. */
void picker_config_tell_plugins(struct decoding *d);
