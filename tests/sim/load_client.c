/*
 * load_client.c - connect or reuse, write, read, judge
 *
 * An idle connection stays watched for reading: whatever comes there, mostly its
 * end, throws it away before someone writes to it.
 */
#include "load_client.h"

#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "clock.h"
#include "load_response.h"
#include "load_sse.h"
#include "must.h"

enum {
	BODY_MAX_BYTES = 33 << 20,
	ANSWER_MAX_BYTES = 16 << 20,
	READ_BYTES = 64 << 10,
};

/* So that a closed loop against a closed port does not spin. */
static const double connect_fail_s = 0.01;

struct load_conn {
	LIST_ENTRY(load_conn) link;
	struct load_client *client;
	struct load_call *call;		/* NULL: idle */
	struct ev_io read, write;
	struct buf out;
	size_t n_sent;
	struct load_response response;
	struct load_sse sse;
	struct buf whole;		/* body of an answer without events */
	bool is_connected;
};

static void conn_free(struct load_conn *n)
{
	struct load_client *c = n->client;

	ev_io_stop(c->loop, &n->read);
	ev_io_stop(c->loop, &n->write);
	close(n->read.fd);
	LIST_REMOVE(n, link);
	load_response_fini(&n->response);
	load_sse_fini(&n->sse);
	buf_fini(&n->out);
	buf_fini(&n->whole);
	free(n);
}

/* The call's end; its connection is kept if it may be, else freed. */
static void finish(struct load_call *call, enum load_outcome outcome)
{
	struct load_conn *n = call->conn;
	struct load_client *c = call->client;

	call->outcome = outcome;
	call->end_us = clock_us();
	ev_timer_stop(c->loop, &call->timeout);
	call->conn = NULL;
	if (n != NULL) {
		bool keep = n->response.step == LOAD_ON_DONE &&
		    n->response.keep_alive && n->n_sent == n->out.len;

		n->call = NULL;
		if (keep) {
			LIST_REMOVE(n, link);
			LIST_INSERT_HEAD(&c->idle, n, link);
		} else {
			conn_free(n);
		}
	}
	c->on_end(call);
}

static enum load_outcome judge_status(int status)
{
	if (status == 429)
		return LOAD_STATUS_429;
	if (status == 503)
		return LOAD_STATUS_503;
	if (status >= 500)
		return LOAD_STATUS_5XX;
	if (status >= 400)
		return LOAD_STATUS_4XX;
	return status == 200 ? LOAD_OK : LOAD_STATUS_OTHER;
}

static void take_usage(struct load_call *call, struct span json)
{
	long long n;

	if ((n = load_json_number(json, "prompt_tokens")) >= 0)
		call->prompt_tokens = n;
	if ((n = load_json_number(json, "completion_tokens")) >= 0)
		call->completion_tokens = n;
	if ((n = load_json_number(json, "cached_tokens")) >= 0 &&
	    call->cached_tokens < 0)
		call->cached_tokens = n;
}

static void take_content(struct load_call *call, struct span json)
{
	const struct load_options *o = call->client->options;
	struct span text = load_json_string(json,
	    o->is_completions ? "text" : "content");
	int64_t now = clock_us();

	if (text.len == 0)
		return;		/* the role, or the usage */
	if (call->first_us == 0)
		call->first_us = now;
	else if (now - call->last_us > call->gap_max_us)
		call->gap_max_us = now - call->last_us;
	call->last_us = now;
	call->n_events++;
	buf_put(&call->answer, text.ptr, text.len);
}

static void on_event(void *user, struct span data)
{
	struct load_call *call = ((struct load_conn *)user)->call;

	if (span_is_text(data, "[DONE]")) {
		call->is_finished = true;
		return;
	}
	if (data.len >= 8 && memcmp(data.ptr, "{\"error\"", 8) == 0) {
		call->outcome = LOAD_STREAM_ERROR;
		return;
	}
	take_content(call, data);
	take_usage(call, data);
}

static void on_body(void *user, struct span bytes)
{
	struct load_conn *n = user;

	if (n->response.status != 200)
		return;
	if (!n->response.is_event_stream)
		buf_put(&n->whole, bytes.ptr, bytes.len);
	else if (!load_sse_feed(&n->sse, bytes))
		n->call->outcome = LOAD_MALFORMED;
}

/* The response is whole: what was it? */
static enum load_outcome judge(struct load_conn *n)
{
	struct load_call *call = n->call;

	if (n->response.status != 200)
		return judge_status(n->response.status);
	if (call->outcome != LOAD_OK)
		return call->outcome;
	if (n->response.is_event_stream)
		return call->is_finished ? LOAD_OK : LOAD_INCOMPLETE;
	take_content(call, buf_span(&n->whole));
	take_usage(call, buf_span(&n->whole));
	return call->n_events > 0 ? LOAD_OK : LOAD_MALFORMED;
}

static void take_headers(struct load_conn *n)
{
	struct load_call *call = n->call;

	call->status = n->response.status;
	if (n->response.cached_tokens >= 0)
		call->cached_tokens = n->response.cached_tokens;
	call->queue_ms = n->response.queue_ms;
	memcpy(call->server, n->response.server, sizeof(call->server));
}

static void on_result(struct load_conn *n, enum load_response_result rc,
    enum load_outcome bad)
{
	if (rc == LOAD_RESPONSE_MORE)
		return;
	take_headers(n);
	finish(n->call, rc == LOAD_RESPONSE_DONE ? judge(n) : bad);
}

/* Told a little later, as if the call had never had a connection. */
static void refused(struct load_conn *n)
{
	struct load_call *call = n->call;

	conn_free(n);
	call->conn = NULL;
	call->timeout.repeat = connect_fail_s;
	ev_timer_again(call->client->loop, &call->timeout);
}

static void on_read(struct ev_loop *loop, struct ev_io *io, int events)
{
	static char bytes[READ_BYTES];
	struct load_conn *n = io->data;
	ssize_t len = recv(io->fd, bytes, sizeof(bytes), 0);

	(void)loop;
	(void)events;
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n->call == NULL) {
		conn_free(n);
		return;
	}
	if (!n->is_connected && len <= 0) {
		refused(n);
	} else if (len < 0) {
		on_result(n, LOAD_RESPONSE_BAD, LOAD_RESET);
	} else if (len == 0) {
		on_result(n, load_response_eof(&n->response), LOAD_CLOSED);
	} else {
		on_result(n, load_response_feed(&n->response,
		    (struct span){ bytes, (size_t)len }), LOAD_MALFORMED);
	}
}

/* True: sent or waiting to be writable. */
static bool write_out(struct load_conn *n)
{
	while (n->n_sent < n->out.len) {
		ssize_t len = send(n->write.fd, n->out.data + n->n_sent,
		    n->out.len - n->n_sent, MSG_NOSIGNAL);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EAGAIN)
			break;
		if (len < 0)
			return false;
		n->n_sent += (size_t)len;
	}
	if (n->n_sent < n->out.len)
		ev_io_start(n->client->loop, &n->write);
	else
		ev_io_stop(n->client->loop, &n->write);
	return true;
}

static void on_write(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct load_conn *n = io->data;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (!n->is_connected) {
		getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error != 0) {
			refused(n);
			return;
		}
		n->is_connected = true;
	}
	/* An early answer (413, 429) may still be read: the reader judges. */
	if (!write_out(n))
		ev_io_stop(loop, &n->write);
}

static void on_timeout(struct ev_loop *loop, struct ev_timer *t, int events)
{
	struct load_call *call = t->data;

	(void)loop;
	(void)events;
	finish(call, call->conn != NULL ? LOAD_TIMEOUT : LOAD_CONNECT);
}

static struct load_conn *conn_open(struct load_client *c)
{
	const struct load_options *o = c->options;
	const struct sockaddr *to = (const struct sockaddr *)&o->address;
	struct load_conn *n = calloc(1, sizeof(*n));
	int on = 1, fd;

	if (n == NULL)
		return NULL;
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd < 0)
		goto fail_socket;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, to, o->address_len) < 0 && errno != EINPROGRESS)
		goto fail_connect;
	n->client = c;
	buf_init(&n->out, BODY_MAX_BYTES);
	buf_init(&n->whole, ANSWER_MAX_BYTES);
	load_sse_init(&n->sse, on_event, n);
	load_response_init(&n->response, on_body, n);
	ev_io_init(&n->read, on_read, fd, EV_READ);
	ev_io_init(&n->write, on_write, fd, EV_WRITE);
	n->read.data = n->write.data = n;
	ev_io_start(c->loop, &n->read);
	ev_io_start(c->loop, &n->write);
	LIST_INSERT_HEAD(&c->busy, n, link);
	c->n_connects++;
	return n;

fail_connect:
	close(fd);
fail_socket:
	free(n);
	return NULL;
}

static struct load_conn *conn_get(struct load_client *c)
{
	struct load_conn *n = LIST_FIRST(&c->idle);

	if (n == NULL)
		return conn_open(c);
	LIST_REMOVE(n, link);
	LIST_INSERT_HEAD(&c->busy, n, link);
	load_response_fini(&n->response);
	load_response_init(&n->response, on_body, n);
	buf_clear(&n->sse.line);
	buf_clear(&n->whole);
	buf_clear(&n->out);
	n->n_sent = 0;
	return n;
}

void load_client_send(struct load_client *c, struct load_call *call)
{
	struct load_conn *n = conn_get(c);

	call->client = c;
	call->conn = n;
	ev_timer_init(&call->timeout, on_timeout,
	    n != NULL ? c->options->timeout : connect_fail_s, 0);
	call->timeout.data = call;
	ev_timer_start(c->loop, &call->timeout);
	if (n == NULL)
		return;
	n->call = call;
	buf_put(&n->out, c->head.data, c->head.len);
	buf_printf(&n->out, "Content-Length: %zu\r\n\r\n", call->body.len);
	buf_put(&n->out, call->body.data, call->body.len);
	must(!buf_failed(&n->out));
	if (n->is_connected && !write_out(n))
		ev_io_stop(c->loop, &n->write);
}

void load_client_init(struct load_client *c, struct ev_loop *loop,
    const struct load_options *o, void (*on_end)(struct load_call *call))
{
	bool has_host = false;

	*c = (struct load_client){ .loop = loop, .options = o,
		.on_end = on_end };
	buf_init(&c->head, 64 << 10);
	buf_printf(&c->head, "POST %s HTTP/1.1\r\nUser-Agent: epp-load\r\n"
	    "Content-Type: application/json\r\n", o->path);
	for (size_t i = 0; i < o->n_headers; i++) {
		buf_printf(&c->head, "%s\r\n", o->headers[i]);
		has_host |= strncasecmp(o->headers[i], "host:", 5) == 0;
	}
	if (!has_host)
		buf_printf(&c->head, "Host: %s\r\n", o->host);
}

void load_client_fini(struct load_client *c)
{
	while (!LIST_EMPTY(&c->idle))
		conn_free(LIST_FIRST(&c->idle));
	while (!LIST_EMPTY(&c->busy))
		conn_free(LIST_FIRST(&c->busy));
	buf_fini(&c->head);
}

void load_call_init(struct load_call *call)
{
	*call = (struct load_call){ .prompt_tokens = -1,
		.completion_tokens = -1, .cached_tokens = -1, .queue_ms = -1 };
	buf_init(&call->body, BODY_MAX_BYTES - (64 << 10));
	buf_init(&call->answer, ANSWER_MAX_BYTES);
}

void load_call_fini(struct load_call *call)
{
	buf_fini(&call->body);
	buf_fini(&call->answer);
}
