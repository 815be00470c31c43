#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "epoch.h"
#include "help_peer.h"
#include "log.h"

struct play play;

static void retire_nothing(void *fleet)
{
	(void)fleet;
}

bool play_is_closed(void)
{
	return list_is_empty(&play.worker.peers);
}

void play_hang_up(void)
{
	if (play.fd >= 0)
		close(play.fd);
	play.fd = -1;
}

void play_turn(void)
{
	play.worker.woke_us = clock_us() - play.late_us;
	ev_run(play.worker.loop, EVRUN_NOWAIT);
}

/* What there is to read, into `in` behind what was read before. */
void play_listen(void)
{
	ssize_t got;

	while ((got = recv(play.fd, play.in + play.n_in,
	    sizeof(play.in) - play.n_in, MSG_DONTWAIT)) > 0)
		play.n_in += (size_t)got;
	play.is_over = got == 0 || errno == ECONNRESET;
}

void play_say(const void *bytes, size_t len)
{
	assert_int_equal(send(play.fd, bytes, len, MSG_NOSIGNAL), len);
	play_turn();
	play_listen();
}

void play_say_written(const struct writer *o)
{
	assert_false(o->full);
	play_say(o->start, writer_len(o));
}

/* The next frame of what was answered. */
bool play_next_frame(struct spop_frame *f)
{
	static uint8_t frame[PLAY_BYTES];
	size_t used;

	if (spop_decode((struct span){ (char *)play.in, play.n_in }, PLAY_BYTES, f, &used) !=
	    SPOP_OK)
		return false;
	memcpy(frame, play.in, used);
	play.n_in -= used;
	memmove(play.in, play.in + used, play.n_in);
	assert_int_equal(spop_decode((struct span){ (char *)frame, used }, PLAY_BYTES,
	    f, &used), SPOP_OK);
	return true;
}

struct spop_frame play_expect_frame(enum spop_frame_type type)
{
	struct spop_frame f;

	if (!play_next_frame(&f))
		fail_msg("no frame; %zu bytes", play.n_in);
	assert_int_equal(f.type, type);
	assert_int_equal(f.flags, SPOP_FLAG_FIN);
	return f;
}

void play_expect_disconnect(enum spop_status want)
{
	struct spop_frame f = play_expect_frame(SPOP_AGENT_DISCONNECT);
	uint32_t status;
	struct span message;

	assert_true(spop_read_disconnect(&f.payload, &status, &message));
	assert_int_equal(status, want);
	assert_true(span_is_text(message, spop_status_text(want)));
	assert_int_equal(play.n_in, 0);
}

void play_expect_ack(uint64_t stream, uint64_t frame, bool is_pick)
{
	struct spop_frame f = play_expect_frame(SPOP_ACK);
	struct help_actions got;

	assert_int_equal(f.stream_id, stream);
	assert_int_equal(f.frame_id, frame);
	assert_true(help_read_actions(f.payload, &got));
	assert_true(got.n > 0);
	assert_int_equal(help_text(&got, "ep").len > 0, is_pick);
}

struct writer play_writer(void)
{
	return writer_over(play.out, sizeof(play.out));
}

void play_shake_hands(uint32_t max_frame)
{
	struct writer o = play_writer();

	help_hello(&o, max_frame, false);
	play_say_written(&o);
	play_expect_frame(SPOP_AGENT_HELLO);
	assert_int_equal(play.n_in, 0);
}

void play_write_ask(struct writer *o, uint64_t stream, uint64_t frame)
{
	struct ask ask = help_ask("/v1/completions", PLAY_BODY);

	help_notify(o, stream, frame, &ask);
}

void play_write_empty(struct writer *o, uint8_t type, uint32_t flags)
{
	size_t begun = spop_begin(o, (enum spop_frame_type)type, 0, 0);

	spop_end(o, begun);
	play.out[begun + 8] = (uint8_t)flags;
}

int play_setup(void **state)
{
	int pair[2];

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	help_pool_init(&play.pool, "pool", 3);
	play.worker = (struct worker){ 0 };
	list_init(&play.worker.peers);
	play.worker.rng.state = 1;
	play.worker.fleet = epoch_new(1, &play.pool.fleet, retire_nothing);
	play.worker.arena = arena_new(256 << 10, 16 << 20);
	play.worker.in = malloc(WORKER_IN_BYTES);
	play.worker.out = malloc(WORKER_OUT_BYTES);
	play.worker.loop = ev_loop_new(EVFLAG_AUTO);
	play.n_in = 0;
	play.is_over = false;
	play.late_us = -60 * 1000 * 1000;	/* a pause of the machine is not ours */
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return -1;
	play.fd = pair[0];
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	play.peer = peer_open(&play.worker, pair[1]);
	return play.peer == NULL;
}

int play_teardown(void **state)
{
	(void)state;
	list_each(link, after, &play.worker.peers)
		peer_close(peer_of(link));
	play_hang_up();
	ev_loop_destroy(play.worker.loop);
	free(play.worker.in);
	free(play.worker.out);
	arena_free(play.worker.arena);
	epoch_free(play.worker.fleet);
	help_pool_fini(&play.pool);
	return 0;
}
