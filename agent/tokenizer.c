/*
 * tokenizer.c - lanes, each with one question at a time over connections of its own
 */
#include "tokenizer.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "counters.h"
#include "fault.h"
#include "home.h"
#include "http.h"
#include "kv_texts.h"
#include "log.h"
#include "options.h"
#include "pool.h"
#include "questions.h"
#include "resolver.h"
#include "target.h"
#include "token_ids.h"

enum {
	LANES_MAX = 64,
	REST_FIRST_MS = 100, REST_MAX_MS = 10000, RESTS = 8,
	PLACE_MAX = 512,
	BODY_EXTRA = 1024,	/* a model's name in another's place */
};

/* Where a question goes. */
struct place {
	const char *host, *address, *path;
	uint16_t port;
	bool https;
};

/* A connection, and to where. */
struct line {
	struct http_target *http;
	char place[PLACE_MAX];
};

struct lane {
	struct tokenizer *owner;
	size_t number;
	struct line lines[2];		/* by path */
	struct question *question;	/* NULL: idle */
	bool is_old;			/* its lines close when it is idle */
	struct buf body, answer;
};

struct tokenizer {
	struct pool *pool;
	const struct pool_context *context;
	struct resolver *resolver;	/* NULL: the url has no name in it */
	char *name, address[INET6_ADDRSTRLEN];	/* of the url; empty: unknown */
	int64_t resolve_ms;		/* when it is asked again */
	unsigned n_failures;		/* in a row */
	int64_t rest_until_ms;
	size_t turn;			/* among endpoints */
	struct lane lanes[LANES_MAX];
};

static struct log_gate failed_gate;

static const struct tokenizer_options *options_of(const struct tokenizer *t)
{
	return &t->pool->options->prefix.tokenizer;
}

/* ---- where to ---- */

static void on_address(void *data, const char *host, const char *address)
{
	struct tokenizer *t = data;

	(void)host;
	if (address != NULL)	/* an old one is better than none */
		snprintf(t->address, sizeof(t->address), "%s", address);
}

static void forget_name(struct tokenizer *t)
{
	if (t->resolver != NULL)
		resolver_stop(t->resolver);
	t->resolver = NULL;
	free(t->name);
	t->name = NULL;
	t->address[0] = '\0';
}

/* Numeric now, or by and by: DNS is asked for again every ten seconds. */
static const char *address_of(struct tokenizer *t, const char *host,
    int64_t now_ms)
{
	const char *name;

	if (resolver_is_numeric(host))
		return host;
	if (t->name == NULL || strcmp(t->name, host) != 0) {
		forget_name(t);
		t->name = strdup(host);
		t->resolve_ms = 0;
	}
	if (t->resolver == NULL)
		t->resolver = resolver_start(t->context->loop,
		    resolver_getaddrinfo, on_address, t);
	name = t->name;
	if (name != NULL && t->resolver != NULL && now_ms >= t->resolve_ms &&
	    !resolver_is_busy(t->resolver) &&
	    resolver_ask(t->resolver, &name, 1) == 0)
		t->resolve_ms = now_ms + REST_MAX_MS;
	return t->address[0] != '\0' ? t->address : NULL;
}

/* Lanes go to endpoints in a row, and stay there while all goes well. */
static bool choose_endpoint(const struct tokenizer *t, size_t lane,
    int64_t now_ms, struct place *out)
{
	const struct pool *p = t->pool;

	for (size_t i = 0; i < p->n_targets; i++) {
		const struct target *target = p->targets[(t->turn + lane + i) %
		    p->n_targets];
		const struct home *h = target_home(target);

		if (h->address == NULL ||
		    target_stats(target, now_ms).health == ENDPOINT_DOWN)
			continue;
		out->host = h->host;
		out->address = h->address;
		out->port = h->port;
		out->https = p->options->scrape.https;
		return true;
	}
	return false;
}

static bool choose_place(struct tokenizer *t, size_t lane, int64_t now_ms,
    struct place *out)
{
	const struct tokenizer_options *o = options_of(t);

	if (o->host == NULL)
		return choose_endpoint(t, lane, now_ms, out);
	out->host = o->host;
	out->address = address_of(t, o->host, now_ms);
	out->port = o->port;
	out->https = o->https;
	return out->address != NULL;
}

static const char *path_of(const struct tokenizer_options *o,
    enum request_kind kind)
{
	if (o->api == TOKENIZER_TOKENIZE)
		return "/tokenize";
	return kind == REQUEST_CHAT ? "/v1/chat/completions/render" :
	    "/v1/completions/render";
}

/* ---- one question ---- */

static bool on_body(void *data, const void *bytes, size_t len)
{
	struct lane *l = data;

	buf_put(&l->answer, bytes, len);
	return !buf_failed(&l->answer);
}

/* What is matched now stands in no queue any more: the text is forgotten here. */
static void settle(struct lane *l)
{
	free(l->question);
	l->question = NULL;
	buf_fini(&l->body);
	buf_init(&l->body, SIZE_MAX);
	buf_fini(&l->answer);
	buf_init(&l->answer, TOKENIZER_ANSWER_MAX);
}

static bool learn_ids(struct tokenizer *t, const struct question *q,
    const uint32_t *ids, uint32_t n_ids)
{
	const struct kv_prompt prompt = { .texts = q->texts,
		.n_texts = q->n_texts, .bytes = q->prompt_bytes,
		.model = q->model };
	uint64_t *chain = calloc(n_ids, sizeof(*chain));
	uint32_t n;

	if (chain == NULL)
		return false;
	n = kv_texts_learn(t->pool->texts, &prompt, ids, n_ids, chain);
	for (size_t i = 0; i < t->pool->n_targets && n > 0; i++)
		target_learned(t->pool->targets[i], chain, n);
	free(chain);
	return true;
}

/* Two bytes an id are the least that JSON takes. */
static bool learn(struct lane *l)
{
	uint32_t max = (uint32_t)(l->answer.len / 2) + 1;
	uint32_t *ids = calloc(max, sizeof(*ids));
	uint32_t n = ids == NULL ? 0 : token_ids_read(buf_span(&l->answer),
	    ids, max);
	bool has_learned = n > 0 && learn_ids(l->owner, l->question, ids, n);

	free(ids);
	return has_learned;
}

/* A prompt that it takes for a bad one says nothing of the service. */
static bool is_about_prompt(enum http_result result, int status)
{
	return result == HTTP_OK &&
	    (status == 400 || status == 413 || status == 422);
}

static void note_failure(struct tokenizer *t, enum http_result result,
    int status)
{
	int64_t now_ms = clock_ms(), rest_ms = REST_FIRST_MS;
	uint32_t held;

	counter_add(t->context->counters->tokenize_failed, 1);
	if (!is_about_prompt(result, status)) {
		rest_ms <<= t->n_failures < RESTS ? t->n_failures : RESTS;
		t->n_failures++;
		t->turn++;
		t->rest_until_ms = now_ms + (rest_ms < REST_MAX_MS ? rest_ms :
		    REST_MAX_MS);
	}
	if (log_gate_open(&failed_gate, now_ms, &held))
		log_warn("tokenizer.failed", "pool=%s result=%s status=%d "
		    "held=%u note=\"prompts are followed without it\"",
		    t->pool->name, http_result_name(result), status, held);
}

static void close_lines(struct lane *l)
{
	for (size_t i = 0; i < sizeof(l->lines) / sizeof(*l->lines); i++) {
		http_target_free(l->lines[i].http);
		l->lines[i].http = NULL;
	}
	l->is_old = false;
}

static void on_done(void *data, enum http_result result, int status)
{
	struct lane *l = data;
	struct tokenizer *t = l->owner;

	if (result == HTTP_OK && status == 200 && learn(l)) {
		counter_add(t->context->counters->tokenized, 1);
		t->n_failures = 0;
	} else {
		note_failure(t, result, status);
	}
	settle(l);
	if (l->is_old)
		close_lines(l);
	tokenizer_beat(t, clock_ms());
}

/* ---- lanes ---- */

static struct http_target *open_line(struct lane *l, const struct place *p)
{
	const struct scrape_options *scrape =
	    &l->owner->pool->options->scrape;
	const struct http_target_options o = { .https = p->https,
		.host = p->host, .address = p->address, .port = p->port,
		.path = p->path, .max_bytes = TOKENIZER_ANSWER_MAX,
		.insecure_skip_verify = scrape->insecure_skip_verify,
		.ca_file = scrape->ca_file, .on_body = on_body,
		.on_done = on_done, .data = l };
	struct fault why = { 0 };
	struct http_target *http = http_target_new(l->owner->context->http, &o,
	    &why);
	char text[640];

	if (http == NULL)
		log_error("tokenizer.open", "pool=%s err=\"%s\"",
		    l->owner->pool->name, fault_text(&why, text, sizeof(text)));
	return http;
}

/* The line that is open to there, or a new one in its place. */
static struct http_target *line_to(struct lane *l, const struct place *p,
    struct line *line)
{
	char place[PLACE_MAX];

	snprintf(place, sizeof(place), "%d %s %s %u %s", p->https, p->host,
	    p->address, p->port, p->path);
	if (line->http != NULL && strcmp(line->place, place) == 0)
		return line->http;
	http_target_free(line->http);
	line->http = open_line(l, p);
	memcpy(line->place, place, sizeof(place));
	return line->http;
}

/* The body, under the name by which the service knows the model. */
static struct span body_of(struct lane *l)
{
	const struct question *q = l->question;
	const char *model = options_of(l->owner)->model;
	size_t behind = q->model_at + q->model_len;

	if (model == NULL)
		return q->body;
	buf_put(&l->body, q->body.ptr, q->model_at);
	buf_puts(&l->body, model);
	buf_put(&l->body, q->body.ptr + behind, q->body.len - behind);
	return buf_span(&l->body);
}

static void ask(struct lane *l, int64_t now_ms)
{
	struct tokenizer *t = l->owner;
	const struct tokenizer_options *o = options_of(t);
	struct place place = { .path = path_of(o, l->question->kind) };
	struct http_target *http = NULL;
	struct span body;

	if (choose_place(t, l->number, now_ms, &place))
		http = line_to(l, &place, &l->lines[l->question->kind ==
		    REQUEST_CHAT && o->api == TOKENIZER_RENDER]);
	body = body_of(l);
	if (http == NULL || buf_failed(&l->body)) {
		note_failure(t, HTTP_CONNECT, 0);
		settle(l);
		return;
	}
	http_target_post(http, body, now_ms + o->timeout_ms);
}

void tokenizer_beat(struct tokenizer *t, int64_t now_ms)
{
	size_t n = options_of(t)->concurrency;

	if (kv_texts_block_size(t->pool->texts) == 0)
		return;
	for (size_t i = 0; i < n && now_ms >= t->rest_until_ms; i++) {
		struct lane *l = &t->lanes[i];

		if (l->question != NULL)
			continue;
		l->question = questions_take(t->pool->questions);
		if (l->question == NULL)
			return;
		ask(l, now_ms);
	}
}

void tokenizer_renew(struct tokenizer *t)
{
	for (size_t i = 0; i < LANES_MAX; i++) {
		struct lane *l = &t->lanes[i];

		if (l->question == NULL)
			close_lines(l);
		else
			l->is_old = true;
	}
}

struct tokenizer *tokenizer_new(struct pool *pool,
    const struct pool_context *context)
{
	struct tokenizer *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		log_error("tokenizer.new", "pool=%s err=\"no memory\"",
		    pool->name);
		return NULL;
	}
	t->pool = pool;
	t->context = context;
	for (size_t i = 0; i < LANES_MAX; i++) {
		t->lanes[i].owner = t;
		t->lanes[i].number = i;
		settle(&t->lanes[i]);
	}
	return t;
}

void tokenizer_free(struct tokenizer *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < LANES_MAX; i++) {
		close_lines(&t->lanes[i]);
		settle(&t->lanes[i]);
	}
	forget_name(t);
	free(t);
}
