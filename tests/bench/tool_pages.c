/*
 * tool_pages.c - a thousand model servers' /metrics, and nothing else
 *
 *	tool_pages FIRST_PORT N PAGE_BYTES
 *
 * Each of N loopback ports answers any request with the same vLLM-like page in one
 * send(). As cheap as it can be, so that on two cores the scraper is what is measured.
 * Prints "ready" once it listens; ends on SIGTERM.
 */
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "must.h"

static struct buf answer;

static void make_answer(size_t page_bytes)
{
	struct buf page;

	buf_init(&page, 64 << 20);
	for (int i = 0; page.len < page_bytes; i++)
		buf_printf(&page, "vllm:time_to_first_token_seconds_bucket{"
		    "engine=\"0\",le=\"%d.0\",model_name=\"llama\"} %d.0\n",
		    i, 10 * i);
	buf_printf(&page, "# TYPE vllm:num_requests_running gauge\n"
	    "vllm:num_requests_running{engine=\"0\",model_name=\"llama\"} 3.0\n"
	    "vllm:num_requests_waiting{engine=\"0\",model_name=\"llama\"} 1.0\n"
	    "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"llama\"} 0.5\n");
	buf_init(&answer, 64 << 20);
	buf_printf(&answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; "
	    "version=0.0.4\r\nContent-Length: %zu\r\n\r\n", page.len);
	buf_put(&answer, page.data, page.len);
	must(!buf_failed(&answer));
	buf_fini(&page);
}

static void on_request(EV_P_ ev_io *io, int revents)
{
	char bytes[2048];

	(void)revents;
	if (recv(io->fd, bytes, sizeof(bytes), 0) > 0 &&
	    send(io->fd, answer.data, answer.len, MSG_NOSIGNAL) ==
	    (ssize_t)answer.len)
		return;
	ev_io_stop(EV_A_ io);
	close(io->fd);
	free(io);
}

static void on_connection(EV_P_ ev_io *listener, int revents)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	ev_io *io = calloc(1, sizeof(*io));
	int on = 1;

	(void)revents;
	if (fd < 0 || io == NULL) {
		free(io);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ev_io_init(io, on_request, fd, EV_READ);
	ev_io_start(EV_A_ io);
}

static void listen_on(struct ev_loop *loop, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
	ev_io *io = calloc(1, sizeof(*io));

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (io == NULL || bind(fd, (void *)&a, sizeof(a)) != 0 ||
	    listen(fd, 64) != 0) {
		perror("tool_pages");
		exit(EXIT_FAILURE);
	}
	ev_io_init(io, on_connection, fd, EV_READ);
	ev_io_start(loop, io);
}

int main(int argc, char **argv)
{
	struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
	struct rlimit limit;

	if (argc != 4) {
		fprintf(stderr, "usage: tool_pages FIRST_PORT N PAGE_BYTES\n");
		return EXIT_FAILURE;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	make_answer(strtoul(argv[3], NULL, 10));
	for (unsigned long i = 0; i < strtoul(argv[2], NULL, 10); i++)
		listen_on(loop, (uint16_t)(strtoul(argv[1], NULL, 10) + i));
	printf("ready\n");
	fflush(stdout);
	ev_run(loop, 0);
	return EXIT_SUCCESS;
}
