/*
 * render_cors.c - the CORS filter: preflights answered here, answers marked
 *
 * spec: HTTPCORSFilter; Fetch standard, "CORS protocol". An origin that is not allowed
 * gets the answer without a header, which is what makes a browser refuse it.
 */
#include <string.h>

#include "render_parts.h"
#include "words.h"

static bool has_star(const char *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(items[i], "*") == 0)
			return true;
	return false;
}

/* A star stands for one label or several: "*.example.com" behind the scheme. */
static void put_origin_regex(struct buf *b, const char *origin)
{
	char one[2] = "";

	words_open(b);
	buf_puts(b, "^");
	for (const char *c = origin; *c != '\0'; c++) {
		one[0] = *c;
		if (*c == '*')
			buf_puts(b, "[^/]+");
		else
			words_regex_piece(b, one);
	}
	buf_puts(b, "$");
	words_close(b);
}

static void put_origins(struct render *r, const struct plan_ref *ref,
    const struct plan_cors *f)
{
	struct buf *b = &r->policy;

	buf_puts(b, "    http-request set-var(txn.origin) req.fhdr(origin)\n");
	for (size_t i = 0; i < f->n_origins; i++) {
		const char *origin = f->origins[i];

		if (!words_is_origin(origin)) {
			render_problem(r, ref, "UnsupportedValue",
			    "CORS: \"%.200s\" is no origin", origin);
			continue;
		}
		buf_puts(b, "    acl cors var(txn.origin) -m ");
		if (strcmp(origin, "*") == 0) {
			buf_puts(b, "found");
		} else if (strchr(origin, '*') != NULL) {
			buf_puts(b, "reg -- ");
			put_origin_regex(b, origin);
		} else {
			buf_puts(b, "str -- ");
			words_quote(b, origin);
		}
		buf_puts(b, "\n");
	}
	buf_puts(b, "    acl cors always_false\n"
	    "    http-request set-var(txn.cors) bool(true) if cors\n");
}

/* 'a, b'; how many of them could be written. */
static size_t put_names(struct render *r, const struct plan_ref *ref,
    struct buf *b, const char *const *items, size_t n)
{
	size_t n_put = 0;

	words_open(b);
	for (size_t i = 0; i < n; i++) {
		if (!words_is_name(items[i])) {
			render_problem(r, ref, "UnsupportedValue",
			    "CORS: \"%.200s\" is no name", items[i]);
			continue;
		}
		buf_puts(b, n_put++ > 0 ? ", " : "");
		words_piece(b, items[i]);
	}
	words_close(b);
	return n_put;
}

/* A star is what was asked for, since credentials forbid a star. */
static void put_list(struct render *r, const struct plan_ref *ref,
    const char *name, const char *const *items, size_t n, const char *asked)
{
	struct buf *b = &r->policy;
	size_t from = b->len;

	if (n == 0)
		return;
	buf_printf(b, " hdr %s ", name);
	if (has_star(items, n))
		buf_puts(b, asked);
	else if (put_names(r, ref, b, items, n) == 0)
		b->len = from;
}

/* A star is only said where there are no credentials. */
static const char *allowed_origin(const struct plan_cors *f)
{
	return has_star(f->origins, f->n_origins) && !f->allow_credentials ?
	    "*" : "%[var(txn.origin)]";
}

static void put_preflight(struct render *r, const struct plan_ref *ref,
    const struct plan_cors *f)
{
	static const char asks[] = "{ method OPTIONS } "
	    "{ var(txn.origin) -m found } "
	    "{ req.hdr(access-control-request-method) -m found }";
	struct buf *b = &r->policy;

	buf_printf(b, "    http-request return status 204 hdr "
	    "Access-Control-Allow-Origin %s", allowed_origin(f));
	put_list(r, ref, "Access-Control-Allow-Methods", f->methods,
	    f->n_methods, "%[req.fhdr(access-control-request-method)]");
	put_list(r, ref, "Access-Control-Allow-Headers", f->headers,
	    f->n_headers, "%[req.fhdr(access-control-request-headers)]");
	/* Of no use to a browser here, but HTTPRouteCORS looks for it. */
	put_list(r, ref, "Access-Control-Expose-Headers", f->expose,
	    f->n_expose, "*");
	buf_printf(b, " hdr Access-Control-Max-Age %u", f->max_age_s);
	if (f->allow_credentials)
		buf_puts(b, " hdr Access-Control-Allow-Credentials true");
	buf_printf(b, " hdr Vary Origin if cors %s\n", asks);
	buf_printf(b, "    http-request return status 204 if %s\n", asks);
}

void render_cors(struct render *r, const struct plan_ref *ref,
    const struct plan_cors *f)
{
	struct buf *b = &r->policy;
	static const char mark[] = " if { var(txn.cors) -m bool }\n";
	size_t from;

	put_origins(r, ref, f);
	put_preflight(r, ref, f);
	buf_printf(b, "    http-response set-header Access-Control-Allow-Origin "
	    "%s%s", allowed_origin(f), mark);
	if (f->allow_credentials)
		buf_printf(b, "    http-response set-header "
		    "Access-Control-Allow-Credentials true%s", mark);
	from = b->len;
	buf_puts(b, "    http-response set-header "
	    "Access-Control-Expose-Headers ");
	if (put_names(r, ref, b, f->expose, f->n_expose) > 0)
		buf_puts(b, mark);
	else
		b->len = from;
	buf_puts(b, "    http-response add-header Vary Origin\n");
}
