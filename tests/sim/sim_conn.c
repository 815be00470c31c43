/*
 * sim_conn.c - reading feeds the request parser, ev_prepare writes and buries
 *
 * Whatever happens to a connection only marks it dirty; flush_dirty() then
 * writes, starts the next request, or frees it. That is the one place where a
 * connection dies, so no caller can have it freed under its hands.
 */
#include "sim_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "must.h"

enum {
	READ_BYTES = 64 << 10,
	IN_MAX_BYTES = 256 << 10,
	OUT_MAX_BYTES = 40 << 20,	/* a page or answer, and a slow reader */
	KEEP_MAX_BYTES = 32 << 10,
	REQUEST_TIMEOUT_S = 30,
};

struct sim_conn {
	LIST_ENTRY(sim_conn) link;
	TAILQ_ENTRY(sim_conn) dirty_link;
	const struct sim_conn_owner *owner;
	void *server, *job;
	const char *headers;		/* of every answer */
	struct ev_io read, write;
	struct ev_timer deadline;	/* for a request to arrive whole */
	struct sim_request request;
	struct buf in, out;
	size_t n_sent;			/* of out */
	bool is_dirty, is_busy;		/* busy: an answer is owed */
	bool is_chunked, keep_alive, wants_drain;
	bool is_retired, is_doomed, is_reset;
};

static struct ev_loop *loop;
static struct ev_prepare flusher;
static TAILQ_HEAD(, sim_conn) dirty = TAILQ_HEAD_INITIALIZER(dirty);

static void mark(struct sim_conn *c)
{
	if (c->is_dirty)
		return;
	c->is_dirty = true;
	TAILQ_INSERT_TAIL(&dirty, c, dirty_link);
}

static void doom(struct sim_conn *c)
{
	c->is_doomed = true;
	mark(c);
}

static void bury(struct sim_conn *c)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	if (c->is_busy)
		c->owner->on_gone(c);
	if (c->is_reset)
		setsockopt(c->read.fd, SOL_SOCKET, SO_LINGER, &hard,
		    sizeof(hard));
	ev_io_stop(loop, &c->read);
	ev_io_stop(loop, &c->write);
	ev_timer_stop(loop, &c->deadline);
	close(c->read.fd);
	if (c->is_dirty)
		TAILQ_REMOVE(&dirty, c, dirty_link);
	LIST_REMOVE(c, link);
	sim_request_fini(&c->request);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

static void bad_request(struct sim_conn *c)
{
	struct span text = span_of("malformed or oversized request\n");

	c->request.keep_alive = false;
	sim_conn_reply(c, c->request.bad_status, "text/plain", NULL, &text, 1);
}

static void feed(struct sim_conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	switch (sim_request_feed(&c->request, &c->in)) {
	case SIM_REQUEST_CONTINUE:
		buf_put(&c->out, go_on, sizeof(go_on) - 1);
		mark(c);
		break;
	case SIM_REQUEST_MORE:
		break;
	case SIM_REQUEST_BAD:
		c->is_busy = true;
		bad_request(c);
		return;
	case SIM_REQUEST_DONE:
		ev_timer_stop(loop, &c->deadline);
		c->is_busy = true;
		c->owner->on_request(c, &c->request);
		return;
	}
	if (!sim_request_is_begun(&c->request, &c->in))
		ev_timer_stop(loop, &c->deadline);
	else if (!ev_is_active(&c->deadline))
		ev_timer_again(loop, &c->deadline);
}

static void on_read(struct ev_loop *l, struct ev_io *io, int events)
{
	static char bytes[READ_BYTES];
	struct sim_conn *c = io->data;
	ssize_t n = recv(io->fd, bytes, sizeof(bytes), 0);

	(void)l;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Half a close is a close: these clients do not come back to read. */
	if (n <= 0) {
		doom(c);
		return;
	}
	buf_put(&c->in, bytes, (size_t)n);
	if (buf_failed(&c->in))
		doom(c);
	else if (!c->is_busy && !c->is_doomed)
		feed(c);
}

static void on_write(struct ev_loop *l, struct ev_io *io, int events)
{
	struct sim_conn *c = io->data;

	(void)l;
	(void)events;
	/* Here and not on the flush: a fast reader must not keep that going. */
	if (c->wants_drain && c->out.len == 0 && !c->is_doomed) {
		c->wants_drain = false;
		c->owner->on_drain(c);
	}
	mark(c);
}

static void on_deadline(struct ev_loop *l, struct ev_timer *timer, int events)
{
	(void)l;
	(void)events;
	doom(timer->data);
}

/* False when the peer is gone. */
static bool write_out(struct sim_conn *c)
{
	while (c->n_sent < c->out.len) {
		ssize_t n = send(c->read.fd, c->out.data + c->n_sent,
		    c->out.len - c->n_sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return false;
		c->n_sent += (size_t)n;
	}
	if (c->n_sent < c->out.len) {
		ev_io_start(loop, &c->write);
		return true;
	}
	if (c->wants_drain)
		ev_io_start(loop, &c->write);
	else
		ev_io_stop(loop, &c->write);
	c->n_sent = 0;
	if (c->out.cap > KEEP_MAX_BYTES)
		buf_fini(&c->out);
	buf_clear(&c->out);
	return true;
}

static void flush(struct sim_conn *c)
{
	/* A client that left must not wait for what cannot reach it. */
	if ((c->is_doomed && !c->is_reset) || buf_failed(&c->out) ||
	    !write_out(c)) {
		bury(c);
		return;
	}
	if (c->is_reset || (!c->is_busy && c->out.len == 0 && c->is_retired)) {
		bury(c);
		return;
	}
	if (!c->is_busy && !c->is_retired && c->in.len > 0)
		feed(c);
}

static void flush_dirty(struct ev_loop *l, struct ev_prepare *p, int events)
{
	struct sim_conn *c;

	(void)l;
	(void)p;
	(void)events;
	while ((c = TAILQ_FIRST(&dirty)) != NULL) {
		TAILQ_REMOVE(&dirty, c, dirty_link);
		c->is_dirty = false;
		flush(c);
	}
}

void sim_conn_setup(struct ev_loop *l)
{
	loop = l;
	ev_prepare_init(&flusher, flush_dirty);
	ev_prepare_start(loop, &flusher);
	/* It works for others and must not keep the loop alive by itself. */
	ev_unref(loop);
}

int sim_conn_adopt(int fd, const struct sim_conn_owner *owner,
    struct sim_conn_list *list, void *server, const char *headers)
{
	struct sim_conn *c = calloc(1, sizeof(*c));
	int on = 1;

	if (c == NULL) {
		close(fd);
		return -ENOMEM;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->owner = owner;
	c->server = server;
	c->headers = headers;
	sim_request_init(&c->request);
	buf_init(&c->in, IN_MAX_BYTES);
	buf_init(&c->out, OUT_MAX_BYTES);
	ev_io_init(&c->read, on_read, fd, EV_READ);
	ev_io_init(&c->write, on_write, fd, EV_WRITE);
	ev_timer_init(&c->deadline, on_deadline, 0, REQUEST_TIMEOUT_S);
	c->read.data = c->write.data = c->deadline.data = c;
	ev_io_start(loop, &c->read);
	LIST_INSERT_HEAD(list, c, link);
	return 0;
}

void *sim_conn_server(const struct sim_conn *c)
{
	return c->server;
}

void *sim_conn_job(const struct sim_conn *c)
{
	return c->job;
}

void sim_conn_set_job(struct sim_conn *c, void *job)
{
	c->job = job;
}

static const char *status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} known[] = {
		{ 200, "OK" }, { 400, "Bad Request" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 413, "Content Too Large" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == status)
			return known[i].text;
	return "Unknown";
}

static void put_head(struct sim_conn *c, int status, const char *type,
    const char *headers)
{
	must(c->is_busy);
	c->keep_alive = c->request.keep_alive && !c->is_retired;
	buf_printf(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%s%s%s",
	    status, status_text(status), type, c->headers,
	    headers != NULL ? headers : "",
	    c->keep_alive ? "" : "Connection: close\r\n");
	mark(c);
}

/* The answer is complete; the next request, if any, starts on the flush. */
static void finish(struct sim_conn *c)
{
	c->is_busy = false;
	c->job = NULL;
	c->is_retired |= !c->keep_alive;
	sim_request_clear(&c->request);
	mark(c);
}

void sim_conn_reply(struct sim_conn *c, int status, const char *type,
    const char *headers, const struct span *parts, size_t n_parts)
{
	size_t len = 0;

	for (size_t i = 0; i < n_parts; i++)
		len += parts[i].len;
	put_head(c, status, type, headers);
	buf_printf(&c->out, "Content-Length: %zu\r\n\r\n", len);
	for (size_t i = 0; i < n_parts; i++)
		buf_put(&c->out, parts[i].ptr, parts[i].len);
	finish(c);
}

void sim_conn_start(struct sim_conn *c, int status, const char *type,
    const char *headers)
{
	put_head(c, status, type, headers);
	c->is_chunked = true;
	buf_puts(&c->out, "Transfer-Encoding: chunked\r\n\r\n");
}

void sim_conn_chunk(struct sim_conn *c, struct span bytes)
{
	must(c->is_chunked);
	if (bytes.len == 0)
		return;		/* an empty chunk would end the body */
	buf_printf(&c->out, "%zx\r\n", bytes.len);
	buf_put(&c->out, bytes.ptr, bytes.len);
	buf_puts(&c->out, "\r\n");
	mark(c);
}

void sim_conn_end(struct sim_conn *c)
{
	must(c->is_chunked);
	c->is_chunked = false;
	buf_puts(&c->out, "0\r\n\r\n");
	finish(c);
}

void sim_conn_want_drain(struct sim_conn *c)
{
	c->wants_drain = true;
	mark(c);
}

void sim_conn_reset(struct sim_conn *c)
{
	c->is_reset = true;
	doom(c);
}

void sim_conn_retire(struct sim_conn *c)
{
	c->is_retired = true;
	mark(c);
}

struct sim_conn *sim_conn_next(const struct sim_conn *c)
{
	return LIST_NEXT(c, link);
}

void sim_conn_retire_all(struct sim_conn_list *list)
{
	struct sim_conn *c;

	LIST_FOREACH(c, list, link)
		sim_conn_retire(c);
}

void sim_conn_free_all(struct sim_conn_list *list)
{
	while (!LIST_EMPTY(list))
		bury(LIST_FIRST(list));
}
