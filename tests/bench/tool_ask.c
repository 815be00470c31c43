/*
 * tool_ask.c - plays HAProxy: asks an agent over one SPOP connection
 *
 *	tool_ask PORT POOL N PROMPT_BYTES PIPELINE
 *
 * N asks with prompts that are all different, PIPELINE of them under way at a time.
 * Prints asks per second and how many named an endpoint. For filling a prefix index,
 * and for the agent's own throughput without a proxy in the way.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "must.h"
#include "rng.h"
#include "spop.h"

enum { FRAME_MAX_BYTES = 65532, OUT_BYTES = 4 << 20, IN_BYTES = 1 << 20 };

static uint8_t out_bytes[OUT_BYTES], in_bytes[IN_BYTES];

static int connect_to(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (void *)&a, sizeof(a)) != 0) {
		perror("tool_ask");
		exit(EXIT_FAILURE);
	}
	return fd;
}

static void send_all(int fd, const struct writer *w)
{
	size_t len = writer_len(w), n = 0;

	must(!w->full);
	while (n < len) {
		ssize_t sent = send(fd, w->start + n, len - n, 0);

		if (sent <= 0) {
			perror("tool_ask: send");
			exit(EXIT_FAILURE);
		}
		n += (size_t)sent;
	}
}

static void put_arg(struct writer *w, const char *key, struct spop_data value)
{
	spop_write_arg(w, span_of(key), &value);
}

static void put_hello(struct writer *w)
{
	size_t begun = spop_begin(w, SPOP_HAPROXY_HELLO, 0, 0);

	put_arg(w, "supported-versions", spop_string(span_of("2.0")));
	put_arg(w, "max-frame-size", spop_uint32(FRAME_MAX_BYTES));
	put_arg(w, "capabilities", spop_string(span_of("pipelining")));
	spop_end(w, begun);
}

static void put_ask(struct writer *w, const char *pool, uint64_t id,
    size_t prompt_bytes, struct rng *rng)
{
	static char body[FRAME_MAX_BYTES];
	int n = snprintf(body, sizeof(body), "{\"model\":\"m\",\"prompt\":\"");
	size_t begun = spop_begin(w, SPOP_NOTIFY, id, 1), len = (size_t)n;

	while (len + 32 < sizeof(body) && len < prompt_bytes + (size_t)n)
		len += (size_t)snprintf(body + len, 32, "%016llx",
		    (unsigned long long)rng_next(rng));
	len += (size_t)snprintf(body + len, 16, "\"}");
	spop_write_message(w, span_of("pick"), 5);
	put_arg(w, "pool", spop_string(span_of(pool)));
	put_arg(w, "method", spop_string(span_of("POST")));
	put_arg(w, "path", spop_string(span_of("/v1/completions")));
	put_arg(w, "body", spop_binary((struct span){ body, len }));
	put_arg(w, "body_len", spop_int((int64_t)len));
	spop_end(w, begun);
}

/* Reads until `n` frames of `type` have come; counts SET-VAR ep among them. */
static size_t read_frames(int fd, uint8_t type, size_t n)
{
	static size_t kept;
	size_t with_ep = 0;

	while (n > 0) {
		ssize_t got = recv(fd, in_bytes + kept, IN_BYTES - kept, 0);
		struct span in = { (char *)in_bytes, kept + (size_t)got };
		struct spop_frame f;
		size_t used;

		if (got <= 0) {
			fprintf(stderr, "tool_ask: the agent closed\n");
			exit(EXIT_FAILURE);
		}
		while (spop_decode(in, FRAME_MAX_BYTES, &f, &used) == SPOP_OK) {
			n -= f.type == type;
			with_ep += memmem(f.payload.at, reader_left(&f.payload),
			    "\x02" "ep\x08", 4) != NULL;
			in.ptr += used;
			in.len -= used;
		}
		kept = in.len;
		memmove(in_bytes, in.ptr, in.len);
	}
	return with_ep;
}

int main(int argc, char **argv)
{
	struct rng rng = { .state = 7 };
	struct writer w = writer_over(out_bytes, sizeof(out_bytes));
	size_t n, pipeline, prompt, named = 0;
	int64_t from;
	int fd;

	if (argc != 6) {
		fprintf(stderr, "usage: tool_ask PORT POOL N PROMPT_BYTES "
		    "PIPELINE\n");
		return EXIT_FAILURE;
	}
	n = strtoul(argv[3], NULL, 10);
	prompt = strtoul(argv[4], NULL, 10);
	pipeline = strtoul(argv[5], NULL, 10);
	fd = connect_to(argv[1]);
	put_hello(&w);
	send_all(fd, &w);
	(void)read_frames(fd, SPOP_AGENT_HELLO, 1);
	from = clock_us();
	for (size_t i = 0; i < n; i += pipeline) {
		size_t k = n - i < pipeline ? n - i : pipeline;

		writer_rewind(&w, 0);
		for (size_t j = 0; j < k; j++)
			put_ask(&w, argv[2], i + j + 1, prompt, &rng);
		send_all(fd, &w);
		named += read_frames(fd, SPOP_ACK, k);
	}
	printf("asks %zu named %zu us_per_ask %.1f\n", n, named,
	    (double)(clock_us() - from) / (double)n);
	close(fd);
	return EXIT_SUCCESS;
}
