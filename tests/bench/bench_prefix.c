/*
 * bench_prefix.c - what a match and an insert cost, beside the plain way
 *
 * The plain way is a hash set for each endpoint and a walk down the chain for
 * each of them, until a block is missing; it takes no lock and never forgets. Two
 * worlds: in one each endpoint holds chains of its own and the chain asked for is
 * one endpoint's; in the other all hold the same system prompt, which is half of
 * every chain. Both ways answer the same questions in turn within each round; the
 * ratio is that of the medians.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "must.h"
#include "prefix.h"
#include "rng.h"

enum {
	ENDPOINTS_MAX = 1000, BLOCKS_MAX = 400,
	CHAINS = 64,		/* asked for and inserted in each round */
	ROUNDS = 15,
	HELD_BLOCKS = 512,	/* of others' chains, by each endpoint */
	SET_SLOTS = 4096,	/* of each plain set; far from full */
};

/* ---- the plain way: open addressing, nothing is ever evicted ---- */

static uint64_t *sets;		/* ENDPOINTS_MAX x SET_SLOTS; 0 is free */

static uint64_t *set_find(size_t endpoint, uint64_t block)
{
	uint64_t *set = sets + endpoint * SET_SLOTS;
	size_t at = block >> 16 & (SET_SLOTS - 1);

	while (set[at] != 0 && set[at] != block)
		at = (at + 1) & (SET_SLOTS - 1);
	return &set[at];
}

static uint32_t plain_match(const uint64_t *chain, size_t n, size_t n_endpoints,
    uint16_t *depth)
{
	uint32_t most = 0;

	for (size_t e = 0; e < n_endpoints; e++) {
		uint32_t i = 0;

		while (i < n && *set_find(e, chain[i]) != 0)
			i++;
		depth[e] = (uint16_t)i;
		most = i > most ? i : most;
	}
	return most;
}

static void plain_insert(size_t endpoint, const uint64_t *chain, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*set_find(endpoint, chain[i]) = chain[i];
}

/* ---- the world ---- */

struct world {
	struct prefix_index *index;
	size_t n_endpoints, n_blocks, n_shared;
};

/* One conversation's chain: the shared front, then its own. */
static void make_chain(const struct world *w, uint64_t name, uint64_t *chain)
{
	for (size_t i = 0; i < w->n_blocks; i++)
		chain[i] = rng_mix((i < w->n_shared ? 0 : name) << 20 | (i + 1));
}

static void world_insert(struct world *w, uint16_t endpoint, uint64_t name)
{
	uint64_t chain[BLOCKS_MAX];

	make_chain(w, name, chain);
	prefix_insert(w->index, endpoint, chain, w->n_blocks, 0);
	plain_insert(endpoint, chain, w->n_blocks);
}

static void world_open(struct world *w, size_t n_endpoints, size_t n_blocks,
    size_t n_shared)
{
	*w = (struct world){ .n_endpoints = n_endpoints, .n_blocks = n_blocks,
		.n_shared = n_shared };
	w->index = prefix_new((size_t)128 << 20, ENDPOINTS_MAX);
	must(w->index != NULL);
	memset(sets, 0, sizeof(*sets) * ENDPOINTS_MAX * SET_SLOTS);
	for (uint16_t e = 0; e < n_endpoints; e++) {
		prefix_join(w->index, e, SET_SLOTS);
		for (size_t held = 0, k = 0; held < HELD_BLOCKS; k++) {
			world_insert(w, e, 1 + e + (k << 12));
			held += n_blocks;
		}
	}
}

/* ---- measuring ---- */

struct times {
	int64_t match[ROUNDS], plain_match[ROUNDS];
	int64_t insert[ROUNDS], plain_insert[ROUNDS];
};

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double median(int64_t times[ROUNDS])
{
	qsort(times, ROUNDS, sizeof(*times), by_time);
	return (double)times[ROUNDS / 2] / CHAINS;
}

static void measure_match(const struct world *w, int round, struct times *t)
{
	static uint16_t ours[CHAINS][ENDPOINTS_MAX];
	static uint16_t plain[CHAINS][ENDPOINTS_MAX];
	static uint64_t chains[CHAINS][BLOCKS_MAX];
	struct rng rng = { (uint64_t)round };
	int64_t start;

	memset(ours, 0, sizeof(ours));
	for (int i = 0; i < CHAINS; i++)
		make_chain(w, 1 + rng_below(&rng, (uint32_t)w->n_endpoints),
		    chains[i]);
	start = clock_ns();
	for (int i = 0; i < CHAINS; i++)
		prefix_match(w->index, chains[i], w->n_blocks, ours[i],
		    ENDPOINTS_MAX);
	t->match[round] = clock_ns() - start;
	start = clock_ns();
	for (int i = 0; i < CHAINS; i++)
		plain_match(chains[i], w->n_blocks, w->n_endpoints, plain[i]);
	t->plain_match[round] = clock_ns() - start;
	for (int i = 0; i < CHAINS; i++)
		must(memcmp(ours[i], plain[i],
			w->n_endpoints * sizeof(**ours)) == 0);
}

/* Conversations that go on: held already by the endpoint they are sent to. */
static void measure_insert(const struct world *w, int round, struct times *t)
{
	static uint64_t chains[CHAINS][BLOCKS_MAX];
	uint16_t to[CHAINS];
	struct rng rng = { (uint64_t)round };
	int64_t start;

	for (int i = 0; i < CHAINS; i++) {
		to[i] = (uint16_t)rng_below(&rng, (uint32_t)w->n_endpoints);
		make_chain(w, 1 + to[i], chains[i]);
	}
	start = clock_ns();
	for (int i = 0; i < CHAINS; i++)
		prefix_insert(w->index, to[i], chains[i], w->n_blocks,
		    (uint32_t)w->n_blocks);
	t->insert[round] = clock_ns() - start;
	start = clock_ns();
	for (int i = 0; i < CHAINS; i++)
		plain_insert(to[i], chains[i], w->n_blocks);
	t->plain_insert[round] = clock_ns() - start;
}

static void measure(size_t n_endpoints, size_t n_blocks, bool is_shared)
{
	struct times t;
	struct world w;
	double match, plain, insert;

	world_open(&w, n_endpoints, n_blocks, is_shared ? n_blocks / 2 : 0);
	for (int round = 0; round < ROUNDS; round++) {
		measure_match(&w, round, &t);
		measure_insert(&w, round, &t);
	}
	match = median(t.match);
	plain = median(t.plain_match);
	insert = median(t.insert);
	printf("%-9s %9zu %7zu %10.0f %10.0f %8.2f %10.0f %8.2f\n",
	    is_shared ? "shared" : "own", n_endpoints, n_blocks, match, plain,
	    plain / match, insert, median(t.plain_insert) / insert);
	prefix_free(w.index);
}

int main(void)
{
	static const size_t endpoints[] = { 10, 100, 1000 };
	static const size_t blocks[] = { 16, 64, 400 };

	sets = calloc((size_t)ENDPOINTS_MAX * SET_SLOTS, sizeof(*sets));
	must(sets != NULL);
	printf("%-9s %9s %7s %10s %10s %8s %10s %8s\n", "prompts", "endpoints",
	    "blocks", "match ns", "plain ns", "x plain", "insert ns",
	    "x plain");
	for (int shared = 0; shared < 2; shared++)
		for (size_t e = 0; e < 3; e++)
			for (size_t b = 0; b < 3; b++)
				measure(endpoints[e], blocks[b], shared != 0);
	free(sets);
	return 0;
}
