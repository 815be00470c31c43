/*
 * runtime.c - one connection a command
 */
#include "runtime.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum {
	TIMEOUT_MS = 5000,
	ANSWER_MAX_BYTES = 512 << 20,
	POLL_EVERY_MS = 10,
	MASTER_ABSENT_MS = 2000,
	MASTER_BUSY_MS = 1000,
};

void runtime_init(struct runtime *r, const char *socket, const char *master)
{
	*r = (struct runtime){ .socket = socket, .master = master,
		.timeout_ms = TIMEOUT_MS };
	buf_init(&r->answer, ANSWER_MAX_BYTES);
}

void runtime_fini(struct runtime *r)
{
	buf_fini(&r->answer);
}

static int open_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, err;

	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int wait_for(int fd, short events, int64_t until_ms)
{
	int64_t left = until_ms - clock_ms();
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	if (left <= 0)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)left);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

static int send_all(int fd, const char *bytes, size_t len, int64_t until_ms)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN || errno == EINTR) {
			int err = wait_for(fd, POLLOUT, until_ms);

			if (err != 0)
				return err;
		} else {
			return -errno;
		}
	}
	return 0;
}

/* Of an answer as far as it has come. */
typedef bool enough_f(const struct buf *answer);

static int receive(int fd, struct buf *answer, enough_f *is_enough,
    int64_t until_ms)
{
	char bytes[65536];

	for (;;) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
		int err;

		if (n == 0)
			return buf_failed(answer) ? -EMSGSIZE : 0;
		if (n > 0) {
			buf_put(answer, bytes, (size_t)n);
			if (is_enough != NULL && is_enough(answer))
				return 0;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		err = wait_for(fd, POLLIN, until_ms);
		if (err != 0)
			return err;
	}
}

/* Until it is closed, or enough. */
static int converse(struct runtime *r, const char *path, const char *command,
    size_t len, enough_f *is_enough)
{
	int64_t until = clock_ms() + r->timeout_ms;
	int fd = open_socket(path), err;

	buf_clear(&r->answer);
	r->said[0] = '\0';
	if (fd < 0) {
		snprintf(r->said, sizeof(r->said), "%s: %s", path,
		    strerror(-fd));
		return fd;
	}
	err = send_all(fd, command, len, until);
	if (err == 0)
		err = receive(fd, &r->answer, is_enough, until);
	close(fd);
	buf_put(&r->answer, "", 1);
	if (err != 0)
		snprintf(r->said, sizeof(r->said), "%s: %s", path,
		    strerror(-err));
	return err;
}

int runtime_ask(struct runtime *r, const char *command, size_t len)
{
	return converse(r, r->socket, command, len, NULL);
}

/* ---- silence means consent ----------------------------------------------- */

static const char *const consents[] = {
	"New server registered.", "Server deleted.", "Done.",
};

static bool is_consent(const char *line, size_t len)
{
	for (size_t i = 0; i < sizeof(consents) / sizeof(*consents); i++)
		if (strlen(consents[i]) == len &&
		    memcmp(consents[i], line, len) == 0)
			return true;
	return len == 0;
}

int runtime_do(struct runtime *r, const char *command, size_t len)
{
	int err = runtime_ask(r, command, len);
	const char *line, *end;

	if (err != 0)
		return err;
	for (line = r->answer.data; *line != '\0'; line = end) {
		size_t n = strcspn(line, "\n");

		end = line + n + (line[n] == '\n');
		if (is_consent(line, n))
			continue;
		snprintf(r->said, sizeof(r->said), "%.*s", (int)n, line);
		return -EPROTO;
	}
	return 0;
}

/* ---- who is there, and the next ------------------------------------------ */

static bool read_fact(const char *text, const char *name, char *out, size_t len)
{
	const char *at = text;
	size_t n = strlen(name);

	while (at != NULL) {
		if (strncmp(at, name, n) == 0 && at[n] == ':') {
			at += n + 1 + (at[n + 1] == ' ');
			snprintf(out, len, "%.*s", (int)strcspn(at, "\n"), at);
			return true;
		}
		at = strchr(at, '\n');
		if (at != NULL)
			at++;
	}
	return false;
}

int runtime_identify(struct runtime *r, int *pid,
    char description[RUNTIME_NAME_BYTES])
{
	static const char ask[] = "show info\n";
	char number[16];
	int err = runtime_ask(r, ask, sizeof(ask) - 1);

	if (err != 0)
		return err;
	if (!read_fact(r->answer.data, "Pid", number, sizeof(number)))
		return -EPROTO;
	*pid = (int)strtol(number, NULL, 10);
	if (!read_fact(r->answer.data, "description", description,
		RUNTIME_NAME_BYTES))
		description[0] = '\0';
	return 0;
}

static void pause_ms(int ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/*
 * Somebody else's, which says nothing of ours: while its worker begins no other may.
 * Then the connection may stay open for good.
 * Source: HAProxy since 3.1, src/mworker.c, cli_parse_reload().
 */
static bool is_reloading(const struct buf *answer)
{
	static const char busy[] = "Another reload is still in progress";

	return answer->len > 0 && memmem(answer->data, answer->len, busy,
	    sizeof(busy) - 1) != NULL;
}

static int ask_for_reload(struct runtime *r)
{
	static const char ask[] = "reload\n";
	int err = converse(r, r->master, ask, sizeof(ask) - 1, is_reloading);

	if (err != 0 || !is_reloading(&r->answer))
		return err;
	snprintf(r->said, sizeof(r->said), "another reload is in progress");
	return -EBUSY;
}

/* A master that has just started, or starts anew, does not listen for a moment. */
static int patience_ms(int err)
{
	return err == -EBUSY ? MASTER_BUSY_MS :
	    runtime_is_absent(err) ? MASTER_ABSENT_MS : 0;
}

/* `before` is the worker that ours is to follow. */
static int ask_until(struct runtime *r, int *before, int64_t until_ms)
{
	const int64_t began_ms = clock_ms();
	char name[RUNTIME_NAME_BYTES];

	for (;;) {
		int64_t left_ms;
		int err;

		runtime_identify(r, before, name);
		left_ms = until_ms - clock_ms();
		r->timeout_ms = left_ms > 0 ? (int)left_ms : 0;
		err = ask_for_reload(r);
		r->timeout_ms = TIMEOUT_MS;
		if (clock_ms() - began_ms >= patience_ms(err) ||
		    clock_ms() + POLL_EVERY_MS >= until_ms)
			return err;
		pause_ms(POLL_EVERY_MS);
	}
}

/*
 * Until 2.6 the master just closes the connection; later ones answer when it is
 * done: "Success=1", or "Success=0" and the log of the start.
 */
int runtime_reload(struct runtime *r, const char *description, int wait_ms)
{
	int64_t until = clock_ms() + wait_ms;
	char now[RUNTIME_NAME_BYTES];
	int err, before = 0, pid;

	if (r->master == NULL)
		return -ENOENT;
	err = ask_until(r, &before, until);
	if (err != 0)
		return err;
	if (strncmp(r->answer.data, "Success=0", 9) == 0) {
		snprintf(r->said, sizeof(r->said), "%s", r->answer.data);
		return -EPROTO;
	}
	do {
		if (runtime_identify(r, &pid, now) == 0 && pid != before &&
		    strcmp(now, description) == 0)
			return 0;
		pause_ms(POLL_EVERY_MS);
	} while (clock_ms() < until);
	snprintf(r->said, sizeof(r->said),
	    "no new worker within %d ms of a reload", wait_ms);
	return -ETIMEDOUT;
}
