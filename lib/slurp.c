/*
 * slurp.c - open, look at what it is, read until the end or the ceiling
 */
#include "slurp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Up to `cap` bytes from `fd`; how many, or -errno. */
static ssize_t read_all(int fd, char *bytes, size_t cap)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, bytes + len, cap - len);

		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			return -errno;
	}
	return (ssize_t)len;
}

/* An open regular file, or -errno; -EINVAL for other kinds. */
static int open_regular(const char *file)
{
	/* O_NONBLOCK: a FIFO must not hold up whoever asked. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

ssize_t slurp_file(const char *file, size_t cap, char **bytes)
{
	int fd = open_regular(file);
	ssize_t n;

	if (fd < 0)
		return fd;
	*bytes = malloc(cap);
	n = *bytes != NULL ? read_all(fd, *bytes, cap) : -ENOMEM;
	if (n < 0)
		free(*bytes);
	close(fd);
	return n;
}
