/*
 * tool_lines.c - HAProxy's log by datagrams, a line each
 *
 *	tool_lines IP:PORT >FILE
 *
 * HAProxy may drop a line for stderr when two of its threads write at once; what it
 * sends by UDP on this machine arrives as long as somebody reads. Prints "ready" on
 * stderr once bound; ends on SIGTERM.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_BYTES = 64 << 10, SOCKET_BYTES = 4 << 20 };

static int bind_to(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	const char *colon = strchr(text, ':');
	char host[INET_ADDRSTRLEN] = "";
	int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = SOCKET_BYTES;

	if (colon != NULL && (size_t)(colon - text) < sizeof(host))
		memcpy(host, text, (size_t)(colon - text));
	if (colon == NULL || inet_pton(AF_INET, host, &a.sin_addr) != 1) {
		fprintf(stderr, "tool_lines: %s is not IP:PORT\n", text);
		exit(EXIT_FAILURE);
	}
	a.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (fd < 0 || bind(fd, (void *)&a, sizeof(a)) != 0) {
		perror("tool_lines");
		exit(EXIT_FAILURE);
	}
	return fd;
}

/* In one write, so that a reader of the file never sees half a line. */
static void put_line(const char *bytes, size_t len)
{
	if (write(STDOUT_FILENO, bytes, len) != (ssize_t)len) {
		perror("tool_lines");
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	static char bytes[LINE_BYTES + 1];
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: tool_lines IP:PORT >FILE\n");
		return EXIT_FAILURE;
	}
	fd = bind_to(argv[1]);
	fprintf(stderr, "ready\n");
	for (;;) {
		ssize_t n = recv(fd, bytes, LINE_BYTES, 0);

		if (n <= 0)
			continue;
		if (bytes[n - 1] != '\n')
			bytes[n++] = '\n';
		put_line(bytes, (size_t)n);
	}
}
