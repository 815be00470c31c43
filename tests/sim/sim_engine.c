/*
 * sim_engine.c - admit, prefill one prompt at a time, decode all in step
 *
 * A sequence waits until it has a batch slot, an adapter slot and KV blocks:
 * its prompt's now, and as many promised as it may yet generate, so that nothing
 * running is ever preempted. Blocks get their names when they are computed; so
 * of two equal prompts that arrive together the second is matched again just
 * before its prefill, when the first one's blocks have become findable.
 */
#include "sim_engine.h"

#include "hash.h"
#include "must.h"
#include "words.h"

enum { NS = 1000000000 };

_Static_assert((int)WORD_BYTES == (int)SIM_TOKEN_BYTES, "a word is a token");

struct sim_engine {
	const struct sim_options *options;
	const struct sim_engine_events *events;
	struct sim_seq_list waiting;
	struct sim_seq_list prefill;	/* admitted; the first is under way */
	struct sim_seq_list decode;
	uint32_t n_waiting, n_prefill, n_decode;
	uint64_t promised;	/* blocks that running ones may still take */
	bool may_admit;		/* something changed that admission looks at */
	bool is_prefilling;
	int64_t prefill_start_ns, prefill_end_ns, step_ns;
	struct sim_kv *kv;	/* made with the first request */
	const struct sim_engine_watch *watch;	/* or NULL */
	struct sim_lora lora;
	struct sim_stats stats;
};

struct sim_engine *sim_engine_new(const struct sim_options *o,
    const struct sim_engine_events *events)
{
	struct sim_engine *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->options = o;
	e->events = events;
	e->prefill_end_ns = e->step_ns = INT64_MAX;
	TAILQ_INIT(&e->waiting);
	TAILQ_INIT(&e->prefill);
	TAILQ_INIT(&e->decode);
	sim_lora_init(&e->lora, (uint32_t)o->max_loras);
	return e;
}

void sim_engine_free(struct sim_engine *e)
{
	if (e == NULL)
		return;
	sim_kv_free(e->kv);
	free(e);
}

struct sim_load sim_engine_load(const struct sim_engine *e)
{
	return (struct sim_load){
		.running = e->n_prefill + e->n_decode,
		.waiting = e->n_waiting,
		.kv_usage = e->kv == NULL ? 0 : 1 -
		    (double)sim_kv_free_blocks(e->kv) /
		    (double)e->options->kv_blocks,
	};
}

struct sim_stats *sim_engine_stats(struct sim_engine *e)
{
	return &e->stats;
}

const struct sim_lora *sim_engine_lora(const struct sim_engine *e)
{
	return &e->lora;
}

bool sim_engine_can_hold(const struct sim_engine *e, const struct sim_seq *s)
{
	return s->n_blocks_max <= e->options->kv_blocks;
}

int64_t sim_engine_next(const struct sim_engine *e)
{
	return e->prefill_end_ns < e->step_ns ? e->prefill_end_ns : e->step_ns;
}

int sim_engine_submit(struct sim_engine *e, struct sim_seq *s, int64_t now_ns)
{
	must(s->state == SIM_SEQ_NEW && sim_engine_can_hold(e, s));
	if (e->kv == NULL)
		e->kv = sim_kv_new((uint32_t)e->options->kv_blocks);
	if (e->kv == NULL)
		return -ENOMEM;
	if (e->watch != NULL)
		sim_kv_watch(e->kv, e->watch->removed, e->watch->data);
	/* What was due before this arrival must not see it. */
	sim_engine_advance(e, now_ns);
	s->state = SIM_SEQ_WAITING;
	s->arrival_ns = now_ns;
	TAILQ_INSERT_TAIL(&e->waiting, s, link);
	e->n_waiting++;
	if (s->adapter >= 0)
		e->lora.adapters[s->adapter].n_waiting++;
	e->may_admit = true;
	e->stats.version++;
	return 0;
}

/* Holds what is cached and takes the rest of the prompt's blocks. */
static void take_blocks(struct sim_engine *e, struct sim_seq *s)
{
	uint32_t n = sim_seq_prompt_blocks(s);

	s->n_cached = sim_kv_match(e->kv, s->names, sim_seq_reusable(s));
	for (uint32_t i = 0; i < n; i++)
		s->blocks[i] = i < s->n_cached ?
		    sim_kv_hold(e->kv, s->names[i]) : sim_kv_take(e->kv);
	s->n_blocks = n;
}

static bool fits(const struct sim_engine *e, const struct sim_seq *s)
{
	uint32_t n_match = sim_kv_match(e->kv, s->names, sim_seq_reusable(s));

	return sim_kv_fits(e->kv, s->names, n_match,
	    (uint64_t)s->n_blocks_max - n_match + e->promised);
}

static void leave_waiting(struct sim_engine *e, struct sim_seq *s)
{
	TAILQ_REMOVE(&e->waiting, s, link);
	e->n_waiting--;
	if (s->adapter >= 0)
		e->lora.adapters[s->adapter].n_waiting--;
}

static void admit_one(struct sim_engine *e, struct sim_seq *s, int64_t now_ns)
{
	leave_waiting(e, s);
	if (s->adapter >= 0)
		sim_lora_hold(&e->lora, s->adapter);
	take_blocks(e, s);
	e->promised += s->n_blocks_max - s->n_blocks;
	s->state = SIM_SEQ_PREFILL;
	s->admitted_ns = now_ns;
	TAILQ_INSERT_TAIL(&e->prefill, s, link);
	e->n_prefill++;
	e->stats.version++;
}

/* First come first served; only a full house of adapters is stepped around. */
static void admit(struct sim_engine *e, int64_t now_ns)
{
	struct sim_seq *s, *next;

	if (!e->may_admit)
		return;
	e->may_admit = false;
	for (s = TAILQ_FIRST(&e->waiting); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (e->n_prefill + e->n_decode >= e->options->batch)
			return;
		if (s->adapter >= 0 && !sim_lora_fits(&e->lora, s->adapter))
			continue;
		if (!fits(e, s))
			return;
		admit_one(e, s, now_ns);
	}
}

static void rematch(struct sim_engine *e, struct sim_seq *s)
{
	if (sim_kv_match(e->kv, s->names, sim_seq_reusable(s)) <= s->n_cached)
		return;
	sim_kv_release(e->kv, s->blocks, s->n_blocks);
	take_blocks(e, s);
}

static int64_t prefill_cost_ns(const struct sim_engine *e,
    const struct sim_seq *s, uint32_t n_cached, bool is_loaded)
{
	const struct sim_options *o = e->options;
	double tokens = s->prompt_tokens - n_cached * o->block_tokens;
	int64_t cost = 0;

	if (o->prefill_rate > 0)
		cost = (int64_t)(tokens / o->prefill_rate * NS);
	if (!is_loaded)
		cost += (int64_t)o->lora_load_ms * (NS / 1000);
	return cost;
}

/* Does its adapter need no loading now? */
static bool is_loaded(const struct sim_engine *e, const struct sim_seq *s)
{
	return s->adapter < 0 || e->lora.adapters[s->adapter].is_loaded;
}

static void start_prefill(struct sim_engine *e, int64_t now_ns)
{
	struct sim_seq *s = TAILQ_FIRST(&e->prefill);

	if (e->is_prefilling || s == NULL)
		return;
	rematch(e, s);
	e->is_prefilling = true;
	e->prefill_start_ns = now_ns;
	e->prefill_end_ns = now_ns + prefill_cost_ns(e, s, s->n_cached,
	    is_loaded(e, s));
	sim_stats_count(&e->stats, SIM_CACHE_QUERIES, s->prompt_tokens);
	sim_stats_count(&e->stats, SIM_CACHE_HITS, sim_seq_cached_tokens(s));
}

/* How long the step takes that starts now; known by who is in it. */
static int64_t step_cost_ns(const struct sim_engine *e)
{
	const struct sim_options *o = e->options;

	if (o->decode_rate <= 0)
		return 0;
	return (int64_t)(NS / o->decode_rate *
	    (1 + o->decode_slowdown *
	    (e->n_decode > 0 ? e->n_decode - 1 : 0)));
}

/* Runs of blocks that are new in the cache, as vLLM tells them. */
static void name_prompt(struct sim_engine *e, struct sim_seq *s)
{
	uint32_t bb = s->block_bytes, from = 0;

	for (uint32_t i = 0; i <= s->n_names; i++) {
		bool is_new = i < s->n_names &&
		    sim_kv_name(e->kv, s->blocks[i], s->names[i]);

		if (is_new)
			continue;
		if (e->watch != NULL && i > from)
			e->watch->stored(e->watch->data,
			    from > 0 ? &s->names[from - 1] : NULL,
			    s->names + from, i - from,
			    (struct span){ s->text + (size_t)from * bb,
				(size_t)(i - from) * bb });
		from = i + 1;
	}
}

static void end_prefill(struct sim_engine *e, int64_t now_ns)
{
	struct sim_seq *s = TAILQ_FIRST(&e->prefill);

	TAILQ_REMOVE(&e->prefill, s, link);
	e->n_prefill--;
	e->is_prefilling = false;
	e->prefill_end_ns = INT64_MAX;
	name_prompt(e, s);
	if (s->adapter >= 0)
		e->lora.adapters[s->adapter].is_loaded = true;
	s->state = SIM_SEQ_DECODE;
	TAILQ_INSERT_TAIL(&e->decode, s, link);
	if (e->n_decode++ == 0)
		e->step_ns = now_ns + step_cost_ns(e);
	sim_stats_count(&e->stats, SIM_PROMPT_TOKENS, s->prompt_tokens);
	sim_stats_observe(&e->stats, SIM_PREFILL_TIME,
	    (double)(now_ns - e->prefill_start_ns) / NS);
}

/* Gives back what a running sequence holds. */
static void release(struct sim_engine *e, struct sim_seq *s)
{
	e->promised -= s->n_blocks_max - s->n_blocks;
	sim_kv_release(e->kv, s->blocks, s->n_blocks);
	s->n_blocks = 0;
	if (s->adapter >= 0)
		sim_lora_release(&e->lora, s->adapter);
	e->may_admit = true;
	e->stats.version++;
}

static void leave_decode(struct sim_engine *e, struct sim_seq *s)
{
	TAILQ_REMOVE(&e->decode, s, link);
	if (--e->n_decode == 0)
		e->step_ns = INT64_MAX;
}

/* A block of its answer is full. */
static void name_tail(struct sim_engine *e, struct sim_seq *s)
{
	uint64_t parent = s->chain;
	bool has_parent = s->n_bytes >= s->block_bytes;

	s->chain = hash_bytes(s->tail, s->n_tail, s->chain);
	if (sim_kv_name(e->kv, s->blocks[s->n_blocks - 1], s->chain) &&
	    e->watch != NULL)
		e->watch->stored(e->watch->data, has_parent ? &parent : NULL,
		    &s->chain, 1, (struct span){ s->tail, s->n_tail });
}

static void grow(struct sim_engine *e, struct sim_seq *s, const char *text)
{
	for (int i = 0; i < SIM_TOKEN_BYTES; i++) {
		if (s->n_tail == 0) {
			s->blocks[s->n_blocks++] = sim_kv_take(e->kv);
			e->promised--;
		}
		s->tail[s->n_tail++] = text[i];
		if (s->n_tail < s->block_bytes)
			continue;
		name_tail(e, s);
		s->n_tail = 0;
	}
	s->n_bytes += SIM_TOKEN_BYTES;
}

static void observe_token(struct sim_engine *e, struct sim_seq *s,
    int64_t now_ns)
{
	if (s->n_generated++ == 0) {
		s->first_ns = now_ns;
		sim_stats_observe(&e->stats, SIM_TTFT,
		    (double)(now_ns - s->arrival_ns) / NS);
	} else {
		sim_stats_observe(&e->stats, SIM_ITL,
		    (double)(now_ns - s->last_ns) / NS);
	}
	s->last_ns = now_ns;
	sim_stats_count(&e->stats, SIM_GENERATION_TOKENS, 1);
}

static void observe_done(struct sim_engine *e, const struct sim_seq *s)
{
	struct sim_stats *t = &e->stats;

	sim_stats_count(t, SIM_FINISHED, 1);
	sim_stats_observe(t, SIM_E2E,
	    (double)(s->last_ns - s->arrival_ns) / NS);
	sim_stats_observe(t, SIM_QUEUE_TIME,
	    (double)(s->admitted_ns - s->arrival_ns) / NS);
	sim_stats_observe(t, SIM_DECODE_TIME,
	    (double)(s->last_ns - s->first_ns) / NS);
	sim_stats_observe(t, SIM_PROMPT_LEN, s->prompt_tokens);
	sim_stats_observe(t, SIM_GENERATION_LEN, s->n_generated);
}

/* One token for every decoding sequence. */
static void step(struct sim_engine *e, int64_t now_ns)
{
	struct sim_seq *s, *next;
	char text[SIM_TOKEN_BYTES];

	for (s = TAILQ_FIRST(&e->decode); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		words_next(&s->words, text);
		grow(e, s, text);
		observe_token(e, s, now_ns);
		e->events->on_token(s, text);
		if (s->n_generated < s->max_tokens)
			continue;
		leave_decode(e, s);
		release(e, s);
		observe_done(e, s);
		s->state = SIM_SEQ_DONE;
		e->events->on_done(s);
	}
	if (e->n_decode > 0)
		e->step_ns = now_ns + step_cost_ns(e);
}

void sim_engine_advance(struct sim_engine *e, int64_t now_ns)
{
	int64_t at = now_ns;

	for (;;) {
		admit(e, at);
		start_prefill(e, at);
		at = sim_engine_next(e);
		if (at > now_ns)
			return;
		/* On a tie the step goes first: no token comes for nothing. */
		if (e->prefill_end_ns < e->step_ns)
			end_prefill(e, at);
		else
			step(e, at);
	}
}

/* ---- what would be ---- */

/* Leading blocks that `s` will find computed once `before` is. */
static uint32_t in_common(const struct sim_seq *s, const struct sim_seq *before)
{
	uint32_t n = sim_seq_reusable(s), i = 0;

	while (i < n && i < before->n_names && s->names[i] == before->names[i])
		i++;
	return i;
}

/* What it costs when its turn comes, behind those that are in line before it. */
static int64_t will_cost_ns(const struct sim_engine *e, const struct sim_seq *s)
{
	const struct sim_seq_list *lists[] = { &e->prefill, &e->waiting };
	uint32_t n = e->kv == NULL ? 0 :
	    sim_kv_match(e->kv, s->names, sim_seq_reusable(s));
	bool loaded = is_loaded(e, s);
	const struct sim_seq *other;

	for (int i = 0; i < 2; i++)
		TAILQ_FOREACH(other, lists[i], link) {
			if (other == s)
				return prefill_cost_ns(e, s, n, loaded);
			n = in_common(s, other) > n ? in_common(s, other) : n;
			loaded |= other->adapter == s->adapter;
		}
	return prefill_cost_ns(e, s, n, loaded);
}

/* Until the engine has computed the prompts that are there already. */
static int64_t backlog_ns(const struct sim_engine *e, int64_t now_ns)
{
	const struct sim_seq *s;
	int64_t sum = e->is_prefilling ? e->prefill_end_ns - now_ns : 0;

	TAILQ_FOREACH(s, &e->prefill, link)
		if (!e->is_prefilling || s != TAILQ_FIRST(&e->prefill))
			sum += will_cost_ns(e, s);
	TAILQ_FOREACH(s, &e->waiting, link)
		sum += will_cost_ns(e, s);
	return sum;
}

static int compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Until one more than those that wait has a place in the batch. */
static int64_t place_ns(const struct sim_engine *e, int64_t step_ns)
{
	uint32_t running = e->n_prefill + e->n_decode, n = 0, rounds;
	const struct sim_seq *s;
	int64_t ends[4096];	/* --batch is no more */

	if (running + e->n_waiting < e->options->batch)
		return 0;
	TAILQ_FOREACH(s, &e->decode, link)
		ends[n++] = (s->max_tokens - s->n_generated) * step_ns;
	TAILQ_FOREACH(s, &e->prefill, link)
		ends[n++] = s->max_tokens * step_ns;
	qsort(ends, n, sizeof(*ends), compare_times);
	rounds = e->n_waiting / n;
	return ends[e->n_waiting % n] + rounds * ends[n - 1];
}

int64_t sim_engine_forecast(const struct sim_engine *e, const struct sim_seq *s,
    int64_t now_ns)
{
	int64_t step_ns = step_cost_ns(e), ahead = backlog_ns(e, now_ns),
	    place = place_ns(e, step_ns);

	return (ahead > place ? ahead : place) +
	    will_cost_ns(e, s) + step_ns;
}

void sim_engine_cancel(struct sim_engine *e, struct sim_seq *s)
{
	switch (s->state) {
	case SIM_SEQ_NEW:
	case SIM_SEQ_DONE:
		return;
	case SIM_SEQ_WAITING:
		leave_waiting(e, s);
		break;
	case SIM_SEQ_PREFILL:
		if (e->is_prefilling && s == TAILQ_FIRST(&e->prefill)) {
			e->is_prefilling = false;
			e->prefill_end_ns = INT64_MAX;
		}
		TAILQ_REMOVE(&e->prefill, s, link);
		e->n_prefill--;
		release(e, s);
		break;
	case SIM_SEQ_DECODE:
		leave_decode(e, s);
		release(e, s);
		break;
	}
	s->state = SIM_SEQ_DONE;
	sim_stats_count(&e->stats, SIM_ABORTED, 1);
	/* A head that did not fit may have hidden others that do. */
	e->may_admit = true;
}

void sim_engine_watch(struct sim_engine *e, const struct sim_engine_watch *w)
{
	e->watch = w;
}

void sim_engine_clear(struct sim_engine *e)
{
	if (e->kv == NULL)
		return;
	sim_kv_watch(e->kv, NULL, NULL);	/* told as one, not one by one */
	sim_kv_forget(e->kv);
	if (e->watch != NULL)
		sim_kv_watch(e->kv, e->watch->removed, e->watch->data);
}

void sim_engine_reset(struct sim_engine *e)
{
	uint64_t version = e->stats.version + 1;
	uint64_t n_observed = e->stats.n_observed + 1;

	e->stats = (struct sim_stats){ .version = version,
		.n_observed = n_observed };
	sim_engine_clear(e);
	for (int i = 0; i < SIM_LORAS_MAX; i++) {
		struct sim_adapter *a = &e->lora.adapters[i];

		if (a->is_resident && a->n_running == 0) {
			a->is_resident = a->is_loaded = false;
			e->lora.n_resident--;
		}
	}
}
