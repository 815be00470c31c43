/*
 * prefix_match.c - how deep each endpoint holds a chain; takes no lock
 */
#include "prefix_parts.h"

enum {
	STEPS_MAX = 2 * PREFIX_SLOTS_MAX, /* of one walk along a chain */
	SPLITS_MAX = 64,	/* open stretches of a match: 2 log2(n) at most */
};

struct match {
	const struct prefix_index *p;
	const uint64_t *chain;
	uint16_t *depth;
	size_t n_depth;
	uint32_t deepest;
};

/* Notes every holder of block i; returns how many there are. */
static uint32_t match_block(struct match *m, size_t i)
{
	const struct prefix_index *p = m->p;
	uint64_t want = prefix_key_of(m->chain[i], 0);
	uint32_t n = 0, id = prefix_load(prefix_head_of(p, m->chain[i]));

	for (uint32_t steps = 0; id != 0 && steps < STEPS_MAX; steps++) {
		const struct posting *at = &p->postings[id];
		uint64_t key = atomic_load_explicit(&at->key,
		    memory_order_relaxed);

		if (prefix_key_of(key, 0) == want) {
			uint16_t slot = (uint16_t)key;

			n++;
			if (slot < m->n_depth && m->depth[slot] < i + 1)
				m->depth[slot] = (uint16_t)(i + 1);
		}
		id = prefix_load(&at->chain);
	}
	if (n > 0 && m->deepest < i + 1)
		m->deepest = (uint32_t)(i + 1);
	return n;
}

struct stretch {
	uint32_t from, to;		/* both ends are matched already */
	uint32_t n_from, n_to;
};

/* Splits every stretch whose ends disagree until the ends are neighbours. */
static void match_between(struct match *m, struct stretch first)
{
	struct stretch open[SPLITS_MAX];
	size_t n_open = 0;

	open[n_open++] = first;
	while (n_open > 0) {
		struct stretch s = open[--n_open];
		uint32_t mid = s.from + (s.to - s.from) / 2;
		uint32_t n_mid;

		if (s.n_from <= s.n_to || s.to - s.from < 2 ||
		    n_open + 2 > SPLITS_MAX)
			continue;
		n_mid = match_block(m, mid);
		open[n_open++] = (struct stretch){ s.from, mid, s.n_from, n_mid };
		open[n_open++] = (struct stretch){ mid, s.to, n_mid, s.n_to };
	}
}

uint32_t prefix_match(const struct prefix_index *p, const uint64_t *chain,
    size_t n, uint16_t *depth, size_t n_depth)
{
	struct match m = { .p = p, .chain = chain, .depth = depth,
		.n_depth = n_depth };
	struct stretch all = { 0 };

	if (n > UINT16_MAX)
		n = UINT16_MAX;
	if (n == 0 || (all.n_from = match_block(&m, 0)) == 0)
		return 0;
	if (n > 1) {
		all.to = (uint32_t)n - 1;
		all.n_to = match_block(&m, n - 1);
		match_between(&m, all);
	}
	return m.deepest;
}
