/*
 * A tokenizer played by the test, in turns with the agent on one thread; prompts are put
 * as workers do, and what is learned is looked for in the pool's texts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <ev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "counters.h"
#include "discover.h"
#include "engine.h"
#include "help.h"
#include "http.h"
#include "kv_texts.h"
#include "log.h"
#include "pool.h"
#include "questions.h"
#include "rng.h"
#include "tokenizer.h"

enum { WAIT_MS = 10000, BLOCK = 16, PEERS = 4 };

static struct ev_loop *loop;
static struct http_client *http;
static struct rng rng = { 1 };
static struct options owner = { .refs = 1 };
static struct pool_options options;
static struct pool *pool;
static struct counters counters;
static struct arena *arena;
static int listener;
static uint16_t port;
static struct {
	int fd;
	char request[65536];
} peers[PEERS];

static const struct engine *engine_of(void *data, const char *name)
{
	(void)data;
	return engine_find(name);
}

static void set_endpoint(void)
{
	static struct pool_context c;
	const struct endpoint_spec s = { .name = "s", .host = "localhost",
		.address = "127.0.0.1", .port = port, .engine = "vllm",
		.ready = true };

	c = (struct pool_context){ .loop = loop, .http = http, .rng = &rng,
		.engine = engine_of, .counters = &counters };
	assert_int_equal(pool_update(pool, &c, &s, 1, true), 0);
}

static void open_listener(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&a, &len);
	port = ntohs(a.sin_port);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	loop = ev_loop_new(EVFLAG_AUTO);
	http = http_client_new(loop);
	arena = arena_new(1 << 16, 8 << 20);
	counters = (struct counters){ 0 };
	for (size_t i = 0; i < PEERS; i++)
		peers[i].fd = -1;
	open_listener();
	options = (struct pool_options){ .owner = &owner, .name = "p",
		.prefix = { .block_tokens = HELP_BLOCK_BYTES / 4,
			.max_match_tokens = 131072,
			.capacity_tokens = 64000, .max_bytes = 1 << 20,
			.tokenizer = { .enabled = true, .timeout_ms = WAIT_MS,
				.concurrency = 2, .max_bytes = 1 << 20 } } };
	pool = pool_new(&options);
	assert_non_null(pool);
	set_endpoint();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pool_clear(pool);
	pool_unref(pool);
	http_client_free(http);
	ev_loop_destroy(loop);
	arena_free(arena);
	for (size_t i = 0; i < PEERS; i++)
		if (peers[i].fd >= 0)
			close(peers[i].fd);
	close(listener);
	return 0;
}

static void hear(void)
{
	assert_true(kv_texts_hear(pool->texts, BLOCK));
}

/* Prompts that differ from their first byte on. */
static void put(const char *path, unsigned number)
{
	char text[1024], body[2048];
	struct request r;
	struct ask ask;

	memset(text, 'a' + (int)number, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snprintf(body, sizeof(body), strstr(path, "chat") == NULL ?
	    "{\"model\":\"m\",\"prompt\":\"%s\"}" :
	    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
	    "\"content\":\"%s\"}]}", text);
	ask = help_ask(path, body);
	arena_reset(arena);
	request_parse(&r, &ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	questions_offer(pool->questions, &r, &counters);
}

static void turn(void)
{
	pool_beat(pool, clock_ms(), &rng);
	ev_run(loop, EVRUN_NOWAIT);
}

static bool is_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 1) == 1;
}

/* Peer i takes one whole request, on a new connection if it has none. */
static void take(size_t i)
{
	int64_t until = clock_ms() + WAIT_MS;
	char *request = peers[i].request, *end = NULL;
	size_t n = 0, want = SIZE_MAX;

	while (peers[i].fd < 0) {
		turn();
		assert_true(clock_ms() < until);
		if (is_ready(listener))
			peers[i].fd = accept(listener, NULL, NULL);
	}
	while (n < want) {
		turn();
		assert_true(clock_ms() < until);
		if (!is_ready(peers[i].fd))
			continue;
		n += (size_t)read(peers[i].fd, request + n,
		    sizeof(peers[i].request) - 1 - n);
		request[n] = '\0';
		end = strstr(request, "\r\n\r\n");
		if (end != NULL && want == SIZE_MAX)
			want = (size_t)(end - request) + 4 + strtoul(
			    strstr(request, "Content-Length: ") + 16, NULL, 10);
	}
}

static void reply(size_t i, int status, const char *body)
{
	char text[65536];
	int n = snprintf(text, sizeof(text), "HTTP/1.1 %d X\r\n"
	    "Content-Length: %zu\r\n\r\n%s", status, strlen(body), body);

	assert_int_equal(send(peers[i].fd, text, (size_t)n, MSG_NOSIGNAL), n);
}

/* 64 ids of that number. */
static const char *answer(const char *name, unsigned number)
{
	static char text[4096];
	size_t n = (size_t)snprintf(text, sizeof(text), "{\"%s\":[", name);

	for (uint32_t i = 0; i < 64; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u",
		    i > 0 ? "," : "", number);
	snprintf(text + n, sizeof(text) - n, "]}");
	return text;
}

/* Is there a text to the first token block of that number? */
static bool is_learned(unsigned number)
{
	uint32_t ids[BLOCK];
	uint64_t link = kv_texts_root(pool->texts, (struct span){ 0 }), a, b;

	for (size_t i = 0; i < BLOCK; i++)
		ids[i] = number;
	return kv_texts_find(pool->texts, kv_texts_link(link, ids, BLOCK), &a,
	    &b);
}

static void reaches(const _Atomic uint64_t *counter, uint64_t n)
{
	int64_t until = clock_ms() + WAIT_MS;

	while (atomic_load(counter) < n) {
		turn();
		assert_true(clock_ms() < until);
	}
	assert_int_equal(atomic_load(counter), n);
}

static bool is_asked(void)
{
	for (int i = 0; i < 20; i++) {
		turn();
		if (is_ready(listener))
			return true;
	}
	return false;
}

static void test_what_is_told_is_learned(void **state)
{
	(void)state;
	hear();
	put("/v1/completions", 1);
	take(0);
	assert_int_equal(strncmp(peers[0].request, "POST /tokenize HTTP/1.1\r\n",
	    25), 0);
	assert_non_null(strstr(peers[0].request, "\r\n\r\n{\"model\":\"m\","
	    "\"prompt\":\"bbb"));
	assert_false(is_learned(7));
	reply(0, 200, answer("tokens", 7));
	reaches(&counters.tokenized, 1);
	assert_true(is_learned(7));
	put("/v1/completions", 1);	/* once is enough */
	put("/v1/chat/completions", 2);	/* over the same connection */
	take(0);
	assert_non_null(strstr(peers[0].request, "\"messages\":"));
	reply(0, 200, answer("tokens", 8));
	reaches(&counters.tokenized, 2);
	assert_true(is_learned(8));
	assert_int_equal(counters.tokenize_failed, 0);
}

/* Before that there is nothing to match them against. */
static void test_nothing_is_asked_until_blocks_are_heard_of(void **state)
{
	(void)state;
	put("/v1/completions", 1);
	assert_false(is_asked());
	hear();
	take(0);
}

static void test_only_so_many_questions_are_open(void **state)
{
	(void)state;
	hear();
	for (unsigned i = 1; i < 5; i++)
		put("/v1/completions", i);
	take(0);
	take(1);
	assert_false(is_asked());
	reply(1, 200, answer("tokens", 1));
	take(1);
	reply(0, 200, answer("tokens", 2));
	take(0);
	reply(0, 200, answer("tokens", 3));
	reply(1, 200, answer("tokens", 4));
	reaches(&counters.tokenized, 4);
}

static void test_a_render_service_is_asked_as_llm_d_does(void **state)
{
	(void)state;
	hear();
	options.prefix.tokenizer.api = TOKENIZER_RENDER;
	options.prefix.tokenizer.model = "base-model";
	options.prefix.tokenizer.host = "127.0.0.1";
	options.prefix.tokenizer.port = port;
	put("/v1/chat/completions", 1);
	take(0);
	assert_int_equal(strncmp(peers[0].request,
	    "POST /v1/chat/completions/render HTTP/1.1\r\n", 43), 0);
	assert_non_null(strstr(peers[0].request, "{\"model\":\"base-model\","
	    "\"messages\":"));
	reply(0, 200, answer("token_ids", 5));
	reaches(&counters.tokenized, 1);
	assert_true(is_learned(5));
	put("/v1/completions", 2);
	take(1);
	assert_int_equal(strncmp(peers[1].request,
	    "POST /v1/completions/render HTTP/1.1\r\n", 38), 0);
}

static bool is_closed(size_t i)
{
	char byte;

	for (int64_t until = clock_ms() + WAIT_MS; clock_ms() < until; turn())
		if (is_ready(peers[i].fd))
			return recv(peers[i].fd, &byte, 1, 0) == 0;
	return false;
}

/* TLS options, and how many lanes there are, may be others now. */
static void test_a_reload_makes_connections_anew(void **state)
{
	(void)state;
	hear();
	put("/v1/completions", 1);
	put("/v1/completions", 2);
	take(0);
	take(1);
	reply(0, 200, answer("tokens", 1));
	reaches(&counters.tokenized, 1);
	options.prefix.tokenizer.concurrency = 1;
	set_endpoint();
	assert_true(is_closed(0));
	reply(1, 200, answer("tokens", 2));	/* was asked already: it counts */
	reaches(&counters.tokenized, 2);
	assert_true(is_closed(1));
	put("/v1/completions", 3);
	take(2);
	reply(2, 200, answer("tokens", 3));
	reaches(&counters.tokenized, 3);
}

/* Of a name: asked for on another thread, and then as above. */
static void test_a_service_may_have_a_name(void **state)
{
	(void)state;
	hear();
	options.prefix.tokenizer.host = "localhost";
	options.prefix.tokenizer.port = port;
	for (unsigned i = 1; i < 20 && !is_asked(); i++)
		put("/v1/completions", i);	/* until the name is known */
	take(0);
	assert_non_null(strstr(peers[0].request, "\r\nHost: localhost:"));
	reply(0, 200, answer("tokens", 1));
	reaches(&counters.tokenized, 1);
}

static const struct {
	int status;
	const char *body;
	bool rests;
} failures[] = {
	{ 500, "", true }, { 404, "", true }, { 503, "{}", true },
	{ 200, "no JSON", true }, { 200, "{\"tokens\":[]}", true },
	{ 400, "", false }, { 422, "", false },
};

static void test_a_failure_is_counted_and_changes_nothing(void **state)
{
	uint64_t n = 0;

	(void)state;
	hear();
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		int64_t before_ms = clock_ms();

		put("/v1/completions", (unsigned)i + 1);
		take(0);
		reply(0, failures[i].status, failures[i].body);
		reaches(&counters.tokenize_failed, ++n);
		assert_int_equal(counters.tokenized, 0);
		put("/v1/completions", (unsigned)i + 1);	/* not again */
		put("/v1/completions", 20);
		take(0);
		if (failures[i].rests)
			assert_true(clock_ms() - before_ms >= 100);
		reply(0, 200, answer("tokens", 1));
		reaches(&counters.tokenized, 1);
		counters.tokenized = 0;
		questions_free(pool->questions);
		pool->questions = questions_new(1 << 20);
	}
}

static void test_a_service_that_is_away_or_silent_costs_a_question(void **state)
{
	(void)state;
	hear();
	options.prefix.tokenizer.timeout_ms = 20;
	put("/v1/completions", 1);
	take(0);
	reaches(&counters.tokenize_failed, 1);
	close(listener);
	close(peers[0].fd);
	peers[0].fd = -1;
	options.prefix.tokenizer.timeout_ms = WAIT_MS;
	put("/v1/completions", 2);
	reaches(&counters.tokenize_failed, 2);
	assert_int_equal(counters.tokenized, 0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* Nothing is left of a question that is open, nor of those that wait: see ASan. */
static void test_a_pool_may_end_with_questions_open(void **state)
{
	(void)state;
	hear();
	for (unsigned i = 1; i < 6; i++)
		put("/v1/chat/completions", i);
	take(0);
	take(1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_told_is_learned),
		TEST(test_nothing_is_asked_until_blocks_are_heard_of),
		TEST(test_only_so_many_questions_are_open),
		TEST(test_a_render_service_is_asked_as_llm_d_does),
		TEST(test_a_reload_makes_connections_anew),
		TEST(test_a_service_may_have_a_name),
		TEST(test_a_failure_is_counted_and_changes_nothing),
		TEST(test_a_service_that_is_away_or_silent_costs_a_question),
		TEST(test_a_pool_may_end_with_questions_open),
	};

	return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
