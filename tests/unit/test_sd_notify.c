#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sd_notify.h"

static char directory[64], path[96];

/* The manager's end, bound there; '@' is an abstract name. */
static int manager_at(const char *address)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(address));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, address, strlen(address));
	if (address[0] == '@')
		at.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	return fd;
}

static void expect_message(int fd, const char *want)
{
	char got[1024] = "";

	assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), strlen(want));
	assert_string_equal(got, want);
}

static void test_each_message_is_one_datagram(void **state)
{
	char abstract[128];
	const char *addresses[] = { path, abstract };

	(void)state;
	snprintf(abstract, sizeof(abstract), "@%s", path);
	for (size_t i = 0; i < 2; i++) {
		int fd = manager_at(addresses[i]);

		assert_int_equal(sd_notify_send(addresses[i], "READY=1"), 0);
		assert_int_equal(sd_notify_send(addresses[i],
		    "RELOADING=1\nMONOTONIC_USEC=%lld", 123456789012LL), 0);
		expect_message(fd, "READY=1");
		expect_message(fd, "RELOADING=1\nMONOTONIC_USEC=123456789012");
		assert_int_equal(recv(fd, abstract, 1, 0), -1);
		close(fd);
		unlink(path);
	}
}

static void test_without_a_manager_nothing_is_said(void **state)
{
	(void)state;
	assert_int_equal(sd_notify_send(NULL, "READY=1"), 0);
}

static void test_bad_addresses_are_refused(void **state)
{
	static char too_long[200];
	const struct {
		const char *address;
		int err;
	} rows[] = {
		{ "", -EAFNOSUPPORT }, { "/", -EAFNOSUPPORT },
		{ "@", -EAFNOSUPPORT }, { "run/notify", -EAFNOSUPPORT },
		{ "vsock:2:1234", -EAFNOSUPPORT }, { too_long, -ENAMETOOLONG },
		{ "/nonexistent/notify", -ENOENT },
		{ "@epp-test-sd-notify-nobody", -ECONNREFUSED },
	};

	(void)state;
	memset(too_long, '/', sizeof(too_long) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(sd_notify_send(rows[i].address, "READY=1"),
		    rows[i].err);
}

/* The longest name that fits is one byte shorter than the field. */
static void test_lengths_at_the_edge(void **state)
{
	struct sockaddr_un at;
	char name[sizeof(at.sun_path) + 1];
	int fd;

	(void)state;
	memset(name, 'x', sizeof(name));
	name[0] = '@';
	name[sizeof(at.sun_path)] = '\0';
	assert_int_equal(sd_notify_send(name, "READY=1"), -ENAMETOOLONG);
	name[sizeof(at.sun_path) - 1] = '\0';
	fd = manager_at(name);
	assert_int_equal(sd_notify_send(name, "READY=1"), 0);
	expect_message(fd, "READY=1");
	close(fd);
}

static void test_a_text_is_sent_whole_or_not_at_all(void **state)
{
	int fd = manager_at(path);
	char text[600];

	(void)state;
	memset(text, 's', sizeof(text));
	text[512] = '\0';
	assert_int_equal(sd_notify_send(path, "%s", text), -E2BIG);
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	text[511] = '\0';
	assert_int_equal(sd_notify_send(path, "%s", text), 0);
	expect_message(fd, text);
	close(fd);
	unlink(path);
}

static int setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/test_sd_notify.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/n", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_message_is_one_datagram),
		cmocka_unit_test(test_without_a_manager_nothing_is_said),
		cmocka_unit_test(test_bad_addresses_are_refused),
		cmocka_unit_test(test_lengths_at_the_edge),
		cmocka_unit_test(test_a_text_is_sent_whole_or_not_at_all),
	};

	return cmocka_run_group_tests_name("sd_notify", tests, setup, teardown);
}
