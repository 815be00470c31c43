/*
 * http.c - targets, and the deadlines of the fetches under way
 *
 * One timer serves all fetches of a client. It is set for the earliest deadline
 * and not touched when that fetch ends, as nearly all do, long before: it then
 * finds nothing due, and is set for the next. So a fetch pays for no timer.
 */
#include "http.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fault.h"
#include "http_target.h"
#include "https.h"
#include "must.h"

enum { REQUEST_MAX_BYTES = 8192, POST_LINES_MAX = 128 };

const char *http_result_name(enum http_result result)
{
	static const char *const names[] = {
		[HTTP_OK] = "ok",
		[HTTP_TIMEOUT] = "timeout",
		[HTTP_CONNECT] = "connect",
		[HTTP_CLOSED] = "closed",
		[HTTP_BAD] = "bad",
		[HTTP_TOO_BIG] = "too-big",
		[HTTP_ABORTED] = "aborted",
	};

	must((size_t)result < sizeof(names) / sizeof(*names));
	return names[result];
}

/* Early by a hair is possible: the loop's clock lags. Then it comes again. */
static void arm_sweep(struct http_client *c, int64_t deadline_ms)
{
	int64_t wait_ms = deadline_ms - clock_ms();

	if (ev_is_active(&c->sweep) && c->armed_ms <= deadline_ms)
		return;
	c->armed_ms = deadline_ms;
	ev_timer_stop(c->loop, &c->sweep);
	ev_timer_set(&c->sweep, wait_ms > 0 ? (double)wait_ms / 1e3 : 1e-3, 0.);
	ev_timer_start(c->loop, &c->sweep);
}

/*
 * Callbacks may start fetches here, of any target. Those go to the list's end,
 * and each that was under way is looked at once.
 */
static void on_sweep(EV_P_ ev_timer *sweep, int revents)
{
	struct http_client *c = sweep->data;
	int64_t now_ms = clock_ms(), next_ms = INT64_MAX;
	struct http_target *t;

	(void)loop;
	(void)revents;
	for (size_t n = c->n_busy; n > 0; n--) {
		t = TAILQ_FIRST(&c->busy);
		if (t == NULL)
			break;
		TAILQ_REMOVE(&c->busy, t, busy);
		TAILQ_INSERT_TAIL(&c->busy, t, busy);
		if (t->deadline_ms <= now_ms)
			http_target_finish(t, t->state == HTTP_STATE_FAILED
				? t->failed : HTTP_TIMEOUT);
	}
	TAILQ_FOREACH(t, &c->busy, busy)
		if (t->deadline_ms < next_ms)
			next_ms = t->deadline_ms;
	if (next_ms != INT64_MAX)
		arm_sweep(c, next_ms);
}

struct http_client *http_client_new(struct ev_loop *loop)
{
	struct http_client *c = malloc(sizeof(*c));

	if (c == NULL)
		return NULL;
	memset(c, 0, offsetof(struct http_client, bytes));
	c->loop = loop;
	TAILQ_INIT(&c->busy);
	ev_init(&c->sweep, on_sweep);
	c->sweep.data = c;
	return c;
}

void http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	must(c->n_targets == 0);
	ev_timer_stop(c->loop, &c->sweep);
	https_client_free(c->https);
	free(c);
}

/* What would end or split the request line, or a header's line. */
static bool is_word(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

static bool check_options(const struct http_target_options *o,
    struct fault *why)
{
	if (o->path[0] != '/' || !is_word(o->path)) {
		fault_setf(why, NULL, 0, "path %s", o->path);
		fault_want(why, "a path that starts with / and has no blanks");
	} else if (o->host[0] == '\0' || !is_word(o->host)) {
		fault_setf(why, NULL, 0, "host \"%s\"", o->host);
		fault_want(why, "a host name or an address");
	}
	return !why->is_set;
}

static void put_request(struct buf *b, const struct http_target_options *o)
{
	bool is_v6 = strchr(o->host, ':') != NULL;

	buf_printf(b, "GET %s HTTP/1.1\r\nHost: %s%s%s", o->path,
	    is_v6 ? "[" : "", o->host, is_v6 ? "]" : "");
	if (o->port != 80)
		buf_printf(b, ":%u", (unsigned)o->port);
	buf_puts(b, "\r\nUser-Agent: haproxy-epp/" EPP_VERSION "\r\n"
	    "Accept: text/plain;version=0.0.4,*/*;q=0.1\r\n"
	    "Accept-Encoding: identity\r\n\r\n");
}

static bool parse_address(struct http_target *t,
    const struct http_target_options *o, struct fault *why)
{
	if (inet_pton(AF_INET, o->address, &t->address.v4.sin_addr) == 1) {
		t->address.v4.sin_family = AF_INET;
		t->address.v4.sin_port = htons(o->port);
		return true;
	}
	if (inet_pton(AF_INET6, o->address, &t->address.v6.sin6_addr) == 1) {
		t->address.v6.sin6_family = AF_INET6;
		t->address.v6.sin6_port = htons(o->port);
		return true;
	}
	fault_setf(why, NULL, 0, "address %s", o->address);
	fault_want(why, "a numeric IPv4 or IPv6 address");
	return false;
}

/* For https the request and the address are libcurl's affair. */
static struct http_target *target_alloc(struct http_client *c,
    const struct http_target_options *o)
{
	struct http_target *t = NULL;
	struct buf request;

	buf_init(&request, REQUEST_MAX_BYTES);
	if (!o->https)
		put_request(&request, o);
	if (!buf_failed(&request))
		t = calloc(1, sizeof(*t) + request.len);
	if (t == NULL)
		goto out;
	t->client = c;
	t->fd = -1;
	t->on_body = o->on_body;
	t->on_done = o->on_done;
	t->data = o->data;
	t->max_bytes = o->max_bytes;
	t->request_len = request.len;
	if (request.len != 0)
		memcpy(t->request, request.data, request.len);
	buf_init(&t->cut_head, HTTP_HEAD_MAX);
	buf_init(&t->post_head, REQUEST_MAX_BYTES + POST_LINES_MAX);
	ev_init(&t->io, http_io_ready);
	t->io.data = t;
out:
	buf_fini(&request);
	return t;
}

static bool make_https(struct http_target *t,
    const struct http_target_options *o, struct fault *why)
{
	struct http_client *c = t->client;

	if (c->https == NULL)
		c->https = https_client_new(c->loop, why);
	if (c->https != NULL)
		t->https = https_target_new(c->https, o, why);
	return t->https != NULL;
}

struct http_target *http_target_new(struct http_client *c,
    const struct http_target_options *options, struct fault *why)
{
	struct http_target *t;

	if (!check_options(options, why))
		return NULL;
	t = target_alloc(c, options);
	if (t == NULL) {
		fault_set(why, NULL, 0, "no memory for a target", NULL);
		return NULL;
	}
	if (options->https ? !make_https(t, options, why)
			   : !parse_address(t, options, why)) {
		free(t);
		return NULL;
	}
	c->n_targets++;
	return t;
}

static void set_idle(struct http_target *t)
{
	TAILQ_REMOVE(&t->client->busy, t, busy);
	t->client->n_busy--;
	t->state = HTTP_STATE_IDLE;
	buf_fini(&t->cut_head);
}

void http_target_free(struct http_target *t)
{
	if (t == NULL)
		return;
	if (t->https != NULL) {
		https_target_free(t->https);
	} else {
		if (t->state != HTTP_STATE_IDLE)
			set_idle(t);
		http_io_close(t);
		buf_fini(&t->post_head);
	}
	t->client->n_targets--;
	free(t);
}

void http_target_finish(struct http_target *t, enum http_result result)
{
	int status = t->head.status;

	set_idle(t);
	if (result == HTTP_OK && t->head.keep_alive)
		t->is_reused = true;
	else
		http_io_close(t);
	t->on_done(t->data, result, status);
}

void http_target_hurry(struct http_target *t)
{
	arm_sweep(t->client, t->deadline_ms);
}

static void start(struct http_target *t, int64_t deadline_ms)
{
	t->deadline_ms = deadline_ms;
	TAILQ_INSERT_TAIL(&t->client->busy, t, busy);
	t->client->n_busy++;
	arm_sweep(t->client, deadline_ms);
	http_io_start(t);
}

void http_target_get(struct http_target *t, int64_t deadline_ms)
{
	must(!http_target_is_busy(t));
	if (t->https != NULL) {
		https_target_get(t->https, deadline_ms);
		return;
	}
	t->head_out = (struct span){ t->request, t->request_len };
	t->body_out = (struct span){ 0 };
	start(t, deadline_ms);
}

/* The GET's head under another method, with two lines before the empty one. */
static void put_post_head(struct http_target *t, size_t body_bytes)
{
	const size_t get = strlen("GET"), end = strlen("\r\n");

	buf_clear(&t->post_head);
	buf_puts(&t->post_head, "POST");
	buf_put(&t->post_head, t->request + get, t->request_len - get - end);
	buf_printf(&t->post_head, "Content-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n", body_bytes);
}

void http_target_post(struct http_target *t, struct span body,
    int64_t deadline_ms)
{
	must(!http_target_is_busy(t));
	if (t->https != NULL) {
		https_target_post(t->https, body, deadline_ms);
		return;
	}
	put_post_head(t, body.len);
	t->head_out = buf_span(&t->post_head);
	t->body_out = body;
	start(t, deadline_ms);
}

bool http_target_is_busy(const struct http_target *t)
{
	if (t->https != NULL)
		return https_target_is_busy(t->https);
	return t->state != HTTP_STATE_IDLE;
}
