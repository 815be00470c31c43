/*
 * test_runtime.c - what HAProxy says is consent, an objection, or nothing in time
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime.h"

/* Answers `n` commands with `says`, the last one with `then`. */
struct peer {
	char path[64];
	int fd;
	size_t n;
	const char *says, *then;	/* NULL: nothing, and stays */
	size_t n_asked;
	pthread_t thread;
};

static void answer_one(int fd, const char *says)
{
	char asked[4096];

	if (recv(fd, asked, sizeof(asked), 0) > 0 && says != NULL)
		send(fd, says, strlen(says), MSG_NOSIGNAL);
	if (says == NULL || strstr(says, "still in progress") != NULL)
		recv(fd, asked, sizeof(asked), 0);	/* until it gives up */
	close(fd);
}

static void *answer(void *data)
{
	struct peer *p = data;

	while (p->n_asked < p->n) {
		int fd = accept(p->fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		answer_one(fd, ++p->n_asked < p->n ? p->says : p->then);
	}
	return NULL;
}

static void begin_with(struct peer *p, const char *name, size_t n,
    const char *says, const char *then)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	*p = (struct peer){ .n = n, .says = says, .then = then };
	snprintf(p->path, sizeof(p->path), "/tmp/test_runtime.%d.%s", getpid(),
	    name);
	unlink(p->path);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", p->path);
	p->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(p->fd, 4), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, answer, p), 0);
}

static void begin(struct peer *p, const char *says)
{
	begin_with(p, "worker", 1, says, says);
}

static void end(struct peer *p)
{
	shutdown(p->fd, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->fd);
	unlink(p->path);
}

static int do_with(const char *says, struct runtime *r, struct peer *p)
{
	static const char command[] = "set map a b c\n";
	int err;

	begin(p, says);
	runtime_init(r, p->path, NULL);
	err = runtime_do(r, command, sizeof(command) - 1);
	end(p);
	runtime_fini(r);
	return err;
}

static void test_silence_is_consent_and_words_are_not(void **state)
{
	static const struct { const char *says; int err; } cases[] = {
		{ "", 0 }, { "\n", 0 }, { "\n\n\n", 0 },
		{ "New server registered.\n\n\n", 0 },
		{ "Server deleted.\n", 0 },
		{ "unable to set map\n", -EPROTO },
		{ "\n\nunknown command\n", -EPROTO },
		{ "Server deleted\n", -EPROTO },
	};
	struct runtime r;
	struct peer p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(do_with(cases[i].says, &r, &p),
		    cases[i].err);
}

static void test_whoever_answers_is_known(void **state)
{
	char description[RUNTIME_NAME_BYTES];
	struct runtime r;
	struct peer p;
	int pid = 0;

	(void)state;
	begin(&p, "Name: HAProxy\nPid: 4711\nnode: description: no\n"
	    "description: epp-translator-1\n\n");
	runtime_init(&r, p.path, NULL);
	assert_int_equal(runtime_identify(&r, &pid, description), 0);
	assert_int_equal(pid, 4711);
	assert_string_equal(description, "epp-translator-1");
	end(&p);
	runtime_fini(&r);
}

static void test_who_does_not_answer_is_given_up(void **state)
{
	static const char command[] = "show info\n";
	struct runtime r;
	struct peer p;

	(void)state;
	begin(&p, NULL);
	runtime_init(&r, p.path, NULL);
	r.timeout_ms = 50;
	assert_int_equal(runtime_ask(&r, command, sizeof(command) - 1),
	    -ETIMEDOUT);
	end(&p);
	assert_int_equal(runtime_ask(&r, command, sizeof(command) - 1),
	    -ENOENT);
	assert_true(strstr(r.said, p.path) != NULL);
	runtime_fini(&r);
}

/* ---- reloads ---- */

#define BUSY "Success=0\n--\nAnother reload is still in progress.\n"
#define OLD "Pid: 1\ndescription: old\n\n"
#define NEW "Pid: 2\ndescription: new\n\n"

/*
 * With BUSY the master does not close, as HAProxy does not. The worker is asked who it is
 * before each try, and then till it is another.
 */
static int reload_by(size_t n, const char *says, const char *then, int wait_ms,
    struct runtime *r, size_t *n_asked)
{
	struct peer worker, master;
	int err;

	begin_with(&worker, "worker", n + 1, OLD, NEW);
	begin_with(&master, "master", n, says, then);
	runtime_init(r, worker.path, master.path);
	err = runtime_reload(r, "new", wait_ms);
	end(&master);
	end(&worker);
	*n_asked = master.n_asked;
	runtime_fini(r);
	return err;
}

static void test_anothers_reload_is_waited_for(void **state)
{
	struct runtime r;
	size_t n;

	(void)state;
	assert_int_equal(reload_by(3, BUSY, "Success=1\n", 10000, &r, &n), 0);
	assert_int_equal(n, 3);
	/* By 2.6 and 3.0, which have no such answer, the connection is closed. */
	assert_int_equal(reload_by(1, "", "", 10000, &r, &n), 0);
}

static void test_anothers_endless_reload_is_no_refusal(void **state)
{
	struct runtime r;
	size_t n;

	(void)state;
	assert_int_equal(reload_by(1000, BUSY, BUSY, 50, &r, &n), -EBUSY);
	assert_non_null(strstr(r.said, "another reload"));
}

static void test_a_refusal_is_told_with_its_reason(void **state)
{
	struct runtime r;
	size_t n;

	(void)state;
	assert_int_equal(reload_by(1, "", "Success=0\n--\n[ALERT] no\n", 10000,
		&r, &n), -EPROTO);
	assert_non_null(strstr(r.said, "[ALERT] no"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence_is_consent_and_words_are_not),
		cmocka_unit_test(test_whoever_answers_is_known),
		cmocka_unit_test(test_who_does_not_answer_is_given_up),
		cmocka_unit_test(test_anothers_reload_is_waited_for),
		cmocka_unit_test(test_anothers_endless_reload_is_no_refusal),
		cmocka_unit_test(test_a_refusal_is_told_with_its_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
