/*
 * The first byte chooses the path, how much HAProxy said of the length, and whether the
 * model is rewritten; the rest is the body.
 */
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "fuzz.h"
#include "must.h"
#include "options.h"
#include "prompt.h"
#include "request.h"
#include "rng.h"

enum { BLOCK_BYTES = 16, MAX_BLOCKS = 50, ARENA_BYTES = 1 << 20 };

static const char *const paths[] = {
	"/v1/chat/completions", "/v1/completions", "/v1/responses",
	"/v1/embeddings", "/v1/messages", "/inference/v1/generate", "/generate",
	"/v1/models",
};

static void check_inside(struct span s, struct span body)
{
	must(s.len == 0 ||
	    (s.ptr >= body.ptr && s.ptr + s.len <= body.ptr + body.len));
}

static const struct model_target_options target = { "engine/\"model\"", 0 };
static const struct model_rule_options rule = { .targets = &target,
	.n_targets = 1 };
static const struct model_rewrite_options rewrites = { .generic = &rule };

/* HAProxy's filter puts the other name between two quotes, or refuses. */
static void check_target(const struct request *r)
{
	struct span body = r->ask->body;

	if (r->target.len == 0) {
		check_inside(r->model, body);
		return;
	}
	must(span_is_text(r->target, target.model) &&
	    span_is_text(r->model, "engine/\\\"model\\\""));
	must(r->target_at > 0 && r->target_at + r->target_len < body.len);
	must(body.ptr[r->target_at - 1] == '"' &&
	    body.ptr[r->target_at + r->target_len] == '"');
}

static void check(const struct request *r)
{
	size_t at = 0;

	must(r->status == 0 || r->status == 400);
	must((r->status == 0) == (r->message == NULL));
	check_target(r);
	check_inside(r->cache_salt, r->ask->body);
	must(r->n_blocks <= MAX_BLOCKS && r->n_chains <= PROMPT_CHAINS_MAX);
	for (size_t k = 0; k < r->n_chains; k++) {
		must(r->chains[k].first == at && r->chains[k].n > 0);
		at += r->chains[k].n;
	}
	must(at == r->n_blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rng rng = { 1 };
	const struct rewriting by = { &rewrites, &rng };
	struct request r;

	if (size == 0)
		return 0;
	struct arena *arena = arena_new(4096, ARENA_BYTES);
	struct ask ask = { .path = span_of(paths[data[0] % 8]),
		.body = { (const char *)data + 1, size - 1 },
		.body_len = size - 1 + (data[0] >> 3 & 1) };

	if ((data[0] >> 4 & 1) != 0)
		ask.headers = (struct span){ "\x0e" "content-length\x01" "1", 17 };
	request_parse(&r, &ask, BLOCK_BYTES, MAX_BLOCKS,
	    (data[0] >> 5 & 1) != 0 ? &by : NULL, arena);
	check(&r);
	arena_free(arena);
	return 0;
}
