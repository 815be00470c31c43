/*
 * replace_file.c - mkstemp, write, fsync, rename, fsync of the directory
 */
#include "replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, struct span bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes.ptr += n;
			bytes.len -= (size_t)n;
		}
	}
	return 0;
}

/* The name itself must survive a power cut too; where that cannot be had, fine. */
static void sync_directory(const char *file)
{
	const char *slash = strrchr(file, '/');
	char *dir = slash == NULL ? strdup(".") :
	    strndup(file, slash == file ? 1 : (size_t)(slash - file));
	int fd = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(dir);
}

void replace_begin(struct replacement *r, const char *file)
{
	*r = (struct replacement){ .file = strdup(file), .fd = -1 };
	if (r->file == NULL || asprintf(&r->beside, "%s.XXXXXX", file) < 0) {
		r->beside = NULL;
		r->err = -ENOMEM;
		return;
	}
	r->fd = mkostemp(r->beside, O_CLOEXEC);
	if (r->fd < 0)
		r->err = -errno;
}

void replace_put(struct replacement *r, struct span bytes)
{
	if (r->err == 0)
		r->err = write_all(r->fd, bytes);
}

static void finish(struct replacement *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->beside);
	free(r->file);
}

void replace_drop(struct replacement *r)
{
	if (r->fd >= 0)
		unlink(r->beside);
	finish(r);
}

static int end(struct replacement *r, mode_t mode, bool is_synced)
{
	int err = r->err;

	if (err == 0 && (fchmod(r->fd, mode) != 0 ||
		(is_synced && fsync(r->fd) != 0)))
		err = -errno;
	if (err == 0 && rename(r->beside, r->file) != 0)
		err = -errno;
	if (err != 0) {
		replace_drop(r);
		return err;
	}
	if (is_synced)
		sync_directory(r->file);
	finish(r);
	return 0;
}

int replace_end(struct replacement *r, mode_t mode)
{
	return end(r, mode, true);
}

int replace_end_unsynced(struct replacement *r, mode_t mode)
{
	return end(r, mode, false);
}

int replace_file(const char *file, struct span bytes, mode_t mode)
{
	struct replacement r;

	replace_begin(&r, file);
	replace_put(&r, bytes);
	return replace_end(&r, mode);
}
