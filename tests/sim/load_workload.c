/*
 * load_workload.c - four ways to write prompts; a table names them
 *
 * All text is kept as the inside of a JSON string. The members a picker wants to
 * see come before the long text, as OpenAI's clients happen to send them.
 */
#include "load_workload.h"

#include <sys/queue.h>

#include "hash.h"
#include "words.h"

enum { BODY_MAX_BYTES = 32 << 20, SHUFFLE_MAX = 1 << 24 };

struct load_session {
	TAILQ_ENTRY(load_session) link;
	struct buf history;	/* messages, or the prompt so far */
	uint64_t number, turn;
};

struct load_workload {
	const struct load_options *options;
	void (*next)(struct load_workload *w, struct buf *body,
	    struct load_session **session);
	uint64_t n_asked;
	uint32_t *order;	/* shared-prefix: shuffled questions */
	uint64_t n_order;
	TAILQ_HEAD(, load_session) ready;
	uint64_t n_sessions, n_alive;
};

/* N tokens of text that only (seed, kind, number) decide. */
static void put_words(struct buf *b, const struct load_options *o,
    uint64_t kind, uint64_t number, uint64_t n_tokens)
{
	uint64_t state = hash_pair(hash_pair(o->seed, kind), number);
	char word[WORD_BYTES];

	while (n_tokens-- > 0) {
		words_next(&state, word);
		buf_put(b, word, WORD_BYTES);
	}
}

/* Some are popular: the first is asked for half the time, the next a quarter... */
static const char *model_of(const struct load_options *o, uint64_t number)
{
	uint64_t state = hash_pair(hash_pair(o->seed, 5), number);
	uint64_t r = words_random(&state);
	size_t i = 0;

	if (o->n_adapters == 0)
		return o->model;
	while (i + 1 < o->n_adapters && (r & 1) == 0) {
		r >>= 1;
		i++;
	}
	return o->adapters[i];
}

static void put_start(struct buf *b, const struct load_options *o,
    uint64_t number)
{
	buf_printf(b, "{\"model\":\"%s\",\"max_tokens\":%llu,\"stream\":%s%s,",
	    model_of(o, number), (unsigned long long)o->max_tokens,
	    o->no_stream ? "false" : "true", o->no_stream ? "" :
	    ",\"stream_options\":{\"include_usage\":true}");
	buf_puts(b, o->is_completions ? "\"prompt\":\"" : "\"messages\":[");
}

static void put_end(struct buf *b, const struct load_options *o)
{
	buf_puts(b, o->is_completions ? "\"}" : "]}");
}

/* One message; a prompt just goes on. */
static void open_message(struct buf *b, const struct load_options *o,
    const char *role, bool is_first)
{
	if (!o->is_completions)
		buf_printf(b, "%s{\"role\":\"%s\",\"content\":\"",
		    is_first ? "" : ",", role);
}

static void close_message(struct buf *b, const struct load_options *o)
{
	if (!o->is_completions)
		buf_puts(b, "\"}");
}

static void put_prefix_and_question(struct buf *b,
    const struct load_options *o, uint64_t prefix, uint64_t question)
{
	put_start(b, o, question);
	open_message(b, o, "system", true);
	put_words(b, o, 1, prefix, o->prefix_tokens);
	close_message(b, o);
	open_message(b, o, "user", false);
	put_words(b, o, 2, question, o->question_tokens);
	close_message(b, o);
	put_end(b, o);
}

static void next_shared(struct load_workload *w, struct buf *body,
    struct load_session **session)
{
	uint64_t at = w->order[w->n_asked % w->n_order];
	uint64_t round = w->n_asked / w->n_order;

	(void)session;
	put_prefix_and_question(body, w->options, at / w->options->per_group,
	    round * w->n_order + at);
}

static void next_burst(struct load_workload *w, struct buf *body,
    struct load_session **session)
{
	(void)session;
	put_prefix_and_question(body, w->options,
	    (1ull << 32) + w->n_asked / w->options->burst_size, w->n_asked);
}

static void next_uniform(struct load_workload *w, struct buf *body,
    struct load_session **session)
{
	const struct load_options *o = w->options;
	uint64_t state = hash_pair(o->seed, w->n_asked);
	uint64_t span = o->long_tokens - o->min_tokens + 1;

	(void)session;
	put_start(body, o, w->n_asked);
	open_message(body, o, "user", true);
	put_words(body, o, 3, w->n_asked,
	    o->min_tokens + words_random(&state) % span);
	close_message(body, o);
	put_end(body, o);
}

static struct load_session *session_new(struct load_workload *w)
{
	struct load_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	buf_init(&s->history, BODY_MAX_BYTES);
	s->number = w->n_sessions++;
	w->n_alive++;
	return s;
}

static void session_free(struct load_workload *w, struct load_session *s)
{
	w->n_alive--;
	buf_fini(&s->history);
	free(s);
}

static void next_turn(struct load_workload *w, struct buf *body,
    struct load_session **session)
{
	const struct load_options *o = w->options;
	struct load_session *s = NULL;

	if (w->n_alive >= o->sessions)
		s = TAILQ_FIRST(&w->ready);
	if (s != NULL)
		TAILQ_REMOVE(&w->ready, s, link);
	else
		s = session_new(w);
	*session = s;
	if (s == NULL)
		return;
	open_message(&s->history, o, "user", s->turn == 0);
	put_words(&s->history, o, 4, hash_pair(s->number, s->turn),
	    o->question_tokens);
	close_message(&s->history, o);
	put_start(body, o, s->number);
	buf_put(body, s->history.data, s->history.len);
	put_end(body, o);
}

void load_workload_answer(struct load_workload *w, struct load_session *s,
    struct span answer)
{
	const struct load_options *o = w->options;

	if (s == NULL)
		return;
	if (answer.ptr == NULL || ++s->turn >= o->turns ||
	    buf_failed(&s->history)) {
		session_free(w, s);
		return;
	}
	open_message(&s->history, o, "assistant", false);
	buf_put(&s->history, answer.ptr, answer.len);
	close_message(&s->history, o);
	TAILQ_INSERT_TAIL(&w->ready, s, link);
}

/* Fisher and Yates; else the groups come one after the other. */
static int put_in_order(struct load_workload *w)
{
	uint64_t state = w->options->seed;

	w->n_order = w->options->groups * w->options->per_group;
	if (w->n_order > SHUFFLE_MAX)
		return -ENOMEM;
	w->order = calloc(w->n_order, sizeof(*w->order));
	if (w->order == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < w->n_order; i++) {
		uint64_t j = w->options->in_order ? i :
		    words_random(&state) % (i + 1);

		w->order[i] = w->order[j];
		w->order[j] = (uint32_t)i;
	}
	return 0;
}

static const struct {
	const char *name;
	void (*next)(struct load_workload *w, struct buf *body,
	    struct load_session **session);
} kinds[] = {
	{ "shared-prefix", next_shared },
	{ "multi-turn", next_turn },
	{ "burst", next_burst },
	{ "uniform", next_uniform },
};

struct load_workload *load_workload_new(const struct load_options *o,
    struct fault *f)
{
	struct load_workload *w = calloc(1, sizeof(*w));

	if (w == NULL)
		goto fail;
	w->options = o;
	TAILQ_INIT(&w->ready);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(o->workload, kinds[i].name) == 0)
			w->next = kinds[i].next;
	if (w->next == NULL) {
		fault_setf(f, NULL, 0, "--workload %s", o->workload);
		fault_want(f, "shared-prefix, multi-turn, burst or uniform");
		goto fail;
	}
	if (w->next == next_shared && put_in_order(w) < 0)
		goto fail;
	return w;
fail:
	fault_set(f, NULL, 0, "not enough memory",
	    "fewer --groups or --per-group");
	load_workload_free(w);
	return NULL;
}

void load_workload_free(struct load_workload *w)
{
	struct load_session *s;

	if (w == NULL)
		return;
	while ((s = TAILQ_FIRST(&w->ready)) != NULL) {
		TAILQ_REMOVE(&w->ready, s, link);
		session_free(w, s);
	}
	free(w->order);
	free(w);
}

void load_workload_next(struct load_workload *w, struct buf *body,
    struct load_session **session)
{
	*session = NULL;
	w->next(w, body, session);
	w->n_asked++;
}
