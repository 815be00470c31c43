/*
 * watch.c - inotify along the whole path, armed anew after each change
 *
 * Watching the file itself would follow the inode, not the name. So the path is
 * walked as the kernel would, and each directory passed is watched for the one
 * name that was looked up in it. After a change the old inotify instance is
 * dropped and the walk done again: there is no state to bring up to date. The
 * new watches are in place before on_change runs, so nothing is lost between.
 *
 * A path that ends at a directory is watched for every name in it.
 *
 * ev_stat is no help here: libev calls lstat(), which stays on the first link.
 */
#include "watch.h"

#include <ev.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_MAX = 64, LINKS_MAX = 40, EVENTS_BYTES = 16384 };

/* What was renamed or closed is complete; what was only begun gets a while. */
static const double SETTLE_S = 0.01, COMPLETE_S = 0.001, POLL_S = 1.0;

struct name {			/* looked up in the directory behind `wd` */
	int wd;
	char *text;		/* "": any */
};

struct watch {
	struct ev_loop *loop;
	char *path;
	watch_changed_f *on_change;
	void *data;
	ev_io events;
	ev_timer settle, poll;
	int fd;			/* inotify; -1 when there is none */
	struct name names[NAMES_MAX];
	size_t n_names;
	struct stat seen;	/* zeroed: no such file */
};

/* Where the walk stands; nothing in `dir` is a symlink. */
struct walk {
	char dir[PATH_MAX], rest[PATH_MAX];
	unsigned n_links;
};

static void forget_names(struct watch *w)
{
	for (size_t i = 0; i < w->n_names; i++)
		free(w->names[i].text);
	w->n_names = 0;
}

static void add_name(struct watch *w, const char *dir, const char *name)
{
	struct name *n = &w->names[w->n_names];

	if (w->n_names == NAMES_MAX)
		return;
	n->wd = inotify_add_watch(w->fd, dir, IN_CREATE | IN_MOVED_TO |
	    IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB |
	    IN_ONLYDIR);
	if (n->wd < 0)
		return;
	n->text = strdup(name);
	if (n->text != NULL)
		w->n_names++;
}

/* Takes the next component off `rest`; false when there is none. */
static bool take_component(struct walk *walk, char name[NAME_MAX + 1])
{
	const char *at = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(at, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, at, len);
	name[len] = '\0';
	at += len;
	memmove(walk->rest, at, strlen(at) + 1);
	return true;
}

/* What the link says goes before the rest; false when that cannot be. */
static bool follow(struct walk *walk, const char *link)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = readlink(link, target, sizeof(target) - 1);
	int n;

	if (len <= 0 || walk->n_links++ == LINKS_MAX)
		return false;
	target[len] = '\0';
	n = snprintf(rest, sizeof(rest), "%s/%s", target, walk->rest);
	if (n < 0 || (size_t)n >= sizeof(rest))
		return false;
	memcpy(walk->rest, rest, (size_t)n + 1);
	if (target[0] == '/')
		snprintf(walk->dir, sizeof(walk->dir), "/");
	return true;
}

/* One component further; false at the end, or where the path ends for now. */
static bool step(struct watch *w, struct walk *walk)
{
	char name[NAME_MAX + 1], full[PATH_MAX];
	struct stat st;
	int n;

	if (!take_component(walk, name))
		return false;
	if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		add_name(w, walk->dir, name);
	n = snprintf(full, sizeof(full), "%s/%s", walk->dir, name);
	if (n < 0 || (size_t)n >= sizeof(full) || lstat(full, &st) != 0)
		return false;
	if (S_ISLNK(st.st_mode))
		return follow(walk, full);
	memcpy(walk->dir, full, (size_t)n + 1);
	if (S_ISDIR(st.st_mode) && walk->rest[strspn(walk->rest, "/")] == '\0')
		add_name(w, walk->dir, "");
	return S_ISDIR(st.st_mode);
}

/* What remains to be closed, or -1. */
static int disarm(struct watch *w)
{
	int fd = w->fd;

	ev_io_stop(w->loop, &w->events);
	w->fd = -1;
	forget_names(w);
	return fd;
}

static void close_inotify(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void arm(struct watch *w)
{
	struct walk walk = { .n_links = 0 };

	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		return;		/* the look once a second remains */
	snprintf(walk.dir, sizeof(walk.dir), w->path[0] == '/' ? "/" : ".");
	snprintf(walk.rest, sizeof(walk.rest), "%s", w->path);
	while (step(w, &walk))
		;
	ev_io_set(&w->events, w->fd, EV_READ);
	ev_io_start(w->loop, &w->events);
}

static struct stat look(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		memset(&st, 0, sizeof(st));
	return st;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size && a->st_mode == b->st_mode &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void changed(struct watch *w)
{
	int old = disarm(w);

	ev_timer_stop(w->loop, &w->settle);
	arm(w);
	w->seen = look(w->path);
	w->on_change(w->data);
	close_inotify(old);	/* takes the kernel some milliseconds */
}

static void on_settle(EV_P_ ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	changed(timer->data);
}

static void on_poll(EV_P_ ev_timer *timer, int revents)
{
	struct watch *w = timer->data;
	struct stat now = look(w->path);

	(void)loop;
	(void)revents;
	if (!is_same(&now, &w->seen))
		changed(w);
}

static bool is_ours(const struct watch *w, const struct inotify_event *e)
{
	if (e->mask & (IN_Q_OVERFLOW | IN_IGNORED))
		return true;
	for (size_t i = 0; i < w->n_names; i++)
		if (w->names[i].wd == e->wd && e->len > 0 &&
		    (w->names[i].text[0] == '\0' ||
			strcmp(w->names[i].text, e->name) == 0))
			return true;
	return false;
}

static void on_events(EV_P_ ev_io *io, int revents)
{
	struct watch *w = io->data;
	_Alignas(struct inotify_event) char bytes[EVENTS_BYTES];
	ssize_t len = read(w->fd, bytes, sizeof(bytes));
	double settle = 0.;

	(void)revents;
	for (ssize_t at = 0; at < len;) {
		const struct inotify_event *e = (const void *)(bytes + at);

		if (is_ours(w, e))
			settle = e->mask & (IN_MOVED_TO | IN_CLOSE_WRITE) ?
			    COMPLETE_S : SETTLE_S;
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	/* Not put off by more events: who writes on and on cannot hide. */
	if (settle > 0. && (!ev_is_active(&w->settle) ||
	    settle < ev_timer_remaining(EV_A_ &w->settle))) {
		ev_timer_stop(EV_A_ &w->settle);
		ev_timer_set(&w->settle, settle, 0.);
		ev_timer_start(EV_A_ &w->settle);
	}
}

struct watch *watch_start(struct ev_loop *loop, const char *path,
    watch_changed_f *on_change, void *data)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->path = strdup(path);
	if (w->path == NULL) {
		free(w);
		return NULL;
	}
	w->loop = loop;
	w->on_change = on_change;
	w->data = data;
	w->fd = -1;
	ev_init(&w->events, on_events);
	ev_timer_init(&w->settle, on_settle, SETTLE_S, 0.);
	ev_timer_init(&w->poll, on_poll, POLL_S, POLL_S);
	w->events.data = w->settle.data = w->poll.data = w;
	arm(w);
	w->seen = look(path);
	ev_timer_start(loop, &w->poll);
	return w;
}

void watch_stop(struct watch *w)
{
	if (w == NULL)
		return;
	close_inotify(disarm(w));
	ev_timer_stop(w->loop, &w->settle);
	ev_timer_stop(w->loop, &w->poll);
	free(w->path);
	free(w);
}
