/*
 * attribute.h - what the two endpoint-attribute plugins share: names and numbers
 *
 * An attribute is a number that `customMetrics` of an engine names (extras.h). An
 * endpoint whose engine has no such number, or whose page is stale, is without it.
 */
#pragma once

#include "columns.h"
#include "conf.h"

struct attribute_ref {
	const char *name;
	int producer;		/* an index into attribute_producers */
	uint64_t key;
};

/* Who may publish one, as llm-d spells it. */
extern const char *const attribute_producers[];

/* double; any finite number, of any sign. */
conf_decode_f decode_attribute_number;

/*
 * For .check, when name and producer are decoded: fills `key`. `row_key` is the key
 * that the name stood under. 0, or -EINVAL with in->why filled.
 */
int attribute_resolve(const struct conf_input *in, const struct conf *map,
    const char *row_key, struct attribute_ref *ref);

/* False: candidate i is without it. */
static inline bool attribute_read(const struct choice *c, size_t i,
    const struct attribute_ref *ref, double *value)
{
	const struct attribute *a = choice_fresh(c, i) ? attribute_find(
	    endpoint_attributes(c->view, c->rows[i]), ref->key) : NULL;

	if (a != NULL)
		*value = a->value;
	return a != NULL;
}
