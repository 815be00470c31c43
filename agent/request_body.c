/*
 * request_body.c - one row per field and API, one small reader per shape of value
 *
 * A reader is called with the value's first event and consumes the value whole. Any
 * event <= JSON_DONE means that the input ended or is bad; readers just return then,
 * and the scanner, in which that sticks, is asked once at the end.
 *
 * Fields: OpenAI API reference (chat, completions, responses, embeddings); Anthropic
 * Messages API; vLLM inference/v1/generate; SGLang native API, POST /generate. Which
 * of them count: llm-d-router, requesthandling/parsers (openai, anthropic, vllmhttp,
 * sglanghttp).
 */
#include "request_body.h"

#include <stdio.h>

#include "arena.h"
#include "json.h"
#include "prompt.h"
#include "request.h"

enum {
	PART_RAW_MAX = 256,	/* longer and not text: a digest stands for it */
	MESSAGE_MAX = 160,
};

struct body {
	struct json json;
	struct request *r;
	struct prompt *prompt;
	bool has_messages, has_prompt;
	size_t n_messages;
};

typedef void read_f(struct body *b, enum json_event first);

#define KIND(k) (1u << REQUEST_##k)
enum { ANY = 0xffff };

struct field {
	const char *key;
	unsigned kinds;
	read_f *read;
};

static void skip(struct body *b, enum json_event first)
{
	(void)json_skip(&b->json, first, NULL);
}

/*
 * Short things go in as they are, long ones by their hash. One that was cut could be
 * either, and its front says nothing of the whole: it is left out.
 */
static void add_raw(struct body *b, enum json_event first,
    enum prompt_section section)
{
	struct span raw = { 0 };
	enum json_event last = json_skip(&b->json, first, &raw);

	if (last <= JSON_DONE || b->json.is_cut)
		return;
	if (raw.len > PART_RAW_MAX)
		prompt_add_digest(b->prompt, section, raw);
	else
		prompt_add(b->prompt, section, raw);
}

/* The next key of an object, and its value's first event; false at the end. */
static bool next_member(struct body *b, struct span *key,
    enum json_event *first)
{
	enum json_event event = json_next(&b->json);

	if (event != JSON_KEY)
		return false;
	*key = b->json.value;
	*first = json_next(&b->json);
	return *first > JSON_DONE;
}

/* The next element of an array; false at the end. */
static bool next_element(struct body *b, enum json_event *first)
{
	*first = json_next(&b->json);
	return *first > JSON_DONE && *first != JSON_ARRAY_END;
}

static void read_content(struct body *b, enum json_event first,
    enum prompt_section section);

/*
 * Claude Code sends a system block that differs from request to request and never
 * reaches the model; llm-d-router's anthropic parser drops it too.
 */
static bool is_billing_header(struct span text)
{
	static const char mark[] = "x-anthropic-billing-header";

	return text.len >= sizeof(mark) - 1 &&
	    memcmp(text.ptr, mark, sizeof(mark) - 1) == 0;
}

static void add_text(struct body *b, enum prompt_section section)
{
	if (section != PROMPT_SYSTEM || !is_billing_header(b->json.value))
		prompt_add(b->prompt, section, b->json.value);
}

/*
 * Parts that an encoder has to read. Source: llm-d-router's tokenizer, "estimate"
 * backend, and what it makes of Anthropic's "image"; OpenAI's responses say input_image.
 */
static bool is_media(struct span type)
{
	static const char *const types[] = {
		"image_url", "video_url", "input_audio", "audio_url",
		"input_image", "image",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (span_is_text(type, types[i]))
			return true;
	return false;
}

static void read_type(struct body *b, enum json_event first)
{
	if (first == JSON_STRING && is_media(b->json.value))
		b->r->has_media = true;
	skip(b, first);
}

/* {"type":"text","text":"..."} or an image, a tool's result, ... */
static void read_part(struct body *b, enum prompt_section section)
{
	struct span key;
	enum json_event first;

	while (next_member(b, &key, &first)) {
		if (span_is_text(key, "text") && first == JSON_STRING)
			add_text(b, section);
		else if (span_is_text(key, "content"))
			read_content(b, first, section);
		else if (span_is_text(key, "type"))
			read_type(b, first);
		else if (span_is_text(key, "cache_control"))
			skip(b, first);
		else
			add_raw(b, first, section);
	}
}

/* A string, or an array of strings and parts. Recurses at most JSON_DEPTH_MAX. */
static void read_content(struct body *b, enum json_event first,
    enum prompt_section section)
{
	enum json_event event;

	if (first == JSON_STRING) {
		add_text(b, section);
	} else if (first == JSON_ARRAY) {
		while (next_element(b, &event))
			if (event == JSON_OBJECT)
				read_part(b, section);
			else
				read_content(b, event, section);
	} else {
		skip(b, first);
	}
}

static void read_message(struct body *b)
{
	struct span key;
	enum json_event first;

	while (next_member(b, &key, &first)) {
		if (span_is_text(key, "content"))
			read_content(b, first, PROMPT_TEXT);
		else
			add_raw(b, first, PROMPT_TEXT);
	}
	b->n_messages++;
}

static void refuse(struct body *b, const char *message)
{
	if (b->r->status != 0)
		return;
	b->r->status = 400;
	b->r->message = message;
}

static void field_messages(struct body *b, enum json_event first)
{
	enum json_event event;

	b->has_messages = true;
	b->n_messages = 0;
	b->r->has_media = false;
	prompt_clear(b->prompt, PROMPT_TEXT);
	if (first != JSON_ARRAY) {
		refuse(b, "\"messages\" must be an array of messages");
		skip(b, first);
		return;
	}
	while (next_element(b, &event))
		if (event == JSON_OBJECT)
			read_message(b);
		else
			add_raw(b, event, PROMPT_TEXT);
}

/*
 * A string; several strings, each a prompt of its own; token ids, which are taken by
 * their digits; or several lists of those.
 */
static void field_prompt(struct body *b, enum json_event first)
{
	enum json_event event;
	struct span raw = { 0 };
	const char *from = b->json.at - 1;
	bool is_tokens = false, is_more = false;

	b->has_prompt = first != JSON_NULL;
	prompt_clear(b->prompt, PROMPT_TEXT);
	if (first == JSON_STRING)
		prompt_add(b->prompt, PROMPT_TEXT, b->json.value);
	if (first != JSON_ARRAY) {
		skip(b, first);
		return;
	}
	while (next_element(b, &event)) {
		if (event == JSON_NUMBER) {
			is_tokens = true;
			continue;
		}
		(void)json_skip(&b->json, event, &raw);
		if (is_more)
			prompt_split(b->prompt);
		prompt_add(b->prompt, PROMPT_TEXT, raw);
		is_more = true;
	}
	if (is_tokens)
		prompt_add(b->prompt, PROMPT_TEXT,
		    (struct span){ from, (size_t)(b->json.at - from) });
}

/* responses: a string, or an array of items that look like messages. */
static void field_items(struct body *b, enum json_event first)
{
	if (first == JSON_ARRAY)
		field_messages(b, first);
	else
		field_prompt(b, first);
	b->has_prompt = true;
	b->has_messages = false;
}

static void field_system(struct body *b, enum json_event first)
{
	prompt_clear(b->prompt, PROMPT_SYSTEM);
	read_content(b, first, PROMPT_SYSTEM);
}

static void field_tools(struct body *b, enum json_event first)
{
	struct span raw = { 0 };

	prompt_clear(b->prompt, PROMPT_TOOLS);
	(void)json_skip(&b->json, first, &raw);
	b->r->has_tools = first == JSON_ARRAY && raw.len > sizeof("[]") - 1;
	if (b->r->has_tools)
		prompt_add(b->prompt, PROMPT_TOOLS, raw);
}

static void field_model(struct body *b, enum json_event first)
{
	b->r->model = (struct span){ 0 };
	if (first == JSON_STRING && !b->json.is_cut)
		b->r->model = b->json.value;
	else if (first != JSON_STRING)
		refuse(b, "\"model\" must be a string");
	skip(b, first);
}

static void field_salt(struct body *b, enum json_event first)
{
	b->r->cache_salt = (struct span){ 0 };
	if (first == JSON_STRING && !b->json.is_cut)
		b->r->cache_salt = b->json.value;
	skip(b, first);
}

static void field_stream(struct body *b, enum json_event first)
{
	b->r->stream = first == JSON_TRUE;
	skip(b, first);
}

static void field_max_tokens(struct body *b, enum json_event first)
{
	uint64_t n;

	if (first == JSON_NUMBER && json_uint(b->json.value, &n))
		b->r->max_tokens = n;
	skip(b, first);
}

/* vLLM and SGLang keep the limit one level down. */
static void field_sampling(struct body *b, enum json_event first)
{
	struct span key;
	enum json_event event;

	if (first != JSON_OBJECT) {
		skip(b, first);
		return;
	}
	while (next_member(b, &key, &event)) {
		if (span_is_text(key, "max_tokens") ||
		    span_is_text(key, "max_new_tokens"))
			field_max_tokens(b, event);
		else
			skip(b, event);
	}
}

static const struct field fields[] = {
	{ "model", ANY, field_model },
	{ "stream", ANY, field_stream },
	{ "max_tokens", KIND(CHAT) | KIND(COMPLETIONS) | KIND(MESSAGES),
	    field_max_tokens },
	{ "max_completion_tokens", KIND(CHAT), field_max_tokens },
	{ "max_output_tokens", KIND(RESPONSES), field_max_tokens },
	{ "cache_salt", ANY, field_salt },
	{ "messages", KIND(CHAT) | KIND(MESSAGES), field_messages },
	{ "tools", KIND(CHAT) | KIND(MESSAGES) | KIND(RESPONSES), field_tools },
	{ "system", KIND(MESSAGES), field_system },
	{ "instructions", KIND(RESPONSES), field_system },
	{ "prompt", KIND(COMPLETIONS), field_prompt },
	{ "input", KIND(RESPONSES), field_items },
	{ "input", KIND(EMBEDDINGS), field_prompt },
	{ "token_ids", KIND(VLLM_GENERATE), field_prompt },
	{ "prompt_token_ids", KIND(VLLM_GENERATE), field_prompt },
	{ "text", KIND(SGLANG_GENERATE), field_prompt },
	{ "input_ids", KIND(SGLANG_GENERATE), field_prompt },
	{ "sampling_params", KIND(VLLM_GENERATE) | KIND(SGLANG_GENERATE),
	    field_sampling },
};

static read_f *find_reader(enum request_kind kind, struct span key)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if ((fields[i].kinds & (1u << kind)) != 0 &&
		    span_is_text(key, fields[i].key))
			return fields[i].read;
	return skip;
}

static void refuse_json(struct body *b)
{
	char *text = arena_alloc(b->prompt->arena, MESSAGE_MAX);

	b->r->status = 400;
	b->r->message = "the request body is not valid JSON";
	if (text == NULL)
		return;
	snprintf(text, MESSAGE_MAX,
	    "the request body is not valid JSON: at byte %zu, want %s",
	    json_offset(&b->json), b->json.bad_why);
	b->r->message = text;
}

/* What must be there, once the whole body was seen. */
static void check_whole(struct body *b)
{
	struct request *r = b->r;

	if (r->kind != REQUEST_VLLM_GENERATE &&
	    r->kind != REQUEST_SGLANG_GENERATE && r->model.len == 0)
		refuse(b, "the request body has no \"model\"");
	if ((r->kind == REQUEST_CHAT || r->kind == REQUEST_MESSAGES) &&
	    (!b->has_messages || b->n_messages == 0))
		refuse(b, "\"messages\" must be a non-empty array of messages");
}

void request_read_body(struct request *r, struct prompt *prompt)
{
	struct body b = { .json = json_over(r->ask->body), .r = r,
		.prompt = prompt };
	enum json_event end, first = json_next(&b.json);
	struct span key;

	if (first > JSON_DONE && first != JSON_OBJECT) {
		refuse(&b, "the request body must be a JSON object");
		return;
	}
	while (first == JSON_OBJECT && next_member(&b, &key, &end))
		find_reader(r->kind, key)(&b, end);

	end = json_next(&b.json);
	if (end == JSON_CUT && (r->is_cut || !r->has_length)) {
		r->is_cut = true;
		/* What we saw may be refused by the engine; not by us. */
		r->status = 0;
		r->message = NULL;
	} else if (end != JSON_DONE) {
		refuse_json(&b);
	} else {
		check_whole(&b);
	}
}
