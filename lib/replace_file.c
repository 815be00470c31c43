/*
 * replace_file.c - mkstemp, write, fsync, rename, fsync of the directory
 */
#include "replace_file.h"

#include <errno.h>
#include <fcntl.h>
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

static int fill(int fd, struct span bytes, mode_t mode)
{
	int err = write_all(fd, bytes);

	if (err == 0 && fchmod(fd, mode) != 0)
		err = -errno;
	if (err == 0 && fsync(fd) != 0)
		err = -errno;
	if (close(fd) != 0 && err == 0)
		err = -errno;
	return err;
}

int replace_file(const char *file, struct span bytes, mode_t mode)
{
	char *beside;
	int fd, err;

	if (asprintf(&beside, "%s.XXXXXX", file) < 0)
		return -ENOMEM;
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		free(beside);
		return err;
	}
	err = fill(fd, bytes, mode);
	if (err == 0 && rename(beside, file) != 0)
		err = -errno;
	if (err == 0)
		sync_directory(file);
	else
		unlink(beside);
	free(beside);
	return err;
}
