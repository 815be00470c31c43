/*
 * The payload of a NOTIFY, through parsing and picking, to actions that HAProxy must be
 * able to read. The pool lives on from input to input, as a worker's does.
 */
#include <stddef.h>
#include <stdint.h>

#include "answer.h"
#include "arena.h"
#include "books.h"
#include "counters.h"
#include "endpoints.h"
#include "fuzz.h"
#include "held.h"
#include "log.h"
#include "must.h"
#include "notify.h"
#include "options.h"
#include "plugin.h"
#include "prefix.h"
#include "rng.h"
#include "spop.h"

enum { N = 3, OUT_BYTES = 64 * 1024 };

static const struct endpoint endpoints[N] = {
	{ .name = { "s1", 2 }, .addr = { "10.0.0.1:80", 11 }, .slot = 0 },
	{ .name = { "s2", 2 }, .addr = { "[fd00::1]:80", 12 }, .slot = 1 },
	{ .name = { "s3", 2 }, .addr = { "", 0 }, .slot = 2 },
};
static const struct endpoint_stats stats[N] = {
	{ .queued = 1, .kv_used = .5f },
	{ .queued = 7, .running = 3, .slot = 1 },
	{ .health = ENDPOINT_STALE, .slot = 2 },
};
static struct endpoint_live live[N];
static struct pool_live pool_live;
static const struct objective_options objectives[] = {
	{ "batch", -1 }, { "chat", 10 },
};
#define SATURATION { .queue_depth = 5, .kv_used = .8f, .retry_after_s = 1, \
	.max_concurrency = 100, .max_token_concurrency = 1000 }
static const struct pool_options options = { .saturation = SATURATION,
	.objectives = objectives, .n_objectives = 2 };
static const struct pool_options waiting = { .saturation = SATURATION,
	.flow = { .enabled = true, .empty_ttl_ms = 1 } };
static const struct pool_options closed = { .saturation = SATURATION,
	.failure_mode = FAIL_CLOSE };
static struct endpoint_view pool = { .pool = "p", .is_known = true,
	.n_endpoints = N, .endpoints = endpoints, .stats = stats, .n_slots = N,
	.live = live, .block_bytes = 16, .max_blocks = 256,
	.options = &options, .pool_live = &pool_live };
static const struct endpoint_view empty = { .pool = "e", .is_known = true,
	.block_bytes = 16, .options = &waiting, .pool_live = &pool_live };
static const struct endpoint_view unknown = { .pool = "u", .block_bytes = 16,
	.options = &closed, .pool_live = &pool_live };
static const struct endpoint_view *const views[] = { &empty, &pool, &unknown };
static const struct fleet fleet = { 3, views };

static struct counters counters;
static struct rng rng;
static struct arena *arena;
static struct books *books;

/* As a peer does, but nobody ever comes back to it. */
static bool hold(void *data, const struct endpoint_view *view,
    const struct request *request)
{
	struct held *h = held_new(request);

	(void)data;
	(void)view;
	must(h != NULL);
	held_unref(h);
	return true;
}

static void make_pool(void)
{
	arena = arena_new(256 << 10, 16 << 20);
	pool.prefix = prefix_new(1 << 16, PREFIX_SLOTS_MAX);
	books = books_new(&(struct feedback_options){ .max_requests = 64,
		.server_timeout_ms = 1000 }, 1);
	must(arena != NULL && pool.prefix != NULL && books != NULL);
	pool.schedule = &schedule_default;
	for (uint16_t i = 0; i < N; i++)
		prefix_join(pool.prefix, i, 100);
	log_set_level(LOG_LEVEL_ERROR);
}

/* Actions as HAProxy decodes them: spoe.md section 1a. */
static size_t check_actions(struct reader r)
{
	size_t n = 0;

	for (; reader_left(&r) > 0; n++) {
		unsigned action = reader_u8(&r), n_args = reader_u8(&r);

		must((action == 1 && n_args == 3) || (action == 2 && n_args == 2));
		must(reader_u8(&r) == SPOP_TXN);
		must(reader_string(&r).len > 0);
		if (action == 1)
			(void)spop_read_data(&r);
	}
	must(!r.bad);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[OUT_BYTES];
	struct writer out = writer_over(bytes, sizeof(bytes));
	struct reader payload = reader_over(data, size);

	if (arena == NULL)
		make_pool();
	const struct notify notify = { .fleet = &fleet, .arena = arena,
		.rng = &rng, .counters = &counters, .books = books,
		.hold = hold };

	if (notify_answer(&notify, &payload, &out) == NOTIFY_HELD)
		return 0;
	must(!out.full);
	must(check_actions(reader_over(bytes, writer_len(&out))) > 0);
	return 0;
}
