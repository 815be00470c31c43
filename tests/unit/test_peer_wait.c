/* Those that keep a peer waiting, or are kept waiting by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "help_peer.h"

static void ask_once(void)
{
	struct writer o = play_writer();

	play_write_ask(&o, 1, 1);
	play_say_written(&o);
	play_expect_ack(1, 1, true);
}

/* ---- those that keep us waiting ---- */

static void sweep_in(int64_t ms)
{
	peer_sweep(play.peer, clock_ms() + ms);
}

enum { SLACK_MS = 2000 };	/* of the clock between a test's two looks */

static void test_one_that_does_not_say_hello_is_dropped(void **state)
{
	struct writer o = play_writer();

	(void)state;
	sweep_in(PEER_HELLO_TIMEOUT_MS - SLACK_MS);
	assert_false(play_is_closed());
	play_write_empty(&o, 99, SPOP_FLAG_FIN);
	play_write_empty(&o, 99, SPOP_FLAG_FIN);
	play_say(play.out, 1);			/* one byte does not buy more time */
	play_say(play.out + 1, 11);		/* nor does a frame that is skipped */
	sweep_in(PEER_HELLO_TIMEOUT_MS);
	assert_true(play_is_closed());
	assert_int_equal(play.worker.counters.timeouts, 1);
}

static void test_an_idle_one_is_kept_for_ever(void **state)
{
	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	sweep_in(1000 * 86400);
	ask_once();
	sweep_in(1000 * 86400);
	ask_once();
}

static void test_half_a_frame_and_silence_is_dropped(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	play_write_ask(&o, 1, 1);
	play_say(play.out, 20);
	sweep_in(PEER_FRAME_TIMEOUT_MS - SLACK_MS);
	play_say(play.out + 20, 1);
	sweep_in(PEER_FRAME_TIMEOUT_MS - SLACK_MS);
	assert_false(play_is_closed());
	sweep_in(PEER_FRAME_TIMEOUT_MS);
	assert_true(play_is_closed());
	assert_int_equal(play.worker.counters.timeouts, 1);
}

/* Under load each read may end inside a frame; each frame has its own time. */
static void test_a_new_frame_has_new_time(void **state)
{
	struct writer o = play_writer();
	size_t one;

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	play_write_ask(&o, 1, 1);
	one = writer_len(&o);
	play_write_ask(&o, 2, 1);
	play_say(play.out, 20);
	usleep(30 * 1000);	/* clock_ms() must move: the one real wait */
	int64_t then = clock_ms();

	play_say(play.out + 20, one);	/* the first whole, 20 bytes of the second */
	play_expect_ack(1, 1, true);
	peer_sweep(play.peer, then - 1 + PEER_FRAME_TIMEOUT_MS);
	assert_false(play_is_closed());
	play_say(play.out + 20 + one, one - 20);
	play_expect_ack(2, 1, true);
	sweep_in(1000 * 86400);
	assert_false(play_is_closed());
}

/* Asks until the socket takes no more; returns how many ACK bytes are due. */
static size_t flood(void)
{
	struct writer o = play_writer();
	size_t sent = 0, idle = 0;

	for (int i = 0; i < 200; i++)
		play_write_ask(&o, 1, 1);
	while (idle < 3) {
		ssize_t n = send(play.fd, play.out, writer_len(&o),
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		/* Whole bursts only, or the stream would lose its frames. */
		if (n > 0 && (size_t)n < writer_len(&o)) {
			while ((size_t)n < writer_len(&o)) {
				play_turn();
				ssize_t m = send(play.fd, play.out + n,
				    writer_len(&o) - (size_t)n,
				    MSG_DONTWAIT | MSG_NOSIGNAL);
				if (m <= 0)
					return sent;
				n += m;
			}
		}
		sent += n > 0 ? 200 : 0;
		idle = n > 0 ? 0 : idle + 1;
		play_turn();
		if (play_is_closed())
			break;
	}
	return sent;
}

static void test_one_that_never_reads_is_bounded_and_dropped(void **state)
{
	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	flood();
	assert_false(play_is_closed());	/* it waits; we do not read on */
	for (int i = 0; i < 100; i++)
		play_turn();
	uint64_t before = play.worker.counters.notifies;

	(void)send(play.fd, play.out, 1000, MSG_DONTWAIT | MSG_NOSIGNAL);
	play_turn();
	assert_int_equal(play.worker.counters.notifies, before);
	sweep_in(PEER_FRAME_TIMEOUT_MS);
	assert_true(play_is_closed());
}

static void test_one_that_reads_late_gets_every_answer(void **state)
{
	uint64_t acks = 0;

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	flood();
	for (int i = 0; i < 20000; i++) {
		struct spop_frame f;

		play_listen();
		while (play_next_frame(&f)) {
			assert_int_equal(f.type, SPOP_ACK);
			acks++;
		}
		play_turn();
		if (acks == play.worker.counters.notifies && play.n_in == 0 && i > 100)
			break;
	}
	assert_true(acks > 1000);
	assert_int_equal(acks, play.worker.counters.notifies);
	assert_false(play_is_closed());
}

#define unit(f) cmocka_unit_test_setup_teardown(f, play_setup, play_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_one_that_does_not_say_hello_is_dropped),
		unit(test_an_idle_one_is_kept_for_ever),
		unit(test_half_a_frame_and_silence_is_dropped),
		unit(test_a_new_frame_has_new_time),
		unit(test_one_that_never_reads_is_bounded_and_dropped),
		unit(test_one_that_reads_late_gets_every_answer),
	};

	return cmocka_run_group_tests_name("peer_wait", tests, NULL, NULL);
}
