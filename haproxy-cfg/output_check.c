/*
 * output_check.c - what stands around a generation: haproxy -c, the agent's files,
 * and what nobody needs any more
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "output.h"
#include "output_files.h"
#include "replace_file.h"
#include "slurp.h"

enum { FILE_MAX_BYTES = 256 << 20, PATH_BYTES = 8192 };

static int write_text(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "we");
	int err = 0;

	if (f == NULL)
		return -errno;
	if (fwrite(bytes, 1, len, f) != len || fflush(f) != 0 ||
	    fsync(fileno(f)) != 0)
		err = -errno;
	if (fclose(f) != 0 && err == 0)
		err = -errno;
	return err;
}

/* ---- haproxy -c ---------------------------------------------------------- */

static _Noreturn void exec_check(const char *haproxy, const char *file, int out)
{
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execlp(haproxy, haproxy, "-c", "-f", file, (char *)NULL);
	_exit(127);
}

static int collect(int fd, pid_t child, struct buf *said)
{
	char bytes[4096];
	ssize_t n;
	int status;

	while ((n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			buf_put(said, bytes, (size_t)n);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static int run_check(const char *haproxy, const char *file, struct buf *said)
{
	int ends[2], err;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	child = fork();
	if (child == 0)
		exec_check(haproxy, file, ends[1]);
	close(ends[1]);
	err = child < 0 ? -errno : collect(ends[0], child, said);
	close(ends[0]);
	return err;
}

/* The same text, with the staged generation's own files. */
int output_check(const struct output *o, const char *haproxy, const char *dir,
    const char *name, struct buf *said)
{
	struct buf text;
	char path[PATH_BYTES];
	int err;

	buf_init(&text, FILE_MAX_BYTES);
	output_put_config(&text, o, dir, name);
	snprintf(path, sizeof(path), "%s/%s/check.cfg", dir, name);
	err = buf_failed(&text) ? -ENOMEM :
	    write_text(path, text.data, text.len);
	buf_fini(&text);
	if (err == 0)
		err = run_check(haproxy, path, said);
	unlink(path);
	return err;
}

/* ---- the agent's files --------------------------------------------------- */

static bool is_there(const char *path, const struct buf *want)
{
	char *bytes;
	ssize_t n = slurp_file(path, want->len + 1, &bytes);
	bool same;

	if (n < 0)
		return false;
	same = (size_t)n == want->len &&
	    (n == 0 || memcmp(bytes, want->data, want->len) == 0);
	free(bytes);
	return same;
}

/* An equal one is left alone: the agent reads it again at every change. */
static int write_agent_file(const struct output_text *t, const char *dir)
{
	struct buf text;
	char path[PATH_BYTES];
	int err = 0;

	buf_init(&text, FILE_MAX_BYTES);
	output_put_paths(&text, t->text, t->len, dir, "current");
	snprintf(path, sizeof(path), "%s/%s", dir, t->name);
	if (buf_failed(&text))
		err = -ENOMEM;
	else if (!is_there(path, &text))
		err = replace_file(path, buf_span(&text), 0644);
	buf_fini(&text);
	return err;
}

static bool is_agent_file(const struct output *o, const char *name)
{
	for (size_t i = 0; i < o->agent.n; i++)
		if (strcmp(o->agent.items[i].name, name) == 0)
			return true;
	return false;
}

static bool has_ends(const char *name, const char *front, const char *back)
{
	size_t len = strlen(name);

	return strncmp(name, front, strlen(front)) == 0 &&
	    len > strlen(back) && strcmp(name + len - strlen(back), back) == 0;
}

/* Files of pools before the list that names them; then those it no longer names. */
int output_write_agent(const struct output *o, const char *dir)
{
	char path[PATH_BYTES];
	struct dirent *e;
	DIR *d;
	int err = 0;

	for (size_t i = 0; i < o->agent.n && err == 0; i++)
		err = write_agent_file(&o->agent.items[i], dir);
	d = err == 0 ? opendir(dir) : NULL;
	if (d == NULL)
		return err;
	while ((e = readdir(d)) != NULL)
		if (has_ends(e->d_name, "pool-", ".yaml") &&
		    !is_agent_file(o, e->d_name)) {
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
			unlink(path);
		}
	closedir(d);
	return 0;
}

/* ---- what nobody needs --------------------------------------------------- */

static void clean_certs(const struct output *o, const char *dir)
{
	char path[PATH_BYTES];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/certs", dir);
	d = opendir(path);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] == 'K' && output_find_cert(o, e->d_name) == NULL) {
			snprintf(path, sizeof(path), "%s/certs/%s", dir,
			    e->d_name);
			unlink(path);
		}
	closedir(d);
}

void output_clean(const struct output *o, const char *dir)
{
	char current[OUTPUT_GENERATION_BYTES] = "", path[PATH_BYTES];
	struct dirent *e;
	DIR *d = opendir(dir);
	ssize_t n;

	snprintf(path, sizeof(path), "%s/current", dir);
	n = readlink(path, current, sizeof(current) - 1);
	if (d == NULL || n <= 0) {
		if (d != NULL)
			closedir(d);
		return;
	}
	current[n] = '\0';
	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "gen.", 4) == 0 &&
		    strcmp(e->d_name, current) != 0)
			output_drop(dir, e->d_name);
	closedir(d);
	clean_certs(o, dir);
}
