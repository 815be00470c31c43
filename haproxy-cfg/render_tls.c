/*
 * render_tls.c - certificates of a bind, by SNI, and whether clients need one
 *
 * doc/configuration.txt, "crt-list" and "strict-sni". A certificate is offered for its
 * listener's hostname. Without a listener for any name, a name that is not ours is
 * refused in the handshake.
 */
#include <string.h>

#include "render_parts.h"
#include "words.h"

static bool has_any_listener(const struct plan_bind *bind,
    enum plan_listener_protocol protocol)
{
	for (size_t i = 0; i < bind->n_listeners; i++)
		if (bind->listeners[i].protocol == protocol &&
		    bind->listeners[i].hostname == NULL)
			return true;
	return false;
}

/*
 * The first of a listener's certificates is for the listener's name; others, which
 * there are for other keys or other names, are for what they themselves say.
 */
static void put_certs(struct render *r, const struct plan_listener *l,
    const char *list)
{
	for (size_t i = 0; i < l->n_certs; i++) {
		struct output_cert_line *line = output_add(r->out,
		    &r->out->cert_lines);

		if (line == NULL)
			return;
		line->list = list;
		line->cert = render_cert(r, l->certs[i]);
		line->filters = "";
		if (i == 0 && l->hostname != NULL &&
		    words_is_host(l->hostname))
			line->filters = output_copyf(r->out, "%s",
			    l->hostname);
	}
}

/* The default certificate is the first of the file: that of the any-name listener. */
static void put_list(struct render *r, const struct plan_bind *bind,
    const char *list, enum plan_listener_protocol protocol)
{
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < bind->n_listeners; i++) {
			const struct plan_listener *l = &bind->listeners[i];

			if (l->protocol == protocol &&
			    (l->hostname != NULL) == pass)
				put_certs(r, l, list);
		}
}

static void put_client_validation(struct render *r,
    const struct plan_bind *bind)
{
	const struct plan_client_validation *v = bind->client;
	const char *file;

	if (v == NULL)
		return;
	file = render_ca(r, v->cas, v->n_cas);
	buf_printf(&r->out->text, " ca-file " OUTPUT_GENERATION "%s verify %s", file,
	    v->mode == PLAN_CLIENT_ALLOW_INSECURE ?
	    "optional crt-ignore-err all ca-ignore-err all" : "required");
}

void render_ssl_words(struct render *r, const struct plan_bind *bind,
    const char *id, enum plan_listener_protocol protocol)
{
	const char *list = output_copyf(r->out, "%s.list", id);
	struct buf *t = &r->out->text;
	const char **at;

	at = output_add(r->out, &r->out->cert_lists);
	if (at != NULL)
		*at = list;
	put_list(r, bind, list, protocol);
	buf_printf(t, " ssl crt-list " OUTPUT_GENERATION "%s", list);
	if (!has_any_listener(bind, protocol))
		buf_puts(t, " strict-sni");
	if (protocol != PLAN_LISTENER_HTTPS)
		return;
	buf_puts(t, " alpn h2,http/1.1");
	put_client_validation(r, bind);
}
