#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "arena.h"
#include "help.h"
#include "request.h"

static struct arena *arena;

static struct request parse(const struct ask *ask)
{
	struct request r;

	arena_reset(arena);
	request_parse(&r, ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	return r;
}

static const struct {
	const char *path;
	enum request_kind kind;
} paths[] = {
	{ "/v1/chat/completions", REQUEST_CHAT },
	{ "/v1/chat/completions?beta=true", REQUEST_CHAT },
	{ "/v1/chat/completions/", REQUEST_CHAT },
	{ "/v1/chat/completions//?x=/v1/embeddings", REQUEST_CHAT },
	{ "/v1/chat/completions/render", REQUEST_CHAT },
	{ "/openai/deployments/m/chat/completions", REQUEST_CHAT },
	{ "/v1/completions", REQUEST_COMPLETIONS },
	{ "/v1/completions/render", REQUEST_COMPLETIONS },
	{ "/v1/responses", REQUEST_RESPONSES },
	{ "/v1/embeddings", REQUEST_EMBEDDINGS },
	{ "/v1/messages", REQUEST_MESSAGES },
	{ "/anthropic/v1/messages/count_tokens", REQUEST_MESSAGES },
	{ "/inference/v1/generate", REQUEST_VLLM_GENERATE },
	{ "/generate", REQUEST_SGLANG_GENERATE },
	{ "/v1/models", REQUEST_OTHER },
	{ "/v1/responses/resp_1", REQUEST_OTHER },
	{ "/v1/threads/t/messages", REQUEST_OTHER },
	{ "/mycompletions", REQUEST_OTHER },
	{ "/V1/CHAT/COMPLETIONS", REQUEST_OTHER },
	{ "/", REQUEST_OTHER },
	{ "//", REQUEST_OTHER },
	{ "?", REQUEST_OTHER },
	{ "", REQUEST_OTHER },
	{ "*", REQUEST_OTHER },
};

static void test_each_path_means_its_api(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct ask ask = help_ask(paths[i].path, "");
		struct request r = parse(&ask);

		if (r.kind != paths[i].kind)
			fail_msg("%s: %s", paths[i].path,
			    request_kind_name(r.kind));
	}
}

static void test_every_kind_has_a_name(void **state)
{
	(void)state;
	for (int k = REQUEST_OTHER; k <= REQUEST_SGLANG_GENERATE; k++)
		assert_non_null(request_kind_name((enum request_kind)k));
}

/* GET /v1/models, or a POST to a path of ours that sends nothing. */
static void test_without_a_body_nothing_is_asked_of_it(void **state)
{
	static const char *const some[] = {
		"/v1/models", "/v1/chat/completions",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ask ask = { .path = span_of(some[i]) };
		struct request r = parse(&ask);

		assert_int_equal(r.status, 0);
		assert_false(r.has_body);
		assert_false(r.is_cut);
		assert_int_equal(r.n_blocks, 0);
	}
}

static void test_the_body_of_another_path_is_not_looked_at(void **state)
{
	struct ask ask = help_ask("/v1/images/generations", "]not json[");
	struct request r = parse(&ask);

	(void)state;
	assert_int_equal(r.status, 0);
	assert_true(r.has_body);
	assert_int_equal(r.n_blocks, 0);
}

static void test_headers_are_read_whatever_their_case(void **state)
{
	static const char *const lower[] = {
		"host", "h", "x-session-id", "S", "x-llm-d-inference-objective",
		"O", "x-llm-d-inference-fairness-id", "F", "x-epp-why", "1",
		"content-length", "12", NULL,
	};
	static const char *const aliases[] = {
		"X-Session-ID", "S", "X-Gateway-Inference-Objective", "O",
		"X-GATEWAY-INFERENCE-FAIRNESS-ID", "F", "X-Epp-Why", "yes",
		"Content-Length", "0", NULL,
	};
	const char *const *all[] = { lower, aliases };
	char bytes[512];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ask ask = { .path = span_of("/"),
			.headers = help_headers(all[i], bytes, sizeof(bytes)) };
		struct request r = parse(&ask);

		assert_true(span_is_text(r.session, "S"));
		assert_true(span_is_text(r.objective, "O"));
		assert_true(span_is_text(r.fairness, "F"));
		assert_true(r.wants_why);
		assert_true(r.has_length);
	}
}

static const struct {
	const char *value;
	bool wanted;
} whys[] = {
	{ "", false }, { "0", false }, { "1", true }, { "00", true },
};

static void test_why_is_told_to_those_who_ask(void **state)
{
	char bytes[64];

	(void)state;
	for (size_t i = 0; i < sizeof(whys) / sizeof(*whys); i++) {
		const char *const pairs[] = { "x-epp-why", whys[i].value, NULL };
		struct ask ask = { .path = span_of("/"),
			.headers = help_headers(pairs, bytes, sizeof(bytes)) };

		assert_int_equal(parse(&ask).wants_why, whys[i].wanted);
	}
}

static const struct {
	const char *name, *value;
	uint32_t ms;
} slos[] = {
	{ "x-slo-ttft-ms", "250", 250 }, { "x-llm-d-slo-ttft-ms", "250", 250 },
	{ "X-SLO-TTFT-MS", "1", 1 }, { "x-slo-ttft-ms", "0", 0 },
	{ "x-slo-ttft-ms", "4294967295", UINT32_MAX },
	/* None: too long a time, or no number of milliseconds. */
	{ "x-slo-ttft-ms", "4294967296", 0 },
	{ "x-slo-ttft-ms", "18446744073709551616", 0 },
	{ "x-slo-ttft-ms", "", 0 }, { "x-slo-ttft-ms", "-1", 0 },
	{ "x-slo-ttft-ms", "250ms", 0 }, { "x-slo-ttft-ms", " 250", 0 },
	{ "x-slo-ttft-ms", "x", 0 }, { "x-slo-tpot-ms", "250", 0 },
};

static void test_a_deadline_is_a_number_of_milliseconds(void **state)
{
	char bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(slos) / sizeof(*slos); i++) {
		const char *const pairs[] = { slos[i].name, slos[i].value, NULL };
		struct ask ask = { .path = span_of("/"),
			.headers = help_headers(pairs, bytes, sizeof(bytes)) };

		if (parse(&ask).slo_ttft_ms != slos[i].ms)
			fail_msg("%s: %s", slos[i].name, slos[i].value);
	}
}

static const struct {
	const char *name, *value;
	int64_t ms;
} ttls[] = {
	{ "x-llm-d-inference-ttl", "1500ms", 1500 },
	{ "X-LLM-D-Inference-TTL", " 2s\t", 2000 },
	{ "x-llm-d-inference-ttl", "1m0.5s", 60500 },
	{ "x-llm-d-inference-ttl", "1ns", 1 },	/* not nothing, hence not none */
	{ "x-llm-d-inference-ttl", "1000001ns", 2 },
	{ "x-llm-d-inference-ttl", "9223372036854775807ns", 9223372036855 },
	/* As llm-d has it, these are none. */
	{ "x-llm-d-inference-ttl", "0s", 0 },
	{ "x-llm-d-inference-ttl", "-1s", 0 },
	{ "x-llm-d-inference-ttl", "", 0 },
	{ "x-llm-d-inference-ttl", " ", 0 },
	{ "x-llm-d-inference-ttl", "30", 0 },
	{ "x-llm-d-inference-ttl", "soon", 0 },
	{ "x-llm-d-inference-ttl", "999999999999999999999h", 0 },
	{ "x-gateway-inference-ttl", "2s", 0 },
};

static void test_how_long_to_wait_is_a_time_as_go_writes_it(void **state)
{
	char bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(ttls) / sizeof(*ttls); i++) {
		const char *const pairs[] = { ttls[i].name, ttls[i].value, NULL };
		struct ask ask = { .path = span_of("/"),
			.headers = help_headers(pairs, bytes, sizeof(bytes)) };

		if (parse(&ask).ttl_ms != ttls[i].ms)
			fail_msg("%s: %s", ttls[i].name, ttls[i].value);
	}
}

/* HAProxy made the block; we read it as if an enemy had. */
static void test_a_header_block_cut_anywhere_keeps_what_came_before(void **state)
{
	static const char *const pairs[] = {
		"x-session-id", "session", "x-epp-why", "1", NULL,
	};
	char bytes[64];
	struct span whole = help_headers(pairs, bytes, sizeof(bytes));

	(void)state;
	for (size_t cut = 0; cut <= whole.len; cut++) {
		struct ask ask = { .path = span_of("/"),
			.headers = { whole.ptr, cut } };
		struct request r = parse(&ask);

		assert_true(r.session.len == 0 ||
		    span_is_text(r.session, "session"));
		assert_int_equal(r.status, 0);
		if (r.wants_why)
			assert_true(r.session.len > 0);
	}
}

static const struct {
	size_t seen;
	uint64_t body_len;
	bool is_cut;
} lengths[] = {
	{ 10, 10, false }, { 10, 11, true }, { 10, UINT64_MAX, true },
	{ 10, 0, false },	/* not known */
	{ 10, 9, false },	/* a lie, but not one that hides anything */
};

static void test_a_body_is_cut_when_its_length_says_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct ask ask = { .path = span_of("/"),
			.body = { "0123456789", lengths[i].seen },
			.body_len = lengths[i].body_len };

		assert_int_equal(parse(&ask).is_cut, lengths[i].is_cut);
	}
}

static const struct {
	size_t seen;
	uint64_t body_len;
	const char *content_length;	/* NULL: none */
	uint64_t unseen;
} unseens[] = {
	{ 10, 10, NULL, 0 }, { 10, 10, "10", 0 }, { 10, 0, NULL, 0 },
	{ 10, 25, NULL, 15 }, { 10, 0, "25", 15 },
	{ 10, 25, "20", 15 }, { 10, 20, "25", 15 },	/* the longer claim */
	{ 10, 3, "2", 0 },				/* less than we saw */
	{ 0, 25, NULL, 25 },
	/* Words that would cost others their tokens are not believed beyond 1 GiB. */
	{ 10, UINT64_MAX, NULL, (1 << 30) - 10 },
	{ 10, 0, "18446744073709551615", (1 << 30) - 10 },
	{ 10, 0, "99999999999999999999999", (1 << 30) - 10 },
	{ 10, 0, "-5", 0 },
};

static void test_what_is_behind_the_cut_is_counted(void **state)
{
	char bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(unseens) / sizeof(*unseens); i++) {
		const char *const pairs[] = { "content-length",
			unseens[i].content_length, NULL };
		struct ask ask = { .path = span_of("/"),
			.body = { "0123456789", unseens[i].seen },
			.body_len = unseens[i].body_len };

		if (unseens[i].content_length != NULL)
			ask.headers = help_headers(pairs, bytes, sizeof(bytes));
		if (parse(&ask).unseen_bytes != unseens[i].unseen)
			fail_msg("row %zu", i);
	}
}

static int make_arena(void **state)
{
	(void)state;
	arena = arena_new(64 << 10, 16 << 20);
	return arena == NULL;
}

static int free_arena(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_path_means_its_api),
		cmocka_unit_test(test_every_kind_has_a_name),
		cmocka_unit_test(test_without_a_body_nothing_is_asked_of_it),
		cmocka_unit_test(test_the_body_of_another_path_is_not_looked_at),
		cmocka_unit_test(test_headers_are_read_whatever_their_case),
		cmocka_unit_test(test_why_is_told_to_those_who_ask),
		cmocka_unit_test(
		    test_a_header_block_cut_anywhere_keeps_what_came_before),
		cmocka_unit_test(test_a_body_is_cut_when_its_length_says_so),
		cmocka_unit_test(test_a_deadline_is_a_number_of_milliseconds),
		cmocka_unit_test(test_how_long_to_wait_is_a_time_as_go_writes_it),
		cmocka_unit_test(test_what_is_behind_the_cut_is_counted),
	};

	return cmocka_run_group_tests_name("request", tests, make_arena,
	    free_arena);
}
