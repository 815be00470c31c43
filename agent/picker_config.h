/*
 * picker_config.h - llm-d's EndpointPickerConfig, decoded into what we schedule by
 *
 * The document that llm-d's router takes, apiVersion llm-d.ai/v1, llm-d.ai/v1alpha1 or
 * the legacy inference.networking.x-k8s.io/v1alpha1, strict: an unknown plugin,
 * parameter, key or reference is an error with its line and the nearest known name, a
 * key of another version one that says of which. What we read and do not do as llm-d
 * does is told, line by line: a migration report, and a warning at start for what is not
 * honoured at all. Everything lives in the options' arena.
 * Source: llm-d-router apix/config/v1 and v1alpha1, endpointpickerconfig_types.go, and
 * pkg/epp/config/loader.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct conf;
struct conf_input;
struct flow_control_options;
struct pool_options;
struct prefix_options;
struct schedule;
struct saturation_options;

enum migration {
	MIGRATION_EXACT,	/* as llm-d does, on the same inputs */
	MIGRATION_APPROXIMATE,	/* the same purpose by other means */
	MIGRATION_NOT_HONOURED,	/* read, and without effect */
};

struct migration_line {
	unsigned line;
	enum migration verdict;
	const char *what;	/* the plugin or key */
	const char *note;	/* what is different, or what it changes; or NULL */
};

struct picker_config {
	const char *file;
	const struct schedule *schedule;
	/* What it says of things that a pool has keys for; NULL: nothing. */
	const struct prefix_options *prefix;
	const struct saturation_options *saturation;
	const struct flow_control_options *flow;
	const struct scrape_source *scrape;
	bool never_scrapes;
	const char *engine;
	unsigned engine_line;
	size_t n_lines;
	struct migration_line *lines;	/* in the document's order */
};

/* 0 and `*out`; -EINVAL or -ENOMEM with in->why filled. */
int picker_config_decode(const struct conf_input *in, const struct conf *root,
    struct picker_config **out);

/* Puts what it says in place of the pool's, and leaves the pool the rest. */
void picker_config_apply(const struct picker_config *c,
    struct pool_options *pool);

/*
 * The first key of the pool's map that the document says too, which could contradict;
 * NULL when there is none.
 */
const struct conf *picker_config_overlap(const struct picker_config *c,
    const struct conf *pool);

/* One line each, for `epp-agent -c`. */
void picker_config_report(const struct picker_config *c, FILE *out);

/* Warns of each line that is not honoured. */
void picker_config_warn(const struct picker_config *c, const char *pool);

/* Every plugin type that has an effect, and its parameters, for `epp-agent -p`. */
void picker_config_print_help(FILE *out);
