/*
 * sd_notify.c - one datagram
 */
#include "sd_notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { TEXT_MAX_BYTES = 512, WAIT_S = 1 };

/* How long the address is, or -errno. An abstract one has neither NUL nor name. */
static int address_of(const char *text, struct sockaddr_un *to)
{
	size_t len = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || len < 2)
		return -EAFNOSUPPORT;
	if (len >= sizeof(to->sun_path))
		return -ENAMETOOLONG;
	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	memcpy(to->sun_path, text, len);
	if (text[0] == '@')
		to->sun_path[0] = '\0';
	return (int)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int send_text(const struct sockaddr_un *to, socklen_t to_len,
    const char *text, size_t len)
{
	const struct timeval wait = { .tv_sec = WAIT_S };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
	    sendto(fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)to,
		to_len) != (ssize_t)len)
		err = -errno;
	close(fd);
	return err;
}

int sd_notify_send(const char *address, const char *fmt, ...)
{
	char text[TEXT_MAX_BYTES];
	struct sockaddr_un to;
	va_list ap;
	int to_len, n;

	if (address == NULL)
		return 0;
	to_len = address_of(address, &to);
	if (to_len < 0)
		return to_len;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -E2BIG;
	return send_text(&to, (socklen_t)to_len, text, (size_t)n);
}
