/*
 * render_path_edit.c - redirects, and rewriting of paths
 *
 * spec: HTTPPathModifier (replaceFullPath, replacePrefixMatch: by path elements, a
 * trailing "/" of prefix or replacement does not count, nothing left means "/") and
 * HTTPRequestRedirectFilter (port: the one given, else the well-known one of a given
 * scheme, else the listener's; 80 of http and 443 of https are not written).
 */
#include <string.h>

#include "arena.h"
#include "render_parts.h"
#include "words.h"

static const char *without_slash(struct render *r, const char *path)
{
	size_t len = strlen(path);
	char *copy;

	while (len > 0 && path[len - 1] == '/')
		len--;
	copy = render_alloc(r, len + 1);
	if (copy == NULL)
		return "";
	memcpy(copy, path, len);
	return copy;
}

/* One rule suffices where something is left; else "/foo" alone becomes "/". */
static void put_prefix_edit(struct render *r, const char *path,
    const char *prefix)
{
	struct buf *b = &r->policy;
	const char *from = without_slash(r, prefix);
	const char *to = without_slash(r, path);

	if (*to == '\0' && *from != '\0') {
		buf_puts(b, "    http-request set-path / if { path -m str -- ");
		words_quote(b, from);
		buf_puts(b, " }\n");
	}
	buf_puts(b, "    http-request replace-path ");
	words_open(b);
	buf_puts(b, "^");
	words_regex_piece(b, from);
	buf_puts(b, *to == '\0' ? "(/.*)$" : "(/.*)?$");
	words_close(b);
	buf_puts(b, " ");
	words_open(b);
	words_replacement_piece(b, to);
	buf_puts(b, "\\1");
	words_close(b);
	buf_puts(b, "\n");
}

void render_path_edit(struct render *r, const struct plan_ref *ref,
    enum plan_path_edit edit, const char *path, const char *prefix)
{
	if (edit == PLAN_PATH_KEEP)
		return;
	if (*path != '\0' && (path[0] != '/' || !words_is_key(path))) {
		render_problem(r, ref, "UnsupportedValue",
		    "path \"%.200s\" is not one that a server can be asked for",
		    path);
		return;
	}
	if (edit == PLAN_PATH_PREFIX_MATCH) {
		put_prefix_edit(r, path, prefix);
		return;
	}
	buf_puts(&r->policy, "    http-request set-path ");
	words_format(&r->policy, *path != '\0' ? path : "/");
	buf_puts(&r->policy, "\n");
}

/* ---- redirects ---------------------------------------------------------- */

static bool is_default_port(const char *scheme, uint16_t port)
{
	return port == (strcmp(scheme, "https") == 0 ? 443 : 80);
}

static void put_location(struct render *r, const struct plan_redirect *f,
    const char *scheme, const char *condition)
{
	struct buf *b = &r->policy;

	buf_printf(b, "    http-request redirect code %u location ", f->status);
	words_open(b);
	words_piece(b, scheme);
	buf_puts(b, "://");
	if (f->hostname != NULL)
		words_piece(b, f->hostname);
	else
		words_expression(b, "%[req.hdr(host),host_only]");
	if (f->port != 0 && !is_default_port(scheme, f->port))
		buf_printf(b, ":%u", f->port);
	else if (f->port == 0 && f->scheme == NULL)
		words_expression(b, "%[var(txn.port)]");
	words_expression(b, "%[pathq]");
	words_close(b);
	buf_printf(b, "%s\n", condition);
}

void render_redirect(struct render *r, const struct plan_ref *ref,
    const struct plan_redirect *f, const char *prefix)
{
	if ((f->scheme != NULL && strcmp(f->scheme, "http") != 0 &&
	    strcmp(f->scheme, "https") != 0) ||
	    (f->hostname != NULL && !words_is_host(f->hostname))) {
		render_problem(r, ref, "UnsupportedValue",
		    "RequestRedirect: scheme or hostname cannot be one");
		buf_puts(&r->policy, "    http-request return status 500\n");
		return;
	}
	render_path_edit(r, ref, f->path_edit, f->path != NULL ? f->path : "",
	    prefix);
	if (f->scheme != NULL) {
		put_location(r, f, f->scheme, "");
		return;
	}
	put_location(r, f, "https", " if { ssl_fc }");
	put_location(r, f, "http", "");
}
