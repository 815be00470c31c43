/*
 * What workers leave in the ring, and what the scraper takes out of it: requests are
 * parsed as a worker does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "counters.h"
#include "help.h"
#include "lora.h"
#include "questions.h"
#include "request.h"
#include "rng.h"

enum { RING = 64 << 10, TEXT_MAX = 8192, BODY_MAX = 2 * TEXT_MAX };

static struct arena *arena;
static struct counters counters;
static struct questions *questions;

static int setup(void **state)
{
	(void)state;
	counters = (struct counters){ 0 };
	questions = questions_new(RING);
	return questions == NULL;
}

static int teardown(void **state)
{
	(void)state;
	questions_free(questions);
	return 0;
}

/* A prompt of `len` bytes that is another for each number from its first on. */
static struct ask completion(char body[BODY_MAX], unsigned number, size_t len)
{
	char text[TEXT_MAX + 1];

	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + (number >> i % 32 & 1) + i % 7 * 2);
	text[len] = '\0';
	snprintf(body, BODY_MAX, "{\"model\":\"m\",\"prompt\":\"%s\","
	    "\"max_tokens\":1}", text);
	return help_ask("/v1/completions", body);
}

static struct request parse(const struct ask *ask)
{
	struct request r;

	arena_reset(arena);
	request_parse(&r, ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	return r;
}

static void offer(unsigned number, size_t len)
{
	char body[BODY_MAX];
	struct ask ask = completion(body, number, len);
	struct request r = parse(&ask);

	questions_offer(questions, &r, &counters);
}

static size_t n_taken(void)
{
	struct question *q;
	size_t n = 0;

	while ((q = questions_take(questions)) != NULL) {
		free(q);
		n++;
	}
	return n;
}

static void test_a_prompt_comes_out_as_it_was_put(void **state)
{
	char body[BODY_MAX];
	struct ask ask = completion(body, 3, 5 * HELP_BLOCK_BYTES + 1);
	struct request r = parse(&ask);
	struct question *q;

	(void)state;
	assert_null(questions_take(questions));
	questions_offer(questions, &r, &counters);
	q = questions_take(questions);
	assert_non_null(q);
	assert_int_equal(q->kind, REQUEST_COMPLETIONS);
	assert_int_equal(q->prompt_bytes, 5 * HELP_BLOCK_BYTES + 1);
	assert_int_equal(q->n_texts, 6);
	assert_memory_equal(q->texts, r.blocks, 6 * sizeof(*r.blocks));
	assert_true(span_is_text(q->body, body));
	assert_true(q->model == lora_name(span_of("m")));
	assert_int_equal(q->model_len, 1);
	assert_memory_equal(q->body.ptr + q->model_at, "m\"", 2);
	assert_null(questions_take(questions));
	free(q);
	assert_int_equal(counters.tokenize_dropped, 0);
}

static void test_a_rewritten_model_is_the_one_that_is_asked_for(void **state)
{
	char body[BODY_MAX], want[BODY_MAX + 32];
	struct ask ask = completion(body, 3, 5 * HELP_BLOCK_BYTES);
	struct request r = parse(&ask);
	struct question *q;

	(void)state;
	r.target = span_of("another-model");
	r.target_at = (uint64_t)(r.model.ptr - ask.body.ptr);
	r.target_len = (uint32_t)r.model.len;
	r.model = r.target;
	questions_offer(questions, &r, &counters);
	q = questions_take(questions);
	assert_non_null(q);
	snprintf(want, sizeof(want), "{\"model\":\"another-model%s",
	    body + strlen("{\"model\":\"m"));
	assert_true(span_is_text(q->body, want));
	assert_memory_equal(q->body.ptr + q->model_at, "another-model",
	    q->model_len);
	free(q);
}

static void test_the_same_prompt_is_asked_for_once(void **state)
{
	(void)state;
	offer(1, 4 * HELP_BLOCK_BYTES + 5);
	offer(1, 4 * HELP_BLOCK_BYTES + 5);
	offer(1, 4 * HELP_BLOCK_BYTES + 9);	/* only its tail is another */
	assert_int_equal(n_taken(), 1);
	offer(1, 4 * HELP_BLOCK_BYTES + 5);
	assert_int_equal(n_taken(), 0);
	offer(1, 5 * HELP_BLOCK_BYTES + 5);	/* the next turn */
	offer(2, 4 * HELP_BLOCK_BYTES + 5);
	assert_int_equal(n_taken(), 2);
}

#define LONG "a prompt that is long enough to be cut into more blocks than one, and so " \
	"it would be asked for if nothing else stood in the way of that; it goes on and on " \
	"until there is enough of it for all block sizes that a test may ever have."

static const struct {
	const char *path, *body;
	size_t n;
} asks[] = {
	{ "/v1/completions", "{\"model\":\"m\",\"prompt\":\"" LONG LONG "\"}", 1 },
	{ "/v1/chat/completions", "{\"model\":\"m\",\"messages\":[{\"role\":"
	    "\"user\",\"content\":\"" LONG LONG "\"}]}", 1 },
	{ "/v1/completions", "{\"model\":\"m\",\"prompt\":\"short\"}", 0 },
	{ "/v1/completions", "{\"model\":\"m\",\"prompt\":[\"" LONG LONG "\",\""
	    LONG LONG "\"]}", 0 },
	{ "/v1/completions", "{\"model\":\"m\",\"cache_salt\":\"s\",\"prompt\":\""
	    LONG LONG "\"}", 0 },
	{ "/v1/chat/completions", "{\"model\":\"m\",\"messages\":[{\"role\":"
	    "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"" LONG LONG "\"},"
	    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}}]}]}", 0 },
	{ "/v1/responses", "{\"model\":\"m\",\"input\":\"" LONG LONG "\"}", 0 },
	{ "/v1/embeddings", "{\"model\":\"m\",\"input\":\"" LONG LONG "\"}", 0 },
	{ "/v1/completions", "{\"prompt\":\"" LONG LONG "\"}", 0 },
};

static void test_only_what_a_tokenizer_takes_as_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(asks) / sizeof(*asks); i++) {
		struct ask ask = help_ask(asks[i].path, asks[i].body);
		struct request r = parse(&ask);

		questions_offer(questions, &r, &counters);
		if (n_taken() != asks[i].n)
			fail_msg("%s %.80s", asks[i].path, asks[i].body);
	}
}

static void test_a_body_that_is_cut_is_not_asked_for(void **state)
{
	char body[BODY_MAX];
	struct ask ask = completion(body, 1, 1000);
	struct request r;

	(void)state;
	ask.body_len = ask.body.len;
	ask.body.len -= 300;
	r = parse(&ask);
	assert_true(r.n_blocks > 1);
	questions_offer(questions, &r, &counters);
	assert_int_equal(n_taken(), 0);
}

/* The ceiling holds, and what is in the ring is not harmed. */
static void test_a_full_ring_drops_what_comes(void **state)
{
	enum { LEN = 4000 };
	size_t n;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		offer(i, LEN);
	n = n_taken();
	assert_true(n * LEN <= RING && n > RING / LEN / 2);
	assert_int_equal(counters.tokenize_dropped, 100 - n);
	offer(99, LEN);		/* it was dropped: it may come again */
	assert_int_equal(n_taken(), 1);
}

static void test_one_that_is_larger_than_the_ring_is_dropped(void **state)
{
	char *big = malloc(2 * RING + 64);
	struct ask ask;
	struct request r;

	(void)state;
	memset(big, 'x', 2 * RING + 64);
	memcpy(big, "{\"model\":\"m\",\"prompt\":\"", 23);
	memcpy(big + 2 * RING, "\"}", 3);
	ask = help_ask("/v1/completions", big);
	r = parse(&ask);
	questions_offer(questions, &r, &counters);
	assert_int_equal(counters.tokenize_dropped, 1);
	assert_int_equal(n_taken(), 0);
	offer(1, 1000);
	assert_int_equal(n_taken(), 1);
	free(big);
}

/* Whatever sizes come in whatever order: first in, first out, and every byte. */
static void test_the_ring_is_a_queue(void **state)
{
	enum { MOST = 4096 };
	static struct { unsigned number; size_t len; } expected[MOST];
	size_t head = 0, tail = 0;
	struct rng rng = { 99 };
	char body[BODY_MAX];

	(void)state;
	for (unsigned i = 1; i < MOST; i++) {
		size_t len = 2 * HELP_BLOCK_BYTES + rng_below(&rng, TEXT_MAX -
		    2 * HELP_BLOCK_BYTES);
		uint64_t dropped = counters.tokenize_dropped;
		struct question *q;

		offer(i, len);
		if (counters.tokenize_dropped == dropped) {
			expected[tail].number = i;
			expected[tail++].len = len;
		}
		if (rng_below(&rng, 16) > 8 + i / 512)
			continue;
		q = questions_take(questions);
		assert_true((q != NULL) == (head < tail));
		if (q == NULL)
			continue;
		completion(body, expected[head].number, expected[head].len);
		assert_true(span_is_text(q->body, body));
		head++;
		free(q);
	}
	assert_int_equal(n_taken(), tail - head);
	assert_true(head > 500);
}

/* ---- workers beside the scraper ---- */

static _Atomic unsigned n_done;

static void *offer_many(void *data)
{
	struct arena *own = arena_new(1 << 16, 8 << 20);
	unsigned from = *(unsigned *)data;
	struct counters *c = calloc(1, sizeof(*c));
	char body[BODY_MAX];

	for (unsigned i = 1; i < 2000; i++) {
		struct ask ask = completion(body, from + i, 300 + i);
		struct request r;

		arena_reset(own);
		request_parse(&r, &ask, HELP_BLOCK_BYTES, 2048, NULL, own);
		questions_offer(questions, &r, c);
	}
	free(c);
	arena_free(own);
	atomic_fetch_add(&n_done, 1);
	return NULL;
}

static void test_workers_do_not_harm_each_other_s(void **state)
{
	unsigned from[] = { 1 << 16, 1 << 20 };
	pthread_t workers[2];
	char body[BODY_MAX];
	struct question *q;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&workers[i], NULL, offer_many,
		    &from[i]), 0);
	while ((q = questions_take(questions)) != NULL ||
	    atomic_load(&n_done) < 2) {
		unsigned i;

		if (q == NULL)
			continue;
		i = (unsigned)q->prompt_bytes - 300;
		completion(body, from[0] + i, 300 + i);
		if (!span_is_text(q->body, body)) {
			completion(body, from[1] + i, 300 + i);
			assert_true(span_is_text(q->body, body));
		}
		n++;
		free(q);
	}
	for (size_t i = 0; i < 2; i++)
		pthread_join(workers[i], NULL);
	assert_true(n > 0);
}

static int group_setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 16, 8 << 20);
	return arena == NULL;
}

static int group_teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_prompt_comes_out_as_it_was_put),
		TEST(test_a_rewritten_model_is_the_one_that_is_asked_for),
		TEST(test_the_same_prompt_is_asked_for_once),
		TEST(test_only_what_a_tokenizer_takes_as_it_is),
		TEST(test_a_body_that_is_cut_is_not_asked_for),
		TEST(test_a_full_ring_drops_what_comes),
		TEST(test_one_that_is_larger_than_the_ring_is_dropped),
		TEST(test_the_ring_is_a_queue),
		TEST(test_workers_do_not_harm_each_other_s),
	};

	return cmocka_run_group_tests_name("questions", tests, group_setup,
	    group_teardown);
}
