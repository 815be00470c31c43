/*
 * prom_line.h - the grammar of one sample line of a Prometheus text page
 *
 * Pure functions over borrowed bytes; prom.c finds the lines. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "span.h"

/* One label. The value is raw: its escapes are as on the page. */
struct prom_pair {
	struct span key, value;
};

enum prom_next { PROM_NEXT_PAIR, PROM_NEXT_END, PROM_NEXT_BAD };

/*
 * Takes the next pair off the front of `rest`, the text behind a '{'. At
 * PROM_NEXT_END `rest` is empty or starts with the '}'.
 */
enum prom_next prom_pair_next(struct span *rest, struct prom_pair *pair);

/* Does the raw value, unescaped, equal `text`? */
bool prom_value_is(struct span raw, const char *text);

/* Unescapes into `out`, NUL-terminated, cut to `len` (at least 1). */
void prom_value_copy(struct span raw, char *out, size_t len);

/* A number as Prometheus spells it: decimals, exponents, +Inf, NaN. */
bool prom_number(struct span text, double *out);

/*
 * What follows the name on a sample line: labels, value, and if present a
 * timestamp and an exemplar. `labels` borrows from `rest`.
 */
bool prom_line_parse(struct span rest, struct span *labels, double *value);

/* Without the blanks (and the CR) at both ends. */
struct span prom_trim(struct span s);
