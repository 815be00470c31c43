/* A peer against the rules: what each wrong costs, and whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "help_peer.h"

/* ---- against the rules ---- */

static void put_hello(struct writer *o, const char *version, uint32_t max_frame,
    const char *capabilities)
{
	size_t begun = spop_begin(o, SPOP_HAPROXY_HELLO, 0, 0);
	struct spop_data v = spop_string(span_of(version));

	if (version != NULL)
		spop_write_arg(o, span_of("supported-versions"), &v);
	v = spop_uint32(max_frame);
	if (max_frame != 0)
		spop_write_arg(o, span_of("max-frame-size"), &v);
	v = spop_string(span_of(capabilities));
	if (capabilities != NULL)
		spop_write_arg(o, span_of("capabilities"), &v);
	spop_end(o, begun);
}

static void bad_version(struct writer *o)
{
	put_hello(o, "1.0, 3.0", PLAY_MAX_FRAME, "");
}
static void no_version(struct writer *o)
{
	put_hello(o, NULL, PLAY_MAX_FRAME, "");
}
static void no_size(struct writer *o)
{
	put_hello(o, "2.0", 0, "");
}
static void small_size(struct writer *o)
{
	put_hello(o, "2.0", SPOP_MIN_FRAME - 1, "");
}
static void no_capabilities(struct writer *o)
{
	put_hello(o, "2.0", PLAY_MAX_FRAME, NULL);
}
static void cut_hello(struct writer *o)
{
	size_t begun = spop_begin(o, SPOP_HAPROXY_HELLO, 0, 0);

	writer_string(o, span_of("supported-versions"));
	spop_end(o, begun);
}
static void notify(struct writer *o)
{
	play_write_ask(o, 1, 1);
}
static void whole_hello(struct writer *o)
{
	help_hello(o, PLAY_MAX_FRAME, false);
}
static void unset(struct writer *o)
{
	play_write_empty(o, SPOP_UNSET, SPOP_FLAG_FIN);
}
static void unfinished(struct writer *o)
{
	play_write_empty(o, SPOP_NOTIFY, 0);
}
static void agent_hello(struct writer *o)
{
	play_write_empty(o, SPOP_AGENT_HELLO, SPOP_FLAG_FIN);
}
static void agent_disconnect(struct writer *o)
{
	play_write_empty(o, SPOP_AGENT_DISCONNECT, SPOP_FLAG_FIN);
}
static void agent_ack(struct writer *o)
{
	play_write_empty(o, SPOP_ACK, SPOP_FLAG_FIN);
}
static void too_long(struct writer *o)
{
	writer_be32(o, UINT32_MAX);
}
static void http(struct writer *o)
{
	writer_bytes(o, "GET / HTTP/1.1\r\n\r\n", 18);
}
static void too_short(struct writer *o)
{
	writer_be32(o, SPOP_MIN_LEN - 1);
}
static void endless_id(struct writer *o)
{
	writer_be32(o, 16);
	writer_bytes(o, "\3\0\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	    16);
}
static void disconnect(struct writer *o)
{
	spop_write_disconnect(o, SPOP_HAPROXY_DISCONNECT, SPOP_STATUS_TIMEOUT);
}

static const struct {
	bool after_hello;
	void (*write)(struct writer *o);
	enum spop_status status;
} wrongs[] = {
	{ false, bad_version, SPOP_STATUS_BAD_VERSION },
	{ false, no_version, SPOP_STATUS_NO_VERSION },
	{ false, no_size, SPOP_STATUS_NO_FRAME_SIZE },
	{ false, small_size, SPOP_STATUS_BAD_FRAME_SIZE },
	{ false, no_capabilities, SPOP_STATUS_NO_CAPABILITIES },
	{ false, cut_hello, SPOP_STATUS_INVALID },
	{ false, notify, SPOP_STATUS_INVALID },
	{ false, unset, SPOP_STATUS_INVALID },
	{ false, agent_hello, SPOP_STATUS_INVALID },
	{ false, agent_disconnect, SPOP_STATUS_INVALID },
	{ false, agent_ack, SPOP_STATUS_INVALID },
	{ false, too_long, SPOP_STATUS_TOO_BIG },
	{ false, too_short, SPOP_STATUS_INVALID },
	{ false, http, SPOP_STATUS_TOO_BIG },
	{ false, disconnect, SPOP_STATUS_NORMAL },
	{ true, whole_hello, SPOP_STATUS_INVALID },
	{ true, unset, SPOP_STATUS_NO_FRAGMENTS },
	{ true, unfinished, SPOP_STATUS_NO_FRAGMENTS },
	{ true, agent_hello, SPOP_STATUS_INVALID },
	{ true, agent_disconnect, SPOP_STATUS_INVALID },
	{ true, agent_ack, SPOP_STATUS_INVALID },
	{ true, too_long, SPOP_STATUS_TOO_BIG },
	{ true, too_short, SPOP_STATUS_INVALID },
	{ true, endless_id, SPOP_STATUS_INVALID },
	{ true, disconnect, SPOP_STATUS_NORMAL },
};

static void test_each_wrong_ends_with_its_status(void **state)
{
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(*wrongs); i++) {
		struct writer o = play_writer();

		if (wrongs[i].after_hello)
			play_shake_hands(PLAY_MAX_FRAME);
		wrongs[i].write(&o);
		play_write_ask(&o, 1, 1);	/* too late: it is not heard */
		play_say_written(&o);
		play_expect_disconnect(wrongs[i].status);
		play_say("more", 4);
		assert_int_equal(play.n_in, 0);
		assert_int_equal(play.worker.counters.bad_frames,
		    wrongs[i].status != SPOP_STATUS_NORMAL);
		assert_false(play.is_over);	/* HAProxy may close; we do later */
		peer_sweep(play.peer, clock_ms() + PEER_CLOSE_TIMEOUT_MS);
		assert_true(play_is_closed());
		play_teardown(state);
		play_setup(state);
	}
}

/* What was asked before the wrong frame is answered before the goodbye. */
static void test_answers_come_before_the_goodbye(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	play_write_ask(&o, 1, 1);
	too_short(&o);
	play_say_written(&o);
	play_expect_ack(1, 1, true);
	play_expect_disconnect(SPOP_STATUS_INVALID);
}

static void test_a_frame_of_a_type_to_come_is_skipped(void **state)
{
	static const uint8_t types[] = { 4, 50, 100, 104, 255 };
	struct writer o = play_writer();

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++)
		play_write_empty(&o, types[i], 0);
	help_hello(&o, PLAY_MAX_FRAME, false);
	for (size_t i = 0; i < sizeof(types); i++)
		play_write_empty(&o, types[i], SPOP_FLAG_FIN);
	play_write_ask(&o, 1, 1);
	play_say_written(&o);
	play_expect_frame(SPOP_AGENT_HELLO);
	play_expect_ack(1, 1, true);
	assert_int_equal(play.worker.counters.bad_frames, 0);
}

/* ---- hostile ---- */

static void test_random_bytes_cost_one_connection(void **state)
{
	struct rng rng = { 11 };

	for (int round = 0; round < 300; round++) {
		if (round % 2 != 0)
			play_shake_hands(PLAY_MAX_FRAME);
		for (int i = 0; i < 8 && !play.is_over; i++) {
			uint8_t bytes[300];
			size_t n = 1 + rng_below(&rng, sizeof(bytes));

			for (size_t k = 0; k < n; k++)
				bytes[k] = (uint8_t)rng_next(&rng);
			bytes[0] = bytes[1] = bytes[2] = 0;
			play_say(bytes, n);
		}
		play_teardown(state);
		play_setup(state);
	}
}

#define unit(f) cmocka_unit_test_setup_teardown(f, play_setup, play_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_each_wrong_ends_with_its_status),
		unit(test_answers_come_before_the_goodbye),
		unit(test_a_frame_of_a_type_to_come_is_skipped),
		unit(test_random_bytes_cost_one_connection),
	};

	return cmocka_run_group_tests_name("peer_rules", tests, NULL, NULL);
}
