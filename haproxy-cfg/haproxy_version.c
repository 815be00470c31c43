/*
 * haproxy_version.c - the first line of `haproxy -v`
 *
 * "HAProxy version 3.2.7-1~bpo12+1 2025/10/03 - https://haproxy.org/"; "HA-Proxy"
 * up to 2.3.
 */
#include "haproxy_version.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"

extern char **environ;

unsigned haproxy_version_of(const char *text)
{
	char *end;
	unsigned long major, minor;

	if (text[0] < '0' || text[0] > '9')
		return 0;
	major = strtoul(text, &end, 10);
	if (*end != '.' || end[1] < '0' || end[1] > '9')
		return 0;
	minor = strtoul(end + 1, &end, 10);
	if (major == 0 || major > 99 || minor > 99 ||
	    (*end != '\0' && *end != '.' && *end != '-' && *end != '+'))
		return 0;
	return (unsigned)(100 * major + minor);
}

static unsigned version_in(const char *said)
{
	static const char mark[] = "version ";
	const char *at = strstr(said, mark);
	char word[64];
	size_t len;

	if (at == NULL)
		return 0;
	at += sizeof(mark) - 1;
	len = strcspn(at, " \n");
	if (len >= sizeof(word))
		return 0;
	memcpy(word, at, len);
	word[len] = '\0';
	return haproxy_version_of(word);
}

/* What the program says first, up to `len` bytes; -errno. */
static int hear(const char *program, char *said, size_t len)
{
	char *const argv[] = { (char *)program, (char *)"-v", NULL };
	posix_spawn_file_actions_t actions;
	size_t n = 0;
	ssize_t got;
	int fds[2], err;
	pid_t pid;

	if (pipe(fds) != 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	err = posix_spawnp(&pid, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	while (err == 0 && n < len - 1 &&
	    (got = read(fds[0], said + n, len - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(fds[0]);
	while (err == 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -err;
}

int haproxy_version_ask(const char *program, unsigned *out, struct fault *why)
{
	char said[512];
	int err = hear(program, said, sizeof(said));

	if (err != 0) {
		fault_setf(why, NULL, 0, "%s cannot be run: %s", program,
		    strerror(-err));
		fault_want(why, "-H PROGRAM, or --haproxy-version X.Y");
		return err;
	}
	*out = version_in(said);
	if (*out != 0)
		return 0;
	fault_setf(why, NULL, 0, "%s -v tells no version of HAProxy", program);
	fault_want(why, "-H PROGRAM, or --haproxy-version X.Y");
	return -EINVAL;
}
