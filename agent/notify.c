/*
 * notify.c - messages to asks, asks to picks, picks to actions
 */
#include "notify.h"

#include "admission.h"
#include "answer.h"
#include "arena.h"
#include "books.h"
#include "clock.h"
#include "counters.h"
#include "endpoints.h"
#include "log.h"
#include "options.h"
#include "pick.h"
#include "questions.h"
#include "request.h"
#include "spop.h"

/* The arguments of our messages: a row each. */
static const struct {
	const char *name;
	size_t offset;
} ask_args[] = {
	{ "id", offsetof(struct ask, id) },
	{ "pool", offsetof(struct ask, pool) },
	{ "method", offsetof(struct ask, method) },
	{ "path", offsetof(struct ask, path) },
	{ "hdrs", offsetof(struct ask, headers) },
	{ "body", offsetof(struct ask, body) },
	{ "server", offsetof(struct ask, server) },
};

static void take_arg(struct ask *ask, struct span name,
    const struct spop_data *value)
{
	if (span_is_text(name, "body_len")) {
		if (value->type >= SPOP_INT32 && value->type <= SPOP_UINT64)
			ask->body_len = value->number;
		return;
	}
	if (value->type != SPOP_STRING && value->type != SPOP_BINARY)
		return;		/* NULL: a sample that had nothing */
	for (size_t i = 0; i < sizeof(ask_args) / sizeof(*ask_args); i++)
		if (span_is_text(name, ask_args[i].name))
			*(struct span *)(void *)((char *)ask +
			    ask_args[i].offset) = value->bytes;
}

static bool read_ask(struct ask *ask, struct reader *payload, unsigned n_args)
{
	struct span name;
	struct spop_data value;

	*ask = (struct ask){ 0 };
	while (n_args-- > 0) {
		if (!spop_read_arg(payload, &name, &value))
			return false;
		take_arg(ask, name, &value);
	}
	return true;
}

static struct log_gate unknown_pool_gate;

static void say_unknown_pool(struct span pool)
{
	uint32_t held;

	if (log_gate_open(&unknown_pool_gate, clock_ms(), &held))
		log_warn("peer.unknown_pool", "pool=\"%.*s\" want=\"a name under "
		    "pools: of the configuration\" held_back=%u",
		    (int)(pool.len < 128 ? pool.len : 128),
		    pool.len > 0 ? pool.ptr : "", held);
}

static void count_pick(struct counters *c, const struct pick *pick)
{
	if (pick->status != 0)
		counter_add(c->refused, 1);
	else if (pick->n > 0)
		counter_add(c->picks, 1);
	else
		counter_add(c->no_pick, 1);
}

/*
 * Its token ids are worth knowing. Before its answer, since answers leave together after
 * all frames of a wakeup, whose bytes and arena are another's by then: a prompt that is
 * new pays for its copy, 0.4 us of 16 KB (bench_questions), others nothing.
 */
static void offer(const struct notify *n, const struct endpoint_view *view,
    const struct request *request)
{
	if (view->questions != NULL)
		questions_offer(view->questions, request, n->counters);
}

static enum notify_result schedule(const struct notify *n,
    const struct endpoint_view *view, const struct ask *ask, bool may_wait,
    struct pick *pick)
{
	const struct rewriting rewriting = { view->options->rewrites, n->rng };
	enum admission admission;
	struct request request;

	arena_reset(n->arena);
	request_parse(&request, ask, view->block_bytes, view->max_blocks,
	    rewriting.rules != NULL ? &rewriting : NULL, n->arena);
	request.now_ms = n->now_us / 1000;
	admission = admission_of(view, &request);
	if (admission == ADMIT_WAIT && may_wait && n->hold != NULL &&
	    n->hold(n->data, view, &request)) {
		offer(n, view, &request);	/* its body is HAProxy's alone then */
		return NOTIFY_HELD;
	}
	if (admission != ADMIT_PICK) {
		counter_add(n->counters->shed, 1);
		admission_refuse(view, pick);
		return NOTIFY_ANSWERED;
	}
	pick_endpoint(pick, view, &request, n->rng, n->arena);
	books_open(n->books, ask->id, pick, request.stream, n->now_us,
	    n->counters);
	if (pick->n > 0)
		offer(n, view, &request);
	return NOTIFY_ANSWERED;
}

/* The one thing this program is for. */
static enum notify_result answer_pick(const struct notify *n,
    const struct ask *ask, bool may_wait, struct writer *out)
{
	const struct endpoint_view *view = fleet_find(n->fleet, ask->pool);
	struct pick pick = { 0 };

	if (view == NULL) {
		counter_add(n->counters->unknown_pool, 1);
		say_unknown_pool(ask->pool);
		pick.message = "the picker has no pool of that name";
	} else if (n->is_overloaded) {
		counter_add(n->counters->overloaded, 1);
		pick.message = "the picker is overloaded";
	} else if (schedule(n, view, ask, may_wait, &pick) == NOTIFY_HELD) {
		return NOTIFY_HELD;
	}
	if (view != NULL)
		pick_settle(&pick, view);
	count_pick(n->counters, &pick);
	answer_write(out, &pick);
	return NOTIFY_ANSWERED;
}

/* The first byte of an answer's body has passed HAProxy. */
static enum notify_result answer_first(const struct notify *n,
    const struct ask *ask, bool may_wait, struct writer *out)
{
	(void)may_wait;
	books_first(n->books, n->fleet, ask->id, ask->pool, ask->server,
	    n->now_us, n->counters);
	spop_unset_var(out, SPOP_TXN, span_of("first"));
	return NOTIFY_ANSWERED;
}

/* The messages of the contract: a row each. */
static const struct message {
	const char *name;
	enum notify_result (*answer)(const struct notify *n,
	    const struct ask *ask, bool may_wait, struct writer *out);
} messages[] = {
	{ "pick", answer_pick },
	{ "first", answer_first },
};

static const struct message *find_message(struct span name)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++)
		if (span_is_text(name, messages[i].name))
			return &messages[i];
	return NULL;
}

enum notify_result notify_answer(const struct notify *n, struct reader *payload,
    struct writer *out)
{
	struct span name;
	unsigned n_args, n_answers = 0;
	struct ask ask;

	while (spop_next_message(payload, &name, &n_args) &&
	    read_ask(&ask, payload, n_args)) {
		const struct message *m = find_message(name);
		bool is_only = n_answers == 0 && reader_left(payload) == 0;

		if (m == NULL) {
			counter_add(n->counters->unknown_messages, 1);
		} else if (n_answers == 0 ||
		    (size_t)(out->end - out->at) > ANSWER_MAX_BYTES) {
			if (m->answer(n, &ask, is_only, out) == NOTIFY_HELD)
				return NOTIFY_HELD;
			n_answers++;
		}
	}
	if (payload->bad)
		counter_add(n->counters->bad_messages, 1);
	if (n_answers == 0)	/* an ACK has one action at least: answer.h */
		spop_unset_var(out, SPOP_TXN, span_of("ep"));
	return NOTIFY_ANSWERED;
}
