/* Asks that wait: what their connection is told meanwhile, and in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "books.h"
#include "clock.h"
#include "epoch.h"
#include "flow_control.h"
#include "held.h"
#include "help_flow.h"
#include "help_peer.h"
#include "mailbox.h"
#include "record.h"

enum { BODY_BYTES = sizeof(PLAY_BODY) - 1, WORKER = 0, FLOW = 1, READERS = 2 };

static struct worker *const w = &play.worker;

static void publish(void)
{
	help_publish(w->fleet, w->flow, &play.pool);
}

static void publish_room(void)
{
	help_clear(&play.pool);
	publish();
}

static void publish_limits(struct flow_options limits)
{
	play.pool.options.flow.queue = limits;
	play.pool.options.number++;
	publish();
}

/* ---- asking ---- */

static void write_get(struct writer *o, uint64_t stream, uint64_t frame)
{
	struct ask ask = { .pool = span_of("pool"), .path = span_of("/v1/models"),
		.method = span_of("GET") };

	help_notify(o, stream, frame, &ask);
}

static void say_ask(uint64_t stream, uint64_t frame)
{
	struct writer o = play_writer();

	play_write_ask(&o, stream, frame);
	play_say_written(&o);
}

static void say_get(uint64_t stream)
{
	struct writer o = play_writer();

	write_get(&o, stream, 1);
	play_say_written(&o);
	play_expect_ack(stream, 1, true);
}

/* It waits: nothing was answered, and the flow thread has it. */
static void hold(uint64_t stream, uint64_t frame)
{
	uint64_t n = flow_control_counters(w->flow)->held;

	say_ask(stream, frame);
	assert_int_equal(play.n_in, 0);
	help_await_held(w->flow, n + 1);
}

/* ---- answers ---- */

static void await_bytes(void)
{
	int64_t begun = clock_ms();

	while (play.n_in == 0) {
		play_turn();
		play_listen();
		help_still_in_time(begun);
	}
}

static void expect_late_ack(uint64_t stream, uint64_t frame)
{
	await_bytes();
	play_expect_ack(stream, frame, true);
}

/* The status of the next ACK, which is of that stream; 0: none. */
static int next_status(uint64_t stream, const char *reason)
{
	struct spop_frame f = play_expect_frame(SPOP_ACK);
	struct help_actions got;

	assert_int_equal(f.stream_id, stream);
	assert_true(help_read_actions(f.payload, &got));
	assert_int_equal(help_text(&got, "ep").len, 0);
	assert_true(span_is_text(help_text(&got, "reason"), reason));
	return help_var(&got, "status") != NULL ?
	    (int)help_var(&got, "status")->number : 0;
}

static void expect_refusal(uint64_t stream, int status, const char *reason)
{
	await_bytes();
	assert_int_equal(next_status(stream, reason), status);
}

/* Until all of the flow thread's mail has come; then nothing of it was said. */
static void expect_silence(void)
{
	for (int i = 0; i < 10; i++) {
		play_turn();
		play_listen();
	}
	assert_int_equal(play.n_in, 0);
}

static void expect_left(uint64_t n)
{
	help_await_nobody_held(&play.pool);
	assert_int_equal(flow_control_counters(w->flow)->gone, n);
	assert_int_equal(books_count(w->books), 0);
	publish_room();
	expect_silence();
	assert_int_equal(help_picked(&play.pool), 0);
}

/* ---- waiting ---- */

static void test_one_that_waits_is_acked_when_it_is_decided(void **state)
{
	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	hold(7, 3);
	assert_int_equal(w->counters.notifies, 0);
	assert_int_equal(help_n_held(&play.pool), 1);
	publish();
	expect_silence();
	publish_room();
	expect_late_ack(7, 3);
	assert_int_equal(play.n_in, 0);
	assert_int_equal(w->counters.notifies, 1);
	assert_int_equal(help_n_held(&play.pool), 0);
	assert_int_equal(help_picked(&play.pool), 1);
	say_ask(9, 4);			/* and the connection is as it was */
	play_expect_ack(9, 4, true);
}

/* In one write: those that need not wait are answered past those that do. */
static void test_others_on_the_connection_are_answered_meanwhile(void **state)
{
	struct writer o = play_writer();
	struct ask other = help_ask("/v1/completions", PLAY_BODY);
	struct ask bad = help_ask("/v1/completions", "{");

	(void)state;
	other.pool = span_of("nobody");
	play_shake_hands(PLAY_MAX_FRAME);
	play_write_ask(&o, 1, 1);
	write_get(&o, 2, 1);
	play_write_ask(&o, 3, 2);
	help_notify(&o, 4, 1, &other);
	help_notify(&o, 5, 1, &bad);
	play_write_ask(&o, UINT64_MAX, UINT64_MAX);
	play_say_written(&o);
	play_expect_ack(2, 1, true);
	play_expect_ack(4, 1, false);
	assert_int_equal(next_status(5, ""), 400);
	assert_int_equal(play.n_in, 0);
	help_await_held(w->flow, 3);
	publish_room();
	expect_late_ack(1, 1);
	expect_late_ack(3, 2);
	expect_late_ack(UINT64_MAX, UINT64_MAX);
	assert_int_equal(w->counters.notifies, 6);
}

/* Not past those who came before: the first that waits makes all wait. */
static void test_many_are_each_acked_once_in_their_order(void **state)
{
	enum { MANY = 300 };
	struct writer o = play_writer();

	(void)state;
	play.pool.options.saturation.queue_depth = MANY;
	help_fill(&play.pool);
	play.pool.options.number++;
	publish();
	play_shake_hands(PLAY_MAX_FRAME);
	for (uint64_t i = 0; i < MANY; i++)
		play_write_ask(&o, 1000 - 3 * i, i * 7);
	for (size_t at = 0, n = 0; at < writer_len(&o); at += n) {
		n = writer_len(&o) - at < 1000 ? writer_len(&o) - at : 1000;
		play_say(play.out + at, n);
	}
	assert_int_equal(play.n_in, 0);
	help_await_held(w->flow, MANY);
	publish_room();
	for (uint64_t i = 0; i < MANY; i++)
		expect_late_ack(1000 - 3 * i, i * 7);
	expect_silence();
}

static void test_a_late_ack_fits_the_frame_too(void **state)
{
	static char name[400];
	struct spop_frame f;

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t i = 0; i < 3; i++)
		play.pool.endpoints[i].name = (struct span){ name, sizeof(name) };
	play_shake_hands(SPOP_MIN_FRAME);
	hold(1, 1);
	publish_room();
	await_bytes();
	assert_true(play.n_in <= SPOP_MIN_FRAME + 4);
	f = play_expect_frame(SPOP_ACK);
	assert_int_equal(f.stream_id, 1);
	assert_int_equal(reader_left(&f.payload), 6);	/* unset ep */
}

/* What they hold is the body that was seen, and the rest that was not. */
static void test_bodies_count_for_the_limit(void **state)
{
	struct ask ask = help_ask("/v1/completions", PLAY_BODY);
	struct writer o = play_writer();

	(void)state;
	publish_limits((struct flow_options){ .max_bytes = 2 * BODY_BYTES + 99 });
	play_shake_hands(PLAY_MAX_FRAME);
	hold(1, 1);
	ask.body_len = BODY_BYTES + 100;
	help_notify(&o, 2, 1, &ask);
	play_say_written(&o);
	expect_refusal(2, 429, "rejected-saturated");
	o = play_writer();
	ask.body_len--;
	help_notify(&o, 3, 1, &ask);
	play_say_written(&o);
	assert_int_equal(play.n_in, 0);
	publish_room();
	expect_late_ack(1, 1);
	expect_late_ack(3, 1);
}

static void test_who_cannot_be_held_is_refused_at_once(void **state)
{
	static const struct ask nothing;
	static const struct request r = { .ask = &nothing };
	static struct held *all[HELD_MAX];

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	for (size_t i = 0; i < HELD_MAX; i++)
		all[i] = held_new(&r);
	say_ask(1, 1);
	assert_int_equal(next_status(1, "rejected-saturated"), 429);
	assert_int_equal(w->counters.shed, 1);
	play.pool.view.n_endpoints = 0;		/* nobody, rather than too many */
	publish();
	say_ask(2, 1);
	assert_int_equal(next_status(2, "rejected-no-endpoints"), 503);
	for (size_t i = 0; i < HELD_MAX; i++)
		held_unref(all[i]);
	assert_int_equal(help_n_held(&play.pool), 0);
	play.pool.view.n_endpoints = 3;
	publish();
	hold(3, 1);
}

/* ---- leaving ---- */

static void test_a_closed_connection_gives_its_places_up(void **state)
{
	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	for (uint64_t i = 1; i <= 20; i++)
		hold(i, 1);
	play_hang_up();
	play_turn();
	assert_true(play_is_closed());
	expect_left(20);
}

static void test_a_closed_connection_may_have_room_just_then(void **state)
{
	int64_t begun = clock_ms();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	hold(1, 1);
	publish_room();
	while (help_n_held(&play.pool) > 0)	/* its answer is in the mail */
		help_still_in_time(begun);
	play_hang_up();
	list_each(link, after, &w->peers)
		peer_close(peer_of(link));
	for (int i = 0; i < 10; i++)
		play_turn();
	assert_int_equal(help_picked(&play.pool), 1);
}

static void test_one_may_ask_to_wait_no_longer(void **state)
{
	static const char *const pairs[] = {
		"x-llm-d-inference-ttl", "1ms", NULL,
	};
	struct ask ask = help_ask("/v1/completions", PLAY_BODY);
	struct writer o = play_writer();
	char bytes[64];

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	ask.headers = help_headers(pairs, bytes, sizeof(bytes));
	help_notify(&o, 1, 1, &ask);
	play_say_written(&o);
	expect_refusal(1, 429, "rejected-ttl-expired");
}

/* The connection is as good as closed, though HAProxy may keep it for a while. */
static void test_a_goodbye_gives_its_places_up(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	hold(1, 1);
	hold(2, 1);
	spop_write_disconnect(&o, SPOP_HAPROXY_DISCONNECT, SPOP_STATUS_NORMAL);
	play_say_written(&o);
	play_expect_disconnect(SPOP_STATUS_NORMAL);
	assert_false(play_is_closed());
	expect_left(2);
}

static void test_a_wrong_frame_gives_its_places_up(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	hold(1, 1);
	write_get(&o, 2, 1);
	play_write_empty(&o, SPOP_ACK, SPOP_FLAG_FIN);
	play_say_written(&o);
	play_expect_ack(2, 1, true);
	play_expect_disconnect(SPOP_STATUS_INVALID);
	expect_left(1);
}

/* HAProxy's line for one of them: it is not picked for, the other is. */
static void test_a_line_gives_one_place_up(void **state)
{
	const struct record r = { .id = span_of("id-1"), .pool = span_of("pool"),
		.ts = { 'C', 'H' }, .ttft_us = -1 };
	struct ask ask = help_ask("/v1/completions", PLAY_BODY);
	struct writer o = play_writer();
	static struct counters c;
	struct held *h;

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	hold(1, 1);
	ask.id = span_of("id-2");
	help_notify(&o, 2, 1, &ask);
	play_say_written(&o);
	help_await_held(w->flow, 2);
	h = books_end(w->books, epoch_get(w->fleet), &r, clock_us(), &c);
	assert_non_null(h);
	flow_control_leave(w->flow, h);
	await_bytes();			/* nobody reads it; it is one all the same */
	play_expect_ack(1, 1, false);
	publish_room();
	expect_late_ack(2, 1);
	assert_int_equal(help_picked(&play.pool), 1);
}

/* Late answers buy no time for one that does not read. */
static void test_one_that_never_reads_is_dropped_in_time(void **state)
{
	struct writer o = play_writer();
	uint64_t before;
	int64_t then;

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	hold(1, 1);
	write_get(&o, 2, 1);
	do {		/* whole frames only; till they are not taken any more */
		before = w->counters.notifies;
		for (int i = 0; i < 500; i++)
			(void)send(play.fd, play.out, writer_len(&o),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		play_turn();
	} while (w->counters.notifies > before);
	then = clock_ms();
	while (clock_ms() == then)
		;
	publish_room();
	help_await_nobody_held(&play.pool);
	while (w->counters.notifies == before)
		play_turn();
	assert_false(play_is_closed());
	peer_sweep(play.peer, then + PEER_FRAME_TIMEOUT_MS);
	assert_true(play_is_closed());
}

/* ---- draining ---- */

static void test_draining_waits_for_those_that_wait(void **state)
{
	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	hold(1, 1);
	hold(2, 5);
	w->is_draining = true;
	peer_drain(play.peer);
	expect_silence();
	say_get(3);			/* it is served till then */
	assert_int_equal(play.n_in, 0);
	flow_control_drain(w->flow);
	expect_late_ack(1, 1);
	expect_late_ack(2, 5);
	await_bytes();
	play_expect_disconnect(SPOP_STATUS_NORMAL);
	peer_drain(play.peer);		/* twice does no harm */
	expect_silence();
	play_hang_up();
	play_turn();
	assert_true(play_is_closed());
}

static void test_draining_refuses_those_that_wait_where_it_fails_close(
    void **state)
{
	(void)state;
	play.pool.options.failure_mode = FAIL_CLOSE;
	play.pool.options.number++;
	publish();
	play_shake_hands(PLAY_MAX_FRAME);
	hold(1, 1);
	w->is_draining = true;
	flow_control_drain(w->flow);
	peer_drain(play.peer);
	expect_refusal(1, 503, "rejected-shutting-down");
	await_bytes();
	play_expect_disconnect(SPOP_STATUS_NORMAL);
}

/* What arrives while all is drained still waits, for a moment. */
static void test_one_that_arrives_as_it_drains_is_answered_first(void **state)
{
	struct writer o = play_writer();

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	w->is_draining = true;
	flow_control_drain(w->flow);
	play_write_ask(&o, 1, 1);
	assert_int_equal(send(play.fd, play.out, writer_len(&o), 0),
	    writer_len(&o));
	peer_drain(play.peer);
	expect_late_ack(1, 1);
	await_bytes();
	play_expect_disconnect(SPOP_STATUS_NORMAL);
}

static void test_a_held_one_that_hangs_up_ends_its_draining(void **state)
{
	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	hold(1, 1);
	w->is_draining = true;
	peer_drain(play.peer);
	play_hang_up();
	play_turn();
	assert_true(play_is_closed());
	expect_left(1);
}

/* ---- too busy ---- */

static const struct {
	enum failure_mode mode;
	bool waits, is_full;
	int status;
} busies[] = {
	{ FAIL_OPEN, false, false, 0 }, { FAIL_CLOSE, false, false, 503 },
	{ FAIL_OPEN, true, true, 0 }, { FAIL_CLOSE, true, true, 503 },
};

static void test_one_that_is_late_is_answered_at_once_unscheduled(void **state)
{
	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	for (uint64_t i = 0; i < sizeof(busies) / sizeof(*busies); i++) {
		play.pool.options.failure_mode = busies[i].mode;
		play.pool.options.flow.enabled = busies[i].waits;
		play.pool.options.number++;
		if (busies[i].is_full)
			help_fill(&play.pool);
		else
			help_clear(&play.pool);
		publish();
		play.late_us = PEER_OVERLOAD_US + 1;
		say_ask(i, 1);
		assert_int_equal(next_status(i, ""), busies[i].status);
		assert_int_equal(play.n_in, 0);
		assert_int_equal(w->counters.overloaded, i + 1);
	}
	assert_int_equal(w->counters.no_pick, 2);
	assert_int_equal(w->counters.refused, 2);
	assert_int_equal(help_picked(&play.pool), 0);
	assert_int_equal(help_n_held(&play.pool), 0);
	play.late_us = -60 * 1000 * 1000;
	publish_room();
	say_ask(9, 1);
	play_expect_ack(9, 1, true);
}

static void test_one_that_is_late_says_why(void **state)
{
	struct writer o = play_writer();
	struct spop_frame f;
	struct help_actions got;

	(void)state;
	play_shake_hands(PLAY_MAX_FRAME);
	play.late_us = PEER_OVERLOAD_US + 1;
	write_get(&o, 1, 1);
	play_say_written(&o);
	f = play_expect_frame(SPOP_ACK);
	assert_true(help_read_actions(f.payload, &got));
	assert_true(span_is_text(help_text(&got, "message"),
	    "the picker is overloaded"));
	assert_int_equal(got.n, 1);
}

/* Without anybody to let it wait: as when too many wait. */
static void test_without_flow_control_nobody_waits(void **state)
{
	struct flow_control *flow = w->flow;

	(void)state;
	w->flow = NULL;
	play_shake_hands(PLAY_MAX_FRAME);
	say_ask(1, 1);
	assert_int_equal(next_status(1, "rejected-saturated"), 429);
	w->flow = flow;
}

/* ---- */

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

static int setup(void **state)
{
	const struct feedback_options o = { .max_requests = 1024,
		.server_timeout_ms = 60000 };

	if (play_setup(state) != 0)
		return -1;
	play.pool.options.number = 1;
	play.pool.options.flow = (struct flow_control_options){ .enabled = true,
		.ttl_ms = 60000, .empty_ttl_ms = 60000 };
	help_fill(&play.pool);
	epoch_free(w->fleet);
	w->fleet = epoch_new(READERS, help_fleet(&play.pool), help_fleet_retire);
	w->mailbox = mailbox_new(w->loop, 1024, on_mail, on_drop, NULL);
	w->books = books_new(&o, 1);
	w->flow = flow_control_start(w->fleet, FLOW, w->books);
	return w->flow == NULL;
}

static int teardown(void **state)
{
	list_each(link, after, &w->peers)
		peer_close(peer_of(link));
	flow_control_stop(w->flow);
	mailbox_free(w->mailbox);
	books_free(w->books);
	return play_teardown(state);
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_one_that_waits_is_acked_when_it_is_decided),
		unit(test_others_on_the_connection_are_answered_meanwhile),
		unit(test_many_are_each_acked_once_in_their_order),
		unit(test_a_late_ack_fits_the_frame_too),
		unit(test_bodies_count_for_the_limit),
		unit(test_who_cannot_be_held_is_refused_at_once),
		unit(test_a_closed_connection_gives_its_places_up),
		unit(test_a_closed_connection_may_have_room_just_then),
		unit(test_one_may_ask_to_wait_no_longer),
		unit(test_a_goodbye_gives_its_places_up),
		unit(test_a_wrong_frame_gives_its_places_up),
		unit(test_a_line_gives_one_place_up),
		unit(test_one_that_never_reads_is_dropped_in_time),
		unit(test_draining_waits_for_those_that_wait),
		unit(test_draining_refuses_those_that_wait_where_it_fails_close),
		unit(test_one_that_arrives_as_it_drains_is_answered_first),
		unit(test_a_held_one_that_hangs_up_ends_its_draining),
		unit(test_one_that_is_late_is_answered_at_once_unscheduled),
		unit(test_one_that_is_late_says_why),
		unit(test_without_flow_control_nobody_waits),
	};

	return cmocka_run_group_tests_name("peer_held", tests, NULL, NULL);
}
