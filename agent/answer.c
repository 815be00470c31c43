/*
 * answer.c - one row per variable
 */
#include "answer.h"

#include <stdio.h>

#include "pick.h"
#include "spop.h"

enum {
	TEXT_MAX = 512, LIST_MAX = 512,
	RENAMES = 2,	/* names that may grow in an answer whose length is told */
};

static struct span cut(struct span s)
{
	if (s.len > TEXT_MAX)
		s.len = TEXT_MAX;
	return s;
}

static bool text_value(struct spop_data *v, struct span s)
{
	*v = spop_string(cut(s));
	return s.len > 0;
}

static bool value_ep(const struct pick *p, struct spop_data *v)
{
	return p->n > 0 && text_value(v, p->choices[0]->name);
}

static bool value_ep2(const struct pick *p, struct spop_data *v)
{
	return p->n > 1 && text_value(v, p->choices[1]->name);
}

static bool value_addr(const struct pick *p, struct spop_data *v)
{
	return p->n > 0 && text_value(v, p->choices[0]->addr);
}

static bool value_prefill(const struct pick *p, struct spop_data *v)
{
	return p->prefill != NULL && text_value(v, p->prefill->addr);
}

static bool value_rank(const struct pick *p, struct spop_data *v)
{
	return p->rank != NULL && text_value(v, p->rank->addr);
}

static bool value_model(const struct pick *p, struct spop_data *v)
{
	return p->status == 0 && text_value(v, p->model);
}

static bool value_model_at(const struct pick *p, struct spop_data *v)
{
	*v = spop_int((int64_t)p->model_at);
	return p->status == 0 && p->model.len > 0;
}

static bool value_model_len(const struct pick *p, struct spop_data *v)
{
	*v = spop_int(p->model_len);
	return p->status == 0 && p->model.len > 0;
}

static bool value_model_grow(const struct pick *p, struct spop_data *v)
{
	*v = spop_int(p->model_grow);
	return p->status == 0 && p->model.len > 0;
}

static bool value_model_room(const struct pick *p, struct spop_data *v)
{
	*v = spop_int(p->model_grow < 0 ? RENAMES * -p->model_grow : 0);
	return p->status == 0 && p->model.len > 0;
}

static bool value_status(const struct pick *p, struct spop_data *v)
{
	*v = spop_int(p->status);
	return p->status != 0;
}

static bool value_reason(const struct pick *p, struct spop_data *v)
{
	return text_value(v, span_of(p->reason));
}

static bool value_retry_after(const struct pick *p, struct spop_data *v)
{
	*v = spop_int(p->retry_after_s);
	return p->retry_after_s != 0;
}

static bool value_message(const struct pick *p, struct spop_data *v)
{
	return text_value(v, span_of(p->message));
}

static bool value_why(const struct pick *p, struct spop_data *v)
{
	return text_value(v, span_of(p->why));
}

/* README, "The contract with HAProxy". False: the variable is not set. */
static const struct {
	const char *name;
	bool (*value)(const struct pick *p, struct spop_data *v);
} variables[] = {
	{ "ep", value_ep },		/* string: server name, first choice */
	{ "ep2", value_ep2 },		/* string: second choice */
	{ "addr", value_addr },		/* string: ip:port of ep */
	{ "status", value_status },	/* int: answer this instead of routing */
	{ "reason", value_reason },	/* string: x-llm-d-request-dropped-reason */
	{ "retry_after", value_retry_after },	/* int: seconds */
	{ "message", value_message },	/* string: for the JSON error's text */
	{ "why", value_why },		/* string: asked for by x-epp-why */
	{ "prefill", value_prefill },	/* string: x-prefiller-host-port */
	{ "rank", value_rank },		/* string: x-data-parallel-host-port */
	{ "model", value_model },	/* string: what to ask the server for */
	{ "model_at", value_model_at },	/* int: of the body's model, behind the quote */
	{ "model_len", value_model_len },	/* int: its bytes, up to the quote */
	{ "model_grow", value_model_grow },	/* int: of the body, by the new one */
	{ "model_room", value_model_room },	/* int: of an answer, to rename back */
};

/* Lists of addresses: "ip:port,ip:port", in order. */
static unsigned write_list(struct writer *w, const char *name,
    const struct endpoint *const *endpoints, size_t n)
{
	char list[LIST_MAX];
	size_t len = 0;
	struct spop_data value;

	for (size_t i = 0; i < n; i++) {
		struct span addr = endpoints[i]->addr;

		if (addr.len == 0 || addr.len + 1 > sizeof(list) - len)
			continue;
		if (len > 0)
			list[len++] = ',';
		memcpy(list + len, addr.ptr, addr.len);
		len += addr.len;
	}
	if (len == 0)
		return 0;
	value = spop_string((struct span){ list, len });
	spop_set_var(w, SPOP_TXN, span_of(name), &value);
	return 1;
}

void answer_write(struct writer *w, const struct pick *pick)
{
	unsigned n = write_list(w, "eps", pick->choices, pick->n) +
	    write_list(w, "encode", pick->encode, pick->n_encode);
	struct spop_data value;

	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		if (variables[i].value(pick, &value)) {
			spop_set_var(w, SPOP_TXN, span_of(variables[i].name),
			    &value);
			n++;
		}
	if (n == 0)
		spop_unset_var(w, SPOP_TXN, span_of("ep"));
}
