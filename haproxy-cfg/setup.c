/*
 * setup.c - the front of every command that makes a configuration
 */
#include "setup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "command.h"
#include "fault.h"
#include "log.h"
#include "replace_file.h"
#include "status_since.h"
#include "store.h"

enum { STATUS_MAX_BYTES = 1 << 30, PIECE_BYTES = 64 << 10 };

/* HAProxy is told whole paths: it may be started from anywhere. */
static bool find_dir(struct setup *s, const char *dir)
{
	char whole[PATH_MAX];

	if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
		fprintf(stderr, "epp-translator: -o %s: %s\n", dir,
		    strerror(errno));
		return false;
	}
	if (realpath(dir, whole) == NULL || strpbrk(whole, " \t\n'\"\\#$%;,()")
	    != NULL) {
		fprintf(stderr, "epp-translator: -o %s; want: a folder whose "
		    "path has no blanks, quotes or other signs that mean "
		    "something to HAProxy\n", dir);
		return false;
	}
	snprintf(s->dir, sizeof(s->dir), "%s", whole);
	return true;
}

/*
 * HAProxy binds it under another name first: 108 bytes of sun_path, less a zero and
 * ".PID.tmp" (str2sa_range() in its src/tools.c).
 */
enum { SOCKET_PATH_MAX = 97 };

static bool is_socket_short(const struct setup *s)
{
	const char *given = s->flags->socket;
	char path[sizeof(s->dir) + sizeof("/haproxy.sock")];
	size_t len;

	snprintf(path, sizeof(path), "%s/haproxy.sock", s->dir);
	len = strlen(given != NULL ? given : path);
	if (len <= SOCKET_PATH_MAX)
		return true;
	fprintf(stderr, "epp-translator: HAProxy's stats socket: %s, %zu "
	    "characters; want: %d at most, by a shorter -o or -s\n",
	    given != NULL ? given : path, len, SOCKET_PATH_MAX);
	return false;
}

static void take_options(struct setup *s)
{
	const struct flags *f = s->flags;

	s->options = render_defaults;
	s->options.stats_socket = f->socket;
	if (f->agent != NULL)
		s->options.agent = f->agent;
	if (f->feedback != NULL)
		s->options.feedback = f->feedback;
	if (f->spoe != NULL)
		s->options.spoe_file = f->spoe;
	if (f->lua != NULL)
		s->options.lua_file = f->lua;
}

bool setup_open(struct setup *s, const struct flags *flags, bool needs_dir)
{
	*s = (struct setup){ .flags = flags };
	if (needs_dir && flags->output == NULL) {
		fprintf(stderr, "epp-translator: %s needs -o DIR\n",
		    flags->command);
		return false;
	}
	take_options(s);
	s->options.haproxy_version = translate_version(flags);
	if (s->options.haproxy_version == 0 ||
	    (flags->output != NULL && (!find_dir(s, flags->output) ||
		!is_socket_short(s))))
		return false;
	s->store = translate_load(flags);
	s->since = s->store != NULL ? status_since_new() : NULL;
	if (s->since != NULL)
		return true;
	store_free(s->store);
	return false;
}

void setup_close(struct setup *s)
{
	status_since_free(s->since);
	store_free(s->store);
}

bool setup_tell_bad_files(const struct setup *s)
{
	bool any = false;

	for (size_t i = 0; i < store_n_files(s->store); i++) {
		const struct store_file *file = store_file(s->store, i);
		char text[1400];

		if (!file->is_bad)
			continue;
		any = true;
		fprintf(stderr, "epp-translator: %s\n",
		    fault_text(file->why, text, sizeof(text)));
	}
	return any;
}

void setup_tell(const struct plan_problems *problems)
{
	for (size_t i = 0; i < problems->n; i++)
		fprintf(stderr, "epp-translator: %s/%s: %s: %s\n",
		    problems->items[i].ref.namespace,
		    problems->items[i].ref.name, problems->items[i].reason,
		    problems->items[i].message);
}

/* Of thousands of routes it is megabytes: never all of it in memory. */
static bool put_statuses(struct replacement *r, const struct statuses *all,
    struct status_since *since)
{
	struct buf text;
	bool done = true;

	buf_init(&text, STATUS_MAX_BYTES);
	for (size_t i = 0; i < all->n && done; i++) {
		status_write_one(all, i, since, &text);
		done = !buf_failed(&text);
		if (text.len < PIECE_BYTES && i + 1 < all->n)
			continue;
		replace_put(r, buf_span(&text));
		buf_clear(&text);
	}
	buf_fini(&text);
	return done;
}

/* A condition holds since before we were started, if its status is what it was. */
static void recall(struct setup *s, const char *path,
    const struct translation *t, int64_t now_s)
{
	int err = status_read(&t->statuses, path, now_s, s->since);

	if (err != 0 && err != -ENOENT)
		log_warn("status.times", "file=%s error=\"%s\" effect=\"some "
		    "lastTransitionTimes begin anew\"", path, err == -EINVAL ?
		    "not one that we wrote" : strerror(-err));
	s->has_since = true;
}

int setup_write_status(struct setup *s, const struct translation *t,
    bool is_live)
{
	int64_t now_s = clock_unix_ms() / 1000;
	char path[4200];
	struct replacement file;

	snprintf(path, sizeof(path), "%s/status.yaml", s->dir);
	if (is_live && !s->has_since)
		recall(s, path, t, now_s);
	status_since_begin(s->since, now_s);
	replace_begin(&file, path);
	if (put_statuses(&file, &t->statuses, is_live ? s->since : NULL))
		return replace_end_unsynced(&file, 0644);
	replace_drop(&file);
	return -ENOMEM;
}
