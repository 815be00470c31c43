/*
 * test_server_name.c - one endpoint, one name; two endpoints, two
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server_name.h"

static const struct {
	const char *address;
	uint16_t port;
	const char *name;	/* NULL: refused */
} cases[] = {
	{ "10.0.0.1", 8000, "10.0.0.1:8000" },
	{ "255.255.255.255", 65535, "255.255.255.255:65535" },
	{ "fd00::1", 8000, "fd00::1:8000" },
	{ "FD00:0:0::1", 8000, "fd00::1:8000" },
	{ "::", 0, ":::0" },
	{ "1111:2222:3333:4444:5555:6666:7777:8888", 65535,
	  "1111:2222:3333:4444:5555:6666:7777:8888:65535" },
	{ "::ffff:10.0.0.1", 80, "::ffff:10.0.0.1:80" },
	{ "", 80, NULL },
	{ "pod-1", 80, NULL },
	{ "[fd00::1]", 80, NULL },
	{ "10.0.0.1\n", 80, NULL },
	{ "10.0.0.1 check", 80, NULL },
	{ "010.0.0.1", 80, NULL },
};

static void test_names(void **state)
{
	char name[SERVER_NAME_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int err = server_name(cases[i].address, cases[i].port, name);

		assert_int_equal(err, cases[i].name != NULL ? 0 : -EINVAL);
		assert_string_equal(name,
		    cases[i].name != NULL ? cases[i].name : "");
	}
}

/* An address may end as another one's port: the last colon decides. */
static void test_no_two_are_alike(void **state)
{
	char a[SERVER_NAME_BYTES], b[SERVER_NAME_BYTES];

	(void)state;
	assert_int_equal(server_name("fd00::1", 8000, a), 0);
	assert_int_equal(server_name("fd00::1:8000", 80, b), 0);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_two_are_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
