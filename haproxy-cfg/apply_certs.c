/*
 * apply_certs.c - certificates while HAProxy runs
 *
 * A certificate's file is named by its content, so a renewed one is another: it is made
 * known, filled, committed and put into the list, then the old one leaves the list and
 * HAProxy's memory. management.txt section 9.3: "new/set/commit/del ssl cert", "add/del
 * ssl crt-list". CAs are for a reload: "commit ssl ca-file" leaves idle connections to
 * servers that only the old CA vouched for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apply_parts.h"

/* Sends the line; HAProxy must say `want` somewhere in its answer. */
static int tell(struct apply *a, const char *want)
{
	int err;

	buf_puts(&a->line, "\n");
	err = buf_failed(&a->line) ? -ENOMEM :
	    runtime_ask(&a->runtime, a->line.data, a->line.len);
	buf_clear(&a->line);
	if (err != 0 || strstr(a->runtime.answer.data, want) != NULL)
		return err;
	snprintf(a->runtime.said, sizeof(a->runtime.said), "%.300s",
	    a->runtime.answer.data);
	return -EPROTO;
}

/* A payload ends with an empty line, so none may be within. */
static void put_payload(struct apply *a, const char *text, size_t len)
{
	buf_puts(&a->line, " <<\n");
	for (size_t i = 0; i < len;) {
		size_t n = 0;

		while (i + n < len && text[i + n] != '\n')
			n++;
		if (n > 0 && !(n == 1 && text[i] == '\r')) {
			buf_put(&a->line, text + i, n);
			buf_puts(&a->line, "\n");
		}
		i += n + 1;
	}
}

static bool is_loaded(const struct running *r, const char *cert)
{
	for (size_t i = 0; i < r->certs.n; i++)
		if (strcmp(r->certs.items[i].cert, cert) == 0)
			return true;
	return false;
}

static bool has_line(const struct running *r, const struct output_cert_line *l)
{
	for (size_t i = 0; i < r->certs.n; i++)
		if (strcmp(r->certs.items[i].cert, l->cert) == 0 &&
		    strcmp(r->certs.items[i].list, l->list) == 0 &&
		    strcmp(r->certs.items[i].filters, l->filters) == 0)
			return true;
	return false;
}

static bool wants_line(const struct output *o, const struct running_cert *c)
{
	for (size_t i = 0; i < o->cert_lines.n; i++) {
		const struct output_cert_line *l = &o->cert_lines.items[i];

		if (strcmp(c->cert, l->cert) == 0 &&
		    strcmp(c->list, l->list) == 0 &&
		    strcmp(c->filters, l->filters) == 0)
			return true;
	}
	return false;
}

/* ---- what is new --------------------------------------------------------- */

static int load_cert(struct apply *a, const char *name)
{
	const struct output_pem *pem = output_find_cert(a->wanted, name);
	int err;

	if (pem == NULL)
		return -EINVAL;
	buf_printf(&a->line, "new ssl cert %s/certs/%s", a->options.dir, name);
	err = tell(a, "New empty certificate store");
	if (err == 0) {
		buf_printf(&a->line, "set ssl cert %s/certs/%s", a->options.dir,
		    name);
		put_payload(a, pem->text, pem->len);
		err = tell(a, "Transaction created");
	}
	if (err == 0) {
		buf_printf(&a->line, "commit ssl cert %s/certs/%s",
		    a->options.dir, name);
		err = tell(a, "Success");
	}
	return err;
}

static int list_cert(struct apply *a, const struct output_cert_line *l)
{
	const char *dir = a->options.dir;

	buf_printf(&a->line, "add ssl crt-list %s/current/%s ", dir, l->list);
	if (*l->filters == '\0')
		buf_printf(&a->line, "%s/certs/%s", dir, l->cert);
	else
		buf_printf(&a->line, "<<\n%s/certs/%s %s\n", dir, l->cert,
		    l->filters);
	return tell(a, "Success");
}

static int add_line(struct apply *a, const struct output_cert_line *l)
{
	int err = 0;

	a->report->cert_changes++;
	apply_tell(a, "+", "certificate", "%s %s %s", l->list, l->cert,
	    l->filters);
	if (a->is_dry)
		return 0;
	if (!is_loaded(&a->running, l->cert))
		err = load_cert(a, l->cert);
	if (err == 0)
		err = list_cert(a, l);
	if (err == 0 && !running_add_cert(&a->running, span_of(l->list),
		span_of(l->cert), span_of(l->filters)))
		err = -ENOMEM;
	return err;
}

/* Mostly nothing about certificates has changed, however many there are. */
static bool is_same(const struct apply *a, const struct output *o)
{
	return a->running.certs_hash == o->certs_hash;
}

bool apply_certs_are_new(const struct apply *a, const struct output *o)
{
	const struct running *r = &a->running;

	if (is_same(a, o))
		return false;
	for (size_t i = 0; i < o->cert_lines.n; i++)
		if (!is_loaded(r, o->cert_lines.items[i].cert))
			return true;
	return false;
}

int apply_certs_add(struct apply *a)
{
	const struct output *o = a->wanted;
	struct running *r = &a->running;
	int err = 0;

	if (is_same(a, o))
		return 0;
	buf_clear(&a->line);
	for (size_t i = 0; i < o->cert_lines.n && err == 0; i++)
		if (!has_line(r, &o->cert_lines.items[i]))
			err = add_line(a, &o->cert_lines.items[i]);
	return err;
}

/* ---- what is old --------------------------------------------------------- */

static int remove_line(struct apply *a, size_t at)
{
	struct running_cert *c = &a->running.certs.items[at];
	char cert[64];
	int err;

	snprintf(cert, sizeof(cert), "%s", c->cert);
	buf_printf(&a->line, "del ssl crt-list %s/current/%s %s/certs/%s",
	    a->options.dir, c->list, a->options.dir, cert);
	err = tell(a, "deleted");
	if (err != 0)
		return err;
	running_remove_cert(&a->running, at);
	if (is_loaded(&a->running, cert))
		return 0;
	buf_printf(&a->line, "del ssl cert %s/certs/%s", a->options.dir, cert);
	return tell(a, "deleted");
}

int apply_certs_remove(struct apply *a)
{
	struct running *r = &a->running;
	int err = 0;

	if (is_same(a, a->wanted))
		return 0;
	buf_clear(&a->line);
	for (size_t i = r->certs.n; i-- > 0 && err == 0;) {
		if (wants_line(a->wanted, &r->certs.items[i]))
			continue;
		a->report->cert_changes++;
		apply_tell(a, "-", "certificate", "%s %s %s",
		    r->certs.items[i].list, r->certs.items[i].cert,
		    r->certs.items[i].filters);
		if (!a->is_dry)
			err = remove_line(a, i);
	}
	if (err == 0 && !a->is_dry)
		r->certs_hash = a->wanted->certs_hash;
	return err;
}

/* `del ssl crt-list` names a certificate: twice in a list is too often for it. */
bool apply_certs_can(const struct apply *a)
{
	const struct running *r = &a->running;

	if (is_same(a, a->wanted))
		return true;
	for (size_t i = 0; i < r->certs.n; i++) {
		if (wants_line(a->wanted, &r->certs.items[i]))
			continue;
		for (size_t k = 0; k < r->certs.n; k++)
			if (k != i && strcmp(r->certs.items[i].cert,
				r->certs.items[k].cert) == 0 &&
			    strcmp(r->certs.items[i].list,
				r->certs.items[k].list) == 0)
				return false;
	}
	return true;
}
