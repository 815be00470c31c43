/*
 * attribute.c - attribute names, as llm-d checks them, and reading one
 */
#include "plugins/attribute.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "fault.h"
#include "prom_line.h"

const char *const attribute_producers[] = { "core-metrics-extractor", NULL };

int decode_attribute_number(const struct conf_input *in,
    const struct conf_row *row, const struct conf *value, void *out)
{
	double *number = out;

	if (value->type != CONF_SCALAR || value->quoted ||
	    !prom_number(span_of(value->text), number) || !isfinite(*number))
		return conf_refuse(in, row, value, "a number, as -1 or 0.8");
	return 0;
}

/* Source: llm-d-router, ResolveConfiguredKey(): it was one string once. */
int attribute_resolve(const struct conf_input *in, const struct conf *map,
    const char *row_key, struct attribute_ref *ref)
{
	const struct conf *name = conf_child(map, row_key);

	if (strchr(ref->name, '/') != NULL &&
	    !conf_is_given(conf_child(map, "producer"))) {
		fault_setf(in->why, in->file, name->line,
		    "%s: %.64s without a producer", row_key, ref->name);
		fault_want(in->why, "the name alone, and producer: %s beside it",
		    attribute_producers[0]);
		return -EINVAL;
	}
	ref->key = attribute_key(ref->name);
	return 0;
}
