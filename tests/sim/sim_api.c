/*
 * sim_api.c - a table of routes; metrics and their faults are answered here too
 */
#include "sim_api.h"

#include <stdlib.h>

#include "clock.h"
#include "sim_completion.h"
#include "sim_tokenize.h"

static const char metrics_type[] = "text/plain; version=0.0.4; charset=utf-8";

static void reply_text(struct sim_conn *c, int status, const char *text)
{
	struct span body = span_of(text);

	sim_conn_reply(c, status, "text/plain", NULL, &body, 1);
}

static void on_chat(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	sim_completion_start(s, c, r, true);
}

static void on_completions(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	sim_completion_start(s, c, r, false);
}

static void put_model(struct buf *b, const char *name, const char *parent)
{
	buf_printf(b, "{\"id\":\"%s\",\"object\":\"model\",\"created\":0,"
	    "\"owned_by\":\"epp-sim\",\"root\":\"%s\",\"parent\":%s%s%s}", name,
	    name, parent != NULL ? "\"" : "", parent != NULL ? parent : "null",
	    parent != NULL ? "\"" : "");
}

static void on_models(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	const struct sim_options *o = s->house->options;
	struct span body;
	struct buf b;

	(void)r;
	buf_init(&b, 64 << 10);
	buf_puts(&b, "{\"object\":\"list\",\"data\":[");
	put_model(&b, o->model, NULL);
	for (size_t i = 0; i < o->n_loras; i++) {
		buf_puts(&b, ",");
		put_model(&b, o->loras[i], o->model);
	}
	buf_puts(&b, "]}\n");
	body = buf_span(&b);
	sim_conn_reply(c, 200, "application/json", NULL, &body, 1);
	buf_fini(&b);
}

static void on_health(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	(void)s;
	(void)r;
	reply_text(c, 200, "");
}

/* Half a page and then bytes that no parser takes. */
static void reply_garbage(struct sim_conn *c)
{
	static const char bytes[] = "# HELP vllm:num_requests_waiting\n"
	    "vllm:num_requests_waiting{model_name=\"x} 1e\n"
	    "\0\xff\xfe{{{\"\\\n vllm:kv_cache_usage_perc NaN?\n}}}\n"
	    "vllm:num_requests_running{engine=\"0\" 12 12 12";
	struct span body = { bytes, sizeof(bytes) - 1 };

	sim_conn_reply(c, 200, metrics_type, NULL, &body, 1);
}

static void reply_page(struct sim_server *s, struct sim_conn *c)
{
	struct span parts[SIM_PAGE_PARTS];

	sim_page_render(&s->page, s->engine, s->house->options,
	    ev_now(s->house->loop), parts);
	sim_conn_reply(c, 200, metrics_type, NULL, parts, SIM_PAGE_PARTS);
}

static void on_metrics(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	struct sim_fault f = sim_faults_use(&s->faults, SIM_ON_METRICS,
	    clock_ns());
	struct span stale = buf_span(&s->stale_page);

	(void)r;
	switch (f.kind) {
	case SIM_FAULT_METRICS_GARBAGE:
		reply_garbage(c);
		break;
	case SIM_FAULT_METRICS_STALE:
		sim_conn_reply(c, 200, metrics_type, NULL, &stale, 1);
		break;
	case SIM_FAULT_METRICS_HANG:
		break;
	case SIM_FAULT_METRICS_503:
		reply_text(c, 503, "simulated fault metrics_503\n");
		break;
	case SIM_FAULT_METRICS_HUGE:
		sim_conn_start(c, 200, metrics_type, NULL);
		sim_api_on_drain(c);
		break;
	default:
		reply_page(s, c);
	}
}

/* The endless page: well-formed lines for as long as someone reads them. */
void sim_api_on_drain(struct sim_conn *c)
{
	static const char line[] = "vllm:sim_endless_bucket{engine=\"0\","
	    "le=\"0.0001\",model_name=\"sim\"} 0.0\n";
	struct buf b;

	buf_init(&b, 64 << 10);
	while (b.len + sizeof(line) < 64 << 10)
		buf_puts(&b, line);
	sim_conn_chunk(c, buf_span(&b));
	buf_fini(&b);
	sim_conn_want_drain(c);
}

static void on_fault(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	struct span text = r->body.len > 0 ? buf_span(&r->body) : r->query;
	struct fault f = { 0 };
	struct sim_fault fault;
	char why[640];

	if (sim_fault_read(&fault, text, &f) == 0 && fault.port != 0) {
		s = sim_server_sibling(s, fault.port);
		if (s == NULL)
			fault_setf(&f, NULL, 0, "port=%llu",
			    (unsigned long long)fault.port);
		fault_want(&f, "a port of a server of this process");
	}
	if (f.is_set) {
		fault_text(&f, why, sizeof(why) - 1);
		snprintf(why + strlen(why), 2, "\n");
		reply_text(c, 400, why);
		return;
	}
	sim_server_set_fault(s, &fault);
	reply_text(c, 200, "ok\n");
}

static void on_reset(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	(void)r;
	sim_server_reset(s);
	reply_text(c, 200, "ok\n");
}

/* "clear"; "withhold N"; "garbage": of the KV events. */
static void on_kv(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	struct span what = r->body.len > 0 ? buf_span(&r->body) : r->query;
	char text[32];

	snprintf(text, sizeof(text), "%.*s", (int)what.len, what.ptr);
	if (strcmp(text, "clear") == 0)
		sim_server_clear(s);
	else if (strcmp(text, "garbage") == 0 && s->events != NULL)
		sim_events_garbage(s->events);
	else if (strncmp(text, "withhold=", 9) == 0 && s->events != NULL)
		sim_events_withhold(s->events,
		    (uint32_t)strtoul(text + 9, NULL, 10));
	else {
		reply_text(c, 400, "want: clear, garbage or withhold=N\n");
		return;
	}
	reply_text(c, 200, "ok\n");
}

static const struct route {
	const char *method, *path;
	void (*answer)(struct sim_server *s, struct sim_conn *c,
	    struct sim_request *r);
} routes[] = {
	{ "GET", "/metrics", on_metrics },
	{ "POST", "/v1/chat/completions", on_chat },
	{ "POST", "/v1/completions", on_completions },
	{ "POST", "/tokenize", sim_tokenize },
	{ "POST", "/v1/chat/completions/render", sim_render_chat },
	{ "POST", "/v1/completions/render", sim_render_completions },
	{ "GET", "/v1/models", on_models },
	{ "GET", "/health", on_health },
	{ "POST", "/sim/fault", on_fault },
	{ "POST", "/sim/reset", on_reset },
	{ "POST", "/sim/kv", on_kv },
};

void sim_api_on_request(struct sim_conn *c, struct sim_request *r)
{
	int status = 404;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!span_is_text(r->path, routes[i].path))
			continue;
		if (span_is_text(r->method, routes[i].method)) {
			routes[i].answer(sim_conn_server(c), c, r);
			return;
		}
		status = 405;
	}
	sim_completion_refuse(c, status, status == 404 ? "NotFoundError" :
	    "MethodNotAllowed", status == 404 ? "Not Found" :
	    "Method Not Allowed");
}
