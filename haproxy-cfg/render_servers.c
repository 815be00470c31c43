/*
 * render_servers.c - endpoints as servers; certificates and CAs as files
 *
 * A server's words are the same in the file and in `add server`: default-server does
 * not reach servers that are added at run time, so each has all of its own.
 */
#include <string.h>

#include "render_parts.h"
#include "server_name.h"
#include "words.h"

/* By content: what is new is another file, and the old one stays valid meanwhile. */
const char *render_cert(struct render *r, const struct plan_pem *cert)
{
	struct output_pem *file;
	struct id *id;

	buf_put(&r->content, cert->text.ptr, cert->text.len);
	id = render_id(r, 'K');
	if (id->data != NULL)
		return id->data;
	file = output_add(r->out, &r->out->certs);
	if (file == NULL)
		return "";
	*file = (struct output_pem){
		.name = output_copyf(r->out, "%s.pem", id->name),
		.text = output_copy(r->out, cert->text.ptr, cert->text.len),
		.len = cert->text.len,
	};
	id->data = (void *)(uintptr_t)file->name;
	return file->name;
}

static const char *join(struct render *r, const struct plan_pem *const *cas,
    size_t n, size_t *len)
{
	struct buf *b = &r->content;
	const char *text = "";

	for (size_t i = 0; i < n; i++) {
		buf_put(b, cas[i]->text.ptr, cas[i]->text.len);
		if (b->len > 0 && b->data[b->len - 1] != '\n')
			buf_puts(b, "\n");
	}
	*len = b->len;
	if (!buf_failed(b) && b->len > 0)
		text = output_copy(r->out, b->data, b->len);
	r->failed |= buf_failed(b);
	buf_clear(b);
	return text;
}

/*
 * By content as well, so that a change is a reload: what was verified by the old CA,
 * idle connections above all, ends with the old worker.
 */
const char *render_ca(struct render *r, const struct plan_pem *const *cas,
    size_t n)
{
	struct output_pem *file;
	struct id *id;
	size_t len;
	const char *text = join(r, cas, n, &len);

	buf_put(&r->content, text, len);
	id = render_id(r, 'Z');
	if (id->data != NULL)
		return id->data;
	file = output_add(r->out, &r->out->cas);
	if (file == NULL)
		return "";
	*file = (struct output_pem){
		.name = output_copyf(r->out, "%s.pem", id->name),
		.text = text, .len = len };
	id->data = (void *)(uintptr_t)file->name;
	return file->name;
}

/* ---- keywords ----------------------------------------------------------- */

/*
 * HAProxy verifies the name that it sent as SNI, or `verifyhost`, and DNS names
 * only. So alternative names can be had when they are no more than the hostname.
 */
static bool has_only_hostname(const struct plan_backend_tls *tls)
{
	if (tls->n_sans_uri > 0)
		return false;
	for (size_t i = 0; i < tls->n_sans_hostname; i++)
		if (strcmp(tls->sans_hostname[i], tls->hostname) != 0)
			return false;
	return true;
}

static bool put_tls(struct render *r, const struct plan_backend *to,
    const char *alpn)
{
	const struct plan_backend_tls *tls = to->tls;

	if (!words_is_host(tls->hostname)) {
		render_problem(r, &tls->ref, "Invalid",
		    "hostname \"%.200s\" is not a DNS name", tls->hostname);
		return false;
	}
	if (!has_only_hostname(tls)) {
		render_problem(r, &tls->ref, "Invalid",
		    "subjectAltNames: HAProxy can verify the hostname only; "
		    "requests are answered with 500");
		return false;
	}
	buf_puts(&r->line, "ssl verify required ca-file ");
	if (tls->n_cas == 0)
		buf_puts(&r->line, "@system-ca");
	else
		buf_printf(&r->line, OUTPUT_GENERATION "%s",
		    render_ca(r, tls->cas, tls->n_cas));
	buf_printf(&r->line, " sni str(%s) verifyhost %s", tls->hostname,
	    tls->hostname);
	if (alpn != NULL)
		buf_printf(&r->line, " alpn %s", alpn);
	return true;
}

static void put_client_cert(struct render *r, const struct plan_backend *to)
{
	if (to->client_cert != NULL)
		buf_printf(&r->line, " crt " OUTPUT_DIR "certs/%s",
		    render_cert(r, to->client_cert));
}

static const char pool_check[] = "check inter 2s fall 2 rise 1 observe layer4 "
    "error-limit 1 on-error mark-down";

static const char *make_keywords(struct render *r,
    const struct plan_backend *to, enum backend_mode mode)
{
	struct buf *b = &r->line;
	const char *alpn = mode != BACKEND_HTTP ? NULL :
	    to->protocol == PLAN_H2C ? "h2" : to->protocol == PLAN_HTTP ?
	    "h2,http/1.1" : "http/1.1";
	bool ok = true;

	buf_clear(b);
	if (to->tls != NULL && mode != BACKEND_PASSTHROUGH) {
		ok = put_tls(r, to, alpn);
		if (ok)
			put_client_cert(r, to);
	} else if (to->protocol == PLAN_WSS && mode == BACKEND_HTTP) {
		render_problem(r, &to->ref, "UnsupportedProtocol",
		    "kubernetes.io/wss without a BackendTLSPolicy: whom to "
		    "trust is not said");
		ok = false;
	} else if (to->protocol == PLAN_H2C && mode == BACKEND_HTTP) {
		buf_puts(b, "proto h2");
	}
	if (ok && to->pool != NULL)
		buf_printf(b, "%s%s", b->len > 0 ? " " : "", pool_check);
	buf_put(b, "", 1);
	if (buf_failed(b))
		r->failed = true;
	return ok && !r->failed ? output_copy(r->out, b->data, b->len - 1) :
	    NULL;
}

const char *render_keywords(struct render *r, const struct plan_backend *to,
    enum backend_mode mode)
{
	if (r->keywords_to != to || r->keywords_mode != mode) {
		r->keywords_to = to;
		r->keywords_mode = mode;
		r->keywords = make_keywords(r, to, mode);
	}
	return r->keywords;
}

/* ---- servers ------------------------------------------------------------ */

static void put_server(struct render *r, const struct backend *b,
    const char *backend, const struct plan_endpoint *e)
{
	char name[SERVER_NAME_BYTES];
	bool is_six = strchr(e->address, ':') != NULL;

	if (e->port == 0 || server_name(e->address, e->port, name) != 0) {
		render_problem(r, &b->to->ref, "UnsupportedValue",
		    "\"%.100s\" port %u is no address of an endpoint",
		    e->address, e->port);
		return;
	}
	output_server_add(r->out, &(struct output_server){
	    .backend = backend, .name = output_copyf(r->out, "%s", name),
	    .address = output_copyf(r->out, is_six ? "[%.*s]:%u" : "%.*s:%u",
		(int)(strrchr(name, ':') - name), name, e->port),
	    .keywords = b->keywords, .is_checked = b->to->pool != NULL,
	    .has_cookie = b->has_cookie });
}

void render_servers(struct render *r, const struct backend *b,
    const char *name)
{
	for (size_t i = 0; i < b->to->n_endpoints; i++)
		put_server(r, b, name, &b->to->endpoints[i]);
}
