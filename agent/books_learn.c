/*
 * books_learn.c - what a first token and an end tell of their endpoint: its speed, its
 * failures, what it has cached
 */
#include "books_parts.h"
#include "counters.h"
#include "endpoints.h"
#include "outlier.h"
#include "prefix.h"
#include "prompt.h"
#include "record.h"

enum {
	/*
	 * One token of a stream as vLLM sends it: an event of OpenAI's
	 * chat.completion.chunk with its ids, and its HTTP chunk. An estimate; what
	 * counts is that it is the same for all endpoints of a pool.
	 */
	STREAM_TOKEN_BYTES = 240,
	/* Of an answer in one piece: its JSON and headers, then text alone. */
	WHOLE_BYTES = 600,
	STREAM_TOKENS_MIN = 8,		/* fewer tell more of headers than of speed */
};

/* Below, a first token tells what else it takes, not how fast prompts are computed. */
enum { PACE_TOKENS_MIN = 64 };

/* Tokens a second; llm-d-router, peakPrefillThroughput. */
enum { PACE_RATE_START = 15928 };

/*
 * From llm-d's default on, and at most by the factor of 2 a sample: an engine that
 * warms up, or a machine that pauses, must not make it look slow for good, since where
 * prompts are cached no other sample comes.
 */
static float believable(float rate, const struct endpoint_pace *pace)
{
	float now = ewma_get(&pace->prefill_rate);

	if (now <= 0)
		now = PACE_RATE_START;
	return rate < now / 2 ? now / 2 : rate > now * 2 ? now * 2 : rate;
}

void books_note_pace(const struct books_place *at, const struct booking *k,
    uint32_t tokens, int64_t took_us, int64_t now_us)
{
	struct endpoint_pace *pace = endpoint_pace(at->view, at->row);
	float computed = (float)tokens + (float)k->ahead / 2, base_us;

	if (pace == NULL || k->chosen != at->live ||
	    k->ahead > tokens / 2 || books_is_helped(k))
		return;
	if (tokens < PACE_TOKENS_MIN) {
		ewma_add(&pace->base_us, (float)took_us, now_us / 1000);
		return;
	}
	base_us = ewma_get(&pace->base_us);
	if ((float)took_us > 2 * base_us && took_us > 0)
		ewma_add(&pace->prefill_rate, believable(1e6f * computed /
		    ((float)took_us - (base_us > 0 ? base_us : 0)), pace),
		    now_us / 1000);
}

void books_note_latency(const struct books_place *at, const struct booking *k,
    const struct record *r, int64_t now_us)
{
	struct endpoint_pace *pace = endpoint_pace(at->view, at->row);
	int64_t first_us = k->first_us, tokens;

	if (k->first_us == 0 && record_has_ttft(r)) {
		ewma_add(&at->live->ttft_us, (float)r->ttft_us, now_us / 1000);
		books_note_pace(at, k, k->tokens, r->ttft_us, now_us);
		first_us = k->picked_us + r->ttft_us;
	}
	if (first_us != 0 && first_us < now_us && pace != NULL)
		ewma_add(&pace->serve_us, (float)(now_us - first_us),
		    now_us / 1000);
	tokens = (int64_t)(r->bytes / STREAM_TOKEN_BYTES);
	if (k->is_stream && first_us != 0 && first_us < now_us &&
	    tokens >= STREAM_TOKENS_MIN)
		ewma_add(&at->live->token_us,
		    (float)(now_us - first_us) / (float)tokens, now_us / 1000);
}

/* Of the answer, by its bytes: nobody tells us the number itself. */
static uint64_t tokens_of(const struct booking *k, uint64_t bytes)
{
	uint64_t tokens = bytes / STREAM_TOKEN_BYTES;

	if (!k->is_stream)
		tokens = bytes > WHOLE_BYTES ?
		    (bytes - WHOLE_BYTES) / PROMPT_TOKEN_BYTES : 0;
	return k->max_tokens > 0 && tokens > k->max_tokens ? k->max_tokens :
	    tokens;
}

void books_note_answer(const struct books_place *at, const struct booking *k,
    const struct record *r)
{
	uint32_t block_bytes = at->view->block_bytes;
	uint64_t n;

	if (k->last_block == 0 || r->status != 200 || at->live != k->chosen ||
	    live_generation(k->chosen) != k->chosen_generation)
		return;
	n = (tokens_of(k, r->bytes) * PROMPT_TOKEN_BYTES + block_bytes / 2) /
	    block_bytes;
	prefix_answered(at->view->prefix, at->view->endpoints[at->row].slot,
	    k->last_block, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX);
}

void books_note_outcome(const struct books_place *at, bool is_failure,
    int64_t now_us, struct counters *c)
{
	ewma_add(&at->live->error_rate, is_failure ? 1.0f : 0.0f,
	    now_us / 1000);
	if (!is_failure) {
		outlier_served(at->view, at->row);
		return;
	}
	counter_add(c->server_failures, 1);
	if (outlier_failed(at->view, at->row, now_us / 1000))
		counter_add(c->ejections, 1);
}

void books_note_move(const struct books_place *served, const struct booking *k,
    const struct record *r, int64_t now_us, struct counters *c)
{
	struct books_place chosen = books_place_of(served->view, k);

	counter_add(c->moved, 1);
	if (chosen.live != NULL && (r->n_retries > 0 || r->is_redispatched))
		books_note_outcome(&chosen, true, now_us, c);
}
