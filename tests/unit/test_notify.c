#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "answer.h"
#include "arena.h"
#include "counters.h"
#include "help.h"
#include "log.h"
#include "notify.h"
#include "rng.h"

#define BODY "{\"model\":\"m\",\"prompt\":\"p\"}"

static struct help_pool pool;
static struct counters counters;
static struct rng rng;
static struct arena *arena;
static uint8_t in[256 * 1024], out[64 * 1024];

static struct ask good_ask(void)
{
	return help_ask("/v1/completions", BODY);
}

/* What a payload is answered with: read back, and always something. */
static struct help_actions answer(const void *bytes, size_t len)
{
	const struct notify n = { &pool.fleet, arena, &rng, &counters };
	struct reader payload = reader_over(bytes, len);
	struct writer w = writer_over(out, sizeof(out));
	struct help_actions got;

	notify_answer(&n, &payload, &w);
	assert_false(w.full);
	assert_true(help_read_actions(reader_over(out, writer_len(&w)), &got));
	assert_true(got.n > 0);
	return got;
}

static struct help_actions answer_written(const struct writer *w)
{
	assert_false(w->full);
	return answer(in, writer_len(w));
}

static bool is_picked(const struct help_actions *a)
{
	return help_text(a, "ep").len > 0;
}

static void put(struct writer *w, const char *name, struct spop_data value)
{
	spop_write_arg(w, span_of(name), &value);
}

static void test_a_pick_is_answered(void **state)
{
	struct writer w = writer_over(in, sizeof(in));
	struct ask ask = good_ask();
	struct help_actions got;

	(void)state;
	help_pick(&w, &ask);
	got = answer_written(&w);
	assert_true(is_picked(&got));
	assert_int_equal(help_text(&got, "eps").len,
	    sizeof("10.0.0.1:8000,10.0.0.2:8000,10.0.0.3:8000") - 1);
	assert_int_equal(counters.picks, 1);
	assert_int_equal(help_picked(&pool), 1);
}

static void test_a_refusal_is_answered_with_its_status(void **state)
{
	struct writer w = writer_over(in, sizeof(in));
	struct ask ask = help_ask("/v1/completions", "{}");
	struct help_actions got;

	(void)state;
	help_pick(&w, &ask);
	got = answer_written(&w);
	assert_false(is_picked(&got));
	assert_int_equal(help_var(&got, "status")->number, 400);
	assert_true(span_is_text(help_text(&got, "message"),
	    "the request body has no \"model\""));
	assert_int_equal(counters.refused, 1);
}

static void test_an_unknown_pool_is_said_and_not_served(void **state)
{
	static const struct span names[] = { { "nobody", 6 }, { NULL, 0 },
		{ "poo", 3 }, { "pool\0", 5 } };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct writer w = writer_over(in, sizeof(in));
		struct ask ask = good_ask();
		struct help_actions got;

		ask.pool = names[i];
		help_pick(&w, &ask);
		got = answer_written(&w);
		assert_false(is_picked(&got));
		assert_null(help_var(&got, "status"));
		assert_true(help_text(&got, "message").len > 0);
		assert_int_equal(counters.unknown_pool, i + 1);
	}
	assert_int_equal(counters.no_pick, 4);
}

static void test_several_messages_are_each_answered(void **state)
{
	struct writer w = writer_over(in, sizeof(in));
	struct ask ask = good_ask();
	struct help_actions got;

	(void)state;
	spop_write_message(&w, span_of("other"), 1);
	put(&w, "x", spop_int(7));
	help_pick(&w, &ask);
	spop_write_message(&w, span_of("pick!"), 0);
	ask.body = span_of("{");
	ask.body_len = 1;
	help_pick(&w, &ask);
	got = answer_written(&w);
	assert_int_equal(counters.picks, 1);
	assert_int_equal(counters.refused, 1);
	assert_int_equal(counters.unknown_messages, 2);
	assert_true(is_picked(&got));
	assert_non_null(help_var(&got, "status"));
}

/* HAProxy 3.1.0 to 3.2.3 send them; an ACK without an action hung 3.1.0. */
static void test_an_empty_payload_still_gets_an_action(void **state)
{
	struct help_actions got = answer("", 0);

	(void)state;
	assert_int_equal(got.n, 1);
	assert_int_equal(got.vars[0].value.type, SPOP_NULL);
	assert_int_equal(counters.bad_messages, 0);
}

static void test_arguments_of_any_kind_are_passed_over(void **state)
{
	struct writer w = writer_over(in, sizeof(in));
	struct help_actions got;

	(void)state;
	spop_write_message(&w, span_of("pick"), 16);
	put(&w, "", spop_string(span_of("unnamed")));
	put(&w, "a", (struct spop_data){ .type = SPOP_NULL });
	put(&w, "b", spop_bool(true));
	put(&w, "c", spop_uint32(1));
	put(&w, "d", spop_int(-1));
	put(&w, "e", (struct spop_data){ SPOP_IPV4, 0, { "\x7f\0\0\1", 4 } });
	put(&w, "f", (struct spop_data){ SPOP_IPV6, 0,
	    { "0123456789abcdef", 16 } });
	put(&w, "pool2", spop_string(span_of("x")));
	put(&w, "pool", spop_string(span_of("pool")));
	put(&w, "hdrs", (struct spop_data){ .type = SPOP_NULL });
	put(&w, "body", (struct spop_data){ .type = SPOP_NULL });
	put(&w, "body_len", (struct spop_data){ .type = SPOP_NULL });
	put(&w, "id", spop_int(4));
	put(&w, "method", spop_bool(false));
	put(&w, "path", spop_binary(span_of("/v1/models")));
	put(&w, "body_len", spop_string(span_of("9")));
	got = answer_written(&w);
	assert_true(is_picked(&got));
	assert_int_equal(counters.bad_messages, 0);
}

static void test_a_message_without_arguments_is_of_no_pool(void **state)
{
	struct writer w = writer_over(in, sizeof(in));

	(void)state;
	spop_write_message(&w, span_of("pick"), 0);
	answer_written(&w);
	assert_int_equal(counters.unknown_pool, 1);
}

/* The property: whatever the cut, an answer; and no pick from half an ask. */
static void test_every_truncation_is_answered_without_a_pick(void **state)
{
	struct writer w = writer_over(in, sizeof(in));
	struct ask ask = good_ask();

	(void)state;
	help_pick(&w, &ask);
	for (size_t cut = 0; cut < writer_len(&w); cut++) {
		struct help_actions got = answer(in, cut);

		assert_false(is_picked(&got));
		assert_int_equal(counters.bad_messages, cut);
	}
	assert_int_equal(help_picked(&pool), 0);
}

static void test_random_bytes_are_answered(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = rng_below(&rng, 200);

		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)rng_next(&rng);
		answer(in, len);
	}
}

/* A frame's worth of picks in one payload: answered while there is room. */
static void test_more_messages_than_fit_stay_within_the_answer(void **state)
{
	const struct notify n = { &pool.fleet, arena, &rng, &counters };
	struct writer w = writer_over(in, sizeof(in)), ack;
	struct ask ask = good_ask();
	struct reader payload;
	int messages = 0;

	(void)state;
	for (; writer_len(&w) + 1000 < sizeof(in); messages++)
		help_pick(&w, &ask);
	payload = reader_over(in, writer_len(&w));
	ack = writer_over(out, 4 * ANSWER_MAX_BYTES);
	notify_answer(&n, &payload, &ack);
	assert_false(ack.full);
	assert_true(counters.picks > 10 && counters.picks < (unsigned)messages);
	assert_int_equal(help_picked(&pool), counters.picks);
	assert_int_equal(counters.bad_messages, 0);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	counters = (struct counters){ 0 };
	help_pool_init(&pool, "pool", 3);
	arena = arena_new(256 << 10, 16 << 20);
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
		unit(test_a_pick_is_answered),
		unit(test_a_refusal_is_answered_with_its_status),
		unit(test_an_unknown_pool_is_said_and_not_served),
		unit(test_several_messages_are_each_answered),
		unit(test_an_empty_payload_still_gets_an_action),
		unit(test_arguments_of_any_kind_are_passed_over),
		unit(test_a_message_without_arguments_is_of_no_pool),
		unit(test_every_truncation_is_answered_without_a_pick),
		unit(test_random_bytes_are_answered),
		unit(test_more_messages_than_fit_stay_within_the_answer),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
