#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "clock.h"
#include "help_peer.h"

/* ---- hello ---- */

static const struct {
	uint32_t offered, agreed;
} sizes[] = {
	{ 256, 256 }, { 16380, 16380 }, { 65532, 65532 },
	{ PEER_MAX_FRAME, PEER_MAX_FRAME }, { UINT32_MAX, PEER_MAX_FRAME },
};

static void test_hello_echoes_the_frame_size(void **state)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct writer o = play_writer();
		struct spop_frame f;
		struct spop_hello hello;

		help_hello(&o, sizes[i].offered, false);
		play_say_written(&o);
		f = play_expect_frame(SPOP_AGENT_HELLO);
		assert_int_equal(f.stream_id, 0);
		assert_int_equal(f.frame_id, 0);
		assert_int_equal(spop_read_hello(&f.payload, &hello),
		    SPOP_STATUS_NORMAL);
		assert_int_equal(hello.max_frame_size, sizes[i].agreed);
		assert_true(span_is_text(hello.capabilities, "pipelining"));
		assert_true(span_is_text(hello.versions, "2.0"));
		play_teardown(state);
		play_setup(state);
	}
}

static void test_a_health_check_is_answered_and_then_ignored(void **state)
{
	struct writer o = play_writer();

	(void)state;
	help_hello(&o, PLAY_MAX_FRAME, true);
	play_write_ask(&o, 1, 1);
	play_say_written(&o);
	play_expect_frame(SPOP_AGENT_HELLO);
	assert_int_equal(play.n_in, 0);
	assert_int_equal(play.worker.counters.healthchecks, 1);
	assert_int_equal(play.worker.counters.hellos, 0);
	play_hang_up();
	play_turn();
	assert_true(play_is_closed());
}

/* ---- asking ---- */

static void test_pipelined_asks_are_answered_in_one_stretch(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	for (uint64_t i = 0; i < 100; i++)
		play_write_ask(&o, 1000 + 7 * i, i + 1);
	play_say_written(&o);
	for (uint64_t i = 0; i < 100; i++)
		play_expect_ack(1000 + 7 * i, i + 1, true);
	assert_int_equal(play.n_in, 0);
	assert_int_equal(play.worker.counters.notifies, 100);
	assert_int_equal(help_picked(&play.pool), 100);
}

/* Hello and asks together, a byte at a time: the same answers. */
static void test_bytes_that_trickle_in_are_answered_alike(void **state)
{
	struct writer o = play_writer();

	(void)state;
	help_hello(&o, PLAY_MAX_FRAME, false);
	play_write_ask(&o, 1, 1);
	play_write_ask(&o, UINT64_MAX, UINT64_MAX);
	for (size_t i = 0; i < writer_len(&o); i++)
		play_say(play.out + i, 1);
	play_expect_frame(SPOP_AGENT_HELLO);
	play_expect_ack(1, 1, true);
	play_expect_ack(UINT64_MAX, UINT64_MAX, true);
	assert_int_equal(play.n_in, 0);
}

static void test_a_payload_of_any_kind_gets_its_ack(void **state)
{
	static const uint8_t garbage[] = { 0x04, 'p', 'i', 'c', 'k', 0xff, 0xff };
	struct writer o = play_writer();
	size_t begun;

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	begun = spop_begin(&o, SPOP_NOTIFY, 3, 1);
	spop_end(&o, begun);				/* empty */
	begun = spop_begin(&o, SPOP_NOTIFY, 5, 1);
	writer_bytes(&o, garbage, sizeof(garbage));
	spop_end(&o, begun);
	begun = spop_begin(&o, SPOP_NOTIFY, 7, 1);
	spop_write_message(&o, span_of("unknown"), 0);
	spop_end(&o, begun);
	play_write_ask(&o, 9, 1);
	play_say_written(&o);
	play_expect_ack(3, 1, false);
	play_expect_ack(5, 1, false);
	play_expect_ack(7, 1, false);
	play_expect_ack(9, 1, true);
	assert_int_equal(play.worker.counters.bad_messages, 1);
	assert_int_equal(play.worker.counters.unknown_messages, 1);
	assert_int_equal(play.worker.counters.bad_frames, 0);
}

/* A NOTIFY whose LEN is `len`, filled up with a body. */
static void write_frame_of(struct writer *o, size_t len)
{
	static char body[PLAY_BYTES];
	struct ask ask = help_ask("/other", "");
	size_t begun = writer_len(o);

	memset(body, 'x', sizeof(body));
	ask.body = (struct span){ body, len - 200 };
	do {
		writer_rewind(o, begun);
		help_notify(o, 1, 1, &ask);
		ask.body.len++;
	} while (writer_len(o) - begun - 4 < len);
	assert_int_equal(writer_len(o) - begun - 4, len);
}

static void test_a_frame_of_exactly_the_agreed_size_is_taken(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	write_frame_of(&o, PLAY_MAX_FRAME);
	play_say_written(&o);
	play_expect_ack(1, 1, true);
	o = play_writer();
	write_frame_of(&o, PLAY_MAX_FRAME + 1);
	play_say_written(&o);
	play_expect_disconnect(SPOP_STATUS_TOO_BIG);
}

/* An answer over the agreed size would cost HAProxy its connection. */
static void test_an_ack_fits_the_smallest_frame(void **state)
{
	static char name[400];
	struct writer o = play_writer();
	struct spop_frame f;

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t i = 0; i < 3; i++)
		play.pool.endpoints[i].name = (struct span){ name, sizeof(name) };
	play_shake_hands(SPOP_MIN_FRAME);
	play_write_ask(&o, 1, 1);
	assert_true(writer_len(&o) <= SPOP_MIN_FRAME);
	play_say_written(&o);
	assert_true(play.n_in <= SPOP_MIN_FRAME + 4);
	f = play_expect_frame(SPOP_ACK);
	assert_int_equal(f.stream_id, 1);
	assert_int_equal(reader_left(&f.payload), 6);	/* unset ep */
}

/* ---- the end ---- */

static void test_the_end_of_input_is_the_end(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	play_write_ask(&o, 1, 1);
	assert_int_equal(send(play.fd, play.out, writer_len(&o), 0), writer_len(&o));
	shutdown(play.fd, SHUT_WR);
	play_turn();
	play_turn();
	play_listen();
	play_expect_ack(1, 1, true);		/* what came before it is answered */
	assert_true(play.is_over);
	assert_true(play_is_closed());
}

static void test_a_peer_that_is_gone_costs_nothing(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	play_write_ask(&o, 1, 1);
	assert_int_equal(send(play.fd, play.out, writer_len(&o), 0), writer_len(&o));
	play_hang_up();	/* there is nobody to write the answer to */
	play_turn();
	play_turn();
	assert_true(play_is_closed());
}

static void test_draining_answers_what_is_there_and_says_goodbye(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	for (uint64_t i = 1; i <= 10; i++)
		play_write_ask(&o, i, 1);
	writer_be32(&o, 100);		/* and a half frame */
	assert_int_equal(send(play.fd, play.out, writer_len(&o), 0), writer_len(&o));
	peer_drain(play.peer);
	play_listen();
	for (uint64_t i = 1; i <= 10; i++)
		play_expect_ack(i, 1, true);
	play_expect_disconnect(SPOP_STATUS_NORMAL);
	peer_drain(play.peer);		/* twice does no harm */
	play_listen();
	assert_int_equal(play.n_in, 0);
	play_hang_up();
	play_turn();
	assert_true(play_is_closed());
}

static void test_draining_one_that_is_gone_closes_it(void **state)
{
	(void)state;
	play_hang_up();
	peer_drain(play.peer);
	assert_true(play_is_closed());
}

#define unit(f) cmocka_unit_test_setup_teardown(f, play_setup, play_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_hello_echoes_the_frame_size),
		unit(test_a_health_check_is_answered_and_then_ignored),
		unit(test_pipelined_asks_are_answered_in_one_stretch),
		unit(test_bytes_that_trickle_in_are_answered_alike),
		unit(test_a_payload_of_any_kind_gets_its_ack),
		unit(test_a_frame_of_exactly_the_agreed_size_is_taken),
		unit(test_an_ack_fits_the_smallest_frame),
		unit(test_the_end_of_input_is_the_end),
		unit(test_a_peer_that_is_gone_costs_nothing),
		unit(test_draining_answers_what_is_there_and_says_goodbye),
		unit(test_draining_one_that_is_gone_closes_it),
	};

	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
