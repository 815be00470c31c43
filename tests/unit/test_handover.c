/* Both ends in one process, on one loop that the test turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "handover.h"
#include "log.h"
#include "peer.h"
#include "spop.h"

enum { WAIT_MS = 20000, GOT_MAX = 16, HEAD_BYTES = 12, THREADS = 4 };

static struct ev_loop *loop;
static struct handover *giver, *taker;
static struct handed *got[GOT_MAX];	/* the first of them; the rest is counted */
static size_t n_got, n_open_before;
static uint8_t pattern[HANDOVER_BYTES_MAX + 1];

static size_t count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void on_handed(void *data, struct handed *c)
{
	assert_ptr_equal(data, &loop);
	if (n_got < GOT_MAX)
		got[n_got] = c;
	else
		handed_free(c);
	n_got++;
}

static void forget_got(void)
{
	for (size_t i = 0; i < n_got && i < GOT_MAX; i++)
		handed_free(got[i]);
	n_got = 0;
}

/* True while somebody waits for something. */
static bool turn(void)
{
	return ev_run(loop, EVRUN_NOWAIT) != 0;
}

static void open_both(void)
{
	int theirs = -1;

	giver = handover_open(&theirs);
	assert_non_null(giver);
	taker = handover_inherit(theirs, getpid());
	assert_non_null(taker);
}

static void close_both(void)
{
	handover_close(giver);
	handover_close(taker);
	giver = taker = NULL;
}

static void take(void)
{
	handover_take(taker, loop, on_handed, &loop);
}

/* The taker of a socket into which the test writes what it likes. */
static int open_taker_alone(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	taker = handover_inherit(pair[1], getpid());
	assert_non_null(taker);
	return pair[0];
}

/* One end of a connection is HAProxy's, the other goes from hand to hand. */
static int connect_to(int *fd)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	*fd = pair[1];
	return pair[0];
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* The other end is closed everywhere, and nothing was said. */
static bool is_ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static int give(int fd, uint32_t max_frame, size_t len)
{
	return handover_give(giver, fd, max_frame,
	    (struct span){ (const char *)pattern, len });
}

/* ---- what goes over ---- */

static void expect_connected(int theirs, int ours)
{
	char word[4];

	assert_int_equal(send(theirs, "ask", 4, 0), 4);
	assert_int_equal(recv(ours, word, 4, MSG_DONTWAIT), 4);
	assert_string_equal(word, "ask");
	assert_int_equal(send(ours, "ack", 4, 0), 4);
	assert_int_equal(recv(theirs, word, 4, MSG_DONTWAIT), 4);
	assert_string_equal(word, "ack");
}

static void test_a_connection_arrives_with_all_that_is_said_of_it(void **state)
{
	static const uint32_t frames[] = { 0, SPOP_MIN_FRAME, 16380, 65532,
		PEER_MAX_FRAME };
	static const size_t lens[] = { 0, 1, 4, 1000, 16384,
		HANDOVER_BYTES_MAX };

	(void)state;
	open_both();
	take();
	for (size_t i = 0; i < 30; i++) {
		size_t len = lens[i % 6];
		int fd, haproxy = connect_to(&fd);

		assert_int_equal(give(fd, frames[i / 6], len), 0);
		close(fd);
		assert_false(is_ended(haproxy));	/* under way */
		turn();
		assert_int_equal(n_got, 1);
		assert_int_equal(got[0]->max_frame, frames[i / 6]);
		assert_int_equal(got[0]->len, len);
		assert_memory_equal(got[0]->bytes, pattern, len);
		assert_true(fcntl(got[0]->fd, F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(got[0]->fd, F_GETFL) & O_NONBLOCK);
		expect_connected(haproxy, got[0]->fd);
		forget_got();
		assert_true(is_ended(haproxy));
		close(haproxy);
	}
}

static void test_a_byte_too_many_does_not_go(void **state)
{
	int fd, haproxy = connect_to(&fd);

	(void)state;
	open_both();
	take();
	assert_int_equal(give(fd, 65532, HANDOVER_BYTES_MAX + 1), -EMSGSIZE);
	turn();
	assert_int_equal(n_got, 0);
	expect_connected(haproxy, fd);
	assert_int_equal(give(fd, 65532, HANDOVER_BYTES_MAX), 0);
	turn();
	assert_int_equal(n_got, 1);
	close(fd);
	close(haproxy);
}

/* Far more than the kernel keeps: whoever does not fit stays ours, and goes later. */
static void test_more_than_fits_goes_in_order_as_it_is_taken(void **state)
{
	enum { MANY = 3000 };
	uint32_t n = 0, n_taken = 0, n_refused = 0;
	int fd, haproxy = connect_to(&fd), err = 0;

	(void)state;
	open_both();
	take();
	while (n_taken < MANY) {
		while (n < MANY && (err = give(fd, 256 + n, 0)) == 0)
			n++;
		assert_true(n == MANY || err == -EAGAIN);
		n_refused += n < MANY ? 1 : 0;
		turn();
		assert_in_range(n_got, 1, 64);		/* main does more than this */
		for (size_t i = 0; i < n_got && i < GOT_MAX; i++)
			assert_int_equal(got[i]->max_frame, 256 + n_taken + i);
		n_taken += (uint32_t)n_got;
		forget_got();
	}
	assert_true(n_refused > 0);
	expect_connected(haproxy, fd);
	close(fd);
	assert_true(is_ended(haproxy));
	close(haproxy);
}

static void *give_many(void *arg)
{
	int64_t end = clock_ms() + WAIT_MS;

	for (int i = 0; i < 500 && clock_ms() < end;)
		if (give(*(int *)arg, 16380, (size_t)i) == 0)
			i++;
		else
			sched_yield();
	return NULL;
}

static void test_many_threads_may_give(void **state)
{
	int64_t end = clock_ms() + WAIT_MS;
	int fd, haproxy = connect_to(&fd);
	pthread_t threads[THREADS];

	(void)state;
	open_both();
	take();
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, give_many, &fd);
	while (n_got < THREADS * 500 && clock_ms() < end)
		turn();
	assert_int_equal(n_got, THREADS * 500);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	close(fd);
	close(haproxy);
}

/* ---- beginning and end ---- */

static void test_nothing_is_awaited_until_somebody_takes(void **state)
{
	(void)state;
	open_both();
	assert_false(handover_is_awaited(giver));
	take();
	assert_true(handover_is_awaited(giver));
	assert_true(handover_is_awaited(giver));
	close_both();
	open_both();
	handover_close(taker);		/* it ended before it was ready */
	taker = NULL;
	assert_false(handover_is_awaited(giver));
}

static void test_the_end_comes_behind_all_that_was_given(void **state)
{
	int fd, haproxy = connect_to(&fd);

	(void)state;
	open_both();
	take();
	assert_true(handover_is_awaited(giver));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(give(fd, 0, i), 0);
	close(fd);
	handover_close(giver);
	giver = NULL;
	assert_false(turn());
	assert_int_equal(n_got, 3);
	assert_false(turn());
	close(haproxy);
}

/* It had said that it takes, and the old process never heard it. */
static void test_one_that_ends_unheard_is_an_end_too(void **state)
{
	(void)state;
	open_both();
	take();
	handover_close(giver);
	giver = NULL;
	assert_false(turn());
	assert_int_equal(n_got, 0);
}

static void test_a_taker_that_is_gone_gets_nothing_more(void **state)
{
	int fds[3], haproxy[3], err;

	(void)state;
	open_both();
	take();
	assert_true(handover_is_awaited(giver));
	for (size_t i = 0; i < 3; i++)
		haproxy[i] = connect_to(&fds[i]);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(give(fds[i], 0, 0), 0);
		close(fds[i]);
	}
	handover_close(taker);
	taker = NULL;
	assert_true(is_ended(haproxy[0]) && is_ended(haproxy[1]));
	err = give(fds[2], 0, 0);
	assert_true(err == -EPIPE || err == -ECONNRESET);
	expect_connected(haproxy[2], fds[2]);
	for (size_t i = 0; i < 3; i++)
		close(haproxy[i]);
	close(fds[2]);
}

/* ---- those that are not what they should be ---- */

struct sent {
	uint8_t bytes[HEAD_BYTES + HANDOVER_BYTES_MAX + 1];
	size_t len;
	int fds[3];
	size_t n_fds;
};

static void send_raw(int to, const struct sent *s)
{
	struct iovec iov = { (void *)(uintptr_t)s->bytes, s->len };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(s->fds))];
	} a = { .head = { .cmsg_len = CMSG_LEN(s->n_fds * sizeof(int)),
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(CMSG_DATA(&a.head), s->fds, s->n_fds * sizeof(int));
	if (s->n_fds > 0) {
		m.msg_control = a.bytes;
		m.msg_controllen = CMSG_SPACE(s->n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(to, &m, MSG_NOSIGNAL), s->len);
}

/* What a giver sends for such a connection. */
static struct sent record(uint32_t max_frame, size_t len, int fd)
{
	struct sent s = { .fds = { fd, fd, fd }, .n_fds = 1 };
	int theirs;
	struct handover *h = handover_open(&theirs);
	ssize_t n;

	assert_non_null(h);
	assert_int_equal(handover_give(h, fd, max_frame,
		(struct span){ (const char *)pattern, len }), 0);
	n = recv(theirs, s.bytes, sizeof(s.bytes), 0);
	assert_int_equal(n, HEAD_BYTES + len);
	s.len = (size_t)n;
	handover_close(h);
	close(theirs);
	return s;
}

static void expect_lost(int to, const struct sent *s)
{
	size_t n = count_open();

	send_raw(to, s);
	assert_true(turn());		/* and it goes on */
	assert_int_equal(n_got, 0);
	assert_int_equal(count_open(), n);
}

static void expect_taken(int to, const struct sent *s)
{
	send_raw(to, s);
	turn();
	assert_int_equal(n_got, 1);
	forget_got();
}

static void test_what_is_no_message_of_ours_brings_nothing(void **state)
{
	static const uint32_t sizes[] = { 1, SPOP_MIN_FRAME - 1,
		PEER_MAX_FRAME + 1, UINT32_MAX };
	int fd, haproxy = connect_to(&fd), to = open_taker_alone();
	const struct sent good = record(16380, 8, fd);
	struct sent s;

	(void)state;
	take();
	for (size_t i = 0; i < 8; i++) {	/* magic, version, kind */
		s = good;
		s.bytes[i] ^= 0x40;
		expect_lost(to, &s);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		s = good;
		memcpy(s.bytes + 8, &sizes[i], sizeof(sizes[i]));
		expect_lost(to, &s);
	}
	for (s = good, s.len = 1; s.len < HEAD_BYTES; s.len++)
		expect_lost(to, &s);
	s.len = 0;				/* with a descriptor: no end */
	expect_lost(to, &s);
	s = record(65532, HANDOVER_BYTES_MAX, fd);
	s.len++;				/* the kernel cuts it */
	expect_lost(to, &s);
	expect_taken(to, &good);
	close(fd);
	close(haproxy);
	close(to);
}

static void test_one_descriptor_is_what_must_come_with_it(void **state)
{
	int fd, haproxy = connect_to(&fd), to = open_taker_alone();
	const struct sent good = record(16380, 0, fd);
	struct sent s = good;

	(void)state;
	take();
	for (s.n_fds = 0; s.n_fds <= 3; s.n_fds++)
		if (s.n_fds != 1)
			expect_lost(to, &s);
	expect_taken(to, &good);
	close(fd);
	close(haproxy);
	close(to);
}

static void test_a_descriptor_of_another_kind_is_closed(void **state)
{
	int fd, haproxy = connect_to(&fd), to = open_taker_alone();
	const struct sent good = record(16380, 0, fd);
	int kinds[] = { open("/dev/null", O_RDWR),
		socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_STREAM, 0),
		to };

	(void)state;
	assert_int_equal(listen(kinds[2], 1), 0);
	take();
	for (size_t i = 0; i < 4; i++) {
		struct sent s = good;

		s.fds[0] = kinds[i];
		expect_lost(to, &s);
		assert_true(is_open(kinds[i]));
		if (kinds[i] != to)
			close(kinds[i]);
	}
	expect_taken(to, &good);
	close(fd);
	close(haproxy);
	close(to);
}

/* Each byte of it counts, and its length; one that is known is not asked again. */
static void test_only_our_word_means_that_it_is_awaited(void **state)
{
	uint8_t word[HEAD_BYTES + 1] = { 0 };
	int to = open_taker_alone(), theirs;

	(void)state;
	take();
	assert_int_equal(recv(to, word, sizeof(word), 0), HEAD_BYTES);
	close(to);
	giver = handover_open(&theirs);
	for (size_t i = 0; i < 8; i++) {
		word[i] ^= 1;
		assert_int_equal(send(theirs, word, HEAD_BYTES, 0), HEAD_BYTES);
		assert_false(handover_is_awaited(giver));
		word[i] ^= 1;
	}
	for (size_t len = 0; len <= sizeof(word); len++) {
		assert_int_equal(send(theirs, word, len, 0), len);
		assert_int_equal(handover_is_awaited(giver), len == HEAD_BYTES);
		if (len == HEAD_BYTES)
			len = sizeof(word);
	}
	close(theirs);
	assert_true(handover_is_awaited(giver));
	handover_close(giver);
	giver = handover_open(&theirs);
	assert_int_equal(send(theirs, word, sizeof(word), 0), sizeof(word));
	assert_false(handover_is_awaited(giver));
	close(theirs);
}

/* ---- what the environment may say ---- */

static int pair_end(int domain_type, int *other)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, domain_type, 0, pair), 0);
	*other = pair[1];
	return pair[0];
}

static void test_only_the_parents_socket_is_inherited(void **state)
{
	int others[4], fds[] = { pair_end(SOCK_STREAM, &others[0]),
		pair_end(SOCK_DGRAM, &others[1]), open("/dev/null", O_RDWR),
		pair_end(SOCK_SEQPACKET, &others[2]) };
	pid_t from[] = { getpid(), getpid(), getpid(), getppid() };

	(void)state;
	others[3] = dup(fds[2]);
	for (size_t i = 0; i < 4; i++) {
		assert_null(handover_inherit(fds[i], from[i]));
		assert_true(is_open(fds[i]));		/* somebody's */
		assert_int_equal(fcntl(fds[i], F_GETFD), 0);
	}
	assert_null(handover_inherit(fds[3], 0));
	assert_null(handover_inherit(fds[3], -1));
	for (int fd = -1; fd < 3; fd++)
		assert_null(handover_inherit(fd, getpid()));
	assert_null(handover_inherit(1 << 20, getpid()));
	taker = handover_inherit(fds[3], getpid());
	assert_non_null(taker);
	assert_int_equal(fcntl(fds[3], F_GETFD), FD_CLOEXEC);
	for (size_t i = 0; i < 4; i++) {
		close(others[i]);
		if (i != 3)
			close(fds[i]);
	}
}

/* ---- out of descriptors ---- */

static rlim_t limit_files(rlim_t n)
{
	struct rlimit files;
	rlim_t was;

	getrlimit(RLIMIT_NOFILE, &files);
	was = files.rlim_cur;
	files.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	return was;
}

static void test_without_a_free_descriptor_one_connection_is_lost(void **state)
{
	int fd, haproxy = connect_to(&fd);
	rlim_t was;

	(void)state;
	open_both();
	take();
	assert_int_equal(give(fd, 0, 0), 0);
	close(fd);
	was = limit_files((rlim_t)fd);	/* all below are in use */
	turn();
	limit_files(was);
	assert_int_equal(n_got, 0);
	assert_true(is_ended(haproxy));
	close(haproxy);
	haproxy = connect_to(&fd);
	assert_int_equal(give(fd, 0, 0), 0);
	close(fd);
	assert_true(turn());
	assert_int_equal(n_got, 1);
	assert_false(is_ended(haproxy));
	close(haproxy);
}

/* As a user whom the kernel counts: 0, or the line of what went otherwise. */
static int give_as_nobody(void)
{
	int fd, n = 0, err = 0;

	(void)connect_to(&fd);
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		return __LINE__;
	limit_files(40);
	while (n < 100 && (err = give(fd, 0, 0)) == 0)
		n++;
	if (err != -EAGAIN || n < 30)	/* some 41, where 200 would fit */
		return __LINE__;
	turn();
	if (n_got == 0 || give(fd, 0, 0) != 0)
		return __LINE__;
	return 0;
}

static void test_too_many_under_way_is_not_now(void **state)
{
	pid_t child;
	int status;

	(void)state;
	open_both();
	take();
	child = fork();
	if (child == 0)
		_exit(give_as_nobody());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + i / 256);
	n_got = 0;
	n_open_before = count_open();
	loop = ev_loop_new(EVFLAG_AUTO);
	return loop == NULL;
}

static int teardown(void **state)
{
	(void)state;
	forget_got();
	close_both();
	ev_loop_destroy(loop);
	return count_open() == n_open_before ? 0 : -1;
}

#define unit(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		unit(test_a_connection_arrives_with_all_that_is_said_of_it),
		unit(test_a_byte_too_many_does_not_go),
		unit(test_more_than_fits_goes_in_order_as_it_is_taken),
		unit(test_many_threads_may_give),
		unit(test_nothing_is_awaited_until_somebody_takes),
		unit(test_the_end_comes_behind_all_that_was_given),
		unit(test_one_that_ends_unheard_is_an_end_too),
		unit(test_a_taker_that_is_gone_gets_nothing_more),
		unit(test_what_is_no_message_of_ours_brings_nothing),
		unit(test_one_descriptor_is_what_must_come_with_it),
		unit(test_a_descriptor_of_another_kind_is_closed),
		unit(test_only_our_word_means_that_it_is_awaited),
		unit(test_only_the_parents_socket_is_inherited),
		unit(test_without_a_free_descriptor_one_connection_is_lost),
		unit(test_too_many_under_way_is_not_now),
	};

	return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
