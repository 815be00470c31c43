/* One conversation, of which another process answers the rest; here it is us again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "epoch.h"
#include "flow_control.h"
#include "handover.h"
#include "held.h"
#include "help_flow.h"
#include "help_peer.h"
#include "mailbox.h"
#include "rng.h"

enum { FLOW = 1, READERS = 2, SLACK_MS = 2000, BIG = 100 * 1000 };

static struct worker *const w = &play.worker;
static struct ev_loop *theirs;		/* the new process's */
static struct handover *giver, *taker;
static struct handed *handed;

/* The last one; where there are more the others do not matter. */
static void on_handed(void *data, struct handed *c)
{
	(void)data;
	if (handed != NULL)
		handed_free(handed);
	handed = c;
}

static void take(void)
{
	ev_run(theirs, EVRUN_NOWAIT);
}

static bool has_gone(void)
{
	take();
	return handed != NULL;
}

static void drain(void)
{
	w->is_draining = true;
	w->handover = giver;
	w->handover_is_full = false;
	peer_drain(play.peer);
}

static void adopt(void)
{
	assert_non_null(handed);
	w->is_draining = false;
	w->handover = NULL;
	play.peer = peer_adopt(w, handed->fd, handed->max_frame,
	    handed->bytes, handed->len);
	assert_non_null(play.peer);
	handed->fd = -1;
	handed_free(handed);
	handed = NULL;
}

static void go_over(void)
{
	drain();
	assert_true(play_is_closed());
	assert_true(has_gone());
	play_listen();
	assert_int_equal(play.n_in, 0);		/* nobody said goodbye */
	adopt();
}

static void expect_stays(void)
{
	assert_false(play_is_closed());
	assert_false(has_gone());
	play_listen();
	assert_int_equal(play.n_in, 0);
}

static void ask_once(uint64_t stream)
{
	struct writer o = play_writer();

	play_write_ask(&o, stream, 1);
	play_say_written(&o);
	play_expect_ack(stream, 1, true);
	assert_int_equal(play.n_in, 0);
}

static void connect_anew(void)
{
	int pair[2];

	play_hang_up();
	list_each(link, after, &w->peers)
		peer_close(peer_of(link));
	play.n_in = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	play.fd = pair[0];
	play.peer = peer_open(w, pair[1]);
	assert_non_null(play.peer);
}

/* ---- nothing twice, nothing lost ---- */

static struct writer write_conversation(void)
{
	struct writer o = play_writer();

	help_hello(&o, PLAY_MAX_FRAME, false);
	for (uint64_t i = 1; i <= 3; i++)
		play_write_ask(&o, i, i + 10);
	return o;
}

static void expect_answers(void)
{
	play_expect_frame(SPOP_AGENT_HELLO);
	for (uint64_t i = 1; i <= 3; i++)
		play_expect_ack(i, i + 10, true);
	assert_int_equal(play.n_in, 0);
}

/* What is before the cut was read by the old process, or has only arrived there. */
static void cut_at(size_t cut, bool is_read)
{
	struct writer o = write_conversation();
	size_t len = writer_len(&o);

	connect_anew();
	assert_int_equal(send(play.fd, play.out, cut, MSG_NOSIGNAL), cut);
	if (is_read) {
		play_turn();
		play_listen();
	}
	drain();
	assert_true(play_is_closed() && has_gone());
	adopt();
	play_say(play.out + cut, len - cut);
	play_turn();
	play_listen();
	expect_answers();
}

static void test_wherever_it_is_cut_the_answers_are_the_same(void **state)
{
	struct writer o = write_conversation();
	size_t len = writer_len(&o);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		cut_at(cut, true);
		cut_at(cut, false);
	}
	assert_int_equal(help_picked(&play.pool), 3 * 2 * len);
	assert_int_equal(w->counters.bad_frames, 0);
}

static void test_it_may_go_over_with_each_byte(void **state)
{
	struct writer o = write_conversation();

	(void)state;
	for (size_t i = 0; i < writer_len(&o); i++) {
		play_say(play.out + i, 1);
		drain();
		assert_true(play_is_closed() && has_gone());
		adopt();
	}
	expect_answers();
	assert_int_equal(help_picked(&play.pool), 3);
}

/* Twenty streams on one connection: some answered, one cut, the rest not read. */
static void test_pipelined_asks_are_each_answered_once(void **state)
{
	struct writer o = play_writer();
	size_t cut = 0;

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	for (uint64_t i = 1; i <= 20; i++) {
		play_write_ask(&o, 2 * i - 1, 1);
		cut = i == 7 ? writer_len(&o) + 30 : cut;
	}
	play_say(play.out, cut);
	for (uint64_t i = 1; i <= 7; i++)
		play_expect_ack(2 * i - 1, 1, true);
	assert_int_equal(send(play.fd, play.out + cut, writer_len(&o) - cut,
		MSG_NOSIGNAL), writer_len(&o) - cut);
	go_over();
	play_turn();
	play_listen();
	for (uint64_t i = 8; i <= 20; i++)
		play_expect_ack(2 * i - 1, 1, true);
	assert_int_equal(play.n_in, 0);
	assert_int_equal(help_picked(&play.pool), 20);
}

static void test_the_agreed_size_goes_with_it(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(SPOP_MIN_FRAME + 7);
	go_over();
	ask_once(1);
	writer_be32(&o, SPOP_MIN_FRAME + 8);
	play_say_written(&o);
	play_expect_disconnect(SPOP_STATUS_TOO_BIG);
}

static void test_one_that_has_hung_up_goes_and_ends(void **state)
{
	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	play_hang_up();
	drain();
	assert_true(play_is_closed() && has_gone());
	adopt();
	play_turn();
	assert_true(play_is_closed());
}

/* ---- who stays, and how long ---- */

static void test_one_that_was_told_all_stays(void **state)
{
	struct writer o = play_writer();

	(void)state;
	help_hello(&o, PLAY_MAX_FRAME, true);
	play_say_written(&o);
	play_expect_frame(SPOP_AGENT_HELLO);
	drain();
	expect_stays();
}

static void send_asks_unread(void)
{
	struct writer o = play_writer();
	uint64_t before;

	play_write_ask(&o, 1, 1);
	do {		/* whole frames only; till they are not taken any more */
		before = w->counters.notifies;
		for (int i = 0; i < 500; i++)
			(void)send(play.fd, play.out, writer_len(&o),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		play_turn();
	} while (w->counters.notifies > before);
}

static void test_one_that_does_not_read_stays_till_it_does(void **state)
{
	uint64_t acks = 0;
	struct spop_frame f;

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	send_asks_unread();
	drain();
	assert_false(play_is_closed() || has_gone());
	for (int i = 0; i < 20000 && !has_gone(); i++) {
		play_listen();
		while (play_next_frame(&f) && ++acks > 0)
			assert_int_equal(f.type, SPOP_ACK);
		play_turn();
		if (!play_is_closed())
			peer_drain(play.peer);
	}
	adopt();
	for (int i = 0; i < 20000 && acks < w->counters.notifies; i++) {
		play_turn();
		play_listen();
		while (play_next_frame(&f) && ++acks > 0)
			assert_int_equal(f.type, SPOP_ACK);
	}
	assert_true(acks > 1000);
	assert_int_equal(acks, w->counters.notifies);
	assert_int_equal(help_picked(&play.pool), acks);
	ask_once(2);
}

static void test_a_front_too_long_to_send_is_read_to_its_end(void **state)
{
	static char body[BIG];
	struct ask ask = help_ask("/other", "");
	struct writer o = play_writer();
	size_t len;

	(void)state;
	memset(body, 'x', sizeof(body));
	ask.body = (struct span){ body, sizeof(body) };
	play_shake_hands(PEER_MAX_FRAME);
	help_notify(&o, 1, 1, &ask);
	len = writer_len(&o);
	play_say(play.out, len - 1);
	drain();
	expect_stays();
	assert_ptr_equal(w->handover, giver);	/* the others may still go */
	assert_false(w->handover_is_full);
	play_say(play.out + len - 1, 1);
	play_expect_ack(1, 1, true);
	go_over();
	ask_once(2);
}

static void fill_up(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	while (handover_give(giver, pair[1], 256, (struct span){ 0 }) == 0)
		;
	close(pair[0]);
	close(pair[1]);
}

static void empty(void)
{
	while (has_gone()) {
		handed_free(handed);
		handed = NULL;
	}
}

static void test_while_there_is_no_room_it_is_served_here(void **state)
{
	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	fill_up();
	drain();
	assert_false(play_is_closed());
	assert_true(w->handover_is_full);	/* nobody else tries in vain */
	ask_once(1);
	empty();
	peer_drain(play.peer);
	assert_false(play_is_closed());
	go_over();
	ask_once(2);
}

static void test_when_nobody_takes_any_more_it_is_told_goodbye(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	handover_close(taker);
	taker = NULL;
	play_write_ask(&o, 1, 1);
	assert_int_equal(send(play.fd, play.out, writer_len(&o), 0), writer_len(&o));
	drain();
	assert_false(play_is_closed());
	assert_null(w->handover);
	peer_drain(play.peer);
	play_listen();
	play_expect_ack(1, 1, true);
	play_expect_disconnect(SPOP_STATUS_NORMAL);
}

/* ---- asks that wait ---- */

static void on_mail(void *data, void *mail)
{
	(void)data;
	peer_answer_held(mail);
}

static void on_drop(void *data, void *mail)
{
	(void)data;
	held_drop(mail);
}

static void start_flow(void)
{
	play.pool.options.number = 1;
	play.pool.options.flow = (struct flow_control_options){ .enabled = true,
		.ttl_ms = 60000, .empty_ttl_ms = 60000 };
	help_fill(&play.pool);
	epoch_free(w->fleet);
	w->fleet = epoch_new(READERS, help_fleet(&play.pool), help_fleet_retire);
	w->mailbox = mailbox_new(w->loop, 1024, on_mail, on_drop, NULL);
	w->flow = flow_control_start(w->fleet, FLOW, NULL);
	assert_non_null(w->flow);
}

static void stop_flow(void)
{
	list_each(link, after, &w->peers)
		peer_close(peer_of(link));
	flow_control_stop(w->flow);
	mailbox_free(w->mailbox);
	w->flow = NULL;
}

static void await_ack(uint64_t stream)
{
	int64_t begun = clock_ms();

	while (play.n_in == 0) {
		play_turn();
		play_listen();
		help_still_in_time(begun);
	}
	play_expect_ack(stream, 1, true);
}

/* Its answer is ours to give, and the last one is when it goes: at once. */
static void test_one_that_waits_goes_when_it_is_answered(void **state)
{
	struct writer o = play_writer();

	(void)state;
	start_flow();
	play_shake_hands(PLAY_MAX_FRAME);
	play_write_ask(&o, 1, 1);
	play_write_ask(&o, 2, 1);
	play_say_written(&o);
	help_await_held(w->flow, 2);
	drain();
	expect_stays();
	flow_control_drain(w->flow);
	await_ack(1);
	await_ack(2);
	assert_true(play_is_closed() && has_gone());
	assert_int_equal(play.n_in, 0);
	help_clear(&play.pool);
	help_publish(w->fleet, w->flow, &play.pool);
	adopt();
	ask_once(3);
	stop_flow();
}

/* ---- adopted ---- */

static void adopt_with(uint32_t max_frame, const void *bytes, size_t len)
{
	int pair[2];

	connect_anew();
	play_hang_up();
	peer_close(play.peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	play.fd = pair[0];
	play.peer = peer_adopt(w, pair[1], max_frame, bytes, len);
	assert_non_null(play.peer);
}

static void sweep_in(int64_t ms)
{
	peer_sweep(play.peer, clock_ms() + ms);
}

static const struct {
	uint32_t max_frame;
	size_t len;
	int64_t deadline_ms;		/* 0: none */
} waits[] = {
	{ 0, 0, PEER_HELLO_TIMEOUT_MS }, { 0, 20, PEER_HELLO_TIMEOUT_MS },
	{ PLAY_MAX_FRAME, 20, PEER_FRAME_TIMEOUT_MS },
	{ PLAY_MAX_FRAME, 0, 0 },
};

static void test_an_adopted_one_has_the_time_of_a_new_one(void **state)
{
	static const uint8_t bytes[20] = { 0, 0, 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		adopt_with(waits[i].max_frame, bytes, waits[i].len);
		if (waits[i].deadline_ms == 0) {
			sweep_in(1000 * 86400);
			ask_once(1);
			continue;
		}
		sweep_in(waits[i].deadline_ms - SLACK_MS);
		assert_false(play_is_closed());
		sweep_in(waits[i].deadline_ms);
		assert_true(play_is_closed());
	}
}

/* No process of ours sends that; the next bytes show what it is. */
static void test_bytes_that_are_no_front_of_a_frame_do_no_harm(void **state)
{
	struct writer o = play_writer();
	struct rng rng = { 1 };
	uint8_t bytes[1000];

	(void)state;
	play_write_ask(&o, 1, 1);
	adopt_with(PLAY_MAX_FRAME, play.out, writer_len(&o));	/* a whole one */
	play_say(play.out, writer_len(&o));
	play_expect_ack(1, 1, true);
	play_expect_ack(1, 1, true);
	for (int i = 0; i < 500; i++) {
		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)rng_next(&rng);
		bytes[0] = bytes[1] = bytes[2] = 0;
		bytes[i % 4] |= 1;
		adopt_with(i % 2 == 0 ? 0 : PLAY_MAX_FRAME, bytes,
		    rng_below(&rng, sizeof(bytes)));
		play_say(bytes, sizeof(bytes));
		if (!play_is_closed())
			sweep_in(PEER_FRAME_TIMEOUT_MS);
		assert_true(play_is_closed());
	}
}

static int setup(void **state)
{
	int fd;

	if (play_setup(state) != 0)
		return -1;
	theirs = ev_loop_new(EVFLAG_AUTO);
	giver = handover_open(&fd);
	taker = handover_inherit(fd, getpid());
	if (taker == NULL)
		return -1;
	handover_take(taker, theirs, on_handed, NULL);
	return 0;
}

static int teardown(void **state)
{
	handover_close(giver);
	handover_close(taker);
	ev_loop_destroy(theirs);
	play_teardown(state);
	buf_fini(&w->spare);
	return 0;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_wherever_it_is_cut_the_answers_are_the_same),
		unit(test_it_may_go_over_with_each_byte),
		unit(test_pipelined_asks_are_each_answered_once),
		unit(test_the_agreed_size_goes_with_it),
		unit(test_one_that_has_hung_up_goes_and_ends),
		unit(test_one_that_was_told_all_stays),
		unit(test_one_that_does_not_read_stays_till_it_does),
		unit(test_a_front_too_long_to_send_is_read_to_its_end),
		unit(test_while_there_is_no_room_it_is_served_here),
		unit(test_when_nobody_takes_any_more_it_is_told_goodbye),
		unit(test_one_that_waits_goes_when_it_is_answered),
		unit(test_an_adopted_one_has_the_time_of_a_new_one),
		unit(test_bytes_that_are_no_front_of_a_frame_do_no_harm),
	};

	return cmocka_run_group_tests_name("peer_handover", tests, NULL, NULL);
}
