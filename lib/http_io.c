/*
 * http_io.c - one fetch over one connection: connect, send, read to the end
 *
 * A fetch on a kept connection costs one send() and, for a page that fits the
 * read buffer, one recv(): we do not wait until the socket is writable, and a
 * recv() that did not fill the buffer is not followed by another one that would
 * only say EAGAIN. The watcher stays on EV_READ between fetches, so it costs no
 * epoll_ctl() and sees a close while idle.
 */
#include "http_target.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "must.h"

enum { READS_PER_TURN = 16 };	/* then other sockets have their turn */

static void watch(struct http_target *t, int events)
{
	int now = t->io.events & (EV_READ | EV_WRITE);

	if (ev_is_active(&t->io) && now == events)
		return;
	ev_io_stop(t->client->loop, &t->io);
	ev_io_set(&t->io, t->fd, events);
	ev_io_start(t->client->loop, &t->io);
}

void http_io_close(struct http_target *t)
{
	ev_io_stop(t->client->loop, &t->io);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	t->is_reused = false;
}

/*
 * The sweep tells it: on_done must not run inside http_target_get(), and a
 * caller that tries again at once must not keep the loop to itself.
 */
static void fail_later(struct http_target *t, enum http_result result)
{
	http_io_close(t);
	t->state = HTTP_STATE_FAILED;
	t->failed = result;
	t->deadline_ms = 0;
	http_target_hurry(t);
}

static void open_connection(struct http_target *t);

/* The peer ended a connection that it had kept: not this fetch's fault. */
static bool retries(struct http_target *t)
{
	if (!t->is_reused || t->has_answered)
		return false;
	http_io_close(t);
	open_connection(t);
	return true;
}

/* What of the head and the body is not sent yet, in one call. */
static ssize_t send_rest(struct http_target *t)
{
	size_t head = t->head_out.len, sent = t->sent;
	size_t of_body = sent > head ? sent - head : 0;
	struct iovec parts[2] = {
		{ (char *)t->head_out.ptr + (sent - of_body),
		    head - (sent - of_body) },
		{ (char *)t->body_out.ptr + of_body,
		    t->body_out.len - of_body },
	};
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };

	if (parts[1].iov_len == 0)
		return send(t->fd, parts[0].iov_base, parts[0].iov_len,
		    MSG_NOSIGNAL);
	return sendmsg(t->fd, &m, MSG_NOSIGNAL);
}

static void send_request(struct http_target *t)
{
	ssize_t n;

	t->state = HTTP_STATE_SENDING;
	if (buf_failed(&t->post_head)) {
		fail_later(t, HTTP_CONNECT);
		return;
	}
	do {
		n = send_rest(t);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
		if (!retries(t))
			fail_later(t, HTTP_CLOSED);
		return;
	}
	if (n > 0)
		t->sent += (size_t)n;
	if (t->sent < t->head_out.len + t->body_out.len) {
		watch(t, EV_WRITE);
		return;
	}
	t->state = HTTP_STATE_HEAD;
	watch(t, EV_READ);
}

static socklen_t address_len(const struct http_target *t)
{
	return t->address.any.sa_family == AF_INET ? sizeof(t->address.v4)
						   : sizeof(t->address.v6);
}

static void open_connection(struct http_target *t)
{
	const int one = 1;

	t->sent = 0;
	t->fd = socket(t->address.any.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (t->fd < 0) {
		fail_later(t, HTTP_CONNECT);
		return;
	}
	(void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(t->fd, &t->address.any, address_len(t)) == 0) {
		send_request(t);
	} else if (errno == EINPROGRESS || errno == EINTR) {
		t->state = HTTP_STATE_CONNECTING;
		watch(t, EV_WRITE);
	} else {
		fail_later(t, HTTP_CONNECT);
	}
}

void http_io_start(struct http_target *t)
{
	t->sent = 0;
	t->body_bytes = 0;
	t->has_answered = false;
	t->head = (struct http_head){ .status = 0 };
	t->chunked = (struct http_chunked){ .state = 0 };
	if (t->fd >= 0)
		send_request(t);
	else
		open_connection(t);
}

static void on_connected(struct http_target *t)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 ||
	    err != 0)
		http_target_finish(t, HTTP_CONNECT);
	else
		send_request(t);
}

/* The ceiling holds for every status; only a good one's body is wanted. */
static int deliver(struct http_target *t, struct span piece)
{
	if (piece.len > t->max_bytes - t->body_bytes)
		return HTTP_TOO_BIG;
	t->body_bytes += piece.len;
	if (t->head.status / 100 == 2 && piece.len != 0 &&
	    !t->on_body(t->data, piece.ptr, piece.len))
		return HTTP_ABORTED;
	return HTTP_GOING;
}

static int take_chunked(struct http_target *t, struct span bytes)
{
	struct span data;

	for (;;) {
		int ret;

		switch (http_chunked_next(&t->chunked, &bytes, &data)) {
		case HTTP_CHUNKED_DATA:
			ret = deliver(t, data);
			if (ret != HTTP_GOING)
				return ret;
			break;
		case HTTP_CHUNKED_MORE:	/* an announced size is not awaited */
			return t->chunked.left > t->max_bytes - t->body_bytes
			    ? HTTP_TOO_BIG : HTTP_GOING;
		case HTTP_CHUNKED_END:
			if (bytes.len != 0)
				t->head.keep_alive = false;
			return HTTP_OK;
		case HTTP_CHUNKED_BAD:
			return HTTP_BAD;
		}
	}
}

/* Bytes behind the body answer nothing we asked: the connection is not kept. */
static int take_body(struct http_target *t, struct span bytes)
{
	uint64_t left = t->head.body_bytes - t->body_bytes;
	int ret;

	if (t->head.framing == HTTP_FRAMING_CHUNKED)
		return take_chunked(t, bytes);
	if (t->head.framing == HTTP_FRAMING_CLOSE)
		return deliver(t, bytes);
	if (bytes.len > left) {
		bytes.len = (size_t)left;
		t->head.keep_alive = false;
	}
	ret = deliver(t, bytes);
	if (ret == HTTP_GOING && t->body_bytes == t->head.body_bytes)
		return HTTP_OK;
	return ret;
}

/*
 * Parses the head from the read buffer, or from the copy of what earlier reads
 * brought. At HTTP_HEAD_OK `bytes` is what follows the head.
 */
static enum http_head_result take_head(struct http_target *t,
    struct span *bytes)
{
	size_t before = t->cut_head.len, n = HTTP_HEAD_MAX - before;
	enum http_head_result result;

	if (before == 0) {
		result = http_head_parse(&t->head, bytes->ptr, bytes->len);
	} else {
		buf_put(&t->cut_head, bytes->ptr,
		    n < bytes->len ? n : bytes->len);
		result = http_head_parse(&t->head, t->cut_head.data,
		    t->cut_head.len);
	}
	if (result == HTTP_HEAD_MORE && before == 0)
		buf_put(&t->cut_head, bytes->ptr, bytes->len);
	if (buf_failed(&t->cut_head))
		return HTTP_HEAD_TOO_BIG;	/* for us, now */
	if (result == HTTP_HEAD_OK) {
		bytes->ptr += t->head.head_bytes - before;
		bytes->len -= t->head.head_bytes - before;
	}
	return result;
}

static int take_bytes(struct http_target *t, struct span bytes)
{
	if (t->state == HTTP_STATE_BODY)
		return take_body(t, bytes);
	switch (take_head(t, &bytes)) {
	case HTTP_HEAD_OK:
		break;
	case HTTP_HEAD_MORE:
		return HTTP_GOING;
	case HTTP_HEAD_BAD:
		return HTTP_BAD;
	case HTTP_HEAD_TOO_BIG:
		return HTTP_TOO_BIG;
	}
	t->state = HTTP_STATE_BODY;
	if (t->head.body_bytes > t->max_bytes)
		return HTTP_TOO_BIG;
	return take_body(t, bytes);
}

/* The end of the stream, or an error in its place. */
static void on_stream_end(struct http_target *t, bool is_clean)
{
	if (retries(t))
		return;
	if (is_clean && t->state == HTTP_STATE_BODY &&
	    t->head.framing == HTTP_FRAMING_CLOSE)
		http_target_finish(t, HTTP_OK);
	else
		http_target_finish(t, HTTP_CLOSED);
}

static void receive(struct http_target *t)
{
	char *bytes = t->client->bytes;

	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = recv(t->fd, bytes, HTTP_READ_BYTES, 0);
		int ret;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			on_stream_end(t, n == 0);
			return;
		}
		t->has_answered = true;
		ret = take_bytes(t, (struct span){ bytes, (size_t)n });
		if (ret != HTTP_GOING) {
			http_target_finish(t, (enum http_result)ret);
			return;
		}
		if (n < HTTP_READ_BYTES)
			return;
	}
}

void http_io_ready(EV_P_ ev_io *io, int revents)
{
	struct http_target *t = io->data;

	(void)loop;
	(void)revents;
	switch (t->state) {
	case HTTP_STATE_IDLE:		/* closed, or bytes nobody asked for */
		http_io_close(t);
		return;
	case HTTP_STATE_CONNECTING:
		on_connected(t);
		return;
	case HTTP_STATE_SENDING:
		send_request(t);
		return;
	case HTTP_STATE_HEAD:
	case HTTP_STATE_BODY:
		receive(t);
		return;
	case HTTP_STATE_FAILED:
		break;
	}
	must(!"ready without a connection");
}
