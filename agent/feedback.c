/*
 * feedback.c - lines read as records, and the connections that bring them
 *
 * All connections share one read buffer; each keeps the part of a line that a read's
 * end has cut.
 */
#include "feedback.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "doors.h"
#include "fault.h"
#include "lines.h"
#include "list.h"
#include "log.h"
#include "record.h"

enum {
	READ_BYTES = 65536,
	READS_PER_WAKEUP = 2,	/* of one connection: some 800 lines */
	QUOTED_BYTES = 120,	/* of a line, in the log */
	KEEPALIVE_S = 60,	/* a HAProxy host that vanished is found out */
};

/* ---- lines ---- */

struct feedback {
	struct ev_loop *loop;
	const struct feedback_calls *calls;
	void *data;
	bool is_in_batch;
	struct feedback_counters counters;
	struct log_gate bad_gate, early_gate, refused_gate;
	struct doors *doors;
	struct list connections;
	size_t n_connections;
	char in[READ_BYTES];
};

struct connection {
	struct list link;
	struct feedback *feedback;
	ev_io io;
	struct lines lines;
};

/* The start of it, fit for a log line. */
static const char *quote(struct span s, char out[4 * QUOTED_BYTES + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < s.len && i < QUOTED_BYTES; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
		else
			out[n++] = (char)c;
	}
	out[n] = '\0';
	return out;
}

static void take_bad(struct feedback *f, struct span line,
    const struct record_fault *why)
{
	char text[4 * QUOTED_BYTES + 1], word[4 * QUOTED_BYTES + 1];
	uint32_t held;

	f->counters.bad++;
	if (!log_gate_open(&f->bad_gate, clock_ms(), &held))
		return;
	log_warn("feedback.bad", "want=\"%s\" found=\"%s\" held_back=%u "
	    "line=\"%s\"", why->want, quote(why->found, word), held,
	    quote(line, text));
}

static void take_too_long(struct feedback *f)
{
	uint32_t held;

	f->counters.too_long++;
	if (log_gate_open(&f->bad_gate, clock_ms(), &held))
		log_warn("feedback.too_long", "want=\"%d bytes at most, each "
		    "line with its newline\" held_back=%u", LINES_MAX_BYTES,
		    held);
}

static void take_record(struct feedback *f, const struct record *r)
{
	uint32_t held;

	f->counters.records++;
	f->counters.no_id += r->id.len == 0;
	f->counters.early += r->is_early;
	if (r->is_early && log_gate_open(&f->early_gate, clock_ms(), &held))
		log_warn("feedback.early", "want=\"no option logasap: it tells "
		    "the end of a request at its beginning\" held_back=%u",
		    held);
	if (!f->is_in_batch)
		f->calls->begin(f->data);
	f->is_in_batch = true;
	f->calls->record(r, f->data);
}

static void take_line(struct feedback *f, struct span line)
{
	struct record_fault why;
	struct record r;

	f->counters.lines++;
	switch (record_parse(line, &r, &why)) {
	case RECORD_OK:
	case RECORD_NO_ID:
		take_record(f, &r);
		break;
	case RECORD_NONE:
		f->counters.other++;
		break;
	case RECORD_BAD:
		take_bad(f, line, &why);
		break;
	}
}

static void end_batch(struct feedback *f)
{
	if (f->is_in_batch)
		f->calls->end(f->data);
	f->is_in_batch = false;
}

/* ---- connections ---- */

static void take_bytes(struct connection *c, struct span in)
{
	enum lines_result result;
	struct span line;

	while ((result = lines_next(&c->lines, &in, &line)) != LINES_MORE)
		if (result == LINES_LINE)
			take_line(c->feedback, line);
		else
			take_too_long(c->feedback);
}

static void close_connection(struct connection *c)
{
	ev_io_stop(c->feedback->loop, &c->io);
	close(c->io.fd);
	lines_fini(&c->lines);
	list_remove(&c->link);
	c->feedback->n_connections--;
	free(c);
}

/* False: it is over. What is not read now is there in the loop's next turn. */
static bool read_some(struct connection *c)
{
	for (int i = 0; i < READS_PER_WAKEUP; i++) {
		ssize_t got = recv(c->io.fd, c->feedback->in, READ_BYTES, 0);

		if (got < 0)
			return errno == EAGAIN || errno == EINTR;
		if (got == 0)
			return false;
		take_bytes(c, (struct span){ c->feedback->in, (size_t)got });
		if (got < READ_BYTES)
			return true;
	}
	return true;
}

static void on_readable(EV_P_ ev_io *io, int revents)
{
	struct connection *c = io->data;
	struct feedback *f = c->feedback;

	(void)loop;
	(void)revents;
	if (!read_some(c))
		close_connection(c);
	end_batch(f);
}

/* On a unix socket none of this is needed, and it fails. */
static void set_keepalive(int fd)
{
	int on = 1, idle_s = KEEPALIVE_S;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
}

static void refuse(struct feedback *f, int fd)
{
	uint32_t held;

	close(fd);
	f->counters.refused++;
	if (log_gate_open(&f->refused_gate, clock_ms(), &held))
		log_warn("feedback.refused", "connections=%zu want=\"one of each "
		    "HAProxy process\" held_back=%u", f->n_connections, held);
}

static void open_connection(int fd, void *data)
{
	struct feedback *f = data;
	struct connection *c = f->n_connections < FEEDBACK_CONNECTIONS_MAX ?
	    calloc(1, sizeof(*c)) : NULL;

	if (c == NULL) {
		refuse(f, fd);
		return;
	}
	set_keepalive(fd);
	c->feedback = f;
	lines_init(&c->lines);
	list_append(&f->connections, &c->link);
	f->n_connections++;
	f->counters.connections++;
	ev_io_init(&c->io, on_readable, fd, EV_READ);
	c->io.data = c;
	ev_io_start(f->loop, &c->io);
}

/* ---- the whole ---- */

struct feedback *feedback_open(struct ev_loop *loop,
    const struct listen_options *listens, size_t n_listens,
    const struct feedback_calls *calls, void *data, struct fault *why)
{
	struct feedback *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		fault_set(why, NULL, 0, "no memory", NULL);
		return NULL;
	}
	f->loop = loop;
	f->calls = calls;
	f->data = data;
	list_init(&f->connections);
	f->doors = doors_open(loop, listens, n_listens, "feedback.accept",
	    open_connection, f, why);
	if (f->doors != NULL)
		return f;
	free(f);
	return NULL;
}

void feedback_start(struct feedback *f)
{
	doors_start(f->doors);
}

void feedback_close(struct feedback *f)
{
	if (f == NULL)
		return;
	doors_close(f->doors);
	list_each(link, after, &f->connections)
		close_connection(list_entry(link, struct connection, link));
	free(f);
}

const struct feedback_counters *feedback_counters(const struct feedback *f)
{
	return &f->counters;
}

size_t feedback_connections(const struct feedback *f)
{
	return f->n_connections;
}
