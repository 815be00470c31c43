#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "answer.h"
#include "arena.h"
#include "books.h"
#include "counters.h"
#include "help.h"
#include "log.h"
#include "notify.h"
#include "pick.h"
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
	const struct notify n = { .fleet = &pool.fleet, .arena = arena,
		.rng = &rng, .counters = &counters };
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
	const struct notify n = { .fleet = &pool.fleet, .arena = arena,
		.rng = &rng, .counters = &counters };
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

/* ---- waiting ---- */

/* Who was asked to let whom wait. */
static struct {
	bool may;
	unsigned n;
	char id[16];
} holder;

static bool hold(void *data, const struct endpoint_view *view,
    const struct request *request)
{
	assert_ptr_equal(data, &holder);
	assert_ptr_equal(view, &pool.view);
	assert_true(request->has_body);
	assert_true(span_is_text(request->model, "m"));
	assert_in_range(request->ask->id.len, 1, sizeof(holder.id) - 1);
	memcpy(holder.id, request->ask->id.ptr, request->ask->id.len);
	holder.id[request->ask->id.len] = '\0';
	holder.n++;
	return holder.may;
}

static struct notify holding(void)
{
	return (struct notify){ .fleet = &pool.fleet, .arena = arena,
		.rng = &rng, .counters = &counters, .hold = hold,
		.data = &holder };
}

/* A full pool in which one waits; `may`: it can. */
static void fill(bool may)
{
	holder.may = may;
	holder.n = 0;
	pool.options.flow.enabled = true;
	for (size_t i = 0; i < 3; i++)
		pool.stats[i].queued = 5;
}

static enum notify_result ask_with(const struct notify *n, const struct writer *w,
    struct help_actions *got)
{
	struct reader payload = reader_over(in, writer_len(w));
	struct writer o = writer_over(out, sizeof(out));
	enum notify_result result = notify_answer(n, &payload, &o);

	assert_false(w->full);
	assert_true(help_read_actions(reader_over(out, writer_len(&o)), got));
	assert_true(result == NOTIFY_HELD || got->n > 0);
	return result;
}

static int status_of(const struct help_actions *got)
{
	const struct spop_data *v = help_var(got, "status");

	return v != NULL ? (int)v->number : 0;
}

static void test_one_that_must_wait_is_held_and_not_answered(void **state)
{
	struct notify n = holding();
	struct writer w = writer_over(in, sizeof(in));
	struct ask ask = good_ask();
	struct help_actions got;

	(void)state;
	fill(true);
	spop_write_message(&w, span_of("other"), 0);	/* is no answer to keep */
	help_pick(&w, &ask);
	assert_int_equal(ask_with(&n, &w, &got), NOTIFY_HELD);
	assert_int_equal(holder.n, 1);
	assert_string_equal(holder.id, "id-1");
	assert_int_equal(counters.picks + counters.refused + counters.shed +
	    counters.no_pick, 0);
	assert_int_equal(help_picked(&pool), 0);
}

static void test_one_that_cannot_wait_is_refused(void **state)
{
	struct notify n = holding();
	struct writer w = writer_over(in, sizeof(in));
	struct ask ask = good_ask();
	struct help_actions got;

	(void)state;
	fill(false);
	help_pick(&w, &ask);
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(ask_with(&n, &w, &got), NOTIFY_ANSWERED);
		assert_int_equal(status_of(&got), 429);
		assert_true(span_is_text(help_text(&got, "reason"),
		    "rejected-saturated"));
		assert_int_equal(help_var(&got, "retry_after")->number, 1);
		assert_int_equal(counters.shed, i);
		assert_int_equal(counters.refused, i);
		assert_int_equal(holder.n, 1);
		n.hold = NULL;		/* nobody may, the second time */
	}
}

/* Its other answers would be lost, or come with it. */
static void test_only_a_message_that_is_alone_is_held(void **state)
{
	static const char *const around[][2] = {
		{ "pick", "" }, { "", "pick" }, { "first", "" }, { "", "first" },
		{ "", "other" },
	};
	struct notify n = holding();
	struct ask ask = good_ask();

	(void)state;
	fill(true);
	for (size_t i = 0; i < sizeof(around) / sizeof(*around); i++) {
		struct writer w = writer_over(in, sizeof(in));
		struct help_actions got;

		if (*around[i][0] != '\0')
			spop_write_message(&w, span_of(around[i][0]), 0);
		help_pick(&w, &ask);
		if (*around[i][1] != '\0')
			spop_write_message(&w, span_of(around[i][1]), 0);
		assert_int_equal(ask_with(&n, &w, &got), NOTIFY_ANSWERED);
		assert_int_equal(status_of(&got), 429);
		assert_int_equal(holder.n, 0);
	}
}

static void test_the_sheddable_are_refused_by_their_header(void **state)
{
	static const struct objective_options objectives[] = { { "batch", -1 } };
	static const char *const batch[] = {
		"x-gateway-inference-objective", "batch", NULL,
	};
	struct notify n = holding();
	char bytes[128];

	(void)state;
	fill(true);
	pool.options.flow.enabled = false;
	pool.options.objectives = objectives;
	pool.options.n_objectives = 1;
	for (unsigned i = 0; i < 2; i++) {
		struct writer w = writer_over(in, sizeof(in));
		struct ask ask = good_ask();
		struct help_actions got;

		if (i == 1)
			ask.headers = help_headers(batch, bytes, sizeof(bytes));
		help_pick(&w, &ask);
		assert_int_equal(ask_with(&n, &w, &got), NOTIFY_ANSWERED);
		assert_int_equal(is_picked(&got), i == 0);
		assert_int_equal(status_of(&got), i == 0 ? 0 : 429);
	}
	assert_int_equal(counters.shed, 1);
	assert_int_equal(holder.n, 0);
	assert_int_equal(help_picked(&pool), 1);
}

/* ---- what cannot be scheduled ---- */

static void test_too_busy_is_answered_without_a_look(void **state)
{
	static const char *const pools[] = { "pool", "nobody" };
	struct notify n = holding();

	(void)state;
	fill(true);
	n.is_overloaded = true;
	for (unsigned mode = FAIL_OPEN; mode <= FAIL_CLOSE; mode++)
		for (unsigned i = 0; i < 2; i++) {
			struct writer w = writer_over(in, sizeof(in));
			struct ask ask = good_ask();
			struct help_actions got;

			pool.options.failure_mode = (enum failure_mode)mode;
			ask.pool = span_of(pools[i]);
			help_pick(&w, &ask);
			assert_int_equal(ask_with(&n, &w, &got),
			    NOTIFY_ANSWERED);
			assert_false(is_picked(&got));
			assert_int_equal(status_of(&got),
			    mode == FAIL_CLOSE && i == 0 ? 503 : 0);
		}
	assert_int_equal(counters.overloaded, 2);
	assert_int_equal(counters.unknown_pool, 2);
	assert_int_equal(counters.refused, 1);
	assert_int_equal(counters.no_pick, 3);
	assert_int_equal(holder.n, 0);
	assert_int_equal(help_picked(&pool), 0);
}

/* A pool whose source is silent; a worker without memory; a pool that is none. */
static void test_fail_close_is_503_for_all_that_we_cannot_schedule(void **state)
{
	struct arena *none = arena_new(16, 16);
	struct notify n = holding();
	struct writer w = writer_over(in, sizeof(in));
	struct ask ask = good_ask();
	struct help_actions got;

	(void)state;
	pool.options.failure_mode = FAIL_CLOSE;
	help_pick(&w, &ask);
	n.arena = none;
	ask_with(&n, &w, &got);
	assert_int_equal(status_of(&got), 503);
	n.arena = arena;
	pool.view.n_endpoints = 0;
	pool.view.is_known = false;
	ask_with(&n, &w, &got);
	assert_int_equal(status_of(&got), 503);
	assert_int_equal(help_var(&got, "retry_after")->number, 1);
	assert_int_equal(counters.refused, 2);
	arena_free(none);
}

/* ---- first tokens ---- */

static void write_first(struct writer *w, const char *id, const char *of_pool,
    const char *server)
{
	spop_write_message(w, span_of("first"), 3);
	put(w, "id", spop_string(span_of(id)));
	put(w, "pool", spop_string(span_of(of_pool)));
	put(w, "server", spop_string(span_of(server)));
}

static bool is_first_unset(const struct help_actions *got)
{
	const struct spop_data *v = help_var(got, "first");

	return v != NULL && v->type == SPOP_NULL;
}

/* Where the one request that is under way is; its tokens there. */
static size_t where(uint32_t *tokens)
{
	size_t row = 3;

	*tokens = 0;
	for (size_t i = 0; i < 3; i++) {
		*tokens += live_count_get(&pool.live[i].tokens);
		if (live_count_get(&pool.live[i].requests) > 0) {
			assert_int_equal(row, 3);
			row = i;
		}
	}
	return row;
}

static struct notify booking(void)
{
	static const struct feedback_options o = { .max_requests = 64,
		.server_timeout_ms = 1000 };
	struct notify n = holding();

	n.books = books_new(&o, 1);
	n.now_us = 1000000;
	assert_non_null(n.books);
	return n;
}

static void pick_one(const struct notify *n)
{
	struct writer w = writer_over(in, sizeof(in));
	struct ask ask = help_ask("/v1/completions",
	    "{\"model\":\"m\",\"prompt\":\"0123456789abcdef\"}");
	struct help_actions got;
	uint32_t tokens;

	help_pick(&w, &ask);
	ask_with(n, &w, &got);
	assert_true(is_picked(&got));
	where(&tokens);
	assert_int_equal(tokens, 4);
}

static void test_a_first_token_ends_the_prompts_tokens(void **state)
{
	static const char *const servers[] = { "s00", "s01", "s02" };
	struct notify n = booking();
	struct writer w = writer_over(in, sizeof(in));
	struct help_actions got;
	uint32_t tokens;
	size_t row;

	(void)state;
	pick_one(&n);
	row = where(&tokens);
	write_first(&w, "id-1", "pool", servers[row]);
	assert_int_equal(ask_with(&n, &w, &got), NOTIFY_ANSWERED);
	assert_int_equal(got.n, 1);
	assert_true(is_first_unset(&got));
	assert_int_equal(where(&tokens), row);
	assert_int_equal(tokens, 0);
	assert_int_equal(counters.first_tokens, 1);
	books_free(n.books);
}

/* Whose it is, and of which server we know: nothing of it is believed unseen. */
static const struct {
	const char *id, *pool, *server;
} strangers[] = {
	{ "id-2", "pool", "s00" }, { "", "pool", "s00" }, { "", "", "" },
};

static void test_a_first_token_of_nobody_changes_nothing(void **state)
{
	struct notify n = booking();
	uint32_t tokens;

	(void)state;
	pick_one(&n);
	for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++) {
		struct writer w = writer_over(in, sizeof(in));
		struct help_actions got;

		write_first(&w, strangers[i].id, strangers[i].pool,
		    strangers[i].server);
		ask_with(&n, &w, &got);
		assert_true(is_first_unset(&got));
		where(&tokens);
		assert_int_equal(tokens, 4);
	}
	books_free(n.books);
}

static void test_a_first_token_without_books_is_acked(void **state)
{
	struct writer w = writer_over(in, sizeof(in));
	struct help_actions got;

	(void)state;
	write_first(&w, "id-1", "pool", "s00");
	got = answer_written(&w);
	assert_true(is_first_unset(&got));
	assert_int_equal(counters.first_tokens, 1);
	assert_int_equal(counters.no_pick, 0);
}

static void test_a_first_token_and_a_pick_are_both_answered(void **state)
{
	struct writer w = writer_over(in, sizeof(in));
	struct ask ask = good_ask();
	struct help_actions got;

	(void)state;
	write_first(&w, "id-0", "pool", "s00");
	help_pick(&w, &ask);
	got = answer_written(&w);
	assert_true(is_first_unset(&got));
	assert_true(is_picked(&got));
}

static void test_no_part_of_a_first_token_is_one(void **state)
{
	struct notify n = booking();
	struct writer w = writer_over(in, sizeof(in));
	uint8_t whole[256];
	uint32_t tokens;
	size_t len;

	(void)state;
	pick_one(&n);
	write_first(&w, "id-1", "pool", "s00");
	len = writer_len(&w);
	memcpy(whole, in, len);
	for (size_t cut = 0; cut < len; cut++) {
		struct writer part = writer_over(in, sizeof(in));
		struct help_actions got;

		writer_bytes(&part, whole, cut);
		ask_with(&n, &part, &got);
		where(&tokens);
		assert_int_equal(tokens, 4);
	}
	assert_int_equal(counters.first_tokens, 0);
	books_free(n.books);
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
		unit(test_one_that_must_wait_is_held_and_not_answered),
		unit(test_one_that_cannot_wait_is_refused),
		unit(test_only_a_message_that_is_alone_is_held),
		unit(test_the_sheddable_are_refused_by_their_header),
		unit(test_too_busy_is_answered_without_a_look),
		unit(test_fail_close_is_503_for_all_that_we_cannot_schedule),
		unit(test_a_first_token_ends_the_prompts_tokens),
		unit(test_a_first_token_of_nobody_changes_nothing),
		unit(test_a_first_token_without_books_is_acked),
		unit(test_a_first_token_and_a_pick_are_both_answered),
		unit(test_no_part_of_a_first_token_is_one),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
