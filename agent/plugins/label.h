/*
 * label.h - what plugins ask an endpoint's labels
 *
 * Values are compared byte by byte, as Kubernetes does. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "plugin.h"

/* A key, made ready to be looked for on many endpoints of a view. */
struct label_key {
	const char *text;
	uint64_t id;
	const uint64_t *column;		/* by row; NULL: there is none */
};

struct label_key label_key(const struct endpoint_view *view, const char *text);

/* NULL when it has no label of that key. */
const char *label_find(const struct endpoint *e, const struct label_key *key);
const char *label_value(const struct endpoint *e, const char *key);

/* endpoint_value_id() of candidate i's value; 0 when it has none. */
uint64_t label_value_id(const struct choice *c, size_t i,
    const struct label_key *key);

static inline uint64_t label_id_at(const struct choice *c, size_t i,
    const struct label_key *key)
{
	return key->column != NULL ? key->column[c->rows[i]] :
	    label_value_id(c, i, key);
}

/* False for NULL. */
bool label_is_one_of(const char *value, const char *const *values, size_t n);

/* Parameters of by-label: what a label's value may be. */
struct label_rule {
	const char *key;
	const char *const *values;
	size_t n_values;
	bool allows_none;	/* an endpoint without the label passes */
};

/* Clears keep[i] of the candidates that break the rule. */
void label_keep(const struct choice *c, const struct label_rule *rule,
    bool *keep);

/* For conf_list: an array of const char *, each any scalar, empty ones too. */
extern const struct conf_table label_values_table;

/* The same of one value: a label may well be empty. */
conf_decode_f label_decode_value;
