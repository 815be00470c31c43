/*
 * request.c - which API a path means, what the headers say, then the body
 */
#include "request.h"

#include "arena.h"
#include "duration.h"
#include "hdrs.h"
#include "json.h"
#include "model_rewrite.h"
#include "prompt.h"
#include "request_body.h"

enum { BODY_CLAIM_MAX = 1 << 30, NS_PER_MS = 1000 * 1000 };

/*
 * Longest suffix first where one contains another. Source: llm-d-router,
 * requesthandling/parsers (openai, anthropic, vllmhttp, sglanghttp).
 */
static const struct {
	const char *suffix;
	enum request_kind kind;
} paths[] = {
	{ "/chat/completions/render", REQUEST_CHAT },
	{ "/chat/completions", REQUEST_CHAT },
	{ "/completions/render", REQUEST_COMPLETIONS },
	{ "/completions", REQUEST_COMPLETIONS },
	{ "/responses", REQUEST_RESPONSES },
	{ "/embeddings", REQUEST_EMBEDDINGS },
	{ "/messages/count_tokens", REQUEST_MESSAGES },
	{ "/v1/messages", REQUEST_MESSAGES },
	{ "/inference/v1/generate", REQUEST_VLLM_GENERATE },
	{ "/generate", REQUEST_SGLANG_GENERATE },
};

static const char *const kind_names[] = {
	[REQUEST_OTHER] = "other",
	[REQUEST_CHAT] = "chat/completions",
	[REQUEST_COMPLETIONS] = "completions",
	[REQUEST_RESPONSES] = "responses",
	[REQUEST_EMBEDDINGS] = "embeddings",
	[REQUEST_MESSAGES] = "messages",
	[REQUEST_VLLM_GENERATE] = "vllm generate",
	[REQUEST_SGLANG_GENERATE] = "sglang generate",
};

const char *request_kind_name(enum request_kind kind)
{
	return kind_names[kind];
}

static enum request_kind kind_of(struct span path)
{
	const char *query = path.len != 0 ?
	    memchr(path.ptr, '?', path.len) : NULL;

	if (query != NULL)
		path.len = (size_t)(query - path.ptr);
	while (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (span_has_suffix(path, span_of(paths[i].suffix)))
			return paths[i].kind;
	return REQUEST_OTHER;
}

/* An old name counts only where the new one is not there, wherever each stands. */
static void take(struct span *to, struct span value, bool is_old)
{
	if (!is_old || to->len == 0)
		*to = value;
}

static void header_session(struct request *r, struct span value, bool is_old)
{
	take(&r->session, value, is_old);
}

static void header_objective(struct request *r, struct span value, bool is_old)
{
	take(&r->objective, value, is_old);
}

static void header_fairness(struct request *r, struct span value, bool is_old)
{
	take(&r->fairness, value, is_old);
}

static void header_length(struct request *r, struct span value, bool is_old)
{
	(void)is_old;
	r->has_length = json_uint(value, &r->content_length);
}

static void header_slo(struct request *r, struct span value, bool is_old)
{
	uint64_t ms;

	if (json_uint(value, &ms) && ms <= UINT32_MAX &&
	    (!is_old || r->slo_ttft_ms == 0))
		r->slo_ttft_ms = (uint32_t)ms;
}

/* As llm-d: what is no time, or none above 0, is not said. */
static void header_ttl(struct request *r, struct span value, bool is_old)
{
	int64_t ns;

	(void)is_old;
	if (duration_parse(span_trim(value), &ns))
		r->ttl_ms = ns / NS_PER_MS + (ns % NS_PER_MS > 0);
}

static void header_why(struct request *r, struct span value, bool is_old)
{
	(void)is_old;
	r->wants_why = value.len > 0 && !span_is_text(value, "0");
}

/* Names: llm-d-router pkg/epp/metadata/consts.go; x-epp-why is ours. */
static const struct {
	const char *name;
	void (*read)(struct request *r, struct span value, bool is_old);
	bool is_old;
} headers[] = {
	{ "x-session-id", header_session, false },
	{ "x-llm-d-inference-objective", header_objective, false },
	{ "x-gateway-inference-objective", header_objective, true },
	{ "x-llm-d-inference-fairness-id", header_fairness, false },
	{ "x-gateway-inference-fairness-id", header_fairness, true },
	{ "x-llm-d-slo-ttft-ms", header_slo, false },
	{ "x-slo-ttft-ms", header_slo, true },
	{ "x-llm-d-inference-ttl", header_ttl, false },
	{ "content-length", header_length, false },
	{ "x-epp-why", header_why, false },
};

static void read_headers(struct request *r, struct span block)
{
	struct reader reader = reader_over(block.ptr, block.len);
	struct span name, value;

	while (hdrs_next(&reader, &name, &value))
		for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
			if (span_is_nocase(name, headers[i].name))
				headers[i].read(r, value, headers[i].is_old);
}

/* The longer claim counts, but no client's word goes beyond what is sane to add up. */
static uint64_t unseen_bytes(const struct request *r, const struct ask *ask)
{
	uint64_t claimed = ask->body_len > r->content_length ? ask->body_len :
	    r->content_length;

	claimed = claimed < BODY_CLAIM_MAX ? claimed : BODY_CLAIM_MAX;
	return claimed > ask->body.len ? claimed - ask->body.len : 0;
}

void request_parse(struct request *r, const struct ask *ask,
    uint32_t block_bytes, uint32_t max_blocks,
    const struct rewriting *rewriting, struct arena *arena)
{
	struct prompt prompt;

	*r = (struct request){ .ask = ask, .kind = kind_of(ask->path) };
	read_headers(r, ask->headers);
	r->has_body = ask->body.len > 0;
	r->is_cut = ask->body_len > ask->body.len ||
	    r->content_length > ask->body.len;
	r->unseen_bytes = unseen_bytes(r, ask);
	if (!r->has_body || r->kind == REQUEST_OTHER)
		return;
	prompt_init(&prompt, arena);
	request_read_body(r, &prompt);
	if (r->status == 0 && rewriting != NULL)
		model_rewrite(rewriting->rules, r, rewriting->rng, arena);
	if (r->status == 0)
		prompt_hash(&prompt, r, block_bytes, max_blocks);
}

bool request_header(const struct request *r, const char *name,
    struct span *value)
{
	struct reader reader = reader_over(r->ask->headers.ptr,
	    r->ask->headers.len);
	struct span found;

	while (hdrs_next(&reader, &found, value))
		if (span_is_nocase(found, name))
			return true;
	return false;
}
