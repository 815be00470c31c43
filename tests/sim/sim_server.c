/*
 * sim_server.c - accepts, turns the engine's next event into a timer
 */
#include "sim_server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "sim_api.h"
#include "sim_completion.h"

enum { ACCEPTS_A_TURN = 64, BACKLOG = 1024 };

static const struct sim_conn_owner conn_owner = {
	.on_request = sim_api_on_request,
	.on_gone = sim_completion_on_gone,
	.on_drain = sim_api_on_drain,
};

static const struct sim_engine_events engine_events = {
	.on_token = sim_completion_on_token,
	.on_done = sim_completion_on_done,
};

static void on_accept(struct ev_loop *loop, struct ev_io *io, int events)
{
	static struct log_gate gate;
	struct sim_server *s = io->data;
	uint32_t held;

	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(io->fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
			return;
		if (fd < 0) {
			if (log_gate_open(&gate, clock_ms(), &held))
				log_error("sim.accept", "server=%s errno=%d "
				    "held=%u", s->address->text, errno, held);
			return;
		}
		sim_conn_adopt(fd, &conn_owner, &s->conns, s, s->headers);
	}
}

static int start_listening(struct sim_server *s)
{
	const struct sim_address *a = s->address;
	int fd = socket(a->bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	int on = 1, err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&a->bytes, a->len) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		err = errno;
		close(fd);
		return -err;
	}
	ev_io_set(&s->accepting, fd, EV_READ);
	ev_io_start(s->house->loop, &s->accepting);
	return 0;
}

static void stop_listening(struct sim_server *s)
{
	if (s->accepting.fd < 0)
		return;
	ev_io_stop(s->house->loop, &s->accepting);
	close(s->accepting.fd);
	ev_io_set(&s->accepting, -1, EV_READ);
}

static void reopen(struct sim_server *s)
{
	int rc;

	ev_timer_stop(s->house->loop, &s->reopen_timer);
	if (s->accepting.fd >= 0)
		return;
	rc = start_listening(s);
	if (rc < 0)
		log_error("sim.reopen", "server=%s errno=%d", s->address->text,
		    -rc);
}

static void on_reopen(struct ev_loop *loop, struct ev_timer *t, int events)
{
	(void)loop;
	(void)events;
	reopen(t->data);
}

void sim_server_wake(struct sim_server *s)
{
	struct ev_loop *loop = s->house->loop;
	int64_t now = clock_ns(), next;

	sim_engine_advance(s->engine, now);
	if (s->events != NULL)
		sim_events_flush(s->events);
	next = sim_engine_next(s->engine);
	ev_timer_stop(loop, &s->engine_timer);
	if (next == INT64_MAX)
		return;
	/* The loop's own clock lags behind by what this turn has taken. */
	ev_timer_set(&s->engine_timer, (double)(next - now) / 1e9 +
	    (ev_time() - ev_now(loop)), 0);
	ev_timer_start(loop, &s->engine_timer);
}

struct sim_server *sim_server_place(struct sim_server *s,
    const struct sim_seq *seq)
{
	struct sim_house *h = s->house;
	int64_t now = clock_ns(), least = INT64_MAX, ns;
	struct sim_server *best = s;
	size_t from;

	if (s != &h->oracle)
		return s;
	from = s->n_requests % h->n_servers;	/* equals take turns */
	for (size_t i = 0; i < h->n_servers; i++) {
		struct sim_server *one =
		    &h->servers[(from + i) % h->n_servers];

		sim_server_wake(one);
		ns = sim_engine_forecast(one->engine, seq, now);
		if (ns >= least)
			continue;
		least = ns;
		best = one;
	}
	return best;
}

static void on_engine_timer(struct ev_loop *loop, struct ev_timer *t,
    int events)
{
	(void)loop;
	(void)events;
	sim_server_wake(t->data);
}

static void reset_conns(struct sim_server *s)
{
	struct sim_conn *c;

	/* A crash takes all with it, the one that commands it too. */
	for (c = LIST_FIRST(&s->conns); c != NULL; c = sim_conn_next(c))
		sim_conn_reset(c);
}

static void freeze_page(struct sim_server *s)
{
	struct span parts[SIM_PAGE_PARTS];

	sim_page_render(&s->page, s->engine, s->house->options,
	    ev_now(s->house->loop), parts);
	buf_clear(&s->stale_page);
	for (int i = 0; i < SIM_PAGE_PARTS; i++)
		buf_put(&s->stale_page, parts[i].ptr, parts[i].len);
}

void sim_server_set_fault(struct sim_server *s, const struct sim_fault *fault)
{
	sim_faults_set(&s->faults, fault, clock_ns());
	if (fault->kind == SIM_FAULT_METRICS_STALE)
		freeze_page(s);
	if (fault->kind == SIM_FAULT_NONE)
		reopen(s);
	if (fault->class != SIM_ON_LISTENER)
		return;
	stop_listening(s);
	if (fault->kind == SIM_FAULT_CRASH)
		reset_conns(s);
	else
		sim_conn_retire_all(&s->conns);
	ev_timer_stop(s->house->loop, &s->reopen_timer);
	if (fault->for_ms > 0) {
		ev_timer_set(&s->reopen_timer, (double)fault->for_ms / 1e3, 0);
		ev_timer_start(s->house->loop, &s->reopen_timer);
	}
}

void sim_server_clear(struct sim_server *s)
{
	sim_engine_clear(s->engine);
	if (s->events == NULL)
		return;
	sim_events_cleared(s->events);
	sim_events_flush(s->events);
}

void sim_server_reset(struct sim_server *s)
{
	const struct sim_fault none = { .kind = SIM_FAULT_NONE,
		.class = SIM_ON_ALL };

	sim_server_set_fault(s, &none);
	sim_engine_reset(s->engine);
	if (s->events != NULL)
		sim_events_restart(s->events);
	sim_engine_stats(s->engine)->start_time = ev_now(s->house->loop);
}

static void on_stored(void *data, const uint64_t *parent,
    const uint64_t *names, uint32_t n, struct span text)
{
	sim_events_stored(((struct sim_server *)data)->events, parent, names, n,
	    text);
}

static void on_removed(void *data, uint64_t name)
{
	sim_events_removed(((struct sim_server *)data)->events, name);
}

static int open_events(struct sim_server *s)
{
	const struct sim_options *o = s->house->options;
	const struct sim_address *a = s->address;
	bool is_v6 = a->text[0] == '[';
	char host[64];
	const struct sim_events_options e = { .address = host,
		.port = (uint16_t)(a->port + o->kv_events),
		.replay_port = o->kv_replay != 0 ?
		    (uint16_t)(a->port + o->kv_replay) : 0,
		.model = o->model, .server_port = a->port,
		.block_tokens = (uint32_t)o->block_tokens,
		.as_maps = o->kv_maps };

	snprintf(host, sizeof(host), "%.*s", (int)(strrchr(a->text, ':') -
	    a->text) - 2 * is_v6, a->text + is_v6);
	s->events = sim_events_open(s->house->loop, &e);
	s->watch = (struct sim_engine_watch){ on_stored, on_removed, s };
	sim_engine_watch(s->engine, &s->watch);
	return s->events != NULL ? 0 : -EADDRINUSE;
}

static int server_init(struct sim_server *s, struct sim_house *h,
    const struct sim_address *address)
{
	s->house = h;
	s->address = address;
	snprintf(s->headers, sizeof(s->headers), "x-sim-server: %s\r\n",
	    address->text);
	LIST_INIT(&s->conns);
	sim_page_init(&s->page);
	buf_init(&s->stale_page, 4 << 20);
	ev_io_init(&s->accepting, on_accept, -1, EV_READ);
	ev_timer_init(&s->engine_timer, on_engine_timer, 0, 0);
	ev_timer_init(&s->reopen_timer, on_reopen, 0, 0);
	s->accepting.data = s->engine_timer.data = s->reopen_timer.data = s;
	s->engine = sim_engine_new(h->options, &engine_events);
	if (s->engine == NULL)
		return -ENOMEM;
	sim_engine_stats(s->engine)->start_time = ev_now(h->loop);
	if (h->options->kv_events != 0 && open_events(s) < 0)
		return -EADDRINUSE;
	return start_listening(s);
}

static void server_fini(struct sim_server *s)
{
	if (s->house == NULL)
		return;		/* init did not get this far */
	sim_conn_free_all(&s->conns);
	stop_listening(s);
	ev_timer_stop(s->house->loop, &s->engine_timer);
	ev_timer_stop(s->house->loop, &s->reopen_timer);
	sim_engine_free(s->engine);
	sim_events_close(s->events);
	sim_page_fini(&s->page);
	buf_fini(&s->stale_page);
}

int sim_house_init(struct sim_house *h, struct ev_loop *loop,
    const struct sim_options *o)
{
	int rc = 0;

	*h = (struct sim_house){ .loop = loop, .options = o };
	h->servers = calloc(o->n_listen, sizeof(*h->servers));
	if (h->servers == NULL)
		return -ENOMEM;
	h->n_servers = o->n_listen;
	sim_conn_setup(loop);
	if (o->oracle.len > 0)
		rc = server_init(&h->oracle, h, &o->oracle);
	for (size_t i = 0; i < o->n_listen && rc == 0; i++) {
		rc = server_init(&h->servers[i], h, &o->listen[i]);
		if (rc < 0)
			log_error("sim.listen", "server=%s error=\"%s\"",
			    o->listen[i].text, strerror(-rc));
	}
	return rc;
}

void sim_house_fini(struct sim_house *h)
{
	server_fini(&h->oracle);
	for (size_t i = 0; i < h->n_servers; i++)
		server_fini(&h->servers[i]);
	free(h->servers);
	sim_page_shutdown();
}

static bool is_same_host(const struct sim_address *a,
    const struct sim_address *b)
{
	ptrdiff_t len = strrchr(a->text, ':') - a->text;

	return strrchr(b->text, ':') - b->text == len &&
	    memcmp(a->text, b->text, (size_t)len) == 0;
}

struct sim_server *sim_server_sibling(struct sim_server *s, uint64_t port)
{
	struct sim_house *h = s->house;
	struct sim_server *found = NULL;

	for (size_t i = 0; i < h->n_servers; i++) {
		if (h->servers[i].address->port != port)
			continue;
		if (is_same_host(h->servers[i].address, s->address))
			return &h->servers[i];
		if (found == NULL)
			found = &h->servers[i];
	}
	return found;
}
