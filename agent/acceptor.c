/*
 * acceptor.c - connections go round the workers
 */
#include "acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doors.h"
#include "fault.h"
#include "worker.h"

struct acceptor {
	struct worker **workers;
	size_t n_workers, next;
	struct doors *doors;
};

static void give(int fd, void *data)
{
	struct acceptor *a = data;
	int on = 1;

	/* Small answers, no waiting. Fails on unix sockets, which never wait. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	for (size_t i = 0; i < a->n_workers; i++) {
		a->next = (a->next + 1) % a->n_workers;
		if (worker_adopt(a->workers[a->next], fd) == 0)
			return;
	}
	close(fd);	/* every mailbox is full; HAProxy fails over at once */
}

struct acceptor *acceptor_open(struct ev_loop *loop,
    const struct listen_options *listens, size_t n_listens,
    struct fault *why)
{
	struct acceptor *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		fault_set(why, NULL, 0, "no memory", NULL);
		return NULL;
	}
	a->doors = doors_open(loop, listens, n_listens, "acceptor.accept", give,
	    a, why);
	if (a->doors != NULL)
		return a;
	free(a);
	return NULL;
}

void acceptor_start(struct acceptor *a, struct worker **workers,
    size_t n_workers)
{
	a->workers = workers;
	a->n_workers = n_workers;
	doors_start(a->doors);
}

void acceptor_close(struct acceptor *a)
{
	if (a == NULL)
		return;
	doors_close(a->doors);
	free(a);
}
