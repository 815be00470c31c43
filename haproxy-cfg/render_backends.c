/*
 * render_backends.c - one backend for each distinct (where to, policy)
 *
 * Named by content: routes that want the same share one, and a change of policy is a
 * new backend beside the old one. Servers are no part of the name: they come and go
 * at run time.
 */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "render_parts.h"
#include "words.h"

const char render_backend_500[] = "answer-500";
const char render_backend_reset[] = "answer-reset";

static const char *copy_text(struct render *r, struct buf *b)
{
	char *copy = buf_failed(b) ? NULL : render_alloc(r, b->len + 1);

	if (copy == NULL) {
		r->failed = true;
		return "";
	}
	if (b->len > 0)
		memcpy(copy, b->data, b->len);
	return copy;
}

static void put_policy(struct render *r, const struct plan_rule *rule,
    const struct plan_target *target, const char *prefix,
    enum backend_mode mode)
{
	const struct plan_backend *to = target != NULL ? target->backend : NULL;

	buf_clear(&r->policy);
	buf_clear(&r->inner);
	if (to != NULL) {
		render_timing(r, rule, mode);
		if (mode == BACKEND_HTTP)
			render_session(r, rule);
	}
	if (mode != BACKEND_HTTP)
		return;
	render_filters(r, &rule->ref, &rule->filters, prefix);
	if (target != NULL)
		render_filters(r, &rule->ref, &target->filters, prefix);
	if (to != NULL && to->pool != NULL)
		render_pool_lines(r, to, rule->retry != NULL);
}

static struct backend *add_backend(struct render *r, struct id *id,
    const struct plan_rule *rule, const struct plan_backend *to,
    const char *keywords, enum backend_mode mode)
{
	struct backend *b = render_alloc(r, sizeof(*b)), **at;

	at = render_add(r, &r->backends);
	if (b == NULL || at == NULL)
		return NULL;
	*b = (struct backend){
		.name = id->name, .ref = rule->ref, .mode = mode, .to = to,
		.policy = copy_text(r, &r->policy), .keywords = keywords,
		.has_cookie = rule->session != NULL &&
		    rule->session->type == PLAN_SESSION_COOKIE,
		.inner = r->inner.len > 0 ? copy_text(r, &r->inner) : NULL,
	};
	*at = b;
	id->data = b;
	render_table_row(r, id->name, to != NULL ? &to->ref : &rule->ref,
	    to == NULL);
	return b;
}

/* What a target that cannot be reached answers. */
static const char *nowhere(enum backend_mode mode)
{
	return mode == BACKEND_HTTP ? render_backend_500 :
	    render_backend_reset;
}

static void put_identity(struct buf *c, const struct plan_backend *to,
    const char *keywords)
{
	buf_put(c, (const char[]){ (char)to->ref.kind }, 1);
	buf_put(c, &to->port, sizeof(to->port));
	buf_puts(c, to->ref.namespace);
	buf_puts(c, "/");
	buf_puts(c, to->ref.name);
	buf_puts(c, "|");
	buf_puts(c, keywords);
	buf_puts(c, "\n");
}

const char *render_backend(struct render *r, const struct plan_rule *rule,
    const struct plan_target *target, const char *prefix,
    enum backend_mode mode)
{
	const struct plan_backend *to = target != NULL ? target->backend : NULL;
	const char *keywords = "";
	struct buf *c = &r->content;
	struct id *id;

	if (target != NULL && to == NULL && target->filters.redirect == NULL)
		return nowhere(mode);
	if (to != NULL) {
		keywords = render_keywords(r, to, mode);
		if (keywords == NULL)
			return nowhere(mode);
	}
	put_policy(r, rule, target, prefix, mode);
	buf_put(c, (const char[]){ (char)mode, to != NULL }, 2);
	if (to != NULL)
		put_identity(c, to, keywords);
	buf_put(c, r->policy.data, r->policy.len);
	buf_puts(c, "\n");
	buf_put(c, r->inner.data, r->inner.len);
	id = render_id(r, 'B');
	if (id->data == NULL && !r->failed)
		add_backend(r, id, rule, to, keywords, mode);
	return id->name;
}

/* ---- the text ----------------------------------------------------------- */

static int by_name(const void *left, const void *right)
{
	const struct backend *const *a = left, *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

static void begin(struct render *r, const char *kind, const struct backend *b,
    const char *name)
{
	struct buf *t = &r->out->text;

	output_section_begin(r->out, name, &b->ref);
	buf_printf(t, "%s %s from %s\n", kind, name,
	    b->mode == BACKEND_HTTP ? "http" : "tcp");
}

static void end(struct render *r)
{
	buf_puts(&r->out->text, "\n");
	output_section_end(r->out);
}

/* The proxy that makes the tries, behind the one that keeps the time. */
static void put_inner(struct render *r, const struct backend *b)
{
	const char *name = output_copyf(r->out, "%s.tries", b->name);
	struct buf *t = &r->out->text;

	begin(r, "listen", b, name);
	buf_printf(t, "    bind unix@" OUTPUT_DIR "%s.sock accept-proxy\n%s",
	    b->name, b->inner);
	render_servers(r, b, name);
	end(r);
}

static void put_backend(struct render *r, const struct backend *b)
{
	const char *name = output_copyf(r->out, "%s", b->name);
	struct buf *t = &r->out->text;

	begin(r, "backend", b, name);
	if (b->to != NULL) {
		buf_puts(t, "    # ");
		render_put_ref(t, &b->to->ref);
		buf_printf(t, " port %u\n", b->to->port);
	}
	buf_puts(t, b->policy);
	if (b->inner != NULL)
		buf_printf(t, "    server tries unix@" OUTPUT_DIR "%s.sock "
		    "send-proxy-v2\n", b->name);
	else if (b->to != NULL)
		render_servers(r, b, name);
	end(r);
	if (b->inner != NULL)
		put_inner(r, b);
}

static void put_answers(struct render *r)
{
	struct buf *t = &r->out->text;

	output_section_begin(r->out, render_backend_500, NULL);
	buf_printf(t, "backend %s from http\n", render_backend_500);
	render_grpc_lines(r, "if", 14, "unavailable");
	buf_puts(t, "    http-request return status 500\n\n");
	output_section_end(r->out);
	output_section_begin(r->out, render_backend_reset, NULL);
	buf_printf(t, "backend %s from tcp\n    tcp-request content reject\n\n",
	    render_backend_reset);
	output_section_end(r->out);
}

void render_backends(struct render *r)
{
	if (r->backends.n > 0)
		qsort(r->backends.items, r->backends.n,
		    sizeof(struct backend *), by_name);
	put_answers(r);
	for (size_t i = 0; i < r->backends.n && !r->failed; i++)
		put_backend(r, r->backends.items[i]);
}
