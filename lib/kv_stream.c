/*
 * kv_stream.c - libzmq's sockets on a libev loop, and the way round a gap
 *
 * ZMQ_FD is readable when something has changed, once: after it a socket is read until
 * it has no more (man 3 zmq_getsockopt). While a replay runs the live socket is left
 * alone, and its high-water mark holds what comes; the message that showed the gap waits
 * in `held`. A gap may also be another process, whose numbers have passed ours while we
 * were not connected: so the last batch that we had is asked for too, and if it is not
 * what it was, all is asked for from the beginning.
 */
#include "kv_stream.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "hash.h"
#include "kv_sequence.h"
#include "kv_socket.h"

enum {
	MESSAGES_PER_TURN = 64,	/* then the loop looks at others */
	/* llm-d-router, kvevents/zmq_subscriber.go: the same. */
	REPLAY_IDLE_S = 2, REPLAY_COOLDOWN_S = 30,
	REPLAY_MAX_S = 10,	/* less than the live one's heartbeats bear */
	SILENT_S = 60,
	/* libzmq's default is 1,023; each costs it 12 bytes, whether it is there or not. */
	SOCKETS_MAX = 16384,
};

struct kv_client {
	struct ev_loop *loop;
	void *context;
};

/* A message whose number is known, kept until what is missing has come. */
struct held {
	uint64_t number;
	char *bytes;
	size_t len;
	bool is_there;
};

struct kv_stream {
	struct kv_client *client;
	struct kv_stream_options options;
	char *topic;
	struct kv_sequence sequence;
	void *live, *replay;		/* sockets; replay NULL while none runs */
	ev_io live_io, replay_io;
	ev_timer again;			/* more is there than one turn takes */
	ev_timer silent;
	bool is_heard;			/* since that timer was due */
	ev_timer idle, deadline;	/* of a replay: of a message, of it all */
	struct held held;
	uint64_t last_hash;		/* of the batch before sequence.next */
	bool must_check;		/* that batch is still to come */
	bool must_skip;			/* what comes is of another process */
	double no_replay_before;	/* ev_now() */
};

/* ---- client ---- */

struct kv_client *kv_client_new(struct ev_loop *loop, struct fault *why)
{
	struct kv_client *c;

	if (!zmq_table_load(why))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c != NULL)
		c->context = zmq_table.ctx_new();
	if (c == NULL || c->context == NULL) {
		free(c);
		fault_set(why, NULL, 0, "no memory", NULL);
		return NULL;
	}
	c->loop = loop;
	zmq_table.ctx_set(c->context, ZMQ_IO_THREADS, 1);
	zmq_table.ctx_set(c->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
	return c;
}

void kv_client_free(struct kv_client *c)
{
	if (c == NULL)
		return;
	zmq_table.ctx_term(c->context);
	free(c);
}

static void watch(struct kv_stream *s, void *socket, ev_io *io)
{
	ev_io_set(io, kv_socket_fd(socket), EV_READ);
	ev_io_start(s->client->loop, io);
}

static void *open_socket(const struct kv_stream *s, int type, uint16_t port)
{
	return kv_socket_open(s->client->context, type, s->options.address,
	    port, s->topic);
}

static void give_batch(struct kv_stream *s, struct span payload,
    bool is_replayed)
{
	s->last_hash = hash_bytes(payload.ptr, payload.len, 0);
	s->options.calls->batch(s->options.data, payload, is_replayed);
}

/* ---- replay ---- */

static void end_replay(struct kv_stream *s)
{
	struct ev_loop *loop = s->client->loop;

	ev_io_stop(loop, &s->replay_io);
	ev_timer_stop(loop, &s->idle);
	ev_timer_stop(loop, &s->deadline);
	zmq_table.close(s->replay);
	s->replay = NULL;
	ev_io_start(loop, &s->live_io);
	ev_timer_start(loop, &s->again);	/* the live one has waited */
}

/* What was held has its turn: all that could be had before it is there. */
static void release_held(struct kv_stream *s)
{
	struct held h = s->held;
	const struct kv_stream_calls *calls = s->options.calls;

	s->held = (struct held){ .is_there = false };
	if (!h.is_there)
		return;
	switch (kv_sequence_replayed(&s->sequence, h.number)) {
	case KV_GAP:
		kv_sequence_give_up(&s->sequence, h.number + 1);
		calls->broken(s->options.data, KV_LOST);
		/* fall through */
	case KV_TAKE:
		give_batch(s, (struct span){ h.bytes, h.len }, false);
		break;
	default:
		break;
	}
	free(h.bytes);
}

static void finish_replay(struct kv_stream *s)
{
	end_replay(s);
	release_held(s);
}

/* False: this batch and all that come with it are another process's. */
static bool is_as_it_was(struct kv_stream *s, uint64_t number,
    struct span payload)
{
	bool is_known = number + 1 == s->sequence.next;

	s->must_check = false;
	if (!is_known || hash_bytes(payload.ptr, payload.len, 0) ==
	    s->last_hash)
		return true;	/* or it does not reach back: then a gap shows */
	s->must_skip = true;
	kv_sequence_give_up(&s->sequence, 0);
	s->options.calls->broken(s->options.data, KV_RESTARTS);
	return false;
}

static void take_replayed(struct kv_stream *s, uint64_t number,
    struct span payload)
{
	const struct kv_stream_calls *calls = s->options.calls;

	if (s->must_skip || (s->must_check && !is_as_it_was(s, number, payload)))
		return;

	switch (kv_sequence_replayed(&s->sequence, number)) {
	case KV_GAP:		/* it does not reach back far enough */
		kv_sequence_give_up(&s->sequence, number + 1);
		calls->broken(s->options.data, KV_LOST);
		/* fall through */
	case KV_TAKE:
		give_batch(s, payload, true);
		break;
	default:
		break;
	}
}

static void take_end(struct kv_stream *s)
{
	if (!s->must_skip) {
		finish_replay(s);
		return;
	}
	s->must_skip = false;
	kv_socket_ask(s->replay, 0);
}

static void take_answer(struct kv_stream *s, struct kv_message *m)
{
	struct span payload;
	uint64_t number;

	if (!kv_message_read(m, &number, &payload))
		s->options.calls->garbage(s->options.data);
	else if (number == UINT64_MAX)
		take_end(s);
	else
		take_replayed(s, number, payload);
}

static void drain_replay(struct kv_stream *s)
{
	struct ev_loop *loop = s->client->loop;
	struct kv_message m;
	int n = 0;

	ev_timer_stop(loop, &s->again);
	for (; s->replay != NULL && n < MESSAGES_PER_TURN &&
	     kv_message_take(&m, s->replay); n++) {
		ev_timer_again(loop, &s->idle);
		take_answer(s, &m);
		kv_message_free(&m);
	}
	if (n == MESSAGES_PER_TURN)
		ev_timer_start(loop, &s->again);
}

static void on_replay(EV_P_ ev_io *io, int revents)
{
	(void)loop;
	(void)revents;
	drain_replay(io->data);
}

/* Silent for too long, or endless: it goes on without. */
static void on_enough(EV_P_ ev_timer *timer, int revents)
{
	struct kv_stream *s = timer->data;

	(void)revents;
	s->no_replay_before = ev_now(EV_A) + REPLAY_COOLDOWN_S;
	finish_replay(s);
}

static bool hold(struct kv_stream *s, uint64_t number, struct span payload)
{
	s->held.bytes = malloc(payload.len + 1);
	if (s->held.bytes == NULL)
		return false;
	memcpy(s->held.bytes, payload.ptr, payload.len);
	s->held.len = payload.len;
	s->held.number = number;
	s->held.is_there = true;
	return true;
}

/* Asks for all from the one that is missed on; false: nobody to ask, or not now. */
static bool start_replay(struct kv_stream *s)
{
	bool has_last = s->sequence.next > 0;

	if (s->options.replay_port == 0 ||
	    ev_now(s->client->loop) < s->no_replay_before)
		return false;
	s->replay = open_socket(s, ZMQ_DEALER, s->options.replay_port);
	if (s->replay == NULL)
		return false;
	s->must_check = has_last;
	s->must_skip = false;
	kv_socket_ask(s->replay, s->sequence.next - has_last);
	ev_io_stop(s->client->loop, &s->live_io);	/* nobody would read it */
	watch(s, s->replay, &s->replay_io);
	ev_timer_again(s->client->loop, &s->idle);
	ev_timer_start(s->client->loop, &s->deadline);
	ev_feed_event(s->client->loop, &s->replay_io, EV_READ);
	return true;
}

/* ---- live ---- */

static void take_gap(struct kv_stream *s, uint64_t number, struct span payload)
{
	const struct kv_stream_calls *calls = s->options.calls;

	if (hold(s, number, payload) && start_replay(s))
		return;
	free(s->held.bytes);
	s->held = (struct held){ .is_there = false };
	kv_sequence_give_up(&s->sequence, number + 1);
	calls->broken(s->options.data, KV_LOST);
	give_batch(s, payload, false);
}

static void take_live(struct kv_stream *s, uint64_t number, struct span payload)
{
	const struct kv_stream_calls *calls = s->options.calls;

	if (!s->sequence.has_begun)
		calls->broken(s->options.data,
		    number == 0 ? KV_BEGINS : KV_JOINED);
	switch (kv_sequence_live(&s->sequence, number)) {
	case KV_TAKE:
		give_batch(s, payload, false);
		break;
	case KV_SKIP:
		break;
	case KV_GAP:
		take_gap(s, number, payload);
		break;
	case KV_RESTARTED:
		calls->broken(s->options.data, KV_RESTARTS);
		take_live(s, number, payload);
		break;
	}
}

static void drain(struct kv_stream *s)
{
	struct ev_loop *loop = s->client->loop;
	struct kv_message m;
	int n = 0;

	ev_timer_stop(loop, &s->again);
	for (; s->replay == NULL && n < MESSAGES_PER_TURN &&
	     kv_message_take(&m, s->live); n++) {
		struct span payload;
		uint64_t number;

		if (kv_message_read(&m, &number, &payload))
			take_live(s, number, payload);
		else
			s->options.calls->garbage(s->options.data);
		kv_message_free(&m);
	}
	s->is_heard |= n > 0;
	if (n == MESSAGES_PER_TURN)
		ev_timer_start(loop, &s->again);
}

static void on_live(EV_P_ ev_io *io, int revents)
{
	(void)loop;
	(void)revents;
	drain(io->data);
}

static void on_again(EV_P_ ev_timer *timer, int revents)
{
	struct kv_stream *s = timer->data;

	(void)loop;
	(void)revents;
	if (s->replay != NULL)
		drain_replay(s);
	else
		drain(s);
}

/* It may be that there is nothing to be told: then this costs a connection, no more. */
static void on_silent(EV_P_ ev_timer *timer, int revents)
{
	struct kv_stream *s = timer->data;

	(void)loop;
	(void)revents;
	if (!s->is_heard && s->replay == NULL)
		kv_socket_renew(s->live, s->options.address, s->options.port);
	s->is_heard = false;
}

/* ---- life ---- */

struct kv_stream *kv_stream_open(struct kv_client *c,
    const struct kv_stream_options *o, struct fault *why)
{
	struct kv_stream *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->topic = strdup(o->topic);
	if (s == NULL || s->topic == NULL) {
		free(s);
		fault_set(why, NULL, 0, "no memory", NULL);
		return NULL;
	}
	s->client = c;
	s->options = *o;
	s->live = open_socket(s, ZMQ_SUB, o->port);
	if (s->live == NULL) {
		fault_setf(why, NULL, 0, "tcp://%s:%u", o->address, o->port);
		fault_want(why, "an address, and descriptors left");
		free(s->topic);
		free(s);
		return NULL;
	}
	ev_io_init(&s->live_io, on_live, -1, EV_READ);
	ev_io_init(&s->replay_io, on_replay, -1, EV_READ);
	ev_timer_init(&s->again, on_again, 0., 0.);
	ev_timer_init(&s->idle, on_enough, 0., REPLAY_IDLE_S);
	ev_timer_init(&s->deadline, on_enough, o->replay_s > 0 ? o->replay_s :
	    REPLAY_MAX_S, 0.);
	ev_timer_init(&s->silent, on_silent, 0., o->silent_s > 0 ?
	    o->silent_s : SILENT_S);
	s->live_io.data = s->replay_io.data = s->again.data = s->idle.data =
	    s->deadline.data = s->silent.data = s;
	watch(s, s->live, &s->live_io);
	ev_timer_again(c->loop, &s->silent);
	ev_timer_start(c->loop, &s->again);
	return s;
}

void kv_stream_close(struct kv_stream *s)
{
	struct ev_loop *loop;

	if (s == NULL)
		return;
	loop = s->client->loop;
	if (s->replay != NULL)
		end_replay(s);
	ev_timer_stop(loop, &s->again);
	ev_timer_stop(loop, &s->silent);
	ev_io_stop(loop, &s->live_io);
	zmq_table.close(s->live);
	free(s->held.bytes);
	free(s->topic);
	free(s);
}
