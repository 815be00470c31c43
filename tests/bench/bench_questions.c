/*
 * bench_questions.c - what a worker pays for a tokenizer, beside reading the request
 *
 * For each size of body, in turns within one run: the request is parsed and its prompt
 * hashed, which every pick does; that, and the prompt is left to be asked for (each is
 * another, so each is copied); that, and it was left before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clock.h"
#include "counters.h"
#include "must.h"
#include "questions.h"
#include "request.h"

enum {
	BLOCK_BYTES = 256, MAX_BLOCKS = 2048, ROUNDS = 41, REPEATS = 50,
	BODY_MAX = 1 << 17, RING_BYTES = 16 << 20, WAYS = 3,
};

static const char *const ways[WAYS] = { "parse", "+ new", "+ known" };

static char body[BODY_MAX];
static size_t body_len, text_at;
static struct arena *arena;
static struct questions *questions;
static struct counters counters;

static void make_body(size_t bytes)
{
	static const char head[] = "{\"model\":\"m\",\"prompt\":\"";

	text_at = sizeof(head) - 1;
	memcpy(body, head, text_at);
	memset(body + text_at, 'x', bytes);
	memcpy(body + text_at + bytes, "\"}", 2);
	body_len = text_at + bytes + 2;
}

/* Another prompt from its first block on. */
static void renew(void)
{
	static uint32_t n;
	char text[16];

	snprintf(text, sizeof(text), "%08x", ++n);
	memcpy(body + text_at, text, 8);
}

static void once(size_t way)
{
	const struct ask ask = { .path = span_of("/v1/completions"),
		.method = span_of("POST"), .body = { body, body_len },
		.body_len = body_len };
	struct request r;

	arena_reset(arena);
	request_parse(&r, &ask, BLOCK_BYTES, MAX_BLOCKS, NULL, arena);
	must(r.n_chains == 1);
	if (way > 0)
		questions_offer(questions, &r, &counters);
}

static void empty(void)
{
	struct question *q;

	while ((q = questions_take(questions)) != NULL)
		free(q);
}

static int64_t spend(size_t way)
{
	int64_t spent = 0;

	for (int i = 0; i < REPEATS; i++) {
		int64_t from;

		if (way != 2)
			renew();
		from = clock_ns();
		once(way);
		spent += clock_ns() - from;
	}
	empty();
	return spent;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void measure(size_t bytes)
{
	static int64_t spent[WAYS][ROUNDS];
	double ns[WAYS];

	make_body(bytes);
	for (int round = 0; round < ROUNDS; round++)
		for (size_t way = 0; way < WAYS; way++)
			spent[way][round] = spend(way);
	for (size_t way = 0; way < WAYS; way++) {
		qsort(spent[way], ROUNDS, sizeof(int64_t), by_time);
		ns[way] = (double)spent[way][ROUNDS / 2] / REPEATS;
		printf("%7zu bytes  %-8s %8.0f ns  %.2f\n", bytes, ways[way],
		    ns[way], ns[way] / ns[0]);
	}
	must(counters.tokenize_dropped == 0);
}

int main(void)
{
	static const size_t sizes[] = { 1 << 10, 16 << 10, 60 << 10 };

	arena = arena_new(1 << 20, 8 << 20);
	questions = questions_new(RING_BYTES);
	must(arena != NULL && questions != NULL);
	puts("a tokenizer's part of a pick, beside parsing:");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		measure(sizes[i]);
	questions_free(questions);
	arena_free(arena);
	return 0;
}
