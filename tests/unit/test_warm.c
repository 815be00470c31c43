/*
 * A pool that is told to keep its index: what one process knew the next one knows, of
 * endpoints that are the same; and any other file leaves it cold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "help.h"
#include "log.h"
#include "prefix.h"
#include "prompt.h"
#include "replace_file.h"
#include "slurp.h"
#include "warm.h"

enum { N = 3, BLOCKS = 8, CAPACITY = 100, NOW_MS = 1000000000 };

static char file[64];
static struct help_pool pool;
static struct engine_life lives[N];

static int setup(void **state)
{
	char dir[] = "/tmp/epp-warm-XXXXXX";

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/p", dir);
	help_pool_init(&pool, "pool", N);
	pool.options.prefix = (struct prefix_options){ .block_tokens =
		HELP_BLOCK_BYTES / PROMPT_TOKEN_BYTES, .max_bytes = 1 << 20,
		.snapshot = file, .snapshot_max_age_ms = 60000 };
	memset(lives, 0, sizeof(lives));
	pool.pool_live.lives = lives;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	unlink(file);
	*strrchr(file, '/') = '\0';
	return rmdir(file);
}

static void chain_of(uint32_t which, uint64_t chain[BLOCKS])
{
	for (uint32_t i = 0; i < BLOCKS; i++)
		chain[i] = (uint64_t)(which * 100 + i + 1) << 40 | i;
}

static uint32_t depth_of(struct prefix_index *p, uint16_t slot, uint32_t which)
{
	uint64_t chain[BLOCKS];
	uint16_t depth[N] = { 0 };

	chain_of(which, chain);
	prefix_match(p, chain, BLOCKS, depth, N);
	return depth[slot];
}

static void save(void)
{
	for (uint16_t s = 0; s < N; s++) {
		uint64_t chain[BLOCKS];

		chain_of(s, chain);
		prefix_insert(pool.view.prefix, s, chain, BLOCKS - s, 0);
		lives[s].started_ms = 1000 + s;
		lives[s].served = 50 + s;
	}
	assert_int_equal(warm_save(&pool.view, NOW_MS), 0);
}

/* In the next process: other slots, another secret. */
static uint32_t take(struct warm *w, const char *name, const char *addr,
    struct prefix_index *p, uint16_t slot, struct engine_life *life)
{
	prefix_join(p, slot, CAPACITY);
	return warm_take(w, span_of(name), span_of(addr), p, slot, life);
}

static void test_endpoints_get_back_their_own(void **state)
{
	struct prefix_index *p = prefix_new(1 << 20, N);
	struct engine_life life = { 0 };
	struct warm *w;

	(void)state;
	save();
	prefix_key(p, 0x1234567);
	w = warm_load(&pool.options, NOW_MS + 60000);
	assert_non_null(w);
	assert_int_equal(take(w, "s02", "10.0.0.3:8000", p, 0, &life), 6);
	assert_int_equal(life.started_ms, 1002);
	assert_int_equal(life.served, 52);
	assert_int_equal(take(w, "s00", "10.0.0.1:8000", p, 2, &life), 8);
	assert_int_equal(depth_of(p, 0, 2), 6);
	assert_int_equal(depth_of(p, 2, 0), 8);
	assert_int_equal(depth_of(p, 0, 0), 0);
	assert_false(warm_is_spent(w));
	warm_free(w);
	prefix_free(p);
}

/* One that has moved, or a namesake elsewhere, is somebody else. Nor twice the same. */
static void test_others_get_nothing(void **state)
{
	struct prefix_index *p = prefix_new(1 << 20, N);
	struct engine_life life = { 0 };
	struct warm *w;

	(void)state;
	save();
	w = warm_load(&pool.options, NOW_MS);
	assert_int_equal(take(w, "s00", "10.0.0.9:8000", p, 0, &life), 0);
	assert_int_equal(warm_take(w, span_of("s9"), span_of("10.0.0.1:8000"), p,
	    0, &life), 0);
	assert_int_equal(life.started_ms, 0);
	assert_int_equal(warm_take(w, span_of("s00"), span_of("10.0.0.1:8000"),
	    p, 0, &life), 8);
	assert_int_equal(take(w, "s00", "10.0.0.1:8000", p, 1, &life), 0);
	warm_free(w);
	prefix_free(p);
}

static void test_it_is_spent_when_all_have_theirs(void **state)
{
	static const char *const addrs[] = { "10.0.0.1:8000", "10.0.0.2:8000",
		"10.0.0.3:8000" };
	struct prefix_index *p = prefix_new(1 << 20, N);
	struct engine_life life;
	struct warm *w;

	(void)state;
	save();
	w = warm_load(&pool.options, NOW_MS);
	for (uint16_t s = 0; s < N; s++) {
		assert_false(warm_is_spent(w));
		take(w, pool.names[s], addrs[s], p, s, &life);
	}
	assert_true(warm_is_spent(w));
	warm_free(w);
	prefix_free(p);
}

static void test_nobody_else_may_read_it(void **state)
{
	struct stat st;

	(void)state;
	save();
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* The secret spreads hashes over the table of one process; it is in no file. */
static void test_the_secret_is_not_written(void **state)
{
	const uint64_t secret = 0x1122334455667789u;	/* odd, as it is kept */
	char *bytes;
	ssize_t n;

	(void)state;
	prefix_key(pool.view.prefix, secret);
	save();
	n = slurp_file(file, 1 << 20, &bytes);
	assert_true(n > 0);
	assert_null(memmem(bytes, (size_t)n, &secret, sizeof(secret)));
	free(bytes);
}

static void assert_cold(int64_t now_ms)
{
	assert_null(warm_load(&pool.options, now_ms));
}

static void test_torn_alien_and_old_ones_are_refused(void **state)
{
	char *bytes;
	ssize_t n;

	(void)state;
	assert_cold(NOW_MS);			/* there is none */
	save();
	assert_cold(NOW_MS + 60001);		/* too old */
	assert_cold(NOW_MS - 1);		/* of tomorrow */
	pool.options.prefix.block_tokens++;
	assert_cold(NOW_MS);			/* of another size of blocks */
	pool.options.prefix.block_tokens--;
	n = slurp_file(file, 1 << 20, &bytes);
	assert_true(n > 0);
	for (ssize_t len = 0; len < n; len += 7) {
		replace_file(file, (struct span){ bytes, (size_t)len }, 0600);
		assert_cold(NOW_MS);
	}
	replace_file(file, span_of("[Unit]\nDescription=x\n"), 0600);
	assert_cold(NOW_MS);
	replace_file(file, (struct span){ bytes, (size_t)n }, 0600);
	pool.options.prefix.max_bytes = 0;	/* whatever is larger than ours */
	warm_free(warm_load(&pool.options, NOW_MS));
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_cold(NOW_MS);
	rmdir(file);
	free(bytes);
}

static void test_without_a_name_there_is_no_file(void **state)
{
	(void)state;
	pool.options.prefix.snapshot = NULL;
	save();
	assert_cold(NOW_MS);
	assert_int_not_equal(access(file, F_OK), 0);
}

static void test_what_cannot_be_written_is_no_harm(void **state)
{
	(void)state;
	pool.options.prefix.snapshot = "/nonexistent/dir/p";
	assert_true(warm_save(&pool.view, NOW_MS) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_endpoints_get_back_their_own),
		TEST(test_others_get_nothing),
		TEST(test_it_is_spent_when_all_have_theirs),
		TEST(test_nobody_else_may_read_it),
		TEST(test_the_secret_is_not_written),
		TEST(test_torn_alien_and_old_ones_are_refused),
		TEST(test_without_a_name_there_is_no_file),
		TEST(test_what_cannot_be_written_is_no_harm),
	};

	return cmocka_run_group_tests_name("warm", tests, NULL, NULL);
}
