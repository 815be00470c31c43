#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fault.h"
#include "listener.h"
#include "log.h"
#include "options.h"

enum { SELF = 4711 };		/* our pid, as far as these tests go */

static char directory[64], path[96];

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static int bound_to(const union address *a, socklen_t len)
{
	int fd = socket(a->any.sa_family, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, &a->any, len) != 0 || listen(fd, 8) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int on_v4(const char *host, uint16_t *port)
{
	union address a = { .v4 = { .sin_family = AF_INET,
		.sin_port = htons(*port) } };
	socklen_t len = sizeof(a.v4);
	int fd;

	inet_pton(AF_INET, host, &a.v4.sin_addr);
	fd = bound_to(&a, len);
	getsockname(fd, &a.any, &len);
	*port = ntohs(a.v4.sin_port);
	return fd;
}

static int on_v6(const char *host, uint16_t *port)
{
	union address a = { .v6 = { .sin6_family = AF_INET6 } };
	socklen_t len = sizeof(a.v6);
	int fd;

	inet_pton(AF_INET6, host, &a.v6.sin6_addr);
	fd = bound_to(&a, len);
	getsockname(fd, &a.any, &len);
	*port = ntohs(a.v6.sin6_port);
	return fd;
}

static int on_unix(const char *file)
{
	union address a = { .un = { .sun_family = AF_UNIX } };

	memcpy(a.un.sun_path, file, strlen(file));
	return bound_to(&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(file)));
}

static struct listen_options v4_at(const char *host, uint16_t port)
{
	return (struct listen_options){ .text = host, .host = host,
		.port = port };
}

static struct listen_options unix_at(const char *file)
{
	return (struct listen_options){ .text = file, .path = file,
		.mode = 0600 };
}

static int open_good(const struct listen_options *l)
{
	struct fault why = { 0 };
	char text[600];
	int fd = listener_open(l, &why);

	if (fd < 0)
		fail_msg("%s", fault_text(&why, text, sizeof(text)));
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static size_t n_known(void)
{
	int fds[LISTENERS_MAX];

	return listener_list(fds);
}

static void inherit_text(const char *sockets)
{
	listener_inherit(&(struct listener_heritage){ .sockets = sockets },
	    SELF);
}

/* As a parent hands it over; from then on it is the listener's. */
static void inherit_fd(int fd)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", fd);
	inherit_text(text);
}

/* ---- which one ---- */

static void test_an_inherited_socket_serves_its_address(void **state)
{
	uint16_t port = 0, port6 = 0;
	int v4 = on_v4("127.0.0.1", &port), v6 = on_v6("::1", &port6);
	int un = on_unix(path), had[] = { v4, un, v6 };
	const struct listen_options want[] = { v4_at("127.0.0.1", port),
		unix_at(path), v4_at("::1", port6) };
	char text[64];

	(void)state;
	snprintf(text, sizeof(text), "%d,%d", un, v4);
	inherit_text(text);
	if (v6 >= 0)		/* a machine with IPv6 */
		inherit_fd(v6);
	for (size_t i = 0; i < (v6 >= 0 ? 3 : 2); i++) {
		assert_int_equal(open_good(&want[i]), had[i]);
		assert_true(fcntl(had[i], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(had[i], F_GETFL) & O_NONBLOCK);
	}
	listener_close_unused();
	listener_unshare();
	for (size_t i = 0; i < (v6 >= 0 ? 3 : 2); i++)
		listener_close(had[i]);
	assert_int_equal(n_known(), 0);
}

/* Each of these differs from 127.0.0.1:port in one thing. */
static void test_another_address_is_another_socket(void **state)
{
	uint16_t port = 0, other = 0;
	int fd = on_v4("127.0.0.1", &port);
	int neighbour = on_v4("127.0.0.2", &other);
	struct listen_options want[] = { v4_at("127.0.0.2", port),
		v4_at("127.0.0.1", other), v4_at("::1", port), unix_at(path) };

	(void)state;
	inherit_fd(fd);
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		struct fault why = { 0 };
		int got = listener_open(&want[i], &why);

		assert_int_not_equal(got, fd);
		if (got >= 0)
			listener_close(got);
	}
	assert_true(is_open(fd));
	listener_close_unused();
	assert_false(is_open(fd));
	close(neighbour);
	assert_int_equal(access(path, F_OK), -1);
}

/* Nobody gets a socket that another one has. */
static void test_an_inherited_socket_is_given_once(void **state)
{
	uint16_t port = 0;
	int fd = on_v4("127.0.0.1", &port);
	struct listen_options want = v4_at("127.0.0.1", port);
	struct fault why = { 0 };

	(void)state;
	inherit_fd(fd);
	assert_int_equal(open_good(&want), fd);
	assert_int_equal(listener_open(&want, &why), -1);
	assert_true(why.is_set);
	listener_close(fd);
}

static void test_what_has_no_address_of_ours_matches_none(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} rows[] = { { "\0abstract", 9 }, { "", 0 } };
	struct listen_options want = unix_at(path);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		union address a = { .un = { .sun_family = AF_UNIX } };
		int fd, got;

		memcpy(a.un.sun_path, rows[i].name, rows[i].len);
		fd = bound_to(&a, (socklen_t)(offsetof(struct sockaddr_un,
		    sun_path) + rows[i].len));
		assert_true(fd >= 0);
		inherit_fd(fd);
		got = open_good(&want);
		assert_int_not_equal(got, fd);
		listener_close(got);
		listener_close_unused();
		assert_false(is_open(fd));
	}
}

/* A path of 108 bytes has no NUL: it must not pass for its first 107. */
static void test_a_path_without_nul_is_not_its_beginning(void **state)
{
	char file[109], shorter[108];
	struct listen_options want;
	int fd, got;

	(void)state;
	memset(file, 'x', sizeof(file));
	memcpy(file, directory, strlen(directory));
	file[strlen(directory)] = '/';
	file[108] = '\0';
	memcpy(shorter, file, 107);
	shorter[107] = '\0';
	fd = on_unix(file);
	assert_true(fd >= 0);
	inherit_fd(fd);
	want = unix_at(shorter);
	got = open_good(&want);
	assert_int_not_equal(got, fd);
	listener_close(got);
	listener_close_unused();
	assert_false(is_open(fd));
	assert_int_equal(unlink(file), 0);
}

static void test_a_socket_whose_file_is_gone_is_made_anew(void **state)
{
	struct listen_options want = unix_at(path);
	int fd = on_unix(path), got, client;
	union address to = { .un = { .sun_family = AF_UNIX } };

	(void)state;
	inherit_fd(fd);
	assert_int_equal(unlink(path), 0);
	got = open_good(&want);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(to.un.sun_path, path, strlen(path));
	assert_int_equal(connect(client, &to.any, sizeof(to.un)), 0);
	close(client);
	assert_int_equal(n_known(), 1);
	listener_close(got);
}

static void test_an_inherited_file_has_the_mode_of_now(void **state)
{
	struct listen_options want = unix_at(path);
	struct stat st;
	int fd = on_unix(path);

	(void)state;
	inherit_fd(fd);
	want.mode = 0620;
	assert_int_equal(open_good(&want), fd);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0620);
	listener_unshare();
	listener_close(fd);
}

/* ---- what the environment may say ---- */

static void test_nonsense_is_inherited_by_nobody(void **state)
{
	static const char *const texts[] = {
		"", ",", "k", "x", "-1", "+4", " 4", "0,1,2", "0x5", "1e3",
		"99999999999999999999", "4294967299", "2147483648",
		"2147483647", "777777", "3k3", ",,,", "5;6", "%d%s%n",
	};
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		inherit_text(texts[i]);
		assert_int_equal(n_known(), 0);
	}
	inherit_fd(pipes[0]);
	assert_int_equal(n_known(), 0);
	listener_close_unused();
	assert_true(is_open(pipes[0]) && is_open(0) && is_open(1) && is_open(2));
	close(pipes[0]);
	close(pipes[1]);
}

/* Bound, connected, and a datagram's: each is a socket, and none listens. */
static void test_only_what_listens_is_taken(void **state)
{
	int pair[2], udp = socket(AF_INET, SOCK_DGRAM, 0);
	int idle = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	inherit_fd(udp);
	inherit_fd(idle);
	inherit_fd(pair[0]);
	assert_int_equal(n_known(), 0);
	assert_int_equal(fcntl(pair[0], F_GETFD) & FD_CLOEXEC, 0);
	assert_int_equal(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
	close(pair[0]);
	close(pair[1]);
	close(udp);
	close(idle);
}

/* "7,8k,9" and each of its beginnings, each number listening or not. */
static void test_every_truncation_is_safe(void **state)
{
	uint16_t ports[3] = { 0 };
	int fds[3];
	char whole[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		fds[i] = on_v4("127.0.0.1", &ports[i]);
	snprintf(whole, sizeof(whole), "%d,%dk,%d", fds[0], fds[1], fds[2]);
	for (n = 0; n <= strlen(whole); n++) {
		char cut[64];
		size_t had = n_known();

		snprintf(cut, sizeof(cut), "%.*s", (int)n, whole);
		inherit_text(cut);
		assert_in_range(n_known(), had, 3);	/* none twice */
	}
	assert_int_equal(n_known(), 3);
	listener_close_unused();
	assert_int_equal(n_known(), 0);
	for (size_t i = 0; i < 3; i++)
		assert_false(is_open(fds[i]));
}

/* What we write for a child is what it reads. */
static void test_the_text_for_a_child_says_what_we_have(void **state)
{
	char whole[64], text[LISTENERS_TEXT_MAX];
	uint16_t ports[2] = { 0 };
	int a = on_v4("127.0.0.1", &ports[0]), b = on_v4("127.0.0.1", &ports[1]);

	(void)state;
	assert_string_equal(listener_text(text), "");
	snprintf(whole, sizeof(whole), "%dk,%d", a, b);
	inherit_text(whole);
	assert_string_equal(listener_text(text), whole);
	listener_close_unused();
	assert_string_equal(listener_text(text), "");
}

static void test_more_than_fit_are_left_alone(void **state)
{
	int fds[LISTENERS_MAX + 1];
	char text[LISTENERS_TEXT_MAX];
	struct listen_options want = unix_at(path);
	struct fault why = { 0 };

	(void)state;
	for (size_t i = 0; i <= LISTENERS_MAX; i++) {
		uint16_t port = 0;

		fds[i] = on_v4("127.0.0.1", &port);
		inherit_fd(fds[i]);
	}
	assert_int_equal(n_known(), LISTENERS_MAX);
	assert_true(strlen(listener_text(text)) < sizeof(text) - 1);
	assert_int_equal(listener_open(&want, &why), -1);
	assert_true(why.is_set);
	listener_close_unused();
	assert_true(is_open(fds[LISTENERS_MAX]));
	close(fds[LISTENERS_MAX]);
}

/* ---- systemd ---- */

static void from_systemd(const char *pid, const char *fds)
{
	listener_inherit(&(struct listener_heritage){ .listen_pid = pid,
		.listen_fds = fds }, SELF);
}

/* systemd's numbers begin at 3: `fd` is put there, and what was there put back. */
static void test_systemd_sockets_are_for_the_pid_they_name(void **state)
{
	static const struct {
		const char *pid, *fds;
		size_t n;
	} rows[] = {
		{ NULL, "1", 0 }, { "4711", NULL, 0 }, { "4712", "1", 0 },
		{ "", "1", 0 }, { "4711", "", 0 }, { "4711 ", "1", 0 },
		{ "4711", "-1", 0 }, { "4711", "1x", 0 },
		{ "4711", "99999999999", 0 }, { "4711", "0", 0 },
		{ "4711", "2147483647", 0 }, { "4711", "257", 0 },
		{ "4711", "1", 1 },
	};
	int saved = fcntl(3, F_DUPFD_CLOEXEC, 100);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct listen_options want = unix_at(path);
		int fd = on_unix(path);

		if (fd != 3) {
			assert_int_equal(dup2(fd, 3), 3);
			close(fd);
		}
		from_systemd(rows[i].pid, rows[i].fds);
		assert_int_equal(n_known(), rows[i].n);
		if (rows[i].n == 1) {
			assert_int_equal(open_good(&want), 3);
			listener_close(3);
		}
		close(3);
		assert_int_equal(unlink(path), 0);	/* it is systemd's */
	}
	if (saved >= 0) {
		dup2(saved, 3);
		close(saved);
	}
}

/* ---- whose file ---- */

static void expect_file(bool is_there)
{
	assert_int_equal(access(path, F_OK), is_there ? 0 : -1);
	unlink(path);
}

static void test_a_file_goes_with_the_last_who_has_it(void **state)
{
	struct listen_options want = unix_at(path);

	(void)state;
	listener_close(open_good(&want));
	expect_file(false);

	/* A child has it, too. */
	int fd = open_good(&want);
	listener_share();
	listener_close(fd);
	expect_file(true);

	/* It had it, and is gone. */
	fd = open_good(&want);
	listener_share();
	listener_unshare();
	listener_close(fd);
	expect_file(false);
}

static void test_an_heir_owns_the_file_once_it_took_over(void **state)
{
	struct listen_options want = unix_at(path);
	int fd = on_unix(path);

	(void)state;
	inherit_fd(fd);			/* told to stop before it was ready */
	assert_int_equal(open_good(&want), fd);
	listener_close(fd);
	expect_file(true);

	fd = on_unix(path);
	inherit_fd(fd);
	assert_int_equal(open_good(&want), fd);
	listener_unshare();
	listener_close(fd);
	expect_file(false);

	fd = on_unix(path);		/* no longer configured */
	inherit_fd(fd);
	listener_unshare();
	listener_close_unused();
	expect_file(false);
}

/* However often it is handed on, systemd's file stays systemd's. */
static void test_a_lent_file_stays(void **state)
{
	struct listen_options want = unix_at(path);
	char text[16];
	int fd = on_unix(path);

	(void)state;
	snprintf(text, sizeof(text), "%dk", fd);
	inherit_text(text);
	assert_int_equal(open_good(&want), fd);
	listener_unshare();
	listener_close(fd);
	expect_file(true);

	fd = on_unix(path);
	snprintf(text, sizeof(text), "%dk", fd);
	inherit_text(text);
	listener_unshare();
	listener_close_unused();
	expect_file(true);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	snprintf(directory, sizeof(directory), "/tmp/test_listener.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return n_known() == 0 ? rmdir(directory) : -1;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_an_inherited_socket_serves_its_address),
		unit(test_another_address_is_another_socket),
		unit(test_an_inherited_socket_is_given_once),
		unit(test_what_has_no_address_of_ours_matches_none),
		unit(test_a_path_without_nul_is_not_its_beginning),
		unit(test_a_socket_whose_file_is_gone_is_made_anew),
		unit(test_an_inherited_file_has_the_mode_of_now),
		unit(test_nonsense_is_inherited_by_nobody),
		unit(test_only_what_listens_is_taken),
		unit(test_every_truncation_is_safe),
		unit(test_the_text_for_a_child_says_what_we_have),
		unit(test_more_than_fit_are_left_alone),
		unit(test_systemd_sockets_are_for_the_pid_they_name),
		unit(test_a_file_goes_with_the_last_who_has_it),
		unit(test_an_heir_owns_the_file_once_it_took_over),
		unit(test_a_lent_file_stays),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
