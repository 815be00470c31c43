/*
 * apply_servers.c - servers come, and go when nobody is there any more
 *
 * A new one is added, then enabled (2.6 takes `enabled` in `add server`, later ones
 * refuse it). One that is to go is put in maintenance, so that nothing new gets there;
 * streams that it serves go on for as long as they take, and it is deleted when HAProxy
 * says that it can be. Backends that nobody wants any more stay as they are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apply_parts.h"
#include "output_files.h"

enum { COMMANDS_BYTES = 512 };

static void put_command(struct apply *a, const char *command,
    const char *backend, const char *name)
{
	buf_printf(&a->line, "%s%s %s/%s", a->line.len > 0 ? ";" : "", command,
	    backend, name);
}

static int put_new(struct apply *a, const struct output_server *s)
{
	int err = apply_make_room(a, COMMANDS_BYTES + 3 * (strlen(s->backend) +
	    strlen(s->name)) + strlen(s->keywords) + strlen(a->options.dir));

	if (err != 0)
		return err;
	put_command(a, "add server", s->backend, s->name);
	buf_printf(&a->line, " %s ", s->address);
	output_put_paths(&a->line, s->keywords, strlen(s->keywords),
	    a->options.dir, "current");
	if (s->is_checked)
		put_command(a, "enable health", s->backend, s->name);
	put_command(a, "enable server", s->backend, s->name);
	/* 2.6 makes no cookie for it; the same key again makes all of them. */
	if (s->has_cookie)
		buf_printf(&a->line, ";set dynamic-cookie-key backend %s %s",
		    s->backend, OUTPUT_COOKIE_KEY);
	return 0;
}

static int put_back(struct apply *a, const struct output_server *s)
{
	int err = apply_make_room(a, COMMANDS_BYTES + strlen(s->backend) +
	    strlen(s->name));

	if (err != 0)
		return err;
	put_command(a, "set server", s->backend, s->name);
	buf_puts(&a->line, " state ready");
	return 0;
}

int apply_servers_add(struct apply *a)
{
	struct running *r = &a->running;
	int err = 0;

	buf_clear(&a->line);
	for (size_t i = 0; i < a->wanted->servers.n && err == 0; i++) {
		const struct output_server *s = &a->wanted->servers.items[i];
		bool is_there;
		size_t at = running_find_server(r, s->backend, s->name,
		    &is_there);

		if (is_there && !r->servers.items[at].is_away)
			continue;
		a->report->server_changes++;
		apply_tell(a, "+", "server", "%s/%s", s->backend, s->name);
		if (a->is_dry)
			continue;
		err = is_there ? put_back(a, s) : put_new(a, s);
		if (is_there)
			r->servers.items[at].is_away = false;
		else if (!running_put_server(r, at, s->backend, s->name))
			err = -ENOMEM;
	}
	return err == 0 ? apply_send(a) : err;
}

/* ---- going --------------------------------------------------------------- */

static int compare(const struct running_server *a,
    const struct output_server *b)
{
	int order = strcmp(a->backend, b->backend);

	return order != 0 ? order : strcmp(a->name, b->name);
}

int apply_servers_remove(struct apply *a)
{
	struct running *r = &a->running;
	const struct output *o = a->wanted;
	size_t k = 0;
	int err = 0;

	buf_clear(&a->line);
	for (size_t i = 0; i < r->servers.n && err == 0; i++) {
		struct running_server *s = &r->servers.items[i];

		while (k < o->servers.n && compare(s, &o->servers.items[k]) > 0)
			k++;
		if (s->is_away || (k < o->servers.n &&
		    compare(s, &o->servers.items[k]) == 0) ||
		    output_backend(o, s->backend) == NULL)
			continue;
		a->report->server_changes++;
		apply_tell(a, "-", "server", "%s/%s", s->backend, s->name);
		if (a->is_dry)
			continue;
		err = apply_make_room(a, COMMANDS_BYTES + strlen(s->backend) +
		    strlen(s->name));
		put_command(a, "set server", s->backend, s->name);
		buf_puts(&a->line, " state maint");
		s->is_away = true;
	}
	return err == 0 ? apply_send(a) : err;
}

/* HAProxy refuses as long as a connection is left, which is no error here. */
void apply_servers_rest(struct apply *a)
{
	struct running *r = &a->running;

	for (size_t i = r->servers.n; i-- > 0;) {
		const struct running_server *s = &r->servers.items[i];

		if (!s->is_away)
			continue;
		buf_clear(&a->line);
		put_command(a, "del server", s->backend, s->name);
		if (apply_send(a) == 0)
			running_remove_server(r, i);
	}
}
