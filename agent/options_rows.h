/*
 * options_rows.h - the tables that options.c is put together from
 *
 * For options*.c only. Each decoder takes what conf.h promises; checks that
 * need more than one section look at the tree again, since it still knows the
 * lines.
 */
#pragma once

#include "conf.h"
#include "options.h"

extern const struct conf_table pool_table, endpoint_table, listen_table;
extern const struct conf_table prefix_table;		/* options_prefix.c */
extern const struct conf_table feedback_table;		/* options_feedback.c */
extern const struct conf_table outlier_table, saturation_table, objective_table,
    flow_table;						/* options_admission.c */
extern const struct conf_table model_rule_table;	/* options_rewrite.c */
extern const char *const failure_modes[];

/* Fills in what depends on other sections; -EINVAL when they do not fit. */
int check_admission(const struct conf_input *in, const struct conf *map,
    struct pool_options *pool);

/* Once it is known where both come from; `prefix` is the pool's. -EINVAL. */
int check_tokenizer(const struct conf_input *in, const struct conf *prefix,
    const struct prefix_options *o);

/* Makes pool->rewrites of pool->rules, where `map` has them. -ENOMEM. */
int index_rewrites(const struct conf_input *in, const struct conf *map,
    struct pool_options *pool);

/* A bool: https. An absolute path of a URL, in printable ASCII. */
conf_decode_f decode_scheme, decode_url_path;

/* tokenizer_options.host, with https and port beside it: a URL without a path. */
conf_decode_f decode_service_url;

/* A model's name that JSON spells as it stands. */
conf_decode_f decode_model_name;

/* struct endpoint_options, one per port; expects offset_n in the row. */
conf_decode_f decode_endpoints;

/* A letter, digit or one of -_.: as HAProxy wants its names. */
conf_decode_f decode_identifier;

/* A path, or a numeric host:port: where HAProxy's stats socket is. */
conf_decode_f decode_stats_socket;

/* -EINVAL when `engine:` of `map` names none that there is. */
int check_engine(const struct conf_input *in, const struct conf *map,
    const struct engine_options *engines, size_t n_engines);

/* The same for each entry of the list under `endpoints:` in `map`. */
int check_endpoint_engines(const struct conf_input *in, const struct conf *map,
    const struct engine_options *engines, size_t n_engines);

/* -EINVAL when two entries of the list have the same text under `name:`. */
int check_unique_names(const struct conf_input *in, const struct conf *list,
    const char *what);
