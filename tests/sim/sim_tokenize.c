/*
 * sim_tokenize.c - one prompt in, its ids out; the engine knows nothing of it
 */
#include "sim_tokenize.h"

#include <endian.h>

#include "sim_completion.h"
#include "sim_prompt.h"

enum { ANSWER_MAX = 64 << 20 };

static void put_ids(struct buf *b, struct span text)
{
	for (size_t at = 0; at < text.len; at += SIM_TOKEN_BYTES) {
		size_t n = text.len - at;
		uint32_t id = 0;

		memcpy(&id, text.ptr + at,
		    n < sizeof(id) ? n : sizeof(id));
		buf_printf(b, "%s%u", at > 0 ? "," : "", le32toh(id));
	}
}

static bool is_served(const struct sim_options *o, struct span model)
{
	for (size_t i = 0; i < o->n_loras; i++)
		if (span_is_text(model, o->loras[i]))
			return true;
	return model.len == 0 || span_is_text(model, o->model);
}

static void answer(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r, bool is_chat, const char *before,
    const char *behind)
{
	struct sim_prompt p;
	const char *why;
	struct span body;
	struct buf b;

	sim_prompt_init(&p, is_chat);
	buf_init(&b, ANSWER_MAX);
	why = sim_prompt_read(&p, buf_span(&r->body));
	if (why != NULL) {
		sim_completion_refuse(c, 400, "BadRequestError", why);
	} else if (!is_served(s->house->options, buf_span(&p.model))) {
		sim_completion_refuse(c, 404, "NotFoundError",
		    "The model does not exist.");
	} else {
		buf_puts(&b, before);
		put_ids(&b, buf_span(&p.text));
		buf_puts(&b, behind);
		body = buf_span(&b);
		sim_conn_reply(c, buf_failed(&b) ? 500 : 200,
		    "application/json", NULL, &body, 1);
	}
	buf_fini(&b);
	sim_prompt_fini(&p);
}

static bool has_messages(struct span body)
{
	return body.len > 0 && memmem(body.ptr, body.len, "\"messages\"",
	    strlen("\"messages\"")) != NULL;
}

void sim_tokenize(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	answer(s, c, r, has_messages(buf_span(&r->body)),
	    "{\"max_model_len\":1048576,\"tokens\":[",
	    "],\"token_strs\":null}\n");
}

void sim_render_chat(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	answer(s, c, r, true,
	    "{\"request_id\":\"sim\",\"token_ids\":[", "]}\n");
}

void sim_render_completions(struct sim_server *s, struct sim_conn *c,
    struct sim_request *r)
{
	answer(s, c, r, false,
	    "[{\"request_id\":\"sim\",\"token_ids\":[", "]}]\n");
}
