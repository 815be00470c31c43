/*
 * render_policy.c - filters, timeouts, retries and sessions as lines of a backend
 *
 * They cost nothing to requests of other routes there. Order: what answers by itself,
 * what changes the request, what changes the answer.
 */
#include <string.h>

#include "render_parts.h"
#include "words.h"

/* One that HAProxy can be told; else it is left out, and the owner hears of it. */
static bool is_speakable(struct render *r, const struct plan_ref *ref,
    const struct plan_header *h, bool has_value)
{
	if (words_is_name(h->name) && (!has_value || words_is_text(h->value)))
		return true;
	render_problem(r, ref, "UnsupportedValue",
	    "header \"%.200s\": its name or value has a character that cannot "
	    "be written to HAProxy", h->name);
	return false;
}

static void put_headers(struct render *r, const struct plan_ref *ref,
    const char *action, const struct plan_header *headers, size_t n,
    bool has_value)
{
	struct buf *b = &r->policy;

	for (size_t i = 0; i < n; i++) {
		if (!is_speakable(r, ref, &headers[i], has_value))
			continue;
		buf_puts(b, "    ");
		buf_puts(b, action);
		buf_puts(b, "-header ");
		words_quote(b, headers[i].name);
		if (has_value) {
			buf_puts(b, " ");
			words_format(b, headers[i].value);
		}
		buf_puts(b, "\n");
	}
}

/* Answers of HAProxy itself are edited too, hence http-after-response. */
static void put_edits(struct render *r, const struct plan_ref *ref,
    const struct plan_header_edits *e, bool is_request)
{
	if (e == NULL)
		return;
	put_headers(r, ref, is_request ? "http-request set" :
	    "http-after-response set", e->set, e->n_set, true);
	put_headers(r, ref, is_request ? "http-request add" :
	    "http-after-response add", e->add, e->n_add, true);
	put_headers(r, ref, is_request ? "http-request del" :
	    "http-after-response del", e->remove, e->n_remove, false);
}

static void put_rewrite(struct render *r, const struct plan_ref *ref,
    const struct plan_rewrite *w, const char *prefix)
{
	if (w->hostname != NULL && words_is_host(w->hostname))
		buf_printf(&r->policy, "    http-request set-header Host %s\n",
		    w->hostname);
	else if (w->hostname != NULL)
		render_problem(r, ref, "UnsupportedValue",
		    "URLRewrite: \"%.200s\" is no hostname", w->hostname);
	render_path_edit(r, ref, w->path_edit, w->path, prefix);
}

void render_filters(struct render *r, const struct plan_ref *ref,
    const struct plan_filters *f, const char *prefix)
{
	if (f->cors != NULL)
		render_cors(r, ref, f->cors);
	put_edits(r, ref, f->request, true);
	if (f->rewrite != NULL)
		put_rewrite(r, ref, f->rewrite, prefix);
	if (f->redirect != NULL)
		render_redirect(r, ref, f->redirect, prefix);
	put_edits(r, ref, f->response, false);
}

/* ---- timeouts and retries ----------------------------------------------- */

/* doc/configuration.txt, "retry-on"; and since which release. */
static const struct {
	uint16_t code;
	unsigned since;
} retryable[] = {
	{ 401, 206 }, { 403, 206 }, { 404, 206 }, { 408, 206 }, { 421, 302 },
	{ 425, 206 }, { 429, 300 }, { 500, 206 }, { 501, 206 }, { 502, 206 },
	{ 503, 206 }, { 504, 206 },
};

static bool is_retryable(uint16_t code, unsigned version)
{
	for (size_t i = 0; i < sizeof(retryable) / sizeof(*retryable); i++)
		if (retryable[i].code == code)
			return retryable[i].since <= version;
	return false;
}

static void put_retry(struct render *r, struct buf *b,
    const struct plan_rule *rule)
{
	const struct plan_retry *t = rule->retry;
	unsigned version = r->options->haproxy_version;

	buf_printf(b, "    retries %u\n    retry-on conn-failure empty-response "
	    "response-timeout", t->attempts);
	for (size_t i = 0; i < t->n_codes; i++)
		if (is_retryable(t->codes[i], version))
			buf_printf(b, " %u", t->codes[i]);
		else
			render_problem(r, &rule->ref, "UnsupportedValue",
			    "retry: HAProxy %u.%u cannot retry status %u",
			    version / 100, version % 100, t->codes[i]);
	buf_puts(b, "\n");
	if (t->backoff_ms > 0)
		render_problem(r, &rule->ref, "UnsupportedValue",
		    "retry.backoff: HAProxy retries at once");
}

/* "0s" is no limit, which HAProxy does not have: 24 days is the most it takes. */
static void put_timeout(struct buf *b, int64_t ms)
{
	enum { MAX_MS = 24 * 24 * 3600 * 1000 };

	if (ms == PLAN_NOT_GIVEN)
		return;
	buf_printf(b, "    timeout server %lldms\n", ms == 0 || ms > MAX_MS ?
	    (long long)MAX_MS : (long long)ms);
}

static int64_t shorter(int64_t a, int64_t b)
{
	if (a <= 0)
		return b > 0 ? b : a > b ? a : b;
	return b > 0 && b < a ? b : a;
}

/*
 * HAProxy's `timeout server` begins anew with each try. Where retries meet a limit
 * for all of them, the tries are made by a second proxy behind this one, which keeps
 * the limit: this one never retries.
 */
void render_timing(struct render *r, const struct plan_rule *rule,
    enum backend_mode mode)
{
	bool has_pool = false;

	if (mode != BACKEND_HTTP)
		return;
	for (size_t i = 0; i < rule->n_targets; i++)
		has_pool |= rule->targets[i].backend != NULL &&
		    rule->targets[i].backend->pool != NULL;
	if (rule->retry == NULL || rule->request_ms <= 0 || has_pool) {
		put_timeout(&r->policy, shorter(rule->request_ms,
		    rule->backend_request_ms));
		if (rule->retry != NULL)
			put_retry(r, &r->policy, rule);
		if (rule->retry != NULL && rule->request_ms > 0)
			render_problem(r, &rule->ref, "UnsupportedValue",
			    "timeouts.request with retry: counts for each try "
			    "of an InferencePool");
		return;
	}
	put_timeout(&r->policy, rule->request_ms);
	buf_puts(&r->policy, "    retries 0\n");
	put_timeout(&r->inner, rule->backend_request_ms);
	put_retry(r, &r->inner, rule);
}

/* ---- sessions ----------------------------------------------------------- */

static void put_cookie(struct buf *b, const struct plan_session *s)
{
	buf_printf(b, "    cookie %s insert indirect nocache httponly dynamic",
	    s->name != NULL ? s->name : "haproxy-epp-session");
	if (s->absolute_timeout_ms > 0)
		buf_printf(b, " maxlife %lldms",
		    (long long)s->absolute_timeout_ms);
	if (s->idle_timeout_ms > 0)
		buf_printf(b, " maxidle %lldms", (long long)s->idle_timeout_ms);
	if (s->is_permanent && s->absolute_timeout_ms > 0)
		buf_printf(b, " attr Max-Age=%lld",
		    (long long)s->absolute_timeout_ms / 1000);
	buf_puts(b, "\n    dynamic-cookie-key " OUTPUT_COOKIE_KEY "\n");
}

/* The header says which server, so nothing is kept here, and a reload is harmless. */
static void put_session_header(struct buf *b, const struct plan_session *s)
{
	const char *name = s->name != NULL ? s->name : "x-haproxy-epp-session";

	buf_printf(b, "    http-request set-var(txn.session) req.hdr(%s),b64dec\n"
	    "    use-server %%[var(txn.session)] if { var(txn.session) -m found "
	    "}\n    http-response set-header %s %%[srv_name,base64]\n", name,
	    name);
}

void render_session(struct render *r, const struct plan_rule *rule)
{
	const struct plan_session *s = rule->session;
	struct buf *b = r->inner.len > 0 ? &r->inner : &r->policy;

	if (s == NULL)
		return;
	if (s->name != NULL && !words_is_name(s->name)) {
		render_problem(r, &rule->ref, "UnsupportedValue",
		    "sessionPersistence: \"%.200s\" is no name that HAProxy "
		    "takes", s->name);
		return;
	}
	if (s->type == PLAN_SESSION_COOKIE) {
		put_cookie(b, s);
		return;
	}
	if (s->absolute_timeout_ms > 0 || s->idle_timeout_ms > 0)
		render_problem(r, &rule->ref, "UnsupportedValue",
		    "sessionPersistence: a header's session has no timeout");
	put_session_header(b, s);
}
