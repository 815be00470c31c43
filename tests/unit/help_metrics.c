#include "help_metrics.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "must.h"

enum { CLIENTS_MAX = 32, PAGE_MAX = 8192 };

struct help_metrics {
	pthread_t thread;
	uint16_t port;
	int stop[2];			/* a byte here ends the thread */
	size_t n_fds;
	struct pollfd fds[2 + CLIENTS_MAX];	/* stop, listener, clients */

	pthread_mutex_t lock;		/* guards what is said */
	int status;
	bool hang;
	char page[PAGE_MAX];
};

static int listen_on(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	must(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	must(listen(fd, CLIENTS_MAX) == 0);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	must(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	return ntohs(a.sin_port);
}

/* A scraper's request is one segment; its end is all we look for. */
static bool answer(struct help_metrics *m, int fd)
{
	char bytes[PAGE_MAX + 256];
	ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
	int n = 0;

	if (got <= 0)
		return false;
	pthread_mutex_lock(&m->lock);
	if (!m->hang)
		n = snprintf(bytes, sizeof(bytes), "HTTP/1.1 %d X\r\n"
		    "Content-Length: %zu\r\n\r\n%s", m->status,
		    strlen(m->page), m->page);
	pthread_mutex_unlock(&m->lock);
	return n == 0 || send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

static void drop(struct help_metrics *m, size_t i)
{
	close(m->fds[i].fd);
	m->fds[i] = m->fds[--m->n_fds];
}

static void *serve(void *arg)
{
	struct help_metrics *m = arg;

	while (poll(m->fds, m->n_fds, -1) > 0 && m->fds[0].revents == 0) {
		for (size_t i = m->n_fds; i-- > 2;)
			if (m->fds[i].revents != 0 && !answer(m, m->fds[i].fd))
				drop(m, i);
		if (m->fds[1].revents != 0) {
			must(m->n_fds < 2 + CLIENTS_MAX);
			m->fds[m->n_fds++] = (struct pollfd){
				.fd = accept(m->fds[1].fd, NULL, NULL),
				.events = POLLIN };
		}
	}
	return NULL;
}

struct help_metrics *help_metrics_start(uint16_t port)
{
	struct help_metrics *m = calloc(1, sizeof(*m));

	must(m != NULL && pipe(m->stop) == 0);
	m->status = 200;
	pthread_mutex_init(&m->lock, NULL);
	m->fds[0] = (struct pollfd){ .fd = m->stop[0], .events = POLLIN };
	m->fds[1] = (struct pollfd){ .fd = listen_on(port), .events = POLLIN };
	m->n_fds = 2;
	m->port = port_of(m->fds[1].fd);
	must(pthread_create(&m->thread, NULL, serve, m) == 0);
	return m;
}

uint16_t help_metrics_port(const struct help_metrics *m)
{
	return m->port;
}

void help_metrics_stop(struct help_metrics *m)
{
	must(write(m->stop[1], "", 1) == 1);
	pthread_join(m->thread, NULL);
	while (m->n_fds > 0)
		drop(m, 0);
	close(m->stop[1]);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void help_metrics_say(struct help_metrics *m, int status, const char *page)
{
	pthread_mutex_lock(&m->lock);
	m->status = status;
	snprintf(m->page, sizeof(m->page), "%s", page);
	pthread_mutex_unlock(&m->lock);
}

void help_metrics_set(struct help_metrics *m, unsigned queued, unsigned running,
    double kv_used)
{
	char page[512];

	snprintf(page, sizeof(page),
	    "# TYPE vllm:num_requests_waiting gauge\n"
	    "vllm:num_requests_waiting{model_name=\"m\"} %u.0\n"
	    "vllm:num_requests_running{model_name=\"m\"} %u.0\n"
	    "vllm:kv_cache_usage_perc{model_name=\"m\"} %f\n",
	    queued, running, kv_used);
	help_metrics_say(m, 200, page);
}

void help_metrics_hang(struct help_metrics *m, bool hang)
{
	pthread_mutex_lock(&m->lock);
	m->hang = hang;
	pthread_mutex_unlock(&m->lock);
}
