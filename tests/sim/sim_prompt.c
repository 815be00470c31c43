/*
 * sim_prompt.c - OpenAI's two request forms as a table of known members
 */
#include "sim_prompt.h"

#include "hash.h"
#include "sim_json.h"

enum {
	TEXT_MAX_BYTES = 32 << 20,
	NAME_MAX_BYTES = 256,
	/* What llm-d's estimate counts for a picture of unknown size. */
	IMAGE_TOKENS = 640 * 360 / 1024,
};

void sim_prompt_init(struct sim_prompt *p, bool is_chat)
{
	*p = (struct sim_prompt){ .is_chat = is_chat };
	buf_init(&p->text, TEXT_MAX_BYTES);
	buf_init(&p->model, NAME_MAX_BYTES);
	buf_init(&p->salt, NAME_MAX_BYTES);
}

void sim_prompt_fini(struct sim_prompt *p)
{
	buf_fini(&p->text);
	buf_fini(&p->model);
	buf_fini(&p->salt);
}

static void put_token(struct buf *out, uint32_t token)
{
	buf_put(out, &token, sizeof(token));
}

/* What is no 32-bit number counts as token 0: this is a simulator's input. */
static uint32_t read_token(struct sim_json *j)
{
	double n = sim_json_number(j);

	return n >= 0 && n <= UINT32_MAX ? (uint32_t)n : 0;
}

static void read_part(struct sim_prompt *p, struct sim_json *j)
{
	struct span key, other = { 0 };

	if (!sim_json_open(j, '{'))
		return;
	while (sim_json_next(j, '}')) {
		key = sim_json_key(j);
		if (span_is_text(key, "text"))
			sim_json_string(j, &p->text);
		else if (span_is_text(key, "type"))
			sim_json_skip(j);
		else
			other = sim_json_skip(j);
	}
	for (int i = 0; other.len != 0 && i < IMAGE_TOKENS; i++)
		put_token(&p->text,
		    (uint32_t)hash_bytes(other.ptr, other.len, 0));
}

static void read_content(struct sim_prompt *p, struct sim_json *j)
{
	char c = sim_json_peek(j);

	if (c == '"') {
		sim_json_string(j, &p->text);
	} else if (c == '[' && sim_json_open(j, '[')) {
		while (sim_json_next(j, ']'))
			read_part(p, j);
	} else {
		sim_json_skip(j);	/* null beside tool_calls */
	}
}

/* Role before content whatever the order in the text: clients differ. */
static void read_message(struct sim_prompt *p, struct sim_json *j)
{
	struct sim_json role = { 0 }, content = { 0 };
	struct span key, tools = { 0 };

	if (!sim_json_open(j, '{'))
		return;
	while (sim_json_next(j, '}')) {
		key = sim_json_key(j);
		if (span_is_text(key, "role"))
			role = *j;
		else if (span_is_text(key, "content"))
			content = *j;
		if (span_is_text(key, "tool_calls"))
			tools = sim_json_skip(j);
		else
			sim_json_skip(j);
	}
	if (role.at != NULL)
		sim_json_string(&role, &p->text);
	if (content.at != NULL)
		read_content(p, &content);
	buf_put(&p->text, tools.ptr, tools.len);
	j->bad |= role.bad || content.bad;
}

static void on_messages(struct sim_prompt *p, struct sim_json *j)
{
	if (!p->is_chat) {
		sim_json_skip(j);
		return;
	}
	if (!sim_json_open(j, '['))
		return;
	while (sim_json_next(j, ']')) {
		read_message(p, j);
		p->has_input = true;
	}
	buf_puts(&p->text, "assistant");
}

/* A string, strings, token numbers, or arrays of those. */
static void on_prompt(struct sim_prompt *p, struct sim_json *j)
{
	unsigned depth = 0;

	if (p->is_chat) {
		sim_json_skip(j);
		return;
	}
	do {
		char c = sim_json_peek(j);

		p->has_input = true;
		if (c == '[' && depth < 2) {
			sim_json_open(j, '[');
			depth++;
		} else if (c == '"') {
			sim_json_string(j, &p->text);
		} else {
			put_token(&p->text, read_token(j));
		}
		while (depth > 0 && !sim_json_next(j, ']'))
			depth--;
	} while (depth > 0 && !j->bad);
}

static void on_model(struct sim_prompt *p, struct sim_json *j)
{
	buf_clear(&p->model);	/* of two the last counts, as for Python */
	sim_json_string(j, &p->model);
}

static void on_salt(struct sim_prompt *p, struct sim_json *j)
{
	if (sim_json_peek(j) == '"')
		sim_json_string(j, &p->salt);
	else
		sim_json_skip(j);
}

static void on_stream(struct sim_prompt *p, struct sim_json *j)
{
	p->is_stream = sim_json_number(j) != 0;
}

static void on_max_tokens(struct sim_prompt *p, struct sim_json *j)
{
	p->max_tokens = sim_json_number(j);
}

static void on_stream_options(struct sim_prompt *p, struct sim_json *j)
{
	struct span key;

	if (sim_json_peek(j) != '{') {
		sim_json_skip(j);
		return;
	}
	sim_json_open(j, '{');
	while (sim_json_next(j, '}')) {
		key = sim_json_key(j);
		if (span_is_text(key, "include_usage"))
			p->wants_usage = sim_json_number(j) != 0;
		else
			sim_json_skip(j);
	}
}

static const struct member {
	const char *name;
	void (*read)(struct sim_prompt *p, struct sim_json *j);
} members[] = {
	{ "cache_salt", on_salt },
	{ "max_completion_tokens", on_max_tokens },
	{ "max_tokens", on_max_tokens },
	{ "messages", on_messages },
	{ "model", on_model },
	{ "prompt", on_prompt },
	{ "stream", on_stream },
	{ "stream_options", on_stream_options },
};

static void read_member(struct sim_prompt *p, struct sim_json *j,
    struct span *tools)
{
	struct span key = sim_json_key(j);

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (span_is_text(key, members[i].name)) {
			members[i].read(p, j);
			return;
		}
	if (span_is_text(key, "tools"))
		*tools = sim_json_skip(j);
	else
		sim_json_skip(j);
}

/* Engines render tools before the messages, wherever the client put them. */
static void put_tools_first(struct sim_prompt *p, struct span tools)
{
	struct buf text;

	if (tools.len == 0)
		return;
	buf_init(&text, TEXT_MAX_BYTES);
	buf_put(&text, tools.ptr, tools.len);
	buf_put(&text, p->text.data, p->text.len);
	text.failed |= p->text.failed;
	buf_fini(&p->text);
	p->text = text;
}

const char *sim_prompt_read(struct sim_prompt *p, struct span body)
{
	struct sim_json j = { body.ptr, body.ptr + body.len, false };
	struct span tools = { 0 };

	if (body.len == 0)
		return "the body is empty";
	if (sim_json_open(&j, '{'))
		while (sim_json_next(&j, '}'))
			read_member(p, &j, &tools);
	put_tools_first(p, tools);
	if (j.bad || sim_json_peek(&j) != 0)
		return "the body is not a JSON object of the known form";
	if (buf_failed(&p->text) || buf_failed(&p->model) ||
	    buf_failed(&p->salt))
		return "the prompt or a name is too long";
	if (!p->has_input || p->text.len == 0)
		return p->is_chat ? "messages: field required" :
		    "prompt: field required";
	if (p->max_tokens < 0 || p->max_tokens > 1e6)
		return "max_tokens: must be from 1 to 1000000";
	return NULL;
}
