/*
 * help_peer.h - a play of two: HAProxy, and one peer on a worker that is taken apart
 *
 * The worker's loop is turned by the test, on the test's thread, so each byte arrives
 * when the test says so and time is an argument. One play at a time; the cmocka
 * headers must be in front of this one.
 */
#pragma once

#include "help.h"
#include "worker_state.h"

#define PLAY_BODY "{\"model\":\"m\",\"prompt\":\"p\"}"

enum { PLAY_MAX_FRAME = 16380, PLAY_BYTES = 2 << 20 };

struct play {
	struct help_pool pool;		/* "pool", of three endpoints */
	struct worker worker;
	struct peer *peer;
	int fd;				/* HAProxy's end; -1 once it hung up */
	uint8_t in[PLAY_BYTES], out[PLAY_BYTES];
	size_t n_in;			/* bytes of answers not looked at yet */
	bool is_over;			/* the peer closed */
	int64_t late_us;		/* how long a turn has lasted when it begins */
};

extern struct play play;

int play_setup(void **state);
int play_teardown(void **state);

void play_turn(void);
void play_hang_up(void);
bool play_is_closed(void);

/* Over play.out, from its start. */
struct writer play_writer(void);

/* Sends, turns the loop, and reads what is answered. */
void play_say(const void *bytes, size_t len);
void play_say_written(const struct writer *o);
void play_listen(void);
void play_shake_hands(uint32_t max_frame);
/* A frame of any type, without a payload. */
void play_write_empty(struct writer *o, uint8_t type, uint32_t flags);
void play_write_ask(struct writer *o, uint64_t stream, uint64_t frame);

/* The next frame that was answered; valid until the one after it. */
bool play_next_frame(struct spop_frame *f);
struct spop_frame play_expect_frame(enum spop_frame_type type);
void play_expect_ack(uint64_t stream, uint64_t frame, bool is_pick);

/* And nothing behind it. */
void play_expect_disconnect(enum spop_status want);
