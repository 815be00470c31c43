/*
 * sim_answer.c - formats only; generated text needs no escapes, names might
 */
#include "sim_answer.h"

static void put_text(struct buf *out, struct span text)
{
	buf_puts(out, "\"");
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < 0x20)
			buf_printf(out, "\\u%04x", c);
		else
			buf_put(out, &text.ptr[i], 1);
	}
	buf_puts(out, "\"");
}

/* Up to and with "choices":[ */
static void put_start(struct buf *out, const struct sim_answer *a,
    const char *suffix)
{
	buf_printf(out, "{\"id\":\"%s\",\"object\":\"%s%s\",\"created\":%lld,"
	    "\"model\":", a->id, a->is_chat ? "chat.completion" :
	    "text_completion", a->is_chat ? suffix : "", a->created);
	put_text(out, span_of(a->model));
	buf_puts(out, ",\"choices\":[");
}

static void put_usage(struct buf *out, const struct sim_answer *a)
{
	buf_printf(out, "\"usage\":{\"prompt_tokens\":%u,\"total_tokens\":%u,"
	    "\"completion_tokens\":%u,\"prompt_tokens_details\":"
	    "{\"cached_tokens\":%u}}", a->prompt_tokens,
	    a->prompt_tokens + a->completion_tokens, a->completion_tokens,
	    a->cached_tokens);
}

void sim_answer_body(struct buf *out, const struct sim_answer *a,
    struct span text)
{
	put_start(out, a, "");
	buf_puts(out, a->is_chat ? "{\"index\":0,\"message\":{\"role\":"
	    "\"assistant\",\"content\":\"" : "{\"index\":0,\"text\":\"");
	buf_put(out, text.ptr, text.len);
	buf_printf(out, "\"%s,\"logprobs\":null,\"finish_reason\":\"%s\"}],",
	    a->is_chat ? "}" : "", a->finish_reason);
	put_usage(out, a);
	buf_puts(out, "}");
}

void sim_answer_role(struct buf *out, const struct sim_answer *a)
{
	buf_puts(out, "data: ");
	put_start(out, a, ".chunk");
	buf_puts(out, "{\"index\":0,\"delta\":{\"role\":\"assistant\","
	    "\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}"
	    "\n\n");
}

void sim_answer_event(struct buf *out, const struct sim_answer *a,
    struct span text, bool is_last)
{
	buf_puts(out, "data: ");
	put_start(out, a, ".chunk");
	buf_puts(out, a->is_chat ? "{\"index\":0,\"delta\":{\"content\":\"" :
	    "{\"index\":0,\"text\":\"");
	buf_put(out, text.ptr, text.len);
	buf_printf(out, "\"%s,\"logprobs\":null,\"finish_reason\":%s%s%s}]}"
	    "\n\n", a->is_chat ? "}" : "", is_last ? "\"" : "",
	    is_last ? a->finish_reason : "null", is_last ? "\"" : "");
}

void sim_answer_usage_event(struct buf *out, const struct sim_answer *a)
{
	buf_puts(out, "data: ");
	put_start(out, a, ".chunk");
	buf_puts(out, "],");
	put_usage(out, a);
	buf_puts(out, "}\n\n");
}

void sim_answer_end(struct buf *out)
{
	buf_puts(out, "data: [DONE]\n\n");
}

void sim_answer_error(struct buf *out, int status, const char *type,
    struct span message)
{
	buf_puts(out, "{\"error\":{\"message\":");
	put_text(out, message);
	buf_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":%d}}\n", type,
	    status);
}
