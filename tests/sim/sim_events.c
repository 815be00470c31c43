/*
 * sim_events.c - libzmq and msgpack-c, neither of which the agent's decoder is made with
 */
#include "sim_events.h"

#include <endian.h>
#include <ev.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "clock.h"
#include "log.h"

enum { KEPT_MAX = 10000, TOKEN_BYTES = 4 };

struct batch {
	uint64_t number;
	char *bytes;
	size_t len;
};

struct sim_events {
	struct ev_loop *loop;
	struct sim_events_options options;
	char topic[128];
	void *context, *pub, *replay;
	ev_io replay_io;
	msgpack_sbuffer events;		/* those of the batch to come */
	uint32_t n_events;
	uint64_t next;
	struct batch kept[KEPT_MAX];	/* a ring, by number */
	uint32_t n_withheld;
};

/* ---- sockets ---- */

static int bind_to(const struct sim_events *e, void *socket, uint16_t port)
{
	const char *a = e->options.address;
	bool is_v6 = strchr(a, ':') != NULL;
	char url[96];

	zmq_setsockopt(socket, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
	zmq_setsockopt(socket, ZMQ_IPV6, &(int){ is_v6 }, sizeof(int));
	snprintf(url, sizeof(url), is_v6 ? "tcp://[%s]:%u" : "tcp://%s:%u", a,
	    port);
	if (zmq_bind(socket, url) == 0)
		return 0;
	log_error("sim.events", "url=%s err=\"%s\"", url,
	    zmq_strerror(zmq_errno()));
	return -1;
}

static void send_number(void *socket, uint64_t number, int flags)
{
	number = htobe64(number);
	zmq_send(socket, &number, sizeof(number), flags | ZMQ_DONTWAIT);
}

static void send_kept(struct sim_events *e, struct span id, uint64_t from)
{
	uint64_t first = e->next > KEPT_MAX ? e->next - KEPT_MAX : 0;

	for (uint64_t i = from > first ? from : first; i < e->next; i++) {
		const struct batch *b = &e->kept[i % KEPT_MAX];

		zmq_send(e->replay, id.ptr, id.len, ZMQ_SNDMORE);
		zmq_send(e->replay, "", 0, ZMQ_SNDMORE);
		send_number(e->replay, b->number, ZMQ_SNDMORE);
		zmq_send(e->replay, b->bytes, b->len, ZMQ_DONTWAIT);
	}
	zmq_send(e->replay, id.ptr, id.len, ZMQ_SNDMORE);
	zmq_send(e->replay, "", 0, ZMQ_SNDMORE);
	send_number(e->replay, UINT64_MAX, ZMQ_SNDMORE);
	zmq_send(e->replay, "", 0, ZMQ_DONTWAIT);
}

/* [who, delimiter, number] */
static void on_replay(struct ev_loop *loop, ev_io *io, int revents)
{
	struct sim_events *e = io->data;
	char id[256], skip[16];
	uint64_t number;
	int id_len;

	(void)loop;
	(void)revents;
	while ((id_len = zmq_recv(e->replay, id, sizeof(id), ZMQ_DONTWAIT)) >=
	    0) {
		zmq_recv(e->replay, skip, sizeof(skip), ZMQ_DONTWAIT);
		if (zmq_recv(e->replay, &number, sizeof(number),
			ZMQ_DONTWAIT) == sizeof(number))
			send_kept(e, (struct span){ id, (size_t)id_len },
			    be64toh(number));
	}
}

/* ---- events ---- */

static void put_text(msgpack_packer *pk, const char *text)
{
	msgpack_pack_str(pk, strlen(text));
	msgpack_pack_str_body(pk, text, strlen(text));
}

/* A field, by its place or by its name. */
static void put_name(struct sim_events *e, msgpack_packer *pk, const char *name)
{
	if (e->options.as_maps)
		put_text(pk, name);
}

static msgpack_packer begin_event(struct sim_events *e, const char *tag, size_t n)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, &e->events, msgpack_sbuffer_write);
	e->n_events++;
	if (e->options.as_maps)
		msgpack_pack_map(&pk, n);
	else
		msgpack_pack_array(&pk, n);
	put_name(e, &pk, "type");
	put_text(&pk, tag);
	return pk;
}

static void put_names(msgpack_packer *pk, const uint64_t *names, uint32_t n)
{
	msgpack_pack_array(pk, n);
	for (uint32_t i = 0; i < n; i++)
		msgpack_pack_uint64(pk, names[i]);
}

void sim_events_stored(struct sim_events *e, const uint64_t *parent,
    const uint64_t *names, uint32_t n, struct span text)
{
	msgpack_packer pk = begin_event(e, "BlockStored", 7);

	put_name(e, &pk, "block_hashes");
	put_names(&pk, names, n);
	put_name(e, &pk, "parent_block_hash");
	if (parent != NULL)
		msgpack_pack_uint64(&pk, *parent);
	else
		msgpack_pack_nil(&pk);
	put_name(e, &pk, "token_ids");
	msgpack_pack_array(&pk, text.len / TOKEN_BYTES);
	for (size_t at = 0; at + TOKEN_BYTES <= text.len; at += TOKEN_BYTES) {
		uint32_t token;

		memcpy(&token, text.ptr + at, sizeof(token));
		msgpack_pack_uint32(&pk, le32toh(token));
	}
	put_name(e, &pk, "block_size");
	msgpack_pack_uint32(&pk, e->options.block_tokens);
	put_name(e, &pk, "lora_id");
	msgpack_pack_nil(&pk);
	put_name(e, &pk, "medium");
	put_text(&pk, "GPU");
}

void sim_events_removed(struct sim_events *e, uint64_t name)
{
	msgpack_packer pk = begin_event(e, "BlockRemoved", 3);

	put_name(e, &pk, "block_hashes");
	put_names(&pk, &name, 1);
	put_name(e, &pk, "medium");
	put_text(&pk, "GPU");
}

void sim_events_cleared(struct sim_events *e)
{
	begin_event(e, "AllBlocksCleared", 1);
}

/* ---- batches ---- */

static void send_batch(struct sim_events *e, uint64_t number, const char *bytes,
    size_t len)
{
	zmq_send(e->pub, e->topic, strlen(e->topic), ZMQ_SNDMORE);
	send_number(e->pub, number, ZMQ_SNDMORE);
	zmq_send(e->pub, bytes, len, ZMQ_DONTWAIT);
}

static void keep(struct sim_events *e, const msgpack_sbuffer *b)
{
	struct batch *k = &e->kept[e->next % KEPT_MAX];

	free(k->bytes);
	*k = (struct batch){ .number = e->next, .bytes = malloc(b->size),
		.len = b->size };
	if (k->bytes != NULL)
		memcpy(k->bytes, b->data, b->size);
	else
		k->len = 0;
}

void sim_events_flush(struct sim_events *e)
{
	msgpack_sbuffer out;
	msgpack_packer pk;

	if (e->n_events == 0)
		return;
	msgpack_sbuffer_init(&out);
	msgpack_packer_init(&pk, &out, msgpack_sbuffer_write);
	if (e->options.as_maps)
		msgpack_pack_map(&pk, 3);
	else
		msgpack_pack_array(&pk, 3);
	put_name(e, &pk, "ts");
	msgpack_pack_double(&pk, (double)clock_unix_ms() / 1000);
	put_name(e, &pk, "events");
	msgpack_pack_array(&pk, e->n_events);
	msgpack_sbuffer_write(&out, e->events.data, e->events.size);
	put_name(e, &pk, "data_parallel_rank");
	msgpack_pack_int(&pk, 0);
	msgpack_sbuffer_clear(&e->events);
	e->n_events = 0;
	keep(e, &out);
	if (e->n_withheld > 0)
		e->n_withheld--;
	else
		send_batch(e, e->next, out.data, out.size);
	e->next++;
	msgpack_sbuffer_destroy(&out);
}

void sim_events_withhold(struct sim_events *e, uint32_t n)
{
	e->n_withheld = n;
}

void sim_events_garbage(struct sim_events *e)
{
	static const char bytes[] = "\x93\xdd\xff\xff\xff\xff no batch \xc1";

	send_batch(e, e->next, bytes, sizeof(bytes));
	keep(e, &(msgpack_sbuffer){ .data = (char *)bytes, .size = 4 });
	e->next++;
	zmq_send(e->pub, e->topic, strlen(e->topic), ZMQ_SNDMORE);
	zmq_send(e->pub, "x", 1, ZMQ_SNDMORE);
	zmq_send(e->pub, "y", 1, ZMQ_SNDMORE);
	zmq_send(e->pub, "z", 1, ZMQ_DONTWAIT);
}

void sim_events_restart(struct sim_events *e)
{
	msgpack_sbuffer_clear(&e->events);
	e->n_events = 0;
	e->next = 0;
}

/* ---- life ---- */

static int open_replay(struct sim_events *e)
{
	size_t len = sizeof(int);
	int fd = -1;

	if (e->options.replay_port == 0)
		return 0;
	e->replay = zmq_socket(e->context, ZMQ_ROUTER);
	if (e->replay == NULL || bind_to(e, e->replay,
		e->options.replay_port) != 0)
		return -1;
	zmq_getsockopt(e->replay, ZMQ_FD, &fd, &len);
	ev_io_init(&e->replay_io, on_replay, fd, EV_READ);
	e->replay_io.data = e;
	ev_io_start(e->loop, &e->replay_io);
	return 0;
}

struct sim_events *sim_events_open(struct ev_loop *loop,
    const struct sim_events_options *o)
{
	struct sim_events *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->loop = loop;
	e->options = *o;
	snprintf(e->topic, sizeof(e->topic), "kv@%s:%u@%s", o->address,
	    o->server_port, o->model);
	msgpack_sbuffer_init(&e->events);
	e->context = zmq_ctx_new();
	e->pub = e->context != NULL ? zmq_socket(e->context, ZMQ_PUB) : NULL;
	if (e->pub == NULL || bind_to(e, e->pub, o->port) != 0 ||
	    open_replay(e) != 0) {
		sim_events_close(e);
		return NULL;
	}
	return e;
}

void sim_events_close(struct sim_events *e)
{
	if (e == NULL)
		return;
	if (e->replay != NULL) {
		if (ev_is_active(&e->replay_io))
			ev_io_stop(e->loop, &e->replay_io);
		zmq_close(e->replay);
	}
	if (e->pub != NULL)
		zmq_close(e->pub);
	if (e->context != NULL)
		zmq_ctx_term(e->context);
	for (int i = 0; i < KEPT_MAX; i++)
		free(e->kept[i].bytes);
	msgpack_sbuffer_destroy(&e->events);
	free(e);
}
