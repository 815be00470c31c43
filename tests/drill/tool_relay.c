/*
 * tool_relay.c - stands between HAProxy and an agent, and spoils what the agent says
 *
 *	tool_relay LISTEN_IP:PORT AGENT_IP:PORT
 *
 * Everything is passed on, until a line on stdin says otherwise:
 *
 *	pass		unspoilt; what was delayed comes at once
 *	delay MS	the agent's bytes come MS later
 *	garbage		other bytes come instead, as many
 *	scramble	the same, but for the five that begin each read: the length and the
 *			type of a frame are right, the rest of it is not
 *	half		the first half of a read, and nothing more on that connection
 *	refuse		nobody listens, and who is connected is cut off; pass listens again
 *	stall		the connections that are open get no more bytes, ever; new ones do
 *	cut		the connections that are open are closed
 *	hold N		N connections to the agent that never say a word; 0 lets them go
 *
 * The first six are modes, for all that is read from then on, on old connections too;
 * what one has suffered before, it keeps. HAProxy's own bytes are never touched.
 * Prints "ready" once it listens; ends with stdin. One thread, one poll().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "list.h"
#include "must.h"
#include "rng.h"

enum {
	PAIRS_MAX = 4096,
	HELD_MAX = 4096,
	READ_BYTES = 64 << 10,
	LANE_BYTES_MAX = 4 << 20,	/* under way one way; then no reading */
	LINE_BYTES = 64,
	FRAME_START_BYTES = 5,		/* length and type */
};

/* What was read at once; `at` of it is written. */
struct chunk {
	struct list link;
	int64_t due_us;
	size_t len, at;
	char bytes[];
};

struct lane {
	int from, to;
	struct list chunks;		/* of struct chunk, in order */
	size_t n_bytes;
	bool is_over;			/* `from` has said its last */
	bool is_stalled;		/* nothing passes any more, not even the end */
	bool is_blocked;		/* `to` takes nothing more for now */
};

/* A connection of HAProxy's, and ours to the agent for it. */
struct pair {
	struct list link;
	struct lane asks, answers;
	size_t slot;			/* in `polled`: HAProxy's, then the agent's */
};

enum mode { PASS, DELAY, GARBAGE, SCRAMBLE, HALF, REFUSE };

static const char *const mode_names[] = {
	[PASS] = "pass", [DELAY] = "delay", [GARBAGE] = "garbage",
	[SCRAMBLE] = "scramble", [HALF] = "half", [REFUSE] = "refuse",
};

enum { SLOT_STDIN, SLOT_LISTENER, SLOT_PAIRS, N_SLOTS = SLOT_PAIRS + 2 * PAIRS_MAX };

static struct sockaddr_in here, agent;
static enum mode mode;
static int64_t delay_us;
static int listener = -1;
static struct list pairs;
static size_t n_pairs, n_held;
static int held[HELD_MAX];
static struct pollfd polled[N_SLOTS];
static struct rng rng = { .state = 7 };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "tool_relay: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static struct sockaddr_in read_address(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	const char *colon = strchr(text, ':');
	char host[INET_ADDRSTRLEN] = "";

	if (colon != NULL && (size_t)(colon - text) < sizeof(host))
		memcpy(host, text, (size_t)(colon - text));
	if (colon == NULL || inet_pton(AF_INET, host, &a.sin_addr) != 1) {
		fprintf(stderr, "tool_relay: %s is not IP:PORT\n", text);
		exit(EXIT_FAILURE);
	}
	a.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	return a;
}

static void start_listening(void)
{
	int on = 1;

	if (listener >= 0)
		return;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (listener < 0)
		die("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (void *)&here, sizeof(here)) != 0 ||
	    listen(listener, 1024) != 0)
		die("listen");
}

/* Under way to the agent; whether it gets there is found out by reading. */
static int connect_agent(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (void *)&agent, sizeof(agent)) != 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static void lane_init(struct lane *l, int from, int to)
{
	*l = (struct lane){ .from = from, .to = to };
	list_init(&l->chunks);
}

static void lane_drop(struct lane *l)
{
	list_each(link, next, &l->chunks)
		free(list_entry(link, struct chunk, link));
	list_init(&l->chunks);
	l->n_bytes = 0;
}

static void pair_free(struct pair *p)
{
	lane_drop(&p->asks);
	lane_drop(&p->answers);
	close(p->asks.from);
	close(p->answers.from);
	list_remove(&p->link);
	free(p);
	n_pairs--;
}

static void on_connection(void)
{
	int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
	int server = client < 0 ? -1 : connect_agent();
	struct pair *p = n_pairs < PAIRS_MAX ? calloc(1, sizeof(*p)) : NULL;

	if (server < 0 || p == NULL) {
		if (client >= 0)
			close(client);
		if (server >= 0)
			close(server);
		free(p);
		return;
	}
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	lane_init(&p->asks, client, server);
	lane_init(&p->answers, server, client);
	list_append(&pairs, &p->link);
	n_pairs++;
}

static void randomize(char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)rng_next(&rng);
}

static void spoil(struct lane *l, struct chunk *c)
{
	size_t kept = c->len < FRAME_START_BYTES ? c->len : FRAME_START_BYTES;

	if (mode == DELAY)
		c->due_us += delay_us;
	else if (mode == GARBAGE)
		randomize(c->bytes, c->len);
	else if (mode == SCRAMBLE)
		randomize(c->bytes + kept, c->len - kept);
	else if (mode == HALF)
		c->len /= 2;
	l->is_stalled |= mode == HALF;
}

static void lane_put(struct lane *l, const char *bytes, size_t len,
    bool is_agents)
{
	struct chunk *c;

	if (l->is_stalled)
		return;
	c = calloc(1, sizeof(*c) + len);
	must(c != NULL);
	c->due_us = clock_us();
	c->len = len;
	memcpy(c->bytes, bytes, len);
	if (is_agents)
		spoil(l, c);
	l->n_bytes += c->len;
	list_append(&l->chunks, &c->link);
}

static void lane_read(struct lane *l, bool is_agents)
{
	static char bytes[READ_BYTES];
	ssize_t n = recv(l->from, bytes, sizeof(bytes), 0);

	if (n > 0)
		lane_put(l, bytes, (size_t)n, is_agents);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		l->is_over = true;
}

static struct chunk *lane_first(const struct lane *l)
{
	return list_is_empty(&l->chunks) ? NULL :
	    list_entry(l->chunks.next, struct chunk, link);
}

/* Writes what is due; false once nobody is there to take it. */
static bool lane_write(struct lane *l, int64_t now_us)
{
	struct chunk *c;

	while ((c = lane_first(l)) != NULL && c->due_us <= now_us) {
		ssize_t n = send(l->to, c->bytes + c->at, c->len - c->at,
		    MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		l->is_blocked = n < 0 && errno == EAGAIN;
		if (n < 0)
			return l->is_blocked;
		c->at += (size_t)n;
		l->n_bytes -= (size_t)n;
		if (c->at < c->len)
			continue;
		list_remove(&c->link);
		free(c);
	}
	return true;
}

static bool lane_is_done(const struct lane *l)
{
	return l->is_over && !l->is_stalled && list_is_empty(&l->chunks);
}

static bool has_come(const struct pair *p, size_t side)
{
	return p->slot != 0 && (polled[p->slot + side].revents &
	    (POLLIN | POLLHUP | POLLERR)) != 0;
}

/* A connection is as good as its worse half: who closes closes both. */
static void pair_work(struct pair *p, int64_t now_us)
{
	if (has_come(p, 0) && !p->asks.is_over)
		lane_read(&p->asks, false);
	if (has_come(p, 1) && !p->answers.is_over)
		lane_read(&p->answers, true);
	if (!lane_write(&p->asks, now_us) || !lane_write(&p->answers, now_us) ||
	    lane_is_done(&p->asks) || lane_is_done(&p->answers))
		pair_free(p);
}

static void cut(void)
{
	list_each(link, next, &pairs)
		pair_free(list_entry(link, struct pair, link));
}

static void stall(void)
{
	list_each(link, next, &pairs)
		list_entry(link, struct pair, link)->answers.is_stalled = true;
}

/* Who is late catches up. */
static void hurry(void)
{
	list_each(link, next, &pairs) {
		struct lane *l = &list_entry(link, struct pair, link)->answers;

		list_each(at, after, &l->chunks)
			list_entry(at, struct chunk, link)->due_us = 0;
	}
}

static void stop_listening(void)
{
	if (listener >= 0)
		close(listener);
	listener = -1;
}

static void hold(size_t n)
{
	while (n_held > n)
		close(held[--n_held]);
	for (; n_held < n && n_held < HELD_MAX; n_held++)
		if ((held[n_held] = connect_agent()) < 0)
			return;
}

static bool set_mode(const char *word, unsigned long number)
{
	for (enum mode m = PASS; m <= REFUSE; m++) {
		if (strcmp(word, mode_names[m]) != 0)
			continue;
		mode = m;
		delay_us = (int64_t)number * 1000;
		return true;
	}
	return false;
}

static void enter_mode(void)
{
	if (mode == PASS)
		hurry();
	if (mode == REFUSE) {
		stop_listening();
		cut();
	} else {
		start_listening();
	}
}

static void obey(const char *line)
{
	char word[LINE_BYTES] = "";
	unsigned long number = 0;

	if (sscanf(line, "%63s %lu", word, &number) < 1)
		return;
	if (set_mode(word, number)) {
		enter_mode();
	} else if (strcmp(word, "stall") == 0) {
		stall();
	} else if (strcmp(word, "cut") == 0) {
		cut();
	} else if (strcmp(word, "hold") == 0) {
		hold(number);
	} else {
		fprintf(stderr, "tool_relay: %s?\n", word);
		exit(EXIT_FAILURE);
	}
}

/* Lines come whole: a short write to a pipe is one piece. */
static void on_stdin(void)
{
	char text[1024], *line = text, *end;
	ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);

	if (n <= 0)
		exit(EXIT_SUCCESS);
	text[n] = '\0';
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		obey(line);
	}
}

/* Negative file numbers are passed over by poll(), so closed ends cannot spin. */
static void watch_fd(size_t slot, int fd, bool reads, bool writes)
{
	polled[slot] = (struct pollfd){
		.fd = reads || writes ? fd : -1,
		.events = (short)((reads ? POLLIN : 0) |
		    (writes ? POLLOUT : 0)),
	};
}

static bool lane_wants_more(const struct lane *l)
{
	return !l->is_over && l->n_bytes < LANE_BYTES_MAX;
}

static int64_t lane_due(const struct lane *l)
{
	const struct chunk *c = lane_first(l);

	return c == NULL || l->is_blocked ? INT64_MAX : c->due_us;
}

static int64_t min_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Fills `polled`; the time at which a delayed chunk is due. */
static int64_t watch_all(size_t *n)
{
	int64_t due_us = INT64_MAX;

	watch_fd(SLOT_STDIN, STDIN_FILENO, true, false);
	watch_fd(SLOT_LISTENER, listener, listener >= 0, false);
	*n = SLOT_PAIRS;
	list_each(link, next, &pairs) {
		struct pair *p = list_entry(link, struct pair, link);

		p->slot = *n;
		*n += 2;
		watch_fd(p->slot, p->asks.from, lane_wants_more(&p->asks),
		    p->answers.is_blocked);
		watch_fd(p->slot + 1, p->answers.from,
		    lane_wants_more(&p->answers), p->asks.is_blocked);
		due_us = min_of(due_us, lane_due(&p->asks));
		due_us = min_of(due_us, lane_due(&p->answers));
	}
	return due_us;
}

static int wait_ms(int64_t due_us)
{
	int64_t left_us = due_us - clock_us();

	if (due_us == INT64_MAX)
		return -1;
	return left_us <= 0 ? 0 : (int)(left_us / 1000 + 1);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: tool_relay LISTEN_IP:PORT "
		    "AGENT_IP:PORT\n");
		return EXIT_FAILURE;
	}
	list_init(&pairs);
	here = read_address(argv[1]);
	agent = read_address(argv[2]);
	start_listening();
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		size_t n;
		int64_t due_us = watch_all(&n), now_us;

		if (poll(polled, n, wait_ms(due_us)) < 0 && errno != EINTR)
			die("poll");
		now_us = clock_us();
		list_each(link, next, &pairs)
			pair_work(list_entry(link, struct pair, link), now_us);
		if (polled[SLOT_STDIN].revents != 0)
			on_stdin();
		if (listener >= 0 && polled[SLOT_LISTENER].revents != 0)
			on_connection();
	}
}
