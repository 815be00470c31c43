/*
 * upgrade.c - environment out, environment in, and a child that is watched
 */
#include "upgrade.h"

#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handover.h"
#include "listener.h"
#include "log.h"
#include "must.h"

#define ENV_HANDOVER "EPP_AGENT_HANDOVER"
#define ENV_PARENT "EPP_AGENT_PARENT"
#define ENV_SOCKETS "EPP_AGENT_SOCKETS"

/* Meant for one process: neither it nor we leave them to anybody else. */
static const char *const private_names[] = {
	ENV_HANDOVER, ENV_PARENT, ENV_SOCKETS, "LISTEN_PID", "LISTEN_FDS",
	"LISTEN_FDNAMES",
};

enum {
	N_PRIVATE = sizeof(private_names) / sizeof(*private_names),
	FIRST_PID = 2,		/* 1 is nobody's to stop */
	N_OURS = 3,		/* variables that we set for a child */
};

struct upgrade {
	struct ev_loop *loop;
	char *const *argv;
	char *program;		/* NULL: not found */
	struct handover *handover;	/* to the child; NULL: it gets none */
	pid_t child;
	ev_child watcher;
};

/* ---- in ---- */

/* Digits, up to INT_MAX; else 0, which is neither a pid nor a descriptor of ours. */
static int number_of(const char *text)
{
	unsigned long n;

	if (text == NULL || strspn(text, "0123456789") != strlen(text) ||
	    strlen(text) > 10)
		return 0;
	n = strtoul(text, NULL, 10);
	return n <= INT_MAX ? (int)n : 0;
}

pid_t upgrade_parent(const char *text)
{
	int n = number_of(text);

	return n >= FIRST_PID ? n : 0;
}

pid_t upgrade_inherit(struct handover **from)
{
	const struct listener_heritage heritage = {
		.listen_pid = getenv("LISTEN_PID"),
		.listen_fds = getenv("LISTEN_FDS"),
		.sockets = getenv(ENV_SOCKETS),
	};
	pid_t old = upgrade_parent(getenv(ENV_PARENT));
	const char *handover = getenv(ENV_HANDOVER);

	listener_inherit(&heritage, getpid());
	*from = handover != NULL ? handover_inherit(number_of(handover), old) :
	    NULL;
	for (size_t i = 0; i < N_PRIVATE; i++)
		unsetenv(private_names[i]);
	return old;
}

void upgrade_finish(pid_t old)
{
	listener_unshare();
	if (old == 0)
		return;
	if (getppid() != old)	/* the number may be another's by now */
		log_warn("upgrade.finish", "old=%d err=\"it has gone\"", (int)old);
	else if (kill(old, SIGTERM) != 0)
		log_error("upgrade.finish", "old=%d err=\"%s\"", (int)old,
		    strerror(errno));
}

/* ---- which program ---- */

static bool is_program(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 && S_ISREG(st.st_mode) &&
	    access(file, X_OK) == 0;
}

/* "dir/name", absolute, if there is such a program. NULL else, or without memory. */
static char *program_in(const char *dir, size_t dir_len, const char *name,
    const char *cwd)
{
	bool is_relative = dir_len == 0 || dir[0] != '/';
	char *file;

	if (asprintf(&file, "%s%s%.*s%s%s", is_relative ? cwd : "",
		is_relative ? "/" : "", (int)dir_len, dir,
		dir_len > 0 ? "/" : "", name) < 0)
		return NULL;
	if (is_program(file))
		return file;
	free(file);
	return NULL;
}

char *upgrade_program(const char *argv0, const char *path, const char *cwd)
{
	const char *slash = strrchr(argv0, '/');
	char *found = NULL;

	if (slash != NULL)
		return program_in(argv0, (size_t)(slash - argv0), slash + 1,
		    cwd);
	while (path != NULL && found == NULL) {
		size_t len = strcspn(path, ":");

		found = program_in(path, len, argv0, cwd);
		path = path[len] == ':' ? path + len + 1 : NULL;
	}
	return found;
}

/* ---- out ---- */

static bool is_private(const char *variable)
{
	for (size_t i = 0; i < N_PRIVATE; i++) {
		size_t len = strlen(private_names[i]);

		if (strncmp(variable, private_names[i], len) == 0 &&
		    variable[len] == '=')
			return true;
	}
	return false;
}

/* And `ours`, up to a NULL. The array is the caller's to free, not what is in it. */
static char **environment_with(char *const ours[N_OURS])
{
	size_t n = 0, kept = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	env = calloc(n + N_OURS + 1, sizeof(char *));
	if (env == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!is_private(environ[i]))
			env[kept++] = environ[i];
	for (size_t i = 0; i < N_OURS && ours[i] != NULL; i++)
		env[kept++] = ours[i];
	return env;
}

/* A dup2 onto itself is how a spawned process keeps a close-on-exec descriptor. */
static int keep_sockets(posix_spawn_file_actions_t *actions, int handover)
{
	int fds[LISTENERS_MAX + 1], err = 0;
	size_t n = listener_list(fds);

	if (handover >= 0)
		fds[n++] = handover;
	for (size_t i = 0; i < n && err == 0; i++)
		err = posix_spawn_file_actions_adddup2(actions, fds[i], fds[i]);
	return err;
}

/* 0 or an errno. `handover`: the child's end, or -1. */
static int spawn(struct upgrade *u, int handover)
{
	char parent[64], sockets[LISTENERS_TEXT_MAX + 32], peers[64];
	char list[LISTENERS_TEXT_MAX];
	char *const ours[N_OURS] = { parent, sockets,
		handover >= 0 ? peers : NULL };
	posix_spawn_file_actions_t actions;
	char **env;
	int err;

	snprintf(parent, sizeof(parent), ENV_PARENT "=%d", (int)getpid());
	snprintf(sockets, sizeof(sockets), ENV_SOCKETS "=%s",
	    listener_text(list));
	snprintf(peers, sizeof(peers), ENV_HANDOVER "=%d", handover);
	env = environment_with(ours);
	if (env == NULL)
		return ENOMEM;
	err = posix_spawn_file_actions_init(&actions);
	if (err == 0) {
		err = keep_sockets(&actions, handover);
		if (err == 0)
			err = posix_spawn(&u->child, u->program, &actions, NULL,
			    u->argv, env);
		posix_spawn_file_actions_destroy(&actions);
	}
	free(env);
	return err;
}

static void close_handover(struct upgrade *u)
{
	handover_close(u->handover);
	u->handover = NULL;
}

/* Without a pair of sockets the connections end by a goodbye, and that is all. */
static int spawn_with_handover(struct upgrade *u)
{
	int theirs = -1, err;

	u->handover = handover_open(&theirs);
	if (u->handover == NULL)
		log_warn("upgrade.handover", "err=\"%s\"", strerror(errno));
	err = spawn(u, theirs);
	if (theirs >= 0)
		close(theirs);
	if (err != 0)
		close_handover(u);
	return err;
}

/* It ended while we are still here: it never took over. */
static void on_child(EV_P_ ev_child *watcher, int revents)
{
	struct upgrade *u = watcher->data;
	int status = watcher->rstatus;

	(void)revents;
	ev_child_stop(EV_A_ watcher);
	log_error("upgrade.failed", "child=%d %s=%d kept=\"this process\"",
	    (int)u->child, WIFEXITED(status) ? "exit" : "signal",
	    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	u->child = 0;
	close_handover(u);
	listener_unshare();
}

static int refuse(int err, const char *because)
{
	log_error("upgrade.refused", "err=\"%s\" kept=\"this process\"", because);
	return -err;
}

int upgrade_start(struct upgrade *u)
{
	int err;

	if (u->child != 0) {
		log_error("upgrade.refused", "err=\"one is under way\" child=%d",
		    (int)u->child);
		return -EALREADY;
	}
	if (getpid() < FIRST_PID)	/* and the new one would end with it */
		return refuse(EPERM, "a container ends with its first process");
	if (u->program == NULL)
		return refuse(ENOENT, "no such program when we were started");
	err = spawn_with_handover(u);
	if (err != 0) {
		u->child = 0;
		return refuse(err, strerror(err));
	}
	listener_share();
	ev_child_set(&u->watcher, u->child, 0);
	ev_child_start(u->loop, &u->watcher);
	log_info("upgrade.start", "program=%s child=%d", u->program,
	    (int)u->child);
	return 0;
}

pid_t upgrade_child(const struct upgrade *u)
{
	return u != NULL ? u->child : 0;
}

struct handover *upgrade_handover(struct upgrade *u)
{
	bool is_awaited = u != NULL && u->handover != NULL &&
	    handover_is_awaited(u->handover);

	return is_awaited ? u->handover : NULL;
}

/* ---- life ---- */

struct upgrade *upgrade_new(struct ev_loop *loop, char *const *argv)
{
	struct upgrade *u = calloc(1, sizeof(*u));
	char cwd[PATH_MAX];

	must(ev_is_default_loop(loop));		/* libev watches children there */
	if (u == NULL)
		return NULL;
	u->loop = loop;
	u->argv = argv;
	if (argv[0] != NULL && getcwd(cwd, sizeof(cwd)) != NULL)
		u->program = upgrade_program(argv[0], getenv("PATH"), cwd);
	if (u->program == NULL)
		log_warn("upgrade.program", "argv0=%s err=\"not found: SIGUSR2 "
		    "will be refused\"", argv[0] != NULL ? argv[0] : "");
	ev_child_init(&u->watcher, on_child, 0, 0);
	u->watcher.data = u;
	return u;
}

void upgrade_free(struct upgrade *u)
{
	if (u == NULL)
		return;
	ev_child_stop(u->loop, &u->watcher);
	close_handover(u);
	free(u->program);
	free(u);
}
