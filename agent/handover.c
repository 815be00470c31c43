/*
 * handover.c - one message a connection, its descriptor beside it
 *
 * The old process's workers send, the new one's main thread receives. The socket keeps
 * the borders of messages, so that many threads may send and nothing must be put
 * together again.
 */
#include "handover.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "peer.h"
#include "spop.h"

enum {
	MAGIC = 0x48505045,	/* "EPPH" */
	VERSION = 1,
	FIRST_FD = 3,		/* below are stdin, -out, -err */
	TAKES_PER_WAKEUP = 64,	/* then main looks at something else */
};

enum kind {
	KIND_READY = 1,		/* new to old: I take */
	KIND_CONNECTION = 2,	/* old to new, with a descriptor; bytes follow */
};

/* In front of each message. Both ends are on one machine: its own order of bytes. */
struct head {
	uint32_t magic;
	uint16_t version;
	uint16_t kind;
	uint32_t max_frame;
};

/* Room for one descriptor, aligned as the kernel wants it. */
union ancillary {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

struct handover {
	int fd;
	bool is_awaited;
	_Atomic unsigned n_given;

	/* The new process's. */
	struct ev_loop *loop;		/* NULL: not begun */
	ev_io io;
	handover_f *on_handed;
	void *data;
	unsigned n_taken, n_lost;
	uint8_t bytes[HANDOVER_BYTES_MAX];
};

static struct log_gate lost_gate;

static struct head head_of(enum kind kind, uint32_t max_frame)
{
	return (struct head){ .magic = MAGIC, .version = VERSION,
		.kind = (uint16_t)kind, .max_frame = max_frame };
}

static bool is_head(const struct head *h, enum kind kind)
{
	return h->magic == MAGIC && h->version == VERSION && h->kind == kind;
}

static struct handover *handover_new(int fd)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (h != NULL)
		h->fd = fd;
	return h;
}

/* ---- giving ---- */

struct handover *handover_open(int *theirs)
{
	struct handover *h;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return NULL;
	h = handover_new(pair[0]);
	if (h == NULL) {
		close(pair[0]);
		close(pair[1]);
		errno = ENOMEM;
		return NULL;
	}
	*theirs = pair[1];
	return h;
}

bool handover_is_awaited(struct handover *h)
{
	char said[sizeof(struct head) + 1];	/* one more: too long is seen */
	struct head head;
	ssize_t n;

	if (h->is_awaited)
		return true;
	n = recv(h->fd, said, sizeof(said), MSG_DONTWAIT);
	if (n == sizeof(head)) {
		memcpy(&head, said, sizeof(head));
		h->is_awaited = is_head(&head, KIND_READY);
	}
	return h->is_awaited;
}

/* What passes when the other side has taken some, and what does not. */
static int why_not(int err)
{
	switch (err) {
	case EINTR:
	case ENOBUFS:
	case ENOMEM:
	case ETOOMANYREFS:	/* descriptors that are under way, of this user */
		return -EAGAIN;
	default:
		return -err;
	}
}

int handover_give(struct handover *h, int fd, uint32_t max_frame,
    struct span bytes)
{
	struct head head = head_of(KIND_CONNECTION, max_frame);
	struct iovec iov[] = { { &head, sizeof(head) },
		{ (void *)(uintptr_t)bytes.ptr, bytes.len } };
	union ancillary a = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	const struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2,
		.msg_control = a.bytes, .msg_controllen = sizeof(a.bytes) };

	if (bytes.len > HANDOVER_BYTES_MAX)
		return -EMSGSIZE;
	memcpy(CMSG_DATA(&a.head), &fd, sizeof(fd));
	if (sendmsg(h->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return why_not(errno);
	atomic_fetch_add(&h->n_given, 1);
	return 0;
}

/* ---- taking ---- */

void handed_free(struct handed *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static int int_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value :
	    -1;
}

/* A number out of the environment may be anything's: whose pair is it? */
static bool is_made_by(int fd, pid_t from)
{
	struct ucred maker = { 0 };
	socklen_t len = sizeof(maker);

	return int_option(fd, SO_DOMAIN) == AF_UNIX &&
	    int_option(fd, SO_TYPE) == SOCK_SEQPACKET &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &len) == 0 &&
	    maker.pid == from;
}

struct handover *handover_inherit(int fd, pid_t from)
{
	struct handover *h;

	if (fd < FIRST_FD || from <= 0 || !is_made_by(fd, from) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
		log_warn("handover.inherit", "fd=%d err=\"no socket of process "
		    "%d\"", fd, (int)from);
		return NULL;
	}
	h = handover_new(fd);
	if (h == NULL)
		close(fd);
	return h;
}

/* There is room for one only: what else came the kernel has closed. */
static int descriptor_of(struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static bool is_connection(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return int_option(fd, SO_TYPE) == SOCK_STREAM &&
	    int_option(fd, SO_ACCEPTCONN) == 0 && flags >= 0 &&
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool is_size(uint32_t max_frame)
{
	return max_frame == 0 ||
	    (max_frame >= SPOP_MIN_FRAME && max_frame <= PEER_MAX_FRAME);
}

/* Why a message of `n` bytes brings us nothing; NULL: it does. */
static const char *fault_of(const struct msghdr *m, size_t n, int fd)
{
	const struct head *head = m->msg_iov[0].iov_base;

	if (n < sizeof(*head) || (m->msg_flags & MSG_TRUNC) != 0 ||
	    !is_head(head, KIND_CONNECTION) || !is_size(head->max_frame))
		return "no message of ours";
	if (fd < 0)
		return "no descriptor came with it: too many open (LimitNOFILE)?";
	if ((m->msg_flags & MSG_CTRUNC) != 0 || !is_connection(fd))
		return "no connection";
	return NULL;
}

static void lose(struct handover *h, int fd, const char *because)
{
	uint32_t held;

	if (fd >= 0)
		close(fd);
	h->n_lost++;
	if (log_gate_open(&lost_gate, clock_ms(), &held))
		log_warn("handover.lost", "err=\"%s\" held_back=%u", because,
		    held);
}

static void pass_on(struct handover *h, int fd, uint32_t max_frame, size_t len)
{
	struct handed *c = malloc(sizeof(*c) + len);

	if (c == NULL) {
		lose(h, fd, "no memory");
		return;
	}
	*c = (struct handed){ .fd = fd, .max_frame = max_frame, .len = len };
	memcpy(c->bytes, h->bytes, len);
	h->n_taken++;
	h->on_handed(h->data, c);
}

enum took { TOOK_ONE, TOOK_NONE, TOOK_LAST };

static enum took take_one(struct handover *h)
{
	struct head head = { 0 };
	struct iovec iov[] = { { &head, sizeof(head) },
		{ h->bytes, sizeof(h->bytes) } };
	union ancillary a;
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2,
		.msg_control = a.bytes,
		.msg_controllen = CMSG_LEN(sizeof(int)) };
	ssize_t n = recvmsg(h->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const char *fault;
	int fd;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? TOOK_NONE : TOOK_LAST;
	fd = descriptor_of(&m);
	if (n == 0 && fd < 0)
		return TOOK_LAST;
	fault = fault_of(&m, (size_t)n, fd);
	if (fault != NULL)
		lose(h, fd, fault);
	else
		pass_on(h, fd, head.max_frame, (size_t)n - sizeof(head));
	return TOOK_ONE;
}

static void stop_taking(struct handover *h)
{
	if (h->loop == NULL)
		return;
	ev_io_stop(h->loop, &h->io);
	h->loop = NULL;
	log_info("handover.taken", "connections=%u lost=%u", h->n_taken,
	    h->n_lost);
}

static void on_message(EV_P_ ev_io *io, int revents)
{
	struct handover *h = io->data;
	enum took took = TOOK_ONE;

	(void)loop;
	(void)revents;
	for (int i = 0; i < TAKES_PER_WAKEUP && took == TOOK_ONE; i++)
		took = take_one(h);
	if (took == TOOK_LAST)
		stop_taking(h);
}

void handover_take(struct handover *h, struct ev_loop *loop,
    handover_f *on_handed, void *data)
{
	const struct head ready = head_of(KIND_READY, 0);

	h->loop = loop;
	h->on_handed = on_handed;
	h->data = data;
	ev_io_init(&h->io, on_message, h->fd, EV_READ);
	h->io.data = h;
	ev_io_start(loop, &h->io);
	/* If it has gone the loop finds the end of the stream. */
	(void)send(h->fd, &ready, sizeof(ready), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- both ---- */

void handover_close(struct handover *h)
{
	if (h == NULL)
		return;
	stop_taking(h);
	if (h->is_awaited)
		log_info("handover.given", "connections=%u",
		    atomic_load(&h->n_given));
	close(h->fd);
	free(h);
}
