/*
 * label_columns.h - a pool's labels by key, for who asks all of its endpoints
 *
 * A value is kept as its id, so that thousands are compared without a look at an
 * endpoint or a text. Of the first LABEL_COLUMNS_MAX keys that are met, in the order of
 * endpoints and their labels; of others each endpoint must be asked. Made with a pool's
 * set of endpoints and as immutable. Pure but for memory; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;

enum { LABEL_COLUMNS_MAX = 32 };	/* 256 bytes an endpoint, at most */

struct label_columns {
	size_t n;
	bool is_cut;			/* there were more keys */
	uint64_t keys[LABEL_COLUMNS_MAX];
	uint64_t *columns[LABEL_COLUMNS_MAX];	/* by row; 0: it has none */
	uint64_t *none;			/* zeros: of a key that nobody has */
};

/* free() frees it. NULL without memory. */
struct label_columns *label_columns_new(const struct endpoint *endpoints,
    size_t n);

/* NULL: endpoints must be asked; `l` may be NULL too. */
const uint64_t *label_column(const struct label_columns *l, uint64_t key);
