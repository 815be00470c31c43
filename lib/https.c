/*
 * https.c - libcurl's multi interface on a libev loop
 *
 * The only file that knows how libcurl works. Each target is one easy handle,
 * made once and added to the multi for the time of a fetch; the multi keeps the
 * connections. libcurl connects to the numeric address and verifies the host
 * name, as if DNS had said so. Environment variables (proxies) do not count.
 */
#include "https.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "curl_table.h"
#include "fault.h"
#include "http_head.h"
#include "must.h"

/*
 * Without a value: not to be sent. libcurl asks for `100 Continue` before a body of a
 * mebibyte, and servers that do not answer cost a second.
 */
static const char *const post_lines[] = {
	"Content-Type: application/json", "Expect:",
};

enum { CURL_BUFFER_BYTES = 16384, TEXT_MAX = 1024 };

struct https_client {
	struct ev_loop *loop;
	CURLM *multi;
	ev_timer timer;
	long n_targets;
};

struct watch {			/* one socket of libcurl's */
	struct https_client *client;
	ev_io io;
};

struct https_target {
	struct https_client *client;
	CURL *easy;
	struct curl_slist *connect_to, *post_lines;
	size_t max_bytes, body_bytes, head_bytes;
	enum http_result early;	/* why we aborted; HTTP_OK: we did not */
	ev_timer refused;	/* libcurl took no fetch: told a little later */
	bool is_busy;
	bool (*on_body)(void *data, const void *bytes, size_t len);
	void (*on_done)(void *data, enum http_result result, int status);
	void *data;
};

static enum http_result result_of(const struct https_target *t, CURLcode code)
{
	if (t->early != HTTP_OK)
		return t->early;
	switch (code) {
	case CURLE_OK:
		return HTTP_OK;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_TIMEOUT;
	case CURLE_FILESIZE_EXCEEDED:
		return HTTP_TOO_BIG;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return HTTP_CLOSED;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_HTTP2:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_WRITE_ERROR:
		return HTTP_BAD;
	default:	/* refused, unreachable, or one of TLS's many */
		return HTTP_CONNECT;
	}
}

static long status_of(struct https_target *t)
{
	long status = 0;

	curl_table.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* on_done comes last and may start the next fetch. */
static void finish(struct https_target *t, CURLcode code)
{
	int status = (int)status_of(t);

	curl_table.multi_remove_handle(t->client->multi, t->easy);
	t->is_busy = false;
	t->on_done(t->data, result_of(t, code), status);
}

static void on_refused(EV_P_ ev_timer *refused, int revents)
{
	(void)loop;
	(void)revents;
	finish(refused->data, CURLE_OUT_OF_MEMORY);
}

static void drive(struct https_client *c, curl_socket_t fd, int what)
{
	CURLMsg *m;
	int n;

	curl_table.multi_socket_action(c->multi, fd, what, &n);
	while ((m = curl_table.multi_info_read(c->multi, &n)) != NULL) {
		char *target;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_table.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE,
		    &target);
		finish((struct https_target *)(void *)target, m->data.result);
	}
}

static void on_ready(EV_P_ ev_io *io, int revents)
{
	struct watch *w = io->data;

	(void)loop;
	drive(w->client, io->fd, ((revents & EV_READ) ? CURL_CSELECT_IN : 0) |
	    ((revents & EV_WRITE) ? CURL_CSELECT_OUT : 0));
}

static void on_timer(EV_P_ ev_timer *timer, int revents)
{
	struct https_client *c = timer->data;

	(void)loop;
	(void)revents;
	drive(c, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl wants its timer at `wait_ms`, or none at -1; not called back here. */
static int set_timer(CURLM *multi, long wait_ms, void *data)
{
	struct https_client *c = data;

	(void)multi;
	ev_timer_stop(c->loop, &c->timer);
	if (wait_ms >= 0) {
		ev_timer_set(&c->timer, (double)wait_ms / 1e3, 0.);
		ev_timer_start(c->loop, &c->timer);
	}
	return 0;
}

static struct watch *watch_new(struct https_client *c, curl_socket_t fd)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->client = c;
	ev_init(&w->io, on_ready);
	w->io.data = w;
	curl_table.multi_assign(c->multi, fd, w);
	return w;
}

static int set_watch(CURL *easy, curl_socket_t fd, int what, void *data,
    void *socket_data)
{
	struct https_client *c = data;
	struct watch *w = socket_data;

	(void)easy;
	if (w == NULL && what != CURL_POLL_REMOVE)
		w = watch_new(c, fd);
	if (w == NULL)
		return what == CURL_POLL_REMOVE ? 0 : -1;
	ev_io_stop(c->loop, &w->io);
	if (what == CURL_POLL_REMOVE) {
		curl_table.multi_assign(c->multi, fd, NULL);
		free(w);	/* even in on_ready() nobody looks again */
		return 0;
	}
	ev_io_set(&w->io, fd, ((what & CURL_POLL_IN) ? EV_READ : 0) |
	    ((what & CURL_POLL_OUT) ? EV_WRITE : 0));
	ev_io_start(c->loop, &w->io);
	return 0;
}

struct https_client *https_client_new(struct ev_loop *loop, struct fault *why)
{
	struct https_client *c;

	if (!curl_table_load(why))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL || (c->multi = curl_table.multi_init()) == NULL) {
		fault_set(why, NULL, 0, "no memory for https", NULL);
		free(c);
		return NULL;
	}
	c->loop = loop;
	ev_init(&c->timer, on_timer);
	c->timer.data = c;
	curl_table.multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, set_watch);
	curl_table.multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_table.multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_table.multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	return c;
}

void https_client_free(struct https_client *c)
{
	if (c == NULL)
		return;
	must(c->n_targets == 0);
	curl_table.multi_cleanup(c->multi);
	ev_timer_stop(c->loop, &c->timer);
	free(c);
}

/* libcurl takes any count but `n` as an order to stop. */
static size_t on_curl_body(char *bytes, size_t size, size_t n, void *data)
{
	struct https_target *t = data;
	size_t len = size * n;

	if (len > t->max_bytes - t->body_bytes) {
		t->early = HTTP_TOO_BIG;
		return 0;
	}
	t->body_bytes += len;
	if (status_of(t) / 100 == 2 && !t->on_body(t->data, bytes, len)) {
		t->early = HTTP_ABORTED;
		return 0;
	}
	return len;
}

static size_t on_curl_header(char *bytes, size_t size, size_t n, void *data)
{
	struct https_target *t = data;
	size_t len = size * n;

	(void)bytes;
	t->head_bytes += len;
	if (t->head_bytes > HTTP_HEAD_MAX) {
		t->early = HTTP_TOO_BIG;
		return 0;
	}
	return len;
}

/* Both as libcurl writes addresses: IPv6 in brackets. */
static bool set_place(struct https_target *t,
    const struct http_target_options *o)
{
	const char *open = strchr(o->host, ':') != NULL ? "[" : "";
	const char *close = open[0] != '\0' ? "]" : "";
	bool is_v6 = strchr(o->address, ':') != NULL;
	char url[TEXT_MAX], to[TEXT_MAX];
	int n, m;

	n = snprintf(url, sizeof(url), "https://%s%s%s:%u%s", open, o->host,
	    close, (unsigned)o->port, o->path);
	m = snprintf(to, sizeof(to), "::%s%s%s:%u", is_v6 ? "[" : "",
	    o->address, is_v6 ? "]" : "", (unsigned)o->port);
	if (n < 0 || (size_t)n >= sizeof(url) || m < 0 ||
	    (size_t)m >= sizeof(to))
		return false;
	t->connect_to = curl_table.slist_append(NULL, to);
	return t->connect_to != NULL &&
	    curl_table.easy_setopt(t->easy, CURLOPT_URL, url) == CURLE_OK &&
	    curl_table.easy_setopt(t->easy, CURLOPT_CONNECT_TO,
		t->connect_to) == CURLE_OK;
}

static bool set_tls(struct https_target *t, const struct http_target_options *o)
{
	long verify = o->insecure_skip_verify ? 0 : 1;

	if (curl_table.easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, verify) ||
	    curl_table.easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 2 * verify))
		return false;
	return o->ca_file == NULL || curl_table.easy_setopt(t->easy,
	    CURLOPT_CAINFO, o->ca_file) == CURLE_OK;
}

static void set_rest(struct https_target *t)
{
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{ CURLOPT_NOSIGNAL, 1 },
		{ CURLOPT_FOLLOWLOCATION, 0 },
		{ CURLOPT_PATH_AS_IS, 1 },
		{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
		{ CURLOPT_BUFFERSIZE, CURL_BUFFER_BYTES },
		{ CURLOPT_TCP_NODELAY, 1 },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		curl_table.easy_setopt(t->easy, numbers[i].option,
		    numbers[i].value);
	curl_table.easy_setopt(t->easy, CURLOPT_MAXFILESIZE_LARGE,
	    (curl_off_t)t->max_bytes);
	curl_table.easy_setopt(t->easy, CURLOPT_PROXY, "");
	curl_table.easy_setopt(t->easy, CURLOPT_USERAGENT,
	    "haproxy-epp/" EPP_VERSION);
	curl_table.easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_table.easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_curl_body);
	curl_table.easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_table.easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_curl_header);
	curl_table.easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
}

static bool make_post_lines(struct https_target *t)
{
	for (size_t i = 0; i < sizeof(post_lines) / sizeof(*post_lines); i++) {
		struct curl_slist *longer = curl_table.slist_append(
		    t->post_lines, post_lines[i]);

		if (longer == NULL)
			return false;
		t->post_lines = longer;
	}
	return true;
}

/* Else libcurl keeps four connections a fetch under way, not one a target. */
static void set_n_targets(struct https_client *c, long n)
{
	c->n_targets = n;
	curl_table.multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, n > 0 ? n : 1L);
}

struct https_target *https_target_new(struct https_client *c,
    const struct http_target_options *options, struct fault *why)
{
	struct https_target *t = calloc(1, sizeof(*t));

	if (t == NULL || (t->easy = curl_table.easy_init()) == NULL)
		goto fail;
	t->client = c;
	t->max_bytes = options->max_bytes;
	t->on_body = options->on_body;
	t->on_done = options->on_done;
	t->data = options->data;
	ev_init(&t->refused, on_refused);
	t->refused.data = t;
	if (!make_post_lines(t) || !set_place(t, options) ||
	    !set_tls(t, options))
		goto fail_place;
	set_rest(t);
	set_n_targets(c, c->n_targets + 1);
	return t;

fail_place:
	curl_table.slist_free_all(t->post_lines);
	curl_table.slist_free_all(t->connect_to);
	curl_table.easy_cleanup(t->easy);
fail:
	free(t);
	fault_set(why, NULL, 0, "libcurl takes no such https target", NULL);
	return NULL;
}

void https_target_free(struct https_target *t)
{
	if (t == NULL)
		return;
	ev_timer_stop(t->client->loop, &t->refused);
	if (t->is_busy)
		curl_table.multi_remove_handle(t->client->multi, t->easy);
	set_n_targets(t->client, t->client->n_targets - 1);
	curl_table.easy_cleanup(t->easy);
	curl_table.slist_free_all(t->connect_to);
	curl_table.slist_free_all(t->post_lines);
	free(t);
}

/* libcurl only notes the handle and asks for its timer: no callback yet. */
static void start(struct https_target *t, int64_t deadline_ms)
{
	int64_t wait_ms = deadline_ms - clock_ms();

	t->is_busy = true;
	t->early = HTTP_OK;
	t->body_bytes = t->head_bytes = 0;
	curl_table.easy_setopt(t->easy, CURLOPT_TIMEOUT_MS,
	    (long)(wait_ms > 0 ? wait_ms : 1));
	if (curl_table.multi_add_handle(t->client->multi, t->easy) !=
	    CURLM_OK) {
		ev_timer_set(&t->refused, 1e-3, 0.);
		ev_timer_start(t->client->loop, &t->refused);
	}
}

void https_target_get(struct https_target *t, int64_t deadline_ms)
{
	curl_table.easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
	curl_table.easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
	start(t, deadline_ms);
}

/* Lent, not copied. */
void https_target_post(struct https_target *t, struct span body,
    int64_t deadline_ms)
{
	curl_table.easy_setopt(t->easy, CURLOPT_POST, 1L);
	curl_table.easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)body.len);
	curl_table.easy_setopt(t->easy, CURLOPT_POSTFIELDS,
	    body.len > 0 ? body.ptr : "");
	curl_table.easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->post_lines);
	start(t, deadline_ms);
}

bool https_target_is_busy(const struct https_target *t)
{
	return t->is_busy;
}
