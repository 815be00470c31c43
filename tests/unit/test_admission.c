#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "admission.h"
#include "arena.h"
#include "help.h"
#include "pick.h"

static struct help_pool pool;
static struct arena *arena;

static const struct objective_options objectives[] = {	/* sorted, as options does */
	{ "", 77 }, { "batch", -1 }, { "chat", 10 }, { "chat-2", 5 },
	{ "least", INT32_MIN }, { "most", INT32_MAX }, { "zero", 0 },
};

static void set_objectives(size_t n)
{
	pool.options.objectives = objectives;
	pool.options.n_objectives = n;
}

static void fill(uint32_t queued)
{
	for (size_t i = 0; i < HELP_ENDPOINTS_MAX; i++)
		pool.stats[i].queued = queued;
}

/* A request for that objective, read as HAProxy's header block tells it. */
static struct request request_for(const char *header, const char *objective)
{
	static const char body[] = "{\"model\":\"m\",\"prompt\":\"p\"}";
	static char bytes[512];
	static struct ask ask;
	const char *const pairs[] = { header, objective, NULL };
	struct request r;

	ask = help_ask("/v1/completions", body);
	ask.headers = help_headers(pairs, bytes, sizeof(bytes));
	request_parse(&r, &ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	assert_int_equal(r.status, 0);
	assert_true(r.has_body);
	return r;
}

static enum admission admission_for(const char *objective)
{
	struct request r = request_for("x-llm-d-inference-objective", objective);

	return admission_of(&pool.view, &r);
}

/* ---- priorities ---- */

static const struct {
	struct span objective;
	int32_t priority;
} priorities[] = {
	{ { "batch", 5 }, -1 }, { { "chat", 4 }, 10 }, { { "chat-2", 6 }, 5 },
	{ { "least", 5 }, INT32_MIN }, { { "most", 4 }, INT32_MAX },
	{ { "zero", 4 }, 0 },
	/* Unknown: before all, between, behind all; longer, shorter, otherwise. */
	{ { "aaa", 3 }, 0 }, { { "cha", 3 }, 0 }, { { "zzz", 3 }, 0 },
	{ { "chat-", 5 }, 0 }, { { "chat-22", 7 }, 0 }, { { "Batch", 5 }, 0 },
	{ { "batch ", 6 }, 0 }, { { "batch\0", 6 }, 0 }, { { "\0", 1 }, 0 },
	{ { "\xff\xff", 2 }, 0 },
	{ { NULL, 0 }, 0 }, { { "batch", 0 }, 0 },	/* not even of "" */
};

static void test_the_objective_tells_the_priority(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(priorities) / sizeof(*priorities); i++) {
		struct request r = { .objective = priorities[i].objective };

		if (admission_priority(&pool.view, &r) != priorities[i].priority)
			fail_msg("row %zu", i);
	}
}

static void test_without_objectives_all_are_zero(void **state)
{
	struct request r = { .objective = { "batch", 5 } };

	(void)state;
	set_objectives(0);
	pool.options.objectives = NULL;
	assert_int_equal(admission_priority(&pool.view, &r), 0);
}

static void test_both_headers_name_it(void **state)
{
	static const struct {
		const char *header;
		int32_t priority;
	} names[] = {
		{ "x-llm-d-inference-objective", -1 },
		{ "X-Gateway-Inference-Objective", -1 },
		{ "x-inference-objective", 0 },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct request r = request_for(names[i].header, "batch");

		assert_int_equal(admission_priority(&pool.view, &r),
		    names[i].priority);
	}
}

/* ---- without flow control ---- */

static const struct {
	const char *objective;
	uint32_t queued;	/* 5 is full */
	enum admission want;
} legacy[] = {
	{ "batch", 0, ADMIT_PICK }, { "batch", 4, ADMIT_PICK },
	{ "batch", 5, ADMIT_REFUSE }, { "batch", 500, ADMIT_REFUSE },
	{ "least", 5, ADMIT_REFUSE },
	{ "chat", 500, ADMIT_PICK }, { "zero", 500, ADMIT_PICK },
	{ "unknown", 500, ADMIT_PICK }, { "", 500, ADMIT_PICK },
};

static void test_only_the_sheddable_are_refused_and_only_when_full(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(legacy) / sizeof(*legacy); i++) {
		fill(legacy[i].queued);
		if (admission_for(legacy[i].objective) != legacy[i].want)
			fail_msg("row %zu", i);
	}
}

/* An empty pool is full by its number, but 503 is the picker's to say. */
static void test_an_empty_pool_is_not_one_that_sheds(void **state)
{
	(void)state;
	pool.view.n_endpoints = 0;
	assert_int_equal(admission_for("batch"), ADMIT_PICK);
	pool.view.is_known = false;
	assert_int_equal(admission_for("batch"), ADMIT_PICK);
}

/* Others may wait there since flow control was switched off. */
static void test_without_flow_control_nobody_waits(void **state)
{
	(void)state;
	pool.pool_live.n_held = 3;
	pool.options.flow.ttl_ms = pool.options.flow.empty_ttl_ms = 60000;
	assert_int_equal(admission_for("chat"), ADMIT_PICK);
	assert_int_equal(admission_for("batch"), ADMIT_PICK);
}

static void test_a_refusal_says_why_and_when_to_come_again(void **state)
{
	struct pick got;

	(void)state;
	pool.options.saturation.retry_after_s = 17;
	admission_refuse(&pool.view, &got);
	assert_int_equal(got.status, 429);
	assert_string_equal(got.reason, "rejected-saturated");
	assert_non_null(got.message);
	assert_int_equal(got.retry_after_s, 17);
	assert_int_equal(got.n, 0);
	assert_null(got.live);

	pool.view.n_endpoints = 0;
	admission_refuse(&pool.view, &got);
	assert_int_equal(got.status, 503);
	assert_string_equal(got.reason, "rejected-no-endpoints");
	assert_int_equal(got.retry_after_s, 17);
}

/* ---- with flow control ---- */

static const struct {
	size_t n_endpoints;
	bool is_known;
	uint32_t queued;	/* 5 is full */
	uint32_t n_held;
	int64_t empty_ttl_ms;
	enum admission want;
} waits[] = {
	{ 3, true, 0, 0, 1, ADMIT_PICK },
	{ 3, true, 4, 0, 1, ADMIT_PICK },
	{ 3, true, 5, 0, 1, ADMIT_WAIT },
	{ 3, true, 500, 0, 0, ADMIT_WAIT },
	{ 3, true, 0, 1, 1, ADMIT_WAIT },	/* others came before */
	{ 3, true, 0, UINT32_MAX, 1, ADMIT_WAIT },
	{ 0, true, 0, 0, 1, ADMIT_WAIT },	/* for the first endpoint */
	{ 0, true, 0, 9, 1, ADMIT_WAIT },
	{ 0, true, 0, 0, 0, ADMIT_PICK },	/* 503 at once */
	{ 0, true, 0, 9, 0, ADMIT_PICK },
	{ 0, false, 0, 0, 1, ADMIT_PICK },	/* HAProxy may know better */
	{ 0, false, 0, 9, 1, ADMIT_PICK },
};

static void test_who_finds_it_full_or_others_waiting_waits(void **state)
{
	static const char *const whoever[] = { "batch", "chat", "most", "" };

	(void)state;
	pool.options.flow.enabled = true;
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++)
		for (size_t k = 0; k < 4; k++) {
			fill(waits[i].queued);
			pool.view.n_endpoints = waits[i].n_endpoints;
			pool.view.is_known = waits[i].is_known;
			pool.pool_live.n_held = waits[i].n_held;
			pool.options.flow.empty_ttl_ms = waits[i].empty_ttl_ms;
			if (admission_for(whoever[k]) != waits[i].want)
				fail_msg("row %zu", i);
		}
}

/* ---- whoever takes no place at an endpoint ---- */

static void test_without_a_body_or_to_be_refused_anyway_they_pass(void **state)
{
	struct request none = { .objective = { "batch", 5 } };
	struct request bad = { .objective = { "batch", 5 }, .has_body = true,
		.status = 400 };

	(void)state;
	fill(500);
	pool.pool_live.n_held = 1;
	for (int enabled = 0; enabled < 2; enabled++) {
		pool.options.flow.enabled = enabled;
		assert_int_equal(admission_of(&pool.view, &none), ADMIT_PICK);
		assert_int_equal(admission_of(&pool.view, &bad), ADMIT_PICK);
		assert_int_not_equal(admission_for("batch"), ADMIT_PICK);
	}
}

/* One of a path that we do not read has a body all the same, and takes a place. */
static void test_a_body_of_another_path_is_one_too(void **state)
{
	struct ask ask = help_ask("/v1/images/generations", "{}");
	struct request r;

	(void)state;
	fill(500);
	pool.options.flow.enabled = true;
	request_parse(&r, &ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	assert_int_equal(admission_of(&pool.view, &r), ADMIT_WAIT);
}

static int setup(void **state)
{
	(void)state;
	help_pool_init(&pool, "pool", 3);
	set_objectives(sizeof(objectives) / sizeof(*objectives));
	arena = arena_new(64 << 10, 1 << 20);
	return arena == NULL;
}

static int teardown(void **state)
{
	(void)state;
	help_pool_fini(&pool);
	arena_free(arena);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_the_objective_tells_the_priority),
		unit(test_without_objectives_all_are_zero),
		unit(test_both_headers_name_it),
		unit(test_only_the_sheddable_are_refused_and_only_when_full),
		unit(test_an_empty_pool_is_not_one_that_sheds),
		unit(test_without_flow_control_nobody_waits),
		unit(test_a_refusal_says_why_and_when_to_come_again),
		unit(test_who_finds_it_full_or_others_waiting_waits),
		unit(test_without_a_body_or_to_be_refused_anyway_they_pass),
		unit(test_a_body_of_another_path_is_one_too),
	};

	return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
