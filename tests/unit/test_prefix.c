#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "prefix.h"
#include "rng.h"

#define N_DEPTH(depth) (sizeof(depth) / sizeof(*(depth)))

enum {
	DEPTH = 8, ROOTS = 4,		/* of the tree that chains are paths of */
	SLOTS = 12,
	NODES = ROOTS * ((1 << DEPTH) - 1),
	POSTING_BYTES = 26,
};

/* ---- chains with common fronts: paths through one tree of blocks ---- */

/* Block `level` of the path that the bits of `path` choose, from some root. */
static uint64_t block_hash(uint32_t path, uint32_t level)
{
	uint32_t turns = path / ROOTS & ((1u << level) - 1);

	return rng_mix((uint64_t)(path % ROOTS) << 40 | (uint64_t)level << 32 |
	    turns | (uint64_t)1 << 60);
}

static size_t make_chain(uint32_t path, size_t n, uint64_t *chain)
{
	for (uint32_t i = 0; i < n; i++)
		chain[i] = block_hash(path, i);
	return n;
}

static size_t random_chain(struct rng *rng, uint64_t *chain)
{
	return make_chain((uint32_t)rng_next(rng),
	    1 + rng_below(rng, DEPTH), chain);
}

/* ---- the model: what each endpoint holds as a plain list, newest first --- */

struct model {
	struct {
		uint64_t blocks[NODES];
		uint32_t count, capacity;
		bool joined;
	} slots[SLOTS];
	uint32_t n_all, n_joined, rob_at;
};

static uint32_t model_total(const struct model *m)
{
	uint32_t n = 0;

	for (int s = 0; s < SLOTS; s++)
		n += m->slots[s].count;
	return n;
}

static bool model_holds(const struct model *m, int slot, uint64_t block)
{
	for (uint32_t i = 0; i < m->slots[slot].count; i++)
		if (m->slots[slot].blocks[i] == block)
			return true;
	return false;
}

static uint32_t model_depth(const struct model *m, int slot,
    const uint64_t *chain, size_t n)
{
	uint32_t depth = 0;

	while (depth < n && model_holds(m, slot, chain[depth]))
		depth++;
	return depth;
}

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t model_limit(const struct model *m, int slot)
{
	return min(m->slots[slot].capacity, m->n_all / m->n_joined);
}

/* Who holds more than its share gives what is lacking, or 64, in turn. */
static void model_rob(struct model *m, uint32_t n_new)
{
	for (int seen = 0; m->n_all - model_total(m) < n_new; seen++) {
		uint32_t lacking = n_new - (m->n_all - model_total(m));
		uint32_t batch = lacking > 64 ? lacking : 64;
		int slot = (int)m->rob_at;
		uint32_t *count = &m->slots[slot].count;

		assert_true(seen < 100 * SLOTS);
		m->rob_at = (m->rob_at + 1) % SLOTS;
		if (m->slots[slot].joined && *count > model_limit(m, slot))
			*count = *count - model_limit(m, slot) > batch ?
			    *count - batch : model_limit(m, slot);
	}
}

static void model_insert(struct model *m, int slot, const uint64_t *chain,
    uint32_t n)
{
	uint64_t others[NODES];
	uint32_t limit, held, n_others = 0;

	if (!m->slots[slot].joined)
		return;
	limit = model_limit(m, slot);
	n = min(n, limit);
	held = model_depth(m, slot, chain, n);
	for (uint32_t i = 0; i < m->slots[slot].count; i++) {
		uint64_t block = m->slots[slot].blocks[i];
		bool in_chain = false;

		for (uint32_t k = 0; k < n; k++)
			in_chain |= chain[k] == block;
		if (!in_chain)
			others[n_others++] = block;
	}
	n_others = min(n_others, limit - n);
	m->slots[slot].count = n_others + held;
	model_rob(m, n - held);
	memcpy(m->slots[slot].blocks, chain, n * sizeof(*chain));
	memcpy(m->slots[slot].blocks + n, others, n_others * sizeof(*others));
	m->slots[slot].count = n + n_others;
}

/* ---- index and model side by side ---- */

static void assert_same_match(struct prefix_index *p, const struct model *m,
    const uint64_t *chain, size_t n)
{
	uint16_t depth[SLOTS] = { 0 };
	uint32_t most = prefix_match(p, chain, n, depth, N_DEPTH(depth)), want = 0;

	for (int s = 0; s < SLOTS; s++) {
		uint32_t d = model_depth(m, s, chain, n);

		assert_int_equal(depth[s], d);
		want = d > want ? d : want;
	}
	assert_int_equal(most, want);
}

static void assert_same_counts(struct prefix_index *p, const struct model *m)
{
	for (int s = 0; s < SLOTS; s++) {
		uint32_t count = prefix_count(p, (uint16_t)s);

		assert_int_equal(count, m->slots[s].count);
		assert_true(!m->slots[s].joined || count <= m->slots[s].capacity);
	}
	assert_int_equal(prefix_total(p), model_total(m));
	assert_true(prefix_total(p) <= prefix_capacity(p));
}

/* A block is a chain of one: so every single one can be asked for. */
static bool holds(const struct prefix_index *p, uint16_t slot, uint64_t block)
{
	uint16_t depth[SLOTS] = { 0 };

	prefix_match(p, &block, 1, depth, N_DEPTH(depth));
	return depth[slot] == 1;
}

/* Each path's blocks, one by one: those held come first, and are the model's. */
static void assert_same_blocks(struct prefix_index *p, const struct model *m)
{
	for (uint32_t path = 0; path < ROOTS << (DEPTH - 1); path++)
		for (uint16_t s = 0; s < SLOTS; s++) {
			uint64_t chain[DEPTH];
			uint32_t depth;

			make_chain(path, DEPTH, chain);
			depth = model_depth(m, s, chain, DEPTH);
			for (uint32_t i = 0; i < DEPTH; i++) {
				assert_int_equal(holds(p, s, chain[i]),
				    i < depth);
				assert_int_equal(model_holds(m, s, chain[i]),
				    i < depth);
			}
		}
}

static void do_join(struct prefix_index *p, struct model *m, struct rng *rng,
    uint16_t slot)
{
	uint32_t capacity = rng_below(rng, 8) != 0 ? rng_below(rng, 200) :
	    rng_below(rng, 4);

	prefix_join(p, slot, capacity);
	m->slots[slot].joined = true;
	m->slots[slot].capacity = capacity;
	m->n_joined++;
}

static void do_leave(struct prefix_index *p, struct model *m, uint16_t slot)
{
	prefix_leave(p, slot);
	m->slots[slot].joined = false;
	m->slots[slot].count = 0;
	m->n_joined--;
}

static void do_insert(struct prefix_index *p, struct model *m, struct rng *rng,
    uint16_t slot)
{
	uint16_t depth[SLOTS] = { 0 };
	uint64_t chain[DEPTH];
	size_t n = random_chain(rng, chain);
	uint32_t hint;

	prefix_match(p, chain, n, depth, N_DEPTH(depth));
	/* It is only a hint: any other must lead to the same. */
	hint = rng_below(rng, 4) != 0 ? depth[slot] : rng_below(rng, DEPTH + 3);
	prefix_insert(p, slot, chain, n, hint);
	model_insert(m, slot, chain, (uint32_t)n);
}

static void do_set_capacity(struct prefix_index *p, struct model *m,
    struct rng *rng, uint16_t slot)
{
	uint32_t capacity = rng_below(rng, 200);

	if (!m->slots[slot].joined)
		return;
	prefix_set_capacity(p, slot, capacity);
	m->slots[slot].capacity = capacity;
	m->slots[slot].count = min(m->slots[slot].count, capacity);
}

static void do_anything(struct prefix_index *p, struct model *m, struct rng *rng)
{
	uint16_t slot = (uint16_t)rng_below(rng, SLOTS);
	uint32_t what = rng_below(rng, 1000);

	if (what < 960) {
		do_insert(p, m, rng, slot);
	} else if (what < 980) {
		do_set_capacity(p, m, rng, slot);
	} else if (what < 985) {
		prefix_purge(p, slot);
		m->slots[slot].count = 0;
	} else if (m->slots[slot].joined) {
		if (what < 990)
			do_leave(p, m, slot);
	} else {
		do_join(p, m, rng, slot);
	}
}

/* From one that all fit into, down to one where hardly a chain does. */
static void test_any_history_ends_as_the_plain_lists_say(void **state)
{
	static const uint32_t sizes[] = { 5000, 600, 200, 60, 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct prefix_index *p = prefix_new(sizes[i] * POSTING_BYTES,
		    SLOTS);
		struct model *m = calloc(1, sizeof(*m));
		struct rng rng = { 100 + i };
		uint64_t chain[DEPTH];

		m->n_all = prefix_capacity(p);
		assert_int_equal(m->n_all, sizes[i]);
		for (int turn = 0; turn < 50000; turn++) {
			do_anything(p, m, &rng);
			assert_same_counts(p, m);
			assert_same_match(p, m, chain,
			    random_chain(&rng, chain));
			if (turn % 2500 == 0)
				assert_same_blocks(p, m);
		}
		for (uint16_t s = 0; s < SLOTS; s++)
			if (m->slots[s].joined)
				do_leave(p, m, s);
		assert_int_equal(prefix_total(p), 0);
		free(m);
		prefix_free(p);
	}
}

static void test_the_least_recent_leaf_goes_first(void **state)
{
	struct prefix_index *p = prefix_new(1 << 20, SLOTS);
	uint64_t a[] = { 1ull << 32, 2ull << 32, 3ull << 32 };
	uint64_t b[] = { 1ull << 32, 4ull << 32 };
	uint64_t c[] = { 5ull << 32 };

	(void)state;
	prefix_join(p, 0, 4);
	prefix_insert(p, 0, a, 3, 0);
	prefix_insert(p, 0, b, 2, 1);
	prefix_insert(p, 0, c, 1, 0);		/* a[2] has to go */
	assert_false(holds(p, 0, a[2]));
	assert_true(holds(p, 0, a[1]) && holds(p, 0, b[1]));
	prefix_insert(p, 0, a, 2, 2);		/* a[1] is used again */
	prefix_insert(p, 0, a, 3, 2);		/* so now it is b[1] that goes */
	assert_false(holds(p, 0, b[1]));
	assert_true(holds(p, 0, a[2]) && holds(p, 0, c[0]));
	prefix_free(p);
}

static void test_a_chain_beyond_the_capacity_keeps_its_front(void **state)
{
	struct prefix_index *p = prefix_new(1 << 20, SLOTS);
	uint64_t chain[DEPTH];
	uint16_t depth[SLOTS] = { 0 };

	(void)state;
	make_chain(0, DEPTH, chain);
	prefix_join(p, 3, 5);
	prefix_insert(p, 3, chain, DEPTH, 0);
	assert_int_equal(prefix_match(p, chain, DEPTH, depth, N_DEPTH(depth)), 5);
	assert_int_equal(depth[3], 5);
	prefix_free(p);
}

static void test_who_has_not_joined_holds_nothing(void **state)
{
	struct prefix_index *p = prefix_new(1 << 20, SLOTS);
	uint64_t chain[DEPTH];
	uint16_t depth[SLOTS] = { 0 };

	(void)state;
	make_chain(0, DEPTH, chain);
	prefix_insert(p, 3, chain, DEPTH, 0);
	prefix_purge(p, 3);
	assert_int_equal(prefix_match(p, chain, DEPTH, depth, N_DEPTH(depth)), 0);
	assert_int_equal(prefix_match(p, chain, 0, depth, N_DEPTH(depth)), 0);
	assert_int_equal(prefix_total(p), 0);
	prefix_free(p);
	prefix_free(NULL);
}

/* Blocks of nobody else; `from` keeps them apart. */
static void insert_own(struct prefix_index *p, uint16_t slot, uint32_t from,
    uint32_t n)
{
	uint64_t *chain = calloc(n, sizeof(*chain));

	for (uint32_t i = 0; i < n; i++)
		chain[i] = rng_mix((uint64_t)slot << 32 | (from + i) | 1ull << 62);
	prefix_insert(p, slot, chain, n, 0);
	free(chain);
}

/*
 * One has everything when nine more join. Each gets its tenth as it comes, and
 * the first is not driven below its own.
 */
static void test_all_get_their_share_when_many_join(void **state)
{
	enum { ALL = 10000, EACH = ALL / 10, CHAIN = 100 };
	struct prefix_index *p = prefix_new(ALL * POSTING_BYTES, 10);

	(void)state;
	prefix_join(p, 0, ALL);
	insert_own(p, 0, 0, ALL);
	assert_int_equal(prefix_count(p, 0), ALL);
	for (uint16_t s = 1; s < 10; s++)
		prefix_join(p, s, ALL);
	for (uint32_t from = 0; from < 3 * EACH; from += CHAIN)
		for (uint16_t s = 1; s < 10; s++) {
			insert_own(p, s, from, CHAIN);
			assert_int_equal(prefix_count(p, s),
			    from + CHAIN < EACH ? from + CHAIN : EACH);
			assert_true(prefix_count(p, 0) >= EACH);
			assert_true(prefix_total(p) <= ALL);
		}
	prefix_free(p);
}

static void test_the_share_is_the_capacity_if_that_is_less(void **state)
{
	struct prefix_index *p = prefix_new(1000 * POSTING_BYTES, 10);

	(void)state;
	prefix_join(p, 0, 100);
	assert_int_equal(prefix_share(p, 0), 100);
	insert_own(p, 0, 0, 170);
	assert_int_equal(prefix_share(p, 0), prefix_count(p, 0));
	prefix_set_capacity(p, 0, 900);
	assert_int_equal(prefix_share(p, 0), 900);
	prefix_join(p, 1, 300);
	assert_int_equal(prefix_share(p, 0), 500);
	assert_int_equal(prefix_share(p, 1), 300);
	prefix_leave(p, 1);
	assert_int_equal(prefix_share(p, 0), 900);
	prefix_free(p);
}

/* Many that are one block over their share make room for a whole chain. */
static void test_many_small_debts_make_room_for_one_chain(void **state)
{
	enum { ALL = 2550, OLD = 50 };
	struct prefix_index *p = prefix_new(ALL * POSTING_BYTES, OLD + 1);

	(void)state;
	for (uint16_t s = 0; s < OLD; s++)
		prefix_join(p, s, ALL);
	for (uint16_t s = 0; s < OLD; s++)
		insert_own(p, s, 0, ALL / OLD);
	assert_int_equal(prefix_total(p), ALL);
	prefix_join(p, OLD, ALL);
	insert_own(p, OLD, 0, ALL / (OLD + 1));
	assert_int_equal(prefix_count(p, OLD), ALL / (OLD + 1));
	for (uint16_t s = 0; s < OLD; s++)
		assert_int_equal(prefix_count(p, s), ALL / (OLD + 1));
	prefix_free(p);
}

/*
 * XXH64 is no secret: a client may send blocks whose hashes agree. Here the
 * second block of one chain is the last of another that fills the endpoint, and
 * what makes room must not take away what the new blocks hang on.
 */
static void test_crafted_hashes_do_not_knot_the_lists(void **state)
{
	struct prefix_index *p = prefix_new(1 << 20, SLOTS);
	uint64_t a[8], c[4];

	(void)state;
	make_chain(0, 8, a);
	make_chain(1, 4, c);
	c[1] = a[7];
	prefix_join(p, 0, 8);
	prefix_insert(p, 0, a, 8, 0);
	for (uint32_t hint = 0; hint < 5; hint++) {
		prefix_insert(p, 0, c, 4, hint);
		assert_true(prefix_count(p, 0) <= 8);
	}
	prefix_purge(p, 0);
	assert_int_equal(prefix_total(p), 0);
	prefix_free(p);
}

/* Chains of any 16 hashes, repeated at will: all bounds hold, and all ends. */
static void test_no_collision_breaks_a_bound(void **state)
{
	enum { HASHES = 16, LONGEST = 24, TURNS = 100000 };
	struct prefix_index *p = prefix_new(150 * POSTING_BYTES, SLOTS);
	struct rng rng = { 12 };

	(void)state;
	for (uint16_t s = 0; s < SLOTS; s++)
		prefix_join(p, s, 3 + 3 * s);
	for (int turn = 0; turn < TURNS; turn++) {
		uint16_t slot = (uint16_t)rng_below(&rng, SLOTS);
		uint16_t depth[SLOTS] = { 0 };
		uint64_t chain[LONGEST];
		size_t n = 1 + rng_below(&rng, LONGEST);

		for (size_t i = 0; i < n; i++)
			chain[i] = rng_mix(1 + rng_below(&rng, HASHES));
		assert_true(prefix_match(p, chain, n, depth, N_DEPTH(depth)) <= n);
		prefix_insert(p, slot, chain, n, depth[slot]);
		assert_true(prefix_count(p, slot) <= 3u + 3 * slot);
		assert_true(prefix_total(p) <= prefix_capacity(p));
		if (turn % 100 == 0)
			prefix_purge(p, slot);
	}
	for (uint16_t s = 0; s < SLOTS; s++)
		prefix_leave(p, s);
	assert_int_equal(prefix_total(p), 0);
	prefix_free(p);
}

/* Holders of every depth in one chain: the match that looks at few finds each. */
static void test_a_thousand_endpoints_are_matched_one_by_one(void **state)
{
	enum { ENDPOINTS = 1000, BLOCKS = 64 };
	struct prefix_index *p = prefix_new(8 << 20, ENDPOINTS);
	struct rng rng = { 13 };
	uint64_t chain[BLOCKS];
	uint32_t want[ENDPOINTS];
	uint16_t depth[ENDPOINTS] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < BLOCKS; i++)
		chain[i] = rng_mix(i + 1);
	for (uint16_t s = 0; s < ENDPOINTS; s++) {
		want[s] = s < 500 ? 40 : rng_below(&rng, BLOCKS + 1);
		prefix_join(p, s, 1000);
		prefix_insert(p, s, chain, want[s], 0);
	}
	assert_int_equal(prefix_match(p, chain, BLOCKS, depth, N_DEPTH(depth)), BLOCKS);
	for (uint16_t s = 0; s < ENDPOINTS; s++)
		assert_int_equal(depth[s], want[s]);
	prefix_free(p);
}

/* ---- memory ---- */

/* What may come on top: 32 bytes a slot, and the ends of both tables. */
static void test_memory_is_what_was_given(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes < 1 << 22; bytes += 1 + bytes / 3)
		for (uint32_t slots = 1; slots <= 1000; slots += 333) {
			struct prefix_index *p = prefix_new(bytes, slots);

			assert_true(prefix_bytes(p) <= bytes + 32 * slots + 64);
			assert_true(prefix_capacity(p) >= bytes / 27);
			prefix_free(p);
		}
}

static void test_an_index_without_room_takes_nothing(void **state)
{
	(void)state;
	for (size_t bytes = 0; bytes < 4 * POSTING_BYTES; bytes++) {
		struct prefix_index *p = prefix_new(bytes, 2);

		prefix_join(p, 0, 100);
		prefix_join(p, 1, 100);
		insert_own(p, 0, 0, 10);
		insert_own(p, 1, 0, 10);
		assert_int_equal(prefix_total(p), prefix_capacity(p) / 2 * 2);
		prefix_free(p);
	}
}

/* ---- threads ---- */

struct side {
	struct prefix_index *p;
	uint64_t seed;
	atomic_bool *stop;
};

static void *write_at_random(void *data)
{
	struct side *a = data;
	struct rng rng = { a->seed };

	for (int turn = 0; turn < 20000; turn++) {
		uint16_t slot = (uint16_t)rng_below(&rng, SLOTS);
		uint16_t depth[SLOTS] = { 0 };
		uint64_t chain[DEPTH];
		size_t n = random_chain(&rng, chain);

		prefix_match(a->p, chain, n, depth, N_DEPTH(depth));
		prefix_insert(a->p, slot, chain, n, depth[slot]);
		if (turn % 50 == 0)
			prefix_purge(a->p, slot);
		if (turn % 70 == 0)
			prefix_set_capacity(a->p, slot, rng_below(&rng, 100));
	}
	return NULL;
}

static void *read_at_random(void *data)
{
	struct side *a = data;
	struct rng rng = { a->seed };
	uintptr_t wrong = 0;

	while (!atomic_load(a->stop)) {
		uint16_t depth[SLOTS + 1] = { 0 };
		uint64_t chain[DEPTH];
		size_t n = random_chain(&rng, chain);
		uint32_t most = prefix_match(a->p, chain, n, depth, N_DEPTH(depth));

		for (int s = 0; s < SLOTS; s++)
			wrong += depth[s] > n || depth[s] > most;
		wrong += most > n || depth[SLOTS] != 0;
		wrong += prefix_share(a->p, (uint16_t)rng_below(&rng, SLOTS)) > 100;
	}
	return (void *)wrong;
}

static void assert_closed(const struct prefix_index *p)
{
	for (uint32_t path = 0; path < ROOTS << (DEPTH - 1); path++)
		for (uint16_t s = 0; s < SLOTS; s++)
			for (uint32_t i = 1; i < DEPTH; i++)
				if (holds(p, s, block_hash(path, i)))
					assert_true(holds(p, s,
						block_hash(path, i - 1)));
}

static void test_two_write_while_two_match(void **state)
{
	struct prefix_index *p = prefix_new(300 * POSTING_BYTES, SLOTS);
	atomic_bool stop = false;
	pthread_t threads[4];
	struct side sides[4];
	uint32_t sum = 0;

	(void)state;
	for (uint16_t s = 0; s < SLOTS; s++)
		prefix_join(p, s, 50);
	for (size_t i = 0; i < 4; i++) {
		sides[i] = (struct side){ p, 20 + i, &stop };
		assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ?
			write_at_random : read_at_random, &sides[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		void *wrong;

		if (i == 2)
			atomic_store(&stop, true);
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	for (uint16_t s = 0; s < SLOTS; s++)
		sum += prefix_count(p, s);
	assert_int_equal(prefix_total(p), sum);
	assert_true(sum <= prefix_capacity(p));
	assert_closed(p);
	prefix_free(p);
}

/* ---- the formula ---- */

static void test_a_chain_is_hashed_as_llm_d_hashes_it(void **state)
{
	uint64_t ids[3] = { 1, 2, UINT64_MAX }, want[3], prev;

	(void)state;
	prev = hash_bytes("llamasalt", 9, 0);
	for (size_t i = 0; i < 3; i++) {
		uint8_t link[16];

		for (size_t k = 0; k < 8; k++) {
			link[k] = (uint8_t)(ids[i] >> 8 * k);
			link[8 + k] = (uint8_t)(prev >> 8 * k);
		}
		prev = want[i] = hash_bytes(link, sizeof(link), 0);
	}
	prefix_chain((struct span){ "llama", 5 }, (struct span){ "salt", 4 },
	    ids, 3);
	assert_memory_equal(ids, want, sizeof(want));
}

static void test_another_model_or_salt_is_another_chain(void **state)
{
	static const struct span words[] = { { NULL, 0 }, { "a", 1 }, { "b", 1 } };
	uint64_t seen[9];
	size_t n = 0;

	(void)state;
	for (size_t model = 0; model < 3; model++)
		for (size_t salt = 0; salt < 3; salt++) {
			uint64_t id = 7;

			if (model == 0 && salt != 0)
				continue;	/* "" . "a" is "a" . "" */
			prefix_chain(words[model], words[salt], &id, 1);
			for (size_t i = 0; i < n; i++)
				assert_true(seen[i] != id);
			seen[n++] = id;
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_history_ends_as_the_plain_lists_say),
		cmocka_unit_test(test_the_least_recent_leaf_goes_first),
		cmocka_unit_test(
		    test_a_chain_beyond_the_capacity_keeps_its_front),
		cmocka_unit_test(test_who_has_not_joined_holds_nothing),
		cmocka_unit_test(test_all_get_their_share_when_many_join),
		cmocka_unit_test(test_the_share_is_the_capacity_if_that_is_less),
		cmocka_unit_test(test_many_small_debts_make_room_for_one_chain),
		cmocka_unit_test(test_crafted_hashes_do_not_knot_the_lists),
		cmocka_unit_test(test_no_collision_breaks_a_bound),
		cmocka_unit_test(
		    test_a_thousand_endpoints_are_matched_one_by_one),
		cmocka_unit_test(test_memory_is_what_was_given),
		cmocka_unit_test(test_an_index_without_room_takes_nothing),
		cmocka_unit_test(test_two_write_while_two_match),
		cmocka_unit_test(test_a_chain_is_hashed_as_llm_d_hashes_it),
		cmocka_unit_test(test_another_model_or_salt_is_another_chain),
	};

	return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}
