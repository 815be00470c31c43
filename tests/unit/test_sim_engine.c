/*
 * test_sim_engine.c - the simulated engine's timing, queue and cache, no loop
 *
 * The simulator is not a library, so its pure files are taken in as they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/sim_engine.c"
#include "sim/sim_json.c"
#include "sim/sim_kv.c"
#include "sim/sim_lora.c"
#include "sim/sim_prompt.c"
#include "sim/sim_seq.c"
#include "sim/sim_stats.c"

static const int64_t MS = 1000000, SECOND = 1000000000;

static unsigned n_tokens, n_done;
static const struct sim_seq *last_done;

static void on_token(struct sim_seq *s, const char text[SIM_TOKEN_BYTES])
{
	(void)s;
	assert_int_equal(text[3], ' ');
	n_tokens++;
}

static void on_done(struct sim_seq *s)
{
	last_done = s;
	n_done++;
}

static const struct sim_engine_events counting = { on_token, on_done };

static const struct sim_options defaults = {
	.seed = 1, .batch = 2, .prefill_rate = 1000, .decode_rate = 100,
	.kv_blocks = 64, .block_tokens = 16, .default_tokens = 4,
	.max_loras = 1, .lora_load_ms = 300, .n_loras = 2,
};

/* `letter` repeated: prompts of different letters share nothing. */
static void make_prompt(struct sim_seq *s, const struct sim_options *o,
    char letter, size_t n_prompt, double max_tokens, int adapter)
{
	struct sim_prompt p;

	sim_prompt_init(&p, false);
	p.max_tokens = max_tokens;
	for (size_t i = 0; i < n_prompt * SIM_TOKEN_BYTES; i++)
		buf_put(&p.text, &letter, 1);
	assert_int_equal(sim_seq_init(s, o, &p, adapter), 0);
	sim_prompt_fini(&p);
}

static struct sim_engine *engine(const struct sim_options *o)
{
	struct sim_engine *e = sim_engine_new(o, &counting);

	assert_non_null(e);
	n_tokens = n_done = 0;
	last_done = NULL;
	return e;
}

static void submit(struct sim_engine *e, struct sim_seq *s, int64_t now_ns)
{
	assert_int_equal(sim_engine_submit(e, s, now_ns), 0);
	sim_engine_advance(e, now_ns);
}

/* 100 tokens at 1000/s, then one every 10 ms. */
static void test_first_token_is_prefill_and_one_step(void **state)
{
	struct sim_engine *e = engine(&defaults);
	struct sim_seq s;
	(void)state;

	make_prompt(&s, &defaults, 'a', 100, 5, -1);
	submit(e, &s, 0);
	sim_engine_advance(e, 110 * MS - 1);
	assert_int_equal(n_tokens, 0);
	sim_engine_advance(e, 110 * MS);
	assert_int_equal(n_tokens, 1);
	sim_engine_advance(e, 150 * MS);
	assert_int_equal(n_tokens, 5);
	assert_ptr_equal(last_done, &s);
	assert_int_equal(sim_engine_next(e), INT64_MAX);
	sim_seq_fini(&s);
	sim_engine_free(e);
}

/* However seldom it is woken, events happen when they were due. */
static void test_late_wakes_change_nothing(void **state)
{
	int64_t ends[2];
	(void)state;

	for (int round = 0; round < 2; round++) {
		struct sim_engine *e = engine(&defaults);
		struct sim_seq s[3];

		for (int i = 0; i < 3; i++) {
			make_prompt(&s[i], &defaults, (char)('a' + i), 50, 7,
			    -1);
			submit(e, &s[i], i * MS);
		}
		for (int64_t t = 3; round == 0 && t < 1000; t++)
			sim_engine_advance(e, t * MS);
		sim_engine_advance(e, SECOND);
		assert_int_equal(n_done, 3);
		ends[round] = s[2].last_ns;
		for (int i = 0; i < 3; i++)
			sim_seq_fini(&s[i]);
		sim_engine_free(e);
	}
	assert_int_equal(ends[0], ends[1]);
}

static void test_a_full_batch_makes_a_queue(void **state)
{
	struct sim_engine *e = engine(&defaults);
	struct sim_seq s[5];
	(void)state;

	for (int i = 0; i < 5; i++) {
		make_prompt(&s[i], &defaults, (char)('a' + i), 10, 50, -1);
		submit(e, &s[i], 0);
	}
	assert_int_equal(sim_engine_load(e).running, 2);
	assert_int_equal(sim_engine_load(e).waiting, 3);
	sim_engine_cancel(e, &s[0]);	/* under prefill */
	sim_engine_cancel(e, &s[3]);	/* in the queue */
	sim_engine_advance(e, 0);
	assert_int_equal(sim_engine_load(e).running, 2);
	assert_int_equal(sim_engine_load(e).waiting, 1);
	sim_engine_advance(e, 10 * SECOND);
	assert_int_equal(n_done, 3);
	assert_true(sim_engine_load(e).kv_usage == 0);
	for (int i = 0; i < 5; i++)
		sim_seq_fini(&s[i]);
	sim_engine_free(e);
}

/* Two equal prompts at once: the second finds what the first has computed. */
static void test_twins_share_their_prefix(void **state)
{
	struct sim_engine *e = engine(&defaults);
	struct sim_seq s[2];
	(void)state;

	for (int i = 0; i < 2; i++) {
		make_prompt(&s[i], &defaults, 'a', 160, 4, -1);
		submit(e, &s[i], 0);
	}
	sim_engine_advance(e, SECOND);
	assert_int_equal(n_done, 2);
	assert_int_equal(sim_seq_cached_tokens(&s[0]), 0);
	/* All ten blocks match, but one token must be computed. */
	assert_int_equal(sim_seq_cached_tokens(&s[1]), 144);
	for (int i = 0; i < 2; i++)
		sim_seq_fini(&s[i]);
	sim_engine_free(e);
}

/* Runs one prompt alone, to its end; tells how much of it was cached. */
static uint32_t cached_after(struct sim_engine *e, char letter,
    size_t n_prompt, int adapter)
{
	static int64_t now_ns;
	struct sim_seq s;
	uint32_t cached;

	now_ns += 100 * SECOND;
	make_prompt(&s, &defaults, letter, n_prompt, 1, adapter);
	submit(e, &s, now_ns);
	sim_engine_advance(e, now_ns + 99 * SECOND);
	assert_int_equal(s.state, SIM_SEQ_DONE);
	cached = sim_seq_cached_tokens(&s);
	sim_seq_fini(&s);
	return cached;
}

static void test_adapters_do_not_share_a_cache(void **state)
{
	struct sim_engine *e = engine(&defaults);
	(void)state;

	assert_int_equal(cached_after(e, 'a', 100, -1), 0);
	assert_int_equal(cached_after(e, 'a', 100, 0), 0);
	assert_int_equal(cached_after(e, 'a', 100, 1), 0);
	assert_int_equal(cached_after(e, 'a', 100, 0), 96);
	assert_int_equal(cached_after(e, 'a', 100, -1), 96);
	sim_engine_free(e);
}

/* 64 blocks: A takes 32, B 24; C's 16 cost A its leaves and leave its root. */
static void test_the_leaf_goes_before_the_root(void **state)
{
	struct sim_engine *e = engine(&defaults);
	(void)state;

	assert_int_equal(cached_after(e, 'a', 31 * 16, -1), 0);
	assert_int_equal(cached_after(e, 'b', 23 * 16, -1), 0);
	assert_int_equal(cached_after(e, 'c', 15 * 16, -1), 0);
	assert_int_equal(cached_after(e, 'b', 23 * 16, -1), 22 * 16);
	assert_in_range(cached_after(e, 'a', 31 * 16, -1), 16, 29 * 16);
	sim_engine_free(e);
}

static void test_short_memory_makes_a_queue(void **state)
{
	struct sim_engine *e = engine(&defaults);
	struct sim_seq s[2], never;
	(void)state;

	for (int i = 0; i < 2; i++) {
		make_prompt(&s[i], &defaults, (char)('a' + i), 600, 16, -1);
		submit(e, &s[i], 0);
	}
	assert_int_equal(sim_engine_load(e).running, 1);
	assert_int_equal(sim_engine_load(e).waiting, 1);
	make_prompt(&never, &defaults, 'z', 64 * 16, 1, -1);
	assert_false(sim_engine_can_hold(e, &never));
	sim_engine_advance(e, 10 * SECOND);
	assert_int_equal(n_done, 2);
	sim_seq_fini(&never);
	for (int i = 0; i < 2; i++)
		sim_seq_fini(&s[i]);
	sim_engine_free(e);
}

/* One adapter slot: the other adapter waits, the base model passes it by. */
static void test_adapter_slots(void **state)
{
	struct sim_engine *e = engine(&defaults);
	struct sim_seq s[3];
	(void)state;

	for (int i = 0; i < 3; i++) {
		make_prompt(&s[i], &defaults, (char)('a' + i), 10, 10,
		    i == 2 ? -1 : i);
		submit(e, &s[i], 0);
	}
	assert_int_equal(s[0].state, SIM_SEQ_PREFILL);
	assert_int_equal(s[1].state, SIM_SEQ_WAITING);
	assert_int_equal(s[2].state, SIM_SEQ_PREFILL);
	assert_int_equal(sim_engine_lora(e)->adapters[1].n_waiting, 1);
	/* 300 ms to load and 10 of prefill go before the first step. */
	sim_engine_advance(e, 320 * MS - 1);
	assert_int_equal(n_tokens, 0);
	sim_engine_advance(e, 320 * MS);
	assert_int_equal(n_tokens, 1);
	sim_engine_advance(e, 10 * SECOND);
	assert_int_equal(n_done, 3);
	for (int i = 0; i < 3; i++)
		sim_seq_fini(&s[i]);
	sim_engine_free(e);
}

/* Random arrivals and cancellations: nothing is lost, nothing stays held. */
static void test_nothing_leaks(void **state)
{
	enum { N = 400 };
	struct sim_options o = defaults;
	struct sim_engine *e;
	static struct sim_seq s[N];
	uint64_t rng = 7;
	int64_t now_ns = 0;
	(void)state;

	o.batch = 6;
	e = engine(&o);
	for (int i = 0; i < N; i++) {
		uint64_t r = words_random(&rng);

		make_prompt(&s[i], &o, (char)('a' + r % 5), 1 + r / 8 % 700,
		    (double)(1 + r / 8192 % 60), (int)(r >> 40) % 3 - 1);
		if (sim_engine_can_hold(e, &s[i]))
			submit(e, &s[i], now_ns);
		now_ns += (int64_t)(words_random(&rng) % (400u * 1000000));
		sim_engine_advance(e, now_ns);
		if (r >> 50 & 1)
			sim_engine_cancel(e, &s[words_random(&rng) %
			    (uint64_t)(i + 1)]);
	}
	sim_engine_advance(e, now_ns + 10000 * SECOND);
	assert_int_equal(sim_engine_load(e).running, 0);
	assert_int_equal(sim_engine_load(e).waiting, 0);
	assert_true(sim_engine_load(e).kv_usage == 0);
	assert_int_equal(e->promised, 0);
	for (int i = 0; i < N; i++)
		sim_seq_fini(&s[i]);
	sim_engine_free(e);
}

static const char *read_body(struct sim_prompt *p, bool is_chat,
    const char *body)
{
	sim_prompt_init(p, is_chat);
	return sim_prompt_read(p, span_of(body));
}

static void test_prompts_in_all_their_forms(void **state)
{
	static const struct {
		bool is_chat;
		const char *body, *text;
	} good[] = {
		{ true, "{\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}"
		    "],\"model\":\"m\"}", "userhiassistant" },
		{ true, "{\"messages\":[{\"role\":\"user\",\"content\":[{"
		    "\"type\":\"text\",\"text\":\"a\\u00e9\\ud83d\\ude00\\n\"}]"
		    "}]}", "usera\xc3\xa9\xf0\x9f\x98\x80\nassistant" },
		{ true, " { \"messages\" : [ { \"role\":\"user\" , \"content\" "
		    ": null } ] , \"tools\":[{\"a\":1}] } ",
		    "[{\"a\":1}]userassistant" },
		{ false, "{\"prompt\":\"x\\\\y\",\"other\":[1,{\"a\":[]}]}",
		    "x\\y" },
		{ false, "{\"prompt\":[\"x\",\"y\"]}", "xy" },
		{ false, "{\"prompt\":[1684234849,25185]}", "abcdab" },
		{ false, "{\"prompt\":[[1684234849],[25185]]}", "abcdab" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		size_t len = strlen(good[i].text);
		struct sim_prompt p;

		assert_null(read_body(&p, good[i].is_chat, good[i].body));
		assert_true(p.text.len >= len);
		assert_memory_equal(p.text.data, good[i].text, len);
		sim_prompt_fini(&p);
	}
}

static void test_no_prefix_of_a_body_passes(void **state)
{
	static const char body[] = "{\"model\":\"m\",\"stream\":true,"
	    "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
	    "\"text\":\"\\u00e9\\\\\"}]}],\"max_tokens\":3,\"tools\":[{}]}";
	(void)state;

	for (size_t cut = 0; cut < sizeof(body) - 1; cut++) {
		char *copy = malloc(cut + 1);
		struct sim_prompt p;

		assert_non_null(copy);
		memcpy(copy, body, cut);
		sim_prompt_init(&p, true);
		assert_non_null(sim_prompt_read(&p,
		    (struct span){ copy, cut }));
		sim_prompt_fini(&p);
		free(copy);
	}
}

/* Nobody else may come: then what was foretold is what happens, up to one step. */
static void check_forecast(uint64_t seed, const struct sim_options *o,
    size_t n_others)
{
	struct sim_engine *e = engine(o);
	struct sim_seq s[12];
	int64_t now = 0, foretold;
	uint64_t rng = seed;

	for (size_t i = 0; i <= n_others; i++) {
		uint64_t r = hash_pair(++rng, 7);

		make_prompt(&s[i], o, (char)('a' + r % 3), 20 + r % 100,
		    (double)(1 + r / 100 % 9), (int)(r / 1000 % 2) - 1);
		now += (int64_t)(r / 2000 % 40) * MS;
		sim_engine_advance(e, now);
		foretold = sim_engine_forecast(e, &s[i], now);
		submit(e, &s[i], now);
	}
	sim_engine_advance(e, 100 * SECOND);
	assert_in_range(s[n_others].first_ns - now + 10 * MS,
	    foretold, foretold + 20 * MS);
	for (size_t i = 0; i <= n_others; i++)
		sim_seq_fini(&s[i]);
	sim_engine_free(e);
}

static void test_a_forecast_comes_true(void **state)
{
	struct sim_options o = defaults;
	(void)state;

	o.kv_blocks = 1024;
	o.max_loras = 2;
	o.batch = 16;
	for (uint64_t seed = 0; seed < 300; seed++)
		check_forecast(seed * 100, &o, seed % 11);
}

/* One place, taken for 40 ms more: that is how long the next one waits. */
static void test_a_forecast_waits_for_a_place(void **state)
{
	struct sim_options o = defaults;
	struct sim_engine *e;
	struct sim_seq s[2];
	(void)state;

	o.batch = 1;
	e = engine(&o);
	make_prompt(&s[0], &o, 'a', 10, 4, -1);
	make_prompt(&s[1], &o, 'b', 10, 4, -1);
	submit(e, &s[0], 0);
	sim_engine_advance(e, 10 * MS);
	assert_int_equal(sim_engine_forecast(e, &s[1], 10 * MS),
	    (40 + 10 + 10) * MS);
	submit(e, &s[1], 10 * MS);
	sim_engine_advance(e, SECOND);
	assert_int_equal(s[1].first_ns, (10 + 40 + 10 + 10) * MS);
	sim_seq_fini(&s[0]);
	sim_seq_fini(&s[1]);
	sim_engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_token_is_prefill_and_one_step),
		cmocka_unit_test(test_late_wakes_change_nothing),
		cmocka_unit_test(test_a_full_batch_makes_a_queue),
		cmocka_unit_test(test_twins_share_their_prefix),
		cmocka_unit_test(test_adapters_do_not_share_a_cache),
		cmocka_unit_test(test_the_leaf_goes_before_the_root),
		cmocka_unit_test(test_short_memory_makes_a_queue),
		cmocka_unit_test(test_adapter_slots),
		cmocka_unit_test(test_nothing_leaks),
		cmocka_unit_test(test_prompts_in_all_their_forms),
		cmocka_unit_test(test_no_prefix_of_a_body_passes),
		cmocka_unit_test(test_a_forecast_comes_true),
		cmocka_unit_test(test_a_forecast_waits_for_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
