/*
 * label_columns.c - one block: the keys, then a column each
 */
#include "label_columns.h"

#include <stdlib.h>

#include "endpoints.h"
#include "options.h"

static uint64_t key_at(const struct endpoint *e, size_t label)
{
	return e->label_ids != NULL ? e->label_ids[label] :
	    endpoint_label_id(e->labels[label].key);
}

static size_t find(const struct label_columns *l, uint64_t key)
{
	size_t i = 0;

	while (i < l->n && l->keys[i] != key)
		i++;
	return i;
}

static void find_keys(struct label_columns *l, const struct endpoint *endpoints,
    size_t n)
{
	for (size_t row = 0; row < n; row++)
		for (size_t k = 0; k < endpoints[row].n_labels; k++) {
			uint64_t key = key_at(&endpoints[row], k);

			if (find(l, key) < l->n)
				continue;
			if (l->n < LABEL_COLUMNS_MAX)
				l->keys[l->n++] = key;
			else
				l->is_cut = true;
		}
}

/* Of a key that an endpoint has twice the first counts, as for label_find(). */
static void fill_row(struct label_columns *l, const struct endpoint *e,
    size_t row)
{
	for (size_t k = 0; k < e->n_labels; k++) {
		size_t i = find(l, key_at(e, k));

		if (i < l->n && l->columns[i][row] == 0)
			l->columns[i][row] = endpoint_value_id(
			    span_of(e->labels[k].value));
	}
}

struct label_columns *label_columns_new(const struct endpoint *endpoints,
    size_t n)
{
	struct label_columns keys = { 0 }, *l;
	uint64_t *cells;

	find_keys(&keys, endpoints, n);
	l = calloc(1, sizeof(*l) + (keys.n + 1) * n * sizeof(*cells));
	if (l == NULL)
		return NULL;
	*l = keys;
	cells = (uint64_t *)(void *)(l + 1);
	l->none = cells;
	for (size_t i = 0; i < l->n; i++)
		l->columns[i] = cells + (i + 1) * n;
	for (size_t row = 0; row < n; row++)
		fill_row(l, &endpoints[row], row);
	return l;
}

const uint64_t *label_column(const struct label_columns *l, uint64_t key)
{
	size_t i = l != NULL ? find(l, key) : 0;

	if (l == NULL)
		return NULL;
	return i < l->n ? l->columns[i] : l->is_cut ? NULL : l->none;
}
