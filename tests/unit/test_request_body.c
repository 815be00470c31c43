#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"
#include "buf.h"
#include "hash.h"
#include "help.h"
#include "prefix.h"
#include "prompt.h"

static struct arena *arena;

/* What was parsed last; the arrays are in the arena until the next time. */
static struct request parse(const struct ask *ask)
{
	struct request r;

	arena_reset(arena);
	request_parse(&r, ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	return r;
}

static struct request parse_text(const char *path, const char *body)
{
	struct ask ask = help_ask(path, body);

	return parse(&ask);
}

/* An independent reading of spec: blocks of the text, last one short, chained. */
static size_t hash_text(const char *text, struct span model, struct span salt,
    uint64_t *out)
{
	size_t len = strlen(text), n = 0;

	for (size_t at = 0; at < len; at += HELP_BLOCK_BYTES, n++)
		out[n] = hash_bytes(text + at, len - at < HELP_BLOCK_BYTES ?
		    len - at : HELP_BLOCK_BYTES, 0);
	prefix_chain(model, salt, out, n);
	return n;
}

enum { PROMPTS_MAX = 4, BLOCKS_MAX = 64 };

#define CHAT "/v1/chat/completions"
#define COMPLETIONS "/v1/completions"
#define RESPONSES "/v1/responses"
#define EMBEDDINGS "/v1/embeddings"
#define MESSAGES "/v1/messages"
#define VLLM "/inference/v1/generate"
#define SGLANG "/generate"
#define LONG "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *path, *body;
	const char *model, *salt;
	bool stream, has_tools;
	uint64_t max_tokens;
	const char *prompts[PROMPTS_MAX];	/* what the model will read */
} good[] = {
	{ CHAT, "{\"model\":\"m\",\"messages\":"
	    "[{\"role\":\"user\",\"content\":\"" LONG "hello\"}]}",
	    .model = "m", .prompts = { "user" LONG "hello" } },
	{ CHAT, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":7,\"messages\":"
	    "[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
	    "{\"type\":\"text\",\"text\":\"b\"}]},"
	    "{\"role\":\"user\",\"content\":[\"c\",\"d\"]}]}",
	    .model = "m", .stream = true, .max_tokens = 7,
	    .prompts = { "systemabusercd" } },
	{ CHAT, "{\"model\":\"m\",\"max_completion_tokens\":9,\"messages\":["
	    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\"}]},"
	    "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"42\"}]}",
	    .model = "m", .max_tokens = 9,
	    .prompts = { "assistant[{\"id\":\"1\"}]tool142" } },
	{ CHAT, "{\"messages\":[{\"content\":\"hi\"}],\"cache_salt\":\"s\","
	    "\"tools\":[{\"type\":\"function\"}],\"stream\":false,\"model\":\"m\"}",
	    .model = "m", .salt = "s", .has_tools = true,
	    .prompts = { "[{\"type\":\"function\"}]hi" } },
	{ CHAT, "{\"model\":\"m\",\"tools\":[],\"messages\":[{\"content\":\"a\"}]}",
	    .model = "m", .prompts = { "a" } },
	{ CHAT, "{\"model\":\"m\",\"messages\":[{}]}", .model = "m" },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"once \\u0041\\n\","
	    "\"max_tokens\":16}", .model = "m", .max_tokens = 16,
	    .prompts = { "once \\u0041\\n" } },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[\"" LONG "x\",\"two\",\"\","
	    "\"three\"]}", .model = "m",
	    .prompts = { LONG "x", "two", "three" } },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[1, 22,333]}", .model = "m",
	    .prompts = { "[1, 22,333]" } },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[[1,2],[3]]}", .model = "m",
	    .prompts = { "[1,2]", "[3]" } },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":null}", .model = "m" },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[]}", .model = "m" },
	{ RESPONSES, "{\"model\":\"m\",\"input\":\"ask\",\"instructions\":\"be\","
	    "\"max_output_tokens\":5}", .model = "m", .max_tokens = 5,
	    .prompts = { "beask" } },
	{ RESPONSES, "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":"
	    "[{\"type\":\"input_text\",\"text\":\"t\"}]}],\"tools\":[{\"a\":1}]}",
	    .model = "m", .has_tools = true,
	    .prompts = { "[{\"a\":1}]usert" } },
	{ RESPONSES, "{\"model\":\"m\",\"input\":[]}", .model = "m" },
	{ EMBEDDINGS, "{\"model\":\"e\",\"input\":\"one\"}", .model = "e",
	    .prompts = { "one" } },
	{ EMBEDDINGS, "{\"model\":\"e\",\"input\":[\"one\",\"two\"]}",
	    .model = "e", .prompts = { "one", "two" } },
	{ MESSAGES, "{\"model\":\"c\",\"max_tokens\":1024,\"system\":\"sys\","
	    "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}",
	    .model = "c", .max_tokens = 1024, .prompts = { "sysuserq" } },
	{ MESSAGES, "{\"model\":\"c\",\"messages\":[{\"role\":\"user\",\"content\":"
	    "[{\"type\":\"tool_result\",\"tool_use_id\":\"u\",\"content\":"
	    "[{\"type\":\"text\",\"text\":\"r\"}]}]}],\"tools\":[{}],\"system\":["
	    "{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: v=1\"},"
	    "{\"type\":\"text\",\"text\":\"sys\","
	    "\"cache_control\":{\"type\":\"ephemeral\"}}]}",
	    .model = "c", .has_tools = true, .prompts = { "[{}]sysuserur" } },
	{ MESSAGES, "{\"model\":\"c\",\"system\":\"x-anthropic-billing-header\","
	    "\"messages\":[{\"content\":\"x-anthropic-billing-header\"}]}",
	    .model = "c", .prompts = { "x-anthropic-billing-header" } },
	{ VLLM, "{\"token_ids\":[1,2,3],\"sampling_params\":{\"max_tokens\":3,"
	    "\"stop\":[\"a\"]}}", .max_tokens = 3, .prompts = { "[1,2,3]" } },
	{ VLLM, "{\"model\":\"m\",\"prompt_token_ids\":[4]}", .model = "m",
	    .prompts = { "[4]" } },
	{ SGLANG, "{\"text\":\"abc\",\"sampling_params\":{\"max_new_tokens\":8}}",
	    .max_tokens = 8, .prompts = { "abc" } },
	{ SGLANG, "{\"input_ids\":[[1],[2]],\"stream\":true}", .stream = true,
	    .prompts = { "[1]", "[2]" } },
	/* Fields of another API are nobody's. */
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"p\",\"messages\":7,"
	    "\"input\":\"i\",\"system\":\"s\",\"tools\":[1]}", .model = "m",
	    .prompts = { "p" } },
	/* Of two that say the same thing the last one counts. */
	{ CHAT, "{\"model\":\"a\",\"model\":\"m\",\"stream\":true,"
	    "\"stream\":false,\"cache_salt\":\"x\",\"cache_salt\":null,"
	    "\"messages\":[{\"content\":\"old\"}],\"tools\":[1],"
	    "\"messages\":[{\"content\":\"new\"}],\"tools\":[]}",
	    .model = "m", .prompts = { "new" } },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],"
	    "\"prompt\":\"c\"}", .model = "m", .prompts = { "c" } },
	/* Numbers that are no count of tokens do not become one. */
	{ COMPLETIONS, "{\"model\":\"m\",\"max_tokens\":1e999999}", .model = "m" },
	{ COMPLETIONS, "{\"model\":\"m\",\"max_tokens\":-5}", .model = "m" },
	{ COMPLETIONS, "{\"model\":\"m\",\"max_tokens\":\"5\"}", .model = "m" },
	{ COMPLETIONS, "{\"model\":\"m\",\"max_tokens\":99999999999999999999}",
	    .model = "m", .max_tokens = UINT64_MAX },
	/* Space and unknown fields anywhere. */
	{ COMPLETIONS, " \r\n\t{ \"n\" : { \"prompt\" : [ { } ] } , "
	    "\"model\" : \"m\" , \"prompt\" : \"p\" } \n", .model = "m",
	    .prompts = { "p" } },
};

static void check_chains(const struct request *r, const char *const *prompts,
    const char *path)
{
	uint64_t want[BLOCKS_MAX];
	size_t bytes = 0, k = 0;

	for (; k < PROMPTS_MAX && prompts[k] != NULL; k++) {
		size_t n = hash_text(prompts[k], r->model, r->cache_salt, want);

		assert_true(k < r->n_chains);
		if (r->chains[k].n != n || memcmp(want, r->blocks +
			r->chains[k].first, n * sizeof(*want)) != 0)
			fail_msg("%s: prompt %zu is not \"%s\"", path, k,
			    prompts[k]);
		bytes += strlen(prompts[k]);
	}
	assert_int_equal(r->n_chains, k);
	assert_int_equal(r->prompt_bytes, bytes);
}

static void test_each_api_gives_its_model_flags_and_prompts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct request r = parse_text(good[i].path, good[i].body);

		if (r.status != 0)
			fail_msg("%s: %s", good[i].body, r.message);
		assert_null(r.message);
		assert_true(span_is(r.model, span_of(good[i].model)));
		assert_true(span_is(r.cache_salt, span_of(good[i].salt)));
		assert_int_equal(r.stream, good[i].stream);
		assert_int_equal(r.has_tools, good[i].has_tools);
		assert_int_equal(r.max_tokens, good[i].max_tokens);
		check_chains(&r, good[i].prompts, good[i].body);
	}
}

#define NOT_JSON "the request body is not valid JSON: at byte "
#define NO_MODEL "the request body has no \"model\""
#define NO_MESSAGES "\"messages\" must be a non-empty array of messages"

static const struct {
	const char *path, *body, *message;
} bad[] = {
	{ CHAT, "nonsense", NOT_JSON "0, want true, false or null" },
	{ CHAT, "   ", NOT_JSON "3, want more of the text" },
	{ CHAT, "{\"model\":\"m\"", NOT_JSON "12, want more of the text" },
	{ CHAT, "{\"model\":\"m\"}}", NOT_JSON
	    "13, want nothing after the end of the text" },
	{ CHAT, "{\"model\" \"m\"}", NOT_JSON "9, want a colon after the key" },
	{ CHAT, "{\"model\":\"m\",}", NOT_JSON
	    "13, want a key in double quotes" },
	{ CHAT, "[]", "the request body must be a JSON object" },
	{ CHAT, "null", "the request body must be a JSON object" },
	{ CHAT, "\"text\"", "the request body must be a JSON object" },
	{ CHAT, "{}", NO_MODEL },
	{ CHAT, "{\"messages\":[{\"content\":\"a\"}]}", NO_MODEL },
	{ CHAT, "{\"model\":\"\",\"messages\":[{}]}", NO_MODEL },
	{ COMPLETIONS, "{\"prompt\":\"p\"}", NO_MODEL },
	{ RESPONSES, "{\"input\":\"p\"}", NO_MODEL },
	{ EMBEDDINGS, "{\"input\":\"p\"}", NO_MODEL },
	{ MESSAGES, "{\"messages\":[{}]}", NO_MODEL },
	{ CHAT, "{\"model\":7,\"messages\":[{}]}",
	    "\"model\" must be a string" },
	{ CHAT, "{\"model\":null,\"messages\":[{}]}",
	    "\"model\" must be a string" },
	{ CHAT, "{\"model\":\"m\"}", NO_MESSAGES },
	{ CHAT, "{\"model\":\"m\",\"messages\":[]}", NO_MESSAGES },
	{ CHAT, "{\"model\":\"m\",\"messages\":[\"a\"]}", NO_MESSAGES },
	{ MESSAGES, "{\"model\":\"m\",\"messages\":[]}", NO_MESSAGES },
	{ CHAT, "{\"model\":\"m\",\"messages\":{}}",
	    "\"messages\" must be an array of messages" },
	{ CHAT, "{\"model\":\"m\",\"messages\":\"a\"}",
	    "\"messages\" must be an array of messages" },
};

static void test_what_cannot_be_served_is_refused_with_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct request r = parse_text(bad[i].path, bad[i].body);

		assert_int_equal(r.status, 400);
		assert_string_equal(r.message, bad[i].message);
		assert_int_equal(r.n_blocks, 0);
	}
}

/* ---- what was cut ---- */

static bool is_prefix(const struct request *front, const uint64_t *whole,
    size_t n_whole)
{
	size_t n = front->n_blocks > 0 ? front->n_blocks - 1 : 0;

	return front->n_blocks <= n_whole && (n == 0 ||
	    memcmp(front->blocks, whole, n * sizeof(*whole)) == 0);
}

/*
 * Chains of several prompts lie one behind the other: cut, all but the last block
 * that was seen are the whole's. Only when nothing that goes in front (the model, the
 * tools) stands behind the cut, as in these.
 */
static const struct {
	const char *path, *body;
} cuttable[] = {
	{ CHAT, "{\"model\":\"m\",\"stream\":true,\"n\":12,\"tools\":[{\"name\":\""
	    LONG "\"}],\"messages\":[{\"role\":\"system\",\"content\":\"" LONG
	    LONG "\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\""
	    LONG "\\u00e9\\n" LONG "\"},{\"type\":\"image_url\",\"image_url\":"
	    "{\"url\":\"" LONG LONG LONG LONG LONG "\"}}]},{\"role\":\"user\","
	    "\"content\":\"" LONG "\"}],\"temperature\":-1.5e-3,\"x\":null}" },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[\"" LONG LONG "1\",\"two"
	    LONG "\",\"" LONG "\"],\"echo\":false}" },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[1000,2000,3000,4000,5000,"
	    "6000,7000,8000,9000,1000,2000,3000,4000,5000,6000,7000,8000]}" },
	{ MESSAGES, "{\"model\":\"m\",\"system\":[{\"type\":\"text\",\"text\":\""
	    LONG LONG "\",\"cache_control\":{\"type\":\"ephemeral\"}}],"
	    "\"messages\":[{\"role\":\"user\",\"content\":\"" LONG LONG "\"}]}" },
	{ RESPONSES, "{\"model\":\"m\",\"instructions\":\"" LONG LONG "\","
	    "\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":\""
	    LONG LONG "\"}]}" },
	{ SGLANG, "{\"text\":\"" LONG LONG LONG "\",\"sampling_params\":{}}" },
};

static void test_a_cut_at_any_byte_keeps_the_blocks_before_it(void **state)
{
	uint64_t whole[BLOCKS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cuttable) / sizeof(*cuttable); i++) {
		struct ask ask = help_ask(cuttable[i].path, cuttable[i].body);
		struct request r = parse(&ask);
		size_t n_whole = r.n_blocks, n_before = 0;

		assert_int_equal(r.status, 0);
		assert_true(n_whole >= 2 && n_whole <= BLOCKS_MAX);
		memcpy(whole, r.blocks, n_whole * sizeof(*whole));
		for (size_t cut = 1; cut < ask.body.len; cut++) {
			struct ask front = help_cut(ask, cut);

			r = parse(&front);
			if (r.status != 0 || r.message != NULL)
				fail_msg("%.*s: %s", (int)cut, ask.body.ptr,
				    r.message);
			if (!is_prefix(&r, whole, n_whole))
				fail_msg("%.*s", (int)cut, ask.body.ptr);
			assert_true(r.n_blocks + 1 >= n_before);
			n_before = r.n_blocks;
		}
		assert_int_equal(n_before, n_whole);
	}
}

/* Good bodies of every API, cut everywhere: never refused, never a stale reason. */
static void test_a_body_known_to_be_cut_is_never_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct ask ask = help_ask(good[i].path, good[i].body);

		for (size_t cut = 0; cut < ask.body.len; cut++) {
			struct ask front = help_cut(ask, cut);
			struct request r = parse(&front);

			assert_int_equal(r.status, 0);
			assert_null(r.message);
			assert_true(r.is_cut);
		}
	}
}

/* What is wrong in the part that was seen may be put right in the rest. */
static void test_a_reason_does_not_outlive_its_refusal(void **state)
{
	struct ask ask = help_ask(CHAT, "{\"model\":7,\"messages\":3,\"a\":\"bc");
	struct request r;

	(void)state;
	ask.body_len = 100;
	r = parse(&ask);
	assert_int_equal(r.status, 0);
	assert_null(r.message);
}

/* A cut body that was no JSON before the cut is refused all the same. */
static void test_a_cut_does_not_excuse_what_is_no_json(void **state)
{
	struct ask ask = help_ask(CHAT, "{\"model\":\"m\",,");

	(void)state;
	ask.body_len = 100000;
	assert_int_equal(parse(&ask).status, 400);
}

static void test_an_incomplete_body_is_400_only_where_length_is_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct ask ask = help_ask(good[i].path, good[i].body);
		size_t end = ask.body.len;

		while (ask.body.ptr[end - 1] != '}')
			end--;
		for (size_t cut = 1; cut < end; cut++) {
			struct ask front = help_cut(ask, cut);

			front.body_len = cut;
			assert_int_equal(parse(&front).status, 400);
			front.headers = (struct span){ 0 };	/* chunked */
			assert_int_equal(parse(&front).status, 0);
			assert_true(parse(&front).is_cut);
		}
	}
}

/* ---- what the index lives on ---- */

static size_t keep_blocks(const char *path, const char *body, uint64_t *out)
{
	struct request r = parse_text(path, body);

	assert_int_equal(r.status, 0);
	assert_true(r.n_blocks <= BLOCKS_MAX);
	for (size_t i = 0; i < r.n_blocks; i++)
		out[i] = r.blocks[i];
	return r.n_blocks;
}

#define TURN1 "{\"role\":\"user\",\"content\":\"" LONG "one\"}"
#define TURN2 "{\"role\":\"assistant\",\"content\":\"two\"}"
#define TURN3 "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"" LONG "\"}]}"
#define TOOLS "\"tools\":[{\"function\":\"" LONG "\"}]"

static const struct {
	const char *path, *before, *after;
} turns[] = {
	{ CHAT, "{\"model\":\"m\",\"messages\":[" TURN1 "]}",
	    "{\"model\":\"m\",\"messages\":[" TURN1 "," TURN2 "," TURN3 "]}" },
	{ CHAT, "{\"model\":\"m\",\"messages\":[" TURN1 "]," TOOLS "}",
	    "{\"model\":\"m\",\"messages\":[" TURN1 "," TURN2 "]," TOOLS "}" },
	{ MESSAGES, "{\"system\":\"" LONG LONG "\",\"messages\":[" TURN1
	    "],\"model\":\"m\"}", "{\"system\":\"" LONG LONG "\",\"messages\":["
	    TURN1 "," TURN2 "," TURN3 "],\"model\":\"m\"}" },
	{ RESPONSES, "{\"model\":\"m\",\"input\":[" TURN1 "]}",
	    "{\"model\":\"m\",\"input\":[" TURN1 "," TURN2 "," TURN3 "]}" },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"" LONG "a\"}",
	    "{\"model\":\"m\",\"prompt\":\"" LONG "abc\"}" },
};

static void test_one_more_turn_shares_every_whole_block(void **state)
{
	uint64_t before[BLOCKS_MAX], after[BLOCKS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(turns) / sizeof(*turns); i++) {
		size_t n = keep_blocks(turns[i].path, turns[i].before, before);
		size_t m = keep_blocks(turns[i].path, turns[i].after, after);

		assert_true(n >= 2 && m >= n);
		assert_memory_equal(before, after, (n - 1) * sizeof(*before));
	}
}

static void test_the_order_of_fields_does_not_matter(void **state)
{
	static const char *const same[] = {
		"{\"model\":\"m\",\"cache_salt\":\"s\"," TOOLS ",\"messages\":["
		    TURN1 "," TURN3 "]}",
		"{\"messages\":[" TURN1 "," TURN3 "]," TOOLS ",\"model\":\"m\","
		    "\"cache_salt\":\"s\"}",
		"{" TOOLS ",\"stream\":true,\"messages\":[" TURN1 " , " TURN3 "],"
		    "\"cache_salt\":\"s\",\"user\":\"u\",\"model\":\"m\"}",
	};
	uint64_t first[BLOCKS_MAX], other[BLOCKS_MAX];
	size_t n = keep_blocks(CHAT, same[0], first);

	(void)state;
	assert_true(n > 2);
	for (size_t i = 1; i < sizeof(same) / sizeof(*same); i++) {
		assert_int_equal(keep_blocks(CHAT, same[i], other), n);
		assert_memory_equal(first, other, n * sizeof(*first));
	}
}

/* The first changed byte changes its block and all behind it. */
static void test_another_model_salt_or_tool_shares_nothing(void **state)
{
	static const char *const others[] = {
		"{\"model\":\"M\",\"messages\":[" TURN1 "," TURN3 "]}",
		"{\"model\":\"m2\",\"messages\":[" TURN1 "," TURN3 "]}",
		"{\"model\":\"m\",\"cache_salt\":\"s\",\"messages\":[" TURN1 ","
		    TURN3 "]}",
		"{\"model\":\"m\"," TOOLS ",\"messages\":[" TURN1 "," TURN3 "]}",
	};
	uint64_t first[BLOCKS_MAX], other[BLOCKS_MAX];
	size_t n = keep_blocks(CHAT, "{\"model\":\"m\",\"messages\":[" TURN1 ","
	    TURN3 "]}", first);

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		size_t m = keep_blocks(CHAT, others[i], other);

		for (size_t a = 0; a < n; a++)
			for (size_t b = 0; b < m; b++)
				assert_true(first[a] != other[b]);
	}
}

/* ---- hostile ---- */

static char *repeat(const char *front, const char *each, size_t n,
    const char *back)
{
	struct buf b;

	buf_init(&b, 16 << 20);
	buf_puts(&b, front);
	for (size_t i = 0; i < n; i++)
		buf_puts(&b, each);
	buf_puts(&b, back);
	buf_put(&b, "", 1);
	assert_false(buf_failed(&b));
	return b.data;
}

#define CHAT_FRONT "{\"model\":\"m\",\"messages\":["

static const struct {
	const char *path, *front, *each;
	size_t n;
	const char *back;
	int status;
} bombs[] = {
	{ CHAT, "", "[", 60000, "", 400 },
	{ CHAT, "", "{\"a\":", 10000, "", 400 },
	{ CHAT, CHAT_FRONT, "[", 10000, "]", 400 },
	{ CHAT, CHAT_FRONT "{\"content\":", "[", 10000, "", 400 },
	{ CHAT, CHAT_FRONT "{\"content\":", "[{\"content\":", 10000, "", 400 },
	{ CHAT, CHAT_FRONT "{}", ",{\"role\":\"u\",\"content\":\"a\"}", 5000,
	    "]}", 0 },
	{ CHAT, CHAT_FRONT "{}", ",1", 500000, "]}", 0 },
	{ CHAT, CHAT_FRONT "{}]", ",\"messages\":[{\"content\":\"a\"}]", 5000,
	    "}", 0 },
	{ CHAT, CHAT_FRONT "{}]", ",\"model\":\"m\"", 20000, "}", 0 },
	{ CHAT, CHAT_FRONT "{}]", ",\"n\":1e999999", 20000, "}", 0 },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[\"\"", ",\"ab\"", 20000,
	    "]}", 0 },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":[0", ",[1]", 20000, "]}", 0 },
	{ COMPLETIONS, "{\"model\":\"m\",\"prompt\":\"", "\\u0000", 20000,
	    "\"}", 0 },
};

static void test_json_bombs_stay_within_their_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(*bombs); i++) {
		char *body = repeat(bombs[i].front, bombs[i].each, bombs[i].n,
		    bombs[i].back);
		struct request r = parse_text(bombs[i].path, body);

		assert_int_equal(r.status, bombs[i].status);
		assert_true(r.n_chains <= PROMPT_CHAINS_MAX);
		assert_true(r.n_blocks <= 2048);
		assert_true(arena_bytes(arena) <= 16 << 20);
		free(body);
	}
}

/* Whatever the request found no room for, it is still a request. */
static void test_without_memory_the_prompt_is_forgotten(void **state)
{
	char *body = repeat(CHAT_FRONT "{}", ",{\"content\":\"" LONG "\"}", 5000,
	    "]}");
	struct ask ask = help_ask(CHAT, body);

	(void)state;
	for (size_t max = 64; max <= 4 << 20; max *= 2) {
		struct arena *small = arena_new(64, max);
		struct request r;

		request_parse(&r, &ask, HELP_BLOCK_BYTES, 100000, NULL, small);
		assert_int_equal(r.status, 0);
		assert_true(span_is_text(r.model, "m"));
		assert_true(r.n_blocks == 0 || r.n_blocks == 5000);
		assert_true(arena_bytes(small) <= max);
		arena_free(small);
	}
	free(body);
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
		cmocka_unit_test(test_each_api_gives_its_model_flags_and_prompts),
		cmocka_unit_test(
		    test_what_cannot_be_served_is_refused_with_its_reason),
		cmocka_unit_test(test_a_cut_at_any_byte_keeps_the_blocks_before_it),
		cmocka_unit_test(test_a_body_known_to_be_cut_is_never_refused),
		cmocka_unit_test(test_a_reason_does_not_outlive_its_refusal),
		cmocka_unit_test(test_a_cut_does_not_excuse_what_is_no_json),
		cmocka_unit_test(
		    test_an_incomplete_body_is_400_only_where_length_is_known),
		cmocka_unit_test(test_one_more_turn_shares_every_whole_block),
		cmocka_unit_test(test_the_order_of_fields_does_not_matter),
		cmocka_unit_test(test_another_model_salt_or_tool_shares_nothing),
		cmocka_unit_test(test_json_bombs_stay_within_their_bounds),
		cmocka_unit_test(test_without_memory_the_prompt_is_forgotten),
	};

	return cmocka_run_group_tests_name("request_body", tests, make_arena,
	    free_arena);
}
