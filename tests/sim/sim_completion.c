/*
 * sim_completion.c - checks a request, applies faults, streams what is generated
 */
#include "sim_completion.h"

#include <stdlib.h>

#include "clock.h"
#include "sim_answer.h"

enum { TEXT_MAX_BYTES = 8 << 20, HEADERS_BYTES = 160 };

struct job {
	struct sim_seq seq;
	struct sim_server *server;
	struct sim_conn *conn;		/* its server is an oracle, perhaps */
	struct sim_fault fault;
	struct ev_timer delay;
	struct sim_answer answer;
	char id[40];
	bool is_stream, wants_usage, is_started;
	struct buf text;		/* generated, not sent yet */
	uint64_t n_pending, n_chunks;	/* tokens in text; events sent */
};

static struct job *job_of(struct sim_seq *seq)
{
	return (struct job *)((char *)seq - offsetof(struct job, seq));
}

static void job_free(struct job *j)
{
	ev_timer_stop(j->server->house->loop, &j->delay);
	sim_seq_fini(&j->seq);
	buf_fini(&j->text);
	free(j);
}

void sim_completion_refuse(struct sim_conn *c, int status, const char *type,
    const char *message)
{
	struct buf out;
	struct span body;

	buf_init(&out, 16 << 10);
	sim_answer_error(&out, status, type, span_of(message));
	body = buf_span(&out);
	sim_conn_reply(c, status, "application/json",
	    status == 429 ? "Retry-After: 1\r\n" : NULL, &body, 1);
	buf_fini(&out);
}

static void put_headers(const struct job *j, char out[HEADERS_BYTES])
{
	long long queue_ns = j->seq.admitted_ns - j->seq.arrival_ns;

	snprintf(out, HEADERS_BYTES, "x-sim-cached-tokens: %u\r\n"
	    "x-sim-queue-ms: %lld\r\n", sim_seq_cached_tokens(&j->seq),
	    queue_ns / 1000000);
}

static void start_stream(struct job *j, const char *headers)
{
	sim_conn_start(j->conn, 200, "text/event-stream; charset=utf-8",
	    headers);
	j->is_started = true;
}

/* Collected apart, so that each event is one chunk, as servers send them. */
static void send_event(struct job *j, bool is_last)
{
	char headers[HEADERS_BYTES];
	struct buf out;

	if (!j->is_started) {
		put_headers(j, headers);
		start_stream(j, headers);
	}
	buf_init(&out, TEXT_MAX_BYTES);
	if (j->n_chunks++ == 0 && j->answer.is_chat) {
		sim_answer_role(&out, &j->answer);
		sim_conn_chunk(j->conn, buf_span(&out));
		buf_clear(&out);
	}
	sim_answer_event(&out, &j->answer, buf_span(&j->text), is_last);
	sim_conn_chunk(j->conn, buf_span(&out));
	buf_fini(&out);
	buf_clear(&j->text);
	j->n_pending = 0;
}

static bool is_due_for_reset(const struct job *j)
{
	uint64_t done = j->is_stream ? j->n_chunks : j->seq.n_generated;

	return j->fault.kind == SIM_FAULT_RESET && done >= j->fault.after;
}

void sim_completion_on_token(struct sim_seq *seq,
    const char text[SIM_TOKEN_BYTES])
{
	struct job *j = job_of(seq);
	bool is_last = seq->n_generated == seq->max_tokens;

	if (is_due_for_reset(j)) {
		sim_conn_reset(j->conn);
		return;
	}
	buf_put(&j->text, text, SIM_TOKEN_BYTES);
	j->n_pending++;
	if (j->is_stream && (is_last || j->n_pending >=
	    j->server->house->options->tokens_per_chunk))
		send_event(j, is_last);
}

static void finish_stream(struct job *j)
{
	struct buf out;

	buf_init(&out, 4096);
	if (j->wants_usage) {
		sim_answer_usage_event(&out, &j->answer);
		sim_conn_chunk(j->conn, buf_span(&out));
		buf_clear(&out);
	}
	sim_answer_end(&out);
	sim_conn_chunk(j->conn, buf_span(&out));
	buf_fini(&out);
	sim_conn_end(j->conn);
}

static void finish_whole(struct job *j)
{
	char headers[HEADERS_BYTES];
	struct span body;
	struct buf out;

	put_headers(j, headers);
	buf_init(&out, TEXT_MAX_BYTES + 4096);
	sim_answer_body(&out, &j->answer, buf_span(&j->text));
	body = buf_span(&out);
	sim_conn_reply(j->conn, 200, "application/json", headers, &body, 1);
	buf_fini(&out);
}

void sim_completion_on_done(struct sim_seq *seq)
{
	struct job *j = job_of(seq);

	j->answer.cached_tokens = sim_seq_cached_tokens(seq);
	j->answer.completion_tokens = seq->n_generated;
	if (is_due_for_reset(j)) {
		sim_conn_reset(j->conn);	/* and the job goes with it */
		return;
	}
	if (j->is_stream)
		finish_stream(j);
	else
		finish_whole(j);
	job_free(j);
}

void sim_completion_on_gone(struct sim_conn *c)
{
	struct job *j = sim_conn_job(c);
	struct sim_server *s;

	if (j == NULL)
		return;		/* a hanging answer, or an endless page */
	s = j->server;
	sim_engine_cancel(s->engine, &j->seq);
	job_free(j);
	sim_server_wake(s);
}

/* The adapter's number, -1 for the base model, -2 for neither. */
static int find_model(const struct sim_options *o, struct span name)
{
	if (span_is_text(name, o->model))
		return -1;
	for (size_t i = 0; i < o->n_loras; i++)
		if (span_is_text(name, o->loras[i]))
			return (int)i;
	return -2;
}

static void submit(struct job *j)
{
	struct sim_server *s = sim_server_place(j->server, &j->seq);

	j->server = s;
	if (sim_engine_submit(s->engine, &j->seq, clock_ns()) < 0) {
		sim_completion_refuse(j->conn, 500, "InternalServerError",
		    "no memory");
		job_free(j);
		return;
	}
	if (j->is_stream && s->house->options->early_headers)
		start_stream(j, NULL);
	sim_server_wake(s);
}

static void on_delay(struct ev_loop *loop, struct ev_timer *t, int events)
{
	(void)loop;
	(void)events;
	submit(t->data);
}

static struct job *job_new(struct sim_server *s, struct sim_conn *c,
    const struct sim_prompt *p, int adapter)
{
	const struct sim_options *o = s->house->options;
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	if (sim_seq_init(&j->seq, o, p, adapter) < 0) {
		free(j);
		return NULL;
	}
	j->server = s;
	j->conn = c;
	j->is_stream = p->is_stream;
	j->wants_usage = p->wants_usage;
	buf_init(&j->text, TEXT_MAX_BYTES);
	ev_timer_init(&j->delay, on_delay, 0, 0);
	j->delay.data = j;
	snprintf(j->id, sizeof(j->id), "%s-sim-%u-%llu",
	    p->is_chat ? "chatcmpl" : "cmpl", s->address->port,
	    (unsigned long long)++s->n_requests);
	j->answer = (struct sim_answer){
		.id = j->id,
		.model = adapter < 0 ? o->model : o->loras[adapter],
		.created = (long long)ev_now(s->house->loop),
		.is_chat = p->is_chat,
		.finish_reason = p->max_tokens >= 1 ? "length" : "stop",
		.prompt_tokens = j->seq.prompt_tokens,
	};
	return j;
}

/* True when the fault has dealt with the request before it was looked at. */
static bool apply_fault(struct sim_conn *c, const struct sim_fault *f)
{
	switch (f->kind) {
	case SIM_FAULT_HANG:
		return true;
	case SIM_FAULT_RESET:
		if (f->after == 0)
			sim_conn_reset(c);
		return f->after == 0;
	case SIM_FAULT_503:
		sim_completion_refuse(c, 503, "ServiceUnavailable",
		    "simulated fault status503");
		return true;
	case SIM_FAULT_429:
		sim_completion_refuse(c, 429, "TooManyRequests",
		    "simulated fault status429");
		return true;
	default:
		return false;
	}
}

static void start_job(struct job *j)
{
	struct sim_server *s = j->server;
	char text[160];

	if (!sim_engine_can_hold(s->engine, &j->seq)) {
		snprintf(text, sizeof(text), "%u prompt tokens and %u to "
		    "generate are more than the KV cache of this server holds",
		    j->seq.prompt_tokens, j->seq.max_tokens);
		sim_completion_refuse(j->conn, 400, "BadRequestError", text);
		job_free(j);
		return;
	}
	sim_conn_set_job(j->conn, j);
	if (j->fault.kind == SIM_FAULT_DELAY) {
		ev_timer_set(&j->delay, (double)j->fault.ms / 1e3, 0);
		ev_timer_start(s->house->loop, &j->delay);
	} else {
		submit(j);
	}
}

static void start_prompt(struct sim_server *s, struct sim_conn *c,
    struct sim_prompt *p, const struct sim_fault *fault)
{
	int adapter = find_model(s->house->options, buf_span(&p->model));
	char text[300];
	struct job *j;

	if (adapter == -2) {
		snprintf(text, sizeof(text), "The model `%.*s` does not "
		    "exist.", (int)p->model.len, p->model.len > 0 ?
		    p->model.data : "");
		sim_completion_refuse(c, 404, "NotFoundError", text);
		return;
	}
	j = job_new(s, c, p, adapter);
	if (j == NULL) {
		sim_completion_refuse(c, 500, "InternalServerError",
		    "no memory");
		return;
	}
	j->fault = *fault;
	start_job(j);
}

void sim_completion_start(struct sim_server *s, struct sim_conn *c,
    const struct sim_request *r, bool is_chat)
{
	struct sim_fault fault = sim_faults_use(&s->faults, SIM_ON_REQUESTS,
	    clock_ns());
	struct sim_prompt p;
	const char *wrong;

	if (apply_fault(c, &fault))
		return;
	sim_prompt_init(&p, is_chat);
	wrong = sim_prompt_read(&p, buf_span(&r->body));
	if (wrong != NULL)
		sim_completion_refuse(c, 400, "BadRequestError", wrong);
	else
		start_prompt(s, c, &p, &fault);
	sim_prompt_fini(&p);
}
