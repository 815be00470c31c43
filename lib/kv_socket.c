/*
 * kv_socket.c - options, frames, eight bytes of a number
 */
#include "kv_socket.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

enum {
	NUMBER_BYTES = 8, URL_MAX = 128,
	/*
	 * What a publisher can make us hold: 64 messages of 8 MiB. A batch as large has
	 * a prompt of a million tokens; more messages than that wait in the kernel and
	 * with the publisher, which keeps 100,000 (vLLM: `hwm`).
	 */
	RECEIVE_HWM = 64,
	MESSAGE_MAX = 8 << 20,
	RECONNECT_MS = 100, RECONNECT_MAX_MS = 2000,
	HEARTBEAT_MS = 5000, HEARTBEAT_TIMEOUT_MS = 15000,
};

static const struct {
	int option, value;
} settings[] = {
	{ ZMQ_LINGER, 0 },
	{ ZMQ_RCVHWM, RECEIVE_HWM },
	{ ZMQ_RECONNECT_IVL, RECONNECT_MS },
	{ ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS },
	{ ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS },
	{ ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS },
};

static void set_int(void *socket, int option, int value)
{
	zmq_table.setsockopt(socket, option, &value, sizeof(value));
}

static void set_all(void *socket, bool is_v6)
{
	const int64_t most = MESSAGE_MAX;

	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		set_int(socket, settings[i].option, settings[i].value);
	set_int(socket, ZMQ_IPV6, is_v6);
	zmq_table.setsockopt(socket, ZMQ_MAXMSGSIZE, &most, sizeof(most));
}

static void url_of(char url[URL_MAX], const char *address, uint16_t port)
{
	snprintf(url, URL_MAX, strchr(address, ':') != NULL ?
	    "tcp://[%s]:%u" : "tcp://%s:%u", address, port);
}

void kv_socket_renew(void *socket, const char *address, uint16_t port)
{
	char url[URL_MAX];

	url_of(url, address, port);
	zmq_table.disconnect(socket, url);
	zmq_table.connect(socket, url);
}

void *kv_socket_open(void *context, int type, const char *address, uint16_t port,
    const char *topic)
{
	void *socket = zmq_table.socket(context, type);
	char url[URL_MAX];

	if (socket == NULL)
		return NULL;
	url_of(url, address, port);
	set_all(socket, strchr(address, ':') != NULL);
	if (type == ZMQ_SUB)
		zmq_table.setsockopt(socket, ZMQ_SUBSCRIBE, topic, strlen(topic));
	if (zmq_table.connect(socket, url) == 0)
		return socket;
	zmq_table.close(socket);
	return NULL;
}

int kv_socket_fd(void *socket)
{
	size_t len = sizeof(int);
	int fd = -1;

	zmq_table.getsockopt(socket, ZMQ_FD, &fd, &len);
	return fd;
}

void kv_socket_ask(void *socket, uint64_t number)
{
	number = htobe64(number);
	zmq_table.send(socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
	zmq_table.send(socket, &number, sizeof(number), ZMQ_DONTWAIT);
}

void kv_message_free(struct kv_message *m)
{
	for (int i = 0; i < m->n && i < KV_FRAMES; i++)
		zmq_table.msg_close(&m->frames[i]);
}

bool kv_message_take(struct kv_message *m, void *socket)
{
	zmq_msg_t extra;
	bool is_last;

	for (m->n = 0;; m->n++) {
		zmq_msg_t *at = m->n < KV_FRAMES ? &m->frames[m->n] : &extra;

		zmq_table.msg_init(at);
		if (zmq_table.msg_recv(at, socket, ZMQ_DONTWAIT) < 0) {
			zmq_table.msg_close(at);
			kv_message_free(m);	/* what came whole comes whole */
			return false;
		}
		is_last = !zmq_table.msg_more(at);
		if (at == &extra)
			zmq_table.msg_close(at);
		if (is_last)
			break;
	}
	m->n++;
	return true;
}

static struct span frame(struct kv_message *m, int i)
{
	return (struct span){ zmq_table.msg_data(&m->frames[i]),
		zmq_table.msg_size(&m->frames[i]) };
}

bool kv_message_read(struct kv_message *m, uint64_t *number,
    struct span *payload)
{
	struct span s;

	if (m->n != KV_FRAMES)
		return false;
	s = frame(m, 1);
	if (s.len != NUMBER_BYTES)
		return false;
	memcpy(number, s.ptr, sizeof(*number));
	*number = be64toh(*number);
	*payload = frame(m, 2);
	return true;
}
