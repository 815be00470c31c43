/*
 * listener.c - a table of sockets, and how one comes into it
 *
 * The text for a child is "4,5,7k": numbers, with a k where the socket's file must be
 * kept at the end, because it is systemd's and not ours.
 */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fault.h"
#include "log.h"
#include "must.h"
#include "options.h"

enum {
	BACKLOG = 4096,		/* the kernel cuts it to net.core.somaxconn */
	FIRST_FD = 3,		/* SD_LISTEN_FDS_START; below are stdin, -out, -err */
	ADDRESS_TEXT_MAX = 128,
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static struct listener {
	int fd;
	bool is_open;		/* somebody listens; else inherited, not asked for */
	bool is_shared;		/* with a parent or a child */
	bool is_lent;		/* systemd's: it keeps the socket, and the file */
} table[LISTENERS_MAX];
static size_t n_table;

static struct listener *find_fd(int fd)
{
	for (size_t i = 0; i < n_table; i++)
		if (table[i].fd == fd)
			return &table[i];
	return NULL;
}

static void drop(struct listener *l)
{
	*l = table[--n_table];
}

/* ---- addresses ---- */

static socklen_t address_of(const struct listen_options *l, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (l->path != NULL) {
		a->un.sun_family = AF_UNIX;
		if (strlen(l->path) >= sizeof(a->un.sun_path))
			return 0;
		memcpy(a->un.sun_path, l->path, strlen(l->path) + 1);
		return sizeof(a->un);
	}
	if (inet_pton(AF_INET, l->host, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons(l->port);
		return sizeof(a->v4);
	}
	if (inet_pton(AF_INET6, l->host, &a->v6.sin6_addr) != 1)
		return 0;
	a->v6.sin6_family = AF_INET6;
	a->v6.sin6_port = htons(l->port);
	return sizeof(a->v6);
}

/* Where `fd` is bound. A path without room for its NUL is none that we could open. */
static bool address_of_fd(int fd, union address *a)
{
	socklen_t len = sizeof(*a);

	memset(a, 0, sizeof(*a));
	return getsockname(fd, &a->any, &len) == 0 && len <= sizeof(a->un);
}

static bool is_same(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	switch (a->any.sa_family) {
	case AF_INET:
		return a->v4.sin_port == b->v4.sin_port &&
		    a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	case AF_INET6:
		return a->v6.sin6_port == b->v6.sin6_port &&
		    memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr,
			sizeof(a->v6.sin6_addr)) == 0;
	case AF_UNIX:		/* one of no name is the same as no other */
		return a->un.sun_path[0] != '\0' &&
		    strcmp(a->un.sun_path, b->un.sun_path) == 0;
	default:
		return false;
	}
}

static const char *text_of(const union address *a, char out[ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN];

	snprintf(out, ADDRESS_TEXT_MAX, "?");
	if (a->any.sa_family == AF_UNIX)
		snprintf(out, ADDRESS_TEXT_MAX, "unix:%s", a->un.sun_path);
	else if (a->any.sa_family == AF_INET6)
		snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u",
		    inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof(host)),
		    ntohs(a->v6.sin6_port));
	else if (a->any.sa_family == AF_INET)
		snprintf(out, ADDRESS_TEXT_MAX, "%s:%u",
		    inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof(host)),
		    ntohs(a->v4.sin_port));
	return out;
}

/* ---- inherited ---- */

static bool is_listening(int fd)
{
	int type = 0, listens = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
		return false;
	len = sizeof(listens);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
	    type == SOCK_STREAM && listens != 0;
}

/* What is no socket of the kind is left alone: it may be anybody's. */
static void inherit(int fd, bool is_lent, bool is_shared)
{
	int flags;

	if (fd < FIRST_FD || !is_listening(fd) || find_fd(fd) != NULL ||
	    n_table == LISTENERS_MAX) {
		log_warn("listener.inherit", "fd=%d err=\"no listening socket, or "
		    "too many\"", fd);
		return;
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
		log_warn("listener.inherit", "fd=%d err=\"%s\"", fd,
		    strerror(errno));
		return;
	}
	table[n_table++] = (struct listener){ .fd = fd, .is_lent = is_lent,
		.is_shared = is_shared };
}

/* A number up to INT_MAX, in digits only; -1 if there is none. Moves `*text` on. */
static int take_number(const char **text)
{
	long n = 0;
	size_t digits = strspn(*text, "0123456789");

	if (digits == 0 || digits > 10)
		return -1;
	for (size_t i = 0; i < digits; i++)
		n = n * 10 + ((*text)[i] - '0');
	*text += digits;
	return n <= INT_MAX ? (int)n : -1;
}

static int whole_number(const char *text)
{
	int n = text != NULL ? take_number(&text) : -1;

	return n >= 0 && *text == '\0' ? n : -1;
}

static void inherit_from_systemd(const struct listener_heritage *from,
    pid_t self)
{
	int n = whole_number(from->listen_fds);

	if (whole_number(from->listen_pid) != self || n < 0)
		return;		/* meant for somebody else */
	if (n > LISTENERS_MAX) {
		log_warn("listener.inherit", "LISTEN_FDS=%d want=\"%d at most\"",
		    n, LISTENERS_MAX);
		return;
	}
	for (int i = 0; i < n; i++)
		inherit(FIRST_FD + i, true, false);
}

static bool inherit_from_parent(const char *text)
{
	while (*text != '\0') {
		int fd = take_number(&text);
		bool is_lent = *text == 'k';

		text += is_lent ? 1 : 0;
		if (fd < 0 || (*text != ',' && *text != '\0'))
			return false;
		inherit(fd, is_lent, true);
		text += *text == ',' ? 1 : 0;
	}
	return true;
}

void listener_inherit(const struct listener_heritage *from, pid_t self)
{
	inherit_from_systemd(from, self);
	if (from->sockets != NULL && !inherit_from_parent(from->sockets))
		log_warn("listener.inherit", "err=\"no list of sockets: %s\"",
		    from->sockets);
}

/* The one for this address, if it was inherited. */
static struct listener *find_inherited(const union address *want)
{
	for (size_t i = 0; i < n_table; i++) {
		union address has;

		if (!table[i].is_open && address_of_fd(table[i].fd, &has) &&
		    is_same(want, &has))
			return &table[i];
	}
	return NULL;
}

/* A socket whose file was removed is out of reach: -1, and a new one must be made. */
static int take_inherited(const struct listen_options *o,
    const union address *want)
{
	struct listener *l = find_inherited(want);

	if (l == NULL)
		return -1;
	if (o->path != NULL && !l->is_lent &&
	    chmod(o->path, (mode_t)o->mode) != 0) {
		close(l->fd);
		drop(l);
		return -1;
	}
	l->is_open = true;
	log_info("listener.inherited", "address=\"%s\"", o->text);
	return l->fd;
}

/* ---- opened ---- */

/* A socket file that nobody answers on is left over from a crash. */
static void remove_stale(const union address *a, socklen_t len)
{
	struct stat st;
	int fd;

	if (stat(a->un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	/* Not blocking: a stopped process with a full backlog would hold us. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, &a->any, len) != 0 && errno == ECONNREFUSED)
		unlink(a->un.sun_path);
	close(fd);
}

static void set_listen_options(int fd, const union address *a)
{
	int on = 1;

	if (a->any.sa_family == AF_UNIX)
		return;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->any.sa_family == AF_INET6)	/* [::] is IPv6, 0.0.0.0 IPv4 */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
}

/* A listening socket, or -errno. */
static int listen_on(const struct listen_options *l, const union address *a,
    socklen_t len)
{
	int fd = socket(a->any.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (l->path != NULL)
		remove_stale(a, len);
	set_listen_options(fd, a);
	if (bind(fd, &a->any, len) == 0 &&
	    (l->path == NULL || chmod(l->path, (mode_t)l->mode) == 0) &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int listener_open(const struct listen_options *l, struct fault *why)
{
	union address a;
	socklen_t len = address_of(l, &a);
	int fd;

	if (len == 0) {
		fault_setf(why, NULL, 0, "listen: %s is no address", l->text);
		fault_want(why, "IP:PORT, [IPv6]:PORT or unix:/path of at most "
		    "107 bytes");
		return -1;
	}
	fd = take_inherited(l, &a);
	if (fd >= 0)
		return fd;
	fd = n_table < LISTENERS_MAX ? listen_on(l, &a, len) : -EMFILE;
	if (fd < 0) {
		fault_setf(why, NULL, 0, "listen: %s: %s", l->text,
		    strerror(-fd));
		fault_want(why,
		    "an address that is ours and that nobody listens on");
		return -1;
	}
	table[n_table++] = (struct listener){ .fd = fd, .is_open = true };
	return fd;
}

/* ---- closed, or handed on ---- */

static void close_one(struct listener *l)
{
	union address a;

	if (!l->is_lent && !l->is_shared && address_of_fd(l->fd, &a) &&
	    a.any.sa_family == AF_UNIX && a.un.sun_path[0] != '\0')
		unlink(a.un.sun_path);
	close(l->fd);
	drop(l);
}

void listener_close(int fd)
{
	struct listener *l = find_fd(fd);

	must(l != NULL && l->is_open);
	close_one(l);
}

void listener_close_unused(void)
{
	for (size_t i = n_table; i-- > 0;) {
		char text[ADDRESS_TEXT_MAX];
		union address a = { .any.sa_family = AF_UNSPEC };

		if (table[i].is_open)
			continue;
		address_of_fd(table[i].fd, &a);
		log_warn("listener.unused", "address=\"%s\" want=\"a line for it "
		    "under listen\"", text_of(&a, text));
		close_one(&table[i]);
	}
}

static void set_shared(bool is_shared)
{
	for (size_t i = 0; i < n_table; i++)
		table[i].is_shared = is_shared;
}

void listener_share(void)
{
	set_shared(true);
}

void listener_unshare(void)
{
	set_shared(false);
}

size_t listener_list(int fds[LISTENERS_MAX])
{
	for (size_t i = 0; i < n_table; i++)
		fds[i] = table[i].fd;
	return n_table;
}

const char *listener_text(char out[LISTENERS_TEXT_MAX])
{
	int n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n_table; i++)
		n += snprintf(out + n, LISTENERS_TEXT_MAX - (size_t)n, "%s%d%s",
		    i > 0 ? "," : "", table[i].fd, table[i].is_lent ? "k" : "");
	return out;
}
