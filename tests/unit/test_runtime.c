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

struct peer {			/* answers one command with `says` */
	char path[64];
	int fd;
	const char *says;	/* NULL: nothing, and stays */
	pthread_t thread;
};

static void *answer(void *data)
{
	struct peer *p = data;
	char asked[4096];
	int fd = accept(p->fd, NULL, NULL);

	if (fd < 0)
		return NULL;
	if (recv(fd, asked, sizeof(asked), 0) > 0 && p->says != NULL)
		send(fd, p->says, strlen(p->says), MSG_NOSIGNAL);
	if (p->says == NULL)
		recv(fd, asked, sizeof(asked), 0);	/* until it gives up */
	close(fd);
	return NULL;
}

static void begin(struct peer *p, const char *says)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	p->says = says;
	snprintf(p->path, sizeof(p->path), "/tmp/test_runtime.%d", getpid());
	unlink(p->path);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", p->path);
	p->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(p->fd, 4), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, answer, p), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence_is_consent_and_words_are_not),
		cmocka_unit_test(test_whoever_answers_is_known),
		cmocka_unit_test(test_who_does_not_answer_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
