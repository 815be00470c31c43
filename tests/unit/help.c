#include "help.h"

#include <stdio.h>
#include <stdlib.h>

#include "must.h"
#include "plugin.h"
#include "prefix.h"

enum { PREFIX_BYTES = 1 << 20, PREFIX_CAPACITY = 4096 };

struct span help_headers(const char *const *pairs, void *out, size_t len)
{
	struct writer w = writer_over(out, len);

	for (; *pairs != NULL; pairs++)
		writer_string(&w, span_of(*pairs));
	writer_string(&w, span_of(""));
	writer_string(&w, span_of(""));
	must(!w.full);
	return (struct span){ out, writer_len(&w) };
}

struct ask help_ask(const char *path, const char *body)
{
	/* content-length: 1; who reads it asks only whether it is there. */
	static const char headers[] = "\x0e" "content-length" "\x01" "1\0";

	return (struct ask){ .id = span_of("id-1"), .pool = span_of("pool"),
		.method = span_of("POST"), .path = span_of(path),
		.headers = { headers, sizeof(headers) },
		.body = span_of(body), .body_len = strlen(body) };
}

struct ask help_cut(struct ask ask, size_t len)
{
	must(len <= ask.body.len);
	ask.body.len = len;
	return ask;
}

static void arg(struct writer *w, const char *name, struct spop_data value)
{
	spop_write_arg(w, span_of(name), &value);
}

void help_hello(struct writer *w, uint32_t max_frame, bool is_healthcheck)
{
	size_t begun = spop_begin(w, SPOP_HAPROXY_HELLO, 0, 0);

	arg(w, "supported-versions", spop_string(span_of("2.0")));
	arg(w, "max-frame-size", spop_uint32(max_frame));
	arg(w, "capabilities", spop_string(span_of("pipelining,async")));
	arg(w, "engine-id", spop_string(span_of("E")));
	if (is_healthcheck)
		arg(w, "healthcheck", spop_bool(true));
	spop_end(w, begun);
}

void help_pick(struct writer *w, const struct ask *ask)
{
	spop_write_message(w, span_of("pick"), 7);
	arg(w, "id", spop_string(ask->id));
	arg(w, "pool", spop_string(ask->pool));
	arg(w, "method", spop_string(ask->method));
	arg(w, "path", spop_string(ask->path));
	arg(w, "hdrs", spop_binary(ask->headers));
	arg(w, "body", spop_binary(ask->body));
	arg(w, "body_len", spop_int((int64_t)ask->body_len));
}

void help_notify(struct writer *w, uint64_t stream, uint64_t frame,
    const struct ask *ask)
{
	size_t begun = spop_begin(w, SPOP_NOTIFY, stream, frame);

	help_pick(w, ask);
	spop_end(w, begun);
}

bool help_read_actions(struct reader payload, struct help_actions *out)
{
	enum { SET_VAR = 1, UNSET_VAR = 2 };

	out->n = 0;
	while (reader_left(&payload) > 0) {
		unsigned action = reader_u8(&payload);
		unsigned n_args = reader_u8(&payload);

		if (n_args != (action == SET_VAR ? 3 : 2) ||
		    action < SET_VAR || action > UNSET_VAR ||
		    reader_u8(&payload) != SPOP_TXN || out->n == HELP_VARS_MAX)
			return false;
		out->vars[out->n].name = reader_string(&payload);
		out->vars[out->n].value = action == SET_VAR ?
		    spop_read_data(&payload) : (struct spop_data){ 0 };
		out->n++;
	}
	return !payload.bad;
}

const struct spop_data *help_var(const struct help_actions *a,
    const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (span_is_text(a->vars[i].name, name))
			return &a->vars[i].value;
	return NULL;
}

struct span help_text(const struct help_actions *a, const char *name)
{
	const struct spop_data *value = help_var(a, name);

	return value != NULL && value->type == SPOP_STRING ? value->bytes :
	    (struct span){ 0 };
}

void help_pool_init(struct help_pool *p, const char *name, size_t n)
{
	must(n <= HELP_ENDPOINTS_MAX);
	*p = (struct help_pool){ .view = {
		.pool = name, .is_known = true, .n_endpoints = n,
		.endpoints = p->endpoints, .stats = p->stats, .n_slots = n,
		.live = p->live, .block_bytes = HELP_BLOCK_BYTES,
		.max_blocks = 2048, .schedule = &schedule_default,
		.options = &p->options, .pool_live = &p->pool_live,
		.prefix = prefix_new(PREFIX_BYTES, PREFIX_SLOTS_MAX),
	} };
	must(p->view.prefix != NULL);
	p->options = (struct pool_options){ .name = name, .saturation = {
		.queue_depth = 5, .kv_used = .8f, .stale_ms = 200,
		.max_concurrency = 100, .max_token_concurrency = 1000000,
		.retry_after_s = 1 } };
	for (size_t i = 0; i < n; i++) {
		snprintf(p->names[i], sizeof(p->names[i]), "s%02zu", i);
		snprintf(p->addrs[i], sizeof(p->addrs[i]), "10.0.0.%zu:8000",
		    i + 1);
		p->endpoints[i] = (struct endpoint){ span_of(p->names[i]),
			span_of(p->addrs[i]), (uint16_t)i, NULL, 0, NULL };
		p->stats[i].seen_ms = 1;
		p->stats[i].slot = (uint16_t)i;
		p->stats[i].is_current = true;
		prefix_join(p->view.prefix, (uint16_t)i, PREFIX_CAPACITY);
	}
	p->views[0] = &p->view;
	p->fleet = (struct fleet){ 1, p->views };
}

void help_pool_fini(struct help_pool *p)
{
	prefix_free(p->view.prefix);
}

void help_pool_profile(struct help_pool *p, const struct profile *profile)
{
	p->schedule = schedule_default;
	p->schedule.profiles = profile;
	p->view.schedule = &p->schedule;
}

uint64_t help_picked(const struct help_pool *p)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->view.n_endpoints; i++)
		n += p->live[i].picked;
	return n;
}
