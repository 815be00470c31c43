#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "arena.h"
#include "held.h"
#include "help.h"

#define BODY "{\"model\":\"mo\\u0064el\",\"cache_salt\":\"salt\",\"stream\":true," \
	"\"prompt\":[\"0123456789012345678901234567890123456789" \
	"0123456789012345678901234567890123456789\",\"another\"]}"

static struct held *hold_nothing(void)
{
	static const struct ask ask;
	const struct request r = { .ask = &ask };

	return held_new(&r);
}

/* All in one buffer, as a worker's: it is overwritten by the next frame. */
struct frame {
	char bytes[4096];
	size_t len;
	struct ask ask;
};

static struct span put(struct frame *f, const void *bytes, size_t len)
{
	struct span s = { f->bytes + f->len, len };

	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
	return s;
}

static void fill_frame(struct frame *f)
{
	static const char *const pairs[] = {
		"x-session-id", "session", "x-llm-d-inference-objective", "batch",
		"x-llm-d-inference-fairness-id", "tenant", "x-epp-why", "1",
		"x-slo-ttft-ms", "250", "x-llm-d-inference-ttl", "2s", NULL,
	};
	char headers[1024];
	struct span h = help_headers(pairs, headers, sizeof(headers));

	f->len = 0;
	f->ask = (struct ask){
		.id = put(f, "id-1", 4), .pool = put(f, "pool", 4),
		.method = put(f, "POST", 4), .path = put(f, "/v1/completions", 15),
		.headers = put(f, h.ptr, h.len),
		.body = put(f, BODY, sizeof(BODY) - 1),
		.body_len = sizeof(BODY) - 1 + 1000, .server = put(f, "s", 1),
	};
}

static void test_what_is_kept_outlives_the_frame(void **state)
{
	struct arena *arena = arena_new(64 << 10, 1 << 20);
	struct frame frame;
	struct request r, was;
	uint64_t blocks[8];
	struct held *h;

	(void)state;
	fill_frame(&frame);
	request_parse(&r, &frame.ask, HELP_BLOCK_BYTES, 2048, NULL, arena);
	assert_int_equal(r.n_chains, 2);
	assert_in_range(r.n_blocks, 2, 8);
	memcpy(blocks, r.blocks, r.n_blocks * sizeof(*blocks));
	was = r;
	h = held_new(&r);
	assert_non_null(h);
	memset(&frame, 0x5a, sizeof(frame));
	memset(&r, 0x5a, sizeof(r));
	arena_free(arena);

	assert_ptr_equal(h->request.ask, &h->ask);
	assert_true(span_is_text(h->ask.id, "id-1"));
	assert_true(span_is_text(h->ask.pool, "pool"));
	assert_true(span_is_text(h->ask.path, "/v1/completions"));
	assert_true(span_is_text(h->request.model, "mo\\u0064el"));
	assert_true(span_is_text(h->request.cache_salt, "salt"));
	assert_true(span_is_text(h->request.session, "session"));
	assert_true(span_is_text(h->request.objective, "batch"));
	assert_true(span_is_text(h->request.fairness, "tenant"));
	assert_int_equal(h->request.n_chains, 2);
	assert_int_equal(h->request.chains[1].first + h->request.chains[1].n,
	    h->request.n_blocks);
	assert_memory_equal(h->request.blocks, blocks,
	    was.n_blocks * sizeof(*blocks));
	assert_true(h->request.has_body && h->request.stream &&
	    h->request.wants_why && h->request.is_cut);
	assert_int_equal(h->request.slo_ttft_ms, 250);
	assert_int_equal(h->request.ttl_ms, 2000);
	assert_int_equal(h->request.prompt_bytes, was.prompt_bytes);
	assert_int_equal(h->request.unseen_bytes, 1000);
	/* The body is HAProxy's to keep. */
	assert_int_equal(h->ask.body.len, 0);
	assert_true(h->ask.headers.len > 0);	/* plugins may ask for any */
	assert_int_equal(h->ask.method.len, 0);
	assert_int_equal(h->ask.server.len, 0);
	assert_int_equal(h->state, HELD_NEW);
	assert_null(h->actions);
	held_unref(h);
}

static void test_a_request_of_nothing_is_held_too(void **state)
{
	struct held *h = hold_nothing();

	(void)state;
	assert_non_null(h);
	assert_int_equal(h->ask.id.len, 0);
	assert_int_equal(h->request.n_blocks, 0);
	held_unref(h);
	held_unref(NULL);
}

/* ASan counts what is freed, and when. */
static void test_the_last_reference_frees_all(void **state)
{
	struct held *h = hold_nothing();

	(void)state;
	h->actions = malloc(10);
	held_ref(h);
	held_ref(h);
	held_ref(h);
	held_unref(h);
	held_drop(h);
	assert_int_equal(h->refs, 1);
	held_unref(h);
}

static void test_no_more_are_held_than_mailboxes_have_room_for(void **state)
{
	static struct held *all[HELD_MAX];

	(void)state;
	for (size_t i = 0; i < HELD_MAX; i++) {
		all[i] = hold_nothing();
		assert_non_null(all[i]);
	}
	for (int i = 0; i < 3; i++)	/* and a refusal leaves no trace */
		assert_null(hold_nothing());
	held_unref(all[7]);
	all[7] = hold_nothing();
	assert_non_null(all[7]);
	assert_null(hold_nothing());
	for (size_t i = 0; i < HELD_MAX; i++)
		held_unref(all[i]);
	all[0] = hold_nothing();
	assert_non_null(all[0]);
	held_unref(all[0]);
}

enum { THREADS = 3, ROUNDS = 5000 };

static void *come_and_go(void *arg)
{
	struct held **shared = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct held *h = hold_nothing();

		held_ref(*shared);
		held_unref(h);
		held_unref(*shared);
	}
	return NULL;
}

static void test_references_are_counted_from_any_thread(void **state)
{
	struct held *shared = hold_nothing();
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, come_and_go, &shared);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(shared->refs, 1);
	held_unref(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept_outlives_the_frame),
		cmocka_unit_test(test_a_request_of_nothing_is_held_too),
		cmocka_unit_test(test_the_last_reference_frees_all),
		cmocka_unit_test(
		    test_no_more_are_held_than_mailboxes_have_room_for),
		cmocka_unit_test(test_references_are_counted_from_any_thread),
	};

	return cmocka_run_group_tests_name("held", tests, NULL, NULL);
}
